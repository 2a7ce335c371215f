//! The health board: where loops write how they are, and where probes and gauges read it.
//!
//! Owns the sharing, nothing else: rules are in `health`, names in `telemetry`. A write is one
//! uncontended lock, once a batch; readers copy. Invariant: a partition that was revoked is not on
//! the board, and the loop that still holds its card writes to nobody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::gauge;

use super::health::{Halt, Outside, PartitionReport, Point, StageReport, State, WorkerReport};
use super::telemetry::{self, label};

/// Shared by every loop of the process and the HTTP listener.
#[derive(Debug, Default)]
pub struct HealthBoard {
    worker: Mutex<WorkerFacts>,
    partitions: Mutex<BTreeMap<(&'static str, u32), Card>>,
}

#[derive(Debug, Default)]
struct WorkerFacts {
    checks_passed: bool,
    store_connected: bool,
    is_stopping: bool,
    stages: Vec<StageReport>,
}

/// One partition's place on the board; the loop that owns the partition keeps a clone.
#[derive(Clone, Debug)]
pub struct Card(Arc<Mutex<PartitionReport>>);

/// A panic elsewhere must not silence the probes, and each report is whole after every change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Card {
    pub fn update(&self, change: impl FnOnce(&mut PartitionReport)) {
        let mut report = lock(&self.0);
        change(&mut report);
        report.break_off();
    }

    /// Before a batch of steps.
    pub fn steps_begin(&self, now_ms: u64) {
        self.update(|report| report.step_running_since_ms = Some(now_ms));
    }

    /// After it, with what changed: `change` sets positions, queue, waiting.
    pub fn steps_end(&self, now_ms: u64, change: impl FnOnce(&mut PartitionReport)) {
        self.update(|report| {
            report.step_running_since_ms = None;
            report.last_step_ms = now_ms;
            change(report);
        });
    }

    /// A fetch brought records.
    pub fn fetched(&self, now_ms: u64, records: u64, bytes: u64) {
        self.update(|report| {
            report.last_fetch_ms = now_ms;
            report.records_waiting += records;
            report.bytes_waiting += bytes;
        });
    }

    pub fn loaded(&self, now_ms: u64, heads: u64) {
        self.update(|report| {
            (report.state, report.heads_loaded) = (State::Running, heads);
            (report.last_step_ms, report.last_fetch_ms) = (now_ms, now_ms);
        });
    }
}

impl HealthBoard {
    /// A board for the stages that this process runs.
    pub fn new(stages: &[&'static str]) -> Arc<Self> {
        let report = |stage: &&'static str| StageReport {
            stage,
            last_poll_ms: None,
            is_assigned: false,
            first_load_done: false,
            broker_connected: false,
            poll_held: false,
        };
        let facts =
            WorkerFacts { stages: stages.iter().map(report).collect(), ..Default::default() };
        Arc::new(HealthBoard { worker: Mutex::new(facts), partitions: Mutex::default() })
    }

    pub fn checks_passed(&self) {
        lock(&self.worker).checks_passed = true;
    }

    pub fn store_connected(&self, is_connected: bool) {
        lock(&self.worker).store_connected = is_connected;
    }

    pub fn stopping(&self) {
        lock(&self.worker).is_stopping = true;
    }

    /// Each turn of a stage's poll loop. `is_held`: it polls for client events only, as queues
    /// are full.
    pub fn polled(&self, stage: &str, is_held: bool, now_ms: u64) {
        self.stage(stage, |report| {
            (report.last_poll_ms, report.poll_held) = (Some(now_ms), is_held);
        });
    }

    /// From the client's statistics.
    pub fn broker_connected(&self, stage: &str, is_connected: bool) {
        self.stage(stage, |report| report.broker_connected = is_connected);
    }

    fn stage(&self, stage: &str, change: impl FnOnce(&mut StageReport)) {
        if let Some(report) = lock(&self.worker).stages.iter_mut().find(|it| it.stage == stage) {
            change(report);
        }
    }

