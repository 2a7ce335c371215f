//! Misdeeds in what customers see and are told: one change to a good copy each, and the id to be
//! named.
//!
//! Owns the table. An item is changed with its copies and the rows that hold its bytes, so that the
//! check it aims at must find it and not the comparison of copies.

use super::{
    books::{read, written},
    good_run::{BUCKETS, PARTITIONS, Rec},
    served::{FeedRow, Served},
};
use tapline::{
    codec::{
        frame::OutputId,
        partitioner::{bucket_of, partition_of},
        schemas::Subject,
    },
    domain::{
        feed::{FeedBody, FeedItem, FeedRecord},
        money::Currency,
        push::{Outcome, PushOutcome},
    },
};

/// Changes the copy; returns the id that must be named.
pub type Misdeed = fn(&mut Served) -> String;

/// What is wrong, the invariant that must see it, the change.
pub const MISDEEDS: &[(&str, &str, Misdeed)] = &[
    ("item dropped", "P9", |served| {
        let id = served.items[find(served, is_followed)].source();
        served.items.retain(|record| record.header("tapline-src") != Some(id.to_string()));
        number(&mut served.items);
        id.to_string()
    }),
    ("item doubled under another id", "P9", |served| {
        let record = served.items[find(served, is_followed)].clone();
        twin(served, record, |_| {})
    }),
    ("item to a stranger instead", "P9", |served| {
        edit(served, is_followed, |record| record.customer_id = stranger(record).into())
    }),
    ("item to a stranger too", "P9", |served| {
        let record = served.items[find(served, is_followed)].clone();
        twin(served, record, |record| record.customer_id = stranger(record).into())
    }),
    ("holder removed and still served", "P9", |served| {
        let is_after = |record: &FeedRecord| {
            &*record.account_id.0 == "acc-2" && &*record.customer_id.0 == "customer-2"
        };
        let place = (0..served.items.len()).rev().find(|place| is(served, *place, is_after));
        let record = served.items[place.expect("an item after the removal")].clone();
        twin(served, record, |record| record.customer_id = "partner-2".into())
    }),
    ("holder before they came", "P9", |served| {
        let is_before = |record: &FeedRecord| {
            &*record.account_id.0 == "acc-0" && &*record.customer_id.0 != "partner-0"
        };
        let record = served.items[find(served, is_before)].clone();
        twin(served, record, |record| record.customer_id = "partner-0".into())
    }),
    ("balance one minor unit off", "P9", |served| {
        item(served, |item| item.balance.booked_minor += 1)
    }),
    ("available without the limit", "P9", |served| {
        item(served, |item| item.balance.available_minor -= 1)
    }),
    ("amount of no payment", "P9", |served| item(served, |item| item.amount_minor += 1)),
    ("pending one minor unit off", "P9", |served| item(served, |item| item.pending_minor += 1)),
    ("currency changed", "P9", |served| {
        item(served, |item| item.currency = Currency::parse("USD").expect("three letters"))
    }),
    ("version gap", "P9", |served| item(served, |item| item.version += 1)),
    ("another line", "P9", |served| item(served, |item| item.item_id = "payment/other".into())),
    ("position of another event", "P9", |served| {
        edit(served, is_followed, |record| record.offset += 1)
    }),
    ("removal kept from a holder", "P9", |served| {
        edit(
            served,
            |record| matches!(&record.body, FeedBody::Holding(it) if it.removed),
            |record| {
                if let FeedBody::Holding(it) = &mut record.body {
                    it.removed = false;
                }
            },
        )
    }),
    ("copy of an item that differs", "P3", |served| {
        let same = |pair: &[Rec]| pair[0].header("tapline-src") == pair[1].header("tapline-src");
        let pairs = served.items[PARTITIONS as usize..].windows(2);
        let place = pairs.clone().position(same).expect("a copy") + PARTITIONS as usize;
        let value = served.items[place + 1].value.as_mut().expect("a value");
        *value.last_mut().expect("a byte") ^= 1;
        served.items[place].source().to_string()
    }),
    ("card number shown", "P14", |served| {
        item(served, |item| item.merchant_name = "4111 1111 1111 1111".into())
    }),
    ("row missing", "P9", |served| {
        let (key, _) = a_row(served);
        served.rows.remove(&key);
        name(&key)
    }),
    ("row one version old", "P9", |served| {
        let (key, _) = a_row(served);
        let is_old = |record: &FeedRecord| {
            let FeedBody::Item(item) = &record.body else { return false };
            *record.customer_id.0 == *key.0
                && item.version == 1
                && format!("{}/{}", record.account_id, item.item_id) == key.1
        };
        let old = served.items[find(served, is_old)].clone();
        let row = served.rows.get_mut(&key).expect("it");
        row.image = old.value.clone().expect("a value");
        row.pos = old.source().source.offset;
        name(&key)
    }),
    ("row of no item", "P9", |served| {
        let (key, row) = a_row(served);
        let key = (key.0, format!("{}-other", key.1));
        served.rows.insert(key.clone(), row);
        name(&key)
    }),
    ("row of a stranger", "P9", |served| {
        let (key, row) = a_row(served);
        let bucket = bucket_of(b"stranger-1", BUCKETS);
        let key = ("stranger-1".to_owned(), key.1);
        served.rows.insert(key.clone(), FeedRow { bucket, ..row });
        name(&key)
    }),
    ("row in another month", "P9", |served| {
        let (key, _) = a_row(served);
        served.rows.get_mut(&key).expect("it").period += 1;
        name(&key)
    }),
    ("row written with a clock's time", "P9", |served| {
        let (key, _) = a_row(served);
        served.rows.get_mut(&key).expect("it").pos += 1;
        name(&key)
    }),
    ("row in another bucket", "P7", |served| {
        let (key, _) = a_row(served);
        served.rows.get_mut(&key).expect("it").bucket ^= 1;
        name(&key)
    }),
    ("a replayed one doubled with another end", "P10", |served| {
        outcome(served, Outcome::Muted, |outcome| outcome.code = "replayed".into());
        outcome_again(served, Outcome::Muted, |outcome| outcome.outcome = Outcome::Expired)
    }),
    ("outcome doubled as a replayed one", "P10", |served| {
        outcome_again(served, Outcome::Delivered, |outcome| {
            outcome.outcome = Outcome::Muted;
            outcome.code = "replayed".into();
            outcome.sends.clear();
        })
    }),
    ("muted without a reason", "P10", |served| {
        outcome(served, Outcome::Muted, |outcome| outcome.code = "".into())
    }),
    ("delivered again without an accepted request", "P10", |served| {
        let sends = find_outcome(served, Outcome::Delivered).1.sends;
        outcome_again(served, Outcome::Preference, |outcome| {
            outcome.outcome = Outcome::Delivered;
            outcome.sends = sends.clone();
            outcome.sends[0].key = format!("{}:00c0ffee0000", outcome.obligation_id).into();
        })
    }),
    ("outcome doubled with another text", "P10", |served| {
        outcome_again(served, Outcome::Muted, |outcome| outcome.body = "other".into())
    }),
    ("delivered again to no device", "P10", |served| {
        outcome_again(served, Outcome::Preference, |outcome| outcome.outcome = Outcome::Delivered)
    }),
    ("outcome of an item that does not exist", "P10", |served| {
        let place = served.outcomes.len() / 2;
        let mut record = served.outcomes[place].clone();
        let id = OutputId { index: 90, ..record.source() };
        record.set_header("tapline-src", id.to_string());
        let mut outcome: PushOutcome = read(Subject::PushOutcomes, &record);
        outcome.obligation_id = id.to_string().into();
        outcome.sends.clear();
        outcome.outcome = Outcome::Muted;
        record.value = Some(written(Subject::PushOutcomes, &outcome));
        served.outcomes.push(record);
        number(&mut served.outcomes);
        id.to_string()
    }),
    ("outcome of another version", "P10", |served| {
        outcome(served, Outcome::Muted, |outcome| outcome.version += 1)
    }),
    ("outcome to another customer", "P10", |served| {
        outcome(served, Outcome::Muted, |outcome| outcome.customer_id = "stranger-1".into())
    }),
    ("delivered to no device", "P10", |served| {
        outcome(served, Outcome::Delivered, |outcome| outcome.sends.clear())
    }),
    ("key too long", "P10", |served| {
        outcome(served, Outcome::Delivered, |outcome| {
            let key = format!("{}{}", outcome.sends[0].key, "0".repeat(64));
            outcome.sends[0].key = key.into();
        })
    }),
    ("delivered without an accepted request", "P10", |served| {
        let key = served.requests.iter().find(|it| it.answer == "accepted").expect("one");
        let key = key.key.clone();
        for request in served.requests.iter_mut().filter(|request| request.key == key) {
            request.answer = "status:500";
        }
        obligation(&key)
    }),
    ("two bodies under one key", "P10", |served| {
        let place = served.requests.iter().position(|it| it.answer == "cut").expect("one");
        served.requests[place].body_sha256 = "another".into();
        served.requests[place].key.clone()
    }),
    ("request for a muted one", "P10", |served| request_for(served, Outcome::Muted)),
    ("request for one that is not wanted", "P10", |served| {
        request_for(served, Outcome::Preference)
    }),
    ("superseded and sent after that", "P10", |served| request_for(served, Outcome::Superseded)),
    ("sent by nobody that is not mute", "P10", |served| {
        let mut id = None;
        for record in &mut served.outcomes {
            let mut said: PushOutcome = read(Subject::PushOutcomes, record);
            said.outcome = Outcome::Muted;
            said.code = "mode_mute".into();
            said.sends.clear();
            record.value = Some(written(Subject::PushOutcomes, &said));
            id.get_or_insert(said.obligation_id);
        }
        let id = id.expect("an outcome");
        served.requests.truncate(1);
        served.requests[0].key = format!("{id}:00c0ffee0000");
        id.into()
    }),
    ("request of an obligation without outcome", "P10", |served| {
        let last = served.requests.len() - 1;
        let key = served.requests[last].key.clone();
        let id = obligation(&key);
        served.outcomes.retain(|record| record.source().to_string() != id);
        number(&mut served.outcomes);
        key
    }),
];

