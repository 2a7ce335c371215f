//! Outputs on their way: which input offsets have all of theirs acknowledged by the log.
//!
//! Owns the open tickets in order of input offset. A ticket covers the outputs of a run of
//! consecutive inputs; acknowledgements come in any order. Nothing of a seal may be written before
//! every output at or below its offset is acknowledged: that is the whole protocol's first rule.

#[cfg(test)]
use super::sabotage::{self, Bug};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Acks {
    next_ticket: u64,
    /// ticket -> (first input offset whose outputs it carries, records)
    open: BTreeMap<u64, (i64, usize)>,
    records: usize,
}

impl Acks {
    /// Opens a ticket for outputs of inputs from `first_offset` on.
    pub fn open(&mut self, first_offset: i64, records: usize) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.open.insert(ticket, (first_offset, records));
        self.records += records;
        ticket
    }

    pub fn acknowledge(&mut self, ticket: u64) {
        #[cfg(test)]
        if sabotage::on(Bug::NewestAckCounts) {
            self.open.retain(|open, _| *open >= ticket);
        }
        if let Some((_, records)) = self.open.remove(&ticket) {
            self.records -= records;
        }
    }

    /// Are all outputs of inputs at or below `offset` acknowledged? Tickets are opened in order of
    /// offset, so the oldest open one decides.
    pub fn through(&self, offset: i64) -> bool {
        self.open.first_key_value().is_none_or(|(_, (first, _))| *first > offset)
    }

    /// Records sent and not yet acknowledged.
    pub fn records_in_flight(&self) -> usize {
        self.records
    }
}
