//! Reversals of authorisations, full or partial (T6), also before their original (T7).
//!
//! Owns giving back on request: never more than is held, and nothing of what was presented (that is
//! a presentment reversal). A reversal whose payment is unknown leaves a tombstone, under which the
//! original will be recorded without a hold.

use super::{
    Step, checks,
    draft::{Draft, grow},
    limits, matching, present, suspense,
};
use crate::domain::{
    command::{CommandKind, Reverse},
    event::{Event, PaymentAfter, PaymentReversed},
    mark::{Answer, Mark},
    payment::{Flag, ItemId, Payment},
};

pub(super) fn reverse(mut draft: Draft, place: ItemId, mark: Mark, command: &Reverse) -> Step {
    let mut target = matching::named_or_new(&draft, &place);
    if let Some(reason) = checks::unreachable(draft.standing(), command.currency) {
        let exception = suspense::Exception {
            kind: CommandKind::Reverse,
            payment_id: &command.payment_id,
            owed_minor: 0,
            currency: command.currency,
            reason,
            purchase: None,
        };
        return suspense::payment(draft, target, mark, exception);
    }
    let hold_minor = target.payment.counters.hold_minor();
    let asked_minor = command.amount_minor.unwrap_or(hold_minor);
    let reversed_minor = asked_minor.min(hold_minor);
    let over_minor = asked_minor - reversed_minor;
    if original_missing(&target.payment) {
        target.payment.flag(Flag::Tombstone);
        target.payment.deadline = Some(draft.clock.plus_ms(draft.rules.tombstone_ms));
    } else {
        flag(&mut target.payment, hold_minor, over_minor);
    }
    grow(&mut target.payment.counters.reversed_minor, reversed_minor)?;
    if hold_minor > 0 && reversed_minor == hold_minor {
        target.payment.deadline = None;
    }
    limits::give_back(&mut draft, &target.payment, reversed_minor);
    let reversed = PaymentReversed {
        payment: PaymentAfter::of(
            present::payment_id(&target, &command.payment_id),
            &target.payment,
        ),
        reversed_minor,
        over_minor,
    };
    draft.keep(target, mark, Answer { accepted_minor: reversed_minor, reason: None })?;
    draft.emit(Event::PaymentReversed(reversed));
    draft.finish()
}

/// Nothing that a reversal could be about has been read yet, and none was waited for before.
fn original_missing(payment: &Payment) -> bool {
    let counters = &payment.counters;
    let money = counters.approved_minor + counters.presented_minor() + counters.refunded_minor;
    money == 0
        && payment.declined.is_none()
        && payment.authorisation_code.is_empty()
        && !payment.has(Flag::RefundAnnounced)
        && !payment.has(Flag::Tombstone)
}

/// Why a reversal did not do all that it asked.
fn flag(payment: &mut Payment, hold_minor: i64, over_minor: i64) {
    if hold_minor == 0 && payment.counters.presented_minor() > 0 {
        payment.flag(Flag::AfterPresentment);
    } else if over_minor > 0 && !payment.has(Flag::Tombstone) {
        payment.flag(Flag::OverReversal);
    }
}
