//! The head of one account: who may see it, and the payments that may still change.
//!
//! Owns what a step changes and how a change is put into the head; nothing in here can fail, and
//! the same change to the same head gives the same bytes. A payment stays while anything is held
//! for it, and after that until it is old (`due`). Credits and debits leave no trace: they have one
//! version only.

use super::{
    life::{About, Life, State, extend},
    recent::{self, Recent},
};
use crate::domain::{
    account::Holder,
    feed::{BalanceAfter, TimelineStep},
    ids::{CardToken, CustomerId},
    payment::{Flag, ItemId},
    time::LogTime,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// In the order in which they came.
    pub holders: Vec<Holder>,
    pub cards: Vec<Card>,
    /// By the payment's name. Boxed, because the map allocates room for eleven at once.
    pub lives: BTreeMap<ItemId, Box<Life>>,
    /// Approvals of the last minutes, ascending by time.
    pub recent: Vec<Recent>,
    /// No closed life was changed before it; absent: none is closed. It may be too early, never
    /// too late, so that nobody has to look at all lives after each event.
    pub closed_from: Option<LogTime>,
    /// After the last event that carried balances.
    pub balance: Option<BalanceAfter>,
}

/// What a record changes: where the account stands now, and what is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Absent: as before.
    pub balance: Option<BalanceAfter>,
    pub change: Option<Change>,
}

/// Whose card it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    pub card_token: CardToken,
    pub customer_id: CustomerId,
    pub last_four: Box<str>,
}

/// What a step changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// All holders.
    Holders(Vec<Holder>),
    /// All cards.
    Cards(Vec<Card>),
    Payment(Box<PaymentChange>),
    /// A message named the payment and changed nothing of it: it stays as long as after a change.
    Touch(ItemId, LogTime),
    /// Lives that leave, ascending, and the head's `closed_from` after it.
    Leave(Vec<ItemId>, Option<LogTime>),
}

/// How one payment's life goes on, or begins.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentChange {
    pub id: ItemId,
    /// Absent: as before.
    pub about: Option<About>,
    pub state: State,
    pub flags: Vec<Flag>,
    pub step: TimelineStep,
    /// An approval that a later one may be a duplicate of.
    pub recent: Option<Recent>,
}

impl Head {
    pub fn card(&self, token: &CardToken) -> Option<&Card> {
        self.cards.iter().find(|card| card.card_token == *token)
    }

    /// Returns the lives that left.
    pub fn apply(&mut self, revision: Revision) -> Vec<(ItemId, Life)> {
        let Revision { balance, change } = revision;
        self.balance = balance.or(self.balance);
        change.map_or_else(Vec::new, |change| self.change(change))
    }

    fn change(&mut self, change: Change) -> Vec<(ItemId, Life)> {
        match change {
            Change::Holders(holders) => self.holders = holders,
            Change::Cards(cards) => self.cards = cards,
            Change::Payment(change) => self.revise(*change),
            Change::Touch(id, log_time) => {
                if let Some(life) = self.lives.get_mut(&id) {
                    life.state.changed_at = log_time;
                }
            }
            Change::Leave(leaving, closed_from) => {
                self.closed_from = closed_from;
                let left = leaving.into_iter().filter_map(|id| self.lives.remove_entry(&id));
                return left.map(|(id, life)| (id, *life)).collect();
            }
        }
        Vec::new()
    }

    fn revise(&mut self, change: PaymentChange) {
        let PaymentChange { id, about, state, flags, step, recent } = change;
        if let Some(recent) = recent {
            recent::remember(&mut self.recent, recent);
        }
        self.note_closed(&state);
        let Some(life) = self.lives.get_mut(&id) else {
            let about = about.unwrap_or_default();
            let life = Life { about, state, flags, timeline: vec![step] };
            self.lives.insert(id, Box::new(life));
            return;
        };
        if let Some(about) = about {
            life.about = about;
        }
        life.state = state;
        life.flags = flags;
        extend(&mut life.timeline, step);
    }

    /// Puts a life that was read back into its place.
    pub fn put_back(&mut self, id: ItemId, life: Life) {
        self.note_closed(&life.state);
        self.lives.insert(id, Box::new(life));
    }

    fn note_closed(&mut self, state: &State) {
        if state.is_closed() {
            let from = self.closed_from.unwrap_or(state.changed_at);
            self.closed_from = Some(from.min(state.changed_at));
        }
    }
}
