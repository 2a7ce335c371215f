//! Presentments (T9 to T11) and their reversals (T12): the network asks us to pay.
//!
//! A presentment posts in full whatever is left of the hold, even if available goes negative, late,
//! after a reversal or a decline, or without an authorisation (R5, I12). A presentment reversal
//! gives back what was cleared and never makes a hold again; what is beyond goes to suspense.

use super::{
    Poison, Step, checks,
    draft::{Draft, Target, grow},
    limits, matching, settling, suspense,
};
use crate::domain::{
    account::Alias,
    command::{CommandKind, Present, ReversePresentment},
    event::{Event, MatchRule, PaymentAfter, PaymentPresented, PresentmentReversed},
    ids::PaymentId,
    mark::{Answer, Mark},
    payment::{Flag, ItemId, Payment},
};

pub(super) fn present(mut draft: Draft, place: ItemId, mark: Mark, command: &Present) -> Step {
    if let Some(reason) = checks::unreachable(draft.standing(), command.currency) {
        let target = matching::named_or_new(&draft, &place);
        let exception = suspense::Exception {
            kind: CommandKind::Present,
            payment_id: &command.payment_id,
            owed_minor: command.amount_minor,
            currency: command.currency,
            reason,
            purchase: Some(&command.purchase),
        };
        return suspense::payment(draft, target, mark, exception);
    }
    let (match_rule, mut target) = find(&draft, &place, command);
    matching::describe_blank(&mut target.payment, &command.purchase);
    let posted = post(&mut target.payment, command)?;
    limits::give_back(&mut draft, &target.payment, posted.released_minor);
    let presented = PaymentPresented {
        payment: PaymentAfter::of(payment_id(&target, &command.payment_id), &target.payment),
        presented_minor: command.amount_minor,
        taken_minor: posted.taken_minor,
        over_minor: posted.over_minor,
        released_minor: posted.released_minor,
        match_rule,
        reference: command.reference.clone(),
        settlement: settling::amount(&draft, &command.purchase, command.amount_minor),
        purchase: command.purchase.clone(),
    };
    draft.keep(target, mark, Answer { accepted_minor: command.amount_minor, reason: None })?;
    draft.emit(Event::PaymentPresented(presented));
    draft.finish()
}

/// The linking ladder: the life-cycle id, what else the presentment says, or a payment of its own.
fn find(draft: &Draft, place: &ItemId, command: &Present) -> (MatchRule, Target) {
    if let Some(target) = matching::named(draft.head, place) {
        return (MatchRule::LifeCycle, target);
    }
    let (rule, id) = matching::present(draft, command);
    (rule, linked(draft, place, id))
}

/// The payment that the ladder found, with the message's own id as an alias of it.
pub(super) fn linked(draft: &Draft, place: &ItemId, found: Option<ItemId>) -> Target {
    let own = matching::own(draft, place);
    let Some(id) = found else { return own };
    let (Some(payment), Some(payment_id)) = (draft.head.payment(&id), id.payment_id()) else {
        return own;
    };
    let mut target = Target::known(id, payment);
    target.alias = Some((place.clone(), Alias { payment_id, marks: own.payment.marks }));
    target
}

/// The id under which the payment is kept: the message's own, or that of the payment it found.
pub(super) fn payment_id<'a>(target: &'a Target, named: &'a PaymentId) -> &'a PaymentId {
    target.alias.as_ref().map_or(named, |(_, alias)| &alias.payment_id)
}

struct Posted {
    taken_minor: i64,
    over_minor: i64,
    released_minor: i64,
}

/// M takes from the hold, O is what goes over it, E gives back the rest if nothing follows.
fn post(payment: &mut Payment, command: &Present) -> Result<Posted, Poison> {
    let hold_minor = payment.counters.hold_minor();
    let taken_minor = command.amount_minor.min(hold_minor);
    let over_minor = command.amount_minor - taken_minor;
    if over_minor > 0 {
        payment.flag(why_over(payment));
    }
    let last_of_n =
        command.sequence_number > 0 && command.sequence_number == command.sequence_count;
    let complete = command.last || last_of_n;
    let released_minor = if complete { hold_minor - taken_minor } else { 0 };
    if complete {
        payment.flag(Flag::Complete);
    }
    grow(&mut payment.counters.taken_minor, taken_minor)?;
    grow(&mut payment.counters.over_minor, over_minor)?;
    grow(&mut payment.counters.released_minor, released_minor)?;
    if hold_minor > 0 && payment.counters.hold_minor() == 0 {
        payment.deadline = None;
    }
    Ok(Posted { taken_minor, over_minor, released_minor })
}

/// What was out of the ordinary, before this presentment is counted.
fn why_over(payment: &Payment) -> Flag {
    let counters = &payment.counters;
    if counters.approved_minor == 0 {
        return match payment.declined {
            Some(_) => Flag::AfterDecline,
            None if payment.has(Flag::Tombstone) => Flag::AfterReversal,
            None => Flag::Forced,
        };
    }
    let open = counters.hold_minor() > 0 || payment.has(Flag::Complete);
    // Of an authorisation that came late, E is what had been presented before it.
    let ended_by_time = counters.released_minor > 0 && !payment.has(Flag::AuthorisedLate);
    if open {
        Flag::Over
    } else if ended_by_time {
        Flag::Late
    } else if counters.reversed_minor > 0 {
        Flag::AfterReversal
    } else {
        Flag::Over
    }
}

pub(super) fn reverse_presentment(
    mut draft: Draft,
    place: ItemId,
    mark: Mark,
    command: &ReversePresentment,
) -> Step {
    let mut target = matching::named_or_new(&draft, &place);
    if let Some(reason) = checks::unreachable(draft.standing(), command.currency) {
        let exception = suspense::Exception {
            kind: CommandKind::ReversePresentment,
            payment_id: &command.payment_id,
            owed_minor: -command.amount_minor,
            currency: command.currency,
            reason,
            purchase: None,
        };
        return suspense::payment(draft, target, mark, exception);
    }
    let reversed_minor = command.amount_minor.min(target.payment.counters.cleared_minor());
    let excess_minor = command.amount_minor - reversed_minor;
    if excess_minor > 0 {
        target.payment.flag(Flag::OverPresentmentReversal);
    }
    grow(&mut target.payment.counters.presentment_reversed_minor, reversed_minor)?;
    let reversed = PresentmentReversed {
        payment: PaymentAfter::of(payment_id(&target, &command.payment_id), &target.payment),
        presentment_reversed_minor: reversed_minor,
        excess_minor,
        reference: command.reference.clone(),
        network: target.payment.network.clone(),
        merchant_category: target.payment.merchant_category,
    };
    draft.keep(target, mark, Answer { accepted_minor: command.amount_minor, reason: None })?;
    draft.emit(Event::PresentmentReversed(reversed));
    draft.finish()
}
