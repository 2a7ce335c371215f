//! Authorisation requests (T1, T2, T4, T11b), and approving as advices and increments share it.
//!
//! Owns the answer to "may this be bought": approved, partly approved, or declined with the first
//! reason. A request may be refused (R5); what it approves is held, or taken at once by a single
//! message. An authorisation never makes a second hold for what a presentment already took, and
//! none at all for what was reversed before it came.

use super::{
    Step, checks,
    draft::{Draft, Target, grow},
    limits::{self, Spending},
    matching, settling,
};
use crate::domain::{
    command::{Authorise, HoldClass, Purchase},
    event::{AuthorisationKind, Event, PaymentAfter, PaymentAuthorised, PaymentDeclined},
    fingerprint::Fingerprint,
    ids::PaymentId,
    mark::{Answer, Mark},
    money::Currency,
    payment::{Flag, ItemId},
    reason::Reason,
};

/// What is asked, by whichever message.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub payment_id: &'a PaymentId,
    pub kind: AuthorisationKind,
    pub amount_minor: i64,
    pub currency: Currency,
    pub purchase: &'a Purchase,
    pub hold_class: HoldClass,
    pub allow_partial: bool,
    pub single_message: bool,
}

/// By how much an approval grows the counters.
#[derive(Clone, Copy, Default)]
pub(super) struct Growth {
    pub approved_minor: i64,
    pub reversed_minor: i64,
    pub released_minor: i64,
    pub taken_minor: i64,
}

pub(super) fn authorise(draft: Draft, place: ItemId, mark: Mark, command: &Authorise) -> Step {
    let target = matching::own(&draft, &place);
    decide(draft, target, mark, &request(command))
}

pub(super) fn request(command: &Authorise) -> Request<'_> {
    let kind = match (command.amount_minor, command.single_message) {
        (0, _) => AuthorisationKind::Verification,
        (_, true) => AuthorisationKind::SingleMessage,
        (_, false) => AuthorisationKind::Request,
    };
    Request {
        payment_id: &command.payment_id,
        kind,
        amount_minor: command.amount_minor,
        currency: command.currency,
        purchase: &command.purchase,
        hold_class: command.hold_class,
        allow_partial: command.allow_partial,
        single_message: command.single_message,
    }
}

/// Checks a request against everything and answers it.
pub(super) fn decide(draft: Draft, target: Target, mark: Mark, request: &Request) -> Step {
    if let Some(reason) = checks::unreachable(draft.standing(), request.currency) {
        return decline(draft, target, mark, request, reason);
    }
    let amount_minor = request.amount_minor;
    if let Some(growth) = under_tombstone(&target, amount_minor) {
        return approve(draft, target, mark, request, growth);
    }
    let released_minor = already_presented(&target, amount_minor);
    let spending = spending(&target, request.purchase);
    let refused = checks::purchase(&draft, request.purchase)
        .or_else(|| limits::refusal(&draft, spending, amount_minor));
    if let Some(reason) = refused {
        return decline(draft, target, mark, request, reason);
    }
    let mut held_minor = amount_minor - released_minor;
    if let Some(reason) = checks::funds(draft.standing(), held_minor) {
        let available_minor = draft.standing().available_minor();
        if !request.allow_partial || available_minor <= 0 {
            return decline(draft, target, mark, request, reason);
        }
        held_minor = available_minor;
    }
    let growth = Growth {
        approved_minor: released_minor + held_minor,
        released_minor,
        taken_minor: if request.single_message { held_minor } else { 0 },
        reversed_minor: 0,
    };
    approve(draft, target, mark, request, growth)
}

/// T7: its reversal came first, so it is recorded without a hold.
pub(super) fn under_tombstone(target: &Target, amount_minor: i64) -> Option<Growth> {
    target.payment.has(Flag::Tombstone).then_some(Growth {
        approved_minor: amount_minor,
        reversed_minor: amount_minor,
        ..Growth::default()
    })
}

/// T11b: how much of a late authorisation was presented before it came. A payment that was
/// authorised before counts its presentments against that hold.
pub(super) fn already_presented(target: &Target, amount_minor: i64) -> i64 {
    let counters = &target.payment.counters;
    if target.payment.has(Flag::Complete) {
        amount_minor
    } else if counters.approved_minor == 0 {
        amount_minor.min(counters.cleared_minor())
    } else {
        0
    }
}

/// The limits that count: those of the payment as it was opened, of the request if this opens it.
fn spending<'a>(target: &'a Target, purchase: &'a Purchase) -> Spending<'a> {
    if target.payment.counters.approved_minor > 0 {
        return Spending::of(&target.payment);
    }
    Spending {
        card_token: Some(&purchase.card_token),
        channel: purchase.channel,
        merchant_category: purchase.merchant_category,
    }
}

