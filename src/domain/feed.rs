//! The feed: what the holders of an account see of it, one item per payment life cycle and holder.
//!
//! Owns the shapes of `feed.items.v1`; the names are its wire names. An item is published again,
//! with a higher version, each time its payment changes; a reader keeps the highest. It carries the
//! balance after and the position of the event that made it, so that it is visible only together
//! with its effect (payments.md, F1 to F3). All amounts are minor units, never negative.

use super::{
    ids::{AccountId, CustomerId},
    money::Currency,
    payment::Flag,
    reason::Reason,
    settlement::Birth,
    time::LogTime,
};
use serde::{Deserialize, Serialize};

/// One record of `feed.items.v1`, keyed by the customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedRecord {
    pub customer_id: CustomerId,
    pub account_id: AccountId,
    /// Of the event that made it.
    pub log_time: LogTime,
    /// Where that event stands on `payments.events.v1`.
    pub partition: i32,
    pub offset: i64,
    pub body: FeedBody,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FeedBody {
    /// Boxed: it is by far the largest.
    Item(Box<FeedItem>),
    Holding(Holding),
    /// The first record of each partition; says nothing.
    Birth(Birth),
}

/// Why somebody sees an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Of a newer release (the enum's default).
    Unknown,
    /// The card that paid is theirs; first, whether they hold the account or not.
    CardHolder,
    Owner,
    Disponent,
}

/// The customer came to an account, left it, or stands otherwise to it than before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    /// The strongest of what they are: owner, disponent, holder of a card of it.
    pub audience: Audience,
    /// Nothing of the account is theirs to see from here on.
    pub removed: bool,
    pub balance: BalanceAfter,
}

/// Of the account, after the event. available = booked - held + overdraft limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceAfter {
    pub currency: Currency,
    pub booked_minor: i64,
    pub held_minor: i64,
    pub available_minor: i64,
}

/// What an item is about; never changes in its life but for a refund that finds its purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    Unknown,
    /// With a card.
    Purchase,
    /// With a card, at a machine.
    CashWithdrawal,
    /// Money back that belongs to no purchase we know.
    Refund,
    /// A card was tried for nothing (an amount of zero).
    Verification,
    /// Other money in: salary, cash at the counter, a transfer.
    Credit,
    Interest,
    /// Other money out: a transfer, cash at the counter, a standing order.
    Debit,
    Fee,
}

impl ItemKind {
    /// Money comes in; else it goes out.
    pub fn is_incoming(self) -> bool {
        matches!(self, ItemKind::Refund | ItemKind::Credit | ItemKind::Interest)
    }
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    Unknown,
    /// Promised, not booked.
    Pending,
    /// A part is booked, a part still promised.
    PartlyCleared,
    /// Booked: a payment.
    Cleared,
    Declined,
    /// The merchant gave back all that was promised.
    Reversed,
    /// We gave it back, because nobody took it in time.
    Expired,
    PartlyRefunded,
    Refunded,
    /// Announced, not booked: a refund.
    Announced,
    /// Booked: anything but a payment.
    Booked,
    /// A card was tried; nothing moves.
    Verified,
}

/// What made this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemChange {
    Unknown,
    Authorised,
    /// More was promised than before.
    Incremented,
    Verified,
    Declined,
    Reversed,
    Expired,
    Presented,
    PresentmentReversed,
    RefundAnnounced,
    Refunded,
    Booked,
}

/// One line of an item's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineStep {
    pub log_time: LogTime,
    pub change: ItemChange,
    /// What this step moved, promised or gave back.
    pub amount_minor: i64,
}

/// Steps that an item keeps: the first, and the newest of the others.
pub const TIMELINE_STEPS_MAX: usize = 16;

/// One line of a customer's feed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedItem {
    /// `payment/<payment id>` or `message/<message id>`; with the account it names the line.
    pub item_id: Box<str>,
    /// From 1, one more each time.
    pub version: i32,
    /// Log time of the first version: the line's place in the feed, which never changes.
    pub created_at: LogTime,
    pub audience: Audience,
    pub kind: ItemKind,
    pub status: ItemStatus,
    pub change: ItemChange,
    /// What the line shows: cleared and still promised together; what was promised where all was
    /// given back; what was asked where it was declined. In the account's currency.
    pub amount_minor: i64,
    /// What the former version showed, where it showed something else.
    pub former_amount_minor: Option<i64>,
    /// Of it, still promised.
    pub pending_minor: i64,
    pub refunded_minor: i64,
    pub currency: Currency,
    /// What the merchant charged; the same as the amount where it charged in that currency.
    pub original_minor: i64,
    pub original_currency: Currency,
    /// Empty on what is no card payment.
    pub merchant_name: Box<str>,
    pub merchant_category: Option<i32>,
    /// The category in words, its number where it is unknown; empty without one.
    pub category_text: Box<str>,
    /// ISO 3166 alpha-2; empty where unknown.
    pub country: Box<str>,
    /// Empty on what is no card payment.
    pub card_last_four: Box<str>,
    /// Of a credit or debit.
    pub text: Box<str>,
    /// Of a decline.
    pub reason: Option<Reason>,
    pub flags: Vec<Flag>,
    /// When what is promised is given back at the latest.
    pub release_at: Option<LogTime>,
    /// Same card, merchant and amount within ten minutes: a hint and nothing else (R7).
    pub possible_duplicate: bool,
    pub balance: BalanceAfter,
    pub timeline: Vec<TimelineStep>,
}
