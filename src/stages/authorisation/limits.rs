//! Limits: how much may be approved per payment, day, month, lifetime, and how often.
//!
//! Owns the counting. The limits of the account, of the card and of the rules all apply; each has
//! its own row of usage, kept only while such a limit exists (so a new limit counts from its first
//! day on). Counted at approval; given back when a hold falls without a presentment, to the day and
//! month in which the payment was opened if they are still current, to the lifetime always. The
//! number of approvals is not given back. All of this is ours.

use super::draft::Draft;
use crate::domain::{
    account::{Limits, Usage},
    command::Channel,
    ids::CardToken,
    payment::Payment,
    reason::Reason,
    time::LogTime,
};

/// What decides which limits apply. A debit that is no card payment has no card.
#[derive(Clone, Copy)]
pub(super) struct Spending<'a> {
    pub card_token: Option<&'a CardToken>,
    pub channel: Channel,
    pub merchant_category: Option<i32>,
}

impl<'a> Spending<'a> {
    pub const WITHOUT_CARD: Spending<'static> =
        Spending { card_token: None, channel: Channel::Unknown, merchant_category: None };

    pub fn of(payment: &'a Payment) -> Self {
        Self {
            card_token: Some(&payment.card_token),
            channel: payment.channel,
            merchant_category: payment.merchant_category,
        }
    }
}

/// One set of limits that applies, and the name of its row of usage.
struct Applying<'a> {
    limits: &'a Limits,
    scope: Box<str>,
}

/// Nothing is allocated where nothing applies.
fn applying<'a>(draft: &Draft<'a>, spending: Spending) -> Vec<Applying<'a>> {
    let mut all = Vec::new();
    if let Some(limits) = &draft.head.limits {
        all.push(Applying { limits, scope: "account".into() });
    }
    let Some(token) = spending.card_token else { return all };
    if let Some(limits) = draft.head.card(token).and_then(|card| card.limits.as_ref()) {
        all.push(Applying { limits, scope: format!("card:{token}").into() });
    }
    for rule in &draft.rules.limits {
        let applies = draft.standing().currency == Some(rule.currency)
            && rule.channel.is_none_or(|channel| channel == spending.channel)
            && rule.merchant_category.is_none_or(|c| spending.merchant_category == Some(c));
        if applies {
            let scope = format!("rule:{}:{token}", rule.name).into();
            all.push(Applying { limits: &rule.limits, scope });
        }
    }
    all
}

/// The first limit that `amount_minor` would break, in the order of the reasons. Nothing asked
/// breaks none.
pub(super) fn refusal(draft: &Draft, spending: Spending, amount_minor: i64) -> Option<Reason> {
    let all = applying(draft, spending);
    if all.is_empty() || amount_minor == 0 {
        return None;
    }
    let rows: Vec<(&Limits, Usage)> =
        all.iter().map(|one| (one.limits, current(draft, one))).collect();
    let above = |used_minor: i64, cap_minor: Option<i64>| {
        cap_minor.is_some_and(|cap_minor| used_minor.saturating_add(amount_minor) > cap_minor)
    };
    let breaks = |test: &dyn Fn(&Limits, &Usage) -> bool, reason| {
        rows.iter().any(|(limits, used)| test(limits, used)).then_some(reason)
    };
    breaks(&|limits, _| above(0, limits.transaction_minor), Reason::TransactionLimit)
        .or_else(|| {
            breaks(&|limits, used| above(used.daily_minor, limits.daily_minor), Reason::DailyLimit)
        })
        .or_else(|| {
            breaks(
                &|limits, used| above(used.monthly_minor, limits.monthly_minor),
                Reason::MonthlyLimit,
            )
        })
        .or_else(|| {
            breaks(
                &|limits, used| above(used.lifetime_minor, limits.lifetime_minor),
                Reason::LifetimeLimit,
            )
        })
        .or_else(|| {
            breaks(
                &|limits, used| {
                    limits.velocity_count.is_some_and(|count| used.velocity_count >= count)
                },
                Reason::VelocityLimit,
            )
        })
}

/// Counts an approval.
pub(super) fn count(draft: &mut Draft, spending: Spending, amount_minor: i64) {
    if amount_minor == 0 {
        return;
    }
    for one in applying(draft, spending) {
        let mut row = current(draft, &one);
        row.daily_minor = row.daily_minor.saturating_add(amount_minor);
        row.monthly_minor = row.monthly_minor.saturating_add(amount_minor);
        row.lifetime_minor = row.lifetime_minor.saturating_add(amount_minor);
        row.velocity_count = row.velocity_count.saturating_add(1);
        write(draft, row);
    }
}

/// Gives back what a hold fell by without a presentment. Never below zero: the limit may be
/// younger than the payment.
pub(super) fn give_back(draft: &mut Draft, payment: &Payment, amount_minor: i64) {
    if amount_minor == 0 {
        return;
    }
    for one in applying(draft, Spending::of(payment)) {
        let mut row = current(draft, &one);
        if payment.opened_at.day() == row.day {
            row.daily_minor = (row.daily_minor - amount_minor).max(0);
        }
        if payment.opened_at.month() == row.month {
            row.monthly_minor = (row.monthly_minor - amount_minor).max(0);
        }
        row.lifetime_minor = (row.lifetime_minor - amount_minor).max(0);
        write(draft, row);
    }
}

/// The row of a scope as it stands now: periods that have passed start at zero.
fn current(draft: &Draft, one: &Applying) -> Usage {
    let known = draft.change.usage.iter().chain(&draft.head.usage);
    let known = known.into_iter().find(|row| row.scope == one.scope);
    let (day, month) = (draft.clock.day(), draft.clock.month());
    let velocity_window = window(one.limits, draft.clock);
    let mut row = known.cloned().unwrap_or_else(|| Usage {
        scope: one.scope.clone(),
        day,
        daily_minor: 0,
        month,
        monthly_minor: 0,
        lifetime_minor: 0,
        velocity_window,
        velocity_count: 0,
    });
    if row.day != day {
        (row.day, row.daily_minor) = (day, 0);
    }
    if row.month != month {
        (row.month, row.monthly_minor) = (month, 0);
    }
    if row.velocity_window != velocity_window {
        (row.velocity_window, row.velocity_count) = (velocity_window, 0);
    }
    row
}

/// Windows are aligned to 1970; without a length all time is one window.
fn window(limits: &Limits, clock: LogTime) -> i64 {
    limits.velocity_window_ms.filter(|ms| *ms > 0).map_or(0, |ms| clock.0.div_euclid(ms))
}

fn write(draft: &mut Draft, row: Usage) {
    match draft.change.usage.iter_mut().find(|known| known.scope == row.scope) {
        Some(known) => *known = row,
        None => draft.change.usage.push(row),
    }
}
