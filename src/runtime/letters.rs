//! Dead letters: records that can never be applied, what follows them, and the fuse.
//!
//! Owns where such a record goes: poison to the dead letters as the first output of its record, the
//! key marked, its later records after it, in order. Only the record's own key is ever diverted. A
//! blown fuse stops the partition, which then looks ahead for an operator's release and nothing else.

#[cfg(test)]
use super::sabotage::{self, Bug};
use super::{
    consume::Progress,
    heads,
    partition::{Halt, Partition, Queued},
    ports::{Destination, Ports, Publish, PublishTopic},
};
use crate::codec::{StageCodec, dead_letter, frame::OutputId, raw::RawRecord};
use crate::stages::{Outgoing, Poison, Scope, Stage, Transition};
use std::sync::Arc;

impl<S: Stage, C: StageCodec<S>> Partition<S, C> {
    /// A record that could not be decoded. Its key is diverted where it can be read and belongs
    /// to this partition.
    pub(super) fn dead_letter_undecodable(&mut self, raw: &RawRecord, poison: Poison) -> Progress {
        let Some(key) = self.codec.divertible_key(raw) else {
            if !self.allow_letter(raw.offset) {
                return Progress::Blocked;
            }
            self.fuse.count(raw.offset);
            self.dead_letter(raw, poison);
            return Progress::Applied;
        };
        let (name, entry) = self.heads.entry(key);
        if heads::contains(&entry.row, raw.offset, own_source(raw).as_ref()) {
            return self.count_again(raw.offset);
        }
        if entry.row.diverted_through.is_some() && !raw.is_redriven() {
            // What follows is never counted as a failure of its own, but a card number must not
            // reach the dead letters either way.
            let poison = if poison.code == PAN_IN_CLEAR { poison } else { DIVERTED };
            self.park(&name, raw, poison, None);
            return Progress::Applied;
        }
        self.divert(&name, raw, poison)
    }

    /// A dead letter that the row already contains counts all the same: the fuse counts by
    /// position, also after a restart.
    pub(super) fn count_again(&mut self, offset: i64) -> Progress {
        if !self.allow_letter(offset) {
            return Progress::Blocked;
        }
        self.fuse.count(offset);
        self.counts.skipped += 1;
        Progress::Applied
    }

    /// The record is poison: it goes to the dead letters and the key's later records will follow.
    pub(super) fn divert(&mut self, name: &Arc<str>, raw: &RawRecord, poison: Poison) -> Progress {
        if !self.allow_letter(raw.offset) {
            return Progress::Blocked;
        }
        self.fuse.count(raw.offset);
        self.heads.entry(name).1.row.poisoned_at = Some(raw.offset);
        self.park(name, raw, poison, None);
        Progress::Applied
    }

    /// A record of a diverted key follows it, in order; whoever waits for an answer gets one.
    pub(super) fn park(
        &mut self,
        name: &Arc<str>,
        raw: &RawRecord,
        poison: Poison,
        answer: Option<Outgoing<S::Output>>,
    ) {
        self.mark_diverted(name, raw.offset);
        self.dead_letter(raw, poison);
        let effects = answer.into_iter().collect();
        let transition = Transition { change: None, effects };
        self.settle(name, raw, own_source(raw).as_ref(), transition, (None, 1));
    }

    fn mark_diverted(&mut self, name: &Arc<str>, offset: i64) {
        #[cfg(test)]
        if sabotage::on(Bug::RecordDivertedNotKey) {
            return;
        }
        let (_, entry) = self.heads.entry(name);
        entry.row.diverted_through = Some(offset);
    }

    pub(super) fn release_fuse(&mut self, through_offset: u64) -> Progress {
        self.fuse.release(i64::try_from(through_offset).unwrap_or(i64::MAX));
        Progress::Applied
    }

