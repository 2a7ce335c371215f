//! The consumer's side of the push stage: assignments, and how records reach the executor.
//!
//! Owns the places of partitions and the flow: while enough waits, records are waited with for a
//! moment and then dropped, and fetched again from the first dropped one when there is room. So the
//! executor never sees a gap, and a dead gateway never stops the poll loop.

use super::executor::{Place, Shared};
use crate::adapters::kafka::intake::{Assigned, Intake, Owner};
use crate::codec::raw::RawRecord;
use crate::runtime::{
    board::HealthBoard,
    dispatch::Arrival,
    telemetry::{self, StageMeters},
};
use crate::stages::push::NAME;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

/// How long the consumer waits for room before it leaves a partition alone.
const ROOM_WAIT_MS: u64 = 500;

/// Records were dropped for want of room, from this offset on.
#[derive(Clone, Copy)]
struct Dropped {
    from: i64,
    /// They are being fetched again.
    sought: bool,
}

pub(super) struct Crew {
    shared: Arc<Shared>,
    intake: Intake,
    board: Arc<HealthBoard>,
    topic: String,
    records_max: u64,
    bytes_max: u64,
    dropped: BTreeMap<i32, Dropped>,
    meters: StageMeters,
}

impl Crew {
    pub fn new(
        shared: Arc<Shared>,
        intake: Intake,
        board: Arc<HealthBoard>,
        topic: String,
        records_max: usize,
        bytes_max: usize,
    ) -> Self {
        Self {
            shared,
            intake,
            board,
            topic,
            records_max: records_max as u64,
            bytes_max: bytes_max as u64,
            dropped: BTreeMap::new(),
            meters: StageMeters::new(NAME),
        }
    }

    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    fn has_room(&self, place: &Place, records_max: u64) -> bool {
        !self.shared.is_full.load(Ordering::Acquire)
            && place.records() < records_max
            && place.bytes.load(Ordering::Acquire) < self.bytes_max
    }

    /// Where consumption begins. The stage keeps no state, so the log's start is as good as any
    /// offset where the group has none; one beyond the log is not.
    fn start_of(&self, one: &Assigned) -> i64 {
        let committed = one.committed.unwrap_or(one.log_start);
        if (one.log_start..=one.log_end).contains(&committed) {
            return committed;
        }
        crate::worker::refuse(
            "offset_outside_log",
            &format!(
                "the committed offset {committed} of {}/{} lies outside the log ({}..{}); the log \
                 lost records: restore it, or set an offset with `tapline offsets set`",
                self.topic, one.partition, one.log_start, one.log_end
            ),
        )
    }
}

impl Owner for Crew {
    fn assigned(&mut self, assigned: Vec<Assigned>) {
        self.meters.rebalanced("assign");
        let numbers: Vec<u32> = assigned.iter().map(|one| one.partition.cast_unsigned()).collect();
        let now_ms = telemetry::steady_ms();
        let cards = self.board.assigned(NAME, &self.topic, &numbers, now_ms);
        tracing::info!(stage = NAME, partitions = ?numbers, "partitions assigned");
        for (one, card) in assigned.into_iter().zip(cards) {
            let start = self.start_of(&one);
            card.update(|report| report.log_end = u64::try_from(one.log_end).ok());
            card.loaded(now_ms, 0);
            self.dropped.remove(&one.partition);
            let mut places = self.shared.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.insert(one.partition, Place::new(card));
            drop(places);
            self.shared.send(Arrival::Assigned { partition: one.partition, start });
        }
    }

    fn revoked(&mut self, partitions: Vec<i32>, lost: bool) {
        self.meters.rebalanced(if lost { "lost" } else { "revoke" });
        tracing::info!(stage = NAME, ?partitions, lost, "partitions revoked");
        for partition in partitions {
            let mut places = self.shared.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.remove(&partition);
            drop(places);
            self.dropped.remove(&partition);
            self.shared.send(Arrival::Revoked { partition });
        }
        self.board.revoked(NAME);
    }

    fn fetched(&mut self, partition: i32, records: Vec<RawRecord>) {
        let Some(place) = self.shared.place(partition) else { return };
        let Some(first) = records.first().map(|record| record.offset) else { return };
        // After dropping, only the record that was dropped first may come next.
        if self
            .dropped
            .get(&partition)
            .is_some_and(|dropped| !dropped.sought || dropped.from != first)
        {
            return;
        }
        let deadline_ms = telemetry::steady_ms() + ROOM_WAIT_MS;
        while !self.has_room(&place, self.records_max) {
            if telemetry::steady_ms() >= deadline_ms {
                self.dropped.insert(partition, Dropped { from: first, sought: false });
                return;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        self.dropped.remove(&partition);
        let bytes: usize = records.iter().map(bytes_of).sum();
        place.handed.fetch_add(records.len() as u64, Ordering::AcqRel);
        place.bytes.fetch_add(bytes as u64, Ordering::AcqRel);
        place.card.fetched(telemetry::steady_ms(), 0, 0);
        self.shared.send(Arrival::Fetched { partition, records });
    }

    fn statistics(&mut self, is_connected: bool, log_ends: Vec<(i32, i64)>) {
        self.board.broker_connected(NAME, is_connected);
        for (partition, end) in log_ends {
            if let Ok(end) = u64::try_from(end) {
                self.board.log_end(NAME, partition.cast_unsigned(), end);
            }
        }
    }

    fn polled(&mut self) {
        let sought: Vec<(i32, i64)> = self
            .dropped
            .iter()
            .filter(|(_, dropped)| !dropped.sought)
            .filter(|(partition, _)| {
                let place = self.shared.place(**partition);
                place.is_some_and(|place| self.has_room(&place, self.records_max / 2))
            })
            .map(|(partition, dropped)| (*partition, dropped.from))
            .collect();
        for (partition, from) in sought {
            // Back to the first dropped record; the mark stays until exactly it arrives.
            self.intake.seek(partition, from);
            self.dropped.insert(partition, Dropped { from, sought: true });
        }
        self.board.polled(NAME, !self.dropped.is_empty(), telemetry::steady_ms());
    }

    fn failed(&mut self, error: String) {
        tracing::warn!(stage = NAME, error, "the consumer reports an error");
    }
}

fn bytes_of(record: &RawRecord) -> usize {
    record.key.as_ref().map_or(0, Vec::len)
        + record.value.as_ref().map_or(0, Vec::len)
        + record.headers.bytes()
}
