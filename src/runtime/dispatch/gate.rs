//! The way to one gateway: what waits for it, and whether one more may go.
//!
//! Owns its breaker, rate, budget of retries and bound of requests under way, all its own: what a
//! gateway suffers is never felt at another. First attempts and retries wait apart, so that a budget
//! that is used up stops retries alone. Retries may be 20 % of requests and ten a second.

use super::{
    breaker::{Breaker, Health, SILENT_MS_MAX, State},
    job::SendRef,
    pace::Bucket,
};
use std::collections::{BTreeMap, BTreeSet};

/// What each first attempt pays into the budget of retries, in thousandths.
const BUDGET_SHARE: i64 = 200;
/// Retries in a second that are always allowed, and how many may be saved up.
const BUDGET_PER_SECOND: i64 = 10;
const BUDGET_MAX: i64 = 100;

pub(super) struct Gate {
    breaker: Breaker,
    rate: Bucket,
    budget: Bucket,
    /// By their place in the queue.
    first: BTreeMap<u64, SendRef>,
    again: BTreeMap<u64, SendRef>,
    /// Begun and neither answered nor given up: since when, and which attempt.
    under_way: BTreeSet<(i64, u64)>,
    answered_ms: i64,
    under_way_max: usize,
}

impl Gate {
    pub fn new(rate_max: u32, under_way_max: usize, now_ms: i64) -> Self {
        let per_second = i64::from(rate_max);
        Self {
            breaker: Breaker::new(),
            // A twentieth of a second at once.
            rate: Bucket::new(per_second, per_second / 20, now_ms),
            budget: Bucket::new(BUDGET_PER_SECOND, BUDGET_MAX, now_ms),
            first: BTreeMap::new(),
            again: BTreeMap::new(),
            under_way: BTreeSet::new(),
            answered_ms: now_ms,
            under_way_max,
        }
    }

    /// `place`: higher than every one before.
    pub fn push(&mut self, place: u64, send: SendRef, is_retry: bool) {
        if is_retry {
            self.again.insert(place, send)
        } else {
            self.first.insert(place, send)
        };
    }

    /// It has ended without its turn.
    pub fn leave(&mut self, place: u64) {
        self.first.remove(&place);
        self.again.remove(&place);
    }

    /// The next send that may go now, off the queue; the caller either begins it or drops it.
    pub fn pop(&mut self, now_ms: i64) -> Option<SendRef> {
        self.rate.fill(now_ms);
        self.budget.fill(now_ms);
        let may = self.under_way.len() < self.under_way_max && self.rate.has_one();
        if !may || (self.first.is_empty() && self.again.is_empty()) || !self.breaker.allows(now_ms)
        {
            return None;
        }
        if self.budget.has_one()
            && let Some((_, send)) = self.again.pop_first()
        {
            return Some(send);
        }
        self.first.pop_first().map(|(_, send)| send)
    }

    pub fn began(&mut self, attempt: u64, is_retry: bool, now_ms: i64) {
        self.rate.take();
        if is_retry {
            self.budget.take()
        } else {
            self.budget.pay_in(BUDGET_SHARE)
        }
        self.breaker.began(attempt);
        self.under_way.insert((now_ms, attempt));
    }

    /// The attempt that began then is answered, or given up.
    pub fn ended(&mut self, attempt: u64, began_ms: i64, health: Health, now_ms: i64) {
        self.under_way.remove(&(began_ms, attempt));
        if let Health::Alive { .. } = health {
            self.answered_ms = now_ms;
        }
        self.breaker.answered(attempt, health, now_ms);
    }

    /// Looks whether the gateway has been silent for too long.
    pub fn look(&mut self, now_ms: i64) {
        if self.silent_at_ms().is_some_and(|at_ms| now_ms >= at_ms) {
            self.breaker.silent(now_ms);
        }
    }

    fn silent_at_ms(&self) -> Option<i64> {
        let oldest = match self.breaker.state() {
            State::Closed => self.under_way.first().map(|(began_ms, _)| *began_ms),
            State::HalfOpen { probe } => {
                let is_probe = |(_, attempt): &&(i64, u64)| Some(*attempt) == probe;
                return self
                    .under_way
                    .iter()
                    .find(is_probe)
                    .map(|(began_ms, _)| began_ms + SILENT_MS_MAX);
            }
            State::Open { .. } => None,
        };
        oldest.map(|began_ms| began_ms.max(self.answered_ms) + SILENT_MS_MAX)
    }

    /// When time alone may change something here.
    pub fn wake_ms(&self) -> Option<i64> {
        let silent = self.silent_at_ms();
        if (self.first.is_empty() && self.again.is_empty())
            || self.under_way.len() >= self.under_way_max
            || matches!(self.breaker.state(), State::HalfOpen { probe: Some(_) })
        {
            return silent;
        }
        let mut next_ms = self.rate.next_ms().max(self.breaker.next_ms().unwrap_or(i64::MIN));
        if self.first.is_empty() {
            next_ms = next_ms.max(self.budget.next_ms());
        }
        Some(silent.map_or(next_ms, |silent_ms| silent_ms.min(next_ms)))
    }

    pub fn state(&self) -> State {
        self.breaker.state()
    }

    pub fn opened(&self) -> u64 {
        self.breaker.opened
    }

    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// What waits for its turn.
    pub fn queued(&self) -> usize {
        self.first.len() + self.again.len()
    }
}
