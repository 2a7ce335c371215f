//! The audit: evidence in, verdict out.
//!
//! Owns the order: is the evidence whole, is the log the recorded one, then partition by partition,
//! then what spans partitions, and last everything that the evidence holds about each first
//! offender. Invariant: evidence that is not whole is never called clean.

use super::{
    avro::{self, long, text},
    books, card_numbers, clear_text, customers,
    evidence::{COMMANDS, DEAD_LETTERS, EVENTS, Evidence, Rec},
    fold::Fold,
    identity::Source,
    letters, rows,
    sends::Sends,
    transfers::Transfers,
    verdict::{Finding, Invariant, Place, Verdict},
};
use apache_avro::types::Value;

/// What partitions share.
pub struct Shared<'a> {
    pub verdict: Verdict,
    pub sends: Sends<'a>,
    pub transfers: Transfers<'a>,
    /// Commands without all that they lead to, so the pipeline is not at rest.
    pub owed: Vec<String>,
}

/// Most records that are shown of one offender.
const RECORDS_SHOWN_MAX: usize = 40;

/// What must be there for a judgement.
#[derive(Clone, Copy, Default)]
pub struct Expected {
    /// Fewest commands.
    pub commands: u64,
    /// The topics of settlement.
    pub settlement: bool,
    /// The feed's items.
    pub feed: bool,
    /// The outcomes of push.
    pub push: bool,
}

pub fn audit(evidence: &Evidence, expected: Expected) -> Verdict {
    let mut shared = Shared {
        verdict: Verdict { unjudged: evidence.gaps(), ..Verdict::default() },
        sends: Sends::of(evidence.journal.as_deref().unwrap_or_default()),
        transfers: Transfers::default(),
        owed: Vec::new(),
    };
    if !shared.verdict.unjudged.is_empty() {
        return shared.verdict;
    }
    let partitions = evidence.partitions();
    shared.verdict.seen.partitions = partitions as u64;
    recorded(evidence, &mut shared.verdict);
    rows::homes(evidence, &mut shared.verdict);
    for partition in 0..partitions {
        Fold::run(evidence, partition, &mut shared);
    }
    for (partition, letters) in &evidence.dead_letters {
        letters.iter().for_each(|it| clear_text::letter(it, *partition, &mut shared.verdict));
    }
    let Shared { mut verdict, sends, transfers, mut owed } = shared;
    sends.judge(&mut verdict);
    transfers.judge(&mut owed, &mut verdict);
    let seen = verdict.seen.commands;
    let fewest = expected.commands.max(1);
    if seen < fewest && !verdict.is_broken() {
        verdict.unjudged.push(format!("{seen} commands seen, {fewest} expected"));
    }
    if evidence.incarnation.is_none() {
        verdict.unjudged.push("no life of the commands log is recorded".to_owned());
    }
    for (invariant, tally) in &mut verdict.tallies {
        if let Some(first) = &mut tally.first {
            first.records = records(evidence, first, *invariant);
        }
    }
    verdict.follow(books::judge(evidence, expected.settlement));
    verdict.follow(customers::judge(evidence, expected));
    let unrest = owed.iter().map(|it| format!("not at rest, let a worker run, ask again: {it}"));
    match verdict.is_broken() {
        true => verdict.left_out.extend(unrest),
        false => verdict.unjudged.extend(unrest),
    }
    verdict
}

/// P7: partition count and birth are those that were recorded.
fn recorded(evidence: &Evidence, verdict: &mut Verdict) {
    let Some(known) = &evidence.incarnation else { return };
    let place = Place { offset: 0, partition: 0 };
    let at = (place, &*format!("incarnation {}", known.incarnation));
    verdict.same(Invariant::P7, at, "partitions", (known.partitions, evidence.partitions()));
    for (partition, records) in &evidence.commands {
        let birth = records.first().filter(|record| record.offset == 0);
        let birth_id = birth.and_then(|record| record.headers.text("tapline-birth"));
        let id = format!("{COMMANDS} {partition}:0");
        let place = Place { offset: 0, partition: *partition };
        verdict.same(Invariant::P7, (place, &id), "birth", (Some(&*known.birth_id), birth_id));
    }
}

