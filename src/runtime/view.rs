//! What a partition shows of itself: positions, counts, and whether it waits, stands or is done.
//!
//! Owns the questions that the shell may ask between two arrivals. Changes nothing but the list of
//! codes that is handed over; nothing is decided by an answer.

use super::{
    context::InForce,
    halt::Halt,
    heads::Heads,
    money::Money,
    partition::{Binding, Counts, Partition},
};
use crate::codec::StageCodec;
use crate::stages::Stage;

impl<S: Stage, C: StageCodec<S>> Partition<S, C> {
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    pub fn in_force(&self) -> InForce {
        self.in_force
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn halted(&self) -> Option<&Halt> {
        self.halted.as_ref()
    }

    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Offset of the last record applied or skipped.
    pub fn applied(&self) -> i64 {
        self.applied
    }

    pub fn durable(&self) -> i64 {
        self.durable
    }

    pub fn committed(&self) -> i64 {
        self.committed
    }

    /// Records taken in and not yet applied.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Codes of the dead letters since the last call, one each.
    pub fn take_letter_codes(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.letter_codes)
    }

    /// Broker's time of the last record that is durable.
    pub fn durable_broker_ms(&self) -> Option<i64> {
        self.durable_broker_ms
    }

    /// Broker's time of the last record applied, and of the oldest one that waits.
    pub fn applied_broker_ms(&self) -> Option<i64> {
        self.applied_broker_ms
    }

    pub fn oldest_pending_broker_ms(&self) -> Option<i64> {
        self.queue.front().map(|queued| queued.raw.timestamp_ms)
    }

    pub fn heads(&self) -> &Heads<S::Head> {
        &self.heads
    }

    /// What the heads stand for, in money.
    pub fn money(&self) -> &Money {
        &self.money
    }

    pub fn records_in_flight(&self) -> usize {
        self.acks.records_in_flight()
    }

    /// A seal is open.
    pub fn is_sealing(&self) -> bool {
        self.seal.is_some()
    }

    /// Something outside is still to answer: the partition waits, it is not stuck.
    pub fn awaits_outside(&self) -> bool {
        !self.loaded
            || self.seal.is_some()
            || self.acks.records_in_flight() > 0
            || self.rules_asked.is_some()
    }

    /// Nothing is left to write: safe to leave the group.
    pub fn is_drained(&self) -> bool {
        self.draining && self.seal.is_none() && self.durable >= self.applied
    }
}
