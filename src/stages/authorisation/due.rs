//! What time does: holds expire (T8), tombstones are given up (T7), old items leave the head.
//!
//! Owns all deadlines of an account. Everything here happens on a tick and only then, so a replay
//! does it at the same place of the log.

use super::{
    Poison, Step,
    draft::{Draft, grow},
    limits,
};
use crate::domain::{
    account::{Account, Item},
    event::{Event, HoldExpired, OriginalNotFound, PaymentAfter},
    mark::Mark,
    payment::{ItemId, Payment},
    rules::Rules,
    time::LogTime,
};

/// The earliest log time at which `due` would do something; `None`: nothing waits.
pub(super) fn deadline(head: &Account, rules: &Rules) -> Option<LogTime> {
    head.items.values().map(|item| item_deadline(item, rules)).min()
}

fn item_deadline(item: &Item, rules: &Rules) -> LogTime {
    match item {
        Item::Payment(payment) => {
            payment.deadline.unwrap_or_else(|| leaves_at(newest(&payment.marks), rules))
        }
        Item::Booking(booking) => leaves_at(booking.mark.sent_at, rules),
        Item::Alias(alias) => leaves_at(newest(&alias.marks), rules),
    }
}

/// An item leaves when its newest message was sent longer ago than the closing age. Whoever may
/// skip the read of a side row relies on exactly this (`side_rows`).
fn leaves_at(newest: LogTime, rules: &Rules) -> LogTime {
    newest.plus_ms(rules.closing_age_ms).plus_ms(1)
}

/// Messages can overtake each other, so the last mark need not be the newest.
fn newest(marks: &[Mark]) -> LogTime {
    marks.iter().map(|mark| mark.sent_at).max().unwrap_or(LogTime::ZERO)
}

/// Does everything that is due, in the order of the items.
pub(super) fn due(mut draft: Draft) -> Step {
    for (id, item) in &draft.head.items {
        if item_deadline(item, draft.rules) > draft.clock {
            continue;
        }
        match item {
            Item::Payment(payment) if payment.deadline.is_some() => {
                end(&mut draft, id, payment)?;
                if leaves_at(newest(&payment.marks), draft.rules) <= draft.clock {
                    draft.leave(id.clone());
                }
            }
            Item::Payment(_) | Item::Booking(_) | Item::Alias(_) => draft.leave(id.clone()),
        }
    }
    draft.finish()
}

/// Ends an open hold, or the wait for a tombstone's original.
fn end(draft: &mut Draft, id: &ItemId, payment: &Payment) -> Result<(), Poison> {
    let payment_id = id.payment_id().unwrap_or_default();
    let before = payment.counters;
    let released_minor = before.hold_minor();
    let mut payment = payment.clone();
    payment.deadline = None;
    if released_minor == 0 {
        draft.put(id.clone(), Item::Payment(Box::new(payment)));
        draft.emit(Event::OriginalNotFound(OriginalNotFound { payment_id }));
        return Ok(());
    }
    grow(&mut payment.counters.released_minor, released_minor)?;
    draft.book(&before, &payment.counters)?;
    limits::give_back(draft, &payment, released_minor);
    let after = PaymentAfter::of(&payment_id, &payment);
    draft.put(id.clone(), Item::Payment(Box::new(payment)));
    draft.emit(Event::HoldExpired(HoldExpired { payment: after, released_minor }));
    Ok(())
}
