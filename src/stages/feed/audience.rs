//! The audience: who sees an item, asked at the position of its event and never again.
//!
//! Owns its order: whose card it is first, also where they hold the account, then every holder in
//! the order in which they came; each customer once. Whose card it is not and who holds nothing
//! sees nothing of it. A customer whose name cannot be a record's key is nobody.

use super::head::{Card, Head};
use crate::domain::{account::HolderRole, feed::Audience, ids::CustomerId};

/// What keys of records that concern a whole partition begin with.
const RESERVED: &str = "tapline.";

/// Those who see an item of this card, or of none.
pub(super) fn members<'h>(
    head: &'h Head,
    card: Option<&'h Card>,
) -> impl Iterator<Item = (Audience, &'h CustomerId)> {
    let first = card.map(|card| &card.customer_id);
    let holders = head
        .holders
        .iter()
        .filter(move |holder| Some(&holder.customer_id) != first)
        .map(|holder| (of_role(holder.role), &holder.customer_id));
    first
        .map(|customer| (Audience::CardHolder, customer))
        .into_iter()
        .chain(holders)
        .filter(|(_, customer)| can_be_told(customer))
}

pub(super) fn of_role(role: HolderRole) -> Audience {
    match role {
        HolderRole::Owner => Audience::Owner,
        HolderRole::Disponent => Audience::Disponent,
    }
}

pub(super) fn can_be_told(customer: &CustomerId) -> bool {
    !customer.is_empty() && !customer.as_str().starts_with(RESERVED)
}
