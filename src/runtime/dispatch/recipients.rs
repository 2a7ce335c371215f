//! The order of each customer: who is next, and what is still under way.
//!
//! Owns the rule of order. A customer is told one thing at a time, in the order of the log: the next
//! begins when a gateway has taken the one before, or when it has ended. What a gateway has still to
//! take of earlier ones goes on beside it, and what is behind it at the same gateway waits: so a
//! dead gateway holds up nothing but itself, and at no gateway the order is lost.

use super::job::Recipient;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Customer {
    /// Numbers of obligations in the order of the log.
    pub waiting: BTreeSet<u64>,
    /// Resolved, with sends that have not ended.
    pub under_way: BTreeSet<u64>,
    /// The one that no gateway has taken yet; while there is one no other begins.
    pub current: Option<u64>,
    /// Its place among those that may begin the next.
    turn: Option<u64>,
    /// The newest obligation of each line that has not ended.
    pub newest: BTreeMap<Box<str>, (i32, u64)>,
}

#[derive(Default)]
pub(super) struct Recipients {
    customers: BTreeMap<Recipient, Customer>,
    /// Whoever may begin the next, in the order in which they became able to.
    turns: BTreeMap<u64, Recipient>,
    next_turn: u64,
}

impl Recipients {
    pub fn add(&mut self, recipient: &Recipient, line: &str, version: i32, number: u64) {
        let customer = self.customers.entry(recipient.clone()).or_default();
        customer.waiting.insert(number);
        let newest = customer.newest.get(line).copied();
        if newest.is_none_or(|newest| newest < (version, number)) {
            customer.newest.insert(line.into(), (version, number));
        }
        self.settle(recipient);
    }

    pub fn get(&self, recipient: &Recipient) -> Option<&Customer> {
        self.customers.get(recipient)
    }

    /// The next obligation that may begin; it is its customer's current one from here on.
    pub fn begin(&mut self) -> Option<u64> {
        let (_, recipient) = self.turns.pop_first()?;
        let customer = self.customers.get_mut(&recipient)?;
        customer.turn = None;
        customer.current = customer.waiting.pop_first();
        customer.current
    }

    pub fn resolved(&mut self, recipient: &Recipient, number: u64) {
        if let Some(customer) = self.customers.get_mut(recipient) {
            customer.under_way.insert(number);
        }
    }

    /// A gateway has taken it: the next may begin.
    pub fn told(&mut self, recipient: &Recipient, number: u64) {
        if let Some(customer) = self.customers.get_mut(recipient)
            && customer.current == Some(number)
        {
            customer.current = None;
        }
        self.settle(recipient);
    }

    pub fn ended(&mut self, recipient: &Recipient, line: &str, number: u64) {
        if let Some(customer) = self.customers.get_mut(recipient) {
            customer.waiting.remove(&number);
            customer.under_way.remove(&number);
            if customer.newest.get(line).is_some_and(|(_, newest)| *newest == number) {
                customer.newest.remove(line);
            }
        }
        self.told(recipient, number);
    }

    /// Whoever waits and has no current one stands in the row, nobody else; whoever has nothing is
    /// forgotten.
    fn settle(&mut self, recipient: &Recipient) {
        let Some(customer) = self.customers.get_mut(recipient) else { return };
        let may_begin = customer.current.is_none() && !customer.waiting.is_empty();
        match (may_begin, customer.turn) {
            (true, None) => {
                self.next_turn += 1;
                customer.turn = Some(self.next_turn);
                self.turns.insert(self.next_turn, recipient.clone());
            }
            (false, Some(turn)) => {
                customer.turn = None;
                self.turns.remove(&turn);
            }
            (true, Some(_)) | (false, None) => {}
        }
        let has_more = customer.current.is_some() || !customer.under_way.is_empty();
        if customer.waiting.is_empty() && !has_more {
            self.customers.remove(recipient);
        }
    }

    pub fn forget(&mut self, partition: i32) {
        self.customers.retain(|(own, _), _| *own != partition);
        self.turns.retain(|_, (own, _)| *own != partition);
    }

    /// Entries in memory.
    pub fn held(&self) -> usize {
        let lines: usize = self.customers.values().map(|customer| customer.newest.len()).sum();
        self.customers.len() + self.turns.len() + lines
    }
}
