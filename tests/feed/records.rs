//! Records as bytes: what is taken, what is refused, what comes out and how others read it.

use crate::{
    desk::{codec, opened},
    events::{PARTITIONS, check_what_is_taken, poison, raw},
};
use tapline::{
    codec::{
        DecodeError, StageCodec,
        avro::RegistryIds,
        births::{BIRTH_KEY, birth_value},
        feed::{birth, decode_record},
        limits::Sizes,
        raw::RawRecord,
        topics::FEED_ITEMS,
    },
    domain::feed::{FeedBody, FeedRecord},
    stages::{ReadRow, feed::read_row},
};

fn item_record(key: &str, record: &FeedRecord) -> RawRecord {
    let mut value = Vec::new();
    codec().encode_output(record, &mut value);
    raw(key, value)
}

fn read(record: &RawRecord) -> Result<FeedRecord, DecodeError> {
    decode_record(record, PARTITIONS, &Sizes::default(), &RegistryIds::default())
}

/// Goal: an event is taken only where it belongs. Method: a good record with one thing changed.
#[test]
fn what_is_taken() {
    check_what_is_taken(&codec());
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
    let rows: Vec<ReadRow> = desk.records.iter().filter_map(read_row).collect();
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
    assert_eq!(read_row(&birth()), None);
}
