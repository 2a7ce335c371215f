//! Which payment an event names that may have left the head (pipeline.md section 5).
//!
//! Owns the rule that makes nearly every read unnecessary: what opens a payment cannot have a side
//! row. That it opens it, the event says: its counters were all zero before, or a presentment or
//! refund found nothing to belong to. A request for a payment of which nothing ever came is taken as
//! one that opens it, as authorisation takes it: a declined or verified payment under whose id a
//! message is read that was sent longer ago than the closing age begins a line of its own.

use super::head::Head;
use crate::domain::{
    event::{
        AccountEvent, AuthorisationKind, Event, MatchRule, PaymentAuthorised, PaymentDeclined,
    },
    ids::PaymentId,
    payment::{Counters, ItemId},
};

pub(super) fn named(head: &Head, event: &AccountEvent) -> Vec<ItemId> {
    let Some(payment_id) = asked(&event.body) else { return Vec::new() };
    let id = ItemId::payment(payment_id);
    if head.lives.contains_key(&id) { Vec::new() } else { vec![id] }
}

/// The payment, if the event does not open it. Holds that expire never left the head.
fn asked(body: &Event) -> Option<&PaymentId> {
    match body {
        Event::PaymentAuthorised(e) if opens(e) => None,
        Event::PaymentAuthorised(e) => Some(&e.payment.payment_id),
        Event::PaymentDeclined(PaymentDeclined { kind, payment_id, .. }) => {
            if is_request(*kind) {
                None
            } else {
                Some(payment_id)
            }
        }
        Event::PaymentReversed(e) => Some(&e.payment.payment_id),
        Event::PaymentPresented(e) if is_unmatched(e.match_rule) => None,
        Event::PaymentPresented(e) => Some(&e.payment.payment_id),
        Event::PresentmentReversed(e) => Some(&e.payment.payment_id),
        Event::RefundAuthorised(e) => Some(&e.payment.payment_id),
        Event::PaymentRefunded(e) if is_unmatched(e.match_rule) => None,
        Event::PaymentRefunded(e) => Some(&e.payment.payment_id),
        Event::HoldExpired(_)
        | Event::AccountOpened(_)
        | Event::AccountChanged(_)
        | Event::HolderChanged(_)
        | Event::CardChanged(_)
        | Event::OriginalNotFound(_)
        | Event::AccountCredited(_)
        | Event::AccountDebited(_)
        | Event::CommandDeclined(_)
        | Event::Tick(_) => None,
        Event::MovedToSuspense(e) => e.payment_id.as_ref(),
        Event::MessageRepeated(e) => e.payment_id.as_ref(),
        Event::MessageConflicted(e) => e.payment_id.as_ref(),
    }
}

/// A request, of which all that was counted came with this event. Flags tell of a reversal or an
/// announcement that came before it.
fn opens(event: &PaymentAuthorised) -> bool {
    let grown = Counters {
        approved_minor: event.approved_minor,
        reversed_minor: event.reversed_minor,
        released_minor: event.released_minor,
        taken_minor: event.taken_minor,
        ..Counters::default()
    };
    is_request(event.kind) && event.payment.counters == grown && event.payment.flags.is_empty()
}

/// Increments and advices are about something that exists, or else rare.
fn is_request(kind: AuthorisationKind) -> bool {
    match kind {
        AuthorisationKind::Request
        | AuthorisationKind::SingleMessage
        | AuthorisationKind::Verification => true,
        AuthorisationKind::Advice | AuthorisationKind::Increment => false,
    }
}

/// Authorisation looked for a payment, also among those that had left, and found none.
fn is_unmatched(rule: MatchRule) -> bool {
    match rule {
        MatchRule::None | MatchRule::Ambiguous => true,
        MatchRule::LifeCycle | MatchRule::AuthorisationCode | MatchRule::CardMerchantAmount => {
            false
        }
    }
}
