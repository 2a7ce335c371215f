//! Requests in a gateway's journal against outcomes (P10).
//!
//! Owns what reached a gateway: all bodies under one key are equal, what is said to be delivered
//! was accepted, nothing was sent of what was muted or not wanted, and what was superseded before
//! it was sent was not sent after the newer version. Requests that the gateway could not read have
//! no key and are not judged.

use super::{
    evidence::{EVENTS, Evidence, Request},
    identity::Source,
    push::{End, Ends, KEY_BYTES_MAX, obligation_of},
    verdict::{Invariant, Place, Verdict},
};
use std::collections::{BTreeMap, HashMap};

pub fn judge(evidence: &Evidence, sent: &[Request], ends: &Ends, verdict: &mut Verdict) {
    verdict.seen.requests = sent.len() as u64;
    let mut by_key: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    for request in sent.iter().filter(|request| !request.key.is_empty()) {
        by_key.entry(&request.key).or_default().push(request);
    }
    let mut told: HashMap<&(String, String), Vec<(i64, i64)>> = HashMap::new();
    for (key, requests) in &by_key {
        let Some(end) = ends.get(obligation_of(key)) else { continue };
        let taken = requests.iter().filter(|request| is_taken(request));
        let times = taken.map(|request| (end.version, request.received_us));
        told.entry(&end.line).or_default().extend(times);
    }
    for (key, requests) in &by_key {
        one_body(key, requests, place_of(key, ends), verdict);
        match ends.get(obligation_of(key)) {
            Some(end) => may_be_sent(key, requests, end, &told, verdict),
            None => nobody_s(evidence, key, place_of(key, ends), verdict),
        }
    }
    for end in ends.values().filter(|end| end.outcome == "delivered") {
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

fn may_be_sent(
    key: &str,
    requests: &[&Request],
    end: &End,
    told: &HashMap<&(String, String), Vec<(i64, i64)>>,
    verdict: &mut Verdict,
) {
    verdict.checked(Invariant::P10);
    let found = || format!("{} requests under {key}", requests.len());
    if matches!(&*end.outcome, "muted" | "preference") {
        let expected = format!("no request: {}", end.outcome);
        verdict.breach(Invariant::P10, end.place, &*end.id, expected, found());
    }
    // A first attempt before a crash leaves no trace in the outcome, so earlier ones are right.
    if end.outcome == "superseded" && end.attempts == 0 {
        let newer = told.get(&end.line).map_or(&[][..], Vec::as_slice).iter();
        let newer = newer.filter(|(version, _)| *version > end.version).map(|(_, at_us)| *at_us);
        let told_at_us = newer.min();
        if requests.iter().any(|it| told_at_us.is_some_and(|at_us| it.received_us >= at_us)) {
            let expected = "no request after the version that superseded it";
            verdict.breach(Invariant::P10, end.place, &*end.id, expected, found());
        }
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
