//! What the runtime is told at start, as plain structs, and the type that keeps a secret secret.
//!
//! Owns the shape of the runtime's settings, the profile and `Secret`. Never reads a file or an
//! environment variable and never checks a value: `config` does both and alone builds these.
//! Invariant: whoever holds one of these structs may trust it without looking again.

use std::fmt;
use std::time::Duration;

/// Every stage that a worker can run, in the order of the pipeline.
pub const STAGES: &[&str] = &["authorisation", "posting", "windows", "feed", "push"];

/// What a worker is run for. `Production` refuses what only a laptop may do, such as plaintext.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    #[default]
    Dev,
    Production,
}

/// A password or key. `Debug` prints `***`, there is no `Display`; only `reveal` gives the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself, for the driver's own configuration and nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The loop over one worker's partitions. Counts are per stage and process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// How often the owner of a command partition writes a tick; `None` if somebody else does.
    pub ticks: Option<Duration>,
    pub seal_interval: Duration,
    /// Fixed for the life of a topic: it decides in which row of the store a key lives.
    pub buckets_per_partition: u32,
    /// Records fetched and not yet applied; beyond it the worker stops polling.
    pub inflight_records_max: usize,
    pub inflight_bytes_max: usize,
    /// Records applied and not yet committed; beyond it the input stops.
    pub uncommitted_records_max: u64,
    pub batch_records_max: usize,
    pub batch_bytes_max: usize,
    /// The ticker writes nothing while its clock and the broker's differ by more than this.
    pub clock_skew_max: Duration,
}

/// When a partition stops because too many of its records could not be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuseConfig {
    /// More dead letters than this within `window` records blow the fuse.
    pub max: u32,
    /// Consecutive records, counted by position.
    pub window: u32,
}

/// When each step of a graceful stop must be over, counted from the signal. A step that is late
/// is left for the next one: what was not done is replayed from the committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSchedule {
    pub steps_finished: Duration,
    pub state_checkpointed: Duration,
    pub offsets_committed: Duration,
    pub group_left: Duration,
    /// The process ends at once, exit 3.
    pub watchdog: Duration,
}

impl StopSchedule {
    pub const DEFAULT: StopSchedule = StopSchedule {
        steps_finished: Duration::from_secs(5),
        state_checkpointed: Duration::from_secs(8),
        offsets_committed: Duration::from_secs(10),
        group_left: Duration::from_secs(20),
        watchdog: Duration::from_secs(30),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a secret never reaches a log. Method: print a struct that holds one.
    #[test]
    fn secrets_do_not_print() {
        let printed = format!("{:?} {:#?}", Some(Secret::new("hunter2")), Secret::new("hunter2"));
        assert_eq!(printed, "Some(***) ***");
    }
}
