//! Who sees what of an account's events, in the test's own fold.
//!
//! Owns holders, cards and payments of one account and the items that follow. What only people read
//! of an item is left plain: the auditor does not judge it.

use std::collections::BTreeMap;
use tapline::domain::{
    account::HolderRole,
    command::{CommandKind, Purchase},
    event::{AccountEvent, Event, PaymentAfter},
    feed::*,
    money::Currency,
    payment::Counters,
    reason::Reason,
    time::LogTime,
};

#[derive(Clone, Default)]
struct Life {
    version: i32,
    created_at: LogTime,
    card: String,
    counters: Counters,
    asked_minor: i64,
}

#[derive(Default)]
pub struct Account {
    holders: Vec<(String, Audience)>,
    cards: BTreeMap<String, String>,
    lives: BTreeMap<String, Life>,
}

impl Account {
    /// Whom the event shows what, in the order of their ids.
    pub fn see(&mut self, event: &AccountEvent, offset: i64) -> Vec<(String, FeedBody)> {
        let Some(after) = event.balances else { return Vec::new() };
        let balance = BalanceAfter {
            currency: after.currency,
            booked_minor: after.booked_minor,
            held_minor: after.held_minor,
            available_minor: after.available_minor(),
        };
        match &event.body {
            Event::HolderChanged(it) => {
                let customer = it.customer_id.as_str().to_owned();
                let former = self.stands(&customer);
                self.holders.retain(|(known, _)| *known != customer);
                if !it.removed {
                    let audience = match it.role {
                        HolderRole::Owner => Audience::Owner,
                        HolderRole::Disponent => Audience::Disponent,
                    };
                    self.holders.push((customer.clone(), audience));
                }
                self.holding(customer, former, balance).into_iter().collect()
            }
            Event::CardChanged(it) => {
                let customer = it.customer_id.as_str().to_owned();
                let token = it.card_token.as_str().to_owned();
                let loser = self.cards.get(&token).filter(|former| **former != customer).cloned();
                let concerned: Vec<_> = loser.into_iter().chain([customer.clone()]).collect();
                let former: Vec<_> = concerned.iter().map(|it| self.stands(it)).collect();
                self.cards.insert(token, customer);
                let told = concerned.into_iter().zip(former);
                told.filter_map(|(it, former)| self.holding(it, former, balance)).collect()
            }
            _ => {
                let Some((item, card)) = self.item(event, offset, balance) else {
                    return Vec::new();
                };
                let carrier = card.and_then(|card| self.cards.get(&card).cloned());
                let first = carrier.clone().map(|customer| (customer, Audience::CardHolder));
                let others = self.holders.iter().filter(|(it, _)| Some(it) != carrier.as_ref());
                let all = first.into_iter().chain(others.cloned());
                all.map(|(customer, audience)| {
                    (customer, FeedBody::Item(Box::new(FeedItem { audience, ..item.clone() })))
                })
                .collect()
            }
        }
    }

    fn stands(&self, customer: &str) -> Option<Audience> {
        let holder = self.holders.iter().find(|(known, _)| known == customer);
        let has_card = self.cards.values().any(|owner| owner == customer);
        holder.map(|(_, audience)| *audience).or(has_card.then_some(Audience::CardHolder))
    }

    fn holding(
        &self,
        customer: String,
        former: Option<Audience>,
        balance: BalanceAfter,
    ) -> Option<(String, FeedBody)> {
        let now = self.stands(&customer);
        let holding = Holding { audience: now.or(former)?, removed: now.is_none(), balance };
        Some((customer, FeedBody::Holding(holding)))
    }

