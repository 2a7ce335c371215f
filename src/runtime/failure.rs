//! Classes of failure, and how long to wait before trying again.
//!
//! Owns the two words every adapter classes its errors with. Poison is no failure: it is a property
//! of a record (`stages::Poison`). Adapters yield only these two, so types forbid a dead letter for
//! a server's trouble.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// May pass: hold the partition, wait, do the same again.
    Retryable,
    /// Will not pass by itself: end the process with a sentence that says what to do.
    Fatal,
}

/// Pauses between repeats, without end: 50 ms, doubling to 2 s, each with jitter.
pub fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .build()
}
