//! The report: a line per invariant, and for a breach everything about its first offender.
//!
//! Owns the two forms, text for people and JSON for machines. The words of the verdict are part of
//! the interface: `ok`, `BREACH`, `-` (nothing of it was seen).

use super::verdict::{Invariant, Tally, Verdict};
use std::fmt::Write;

pub fn text(verdict: &Verdict) -> String {
    let mut out = String::new();
    let seen = &verdict.seen;
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "seen: {} partitions, {} commands, {} events ({} copies), {} fresh ticks, \
         {} dead letters, {} heads, {} side rows, {} feed items, {} feed rows, {} outcomes, \
         {} requests",
        seen.partitions,
        seen.commands,
        seen.events,
        seen.copies,
        seen.fresh_ticks,
        seen.dead_letters,
        seen.heads,
        seen.sides,
        seen.feed_items,
        seen.feed_rows,
        seen.outcomes,
        seen.requests,
    );
    let none = Tally::default();
    for (invariant, says) in Invariant::ALL {
        let tally = verdict.tallies.get(invariant).unwrap_or(&none);
        let word = word(tally);
        let name = format!("{invariant:?}");
        let _ = writeln!(out, "{name:<4} {word:<6} {:>9} checks  {says}", tally.checked);
        let Some(first) = &tally.first else { continue };
        let _ = writeln!(out, "     {} breaches, the first: {}", tally.breaches, first.id);
        let _ = writeln!(out, "       expected  {}", first.expected);
        let _ = writeln!(out, "       found     {}", first.found);
        for record in &first.records {
            let _ = writeln!(out, "       record    {record}");
        }
    }
    for reason in verdict.left_out.iter().chain(&verdict.unjudged) {
        let _ = writeln!(out, "not judged: {reason}");
    }
    let _ = writeln!(out, "verdict: {}", outcome(verdict));
    out
}

pub fn json(verdict: &Verdict) -> String {
    let none = Tally::default();
    let lines: Vec<serde_json::Value> = Invariant::ALL
        .iter()
        .map(|(invariant, says)| {
            let tally = verdict.tallies.get(invariant).unwrap_or(&none);
            serde_json::json!({
                "invariant": invariant,
                "says": says,
                "outcome": word(tally),
                "checked": tally.checked,
                "breaches": tally.breaches,
                "first": tally.first,
            })
        })
        .collect();
    let report = serde_json::json!({
        "verdict": outcome(verdict),
        "not_judged": verdict.unjudged,
        "left_out": verdict.left_out,
        "seen": verdict.seen,
        "invariants": lines,
    });
    format!("{report:#}\n")
}

fn word(tally: &Tally) -> &'static str {
    match (tally.breaches, tally.checked) {
        (0, 0) => "-",
        (0, _) => "ok",
        _ => "BREACH",
    }
}

fn outcome(verdict: &Verdict) -> &'static str {
    match verdict.exit_code() {
        0 => "clean",
        1 => "breach",
        _ => "not judged",
    }
}
