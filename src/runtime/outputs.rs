//! Outputs: how a decision becomes state and records to publish, each with its id.
//!
//! Owns the numbering: an id names the input record, the key whose step made the output, and the
//! index among that key's outputs; never a count over keys, because after a takeover some keys skip.
//! What was decided in one go is published in one ticket.

#[cfg(test)]
use super::sabotage::{self, Bug};
use super::{
    heads,
    partition::{Binding, Partition, deadline_of},
    ports::{Destination, Ports, Publish, PublishTopic},
};
use crate::codec::{
    StageCodec,
    frame::{self, Chain, OutputId, SourcePos},
    headers::{self, Provenance},
    raw::RawRecord,
};
#[cfg(test)]
use crate::domain::command::PARTITION_KEY as TICK_KEY;
use crate::domain::{command::PARTITION_KEY, time::LogTime};
use crate::stages::{Outgoing, Stage, Transition};
use std::sync::Arc;

/// What was decided and not yet handed to the ports.
#[derive(Default)]
pub(super) struct Outbox {
    records: Vec<Publish>,
    /// Offset of the first input that has a record here.
    first: i64,
}

impl Outbox {
    pub fn push(&mut self, offset: i64, record: Publish) {
        if self.records.is_empty() {
            self.first = offset;
        }
        self.records.push(record);
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }
}

/// Whose output it is, and where that key's chain stands.
struct Link<'a> {
    name: &'a str,
    seq: &'a mut i64,
    chain: &'a mut Chain,
}

impl<S: Stage, C: StageCodec<S>> Partition<S, C> {
    /// Makes a decision part of the state and queues its outputs. `id_key`: the key in the ids,
    /// where it is not the record's own. `first_index`: above 0 where a dead letter came first.
    pub(super) fn settle(
        &mut self,
        name: &Arc<str>,
        raw: &RawRecord,
        source: Option<&OutputId>,
        transition: Transition<S::Change, S::Output>,
        (id_key, first_index): (Option<&str>, i32),
    ) {
        let offset = raw.offset;
        let (_, entry) = self.heads.entry(name);
        heads::note(&mut entry.row, offset, source);
        #[cfg(test)]
        if sabotage::on(Bug::RandomStep) {
            entry.row.seq += sabotage::worker() % 2;
        }
        if let Some(change) = transition.change {
            self.money.take::<S>(name, &entry.row.state);
            for (item, value) in S::apply(&mut entry.row.state, change) {
                let mut bytes = Vec::new();
                self.codec.encode_side(&value, &mut bytes);
                self.sides.leave(name, item.as_ref(), offset, bytes);
            }
            self.money.put::<S>(name, &entry.row.state);
        }
        let former = entry.deadline;
        entry.deadline = deadline_of::<S>(name, &entry.row, &self.rules);
        self.deadlines.update(name, former, entry.deadline);
        let out =
            Outlet { codec: self.codec.as_ref(), binding: self.binding, time: &self.log_time_text };
        for (index, effect) in (first_index..).zip(transition.effects) {
            let (seq, chain) = (&mut entry.row.seq, &mut entry.row.chain);
            let link = Link { name, seq, chain };
            let row = S::READ_ROW.and_then(|row| row(&effect.body));
            let record = out.record(raw, (id_key, index), effect, Some(link));
            if let (Some(row), Some(value)) = (row, &record.value) {
                self.reads.note(row, offset, value);
            }
            self.outbox.push(offset, record);
        }
        self.heads.mark_dirty(name);
    }

    /// Queues a tick that is passed on. The key is empty in the id: a tick has no row to skip by,
    /// and its readers judge repeats by freshness, as we do.
    pub(super) fn pass_on(&mut self, raw: &RawRecord, tick: Outgoing<S::Output>) {
        let out =
            Outlet { codec: self.codec.as_ref(), binding: self.binding, time: &self.log_time_text };
        let record = out.record(raw, (Some(""), 0), tick, None);
        self.outbox.push(raw.offset, record);
    }

    pub(super) fn flush_outbox<P: Ports<S::Rules>>(&mut self, ports: &mut P) {
        if self.outbox.records.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.outbox.records);
        self.counts.published += records.len() as u64;
        let ticket = self.acks.open(self.outbox.first, records.len());
        #[cfg(test)]
        if sabotage::on(Bug::PassedOnNotWaitedFor)
            && records.iter().all(|record| record.key.as_deref() == Some(TICK_KEY.as_bytes()))
        {
            self.acks.acknowledge(ticket);
        }
        ports.publish(ticket, records);
    }
}

/// What every output of a record needs.
struct Outlet<'a, C> {
    codec: &'a C,
    binding: Binding,
    /// `ce_time` of the log time.
    time: &'a str,
}

impl<C> Outlet<'_, C> {
    /// Encodes one output. `link` absent: a passed-on tick.
    fn record<S: Stage>(
        &self,
        raw: &RawRecord,
        (id_key, index): (Option<&str>, i32),
        effect: Outgoing<S::Output>,
        link: Option<Link>,
    ) -> Publish
    where
        C: StageCodec<S>,
    {
        #[cfg(test)]
        let index = wrongly_numbered(raw.offset, id_key, index);
        let topic = effect.topic;
        assert!(S::OUTPUTS.contains(&topic), "{} may not publish to {topic:?}", S::NAME);
        let mut value = Vec::with_capacity(OUTPUT_BYTES_USUAL);
        self.codec.encode_output(&effect.body, &mut value);
        let here = Destination::Partition(self.binding.partition);
        let (destination, key, link) = match (&effect.key, link) {
            (Some(other), _) => (Destination::ByKey, other.as_bytes(), None),
            (None, Some(Link { name, seq, chain })) => {
                *seq += 1;
                *chain = frame::chain(chain, &value);
                (here, name.as_bytes(), Some((*seq, *chain)))
            }
            (None, None) => (here, PARTITION_KEY.as_bytes(), None),
        };
        let Binding { incarnation, partition, .. } = self.binding;
        let source = SourcePos { incarnation, partition, offset: raw.offset };
        let id = OutputId { source, key: id_key.map(Box::from), index };
        // Without ticks there is no log time; the append time of the cause is in the log too.
        let appended =
            if S::TICKS { None } else { Some(headers::ce_time(LogTime(raw.timestamp_ms))) };
        let headers = headers::headers(&Provenance {
            id: &id,
            stage: S::NAME,
            ce_type: self.codec.ce_type(&effect.body),
            ce_time: appended.as_deref().unwrap_or(self.time),
            link,
            cause: raw,
        });
        let (key, value) = (Some(key.to_vec()), Some(value));
        Publish { topic: PublishTopic::Output(topic), destination, key, value, headers }
    }
}

/// Bugs that count an output among other outputs than its key's.
#[cfg(test)]
fn wrongly_numbered(offset: i64, id_key: Option<&str>, index: i32) -> i32 {
    match id_key {
        Some("") if sabotage::on(Bug::PassedOnUnderNewId) => sabotage::worker() as i32,
        Some("") => index,
        Some(_) if sabotage::on(Bug::TickIndexOverKeys) => sabotage::next_index(offset),
        _ if sabotage::on(Bug::IndexOverKeys) => sabotage::next_index(offset),
        _ => index,
    }
}

/// Most outputs fit; larger ones grow.
const OUTPUT_BYTES_USUAL: usize = 384;
