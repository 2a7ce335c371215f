//! Refunds (T14) and their announcement (T13).
//!
//! A refund moves money back to the customer, with or without a purchase to hang it on, and is
//! never refused. An announcement moves nothing.

use super::{
    Step, checks,
    draft::{Draft, grow},
    matching, present, settling, suspense,
};
use crate::domain::{
    command::{AuthoriseRefund, CommandKind, Refund},
    event::{Event, MatchRule, PaymentAfter, PaymentRefunded, RefundAuthorised},
    mark::{Answer, Mark},
    payment::{Flag, ItemId},
};

pub(super) fn refund(mut draft: Draft, place: ItemId, mark: Mark, command: &Refund) -> Step {
    if let Some(reason) = checks::unreachable(draft.standing(), command.currency) {
        let target = matching::named_or_new(&draft, &place);
        let exception = suspense::Exception {
            kind: CommandKind::Refund,
            payment_id: &command.payment_id,
            owed_minor: -command.amount_minor,
            currency: command.currency,
            reason,
            purchase: Some(&command.purchase),
        };
        return suspense::payment(draft, target, mark, exception);
    }
    let (match_rule, mut target) = match matching::named(draft.head, &place) {
        Some(target) => (MatchRule::LifeCycle, target),
        None => {
            let (rule, id) = matching::refund(&draft, command);
            (rule, present::linked(&draft, &place, id))
        }
    };
    matching::describe_blank(&mut target.payment, &command.purchase);
    grow(&mut target.payment.counters.refunded_minor, command.amount_minor)?;
    let payment_id = present::payment_id(&target, &command.payment_id);
    let refunded = PaymentRefunded {
        payment: PaymentAfter::of(payment_id, &target.payment),
        refunded_minor: command.amount_minor,
        match_rule,
        reference: command.reference.clone(),
        settlement: settling::amount(&draft, &command.purchase, command.amount_minor),
        purchase: command.purchase.clone(),
    };
    draft.keep(target, mark, Answer { accepted_minor: command.amount_minor, reason: None })?;
    draft.emit(Event::PaymentRefunded(refunded));
    draft.finish()
}

pub(super) fn authorise_refund(
    mut draft: Draft,
    place: ItemId,
    mark: Mark,
    command: &AuthoriseRefund,
) -> Step {
    let mut target = matching::named_or_new(&draft, &place);
    if let Some(reason) = checks::unreachable(draft.standing(), command.currency) {
        let exception = suspense::Exception {
            kind: CommandKind::AuthoriseRefund,
            payment_id: &command.payment_id,
            owed_minor: 0,
            currency: command.currency,
            reason,
            purchase: Some(&command.purchase),
        };
        return suspense::payment(draft, target, mark, exception);
    }
    matching::describe_blank(&mut target.payment, &command.purchase);
    target.payment.flag(Flag::RefundAnnounced);
    let payment_id = present::payment_id(&target, &command.payment_id);
    let announced = RefundAuthorised {
        payment: PaymentAfter::of(payment_id, &target.payment),
        announced_minor: command.amount_minor,
        purchase: command.purchase.clone(),
    };
    draft.keep(target, mark, Answer { accepted_minor: command.amount_minor, reason: None })?;
    draft.emit(Event::RefundAuthorised(announced));
    draft.finish()
}
