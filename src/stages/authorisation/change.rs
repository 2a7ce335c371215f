//! The difference between an account's head and the next.
//!
//! Owns how a decided difference is put into a head. A change holds only what changed, so that
//! deciding never clones a head. Never decides: applying the same change to the same head gives the
//! same bytes, and nothing in here can fail.

use crate::domain::{
    account::{Account, Card, Holder, Item, Limits, Standing, Usage},
    payment::ItemId,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Whole: it is small and nearly every step changes it.
    pub standing: Standing,
    /// New account limits; absent: as before.
    pub limits: Option<Limits>,
    /// All holders; absent: as before.
    pub holders: Option<Vec<Holder>>,
    /// All cards; absent: as before.
    pub cards: Option<Vec<Card>>,
    /// Rows to replace or add, found by their scope.
    pub usage: Vec<Usage>,
    /// Items to replace or add.
    pub items: Vec<(ItemId, Item)>,
    /// Items that leave the head, after `items` were put in; ascending.
    pub leaving: Vec<ItemId>,
}

impl Change {
    /// No difference yet.
    pub fn none(standing: Standing) -> Self {
        Self {
            standing,
            limits: None,
            holders: None,
            cards: None,
            usage: Vec::new(),
            items: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// Returns the items that left, in the order of `leaving`.
    pub fn apply(self, head: &mut Account) -> Vec<(ItemId, Item)> {
        head.standing = self.standing;
        if self.limits.is_some() {
            head.limits = self.limits;
        }
        if let Some(holders) = self.holders {
            head.holders = holders;
        }
        if let Some(cards) = self.cards {
            head.cards = cards;
        }
        for row in self.usage {
            match head.usage.iter_mut().find(|known| known.scope == row.scope) {
                Some(known) => *known = row,
                None => head.usage.push(row),
            }
        }
        for (id, item) in self.items {
            head.items.insert(id, item);
        }
        self.leaving.iter().filter_map(|id| head.items.remove_entry(id)).collect()
    }
}
