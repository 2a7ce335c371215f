//! What customers see and are told, in order: feed items by events, rows by items, outcomes by
//! items, requests by outcomes.
//!
//! Owns what is judged at all: as with settlement, a topic that is absent or empty is left out and
//! said so, and where it must be there, that is no judgement.

use super::{
    audit::Expected,
    avro::{self, Doc},
    card_numbers,
    evidence::{Evidence, FEED_ITEMS, OUTCOMES, Rec},
    feed, feed_rows, push, requests,
    taken::first_of,
    untold,
    verdict::{Invariant, Place, Verdict},
};

pub fn judge(evidence: &Evidence, expected: Expected) -> Verdict {
    let mut verdict = Verdict::default();
    let items = first_of(FEED_ITEMS, evidence.topic(FEED_ITEMS), false, &mut verdict);
    if items.is_empty() {
        left_out(FEED_ITEMS, expected.feed, &mut verdict);
    } else {
        verdict.seen.feed_items = items.len() as u64;
        for item in &items {
            clear_text(item.record, &item.doc, (item.place(), &item.id), &mut verdict);
        }
        let lines = feed::judge(evidence, &items, &mut verdict);
        feed_rows::judge(evidence, &lines, &mut verdict);
    }
    let is_pushed = expected.push || evidence.served.requests.is_some();
    let outcomes = push::outcomes(evidence, &mut verdict);
    if outcomes.is_empty() {
        left_out(OUTCOMES, is_pushed, &mut verdict);
        return verdict;
    }
    for outcome in &outcomes {
        clear_text(outcome.record, &outcome.doc, (outcome.place, &outcome.id), &mut verdict);
    }
    let ends = push::judge(evidence, &items, &outcomes, &mut verdict);
    untold::judge(evidence, &items, &ends, &mut verdict);
    match &evidence.served.requests {
        Some(sent) => requests::judge(evidence, sent, &ends, &mut verdict),
        None => verdict.left_out.push("no gateway's journal, so no request".to_owned()),
    }
    verdict
}

fn left_out(name: &str, is_expected: bool, verdict: &mut Verdict) {
    let line = format!("{name} is absent or empty, so neither it nor what is made of it");
    if is_expected { verdict.unjudged.push(line) } else { verdict.left_out.push(line) }
}

/// P14 in what customers see and are told.
fn clear_text(record: &Rec, doc: &Doc, (place, id): (Place, &str), verdict: &mut Verdict) {
    verdict.checked(Invariant::P14);
    let mut note = |field: &str, text: &str| {
        // The id of an obligation is made of positions.
        if field != "obligation_id" && field != "key" && card_numbers::find(text).is_some() {
            let found = format!("one in the field {field}");
            verdict.breach(Invariant::P14, place, id, "no card number", found);
        }
    };
    note("the key", record.key_text().unwrap_or(""));
    for (name, value) in &doc.fields {
        avro::strings(name, value, &mut note);
    }
}
