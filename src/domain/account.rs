//! One account: its balances, holders, cards, limits, and everything its messages may still name.
//!
//! Owns the state of one key of the authorisation stage (its head). booked = opening + credits -
//! debits; held = sum of the open holds of its payments; available = booked - held + overdraft
//! limit (I3, I4). Items leave the head when they are closed and old (pipeline.md section 5).

use super::{
    command::{Channel, CommandKind},
    event::Balances,
    ids::{CardToken, CustomerId, PaymentId},
    mark::Mark,
    money::Currency,
    payment::{ItemId, Payment},
    time::LogTime,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// Nothing was opened under this id; only the marks of what was refused are kept.
    #[default]
    Unopened,
    Open,
    Frozen,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderRole {
    Owner,
    /// May use the account without owning it.
    Disponent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardStatus {
    Inactive,
    Active,
    Paused,
    Closed,
}

/// Caps; absent means none. Money in minor units of the account's currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub transaction_minor: Option<i64>,
    pub daily_minor: Option<i64>,
    pub monthly_minor: Option<i64>,
    pub lifetime_minor: Option<i64>,
    /// At most `velocity_count` approvals in a window of `velocity_window_ms` of log time; windows
    /// are aligned to 1970, not sliding (ours).
    pub velocity_count: Option<i32>,
    pub velocity_window_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub customer_id: CustomerId,
    pub role: HolderRole,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    pub card_token: CardToken,
    pub customer_id: CustomerId,
    pub status: CardStatus,
    pub expires_at: Option<LogTime>,
    pub last_four: Box<str>,
    pub blocked_categories: Vec<i32>,
    pub blocked_channels: Vec<Channel>,
    pub limits: Option<Limits>,
}

/// What was approved under one set of limits, per period; a new period starts at zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// `account`, `card:<token>`, or `rule:<name>:<token>` for a limit of the rules.
    pub scope: Box<str>,
    pub day: i64,
    pub daily_minor: i64,
    pub month: i64,
    pub monthly_minor: i64,
    pub lifetime_minor: i64,
    pub velocity_window: i64,
    pub velocity_count: i32,
}

/// A credit, a debit, or a change of the account, kept so that its repeat is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Booking {
    pub kind: CommandKind,
    /// Effect on the booked balance: credits positive, debits negative, changes of the account 0.
    pub booked_minor: i64,
    pub booked_at: LogTime,
    pub mark: Mark,
}

/// A presentment or refund whose life-cycle id was not known and that was matched otherwise:
/// remembers under its own id which payment took it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alias {
    pub payment_id: PaymentId,
    pub marks: Vec<Mark>,
}

/// Boxed, because the map that holds items allocates room for eleven at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    Payment(Box<Payment>),
    Booking(Box<Booking>),
    Alias(Box<Alias>),
}

/// Running sums of one account, of which a partition's lag in money is added up. Only growing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub approved_minor: i64,
    /// V and E together.
    pub given_back_minor: i64,
    pub presented_minor: i64,
    pub presentment_reversed_minor: i64,
    pub refunded_minor: i64,
    pub credited_minor: i64,
    pub debited_minor: i64,
}

/// The part of the head that nearly every step changes; small enough to copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub status: AccountStatus,
    /// Absent while unopened.
    pub currency: Option<Currency>,
    pub booked_minor: i64,
    pub held_minor: i64,
    pub overdraft_limit_minor: i64,
    pub totals: Totals,
}

impl Standing {
    pub fn available_minor(&self) -> i64 {
        self.booked_minor - self.held_minor + self.overdraft_limit_minor
    }

    /// `None` while the account is unopened.
    pub fn balances(&self) -> Option<Balances> {
        self.currency.map(|currency| Balances {
            currency,
            booked_minor: self.booked_minor,
            held_minor: self.held_minor,
            overdraft_limit_minor: self.overdraft_limit_minor,
        })
    }
}

/// The head of one account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub standing: Standing,
    pub limits: Option<Limits>,
    pub holders: Vec<Holder>,
    pub cards: Vec<Card>,
    pub usage: Vec<Usage>,
    pub items: BTreeMap<ItemId, Item>,
}

impl Account {
    pub fn card(&self, token: &CardToken) -> Option<&Card> {
        self.cards.iter().find(|card| &card.card_token == token)
    }

    pub fn payment(&self, id: &ItemId) -> Option<&Payment> {
        match self.items.get(id) {
            Some(Item::Payment(payment)) => Some(payment),
            Some(Item::Booking(_) | Item::Alias(_)) | None => None,
        }
    }

    pub fn payments(&self) -> impl Iterator<Item = (&ItemId, &Payment)> {
        self.items.iter().filter_map(|(id, item)| match item {
            Item::Payment(payment) => Some((id, payment.as_ref())),
            Item::Booking(_) | Item::Alias(_) => None,
        })
    }
}