    /// The item and its card.
    fn item(
        &mut self,
        event: &AccountEvent,
        offset: i64,
        balance: BalanceAfter,
    ) -> Option<(FeedItem, Option<String>)> {
        let own = balance.currency;
        let mut seen =
            |payment_id: &str, after: Option<&PaymentAfter>, with: Option<&Purchase>, asked| {
                self.payment(event.log_time, payment_id, after, with, asked)
            };
        let (life, name, currency) = match &event.body {
            Event::PaymentDeclined(it) => {
                let id = it.payment_id.as_str();
                let life = seen(id, None, Some(&it.purchase), it.requested_minor)?;
                let counters = &life.counters;
                let is_empty = counters.approved_minor == 0
                    && counters.presented_minor() == 0
                    && counters.refunded_minor == 0;
                (life, id, if is_empty { it.currency } else { own })
            }
            Event::PaymentAuthorised(it) => {
                let id = it.payment.payment_id.as_str();
                (seen(id, Some(&it.payment), Some(&it.purchase), 0)?, id, own)
            }
            Event::PaymentPresented(it) => {
                let id = it.payment.payment_id.as_str();
                (seen(id, Some(&it.payment), Some(&it.purchase), 0)?, id, own)
            }
            Event::RefundAuthorised(it) => {
                let id = it.payment.payment_id.as_str();
                let asked = it.announced_minor;
                (seen(id, Some(&it.payment), Some(&it.purchase), asked)?, id, own)
            }
            Event::PaymentRefunded(it) => {
                let id = it.payment.payment_id.as_str();
                (seen(id, Some(&it.payment), Some(&it.purchase), 0)?, id, own)
            }
            Event::PaymentReversed(it) => {
                let id = it.payment.payment_id.as_str();
                (seen(id, Some(&it.payment), None, 0)?, id, own)
            }
            Event::HoldExpired(it) => {
                let id = it.payment.payment_id.as_str();
                (seen(id, Some(&it.payment), None, 0)?, id, own)
            }
            Event::PresentmentReversed(it) => {
                let id = it.payment.payment_id.as_str();
                (seen(id, Some(&it.payment), None, 0)?, id, own)
            }
            Event::AccountCredited(it) => {
                return Some((booked(event, it.amount_minor, balance), None));
            }
            Event::AccountDebited(it) => {
                return Some((booked(event, it.amount_minor, balance), None));
            }
            Event::CommandDeclined(it) if it.kind == CommandKind::Debit => {
                let mut item = booked(event, it.amount_minor, balance);
                if it.reason == Reason::Diverted {
                    item.item_id = format!("{}@{offset}", item.item_id).into();
                }
                return Some((item, None));
            }
            _ => return None,
        };
        let counters = &life.counters;
        let standing = counters.hold_minor() + counters.cleared_minor();
        let shown = [
            standing,
            counters.approved_minor - counters.reversed_minor,
            counters.approved_minor,
            counters.presented_minor(),
            counters.refunded_minor,
            life.asked_minor,
        ];
        let item = FeedItem {
            item_id: format!("payment/{name}").into(),
            version: life.version,
            created_at: life.created_at,
            amount_minor: shown.into_iter().find(|minor| *minor != 0).unwrap_or(0),
            pending_minor: counters.hold_minor(),
            refunded_minor: counters.refunded_minor,
            ..plain(currency, balance)
        };
        Some((item, Some(life.card)))
    }

    /// The payment after the event, if anybody was ever to see it.
    fn payment(
        &mut self,
        log_time: LogTime,
        payment_id: &str,
        after: Option<&PaymentAfter>,
        purchase: Option<&Purchase>,
        asked_minor: i64,
    ) -> Option<Life> {
        if purchase.is_none() && !self.lives.contains_key(payment_id) {
            return None;
        }
        let life = self.lives.entry(payment_id.to_owned()).or_default();
        life.version += 1;
        match (after, purchase) {
            (Some(after), Some(_)) => life.card = after.card_token.as_str().to_owned(),
            (None, Some(purchase)) if life.version == 1 => {
                life.card = purchase.card_token.as_str().to_owned();
            }
            _ => {}
        }
        if life.version == 1 {
            life.created_at = log_time;
        }
        if asked_minor != 0 {
            life.asked_minor = asked_minor;
        }
        life.counters = after.map_or(life.counters, |after| after.counters);
        Some(life.clone())
    }
}

fn booked(event: &AccountEvent, amount_minor: i64, balance: BalanceAfter) -> FeedItem {
    let message_id = event.message_id.as_ref().expect("a booking has a message");
    FeedItem {
        item_id: format!("message/{message_id}").into(),
        version: 1,
        created_at: event.log_time,
        amount_minor,
        ..plain(balance.currency, balance)
    }
}

fn plain(currency: Currency, balance: BalanceAfter) -> FeedItem {
    FeedItem {
        item_id: "".into(),
        version: 0,
        created_at: LogTime::ZERO,
        audience: Audience::Owner,
        kind: ItemKind::Purchase,
        status: ItemStatus::Booked,
        change: ItemChange::Booked,
        amount_minor: 0,
        former_amount_minor: None,
        pending_minor: 0,
        refunded_minor: 0,
        currency,
        original_minor: 0,
        original_currency: currency,
        merchant_name: "".into(),
        merchant_category: None,
        category_text: "".into(),
        country: "".into(),
        card_last_four: "".into(),
        text: "".into(),
        reason: None,
        flags: Vec::new(),
        release_at: None,
        possible_duplicate: false,
        balance,
        timeline: Vec::new(),
    }
}
