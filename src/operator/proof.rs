//! The settlement proof: what postings and decisions leave at `net`, window by window.
//!
//! Owns which window a leg at `net` belongs to. A posting's: the one whose part covers its event's
//! place in the log. A decision's: the one that its event names, but for money that goes to a later
//! window; that is held back until a window says that it took it over. Invariant: what is left of
//! a settled window is 0 (payments.md section 4).

use super::window::{CycleName, Name};
use crate::domain::{
    cycle::{Cycle, Day},
    ledger::{Address, Leg},
    money::Currency,
    settlement::{ResolutionKind, instruction_reference},
    time::LogTime,
    window::{ExceptionResolved, Source, WindowBody, WindowClosed, WindowEvent},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// How far a window has come, as its events say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stand {
    /// Named by a report or a difference, or not closed yet.
    #[default]
    Open,
    /// No partition ever had it; what differences moved there goes to a later one.
    Dissolved,
    Closed,
    Broken,
    Instructed,
    Settled,
}

#[derive(Clone, Debug, Default)]
struct Sums {
    stand: Stand,
    cycle: Option<Cycle>,
    /// Net of its items, as it said when it closed.
    booked_minor: i128,
    carried_minor: i128,
    /// What it should have taken over.
    carry_due_minor: i128,
    posted_minor: i128,
    moved_minor: i128,
    paid_minor: i128,
}

impl Sums {
    fn left_minor(&self) -> i128 {
        self.posted_minor + self.carried_minor + self.moved_minor + self.paid_minor
    }
}

/// One network and currency.
#[derive(Clone, Debug, Default)]
struct Account {
    windows: BTreeMap<LogTime, Sums>,
    /// (partition, from) to (to, window).
    ranges: BTreeMap<(i32, i64), (i64, LogTime)>,
    /// Net on its way to the next window to close.
    carry_minor: i128,
    /// Where open exceptions came from.
    sources: BTreeMap<Box<str>, (Source, Option<LogTime>)>,
}

#[derive(Clone, Debug, Default)]
pub struct Proof {
    accounts: BTreeMap<(Box<str>, Currency), Account>,
}

/// What a window's legs at `net` come to. Minor units; credit positive: what we owe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub window: String,
    #[serde(skip)]
    network: Box<str>,
    pub currency: Currency,
    #[serde(skip)]
    cycle: Cycle,
    pub business_date: String,
    /// `open`, `dissolved`, `closed`, `broken`, `instructed`, `settled`.
    pub state: &'static str,
    pub posted_minor: i64,
    /// What the window said of its items when it closed; absent before.
    pub booked_minor: Option<i64>,
    pub carried_minor: i64,
    /// What earlier windows and exceptions left to it.
    pub carry_due_minor: i64,
    pub moved_minor: i64,
    pub paid_minor: i64,
    pub left_minor: i64,
}

impl Line {
    pub fn is_settled(&self) -> bool {
        self.state == "settled"
    }

    /// Nothing ever was at net.
    pub fn is_idle(&self) -> bool {
        let sums = [self.posted_minor, self.carried_minor, self.moved_minor, self.paid_minor];
        sums == [0; 4] && self.difference().is_none()
    }

    pub fn is(&self, name: &Name) -> bool {
        let is_cycle = match name.cycle {
            CycleName::Cutoff(cutoff) => self.cycle.cutoff.0 == cutoff,
            CycleName::Business(day, number) => {
                (self.cycle.business_date, self.cycle.number) == (day, number)
            }
        };
        is_cycle && *self.network == *name.network && self.currency == name.currency
    }

    /// What is wrong with it, with the amount.
    pub fn difference(&self) -> Option<String> {
        let window = &self.window;
        if self.is_settled() && self.left_minor != 0 {
            return Some(format!("{window} is settled and leaves {} minor units", self.left_minor));
        }
        let unlike = self.booked_minor.filter(|booked| *booked != self.posted_minor);
        if let Some(booked_minor) = unlike {
            return Some(format!(
                "{window} closed with {booked_minor} minor units of items; its postings come to {}",
                self.posted_minor
            ));
        }
        (self.carried_minor != self.carry_due_minor).then(|| {
            format!(
                "{window} took over {} minor units; earlier windows left {}",
                self.carried_minor, self.carry_due_minor
            )
        })
    }
}

fn at_net(legs: &[Leg]) -> i128 {
    let net = legs.iter().filter(|leg| leg.address == Address::Net);
    net.map(|leg| i128::from(leg.minor)).sum()
}

