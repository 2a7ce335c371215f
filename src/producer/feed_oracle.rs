//! The feed's oracle: who must have been shown what of a folder that was played.
//!
//! Owns a fold of its own over `payments.events.v1` (holders and cards at every position) and the
//! comparison with `feed.items.v1` and the rows that customers read. Consumes each partition in its
//! order, without repeats, all events before the first item. Trusts nothing that the feed stage
//! says: who holds an account, and with what balance an event left it, is read from the events.

use super::oracle::OracleLine;
use crate::domain::{
    command::CommandKind,
    event::{AccountEvent, Balances, Event},
    feed::{BalanceAfter, FeedBody, FeedRecord},
    ids::{AccountId, CardToken, CustomerId},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Where an event stands: partition and offset on `payments.events.v1`.
type Position = (i32, i64);

/// One line of one customer: customer, account, item.
type Line = (CustomerId, AccountId, Box<str>);

#[derive(Debug, Default)]
struct Standing {
    /// In the order they came.
    holders: Vec<CustomerId>,
    cards: BTreeMap<CardToken, CustomerId>,
}

/// What one event asks for.
#[derive(Debug)]
struct Asked {
    account: AccountId,
    audience: Vec<CustomerId>,
    /// How many of the audience have been told, in order.
    told: usize,
    balances: Option<Balances>,
}

/// Judges one folder.
#[derive(Debug)]
pub struct FeedOracle {
    prefix: String,
    accounts: HashMap<AccountId, Standing>,
    asked: HashMap<Position, Asked>,
    /// Newest version of each line, and the position that made it.
    lines: BTreeMap<Line, (i32, Position)>,
    items: usize,
    strangers: usize,
    out_of_order: usize,
    wrong_balances: usize,
    gaps: usize,
    rows: usize,
    wrong_rows: usize,
}

impl FeedOracle {
    /// `name`: of the folder; with a `-` behind it, what the ids of its accounts begin with.
    pub fn new(name: &str) -> Self {
        Self {
            prefix: format!("{name}-"),
            accounts: HashMap::new(),
            asked: HashMap::new(),
            lines: BTreeMap::new(),
            items: 0,
            strangers: 0,
            out_of_order: 0,
            wrong_balances: 0,
            gaps: 0,
            rows: 0,
            wrong_rows: 0,
        }
    }

    pub fn observe(&mut self, partition: i32, offset: i64, event: &AccountEvent) {
        let account = &event.account_id;
        if !account.as_str().starts_with(&self.prefix) {
            return;
        }
        let standing = self.accounts.entry(account.clone()).or_default();
        match &event.body {
            Event::HolderChanged(holder) => {
                let known = standing.holders.iter().position(|it| *it == holder.customer_id);
                match (known, holder.removed) {
                    (Some(place), true) => drop(standing.holders.remove(place)),
                    (None, false) => standing.holders.push(holder.customer_id.clone()),
                    (Some(_), false) | (None, true) => {}
                }
            }
            Event::CardChanged(card) => {
                standing.cards.insert(card.card_token.clone(), card.customer_id.clone());
            }
            body => {
                let Some(card) = seen(body) else { return };
                let card_holder = card.and_then(|token| standing.cards.get(token));
                let mut audience: Vec<CustomerId> = card_holder.into_iter().cloned().collect();
                let others = standing.holders.iter().filter(|it| Some(*it) != card_holder);
                audience.extend(others.cloned());
                let (account, balances) = (account.clone(), event.balances);
                let asked = Asked { account, audience, told: 0, balances };
                self.asked.insert((partition, offset), asked);
            }
        }
    }

    /// A record of the feed's topic, each once, in its order.
    pub fn take(&mut self, record: &FeedRecord) {
        let FeedBody::Item(item) = &record.body else { return };
        if !record.account_id.as_str().starts_with(&self.prefix) {
            return;
        }
        self.items += 1;
        let position = (record.partition, record.offset);
        let asked = self.asked.get_mut(&position).filter(|it| it.account == record.account_id);
        let Some(asked) = asked else {
            self.strangers += 1;
            return;
        };
        match asked.audience.iter().position(|it| *it == record.customer_id) {
            None => self.strangers += 1,
            // Each customer's topic partition is read by itself: only a second copy is wrong here.
            Some(_) => asked.told += 1,
        }
        self.wrong_balances += usize::from(asked.balances.map(shown) != Some(item.balance));
        let line = (record.customer_id.clone(), record.account_id.clone(), item.item_id.clone());
        match self.lines.get_mut(&line) {
            Some((version, at)) => {
                self.gaps += usize::from(item.version != *version + 1);
                self.out_of_order += usize::from(*at >= position);
                (*version, *at) = (item.version, position);
            }
            None => {
                self.gaps += usize::from(item.version != 1);
                self.lines.insert(line, (item.version, position));
            }
        }
    }

    /// A row of the read model: it must be the newest version of a line.
    pub fn take_row(&mut self, customer: &str, record: &FeedRecord) {
        let FeedBody::Item(item) = &record.body else { return };
        if !record.account_id.as_str().starts_with(&self.prefix) {
            return;
        }
        self.rows += 1;
        let line = (record.customer_id.clone(), record.account_id.clone(), item.item_id.clone());
        let newest = self.lines.get(&line).map(|(version, _)| *version);
        let is_right = newest == Some(item.version) && record.customer_id.as_str() == customer;
        self.wrong_rows += usize::from(!is_right);
    }

    pub fn verdict(&self) -> Vec<OracleLine> {
        let asked: usize = self.asked.values().map(|it| it.audience.len()).sum();
        let told = self.asked.values().map(|it| it.told.min(it.audience.len())).sum();
        let joint = self.accounts.values().filter(|it| it.holders.len() > 1).count();
        let customers: BTreeSet<&CustomerId> = self.lines.keys().map(|line| &line.0).collect();
        vec![
            OracleLine::listed("accounts with more than one holder", joint),
            OracleLine::listed("customers with a feed", customers.len()),
            OracleLine::equal("items for each event and holder", asked, told),
            OracleLine::equal("items in all", asked, self.items),
            OracleLine::equal("items for somebody else", 0, self.strangers),
            OracleLine::equal("items whose balance is not the event's", 0, self.wrong_balances),
            OracleLine::equal("versions that skip or come again", 0, self.gaps + self.out_of_order),
            OracleLine::equal("feed lines in Cassandra", self.lines.len(), self.rows),
            OracleLine::equal("of them not the newest version", 0, self.wrong_rows),
        ]
    }
}

/// Whether customers see an event; of a card payment, with which card.
fn seen(event: &Event) -> Option<Option<&CardToken>> {
    match event {
        Event::PaymentAuthorised(it) => Some(Some(&it.payment.card_token)),
        Event::PaymentDeclined(it) => Some(Some(&it.purchase.card_token)),
        Event::PaymentReversed(it) => Some(Some(&it.payment.card_token)),
        Event::HoldExpired(it) => Some(Some(&it.payment.card_token)),
        Event::PaymentPresented(it) => Some(Some(&it.payment.card_token)),
        Event::PresentmentReversed(it) => Some(Some(&it.payment.card_token)),
        Event::RefundAuthorised(it) => Some(Some(&it.payment.card_token)),
        Event::PaymentRefunded(it) => Some(Some(&it.payment.card_token)),
        Event::AccountCredited(_) | Event::AccountDebited(_) => Some(None),
        Event::CommandDeclined(it) => (it.kind == CommandKind::Debit).then_some(None),
        Event::AccountOpened(_)
        | Event::AccountChanged(_)
        | Event::HolderChanged(_)
        | Event::CardChanged(_)
        | Event::OriginalNotFound(_)
        | Event::MovedToSuspense(_)
        | Event::MessageRepeated(_)
        | Event::MessageConflicted(_)
        | Event::Tick(_) => None,
    }
}

fn shown(balances: Balances) -> BalanceAfter {
    BalanceAfter {
        currency: balances.currency,
        booked_minor: balances.booked_minor,
        held_minor: balances.held_minor,
        available_minor: balances.booked_minor - balances.held_minor
            + balances.overdraft_limit_minor,
    }
}
