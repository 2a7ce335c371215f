//! Records in: each becomes an obligation, a copy of one, a dead letter, or nothing.
//!
//! Owns what is decided before anybody is asked: copies, mute and replayed records, age. Stops at
//! the bound of what may wait, before a record that this release cannot read, and when the fuse
//! blows; what was fetched stays in the backlog and is taken later, in order.

use super::{
    Dispatch, Ticket, Timer,
    job::{Job, Stage},
    lane::Halted,
    ports::DispatchPorts,
};
use crate::codec::{
    DecodeError,
    headers::{ORIGIN_MS, SRC},
    raw::RawRecord,
};
use crate::domain::{feed::FeedRecord, push::Outcome, push::Preferences};
use crate::runtime::ports::{Destination, Publish, PublishTopic};
#[cfg(test)]
use crate::runtime::sabotage::{self, Bug};
use crate::stages::{Poison, push};

impl Dispatch {
    pub(super) fn enqueue(&mut self, partition: i32, records: Vec<RawRecord>) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        for raw in records {
            // A log may give an offset twice; what lies at or below the newest is a repeat.
            if self.draining || raw.offset <= lane.fetched {
                lane.taken_records += 1;
                continue;
            }
            lane.fetched = raw.offset;
            lane.backlog.push_back(raw);
        }
    }

    /// Takes what there is room for, each partition in turn.
    pub(super) fn take_backlogs<P: DispatchPorts>(&mut self, ports: &mut P) {
        let partitions: Vec<i32> = self
            .lanes
            .iter()
            .filter(|(_, lane)| !lane.backlog.is_empty() && lane.halted.is_none())
            .map(|(partition, _)| *partition)
            .collect();
        for partition in partitions {
            while !self.is_full()
                && let Some(lane) = self.lanes.get_mut(&partition)
                && lane.halted.is_none()
                && let Some(raw) = lane.backlog.pop_front()
            {
                self.take(partition, raw, ports);
            }
        }
    }

    fn take<P: DispatchPorts>(&mut self, partition: i32, raw: RawRecord, ports: &mut P) {
        match self.codec.decode(&raw) {
            Err(DecodeError::UnknownSchema(schema)) => {
                let halted = Halted::SchemaUnknown { offset: raw.offset, schema };
                self.halt(partition, raw, halted);
            }
            Err(DecodeError::Poison(poison)) => self.dead_letter(partition, raw, poison, ports),
            Ok(record) => {
                self.pass(partition, &raw);
                self.oblige(partition, raw, &record, ports);
            }
        }
    }

    /// The record is taken: whatever is still open of it is noted apart.
    fn pass(&mut self, partition: i32, raw: &RawRecord) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        lane.fuse.pass(raw.offset);
        lane.taken = raw.offset;
        lane.taken_records += 1;
        lane.taken_broker_ms = Some(raw.timestamp_ms);
        self.counts.records += 1;
    }

    fn halt(&mut self, partition: i32, raw: RawRecord, halted: Halted) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.halted = Some(halted);
            lane.backlog.push_front(raw);
        }
    }

    pub(super) fn look_again(&mut self) {
        for lane in self.lanes.values_mut() {
            if let Some(Halted::SchemaUnknown { .. }) = lane.halted {
                lane.halted = None;
            }
        }
    }

    fn dead_letter<P: DispatchPorts>(
        &mut self,
        partition: i32,
        raw: RawRecord,
        poison: Poison,
        ports: &mut P,
    ) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        if !lane.fuse.allows(raw.offset) {
            let halted = Halted::FuseBlown { offset: raw.offset };
            return self.halt(partition, raw, halted);
        }
        lane.fuse.count(raw.offset);
        self.pass(partition, &raw);
        *self.counts.letters.entry(poison.code).or_default() += 1;
        let ticket = self.open_ticket(partition, raw.offset, None);
        let letter = self.codec.dead_letter(&raw, poison);
        let record = Publish {
            topic: PublishTopic::DeadLetters,
            destination: Destination::Partition(partition),
            key: letter.key,
            value: letter.value,
            headers: letter.headers,
        };
        ports.publish(ticket, record);
    }

    /// Until the ticket is acknowledged, the offset is open.
    fn open_ticket(&mut self, partition: i32, offset: i64, id: Option<Box<str>>) -> u64 {
        let number = self.number();
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.open.insert(offset);
            self.open += 1;
            if let Some(id) = &id {
                lane.under_way.insert(id.clone(), number);
            }
        }
        self.tickets.insert(number, Ticket { partition, offsets: vec![offset], id });
        number
    }

    fn oblige<P: DispatchPorts>(
        &mut self,
        partition: i32,
        mut raw: RawRecord,
        record: &FeedRecord,
        ports: &mut P,
    ) {
        let id = raw.headers.text(SRC).unwrap_or_default().to_owned();
        #[cfg(test)]
        let id = match sabotage::on(Bug::PushOwnOffsetAsId) {
            true => format!("{partition}:{}", raw.offset),
            false => id,
        };
        let origin_ms = raw.headers.text(ORIGIN_MS).and_then(|text| text.parse().ok());
        let origin_ms = origin_ms.unwrap_or(raw.timestamp_ms);
        let obligation = push::obligation(record, &id, origin_ms);
        let Some(obligation) = obligation else { return };
        if self.is_copy(partition, raw.offset, &obligation.id) {
            self.counts.copies += 1;
            return;
        }
        let number = self.open_ticket(partition, raw.offset, Some(obligation.id.clone()));
        raw.value = None;
        let is_replayed = raw.is_redriven();
        let recipient = (partition, obligation.customer_id.clone());
        let expires_ms = origin_ms.saturating_add(self.options.settings.age_max_ms());
        let (line, version) = (obligation.line.clone(), obligation.version);
        let job = Job {
            obligation,
            partition,
            log_time: record.log_time,
            cause: raw,
            expires_ms,
            stage: Stage::Waiting,
            preferences: Preferences::default(),
            sends: Vec::new(),
        };
        self.jobs.insert(number, job);
        #[cfg(test)]
        let is_replayed = is_replayed && !sabotage::on(Bug::PushReplayedSent);
        if self.options.mute || is_replayed {
            let code = if is_replayed { "replayed" } else { "mode_mute" };
            return self.conclude(number, Outcome::Muted, code, ports);
        }
        if expires_ms <= self.now_ms {
            return self.conclude(number, Outcome::Expired, "", ports);
        }
        self.timers.insert((expires_ms, Timer::Expire(number)));
        self.recipients.add(&recipient, &line, version, number);
    }

    /// A copy of what is under way holds the commit until that is done; one of what has ended says
    /// nothing.
    fn is_copy(&mut self, partition: i32, offset: i64, id: &str) -> bool {
        let Some(lane) = self.lanes.get_mut(&partition) else { return false };
        if lane.has_ended(id) {
            return true;
        }
        let Some(ticket) = lane.under_way.get(id).and_then(|it| self.tickets.get_mut(it)) else {
            return false;
        };
        ticket.offsets.push(offset);
        if lane.open.insert(offset) {
            self.open += 1;
        }
        true
    }
}
