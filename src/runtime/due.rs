//! Deadlines of the partition's keys: who must be stepped when a tick comes.
//!
//! Owns an index that is derived from the heads and can be rebuilt from them at any time. What is
//! due is handed out in key order, never in order of deadlines: the order of a tick's outputs is
//! part of their identity.

use crate::domain::time::LogTime;
use std::{collections::BTreeSet, sync::Arc};

#[derive(Default)]
pub struct Deadlines {
    by_time: BTreeSet<(LogTime, Arc<str>)>,
}

impl Deadlines {
    /// Moves a key from its former deadline to the next; either may be absent.
    pub fn update(&mut self, key: &Arc<str>, former: Option<LogTime>, next: Option<LogTime>) {
        if former == next {
            return;
        }
        if let Some(time) = former {
            self.by_time.remove(&(time, key.clone()));
        }
        if let Some(time) = next {
            self.by_time.insert((time, key.clone()));
        }
    }

    /// All keys with deadline <= `time`, in key order. They stay in the index until updated.
    pub fn due(&self, time: LogTime) -> Vec<Arc<str>> {
        let mut keys: Vec<Arc<str>> = self
            .by_time
            .iter()
            .take_while(|(deadline, _)| *deadline <= time)
            .map(|(_, key)| key.clone())
            .collect();
        keys.sort_unstable();
        keys
    }

    pub fn clear(&mut self) {
        self.by_time.clear();
    }
}