    /// An operator's word about another key than the record's own. A key that waits for nothing is
    /// left alone: nobody but its own records may name it, or a wrong name would make a row.
    pub(super) fn end_diversion_of(
        &mut self,
        raw: &RawRecord,
        key: &str,
        through_offset: u64,
    ) -> Progress {
        let through = i64::try_from(through_offset).unwrap_or(i64::MAX);
        let Some(entry) = self.heads.get(key) else { return Progress::Applied };
        let is_ended = !heads::contains(&entry.row, raw.offset, None)
            && entry.row.diverted_through.is_some_and(|at| at <= through);
        if is_ended {
            entry.row.diverted_through = None;
            let nothing = Transition { change: None, effects: Vec::new() };
            self.settle(&Arc::from(key), raw, None, nothing, (Some(key), 0));
        }
        Progress::Applied
    }

    pub(super) fn end_diversion(&mut self, raw: &RawRecord, through_offset: u64) -> Progress {
        let (name, entry) = self.heads.entry(raw.key_text().unwrap_or_default());
        let source = own_source(raw);
        if heads::contains(&entry.row, raw.offset, source.as_ref()) {
            return Progress::Applied;
        }
        if entry.row.diverted_through.is_some_and(|at| at <= through_offset as i64) {
            entry.row.diverted_through = None;
        }
        let nothing = Transition { change: None, effects: Vec::new() };
        self.settle(&name, raw, source.as_ref(), nothing, (None, 0));
        Progress::Applied
    }

    fn allow_letter(&mut self, offset: i64) -> bool {
        if self.fuse.allows(offset) {
            return true;
        }
        self.halted = Some(Halt::FuseBlown { offset });
        self.searching_release = true;
        false
    }

    /// Queues the record as it was for the dead letters; always the first output of its record.
    fn dead_letter(&mut self, raw: &RawRecord, poison: Poison) {
        self.letter_codes.push(poison.code);
        match poison == DIVERTED {
            true => self.counts.diverted += 1,
            false => self.counts.dead_letters += 1,
        }
        let origin = dead_letter::Origin { raw, stage: S::NAME, input: S::INPUT, poison };
        let letter = self.codec.dead_letter(&origin);
        let letter = Publish {
            topic: PublishTopic::DeadLetters,
            destination: Destination::Partition(self.binding.partition),
            key: letter.key,
            value: letter.value,
            headers: letter.headers,
        };
        self.outbox.push(raw.offset, letter);
    }

    /// Has the release of the blown fuse been fetched already? If not, what is queued is dropped
    /// (it will be fetched again) so that a stopped partition holds no memory.
    pub(super) fn release_in_queue(&mut self) -> bool {
        let Some(Halt::FuseBlown { offset: blown_at }) = self.halted else { return false };
        let through = |queued: &Queued<S::Input>| match queued.scope {
            Scope::FuseRelease { through_offset } => i64::try_from(through_offset).ok(),
            _ => None,
        };
        let release = self.queue.iter().filter_map(through).max();
        match release {
            Some(through) if through >= blown_at => {
                self.fuse.release(through);
                self.halted = None;
                self.searching_release = false;
                true
            }
            _ => {
                self.queue.clear();
                false
            }
        }
    }

    /// While the fuse is blown, later records are only searched for its release; then the partition
    /// fetches again from where it stopped.
    pub(super) fn search_release<P: Ports<S::Rules>>(
        &mut self,
        queued: &Queued<S::Input>,
        ports: &mut P,
    ) {
        let Scope::FuseRelease { through_offset } = queued.scope else { return };
        let Some(Halt::FuseBlown { offset: blown_at }) = self.halted else { return };
        let through = i64::try_from(through_offset).unwrap_or(i64::MAX);
        if through < blown_at || queued.raw.offset < blown_at {
            return;
        }
        self.fuse.release(through);
        self.halted = None;
        self.searching_release = false;
        self.queue.clear();
        self.fetched = self.applied;
        self.resume_at = Some(blown_at);
        ports.seek(blown_at);
    }
}

/// The source that the record's own key judges repeats by. A record that was sent again is judged by
/// its offset alone: the row has seen the source, as a dead letter.
pub(super) fn own_source(raw: &RawRecord) -> Option<OutputId> {
    if raw.is_redriven() { None } else { raw.source() }
}

/// The one code under which a dead letter loses its value.
const PAN_IN_CLEAR: &str = "pan_in_clear";

/// What follows a diverted key is no failure of its own.
pub(super) const DIVERTED: Poison = Poison { code: "diverted" };
