//! The executor's thread: feeds arrivals and the time to the machine, and shows how it is.
//!
//! Owns the loop, the clock that never goes back, and what is told to health and metrics. Decides
//! nothing. Ends when the consumer has seen it drained, or gave up waiting for that.

use super::ports::LivePorts;
use crate::runtime::{
    board::Card,
    dispatch::{Arrival, Counts, Dispatch, Halted},
    health::{self, Outside, State},
    telemetry,
};
use crate::stages::push::NAME;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

/// Arrivals taken in before the board and metrics are looked at.
const TURN_ARRIVALS: usize = 64;
/// How often a partition that halted looks again.
const RETRY_MS: u64 = 60_000;
/// The longest wait for arrivals.
const WAIT_MS_MAX: i64 = 500;
/// A wall clock that runs further ahead is followed: the process was asleep.
const AHEAD_MS_MAX: i64 = 5_000;

/// One assigned partition, as the consumer's thread and the executor share it.
pub(super) struct Place {
    pub card: Card,
    /// Records handed over, and of those taken; the bytes of what was handed over and not taken.
    pub handed: AtomicU64,
    pub taken: AtomicU64,
    pub bytes: AtomicU64,
}

impl Place {
    pub fn new(card: Card) -> Arc<Self> {
        let zero = AtomicU64::default;
        Arc::new(Self { card, handed: zero(), taken: zero(), bytes: zero() })
    }

    pub fn records(&self) -> u64 {
        let taken = self.taken.load(Ordering::Acquire);
        self.handed.load(Ordering::Acquire).saturating_sub(taken)
    }

    /// Bytes leave in proportion: enough for a bound.
    fn took(&self, taken: u64) {
        let (before, had) = (self.records(), self.taken.swap(taken, Ordering::AcqRel));
        let bytes = self.bytes.load(Ordering::Acquire);
        if let Some(share) = (bytes * taken.saturating_sub(had)).checked_div(before) {
            self.bytes.fetch_sub(share.min(bytes), Ordering::AcqRel);
        }
    }
}

/// What the executor, the consumer and every task hold in common.
pub(super) struct Shared {
    arrivals: Mutex<Sender<Arrival>>,
    pub places: Mutex<BTreeMap<i32, Arc<Place>>>,
    /// Enough waits: the consumer keeps its records.
    pub is_full: AtomicBool,
    pub drained: AtomicBool,
    ended: AtomicBool,
    committed: Mutex<Vec<(i32, i64)>>,
}

impl Shared {
    pub fn new(arrivals: Sender<Arrival>) -> Arc<Self> {
        Arc::new(Self {
            arrivals: Mutex::new(arrivals),
            places: Mutex::default(),
            is_full: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            committed: Mutex::default(),
        })
    }

    /// Ignored when the executor is gone: nobody needs it any more.
    pub fn send(&self, arrival: Arrival) {
        let _ = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).send(arrival);
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Ends the executor; what it committed last.
    pub fn end(&self) -> Vec<(i32, i64)> {
        self.ended.store(true, Ordering::Release);
        std::mem::take(&mut *self.committed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn place(&self, partition: i32) -> Option<Arc<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned()
    }
}

pub(super) struct Executor {
    dispatch: Dispatch,
    ports: LivePorts,
    shared: Arc<Shared>,
    arrivals: Receiver<Arrival>,
    /// The wall clock at the start, less the steady clock then.
    offset_ms: i64,
    shown: Counts,
    opened: BTreeMap<&'static str, u64>,
    reported: BTreeMap<i32, Halted>,
}

impl Executor {
    pub fn new(
        dispatch: Dispatch,
        ports: LivePorts,
        shared: Arc<Shared>,
        arrivals: Receiver<Arrival>,
    ) -> Self {
        let offset_ms = telemetry::now_ms() - steady_ms();
        Self {
            dispatch,
            ports,
            shared,
            arrivals,
            offset_ms,
            shown: Counts::default(),
            opened: BTreeMap::new(),
            reported: BTreeMap::new(),
        }
    }

