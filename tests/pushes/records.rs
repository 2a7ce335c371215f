//! Records of the feed as the stage before writes them, for worlds and cases.
//!
//! Owns one builder with defaults: a pending purchase of 12.34 EUR at a merchant. Ids are those of
//! outputs of the account's own key on another topic.

use crate::codec::{
    avro::Avro,
    dead_letter::TimestampType,
    headers::{HeaderList, ORIGIN_MS, REPLAY_ID, SRC},
    partitioner::partition_of,
    raw::RawRecord,
    schemas::Subject,
};
use crate::domain::{
    feed::{
        Audience, BalanceAfter, FeedBody, FeedItem, FeedRecord, ItemChange, ItemKind, ItemStatus,
        TimelineStep,
    },
    ids::{AccountId, CustomerId},
    money::Currency,
    time::LogTime,
};

pub const PARTITIONS: i32 = 2;

pub fn currency(code: &str) -> Currency {
    Currency::parse(code).expect("a code of three letters")
}

/// A pending purchase.
pub fn purchase(item_id: &str) -> FeedItem {
    let eur = currency("EUR");
    FeedItem {
        item_id: item_id.into(),
        version: 1,
        created_at: LogTime(1_000),
        audience: Audience::Owner,
        kind: ItemKind::Purchase,
        status: ItemStatus::Pending,
        change: ItemChange::Authorised,
        amount_minor: 1_234,
        former_amount_minor: None,
        pending_minor: 1_234,
        refunded_minor: 0,
        currency: eur,
        original_minor: 1_234,
        original_currency: eur,
        merchant_name: "Bookshop".into(),
        merchant_category: Some(5942),
        category_text: "Book stores".into(),
        country: "CZ".into(),
        card_last_four: "4242".into(),
        text: "".into(),
        reason: None,
        flags: Vec::new(),
        release_at: None,
        possible_duplicate: false,
        balance: BalanceAfter {
            currency: eur,
            booked_minor: 10_000,
            held_minor: 1_234,
            available_minor: 8_766,
        },
        timeline: vec![step(ItemChange::Authorised, 1_234)],
    }
}

pub fn step(change: ItemChange, amount_minor: i64) -> TimelineStep {
    TimelineStep { log_time: LogTime(1_000), change, amount_minor }
}

/// Cleared for another amount: version `version` of the purchase.
pub fn cleared(item_id: &str, version: i32, amount_minor: i64) -> FeedItem {
    let mut item = purchase(item_id);
    (item.version, item.change, item.status) =
        (version, ItemChange::Presented, ItemStatus::Cleared);
    item.former_amount_minor = Some(item.amount_minor).filter(|former| *former != amount_minor);
    (item.amount_minor, item.pending_minor) = (amount_minor, 0);
    item.timeline.push(step(ItemChange::Presented, amount_minor));
    item
}

/// What the record needs beside the item.
pub struct Placed<'a> {
    pub customer: &'a str,
    pub number: u64,
    pub at_ms: i64,
    pub replayed: bool,
}

/// The record, for the end of its partition.
pub fn record(placed: &Placed<'_>, item: FeedItem, offset: i64) -> RawRecord {
    let account = format!("acc-{}", placed.customer);
    let value = FeedRecord {
        customer_id: CustomerId::from(placed.customer),
        account_id: AccountId::from(account.as_str()),
        log_time: LogTime(placed.at_ms),
        partition: 0,
        offset: placed.number as i64,
        body: FeedBody::Item(Box::new(item)),
    };
    let mut bytes = Vec::new();
    Avro::of(Subject::FeedItems).encode(&value, &mut bytes);
    let mut headers = HeaderList::new();
    headers.push_text(SRC, &format!("3:0:{}:0:{account}", placed.number));
    headers.push_text(ORIGIN_MS, &placed.at_ms.to_string());
    if placed.replayed {
        headers.push_text(REPLAY_ID, "r-1");
    }
    RawRecord {
        partition: partition(placed.customer),
        offset,
        timestamp_ms: placed.at_ms,
        timestamp_type: TimestampType::LogAppendTime,
        key: Some(placed.customer.as_bytes().to_vec()),
        value: Some(bytes),
        headers,
    }
}

pub fn partition(customer: &str) -> i32 {
    partition_of(customer.as_bytes(), PARTITIONS)
}