// ---------------------------------------------------------------------- items

fn is(served: &Served, place: usize, pick: impl Fn(&FeedRecord) -> bool) -> bool {
    let record = &served.items[place];
    record.header("tapline-src").is_some() && pick(&read(Subject::FeedItems, record))
}

/// The first matching item by the position of its event.
fn find(served: &Served, pick: impl Fn(&FeedRecord) -> bool) -> usize {
    let all = (0..served.items.len()).filter(|place| is(served, *place, &pick));
    all.min_by_key(|place| served.items[*place].source().source.offset).expect("such an item")
}

/// The first version of a payment that went on: its row holds a later one.
fn is_followed(record: &FeedRecord) -> bool {
    matches!(&record.body, FeedBody::Item(it)
        if it.version == 1 && &*it.item_id == "payment/p-long")
}

/// A customer of the same partition whom nobody knows.
fn stranger(record: &FeedRecord) -> String {
    let home = partition_of(record.customer_id.as_str().as_bytes(), PARTITIONS);
    let mut names = (1..).map(|number| format!("stranger-{number}"));
    names.find(|name| partition_of(name.as_bytes(), PARTITIONS) == home).expect("one in two")
}

/// Changes an item, its copies and the row that holds its bytes.
fn edit(
    served: &mut Served,
    pick: impl Fn(&FeedRecord) -> bool,
    change: impl Fn(&mut FeedRecord),
) -> String {
    let place = find(served, pick);
    let (id, former) =
        (served.items[place].header("tapline-src"), served.items[place].value.clone());
    let mut said: FeedRecord = read(Subject::FeedItems, &served.items[place]);
    change(&mut said);
    let value = written(Subject::FeedItems, &said);
    for record in served.items.iter_mut().filter(|record| record.header("tapline-src") == id) {
        record.value = Some(value.clone());
        record.key = Some(said.customer_id.as_str().into());
    }
    for row in served.rows.values_mut().filter(|row| Some(&row.image) == former.as_ref()) {
        row.image = value.clone();
    }
    id.expect("an output")
}

