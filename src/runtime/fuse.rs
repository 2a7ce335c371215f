//! The fuse: too many dead letters close together stop the partition.
//!
//! Owns the count of dead letters by their position in the log, so that a restart counts the same:
//! the offset is not committed past a dead letter while it is still inside the window (`held_at`).
//! Records that merely follow a diverted key do not count. An operator's record releases it up to
//! an offset; what is released changes no output, only whether the partition goes on.

use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
pub struct FuseSettings {
    /// More than this many dead letters...
    pub letters_max: usize,
    /// ...in this many consecutive records stop the partition.
    pub window_records: i64,
}

impl Default for FuseSettings {
    fn default() -> Self {
        Self { letters_max: 20, window_records: 1_000 }
    }
}

pub struct Fuse {
    settings: FuseSettings,
    letters: VecDeque<i64>,
    released_through: i64,
}

impl Fuse {
    pub fn new(settings: FuseSettings) -> Self {
        Self { settings, letters: VecDeque::new(), released_through: -1 }
    }

    /// Forgets letters that have left the window of the record at `offset`.
    pub fn pass(&mut self, offset: i64) {
        while self.letters.front().is_some_and(|at| at + self.settings.window_records <= offset) {
            self.letters.pop_front();
        }
    }

    /// May the record at `offset` become one more dead letter? `false`: the fuse is blown.
    pub fn allows(&mut self, offset: i64) -> bool {
        self.pass(offset);
        offset <= self.released_through || self.letters.len() < self.settings.letters_max
    }

    pub fn count(&mut self, offset: i64) {
        if offset > self.released_through {
            self.letters.push_back(offset);
        }
    }

    pub fn release(&mut self, through_offset: i64) {
        self.released_through = self.released_through.max(through_offset);
        while self.letters.front().is_some_and(|at| *at <= self.released_through) {
            self.letters.pop_front();
        }
    }

    /// A takeover must not start after this offset, or it would count fewer letters than we did.
    pub fn held_at(&self) -> Option<i64> {
        self.letters.front().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the fuse blows on more than the maximum within the window, by position, and a release
    /// lets it go on. Method: three letters allowed in ten records.
    #[test]
    fn blows_and_is_released() {
        let settings = FuseSettings { letters_max: 3, window_records: 10 };
        let mut fuse = Fuse::new(settings);
        for (offset, allowed) in [(0, true), (5, true), (9, true), (9, false), (10, true)] {
            assert_eq!(fuse.allows(offset), allowed, "at {offset}");
            if allowed {
                fuse.count(offset);
            }
        }
        assert_eq!(fuse.held_at(), Some(5));
        assert!(!fuse.allows(11), "5, 9 and 10 are in the window");
        fuse.release(12);
        assert!(fuse.allows(11) && fuse.allows(12) && fuse.allows(13));
        assert_eq!(fuse.held_at(), None);
    }
}
