//! Events of card payments: the next version of a payment's item, for everybody who may see it.
//!
//! Owns what goes onto the item and what the head keeps of it. What gives back or takes back of a
//! payment that nobody ever heard of shows nothing. A payment that nobody may see is kept all the
//! same, so that whoever may see it later gets the right version.

use super::{
    NOTHING, Origin, Step, audience, categories, course,
    head::{Change, Head, PaymentChange},
    life::{About, Life, extend},
    said::{Said, said},
    text::clean,
};
use crate::{
    domain::{
        feed::{Audience, FeedBody, FeedItem, FeedRecord, ItemChange, ItemStatus, TimelineStep},
        payment::{Flag, ItemId},
    },
    stages::{Outgoing, Transition},
};

pub(super) fn show(head: &Head, origin: &Origin) -> Step {
    let Some(said) = said(&origin.event.body) else { return Ok(NOTHING) };
    let id = ItemId::payment(said.payment_id);
    let known = head.lives.get(&id).map(AsRef::as_ref);
    if known.is_none() && said.purchase.is_none() {
        return Ok(NOTHING);
    }
    let former = known.map(|life| life.state);
    let mut state = course::next(origin, &said, former)?;
    let recent = course::approval(origin, &said, former.as_ref(), &state);
    if let Some(recent) = &recent {
        state.possible_duplicate = recent.is_in(&head.recent);
    }
    let change = PaymentChange {
        id,
        about: about(origin, &said, known),
        state,
        flags: flags(&said, known),
        step: TimelineStep {
            log_time: origin.event.log_time,
            change: said.change,
            amount_minor: said.amount_minor,
        },
        recent,
    };
    let effects = items(head, origin, known, &change);
    Ok(Transition { change: Some(Change::Payment(Box::new(change))), effects })
}

/// Absent where the payment is known and its card is still the same. Authorisation may have taken
/// another card from a message that nobody saw; what it says after an event holds.
fn about(origin: &Origin, said: &Said, known: Option<&Life>) -> Option<About> {
    let token = said.after.map(|after| &after.card_token);
    let created_at = known.map_or(origin.event.log_time, |life| life.about.created_at);
    match (known, token, said.purchase) {
        // A decline on a known payment never makes it another card's.
        (Some(_), None, _) => None,
        (Some(life), Some(token), _) if life.about.card_token == *token => None,
        (Some(life), Some(token), None) => {
            Some(About { card_token: token.clone(), ..life.about.clone() })
        }
        (_, _, Some(purchase)) => Some(About {
            created_at,
            card_token: token.unwrap_or(&purchase.card_token).clone(),
            merchant_name: clean(&purchase.merchant_name),
            merchant_category: purchase.merchant_category,
            country: clean(&purchase.country),
        }),
        (None, _, None) => None,
    }
}

fn flags(said: &Said, known: Option<&Life>) -> Vec<Flag> {
    match (said.after, known) {
        (Some(after), _) => after.flags.clone(),
        (None, Some(life)) => life.flags.clone(),
        (None, None) => Vec::new(),
    }
}

fn items(
    head: &Head,
    origin: &Origin,
    known: Option<&Life>,
    change: &PaymentChange,
) -> Vec<Outgoing<FeedRecord>> {
    let nobody = About::default();
    let about = change.about.as_ref().or(known.map(|life| &life.about)).unwrap_or(&nobody);
    let card = head.card(&about.card_token);
    let last_four = card.map_or("", |card| &card.last_four);
    let former = known.map(|life| life.state.shown_minor());
    let history = known.map_or(&[][..], |life| &life.timeline);
    audience::members(head, card)
        .map(|(audience, customer_id)| {
            let mut item = item(about, change, origin, audience);
            item.card_last_four = last_four.into();
            item.former_amount_minor = former.filter(|minor| *minor != item.amount_minor);
            item.timeline = Vec::with_capacity(history.len() + 1);
            item.timeline.extend_from_slice(history);
            extend(&mut item.timeline, change.step);
            origin.record(customer_id, FeedBody::Item(Box::new(item)))
        })
        .collect()
}

/// All but what depends on who the card is and on what was shown before.
fn item(about: &About, change: &PaymentChange, origin: &Origin, audience: Audience) -> FeedItem {
    let state = &change.state;
    let is_decline =
        change.step.change == ItemChange::Declined || state.status == ItemStatus::Declined;
    FeedItem {
        item_id: item_id(&change.id),
        version: state.version,
        created_at: about.created_at,
        audience,
        kind: state.kind,
        status: state.status,
        change: change.step.change,
        amount_minor: state.shown_minor(),
        former_amount_minor: None,
        pending_minor: state.counters.hold_minor(),
        refunded_minor: state.counters.refunded_minor,
        currency: state.currency,
        original_minor: state.original_minor(),
        original_currency: state.original_currency,
        merchant_name: about.merchant_name.clone(),
        merchant_category: about.merchant_category,
        category_text: categories::text(about.merchant_category),
        country: about.country.clone(),
        card_last_four: Box::default(),
        text: Box::default(),
        reason: state.reason.filter(|_| is_decline),
        flags: change.flags.clone(),
        release_at: state.release_at,
        possible_duplicate: state.possible_duplicate,
        balance: origin.balance,
        timeline: Vec::new(),
    }
}

/// The head's name of a payment begins with `p:`.
fn item_id(id: &ItemId) -> Box<str> {
    let name = id.as_str().strip_prefix("p:").unwrap_or(id.as_str());
    ["payment/", name].concat().into()
}
