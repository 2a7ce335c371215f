//! Obligations without an outcome (P10): what was surely to be told, and nobody said how it ended.
//!
//! Owns its own reading of what notifies (docs/push.md), and only of the plain cases: a decline, an
//! approval with a hold, money that came in or went out. Whatever else is told may be silent for a
//! reason that is not judged here, so it is never asked for. Below the committed offset of push each
//! obligation has its word, whatever that is.

use super::{
    avro::{Doc, long, text},
    ends::Ends,
    evidence::Evidence,
    push::key_prefix,
    taken::Taken,
    verdict::{Invariant, Verdict},
};

pub fn judge(evidence: &Evidence, items: &[Taken], ends: &Ends, verdict: &mut Verdict) {
    for item in items {
        let own = evidence.served.push_committed.iter();
        let own = own.filter(|commit| commit.partition == item.partition);
        let committed = own.map(|commit| commit.offset).max().unwrap_or(0);
        if item.record.offset >= committed || !surely_notifies(&item.doc) {
            continue;
        }
        verdict.checked(Invariant::P10);
        if !ends.contains_key(&key_prefix(&item.id)) {
            let expected = format!("an outcome, as push has committed {committed}");
            let found = format!("none of its item at {}:{}", item.partition, item.record.offset);
            verdict.breach(Invariant::P10, item.place(), &*item.id, expected, found);
        }
    }
}

fn surely_notifies(item: &Doc) -> bool {
    let is_some = |name| long(item.body(), name).is_some_and(|minor| minor > 0);
    match text(item.body(), "change") {
        Some("declined") => item.kind == "FeedItem",
        Some("authorised") => is_some("pending_minor"),
        Some("booked") => is_some("amount_minor"),
        _ => false,
    }
}
