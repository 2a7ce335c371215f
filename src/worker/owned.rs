//! One owned partition, live: a thread that feeds arrivals to the state machine.
//!
//! Owns the loop and its two timers (seal, tick), and what the partition shows of itself. Decides
//! nothing: the order of effects is the state machine's. Ends when revoked, when drained, or with
//! the process when the state machine refuses to go on for good.

use super::{inbox::Inbox, ports::LivePorts, ticker::Ticker};
use crate::codec::{StageCodec, raw::RawRecord};
use crate::runtime::{
    board::Card,
    health::{self, Outside, State},
    partition::{Counts, Halt, Partition},
    ports::Arrival,
    telemetry::{self, StageMeters},
};
use crate::stages::Stage;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

/// Arrivals taken in before the timers are looked at.
const TURN_ARRIVALS: usize = 64;

/// Records decoded, decided and published before the next ones are decoded: so few that they stay in
/// a core's own cache on their way.
const TURN_RECORDS: usize = 64;

/// How often a partition that halted for a lack of tables looks again.
const RETRY_MS: u64 = 60_000;

/// Committed offset once drained; before that `-1`.
pub type Drained = Arc<AtomicI64>;

pub struct Owned<S: Stage, C: StageCodec<S>> {
    pub partition: Partition<S, C>,
    pub ports: LivePorts<S>,
    pub inbox: Inbox<S::Rules>,
    pub arrivals: Receiver<Arrival<S::Rules>>,
    pub ticker: Option<Ticker>,
    pub seal_every: Duration,
    pub card: Card,
    pub meters: StageMeters,
    pub drained: Drained,
}

