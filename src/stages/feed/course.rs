//! The course of a payment's life: the state that an event leads to.
//!
//! Owns which of the event's words become what is shown. A decline says nothing of counters: what
//! was approved stands, and where nothing ever was the item is the decline. Never looks at who may
//! see it.

use super::{
    MINOR_MAX, OVERFLOW, Origin,
    life::{State, status},
    recent::Recent,
    said::Said,
};
use crate::{
    domain::{
        command::{Channel, Purchase},
        feed::{ItemChange, ItemKind, ItemStatus},
        payment::Counters,
    },
    stages::Refused,
};

/// Cash from a machine, by its category (ISO 18245).
const CASH_CATEGORY: i32 = 6011;

/// The next state; `former` absent: the first.
pub(super) fn next(origin: &Origin, said: &Said, former: Option<State>) -> Result<State, Refused> {
    let own = origin.balance.currency;
    if let Some(after) = said.after {
        bounded(&after.counters)?;
    }
    let mut state = former.unwrap_or_else(|| {
        let charged_in = said.purchase.map_or(own, |purchase| purchase.original_currency);
        State::blank(own, charged_in)
    });
    state.version = state.version.checked_add(1).ok_or(OVERFLOW)?;
    state.changed_at = origin.event.log_time;
    match (said.after, said.declined) {
        (Some(after), _) => {
            state.currency = own;
            state.counters = after.counters;
            state.release_at = after.deadline;
            state.status = status(after);
            if said.change == ItemChange::RefundAnnounced {
                state.asked_minor = said.amount_minor;
            }
        }
        // What was approved stands; where nothing ever was, the item is the decline.
        (None, Some((reason, currency))) => {
            state.reason = Some(reason);
            if state.is_empty() {
                state.currency = currency;
                state.status = ItemStatus::Declined;
                state.asked_minor = said.amount_minor;
            }
        }
        (None, None) => {}
    }
    state.kind = kind(&state, said);
    if let Some(purchase) = said.purchase {
        charge(&mut state, said, purchase);
    }
    Ok(state)
}

/// A purchase stays one. Money back that belonged to nothing becomes a purchase when that comes,
/// and so does a verification that was followed by one.
fn kind(state: &State, said: &Said) -> ItemKind {
    let former = state.kind;
    let counters = &state.counters;
    let Some(purchase) = said.purchase else { return former };
    if matches!(former, ItemKind::Purchase | ItemKind::CashWithdrawal) {
        return former;
    }
    let is_paid = counters.approved_minor > 0 || counters.presented_minor() > 0;
    let is_refund = counters.refunded_minor > 0 || state.status == ItemStatus::Announced;
    let is_cash =
        purchase.channel == Channel::Atm || purchase.merchant_category == Some(CASH_CATEGORY);
    if !is_paid && is_refund {
        ItemKind::Refund
    } else if !is_paid && said.is_verification {
        ItemKind::Verification
    } else if is_cash {
        ItemKind::CashWithdrawal
    } else {
        ItemKind::Purchase
    }
}

/// What the merchant charged, added up as the payment's own amounts are. Another currency than
/// before begins anew: no rate is ever invented.
fn charge(state: &mut State, said: &Said, purchase: &Purchase) {
    let is_debit = state.counters.approved_minor > 0 || state.counters.presented_minor() > 0;
    let is_presented = match said.change {
        ItemChange::Presented => true,
        ItemChange::Authorised | ItemChange::Incremented | ItemChange::Reversed => false,
        // They say something of the amount only where nothing was ever promised.
        ItemChange::Declined
        | ItemChange::Verified
        | ItemChange::RefundAnnounced
        | ItemChange::Refunded
            if !is_debit =>
        {
            false
        }
        ItemChange::Declined
        | ItemChange::Verified
        | ItemChange::RefundAnnounced
        | ItemChange::Refunded
        | ItemChange::Unknown
        | ItemChange::Expired
        | ItemChange::PresentmentReversed
        | ItemChange::Booked => return,
    };
    let minor = purchase.original_minor;
    let is_anew = state.original_currency != purchase.original_currency;
    if is_anew {
        state.original_currency = purchase.original_currency;
        state.promised_original_minor = minor;
        state.presented_original_minor = 0;
    }
    let sum = if is_presented {
        &mut state.presented_original_minor
    } else {
        &mut state.promised_original_minor
    };
    *sum = if said.is_more && !is_anew { sum.saturating_add(minor) } else { minor };
    // Taken in the same step: what was approved is what was presented.
    if said.change == ItemChange::Authorised && state.status == ItemStatus::Cleared {
        state.presented_original_minor = state.presented_original_minor.max(minor);
    }
}

/// The payment's first approval, unless it was reversed before it came or presented before.
pub(super) fn approval(
    origin: &Origin,
    said: &Said,
    former: Option<&State>,
    state: &State,
) -> Option<Recent> {
    let is_first = former.is_none_or(|former| {
        former.counters.approved_minor == 0 && former.counters.presented_minor() == 0
    });
    let is_charge = state.counters.approved_minor > state.counters.reversed_minor;
    let purchase = said.purchase.filter(|_| is_first && is_charge && said.declined.is_none())?;
    let amount_minor = state.counters.approved_minor;
    (said.change == ItemChange::Authorised)
        .then(|| Recent::of(origin.event.log_time, purchase, amount_minor))
}

/// Counters are far below what their sums could not hold.
fn bounded(counters: &Counters) -> Result<(), Refused> {
    let all = [
        counters.approved_minor,
        counters.reversed_minor,
        counters.released_minor,
        counters.taken_minor,
        counters.over_minor,
        counters.presentment_reversed_minor,
        counters.refunded_minor,
    ];
    let is_bounded = all.iter().all(|minor| (0..MINOR_MAX).contains(minor));
    if is_bounded { Ok(()) } else { Err(OVERFLOW) }
}