fn item(served: &mut Served, change: impl Fn(&mut FeedItem)) -> String {
    edit(served, is_followed, |record| {
        if let FeedBody::Item(item) = &mut record.body {
            change(item);
        }
    })
}

/// Puts a changed twin of an item after everything of its event, as the real ones stand.
fn twin(served: &mut Served, mut record: Rec, change: impl Fn(&mut FeedRecord)) -> String {
    let id = OutputId { index: 9, ..record.source() };
    let mut said: FeedRecord = read(Subject::FeedItems, &record);
    change(&mut said);
    record.set_header("tapline-src", id.to_string());
    record.key = Some(said.customer_id.as_str().into());
    record.partition = partition_of(said.customer_id.as_str().as_bytes(), PARTITIONS);
    record.value = Some(written(Subject::FeedItems, &said));
    let earlier = |other: &Rec| {
        other.header("tapline-src").is_some()
            && other.partition == record.partition
            && other.source().source.partition == id.source.partition
            && other.source().source.offset <= id.source.offset
    };
    let place = served.items.iter().rposition(earlier).map_or(PARTITIONS as usize, |it| it + 1);
    served.items.insert(place, record);
    number(&mut served.items);
    id.to_string()
}

/// Offsets as if nothing had happened.
pub fn number(records: &mut [Rec]) {
    for partition in 0..PARTITIONS {
        let own = records.iter_mut().filter(|record| record.partition == partition);
        own.enumerate().for_each(|(offset, record)| record.offset = offset as i64);
    }
}

