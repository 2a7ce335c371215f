//! A forger's tools: read a record, change it, write it again, number anew, link the chains anew.
//!
//! Owns what makes a corrupted run consistent with itself, so that the check a corruption aims at
//! must find it and not merely the chain. Knows no corruption.

use super::good_run::{PARTITIONS, Rec, Run, codec};
use std::collections::HashMap;
use tapline::{
    codec::{
        StageCodec,
        avro::{Avro, RegistryIds},
        frame::{Chain, OutputId, chain},
        schemas::Subject,
    },
    domain::{
        command::{AccountCommand, Command},
        event::{AccountEvent, Event, PaymentDeclined},
        reason::Reason,
    },
    stages::authorisation::Output,
};

pub fn read(record: &Rec) -> AccountEvent {
    let value = record.value.as_deref().expect("a value");
    Avro::of(Subject::Events).decode(value, &RegistryIds::default()).expect("an event")
}

pub fn written(event: &AccountEvent) -> Vec<u8> {
    let mut value = Vec::new();
    codec().encode_output(&Output::Event(event.clone()), &mut value);
    value
}

pub fn is_authorised(event: &AccountEvent) -> bool {
    matches!(event.body, Event::PaymentAuthorised(_))
}

pub fn is_diverted(declined: &PaymentDeclined) -> bool {
    declined.reason == Reason::Diverted
}

/// One of the two is no answer to a message: ticks are passed on without a number.
pub fn is_tick(one: &Rec, other: &Rec) -> bool {
    one.header("tapline-seq").is_none() || other.header("tapline-seq").is_none()
}

/// The matching event at the lowest log position.
pub fn find(run: &Run, pick: impl Fn(&AccountEvent) -> bool) -> usize {
    let matching = (0..run.events.len()).filter(|place| pick(&read(&run.events[*place])));
    matching.min_by_key(|place| run.events[*place].source().source.offset).expect("such an event")
}

/// Changes an event and its copies, and the chain after it.
pub fn edit(
    run: &mut Run,
    pick: impl Fn(&AccountEvent) -> bool,
    change: impl Fn(&mut AccountEvent),
) -> String {
    let id = run.events[find(run, pick)].source();
    for record in run.events.iter_mut().filter(|record| record.source() == id) {
        let mut event = read(record);
        change(&mut event);
        record.value = Some(written(&event));
    }
    forge(run);
    id.to_string()
}

pub fn drop_event(run: &mut Run, pick: impl Fn(&AccountEvent) -> bool) -> String {
    let id = run.events[find(run, pick)].source();
    run.events.retain(|record| record.source() != id);
    forge(run);
    id.to_string()
}

/// Numbers events and links chains as if nothing had happened.
pub fn forge(run: &mut Run) {
    for partition in 0..PARTITIONS {
        let mut chains: HashMap<Vec<u8>, (i64, Chain)> = HashMap::new();
        let mut linked: HashMap<OutputId, (i64, Chain)> = HashMap::new();
        let own = run.events.iter_mut().filter(|record| record.partition == partition);
        for (offset, record) in own.enumerate() {
            record.offset = offset as i64;
            if record.header("tapline-seq").is_none() {
                continue;
            }
            let (seq, link) = *linked.entry(record.source()).or_insert_with(|| {
                let latest = chains.entry(record.key.clone().expect("a key")).or_default();
                let value = record.value.as_deref().expect("a value");
                *latest = (latest.0 + 1, chain(&latest.1, value));
                *latest
            });
            record.set_header("tapline-seq", seq.to_string());
            record.set_header("tapline-chain", link.to_string());
        }
    }
}

/// Puts an event after the last of its partition whose id is not above.
pub fn insert(run: &mut Run, record: Rec) -> String {
    let order = |record: &Rec| {
        let id = record.source();
        (id.source.offset, id.key.unwrap_or_default(), id.index)
    };
    let same = |other: &Rec| other.partition == record.partition;
    let place = run.events.iter().rposition(|other| same(other) && order(other) <= order(&record));
    let id = record.source().to_string();
    run.events.insert(place.expect("an earlier one") + 1, record);
    forge(run);
    id
}

pub fn read_command(record: &Rec) -> Option<AccountCommand> {
    let value = record.value.as_deref()?;
    Avro::of(Subject::Commands).decode(value, &RegistryIds::default()).ok()
}

pub fn rewrite(record: &mut Rec, change: impl Fn(&mut Command)) {
    let mut command = read_command(record).expect("a command");
    change(&mut command.body);
    let mut value = Vec::new();
    codec().encode_output(&Output::Command(command), &mut value);
    record.value = Some(value);
}

/// Where a dead letter came from.
pub fn origin(letter: &Rec) -> String {
    let header = |name: &str| {
        let found = letter.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.clone()).expect("an origin")
    };
    let partition = header("kafka_dlt-original-partition").try_into().expect("4 bytes");
    let offset = header("kafka_dlt-original-offset").try_into().expect("8 bytes");
    format!("{}:{}", i32::from_be_bytes(partition), i64::from_be_bytes(offset))
}
