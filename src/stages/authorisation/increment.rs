//! Incremental authorisations (T5): a known hold grows, only the difference is checked.
//!
//! A decline leaves the hold as it was. An increment of an unknown payment opens it (T1).

use super::{Step, authorise, draft::Draft, matching};
use crate::domain::{command::Increment, event::AuthorisationKind, mark::Mark, payment::ItemId};

pub(super) fn increment(draft: Draft, place: ItemId, mark: Mark, command: &Increment) -> Step {
    let target = matching::own(&draft, &place);
    authorise::decide(draft, target, mark, &request(command))
}

pub(super) fn request(command: &Increment) -> authorise::Request<'_> {
    authorise::Request {
        payment_id: &command.payment_id,
        kind: AuthorisationKind::Increment,
        amount_minor: command.amount_minor,
        currency: command.currency,
        purchase: &command.purchase,
        hold_class: command.hold_class,
        allow_partial: false,
        single_message: false,
    }
}
