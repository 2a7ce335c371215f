//! The audience of an account, from its events alone: who holds it, whose cards are on it.
//!
//! Owns who sees an event at its own position: the customer of the card first, then everybody who
//! holds the account then. Whose card it is not and who holds nothing sees nothing. Never looks at
//! what was shown. A customer whose name is empty or reserved cannot be shown anything.

use super::avro::{Doc, flag, text};
use std::collections::BTreeMap;

const RESERVED: &str = "tapline.";

#[derive(Default)]
pub struct Audience {
    /// Customer and role, in the order in which they came.
    holders: Vec<(String, String)>,
    /// Card token to customer.
    cards: BTreeMap<String, String>,
}

/// How a customer stood to the account before and after an event; absent: not at all.
pub struct Stand {
    pub customer: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Audience {
    /// Customer and why, the first one first.
    pub fn members(&self, card: Option<&str>) -> Vec<(String, String)> {
        let owner = card.and_then(|token| self.cards.get(token));
        let mut members = Vec::new();
        if let Some(customer) = owner {
            members.push((customer.clone(), "card_holder".to_owned()));
        }
        for (customer, role) in &self.holders {
            if Some(customer) != owner {
                members.push((customer.clone(), role.clone()));
            }
        }
        members.retain(|(customer, _)| can_be_shown(customer));
        members
    }

    /// Takes a change of holders or cards; returns whom it concerns.
    pub fn change(&mut self, event: &Doc) -> Vec<Stand> {
        let body = event.body();
        let name = |name| text(body, name).unwrap_or("").to_owned();
        let customer = name("customer_id");
        let mut concerned = vec![customer.clone()];
        if event.kind == "CardChanged" {
            let former = self.cards.get(&name("card_token"));
            if let Some(former) = former.filter(|former| **former != customer) {
                concerned.insert(0, former.clone());
            }
        }
        let before: Vec<Option<String>> = concerned.iter().map(|it| self.stand(it)).collect();
        if event.kind == "CardChanged" {
            self.cards.insert(name("card_token"), customer);
        } else if flag(body, "removed") {
            self.holders.retain(|(known, _)| *known != customer);
        } else {
            match self.holders.iter_mut().find(|(known, _)| *known == customer) {
                Some(holder) => holder.1 = name("role"),
                None => self.holders.push((customer, name("role"))),
            }
        }
        let stands = concerned.into_iter().zip(before).map(|(customer, before)| {
            let after = self.stand(&customer);
            Stand { customer, before, after }
        });
        stands.filter(|stand| can_be_shown(&stand.customer)).collect()
    }

    /// The strongest of what a customer is to the account.
    fn stand(&self, customer: &str) -> Option<String> {
        let holder = self.holders.iter().find(|(known, _)| known == customer);
        let has_card = self.cards.values().any(|owner| owner == customer);
        match holder {
            Some((_, role)) => Some(role.clone()),
            None => has_card.then(|| "card_holder".to_owned()),
        }
    }
}

fn can_be_shown(customer: &str) -> bool {
    !customer.is_empty() && !customer.starts_with(RESERVED)
}
