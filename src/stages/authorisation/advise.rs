//! Advices (T3): decisions made elsewhere, which must be accepted whatever the balance (R5).
//!
//! An approved advice holds without a funds check, or takes at once as a single message. One with
//! the payment's final total makes the hold what is left of that total after the presentments so
//! far. A declined advice is recorded only.

use super::{
    Step,
    authorise::{self, Growth, Request},
    checks,
    draft::{Draft, Target},
    matching, suspense,
};
use crate::domain::{
    command::{Advise, CommandKind},
    event::AuthorisationKind,
    mark::Mark,
    payment::{Flag, ItemId},
    reason::Reason,
};

pub(super) fn advise(draft: Draft, place: ItemId, mark: Mark, command: &Advise) -> Step {
    let target = matching::own(&draft, &place);
    let request = Request {
        payment_id: &command.payment_id,
        kind: AuthorisationKind::Advice,
        amount_minor: command.amount_minor,
        currency: command.currency,
        purchase: &command.purchase,
        hold_class: command.hold_class,
        allow_partial: false,
        single_message: command.single_message,
    };
    if !command.approved {
        return authorise::decline(draft, target, mark, &request, Reason::DeclinedElsewhere);
    }
    if let Some(reason) = checks::unreachable(draft.standing(), command.currency) {
        let owed_minor = if command.single_message { command.amount_minor } else { 0 };
        let exception = suspense::Exception {
            kind: CommandKind::Advise,
            payment_id: &command.payment_id,
            owed_minor,
            currency: command.currency,
            reason,
            purchase: Some(&command.purchase),
        };
        return suspense::payment(draft, target, mark, exception);
    }
    let growth = growth(&target, command);
    authorise::approve(draft, target, mark, &request, growth)
}

fn growth(target: &Target, command: &Advise) -> Growth {
    let amount_minor = command.amount_minor;
    if let Some(growth) = authorise::under_tombstone(target, amount_minor) {
        return growth;
    }
    let counters = &target.payment.counters;
    if command.final_total && counters.approved_minor > 0 {
        return to_total(target, command);
    }
    let released_minor = authorise::already_presented(target, amount_minor);
    let held_minor = amount_minor - released_minor;
    Growth {
        approved_minor: amount_minor,
        released_minor,
        taken_minor: if command.single_message { held_minor } else { 0 },
        reversed_minor: 0,
    }
}

/// A or V grows until the hold is the total, less what was presented of it; no hold at all where
/// nothing further will be presented.
fn to_total(target: &Target, command: &Advise) -> Growth {
    let counters = &target.payment.counters;
    let hold_minor = counters.hold_minor();
    let wanted_minor = if target.payment.has(Flag::Complete) {
        0
    } else {
        (command.amount_minor - counters.presented_minor()).max(0)
    };
    Growth {
        approved_minor: (wanted_minor - hold_minor).max(0),
        reversed_minor: (hold_minor - wanted_minor).max(0),
        taken_minor: if command.single_message { wanted_minor } else { 0 },
        released_minor: 0,
    }
}
