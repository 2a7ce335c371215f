//! A decision in the making: what a step reads, and the difference that it builds.
//!
//! Owns the bookkeeping that all commands share: balances follow from how a payment's counters
//! grew, every event carries the balances after it, and marks are written with their effect (R4).
//! Nothing reaches the head before `finish`, so a poison leaves the state untouched by
//! construction.

use super::{Output, Poison, Step, change::Change};
use crate::{
    domain::{
        account::{Account, Alias, Booking, Item, Standing},
        command::{AccountCommand, CommandKind},
        event::{AccountEvent, Event},
        ids::{AccountId, MessageId},
        mark::{Answer, Mark},
        payment::{Counters, ItemId, Payment},
        rules::Rules,
        time::LogTime,
    },
    stages::{Context, Outgoing, Topic, Transition},
};

/// No balance may come nearer to the ends of an `i64` than this, so that sums of a few of them
/// (such as available) can never overflow.
const BALANCE_MINOR_MAX: i64 = i64::MAX / 8;

pub(super) const OVERFLOW: Poison = Poison { code: "amount_overflow" };

pub(super) struct Draft<'a> {
    pub clock: LogTime,
    pub rules: &'a Rules,
    pub head: &'a Account,
    pub change: Change,
    account_id: AccountId,
    message_id: Option<MessageId>,
    effects: Vec<Outgoing<Output>>,
    touched: bool,
}

/// The payment that a message concerns, and where the message's mark goes.
pub(super) struct Target {
    pub id: ItemId,
    pub payment: Payment,
    /// The message named another id, under which its mark is kept.
    pub alias: Option<(ItemId, Alias)>,
    before: Counters,
}

impl Target {
    pub fn known(id: ItemId, payment: &Payment) -> Self {
        let payment = payment.clone();
        Self { id, before: payment.counters, payment, alias: None }
    }

    pub fn new(id: ItemId, payment: Payment) -> Self {
        Self { id, payment, alias: None, before: Counters::default() }
    }
}

impl<'a> Draft<'a> {
    pub fn new(
        context: &Context<'a, Rules>,
        key: &str,
        head: &'a Account,
        message: Option<&AccountCommand>,
    ) -> Self {
        Self {
            clock: context.log_time,
            rules: context.rules,
            head,
            change: Change::none(head.standing),
            account_id: AccountId::from(key),
            message_id: message.map(|message| message.message_id.clone()),
            effects: Vec::with_capacity(1),
            touched: false,
        }
    }

    /// The standing as changed so far.
    pub fn standing(&self) -> &Standing {
        &self.change.standing
    }

    /// Adds an event with the balances as changed so far.
    pub fn emit(&mut self, body: Event) {
        let event = AccountEvent {
            account_id: self.account_id.clone(),
            message_id: self.message_id.clone(),
            log_time: self.clock,
            balances: self.change.standing.balances(),
            body,
        };
        self.send(super::EVENTS, None, Output::Event(event));
    }

    pub fn send(&mut self, topic: Topic, key: Option<Box<str>>, body: Output) {
        self.effects.push(Outgoing { topic, key, body });
    }

    /// Books how the payment's counters grew, and keeps the payment with the message's mark.
    pub fn keep(&mut self, target: Target, mut mark: Mark, answer: Answer) -> Result<(), Poison> {
        mark.answer = answer;
        let Target { id, mut payment, alias, before, .. } = target;
        self.book(&before, &payment.counters)?;
        match alias {
            Some((alias_id, mut alias)) => {
                alias.marks.push(mark);
                self.put(alias_id, Item::Alias(Box::new(alias)));
            }
            None => {
                // Most payments have one or two messages; a doubling vector would keep four.
                payment.marks.reserve_exact(1);
                payment.marks.push(mark);
            }
        }
        self.put(id, Item::Payment(Box::new(payment)));
        Ok(())
    }

    /// Keeps a message that concerns no payment. `booked_minor`: effect on the booked balance.
    pub fn keep_booking(
        &mut self,
        kind: CommandKind,
        booked_minor: i64,
        mut mark: Mark,
        answer: Answer,
    ) -> Result<(), Poison> {
        let standing = &mut self.change.standing;
        standing.booked_minor = add(standing.booked_minor, booked_minor)?;
        if booked_minor > 0 {
            grow(&mut standing.totals.credited_minor, booked_minor)?;
        } else {
            grow(&mut standing.totals.debited_minor, -booked_minor)?;
        }
        bounded(standing)?;
        mark.answer = answer;
        let id = ItemId::message(&mark.message_id);
        let booked_at = self.clock;
        self.put(id, Item::Booking(Box::new(Booking { kind, booked_minor, booked_at, mark })));
        Ok(())
    }

    /// Moves held, booked and the totals by the growth of one payment's counters.
    pub fn book(&mut self, before: &Counters, after: &Counters) -> Result<(), Poison> {
        let standing = &mut self.change.standing;
        let held_minor = after.hold_minor() - before.hold_minor();
        let booked_minor = after.booked_effect_minor() - before.booked_effect_minor();
        standing.held_minor = add(standing.held_minor, held_minor)?;
        standing.booked_minor = add(standing.booked_minor, booked_minor)?;
        let totals = &mut standing.totals;
        let given_back = |c: &Counters| c.reversed_minor + c.released_minor;
        grow(&mut totals.approved_minor, after.approved_minor - before.approved_minor)?;
        grow(&mut totals.given_back_minor, given_back(after) - given_back(before))?;
        grow(&mut totals.presented_minor, after.presented_minor() - before.presented_minor())?;
        grow(
            &mut totals.presentment_reversed_minor,
            after.presentment_reversed_minor - before.presentment_reversed_minor,
        )?;
        grow(&mut totals.refunded_minor, after.refunded_minor - before.refunded_minor)?;
        bounded(standing)
    }

    pub fn put(&mut self, id: ItemId, item: Item) {
        self.touched = true;
        self.change.items.push((id, item));
    }

    pub fn leave(&mut self, id: ItemId) {
        self.touched = true;
        self.change.leaving.push(id);
    }

    pub fn finish(self) -> Step {
        let change = self.touched.then_some(self.change);
        Ok(Transition { change, effects: self.effects })
    }
}

/// Grows one of a payment's counters.
pub(super) fn grow(counter_minor: &mut i64, by_minor: i64) -> Result<(), Poison> {
    *counter_minor = add(*counter_minor, by_minor)?;
    Ok(())
}

/// Checked, and bounded so that a handful of such sums may be added without a check.
fn add(a_minor: i64, b_minor: i64) -> Result<i64, Poison> {
    let sum_minor = a_minor.checked_add(b_minor).ok_or(OVERFLOW)?;
    if sum_minor.abs() > BALANCE_MINOR_MAX { Err(OVERFLOW) } else { Ok(sum_minor) }
}

fn bounded(standing: &Standing) -> Result<(), Poison> {
    let available_minor = i128::from(standing.booked_minor) - i128::from(standing.held_minor)
        + i128::from(standing.overdraft_limit_minor);
    if available_minor.abs() > i128::from(BALANCE_MINOR_MAX) { Err(OVERFLOW) } else { Ok(()) }
}
