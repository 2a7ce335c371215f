//! Records as bytes: what is taken, what is refused, what comes out and how others read it.

use crate::desk::{PARTITIONS, codec, opened, tick_event};
use tapline::{
    codec::{
        DecodeError, StageCodec,
        avro::{Avro, RegistryIds},
        births::{BIRTH_KEY, birth_value},
        dead_letter::TimestampType,
        feed::{birth, decode_record},
        headers::HeaderList,
        limits::Sizes,
        partitioner::partition_of,
        raw::RawRecord,
        schemas::Subject,
        topics::FEED_ITEMS,
    },
    domain::{
        event::{AccountEvent, Event, OriginalNotFound},
        feed::{FeedBody, FeedRecord},
        time::LogTime,
    },
    stages::{Poison, ReadRow, Stage, feed::Feed},
};

fn raw(key: &str, value: Vec<u8>) -> RawRecord {
    RawRecord {
        partition: partition_of(key.as_bytes(), PARTITIONS),
        offset: 7,
        timestamp_ms: 1,
        timestamp_type: TimestampType::LogAppendTime,
        key: Some(key.as_bytes().to_vec()),
        value: Some(value),
        headers: HeaderList::default(),
    }
}

fn event_record(key: &str, event: &AccountEvent) -> RawRecord {
    let mut value = Vec::new();
    Avro::of(Subject::Events).encode(event, &mut value);
    raw(key, value)
}

fn event(account: &str) -> AccountEvent {
    AccountEvent {
        account_id: account.into(),
        message_id: None,
        log_time: LogTime(1),
        balances: None,
        body: Event::OriginalNotFound(OriginalNotFound { payment_id: "p1".into() }),
    }
}

fn item_record(key: &str, record: &FeedRecord) -> RawRecord {
    let mut value = Vec::new();
    codec().encode_output(record, &mut value);
    raw(key, value)
}

fn read(record: &RawRecord) -> Result<FeedRecord, DecodeError> {
    decode_record(record, PARTITIONS, &Sizes::default(), &RegistryIds::default())
}

fn poison<T>(code: &'static str) -> Result<T, DecodeError> {
    Err(DecodeError::Poison(Poison { code }))
}

/// Goal: an event is taken only where it belongs. Method: a good record with one thing changed.
#[test]
fn what_is_taken() {
    let codec = codec();
    let good = event_record("acc-1", &event("acc-1"));
    assert_eq!(codec.decode(&good), Ok(event("acc-1")));
    assert_eq!(codec.divertible_key(&good), Some("acc-1"));
    let tick = event_record("tapline.partition", &tick_event(LogTime(5)));
    assert_eq!(codec.decode(&tick), Ok(tick_event(LogTime(5))));
    assert_eq!(codec.divertible_key(&tick), None);
    let elsewhere = RawRecord { partition: (good.partition + 1) % PARTITIONS, ..good.clone() };
    assert_eq!(codec.decode(&elsewhere), poison("wrong_partition"));
    assert_eq!(codec.decode(&event_record("acc-1", &event("acc-2"))), poison("wrong_key"));
    let tick_elsewhere = event_record("acc-1", &tick_event(LogTime(5)));
    assert_eq!(codec.decode(&tick_elsewhere), poison("wrong_key"));
    let mut value = good.value.clone().expect("a value");
    value[3] ^= 1;
    let newer = RawRecord { value: Some(value), ..good };
    assert!(matches!(codec.decode(&newer), Err(DecodeError::UnknownSchema(_))));
}

/// Goal: whoever reads the feed reads what was written, under its customer's key only; the birth
/// says nothing. Method: every record of a short history, and each with one thing changed.
#[test]
fn what_others_read() {
    let (mut world, mut desk) = opened(&["anna", "ben"]);
    desk.run(&mut world, "auth p1 500");
    desk.run(&mut world, "debit 99999");
    assert!(desk.records.len() > 7);
    for record in &desk.records {
        let customer = record.customer_id.as_str();
        let good = item_record(customer, record);
        assert_eq!(read(&good).as_ref(), Ok(record));
        assert_eq!(read(&item_record("somebody", record)), poison("wrong_key"));
        assert_eq!(read(&item_record(BIRTH_KEY, record)), poison("wrong_key"));
        let elsewhere = RawRecord { partition: (good.partition + 1) % PARTITIONS, ..good.clone() };
        assert_eq!(read(&elsewhere), poison("wrong_partition"));
        let type_of = match &record.body {
            FeedBody::Item(_) => "tapline.feed.item_changed.v1",
            _ => "tapline.feed.holding_changed.v1",
        };
        assert_eq!(codec().ce_type(record), type_of);
    }
    let value = birth_value(FEED_ITEMS).expect("push reads the topic");
    assert_eq!(read(&raw(BIRTH_KEY, value.clone())), Ok(birth()));
    assert_eq!(read(&raw("anna", value)), poison("wrong_key"));
    // A customer's name may be as long as any text of a command.
    let long = "n".repeat(1_000);
    let record = FeedRecord { customer_id: long.as_str().into(), ..desk.records[0].clone() };
    assert_eq!(read(&item_record(&long, &record)), Ok(record));
}

/// Goal: rows of the read model stand where readers look for them. Method: a holding and an item,
/// and the birth, which is none.
#[test]
fn rows() {
    let (mut world, mut desk) = opened(&["anna"]);
    desk.run(&mut world, "tick 31");
    desk.run(&mut world, "auth p1 500 card=none");
    let rows: Vec<ReadRow> = desk.records.iter().filter_map(Feed::read_row).collect();
    let row = |period: i32, order: i64, item: &str| ReadRow {
        period,
        key: "anna".into(),
        order,
        item: item.into(),
    };
    assert_eq!(rows.first(), Some(&row(-1, 0, "account-1")));
    // 1 February 2026: 56 years and a month.
    let last = row(56 * 12 + 1, world.clock.0, "account-1/payment/p1");
    assert_eq!(rows.last(), Some(&last));
    assert_eq!(Feed::read_row(&birth()), None);
}