/// Everything that the evidence holds about an offender: its command, outputs, dead letters, rows.
fn records(evidence: &Evidence, finding: &Finding, invariant: Invariant) -> Vec<String> {
    let Place { offset, partition } = finding.place;
    let mut shown = Vec::new();
    let key = finding.id.strip_prefix("head ").or(finding.id.strip_prefix("side "));
    let key = key.map(|key| key.split(' ').next().unwrap_or(key));
    let concerns = |topic: &str, record: &Rec| match topic {
        COMMANDS => {
            record.offset == offset || (invariant == Invariant::P12 && bears(record, &finding.id))
        }
        EVENTS => {
            let source = record.headers.text("tapline-src").and_then(Source::parse);
            source.is_some_and(|source| source.offset == offset)
        }
        _ => letters::origin_in(record) == Some((partition, offset)),
    };
    for topic in [COMMANDS, EVENTS, DEAD_LETTERS] {
        for (number, all) in evidence.topic(topic) {
            if *number != partition && invariant != Invariant::P12 {
                continue;
            }
            let found = all.iter().filter(|record| concerns(topic, record));
            shown.extend(found.take(RECORDS_SHOWN_MAX).map(|record| show(topic, *number, record)));
        }
    }
    for row in evidence.heads.iter().chain(&evidence.sides) {
        if key == Some(&*row.key) {
            let at = row.written_at_us.map_or(String::new(), |at_us| format!(" written {at_us}"));
            let bytes = row.image.len();
            let place = format!("{}:{}:{}", row.incarnation, row.partition, row.bucket);
            shown.push(format!("{} in {place}{at}, {bytes} bytes", rows::name(row)));
        }
    }
    shown.truncate(RECORDS_SHOWN_MAX);
    shown
}

fn bears(record: &Rec, message_id: &str) -> bool {
    let doc = avro::read(COMMANDS, record.value.as_deref().unwrap_or_default());
    doc.is_ok_and(|doc| text(&doc.fields, "message_id") == Some(message_id))
}

/// One line: place, key, id, and the numbers and symbols of the value. No text of a person.
fn show(topic: &str, partition: i32, record: &Rec) -> String {
    let key = card_numbers::masked(record.key_text().unwrap_or("(no text)"));
    let mut line = format!("{topic} {partition}:{} key {key}", record.offset);
    for name in ["tapline-src", "tapline-seq", "tapline-error-code"] {
        if let Some(text) = record.headers.text(name) {
            line += &format!(" {name} {text}");
        }
    }
    let value = record.value.as_deref().unwrap_or_default();
    let subject = if topic == EVENTS { EVENTS } else { COMMANDS };
    let Ok(doc) = avro::read(subject, value) else {
        return line + &format!(" {} unreadable bytes", value.len());
    };
    line += &format!(" {}", doc.kind);
    let time = long(&doc.fields, "log_time").or(long(&doc.fields, "sent_at"));
    line += &format!(" at {}", time.unwrap_or(0));
    for name in ["message_id", "balances", "body"] {
        if let Some(value) = avro::get(&doc.fields, name) {
            plain(name, value, &mut line);
        }
    }
    card_numbers::masked(&line)
}

fn plain(name: &str, value: &Value, line: &mut String) {
    match value {
        Value::Union(_, inner) => plain(name, inner, line),
        Value::Record(fields) if name != "purchase" => {
            fields.iter().for_each(|(name, value)| plain(name, value, line));
        }
        Value::Long(number) | Value::TimestampMillis(number) => {
            *line += &format!(" {name} {number}")
        }
        Value::Int(number) => *line += &format!(" {name} {number}"),
        Value::Boolean(true) => *line += &format!(" {name}"),
        Value::Enum(_, symbol) => *line += &format!(" {name} {symbol}"),
        Value::String(text) if name.ends_with("payment_id") || name.ends_with("message_id") => {
            *line += &format!(" {name} {text}");
        }
        _ => {}
    }
}
