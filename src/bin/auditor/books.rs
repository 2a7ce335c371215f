//! The settlement topics, in order: postings by events, parts by postings, windows by parts.
//!
//! Owns what is judged at all: a topic that is absent or empty is left out, and said so, since the
//! stages may not run; where they must, that is no judgement.

use super::{
    evidence::{Evidence, PARTS, POSTINGS, WINDOWS},
    parts, postings,
    taken::first_of,
    verdict::Verdict,
    windows,
};

/// `is_expected`: without these topics there is no judgement.
pub fn judge(evidence: &Evidence, is_expected: bool) -> Verdict {
    let mut verdict = Verdict::default();
    let sets = first_of(POSTINGS, evidence.topic(POSTINGS), false, &mut verdict);
    if sets.is_empty() {
        return left_out(POSTINGS, is_expected, verdict);
    }
    let items = postings::judge(evidence, &sets, &mut verdict);
    let records = first_of(PARTS, evidence.topic(PARTS), true, &mut verdict);
    if records.is_empty() {
        return left_out(PARTS, is_expected, verdict);
    }
    let sealed = parts::judge(evidence, &records, &items, &mut verdict);
    let events = first_of(WINDOWS, evidence.topic(WINDOWS), false, &mut verdict);
    if events.is_empty() {
        return left_out(WINDOWS, is_expected, verdict);
    }
    windows::judge(evidence, &events, &sealed, &mut verdict);
    verdict
}

fn left_out(name: &str, is_expected: bool, mut verdict: Verdict) -> Verdict {
    let line = format!("{name} is absent or empty, so neither it nor what is made of it");
    if is_expected {
        verdict.unjudged.push(line)
    } else {
        verdict.left_out.push(line)
    }
    verdict
}
