//! A decision in the making: the next head and the events that lead to it.
//!
//! Owns the bookkeeping that all records share: every event carries what stands in suspense after
//! it, exceptions open and close together with that sum, and sums that leave their bounds refuse
//! the record. Nothing reaches the head before `finish`, so a refusal leaves the state untouched.

use super::{
    Change, WINDOWS,
    head::{Item, Windows},
    window::Window,
};
use crate::domain::{
    cycle::Cycle,
    ledger::{Address, Leg},
    money::Currency,
    settlement::{CycleTotals, SettlementInput, SettlementRecord},
    time::LogTime,
    window::{Exception, ExceptionOpened, WindowBody, WindowEvent},
};
use crate::stages::{Outgoing, Poison, Transition};

const OVERFLOW: Poison = Poison { code: "amount_overflow" };

pub(super) struct Draft {
    pub head: Windows,
    pub network: Box<str>,
    pub currency: Currency,
    /// The time that the record names.
    pub at: LogTime,
    /// Net of the part that the record is, once it has joined its window.
    pub joined_minor: i64,
    effects: Vec<Outgoing<WindowEvent>>,
}

impl Draft {
    pub fn new(head: &Windows, record: &SettlementRecord) -> Self {
        let at = match &record.body {
            SettlementInput::Part(part) => part.cycle.cutoff,
            SettlementInput::Report(report) => report.at,
            SettlementInput::Difference(difference) => difference.at,
            SettlementInput::Statement(line) => line.at,
            SettlementInput::Resolve(resolve) => resolve.at,
            SettlementInput::Birth(_) => LogTime::ZERO,
        };
        Self {
            head: head.clone(),
            network: record.network.clone(),
            currency: record.currency,
            at,
            joined_minor: 0,
            effects: Vec::new(),
        }
    }

    /// Adds an event with what stands in suspense as changed so far.
    pub fn emit(&mut self, cycle: Option<Cycle>, body: WindowBody) {
        let event = WindowEvent {
            network: self.network.clone(),
            currency: self.currency,
            cycle,
            at: self.at,
            suspense_minor: self.head.suspense_minor,
            body,
        };
        self.effects.push(Outgoing { topic: WINDOWS, key: None, body: event });
    }

    /// The window where `place` says, of those in the draft.
    pub fn window(&mut self, place: usize) -> &mut Window {
        &mut self.head.windows[place]
    }

    /// Opens an exception: its amount stands in suspense from here on.
    pub fn open(&mut self, exception: Exception, legs: Vec<Leg>) -> Result<(), Poison> {
        self.head.suspense_minor = add(self.head.suspense_minor, exception.suspense_minor)?;
        self.head.exceptions_open += 1;
        self.head.put(Item::Exception(Box::new(exception.clone())));
        let cycle = exception.cycle;
        self.emit(cycle, WindowBody::ExceptionOpened(ExceptionOpened { exception, legs }));
        Ok(())
    }

    /// Legs that debit one address and credit another; none where nothing moves.
    pub fn legs(&self, debit: Address, credit: Address, minor: i64) -> Vec<Leg> {
        if minor == 0 {
            return Vec::new();
        }
        let leg = |address, minor| Leg { address, currency: self.currency, minor };
        vec![leg(debit, -minor), leg(credit, minor)]
    }

    pub fn finish(mut self, before: &Windows) -> Transition<Change, WindowEvent> {
        self.head.now = self.head.now.max(self.at);
        let less_owed_minor = before.owed_minor().saturating_sub(self.head.owed_minor());
        let settled_minor = self.joined_minor.saturating_add(less_owed_minor);
        self.head.settled_minor = self.head.settled_minor.saturating_add(settled_minor);
        // A repeat changes nothing, but may have called back what must leave again.
        let is_changed = self.head != *before || !self.head.clone().evict().is_empty();
        let change = is_changed.then(|| Box::new(self.head));
        Transition { change, effects: self.effects }
    }
}

/// Checked, and bounded so that a handful of such sums may be added without a check.
pub(super) fn add(a_minor: i64, b_minor: i64) -> Result<i64, Poison> {
    let bound = CycleTotals::MINOR_MAX.unsigned_abs();
    a_minor.checked_add(b_minor).filter(|sum| sum.unsigned_abs() <= bound).ok_or(OVERFLOW)
}
