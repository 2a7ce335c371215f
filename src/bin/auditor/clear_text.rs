//! Where card numbers are looked for in the topics (P14): keys, headers and every string.
//!
//! Owns what is searched. The one exception is a command refused because its card token is a card
//! number: it stands in the log as it was sent, and its dead letter is judged instead.

use super::{
    avro::{self, Doc},
    card_numbers,
    commands::Asked,
    evidence::{COMMANDS, DEAD_LETTERS, Rec},
    verdict::{Invariant, Place, Verdict},
};

pub fn command(
    record: &Rec,
    place: Place,
    asked: &Asked,
    doc: Option<&Doc>,
    verdict: &mut Verdict,
) {
    verdict.checked(Invariant::P14);
    if matches!(asked, Asked::Poison("pan_in_clear")) {
        return;
    }
    let id = format!("{COMMANDS} {}:{}", place.partition, place.offset);
    search(record, doc, (place, &id), verdict);
}

pub fn event(record: &Rec, place: Place, id: &str, doc: &Doc, verdict: &mut Verdict) {
    verdict.checked(Invariant::P14);
    search(record, Some(doc), (place, id), verdict);
}

pub fn letter(record: &Rec, partition: i32, verdict: &mut Verdict) {
    verdict.checked(Invariant::P14);
    let id = format!("{DEAD_LETTERS} {partition}:{}", record.offset);
    let place = Place { offset: record.offset, partition };
    let doc = avro::read(COMMANDS, record.value.as_deref().unwrap_or_default()).ok();
    search(record, doc.as_ref(), (place, &id), verdict);
}

fn search(record: &Rec, doc: Option<&Doc>, (place, id): (Place, &str), verdict: &mut Verdict) {
    let mut note = |field: &str, text: &str| {
        if card_numbers::find(text).is_some() {
            let found = format!("one in {field}");
            verdict.breach(Invariant::P14, place, id, "no card number", found);
        }
    };
    note("the key", record.key_text().unwrap_or(""));
    for (name, value) in record.headers.iter().filter(|(name, _)| !is_ours(name)) {
        note(name, &String::from_utf8_lossy(value.unwrap_or_default()));
    }
    match doc {
        Some(doc) => {
            for (name, value) in &doc.fields {
                avro::strings(name, value, &mut note);
            }
        }
        None => {
            note(
                "the value",
                &String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()),
            );
        }
    }
}

/// Headers of numbers and ids.
fn is_ours(name: &str) -> bool {
    let prefixes = ["tapline-", "ce_", "kafka_", "trace"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}