    /// A new assignment, whole: what it does not name is gone. Shape: a card per partition, in
    /// order. An empty assignment is one too.
    pub fn assigned(
        &self,
        stage: &'static str,
        topic: &str,
        partitions: &[u32],
        now_ms: u64,
    ) -> Vec<Card> {
        let card = |partition: &u32| {
            let report = PartitionReport::assigned(stage, topic, *partition, now_ms);
            Card(Arc::new(Mutex::new(report)))
        };
        let cards: Vec<Card> = partitions.iter().map(card).collect();
        let mut board = lock(&self.partitions);
        board.retain(|(of, _), _| *of != stage);
        board.extend(partitions.iter().map(|it| (stage, *it)).zip(cards.iter().cloned()));
        drop(board);
        self.stage(stage, |report| report.is_assigned = true);
        cards
    }

    /// All partitions of a stage went, revoked or lost; the next assignment is not here yet.
    pub fn revoked(&self, stage: &str) {
        lock(&self.partitions).retain(|(of, _), _| *of != stage);
        self.stage(stage, |report| report.is_assigned = false);
    }

    /// The log's end, from the client's statistics.
    pub fn log_end(&self, stage: &'static str, partition: u32, log_end: u64) {
        if let Some(card) = lock(&self.partitions).get(&(stage, partition)) {
            card.update(|report| report.log_end = Some(log_end));
        }
    }

    /// A copy of everything. It also settles what depends on the time, so something must look at
    /// least once in a few seconds: the listener's refresh does.
    pub fn snapshot(&self, now_ms: u64) -> WorkerReport {
        let mut worker = lock(&self.worker);
        let board = lock(&self.partitions);
        let mut partitions = Vec::with_capacity(board.len());
        for ((stage, _), card) in board.iter() {
            let of = worker.stages.iter().find(|it| it.stage == *stage);
            let can_fetch = of.is_some_and(|it| it.broker_connected && !it.poll_held);
            let mut report = lock(&card.0);
            report.settle(can_fetch, now_ms);
            partitions.push(report.clone());
        }
        let is_up = worker.checks_passed && worker.store_connected;
        for stage in &mut worker.stages {
            let own = partitions.iter().filter(|it| it.stage == stage.stage);
            let is_loaded = own.into_iter().all(|it| it.state != State::Loading);
            stage.first_load_done |= is_up && stage.is_assigned && is_loaded;
        }
        WorkerReport {
            checks_passed: worker.checks_passed,
            store_connected: worker.store_connected,
            is_stopping: worker.is_stopping,
            stages: worker.stages.clone(),
            partitions,
        }
    }
}

