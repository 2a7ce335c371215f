//! The Kafka adapters against a real broker.
//!
//! Owns what the client library is known to get wrong: slow acknowledgement, another partitioner,
//! look-ups by position. Topics only, no worker.

use super::{
    ground::{Ground, Site},
    watch,
    writing::{self, Draft, Pen},
};
use std::{
    collections::BTreeMap,
    sync::mpsc,
    time::{Duration, Instant},
};
use tapline::adapters::kafka::{
    groups,
    reader::Reader,
    sender::{Outbound, Sender, Ticket},
};
use tapline::codec::{headers::HeaderList, partitioner::partition_of};
use tapline::runtime::telemetry;

/// Goal: acks come at once, keys go where Java's murmur2 puts them, positions mean what they say.
/// Method: single publishes timed; 1,000 keys without a partition, read back; seek, ends, times and
/// offsets committed by somebody who never joined.
pub fn adapters(ground: &Ground) {
    let site = ground.site("kafka");
    acks_are_prompt(&site);
    keys_land_where_murmur2_says(&site);
    positions(&site);
}

fn acks_are_prompt(site: &Site) {
    let pen = Pen::open(site);
    let mut micros: Vec<u128> = (0..200)
        .map(|number| {
            let draft = writing::drafted(&writing::open(&format!("prompt-{number}")));
            let begun = Instant::now();
            pen.write(&draft);
            begun.elapsed().as_micros()
        })
        .collect();
    micros.sort_unstable();
    let p50_ms = micros[micros.len() / 2] as f64 / 1_000.0;
    let worst_ms = micros[micros.len() - 1] as f64 / 1_000.0;
    println!("  publish and ack: p50 {p50_ms:.1} ms, worst {worst_ms:.1} ms");
    assert!(p50_ms < 20.0, "publish and ack take {p50_ms} ms at the median");
}

fn keys_land_where_murmur2_says(site: &Site) {
    let before = watch::spans(site, &site.commands());
    let sender = Sender::open(&site.config.kafka, "test").expect("a producer");
    let keys: Vec<String> = (0..1_000)
        .map(|number| match number % 4 {
            0 => format!("acc-{number:06}"),
            1 => format!("é-ü-{number}"),
            2 => format!("口座{number}"),
            _ => format!("🙂{}", "x".repeat(number % 40)) + &number.to_string(),
        })
        .collect();
    let (done, acked) = mpsc::channel();
    let ticket = Ticket::new(
        keys.len(),
        Box::new(move |acked| {
            let _ = done.send(acked);
        }),
    );
    let topic = site.commands();
    let headers = HeaderList::new();
    for key in &keys {
        let (key, value) = (Some(key.as_bytes()), Some(&b"no value"[..]));
        let outbound = Outbound { topic: &topic, partition: None, key, value, headers: &headers };
        sender.send(outbound, &ticket).expect("the client takes the record");
    }
    acked.recv_timeout(Duration::from_secs(30)).expect("all acks within 30 s");
    let found = watch::beyond(site, &topic, &before);
    assert_eq!(found.len(), keys.len());
    let mut used = BTreeMap::new();
    for raw in &found {
        let key = raw.key.as_deref().expect("a key");
        assert_eq!(raw.partition, partition_of(key, site.partitions()), "{:?}", raw.key_text());
        *used.entry(raw.partition).or_insert(0) += 1;
    }
    assert_eq!(used.len(), site.partitions() as usize, "every partition gets keys: {used:?}");
    // A golden vector: the same that a Java producer's tests have.
    assert_eq!(partition_of("foobar".as_bytes(), 12), 6);
}

fn positions(site: &Site) {
    let topic = site.commands();
    let reader = Reader::open(&site.config.kafka, "test.side").expect("a reader");
    let span = reader.span(&topic, 1).expect("a partition's ends");
    assert!(span.start == 0 && span.end > 100, "{span:?}");
    for at in [span.end - 1, 0, span.end / 2] {
        reader.assign(&topic, &[(1, at)]).expect("assigned");
        let (partition, raw) =
            reader.next(Duration::from_secs(20)).expect("no error").expect("a record");
        assert_eq!((partition, raw.offset), (1, at), "the first record after a seek");
    }
    let marked = Pen::open(site).write(&Draft {
        key: Some(b"marked".to_vec()),
        value: Some(b"x".to_vec()),
        partition: Some(1),
        ..Draft::default()
    });
    assert_eq!(marked.offset, span.end, "the end is the next record's offset");
    let middle_ms = {
        reader.assign(&topic, &[(1, marked.offset)]).expect("assigned");
        let (_, raw) = reader.next(Duration::from_secs(20)).expect("no error").expect("a record");
        raw.timestamp_ms
    };
    let at = |time_ms| {
        groups::offsets_at(&site.config.kafka, &topic, &[1], time_ms).expect("look-up by time")[0]
    };
    assert_eq!(at(0), Some(0), "before the first record");
    assert!(at(middle_ms).is_some_and(|found| found <= marked.offset), "at a record's own time");
    assert_eq!(at(telemetry::now_ms() + 3_600_000), None, "in the future");

    let group = "test.committed-from-outside";
    let other = Reader::open(&site.config.kafka, group).expect("a reader");
    assert_eq!(other.committed(&topic, &[0, 1]).expect("asked"), [None, None]);
    other.commit(&topic, 1, 42).expect("a commit by somebody who never joined");
    let again = Reader::open(&site.config.kafka, group).expect("a reader");
    assert_eq!(again.committed(&topic, &[0, 1]).expect("asked"), [None, Some(42)]);
}