impl<S: Stage, C: StageCodec<S>> Owned<S, C> {
    pub fn run(mut self) {
        let number = self.partition.binding().partition;
        let seal_every_ms = self.seal_every.as_millis() as u64;
        let mut seal_at_ms: u64 = 0;
        let mut retry_at_ms: u64 = 0;
        let mut sealing_since_ns = None;
        let mut reported: Option<Halt> = None;
        while !self.inbox.is_revoked() {
            let now_ms = telemetry::steady_ms();
            let mut wait_ms = seal_at_ms.saturating_sub(now_ms).clamp(1, seal_every_ms.max(1));
            if let Some(ticker) = &self.ticker {
                wait_ms = wait_ms.min(ticker.next_ms().saturating_sub(now_ms).max(1));
            }
            match self.arrivals.recv_timeout(Duration::from_millis(wait_ms)) {
                Ok(first) => self.take_in(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now_ms = telemetry::steady_ms();
            match (sealing_since_ns, self.partition.is_sealing()) {
                (None, true) => sealing_since_ns = Some(telemetry::steady_ns()),
                (Some(since_ns), false) => {
                    self.meters.checkpoint_seconds.record(telemetry::seconds_since(since_ns));
                    sealing_since_ns = None;
                }
                (None, false) | (Some(_), true) => {}
            }
            if self.partition.is_sealing() {
                // The pause counts from the end of a seal: a store that is slow gets fewer, larger
                // ones instead of one after the other.
                seal_at_ms = now_ms + seal_every_ms;
            } else if now_ms >= seal_at_ms {
                seal_at_ms = now_ms + seal_every_ms;
                self.partition.handle(Arrival::SealDue, &mut self.ports);
                // A seal without rows is durable at once, and no arrival tells of it.
                self.show();
            }
            if now_ms >= retry_at_ms && self.partition.halted().is_some() {
                retry_at_ms = now_ms + RETRY_MS;
                self.partition.handle(Arrival::Retry, &mut self.ports);
            }
            if let Some(ticker) = &mut self.ticker
                && self.partition.is_loaded()
                && self.partition.halted().is_none()
            {
                ticker.turn(now_ms, self.partition.in_force());
            }
            self.report_halt(&mut reported, number);
            if self.partition.is_drained() {
                self.drained.store(self.partition.committed(), Ordering::Release);
                break;
            }
        }
        tracing::info!(
            stage = S::NAME,
            partition = number,
            offset = self.partition.applied(),
            durable = self.partition.durable(),
            "partition let go"
        );
    }

    /// Handles an arrival and those that wait behind it.
    fn take_in(&mut self, first: Arrival<S::Rules>) {
        let started_ns = telemetry::steady_ns();
        self.card.steps_begin(telemetry::steady_ms());
        let counts_before = self.partition.counts();
        self.handle(first);
        for _ in 1..TURN_ARRIVALS {
            let Ok(next) = self.arrivals.try_recv() else { break };
            self.handle(next);
        }
        self.count(counts_before, started_ns);
        self.show();
    }

    fn handle(&mut self, arrival: Arrival<S::Rules>) {
        if let Arrival::Fetched(records) = arrival {
            return self.handle_records(records);
        }
        let is_load = matches!(arrival, Arrival::Loaded);
        self.hand_over(arrival, 0);
        if is_load {
            self.card.loaded(telemetry::steady_ms(), self.partition.heads().len() as u64);
            tracing::info!(
                stage = S::NAME,
                partition = self.partition.binding().partition,
                offset = self.partition.binding().start,
                heads = self.partition.heads().len(),
                "partition taken over"
            );
        }
    }

    fn handle_records(&mut self, records: Vec<RawRecord>) {
        let mut records = records.into_iter();
        while records.len() > 0 {
            let some: Vec<_> = records.by_ref().take(TURN_RECORDS).collect();
            let count = some.len();
            self.hand_over(Arrival::Fetched(some), count);
        }
    }

    /// `arrived`: records in it.
    fn hand_over(&mut self, arrival: Arrival<S::Rules>, arrived: usize) {
        let waiting_before = self.partition.waiting();
        self.partition.handle(arrival, &mut self.ports);
        let taken = waiting_before + arrived - self.partition.waiting();
        if taken > 0 {
            self.inbox.taken(taken);
        }
    }

    fn count(&mut self, before: Counts, started_ns: u64) {
        let now = self.partition.counts();
        let applied = now.applied - before.applied;
        self.meters.applied.increment(applied);
        self.meters.skipped_duplicate.increment(now.skipped - before.skipped);
        for code in self.partition.take_letter_codes() {
            self.meters.dead_lettered(code);
        }
        if applied > 0 {
            // One reading of the clock for a batch: the mean stands for each of its records.
            let seconds = telemetry::seconds_since(started_ns) / applied as f64;
            self.meters.step_seconds.record_many(seconds, applied as usize);
        }
    }

    fn show(&self) {
        let partition = &self.partition;
        let waiting_for = if partition.records_in_flight() > 0 {
            Some(Outside::Acks)
        } else if partition.awaits_outside() {
            Some(Outside::Store)
        } else {
            None
        };
        let (records, bytes) = (self.inbox.records() as u64, self.inbox.bytes() as u64);
        self.card.steps_end(telemetry::steady_ms(), |report| {
            report.position = u64::try_from(partition.applied() + 1).ok();
            report.durable = u64::try_from(partition.durable() + 1).ok();
            report.records_waiting = records;
            report.bytes_waiting = bytes;
            report.heads_loaded = partition.heads().len() as u64;
            report.money.clone_from(partition.money());
            report.dirty_buckets = partition.heads().dirty_len() as u64;
            report.applied_broker_ms = partition.applied_broker_ms();
            report.durable_broker_ms = partition.durable_broker_ms();
            report.oldest_pending_broker_ms = partition.oldest_pending_broker_ms();
            report.waiting_for = waiting_for;
            report.halt = partition.halted().map(reason_of);
            if report.halt.is_some() {
                report.state = State::Halted;
            } else if partition.is_loaded() {
                report.state = State::Running;
            }
        });
    }

    /// Says once why the partition stands still. What only another deployment can cure ends the
    /// process, so that whoever starts it sees the refusal.
    fn report_halt(&mut self, reported: &mut Option<Halt>, number: i32) {
        let halted = self.partition.halted().cloned();
        if halted == *reported {
            return;
        }
        match &halted {
            None => tracing::info!(stage = S::NAME, partition = number, "partition goes on"),
            Some(halt) => {
                let code = halt.code();
                tracing::error!(
                    stage = S::NAME,
                    partition = number,
                    error_code = code,
                    offset = self.partition.applied() + 1,
                    "{}",
                    sentence(halt)
                );
                if matches!(
                    halt,
                    Halt::StartIsNoTick { .. }
                        | Halt::StateAhead { .. }
                        | Halt::StateUnreadable { .. }
                ) {
                    std::process::exit(super::EXIT_REFUSED);
                }
            }
        }
        *reported = halted;
        self.show();
    }
}

fn reason_of(halt: &Halt) -> health::Halt {
    match halt {
        Halt::FuseBlown { .. } => health::Halt::FuseOpen,
        Halt::LogicUnknown { .. } => health::Halt::VersionUnknown,
        Halt::Disagreement { .. } => health::Halt::Disagreement,
        Halt::SchemaUnknown { .. }
        | Halt::StartIsNoTick { .. }
        | Halt::StateUnreadable { .. }
        | Halt::StateAhead { .. } => health::Halt::SchemaUnknown,
    }
}

/// What happened and what to do about it.
fn sentence(halt: &Halt) -> String {
    match halt {
        Halt::SchemaUnknown { offset, schema } => format!(
            "the record at {offset} was written with schema {schema}, which this release does not \
             know: it is older than the producer; upgrade the worker, the partition goes on then"
        ),
        Halt::LogicUnknown { offset, version } => format!(
            "the tick at {offset} activates logic version {version}, which this release does not \
             have; upgrade the worker, the partition goes on then"
        ),
        Halt::FuseBlown { offset } => format!(
            "too many dead letters: stopped before the record at {offset}; look at them with \
             `tapline dead-letters list`, cure the producer, then `tapline dead-letters release-fuse`"
        ),
        Halt::StartIsNoTick { offset } => format!(
            "the committed offset leads to the record at {offset}, which is no tick; set offset 0 \
             or an older tick with `tapline offsets set`"
        ),
        Halt::StateUnreadable { key, reason } => {
            format!("the stored row of {key} cannot be read ({reason}); was a newer release here?")
        }
        Halt::StateAhead { key, pos } => format!(
            "the stored row of {key} stands at {pos}, beyond the end of the log: the log lost its \
             tail or is another one; restore the log, or start with empty tables from offset 0"
        ),
        Halt::Disagreement { offset, key, code } => format!(
            "the record at {offset} does not fit the state of {key} ({code}): an invariant is broken; \
             nothing of the record was done; keep log and tables as they are and look at both"
        ),
    }
}
