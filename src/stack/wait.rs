//! Waiting for other processes: the only clock and the only sleep of the stack.
//!
//! Owns a stop watch with a limit. Never used by anything whose result is replayed: how long a
//! server took to start is shown to people and decides nothing else.

use std::time::{Duration, Instant};

/// Between two looks at something that another process does.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub struct Deadline {
    began: Instant,
    limit: Duration,
}

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "waits for servers; nothing is replayed")]
    pub fn after(limit: Duration) -> Deadline {
        Deadline { began: Instant::now(), limit }
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Pauses a moment; false, at once, when the time is up.
    #[expect(clippy::disallowed_methods, reason = "waits for servers; nothing is replayed")]
    pub fn pause(&self) -> bool {
        if self.began.elapsed() >= self.limit {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
        true
    }
}
