//! What a worker, a stage and a partition say about themselves.
//!
//! Owns the reports and what follows from one of them alone: lag, one word for its state, since
//! when it could act. Never judges: the rules are next door. Invariant: a `_since_ms` is `None` or
//! the beginning of an unbroken stretch.

use crate::runtime::money::Money;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Heads are being read; polling goes on.
    Loading,
    Running,
    /// Stopped on purpose, see `halt`: an operator must act, a restart would not help.
    Halted,
}

/// Why a partition was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Halt {
    FuseOpen,
    /// Written by a newer producer than this worker knows.
    SchemaUnknown,
    /// Rules or logic that this worker does not have.
    VersionUnknown,
    /// The upstream's running number or hash chain does not fit.
    ChainBroken,
    /// A record does not fit the state: an invariant is broken.
    Disagreement,
}

impl Halt {
    pub const ALL: [Halt; 5] = [
        Halt::FuseOpen,
        Halt::SchemaUnknown,
        Halt::VersionUnknown,
        Halt::ChainBroken,
        Halt::Disagreement,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Halt::FuseOpen => "fuse_open",
            Halt::SchemaUnknown => "schema_unknown",
            Halt::VersionUnknown => "version_unknown",
            Halt::ChainBroken => "chain_broken",
            Halt::Disagreement => "disagreement",
        }
    }
}

/// What outside a partition waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outside {
    /// Acknowledgement of outputs by the broker.
    Acks,
    /// A write to the store, or a read of a side row.
    Store,
    /// The answer of a push provider.
    Gateway,
}

impl Outside {
    pub const ALL: [Outside; 3] = [Outside::Acks, Outside::Store, Outside::Gateway];

    pub fn code(self) -> &'static str {
        match self {
            Outside::Acks => "acks",
            Outside::Store => "store",
            Outside::Gateway => "gateway",
        }
    }
}

/// One owned partition. Times ending in `_ms` are of the steady clock unless they say broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionReport {
    pub stage: &'static str,
    pub topic: String,
    pub partition: u32,
    pub state: State,
    pub halt: Option<Halt>,
    pub waiting_for: Option<Outside>,
    /// Next offset to apply, and next offset to commit.
    pub position: Option<u64>,
    pub durable: Option<u64>,
    /// The log's end, as the client last heard it.
    pub log_end: Option<u64>,
    /// Broker's timestamps: of the oldest record fetched and not applied, the last one applied,
    /// and the last one durable.
    pub oldest_pending_broker_ms: Option<i64>,
    pub applied_broker_ms: Option<i64>,
    pub durable_broker_ms: Option<i64>,
    /// Fetched and not yet applied.
    pub records_waiting: u64,
    pub bytes_waiting: u64,
    pub dirty_buckets: u64,
    pub heads_loaded: u64,
    /// What the heads stand for.
    pub money: Money,
    pub step_running_since_ms: Option<u64>,
    pub last_step_ms: u64,
    pub last_fetch_ms: u64,
    /// Since when a step has been possible, and a fetch wanted, without a break. Kept by
    /// `settle` and `break_off`.
    pub able_since_ms: Option<u64>,
    pub wanting_since_ms: Option<u64>,
}

/// Where lag is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Processed,
    Durable,
}

impl PartitionReport {
    /// A partition as it is at its assignment.
    pub fn assigned(stage: &'static str, topic: &str, partition: u32, now_ms: u64) -> Self {
        PartitionReport {
            stage,
            topic: topic.to_owned(),
            partition,
            state: State::Loading,
            halt: None,
            waiting_for: None,
            position: None,
            durable: None,
            log_end: None,
            oldest_pending_broker_ms: None,
            applied_broker_ms: None,
            durable_broker_ms: None,
            records_waiting: 0,
            bytes_waiting: 0,
            dirty_buckets: 0,
            heads_loaded: 0,
            money: Money::default(),
            step_running_since_ms: None,
            last_step_ms: now_ms,
            last_fetch_ms: now_ms,
            able_since_ms: None,
            wanting_since_ms: None,
        }
    }

    /// Each few seconds: keeps the two `_since_ms`, as the stage's own report counts too
    /// (`can_fetch`: a broker is connected and polling is not held). A partition that could not
    /// act for an hour has just begun to be able to.
    pub fn settle(&mut self, can_fetch: bool, now_ms: u64) {
        let is_free = self.is_free();
        let is_able = is_free && self.records_waiting > 0;
        // With records at hand a fetch is not urgent, and with full queues it is not allowed.
        let is_wanting = is_free && can_fetch && self.records_waiting == 0 && self.log_has_more();
        let since = |is_so: bool, was: Option<u64>| is_so.then(|| was.unwrap_or(now_ms));
        self.able_since_ms = since(is_able, self.able_since_ms);
        self.wanting_since_ms = since(is_wanting, self.wanting_since_ms);
    }

    /// After any change: whoever cannot act, if only for a moment, begins anew.
    pub fn break_off(&mut self) {
        if !self.is_free() {
            (self.able_since_ms, self.wanting_since_ms) = (None, None);
        }
    }

    fn is_free(&self) -> bool {
        self.state == State::Running && self.waiting_for.is_none()
    }

    fn log_has_more(&self) -> bool {
        matches!((self.log_end, self.position), (Some(end), Some(next)) if next < end)
    }

    pub fn lag_records(&self, point: Point) -> u64 {
        let reached = match point {
            Point::Processed => self.position,
            Point::Durable => self.durable,
        };
        self.log_end.zip(reached).map_or(0, |(end, reached)| end.saturating_sub(reached))
    }

    /// Age of the oldest record beyond the point, or else of the last one before it; 0 without
    /// lag. `now_broker_ms` is the wall clock, as the log's timestamps are.
    pub fn lag_ms(&self, point: Point, now_broker_ms: i64) -> i64 {
        if self.lag_records(point) == 0 {
            return 0;
        }
        let since = match point {
            Point::Processed => self.oldest_pending_broker_ms.or(self.applied_broker_ms),
            Point::Durable => self.durable_broker_ms,
        };
        since.map_or(0, |since| now_broker_ms.saturating_sub(since).max(0))
    }

    /// One word for people: the state, or that it waits.
    pub fn state_code(&self) -> &'static str {
        match (self.state, self.waiting_for) {
            (State::Loading, _) => "loading",
            (State::Halted, _) => "halted",
            (State::Running, Some(_)) => "waiting",
            (State::Running, None) => "running",
        }
    }

    pub fn reason_code(&self) -> Option<&'static str> {
        self.halt.map(Halt::code).or(self.waiting_for.map(Outside::code))
    }

    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.stage, self.partition)
    }
}

/// One stage's consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageReport {
    pub stage: &'static str,
    /// `None` until the loop begins: a start that waits for servers is not stuck.
    pub last_poll_ms: Option<u64>,
    /// In the group, with an assignment (an empty one is one).
    pub is_assigned: bool,
    /// Has been, and the heads of the first assignment were loaded.
    pub first_load_done: bool,
    /// At least one broker is connected, by the client's statistics.
    pub broker_connected: bool,
    /// Polling is held back because queues are full.
    pub poll_held: bool,
}

/// The whole process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerReport {
    pub checks_passed: bool,
    pub store_connected: bool,
    pub is_stopping: bool,
    pub stages: Vec<StageReport>,
    pub partitions: Vec<PartitionReport>,
}