    pub fn run(mut self) {
        let mut retry_at_ms = telemetry::steady_ms() + RETRY_MS;
        while !self.shared.has_ended() {
            let now_ms = self.now_ms();
            let wake_ms = self.dispatch.wake_ms().unwrap_or(i64::MAX);
            let wait_ms = wake_ms.saturating_sub(now_ms).clamp(0, WAIT_MS_MAX);
            match self.arrivals.recv_timeout(Duration::from_millis(wait_ms as u64)) {
                Ok(first) => self.take_in(first),
                Err(RecvTimeoutError::Timeout) => self.handle(Arrival::Wake),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if telemetry::steady_ms() >= retry_at_ms {
                retry_at_ms = telemetry::steady_ms() + RETRY_MS;
                self.handle(Arrival::Retry);
            }
            self.show();
        }
    }

    /// Never back: an age is measured against the broker's time, and timers must not run twice.
    fn now_ms(&mut self) -> i64 {
        let (steady_ms, wall_ms) = (steady_ms(), telemetry::now_ms());
        if wall_ms - (self.offset_ms + steady_ms) > AHEAD_MS_MAX {
            self.offset_ms = wall_ms - steady_ms;
        }
        self.offset_ms + steady_ms
    }

    fn handle(&mut self, arrival: Arrival) {
        let now_ms = self.now_ms();
        self.dispatch.handle(arrival, now_ms, &mut self.ports);
    }

    fn take_in(&mut self, first: Arrival) {
        self.handle(first);
        for _ in 1..TURN_ARRIVALS {
            let Ok(next) = self.arrivals.try_recv() else { break };
            self.handle(next);
        }
    }

    fn show(&mut self) {
        self.shared.is_full.store(self.dispatch.is_full(), Ordering::Release);
        let places = self.shared.places.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (partition, place) in places {
            if self.dispatch.position(partition).is_some() {
                place.took(self.dispatch.taken_records(partition));
                self.show_partition(partition, &place);
            }
        }
        self.count();
        let committed = self
            .dispatch
            .partitions()
            .filter_map(|partition| Some((partition, self.dispatch.committed(partition)?)));
        *self.shared.committed.lock().unwrap_or_else(PoisonError::into_inner) = committed.collect();
        self.shared.drained.store(self.dispatch.is_drained(), Ordering::Release);
    }

    fn show_partition(&mut self, partition: i32, place: &Place) {
        let dispatch = &self.dispatch;
        let halted = dispatch.halted(partition).cloned();
        let waits = dispatch.waiting_in(partition) > 0 || dispatch.is_full();
        let (applied_ms, pending_ms) = dispatch.broker_times(partition);
        place.card.steps_end(telemetry::steady_ms(), |report| {
            let offset = |offset: Option<i64>| offset.and_then(|it| u64::try_from(it).ok());
            report.position = offset(dispatch.position(partition));
            report.durable = offset(dispatch.committed(partition));
            report.records_waiting = place.records();
            report.bytes_waiting = place.bytes.load(Ordering::Acquire);
            report.applied_broker_ms = applied_ms;
            report.durable_broker_ms = dispatch.oldest_origin_ms().or(applied_ms);
            report.oldest_pending_broker_ms = pending_ms;
            report.waiting_for = waits.then_some(Outside::Gateway);
            report.halt = halted.as_ref().map(|halted| match halted {
                Halted::FuseBlown { .. } => health::Halt::FuseOpen,
                Halted::SchemaUnknown { .. } => health::Halt::SchemaUnknown,
            });
            report.state = if halted.is_some() { State::Halted } else { State::Running };
        });
        if self.reported.get(&partition) != halted.as_ref() {
            match &halted {
                None => tracing::info!(stage = NAME, partition, "partition goes on"),
                Some(halted) => tracing::error!(stage = NAME, partition, "{}", sentence(halted)),
            }
            match halted {
                None => self.reported.remove(&partition),
                Some(halted) => self.reported.insert(partition, halted),
            };
        }
    }

    /// What grew since it was shown last.
    fn count(&mut self) {
        let now = self.dispatch.counts().clone();
        let meters = &self.ports.meters;
        meters.applied.increment(now.records - self.shown.records);
        meters.skipped_duplicate.increment(now.copies - self.shown.copies);
        for (outcome, count) in &now.outcomes {
            let before = self.shown.outcomes.get(outcome).copied().unwrap_or(0);
            telemetry::push_outcomes(outcome.name(), count - before);
        }
        for ((platform, told), count) in &now.told {
            let before = self.shown.told.get(&(*platform, *told)).copied().unwrap_or(0);
            telemetry::push_sends(platform.name(), told.name(), count - before);
        }
        for (code, count) in &now.letters {
            let before = self.shown.letters.get(code).copied().unwrap_or(0);
            (before..*count).for_each(|_| meters.dead_lettered(code));
        }
        let retries = |counts: &Counts| counts.retries.values().sum::<u64>();
        (retries(&self.shown)..retries(&now)).for_each(|_| meters.retried("gateway"));
        self.shown = now;
        for gate in self.dispatch.gates() {
            let name = gate.platform.name();
            telemetry::push_gateway(name, gate.breaker, gate.under_way);
            if self.opened.insert(name, gate.opened).unwrap_or(0) < gate.opened {
                tracing::warn!(
                    stage = NAME,
                    gateway = name,
                    "the gateway fails: its breaker opens"
                );
            }
        }
        let oldest_ms = self.dispatch.oldest_origin_ms();
        let age_ms = oldest_ms.map_or(0, |oldest_ms| self.now_ms() - oldest_ms);
        telemetry::push_waiting(self.dispatch.obligations(), age_ms);
    }
}

fn steady_ms() -> i64 {
    i64::try_from(telemetry::steady_ms()).unwrap_or(i64::MAX)
}

/// What happened and what to do about it.
fn sentence(halted: &Halted) -> String {
    match halted {
        Halted::SchemaUnknown { offset, schema } => format!(
            "the record at {offset} was written with schema {schema}, which this release does not \
             know: it is older than the producer; upgrade the worker, the partition goes on then"
        ),
        Halted::FuseBlown { offset } => format!(
            "too many dead letters: stopped before the record at {offset}; look at them with \
             `tapline dead-letters list`, cure the feed stage, then pass them with \
             `tapline offsets set` and start the worker again"
        ),
    }
}
