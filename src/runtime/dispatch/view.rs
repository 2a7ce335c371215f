//! What the executor shows of itself: counts, gateways, partitions. Decides nothing.

use super::{Dispatch, Halted};
use crate::domain::push::{Outcome, Platform};
use std::collections::BTreeMap;

/// Counts since the start; the shell turns their growth into metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Attempts by gateway and what the gateway said.
    pub told: BTreeMap<(Platform, Told), u64>,
    pub retries: BTreeMap<Platform, u64>,
    pub devices_forgotten: u64,
    /// Records that were copies of one that was under way or had ended.
    pub copies: u64,
    /// By code.
    pub letters: BTreeMap<&'static str, u64>,
    /// Records taken, whatever they said.
    pub records: u64,
}

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    Accepted,
    Gone,
    Rejected,
    Later,
    Unanswered,
}

impl Told {
    pub fn name(self) -> &'static str {
        match self {
            Told::Accepted => "accepted",
            Told::Gone => "gone",
            Told::Rejected => "rejected",
            Told::Later => "later",
            Told::Unanswered => "unanswered",
        }
    }
}

/// One gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateView {
    pub platform: Platform,
    /// `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// How often it has opened.
    pub opened: u64,
    pub under_way: usize,
    pub queued: usize,
}

impl Dispatch {
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn gates(&self) -> impl Iterator<Item = GateView> {
        self.gates.iter().map(|(platform, gate)| GateView {
            platform: *platform,
            breaker: gate.state().name(),
            opened: gate.opened(),
            under_way: gate.under_way(),
            queued: gate.queued(),
        })
    }

    /// Records taken whose outcome is not acknowledged.
    pub fn waiting(&self) -> usize {
        self.open
    }

    /// Obligations that have not ended.
    pub fn obligations(&self) -> usize {
        self.jobs.len()
    }

    /// Since when the oldest of them has been owed: broker's time of the command behind it.
    pub fn oldest_origin_ms(&self) -> Option<i64> {
        let age_max_ms = self.options.settings.age_max_ms();
        self.timers.iter().find_map(|(due_ms, timer)| {
            matches!(timer, super::Timer::Expire(_)).then(|| due_ms.saturating_sub(age_max_ms))
        })
    }

    /// No more records are wanted: enough wait.
    pub fn is_full(&self) -> bool {
        self.open >= self.options.settings.waiting_max
    }

    /// Nothing is under way that could still be waited for.
    pub fn is_drained(&self) -> bool {
        self.draining
            && self.tickets_awaited() == 0
            && self.attempts.values().all(|attempt| attempt.given_up)
    }

    /// Outcomes and dead letters that are published and not acknowledged.
    fn tickets_awaited(&self) -> usize {
        self.tickets.keys().filter(|number| !self.jobs.contains_key(number)).count()
    }

    pub fn partitions(&self) -> impl Iterator<Item = i32> {
        self.lanes.keys().copied()
    }

    pub fn halted(&self, partition: i32) -> Option<&Halted> {
        self.lanes.get(&partition)?.halted.as_ref()
    }

    /// Next offset to take.
    pub fn position(&self, partition: i32) -> Option<i64> {
        Some(self.lanes.get(&partition)?.taken + 1)
    }

    pub fn committed(&self, partition: i32) -> Option<i64> {
        Some(self.lanes.get(&partition)?.committed)
    }

    /// Records taken whose outcome is not acknowledged, of one partition.
    pub fn waiting_in(&self, partition: i32) -> usize {
        self.lanes.get(&partition).map_or(0, |lane| lane.open.len())
    }

    /// Records that were fetched and not taken.
    pub fn backlog(&self, partition: i32) -> usize {
        self.lanes.get(&partition).map_or(0, |lane| lane.backlog.len())
    }

    /// Records of a partition that were taken, or passed over as repeats.
    pub fn taken_records(&self, partition: i32) -> u64 {
        self.lanes.get(&partition).map_or(0, |lane| lane.taken_records)
    }

    /// Broker's time of the newest record taken, and of the oldest that was not.
    pub fn broker_times(&self, partition: i32) -> (Option<i64>, Option<i64>) {
        let Some(lane) = self.lanes.get(&partition) else { return (None, None) };
        (lane.taken_broker_ms, lane.backlog.front().map(|raw| raw.timestamp_ms))
    }

    /// Everything held in memory that grows with the load: for the test that it is bounded.
    pub fn held(&self) -> usize {
        let backlogs: usize = self.lanes.values().map(|lane| lane.backlog.len()).sum();
        let queued: usize = self.gates.values().map(|gate| gate.queued()).sum();
        let requests = self.asks.len() + self.attempts.len();
        let own = self.jobs.len() + self.tickets.len() + self.timers.len();
        own + requests + backlogs + queued + self.recipients.held()
    }
}
