//! What the executor is told at start.
//!
//! Owns the shape; `config` checks the values and alone builds these for a live worker. What is not
//! here is a constant beside the thing that it governs (breaker, budget, pauses).

use std::time::Duration;

/// The settings below `push.` but for the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushSettings {
    /// What is older since its command is dropped and counted.
    pub age_max: Duration,
    /// Requests under way at the store; and, each for itself, at every gateway.
    pub in_flight_max: usize,
    /// Obligations in memory at which input stops.
    pub waiting_max: usize,
    /// Requests in a second at one gateway.
    pub rate_max: u32,
    /// After this an attempt counts as unanswered.
    pub attempt_timeout: Duration,
    /// Of one customer; further ones are left out.
    pub devices_max: usize,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            age_max: Duration::from_secs(600),
            in_flight_max: 256,
            waiting_max: 50_000,
            rate_max: 2_000,
            attempt_timeout: Duration::from_secs(10),
            devices_max: 20,
        }
    }
}

impl PushSettings {
    pub fn age_max_ms(&self) -> i64 {
        i64::try_from(self.age_max.as_millis()).unwrap_or(i64::MAX)
    }

    pub fn attempt_timeout_ms(&self) -> i64 {
        i64::try_from(self.attempt_timeout.as_millis()).unwrap_or(i64::MAX)
    }
}
