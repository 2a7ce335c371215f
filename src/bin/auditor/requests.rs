//! Requests in a gateway's journal against outcomes (P10).
//!
//! Owns what reached a gateway: all bodies under one key are equal, what is said to be delivered
//! was accepted, and whoever says that nothing was sent does not send after it. A request from
//! before that may be of an owner that died without a word, so it is right, unless nobody could have
//! sent it. Requests that the gateway could not read have no key and are not judged.

use super::{
    ends::{End, Ends, MODE_MUTE, REPLAYED},
    evidence::{EVENTS, Evidence, Request},
    identity::Source,
    push::{KEY_BYTES_MAX, obligation_of},
    verdict::{Invariant, Place, Verdict},
};
use std::collections::BTreeMap;

pub fn judge(evidence: &Evidence, sent: &[Request], ends: &Ends, verdict: &mut Verdict) {
    verdict.seen.requests = sent.len() as u64;
    let mut by_key: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    for request in sent.iter().filter(|request| !request.key.is_empty()) {
        by_key.entry(&request.key).or_default().push(request);
    }
    let was_live = ends.values().any(End::has_attempts);
    for (key, requests) in &by_key {
        one_body(key, requests, place_of(key, ends), verdict);
        match ends.get(obligation_of(key)) {
            Some(end) => may_be_sent((key, requests), end, was_live, verdict),
            None => nobody_s(evidence, key, place_of(key, ends), verdict),
        }
    }
    for end in ends.values() {
        for key in &end.delivered {
            verdict.checked(Invariant::P10);
            let own = by_key.get(&**key).map_or(&[][..], Vec::as_slice);
            if !own.iter().any(|request| is_taken(request)) {
                let expected = format!("a request under {key} that was accepted");
                let found = format!("none of {}", own.len());
                verdict.breach(Invariant::P10, end.place, &*end.id, expected, found);
            }
        }
    }
}

/// An endless answer begins as an acceptance.
fn is_taken(request: &Request) -> bool {
    matches!(&*request.answer, "accepted" | "huge")
}

fn place_of(key: &str, ends: &Ends) -> Place {
    let prefix = obligation_of(key);
    let source = Source::parse(prefix);
    let named = source.map(|it| Place { offset: it.offset, partition: it.partition });
    let nowhere = Place { offset: i64::MAX, partition: 0 };
    ends.get(prefix).map(|end| end.place).or(named).unwrap_or(nowhere)
}

fn one_body(key: &str, requests: &[&Request], place: Place, verdict: &mut Verdict) {
    verdict.checked(Invariant::P10);
    if key.len() > KEY_BYTES_MAX {
        let found = format!("{} bytes", key.len());
        let expected = format!("a key of {KEY_BYTES_MAX} bytes at most");
        verdict.breach(Invariant::P10, place, key, expected, found);
    }
    let mut bodies: Vec<(&str, &str)> = Vec::new();
    for request in requests.iter().filter(|request| !request.body_sha256.is_empty()) {
        let body = (&*request.platform, &*request.body_sha256);
        if !bodies.contains(&body) {
            bodies.push(body);
        }
    }
    if bodies.len() > 1 {
        let found = format!("{} of {} requests: {bodies:?}", bodies.len(), requests.len());
        verdict.breach(Invariant::P10, place, key, "one body under one key", found);
    }
}

/// `was_live`: some worker of the run sent something and said so.
fn may_be_sent(
    (key, requests): (&str, &[&Request]),
    end: &End,
    was_live: bool,
    verdict: &mut Verdict,
) {
    verdict.checked(Invariant::P10);
    let Some(said_ms) = end.last_said_ms().filter(|_| !end.has_attempts()) else { return };
    let is_after = |request: &&&Request| request.received_us.div_euclid(1_000) > said_ms;
    let nobody_could = end.all(REPLAYED) || (end.all(MODE_MUTE) && !was_live);
    let (expected, wrong) = match nobody_could {
        true => ("no request", requests.len()),
        false => ("no request after it was said", requests.iter().filter(is_after).count()),
    };
    if wrong > 0 {
        let name = end.words[0].name();
        let found = format!("{wrong} requests under {key}");
        verdict.breach(
            Invariant::P10,
            end.place,
            &*end.id,
            format!("{expected}: {name}, nothing sent"),
            found,
        );
    }
}

/// Of an obligation without an outcome, unless it came while the evidence was gathered.
fn nobody_s(evidence: &Evidence, key: &str, place: Place, verdict: &mut Verdict) {
    verdict.checked(Invariant::P10);
    if !evidence.came_since(EVENTS, place.partition).contains(&place.offset) {
        let expected = "the key of an obligation with an outcome";
        verdict.breach(Invariant::P10, place, key, expected, "requests without one");
    }
}
