//! Holdings: a customer came to the account, left it, or stands otherwise to it than before.
//!
//! Owns what a change of holders or cards does to the head, and whom it is told. Applies from its
//! position on: what was shown before stays with those who saw it. Whoever loses one relation may
//! have another: only the last one makes a removal. A closed card still has a holder, because
//! presentments and refunds of its payments may come for months.

use super::{
    NOTHING, Origin, audience,
    head::{Card, Change, Head},
};
use crate::{
    domain::{
        account::{Holder, HolderRole},
        event::{CardChanged, HolderChanged},
        feed::{Audience, FeedBody, FeedRecord, Holding},
        ids::CustomerId,
    },
    stages::{Outgoing, Transition},
};

pub(super) fn holder(
    head: &Head,
    origin: &Origin,
    changed: &HolderChanged,
) -> Transition<Change, FeedRecord> {
    let HolderChanged { customer_id, role, removed } = changed;
    let mut holders = head.holders.clone();
    match holders.iter().position(|holder| holder.customer_id == *customer_id) {
        Some(place) if *removed => drop(holders.remove(place)),
        Some(place) => holders[place].role = *role,
        None if *removed => return NOTHING,
        None => {
            holders.reserve_exact(1);
            holders.push(Holder { customer_id: customer_id.clone(), role: *role });
        }
    }
    let former = relation(&head.holders, &head.cards, customer_id);
    let next = relation(&holders, &head.cards, customer_id);
    let effects = told(origin, customer_id, former, next).into_iter().collect();
    Transition { change: Some(Change::Holders(holders)), effects }
}

/// A card that goes to another customer concerns the former one first.
pub(super) fn card(
    head: &Head,
    origin: &Origin,
    changed: &CardChanged,
) -> Transition<Change, FeedRecord> {
    let card = Card {
        card_token: changed.card_token.clone(),
        customer_id: changed.customer_id.clone(),
        last_four: changed.last_four.clone(),
    };
    let mut cards = head.cards.clone();
    let mut loser = None;
    match cards.iter_mut().find(|known| known.card_token == card.card_token) {
        Some(known) => {
            let former = std::mem::replace(known, card);
            loser = Some(former.customer_id).filter(|id| *id != changed.customer_id);
        }
        None => {
            cards.reserve_exact(1);
            cards.push(card);
        }
    }
    let tell = |customer_id: &CustomerId| {
        let former = relation(&head.holders, &head.cards, customer_id);
        told(origin, customer_id, former, relation(&head.holders, &cards, customer_id))
    };
    let effects = loser.iter().chain([&changed.customer_id]).filter_map(tell).collect();
    Transition { change: Some(Change::Cards(cards)), effects }
}

/// The strongest of what a customer is to the account.
fn relation(holders: &[Holder], cards: &[Card], customer_id: &CustomerId) -> Option<Audience> {
    let held = holders.iter().find(|holder| holder.customer_id == *customer_id);
    let has_card = cards.iter().any(|card| card.customer_id == *customer_id);
    match held.map(|holder| holder.role) {
        Some(HolderRole::Owner) => Some(Audience::Owner),
        Some(HolderRole::Disponent) => Some(Audience::Disponent),
        None => has_card.then_some(Audience::CardHolder),
    }
}

fn told(
    origin: &Origin,
    customer_id: &CustomerId,
    former: Option<Audience>,
    next: Option<Audience>,
) -> Option<Outgoing<FeedRecord>> {
    let audience = next.or(former)?;
    let holding = Holding { audience, removed: next.is_none(), balance: origin.balance };
    audience::can_be_told(customer_id)
        .then(|| origin.record(customer_id, FeedBody::Holding(holding)))
}