// ---------------------------------------------------------------------- rows

/// Of a payment with more than one version.
fn a_row(served: &Served) -> ((String, String), FeedRow) {
    let found = served.rows.iter().find(|((_, line), _)| line.ends_with("payment/p-long"));
    let (key, row) = found.expect("its row");
    (key.clone(), row.clone())
}

fn name((customer, line): &(String, String)) -> String {
    format!("row {customer} {line}")
}

// ---------------------------------------------------------------------- push

fn find_outcome(served: &Served, end: Outcome) -> (usize, PushOutcome) {
    let read = |record: &Rec| read::<PushOutcome>(Subject::PushOutcomes, record);
    let place = served.outcomes.iter().position(|record| read(record).outcome == end);
    let place = place.expect("such an end");
    (place, read(&served.outcomes[place]))
}

/// Changes an outcome and its repeats.
fn outcome(served: &mut Served, end: Outcome, change: impl Fn(&mut PushOutcome)) -> String {
    let (place, mut said) = find_outcome(served, end);
    change(&mut said);
    let id = served.outcomes[place].source();
    for record in served.outcomes.iter_mut().filter(|record| record.source() == id) {
        record.value = Some(written(Subject::PushOutcomes, &said));
    }
    id.to_string()
}

/// Says it once more, otherwise.
fn outcome_again(served: &mut Served, end: Outcome, change: impl Fn(&mut PushOutcome)) -> String {
    let (place, mut said) = find_outcome(served, end);
    change(&mut said);
    let mut record = served.outcomes[place].clone();
    record.value = Some(written(Subject::PushOutcomes, &said));
    let id = record.source().to_string();
    served.outcomes.push(record);
    number(&mut served.outcomes);
    id
}

fn obligation(key: &str) -> String {
    key.rsplit_once(':').expect("an id and a device").0.to_owned()
}

/// After all words.
fn request_for(served: &mut Served, end: Outcome) -> String {
    let (place, _) = find_outcome(served, end);
    let id = served.outcomes[place].source().to_string();
    served.request(&format!("{id}:00c0ffee0000"), "late", "accepted");
    let request = served.requests.last_mut().expect("just sent");
    request.received_us += 1_000;
    id
}
