//! Patience with work that others do: it ends when nothing moves, however long the work takes.
//!
//! Owns when something last moved. Never looks at a clock or at the work: whoever waits says what
//! he sees and when.

/// How long what is seen has been the same.
#[derive(Clone, Debug, Default)]
pub struct Patience<S> {
    last: Option<S>,
    moved_ms: u64,
}

impl<S: PartialEq> Patience<S> {
    pub fn new() -> Self {
        Self { last: None, moved_ms: 0 }
    }

    /// Milliseconds since what is seen last changed; 0 where it has just changed or is the first.
    pub fn still_ms(&mut self, seen: S, now_ms: u64) -> u64 {
        if self.last.as_ref() != Some(&seen) {
            (self.last, self.moved_ms) = (Some(seen), now_ms);
        }
        now_ms.saturating_sub(self.moved_ms)
    }
}