pub(super) fn approve(
    mut draft: Draft,
    mut target: Target,
    mark: Mark,
    request: &Request,
    growth: Growth,
) -> Step {
    let payment = &mut target.payment;
    let had_hold = payment.counters.hold_minor() > 0;
    if payment.counters.approved_minor == 0 {
        matching::describe(payment, request.purchase, request.hold_class);
        payment.opened_at = draft.clock;
        if payment.counters.presented_minor() > 0 {
            payment.flag(Flag::AuthorisedLate);
        }
    }
    payment.declined = None;
    let counters = &mut payment.counters;
    grow(&mut counters.approved_minor, growth.approved_minor)?;
    grow(&mut counters.reversed_minor, growth.reversed_minor)?;
    grow(&mut counters.released_minor, growth.released_minor)?;
    grow(&mut counters.taken_minor, growth.taken_minor)?;
    if growth.released_minor > 0 {
        payment.flag(Flag::AuthorisedLate);
    }
    set_deadline(&draft, &mut target, request.kind, had_hold);
    if target.payment.authorisation_code.is_empty() {
        target.payment.authorisation_code = authorisation_code(&mark);
    }
    let counted_minor = growth.approved_minor;
    limits::count(&mut draft, Spending::of(&target.payment), counted_minor);
    limits::give_back(&mut draft, &target.payment, growth.reversed_minor);
    let authorised = PaymentAuthorised {
        payment: PaymentAfter::of(request.payment_id, &target.payment),
        kind: request.kind,
        approved_minor: growth.approved_minor,
        reversed_minor: growth.reversed_minor,
        released_minor: growth.released_minor,
        taken_minor: growth.taken_minor,
        requested_minor: request.amount_minor,
        authorisation_code: target.payment.authorisation_code.clone(),
        // What the merchant charged is known of the whole amount only.
        settlement: if growth.taken_minor == request.amount_minor {
            settling::amount(&draft, request.purchase, growth.taken_minor)
        } else {
            None
        },
        purchase: request.purchase.clone(),
    };
    let answer = Answer { accepted_minor: growth.approved_minor, reason: None };
    draft.keep(target, mark, answer)?;
    draft.emit(Event::PaymentAuthorised(authorised));
    draft.finish()
}

/// A new hold ends by its rule; an increment moves the end only where the rule says so, a
/// verification never does. The original of a tombstone has come: nothing waits for it any more.
fn set_deadline(draft: &Draft, target: &mut Target, kind: AuthorisationKind, had_hold: bool) {
    let payment = &mut target.payment;
    if payment.counters.hold_minor() == 0 {
        payment.deadline = None;
        return;
    }
    let rule = matching::hold_rule(draft.rules, &payment.network, payment.hold_class);
    let fresh = draft.clock.plus_ms(matching::hold_ms(draft.rules, payment));
    let keeps = match kind {
        AuthorisationKind::Increment => !rule.is_some_and(|rule| rule.increment_restarts),
        AuthorisationKind::Verification => true,
        AuthorisationKind::Request
        | AuthorisationKind::SingleMessage
        | AuthorisationKind::Advice => false,
    };
    payment.deadline = match payment.deadline {
        Some(known) if had_hold && keeps => Some(known),
        Some(known) if had_hold => Some(known.max(fresh)),
        Some(_) | None => Some(fresh),
    };
}

pub(super) fn decline(
    mut draft: Draft,
    mut target: Target,
    mark: Mark,
    request: &Request,
    reason: Reason,
) -> Step {
    let payment = &mut target.payment;
    matching::describe_blank(payment, request.purchase);
    if payment.counters.approved_minor == 0 {
        payment.declined = Some(reason);
    }
    draft.keep(target, mark, Answer { accepted_minor: 0, reason: Some(reason) })?;
    draft.emit(declined(request, reason));
    draft.finish()
}

pub(super) fn declined(request: &Request, reason: Reason) -> Event {
    Event::PaymentDeclined(PaymentDeclined {
        payment_id: request.payment_id.clone(),
        kind: request.kind,
        requested_minor: request.amount_minor,
        currency: request.currency,
        reason,
        purchase: request.purchase.clone(),
    })
}

/// Six digits, the same for every run of the same log.
fn authorisation_code(mark: &Mark) -> Box<str> {
    let mut rest = Fingerprint::default().text(mark.message_id.as_str()).value() % 1_000_000;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    digits.iter().map(|digit| char::from(*digit)).collect::<String>().into_boxed_str()
}