impl Proof {
    /// Takes a decision; those of one network and currency in their order.
    pub fn take_event(&mut self, event: &WindowEvent) {
        let key = (event.network.clone(), event.currency);
        let account = self.accounts.entry(key).or_default();
        let cutoff = event.cycle.map(|cycle| cycle.cutoff);
        let mut unnamed = Sums::default();
        let sums = match event.cycle {
            Some(cycle) => {
                let sums = account.windows.entry(cycle.cutoff).or_default();
                sums.cycle.get_or_insert(cycle);
                sums
            }
            None => &mut unnamed,
        };
        match &event.body {
            WindowBody::Closed(closed) => {
                if let Some(cycle) = event.cycle {
                    account.close(cycle, closed);
                }
            }
            WindowBody::Reconciled(_) | WindowBody::ResolutionRefused(_) => {}
            WindowBody::Broken(_) => sums.stand = Stand::Broken,
            WindowBody::Instructed(_) => sums.stand = Stand::Instructed,
            WindowBody::Settled(settled) => {
                sums.stand = Stand::Settled;
                sums.paid_minor += at_net(&settled.legs);
            }
            WindowBody::Carried(carried) => {
                sums.moved_minor -= i128::from(carried.minor);
                account.carry_minor += i128::from(carried.minor);
            }
            WindowBody::ExceptionOpened(opened) => {
                sums.moved_minor += at_net(&opened.legs);
                let exception = &opened.exception;
                account.sources.insert(exception.id.clone(), (exception.source, cutoff));
            }
            WindowBody::ExceptionResolved(resolved) => account.resolve(resolved),
        }
    }

    /// Takes a leg at `net` of the posting whose event stands at this place.
    pub fn take_leg(&mut self, network: &str, partition: i32, offset: i64, leg: &Leg) {
        let Some(account) = self.accounts.get_mut(&(network.into(), leg.currency)) else { return };
        let part = account.ranges.range(..=(partition, offset)).next_back();
        let covering = part.filter(|((of, _), (to, _))| *of == partition && offset < *to);
        let cutoff = covering.map(|(_, (_, cutoff))| *cutoff);
        // In no closed window yet: nothing to prove.
        if let Some(sums) = cutoff.and_then(|cutoff| account.windows.get_mut(&cutoff)) {
            sums.posted_minor += i128::from(leg.minor);
        }
    }

    /// By network, currency and cut-off.
    pub fn finish(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        for ((network, currency), account) in &self.accounts {
            for sums in account.windows.values() {
                lines.extend(sums.cycle.map(|cycle| sums.line(network, *currency, cycle)));
            }
        }
        lines
    }
}

impl Account {
    /// Windows close in order: an earlier one that did not was never one, and what differences
    /// moved there has become this one's.
    fn close(&mut self, cycle: Cycle, closed: &WindowClosed) {
        for sums in self.windows.range_mut(..cycle.cutoff).map(|(_, sums)| sums) {
            if sums.stand == Stand::Open {
                sums.stand = Stand::Dissolved;
                self.carry_minor += sums.left_minor();
                sums.moved_minor = 0;
            }
        }
        for part in &closed.parts {
            let range = (part.partition, part.from_offset);
            self.ranges.insert(range, (part.to_offset, cycle.cutoff));
        }
        let sums = self.windows.entry(cycle.cutoff).or_default();
        sums.cycle = Some(cycle);
        sums.stand = Stand::Closed;
        sums.booked_minor = i128::from(closed.totals.net_minor());
        sums.carried_minor = i128::from(closed.carried_minor);
        sums.carry_due_minor = std::mem::take(&mut self.carry_minor);
    }

    /// Money of the bank's statement that is rebooked pays the window that waits for it; any other
    /// rebooked amount goes to a later window.
    fn resolve(&mut self, resolved: &ExceptionResolved) {
        let known = self.sources.remove(&resolved.exception_id);
        if resolved.resolution.kind != ResolutionKind::Rebooked {
            return;
        }
        let net_minor = at_net(&resolved.legs);
        let window = match known {
            Some((Source::Statement, Some(cutoff))) => self.windows.get_mut(&cutoff),
            _ => None,
        };
        match window.filter(|sums| sums.stand == Stand::Instructed) {
            Some(sums) => sums.paid_minor += net_minor,
            None => self.carry_minor += net_minor,
        }
    }
}

impl Sums {
    fn line(&self, network: &str, currency: Currency, cycle: Cycle) -> Line {
        // A sum that is no i64 is no amount of a window, and shows as the largest.
        let minor = |sum: i128| i64::try_from(sum).unwrap_or(i64::MAX);
        let has_closed = self.stand >= Stand::Closed;
        Line {
            window: instruction_reference(network, currency, cycle.cutoff).into(),
            network: network.into(),
            currency,
            cycle,
            business_date: Day(cycle.business_date).to_string(),
            state: match self.stand {
                Stand::Open => "open",
                Stand::Dissolved => "dissolved",
                Stand::Closed => "closed",
                Stand::Broken => "broken",
                Stand::Instructed => "instructed",
                Stand::Settled => "settled",
            },
            posted_minor: minor(self.posted_minor),
            booked_minor: has_closed.then(|| minor(self.booked_minor)),
            carried_minor: minor(self.carried_minor),
            carry_due_minor: minor(self.carry_due_minor),
            moved_minor: minor(self.moved_minor),
            paid_minor: minor(self.paid_minor),
            left_minor: minor(self.left_minor()),
        }
    }
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
