//! What must be accepted (R5) but cannot be booked on the account: unknown, or another currency.
//!
//! Owns the exception and the memory of its message; no balance of the account moves. Settlement
//! books the money to suspense (ours, payments.md section 5).

use super::{
    Step,
    draft::{Draft, Target},
    matching,
};
use crate::domain::{
    command::{CommandKind, Purchase},
    event::{Event, MovedToSuspense},
    ids::PaymentId,
    mark::{Answer, Mark},
    money::Currency,
    reason::Reason,
};

pub(super) struct Exception<'a> {
    pub kind: CommandKind,
    pub payment_id: &'a PaymentId,
    /// What the customer would owe (positive) or get (negative); 0 where no money moves.
    pub owed_minor: i64,
    pub currency: Currency,
    pub reason: Reason,
    pub purchase: Option<&'a Purchase>,
}

pub(super) fn payment(draft: Draft, target: Target, mark: Mark, exception: Exception) -> Step {
    let Exception { kind, payment_id, owed_minor, currency, reason, purchase } = exception;
    let (mut draft, mut target) = (draft, target);
    if let Some(purchase) = purchase {
        matching::describe_blank(&mut target.payment, purchase);
    }
    let network = match purchase {
        Some(purchase) => purchase.network.clone(),
        None => target.payment.network.clone(),
    };
    draft.keep(target, mark, Answer { accepted_minor: 0, reason: Some(reason) })?;
    let payment_id = Some(payment_id.clone());
    draft.emit(Event::MovedToSuspense(MovedToSuspense {
        kind,
        payment_id,
        owed_minor,
        currency,
        reason,
        network,
    }));
    draft.finish()
}

/// The same for a credit or an advised debit.
pub(super) fn booking(
    mut draft: Draft,
    mark: Mark,
    kind: CommandKind,
    owed_minor: i64,
    currency: Currency,
    reason: Reason,
) -> Step {
    draft.keep_booking(kind, 0, mark, Answer { accepted_minor: 0, reason: Some(reason) })?;
    draft.emit(Event::MovedToSuspense(MovedToSuspense {
        kind,
        payment_id: None,
        owed_minor,
        currency,
        reason,
        network: "".into(),
    }));
    draft.finish()
}
