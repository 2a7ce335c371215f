//! Dead letters (P11): each bad record once, as it was.
//!
//! Owns finding the letter of a record and comparing the two. A letter's origin stands in its
//! headers; a redriven record that fails again keeps the first origin, so the run that sent it
//! again is part of what tells letters apart. Never decides whether a record was bad.

use super::{
    evidence::{COMMANDS, Rec},
    verdict::{Invariant, Place, Verdict},
};
use std::{collections::HashMap, ops::Range};

const PARTITION: &str = "kafka_dlt-original-partition";
const OFFSET: &str = "kafka_dlt-original-offset";
const TOPIC: &str = "kafka_dlt-original-topic";
const CODE: &str = "tapline-error-code";
const REPLAY_ID: &str = "tapline-replay-id";

/// Headers that each failure writes anew.
const OF_THE_FAILURE: [&str; 5] = [
    "kafka_dlt-exception-fqcn",
    "kafka_dlt-exception-message",
    CODE,
    "tapline-failed-stage",
    "tapline-schema",
];

/// First origin and redrive run.
type Origin = (i32, i64, Box<str>);

/// The letters of one partition that no record has claimed yet.
pub struct Letters<'a> {
    partition: i32,
    by_origin: HashMap<Origin, Vec<&'a Rec>>,
}

impl<'a> Letters<'a> {
    pub fn of(partition: i32, letters: &'a [Rec], verdict: &mut Verdict) -> Self {
        let mut by_origin: HashMap<Origin, Vec<&Rec>> = HashMap::new();
        for letter in letters {
            let of_commands =
                letter.headers.text(TOPIC).is_some_and(|topic| topic.ends_with(COMMANDS));
            match origin_in(letter).filter(|_| of_commands) {
                Some((number, offset)) => {
                    let origin = (number, offset, replay(letter));
                    by_origin.entry(origin).or_default().push(letter);
                }
                None => {
                    let place = Place { offset: letter.offset, partition };
                    let id = format!("dead letter {partition}:{}", letter.offset);
                    let found = "no origin in its headers";
                    verdict.breach(Invariant::P11, place, id, "an origin", found);
                }
            }
        }
        verdict.seen.dead_letters += by_origin.len() as u64;
        Self { partition, by_origin }
    }

    pub fn has(&self, record: &Rec) -> bool {
        self.by_origin.contains_key(&self.origin(record))
    }

    /// The code of the record's letter, without claiming it.
    pub fn code(&self, record: &Rec) -> Option<&'a str> {
        self.by_origin.get(&self.origin(record))?.first()?.headers.text(CODE)
    }

    /// Claims the letter of a bad record. `keeps_value`: unless it holds a card number.
    pub fn claim(&mut self, record: &Rec, keeps_value: bool, verdict: &mut Verdict) {
        verdict.checked(Invariant::P11);
        let place = Place { offset: record.offset, partition: self.partition };
        let id = format!("{}:{}", self.partition, record.offset);
        let Some(copies) = self.by_origin.remove(&self.origin(record)) else {
            let found = "no dead letter";
            verdict.breach(Invariant::P11, place, id, "one dead letter", found);
            return;
        };
        for letter in &copies {
            if let Some((expected, found)) = difference(record, letter, copies[0], keeps_value) {
                verdict.breach(Invariant::P11, place, id.clone(), expected, found);
                return;
            }
        }
    }

    /// What is left belongs to no bad record.
    pub fn unclaimed(self, came_later: &Range<i64>, verdict: &mut Verdict) {
        for ((number, offset, _), copies) in self.by_origin {
            if came_later.contains(&offset) {
                continue;
            }
            let place = Place { offset, partition: number };
            let code = copies.first().and_then(|letter| letter.headers.text(CODE)).unwrap_or("");
            let found = format!("a dead letter with code {code}");
            let id = format!("{number}:{offset}");
            verdict.breach(Invariant::P11, place, id, "no dead letter: it can be applied", found);
        }
    }

    fn origin(&self, record: &Rec) -> Origin {
        let (number, offset) = origin_in(record).unwrap_or((self.partition, record.offset));
        (number, offset, replay(record))
    }
}

/// The origin that a record's own headers name.
pub fn origin_in(record: &Rec) -> Option<(i32, i64)> {
    let number = record.headers.get(PARTITION)?.try_into().ok()?;
    let offset = record.headers.get(OFFSET)?.try_into().ok()?;
    Some((i32::from_be_bytes(number), i64::from_be_bytes(offset)))
}

pub fn is_redriven(record: &Rec) -> bool {
    record.headers.contains(REPLAY_ID)
}

fn replay(record: &Rec) -> Box<str> {
    let count = record.headers.text("tapline-replay-count").unwrap_or("");
    format!("{}/{count}", record.headers.text(REPLAY_ID).unwrap_or("")).into()
}

fn difference(
    record: &Rec,
    letter: &Rec,
    first: &Rec,
    keeps_value: bool,
) -> Option<(String, String)> {
    let own = |record: &Rec| -> Vec<(String, Option<Vec<u8>>)> {
        let all = record.headers.iter();
        let own = all.filter(|(name, _)| !OF_THE_FAILURE.contains(name));
        own.map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect()
    };
    let bytes = |text: &str, value: Option<&[u8]>| match value {
        Some(value) => format!("{text} of {} bytes", value.len()),
        None => format!("no {text}"),
    };
    let value = record.value.as_deref().filter(|_| keeps_value);
    if letter.value.as_deref() != value {
        return Some((bytes("value", value), bytes("another value", letter.value.as_deref())));
    }
    if letter.key != record.key {
        return Some((
            bytes("key", record.key.as_deref()),
            bytes("another key", letter.key.as_deref()),
        ));
    }
    if !own(letter).starts_with(&own(record)) {
        return Some(("the record's headers, untouched and first".into(), "others".into()));
    }
    if (&letter.headers, &letter.key, &letter.value) != (&first.headers, &first.key, &first.value) {
        return Some(("copies byte-equal".into(), "a copy that differs".into()));
    }
    None
}
