//! What an event says of a payment, whichever event it is.
//!
//! Owns the words of a version: what changed, and how much this step moved, promised or gave back.
//! Looks at the event alone, never at what was known before.

use crate::domain::{
    command::Purchase,
    event::{AuthorisationKind, Event, PaymentAfter, PaymentAuthorised},
    feed::ItemChange,
    ids::PaymentId,
    money::Currency,
    reason::Reason,
};

/// What an event says of a payment.
#[derive(Clone, Copy)]
pub(super) struct Said<'e> {
    pub payment_id: &'e PaymentId,
    pub change: ItemChange,
    /// What this step moved, promised or gave back.
    pub amount_minor: i64,
    /// Absent on a decline.
    pub after: Option<&'e PaymentAfter>,
    /// Absent where something is given back.
    pub purchase: Option<&'e Purchase>,
    /// Of a decline: why, and in which currency it was asked.
    pub declined: Option<(Reason, Currency)>,
    pub is_verification: bool,
    /// The original amount is more of the same, not the whole again.
    pub is_more: bool,
}

/// `None`: the event is about no payment, or says nothing that a customer sees.
pub(super) fn said(body: &Event) -> Option<Said<'_>> {
    let of =
        |after, purchase, change, amount_minor| Said::of(after, purchase, change, amount_minor);
    let said = match body {
        Event::PaymentAuthorised(e) => authorised(e),
        Event::PaymentDeclined(e) => Said {
            payment_id: &e.payment_id,
            change: ItemChange::Declined,
            amount_minor: e.requested_minor,
            after: None,
            purchase: Some(&e.purchase),
            declined: Some((e.reason, e.currency)),
            is_verification: e.kind == AuthorisationKind::Verification,
            is_more: false,
        },
        Event::PaymentReversed(e) => of(&e.payment, None, ItemChange::Reversed, e.reversed_minor),
        Event::HoldExpired(e) => of(&e.payment, None, ItemChange::Expired, e.released_minor),
        Event::PaymentPresented(e) => Said {
            is_more: e.payment.counters.presented_minor() > e.presented_minor,
            ..of(&e.payment, Some(&e.purchase), ItemChange::Presented, e.presented_minor)
        },
        Event::PresentmentReversed(e) => {
            let minor = e.presentment_reversed_minor;
            of(&e.payment, None, ItemChange::PresentmentReversed, minor)
        }
        Event::RefundAuthorised(e) => {
            let change = ItemChange::RefundAnnounced;
            of(&e.payment, Some(&e.purchase), change, e.announced_minor)
        }
        Event::PaymentRefunded(e) => Said {
            is_more: e.payment.counters.refunded_minor > e.refunded_minor,
            ..of(&e.payment, Some(&e.purchase), ItemChange::Refunded, e.refunded_minor)
        },
        Event::AccountOpened(_)
        | Event::AccountChanged(_)
        | Event::HolderChanged(_)
        | Event::CardChanged(_)
        | Event::OriginalNotFound(_)
        | Event::AccountCredited(_)
        | Event::AccountDebited(_)
        | Event::CommandDeclined(_)
        | Event::MovedToSuspense(_)
        | Event::MessageRepeated(_)
        | Event::MessageConflicted(_)
        | Event::Tick(_) => return None,
    };
    Some(said)
}

impl<'e> Said<'e> {
    fn of(
        after: &'e PaymentAfter,
        purchase: Option<&'e Purchase>,
        change: ItemChange,
        amount_minor: i64,
    ) -> Self {
        Self {
            payment_id: &after.payment_id,
            change,
            amount_minor,
            after: Some(after),
            purchase,
            declined: None,
            is_verification: false,
            is_more: false,
        }
    }
}

/// An advice may raise the hold, lower it, or open it.
fn authorised(event: &PaymentAuthorised) -> Said<'_> {
    let had_more = event.payment.counters.approved_minor > event.approved_minor;
    let (change, amount_minor) = match event.kind {
        AuthorisationKind::Verification => (ItemChange::Verified, 0),
        AuthorisationKind::Advice if had_more && event.approved_minor == 0 => {
            (ItemChange::Reversed, event.reversed_minor)
        }
        AuthorisationKind::Advice | AuthorisationKind::Increment if had_more => {
            (ItemChange::Incremented, event.approved_minor)
        }
        AuthorisationKind::Advice
        | AuthorisationKind::Increment
        | AuthorisationKind::Request
        | AuthorisationKind::SingleMessage => (ItemChange::Authorised, event.approved_minor),
    };
    Said {
        is_verification: event.kind == AuthorisationKind::Verification,
        is_more: had_more && event.kind != AuthorisationKind::Advice,
        ..Said::of(&event.payment, Some(&event.purchase), change, amount_minor)
    }
}