/// Sets every gauge of partitions anew. A revoked partition's gauges are left alone and disappear
/// when they have been idle long enough.
pub fn refresh_gauges(report: &WorkerReport, now_broker_ms: i64) {
    for stage in &report.stages {
        let own: Vec<_> = report.partitions.iter().filter(|it| it.stage == stage.stage).collect();
        let sum = |of: fn(&PartitionReport) -> u64| own.iter().map(|it| of(it)).sum::<u64>() as f64;
        for (name, value) in [
            (telemetry::PARTITIONS_ASSIGNED, own.len() as f64),
            (telemetry::INFLIGHT_RECORDS, sum(|it| it.records_waiting)),
            (telemetry::INFLIGHT_BYTES, sum(|it| it.bytes_waiting)),
            (telemetry::DIRTY_BUCKETS, sum(|it| it.dirty_buckets)),
            (telemetry::HEADS_LOADED, sum(|it| it.heads_loaded)),
        ] {
            gauge!(name, label::STAGE => stage.stage).set(value);
        }
        for outside in Outside::ALL {
            let waiting = own.iter().filter(|it| it.waiting_for == Some(outside)).count();
            gauge!(
                telemetry::PARTITION_WAITING,
                label::STAGE => stage.stage, label::REASON => outside.code()
            )
            .set(waiting as f64);
        }
        for halt in Halt::ALL {
            let halted = own.iter().filter(|it| it.halt == Some(halt)).count();
            gauge!(
                telemetry::PARTITION_WAITING,
                label::STAGE => stage.stage, label::REASON => halt.code()
            )
            .set(halted as f64);
        }
    }
    for partition in &report.partitions {
        for (point, name) in [(Point::Processed, "processed"), (Point::Durable, "durable")] {
            let labels = [
                (label::STAGE, partition.stage.to_owned()),
                (label::TOPIC, partition.topic.clone()),
                (label::PARTITION, partition.partition.to_string()),
                (label::POINT, name.to_owned()),
            ];
            let lag_seconds = partition.lag_ms(point, now_broker_ms) as f64 / 1_000.0;
            gauge!(telemetry::LAG_RECORDS, &labels).set(partition.lag_records(point) as f64);
            gauge!(telemetry::LAG_SECONDS, &labels).set(lag_seconds);
        }
        for sum in partition.money.sums() {
            let currency = sum.currency.to_string();
            telemetry::money(partition.stage, sum.flow.name(), currency, partition.partition)
                .set(sum.minor as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::health::{live, ready, started};
    use super::*;

    /// Goal: the board tells a worker's life as probes must see it. Method: the events of a start,
    /// a rebalance and a stop, and after each (started, ready).
    #[test]
    fn a_life_on_the_board() {
        let board = HealthBoard::new(&["feed"]);
        let probes = |now_ms| {
            let report = board.snapshot(now_ms);
            (started(&report).is_ok(), ready(&report).is_ok())
        };
        assert_eq!(probes(0), (false, false), "new");
        board.checks_passed();
        board.store_connected(true);
        assert_eq!(probes(1), (false, false), "connected");
        let cards = board.assigned("feed", "events", &[0, 1], 2);
        assert_eq!(probes(2), (false, false), "loading");
        cards[0].loaded(3, 100);
        assert_eq!(probes(3), (false, false), "half loaded");
        cards[1].loaded(4, 100);
        assert_eq!(probes(4), (true, true), "loaded");
        board.revoked("feed");
        assert_eq!(probes(5), (true, false), "revoked");
        board.assigned("feed", "events", &[], 6);
        assert_eq!(probes(6), (true, true), "a spare");
        let late = board.assigned("feed", "events", &[1], 7);
        cards[1].update(|old| old.state = State::Running);
        assert_eq!(probes(7), (true, false), "the card of an old generation has no say");
        late[0].loaded(8, 1);
        board.stopping();
        assert_eq!(probes(9), (true, false), "stopping");
    }

    /// Goal: a partition that hangs is found through the board alone. Method: fetch, never step.
    #[test]
    fn a_hanging_partition_is_found() {
        let board = HealthBoard::new(&["feed"]);
        let card = board.assigned("feed", "events", &[0], 0).remove(0);
        card.loaded(0, 1);
        card.fetched(1_000, 5, 500);
        for (now_ms, is_live) in [(1_000, true), (61_000, true), (61_001, false)] {
            board.polled("feed", false, now_ms);
            assert_eq!(live(&board.snapshot(now_ms), now_ms).is_ok(), is_live, "{now_ms}");
        }
        card.steps_begin(61_002);
        card.steps_end(61_003, |report| report.records_waiting = 0);
        assert!(live(&board.snapshot(61_003), 61_003).is_ok());
    }

    /// Goal: a partition that the client forgot is found, unless nothing could have been fetched.
    /// Method: more in the log, no fetch, snapshots as probes take them; broker and poll vary.
    #[test]
    fn a_forgotten_partition_is_found() {
        for (has_broker, is_held, is_live) in
            [(true, false, false), (true, true, true), (false, false, true)]
        {
            let board = HealthBoard::new(&["feed"]);
            let card = board.assigned("feed", "events", &[0], 0).remove(0);
            card.loaded(0, 1);
            card.update(|report| report.position = Some(10));
            board.log_end("feed", 0, 11);
            board.broker_connected("feed", has_broker);
            for now_ms in [0, 120_000, 120_001] {
                board.polled("feed", is_held, now_ms);
                let found = live(&board.snapshot(now_ms), now_ms).is_ok();
                let case = format!("broker {has_broker}, held {is_held}, {now_ms}");
                assert_eq!(found, is_live || now_ms <= 120_000, "{case}");
            }
        }
    }
}
