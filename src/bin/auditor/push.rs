//! Outcomes of push against the items that they are about (P10).
//!
//! Owns the reading of `push.outcomes.v1` (in any order, the first of an id counts) and what an
//! outcome must say whatever was decided: whether something had to be told is the stage's affair.
//! A second attempt after a crash says the same text; which ends it may come to is in `ends`.

use super::{
    avro::{self, Doc, long, text},
    ends::{End, Ends, Word},
    evidence::{EVENTS, Evidence, OUTCOMES, Rec},
    identity::{Source, partition_of},
    moves::records,
    taken::Taken,
    verdict::{Invariant, Place, Verdict},
};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

pub const KEY_BYTES_MAX: usize = 64;

/// A record of the topic.
pub struct Said<'a> {
    pub id: String,
    /// Of the event that its item shows.
    pub place: Place,
    pub record: &'a Rec,
    pub doc: Doc,
}

pub fn outcomes<'a>(evidence: &'a Evidence, verdict: &mut Verdict) -> Vec<Said<'a>> {
    let partitions = evidence.partitions_of(OUTCOMES);
    let mut all = Vec::new();
    for (partition, record) in
        evidence.topic(OUTCOMES).iter().flat_map(|(at, all)| all.iter().map(move |it| (*at, it)))
    {
        if record.offset == 0 && record.headers.contains("tapline-birth") {
            continue;
        }
        let id = record.headers.text("tapline-src").unwrap_or("").to_owned();
        let source = Source::parse(&id);
        let place = source.map_or(Place { offset: record.offset, partition }, |source| Place {
            offset: source.offset,
            partition: source.partition,
        });
        let home = partition_of(record.key.as_deref().unwrap_or_default(), partitions);
        verdict.same(Invariant::P7, (place, &id), "partition", (home, partition));
        match avro::read(OUTCOMES, record.value.as_deref().unwrap_or_default()) {
            Ok(doc) => all.push(Said { id, place, record, doc }),
            Err(avro::Unread::Broken) => {
                verdict.breach(Invariant::P10, place, id, "a readable outcome", "other bytes");
            }
            Err(avro::Unread::UnknownSchema) => {
                let place = format!("{OUTCOMES} {partition}:{}", record.offset);
                verdict.unjudged.push(format!("{place} has an unknown schema"));
            }
        }
    }
    all
}

pub fn judge(
    evidence: &Evidence,
    items: &[Taken],
    outcomes: &[Said],
    verdict: &mut Verdict,
) -> Ends {
    let by_id: HashMap<&str, &Taken> = items.iter().map(|item| (&*item.id, item)).collect();
    let mut firsts: HashMap<&str, &Said> = HashMap::new();
    let mut ends = Ends::new();
    for said in outcomes {
        verdict.checked(Invariant::P10);
        let word = word(said, verdict);
        let end = ends.entry(key_prefix(&said.id)).or_insert_with(|| End {
            id: said.id.clone(),
            place: said.place,
            words: Vec::new(),
            delivered: Vec::new(),
        });
        end.delivered.extend(delivered(said));
        if let Some(first) = firsts.get(&*said.id) {
            repeated(first, said, verdict);
            if let (Some(first), Some(word)) = (end.words.first(), &word)
                && first.contradicts(word)
            {
                let why = "the record says so itself to whoever reads it";
                let expected = format!("{}, as first said: {why}", first.name());
                verdict.breach(Invariant::P10, said.place, &*said.id, expected, word.name());
            }
            end.words.extend(word);
            continue;
        }
        end.words.extend(word);
        firsts.insert(&said.id, said);
        verdict.seen.outcomes += 1;
        let came_later = evidence.came_since(EVENTS, said.place.partition);
        match by_id.get(&*said.id) {
            Some(item) => about(said, item, verdict),
            None if came_later.contains(&said.place.offset) => {}
            None => {
                let found = "no such record in the feed";
                verdict.breach(
                    Invariant::P10,
                    said.place,
                    &*said.id,
                    "the outcome of an item",
                    found,
                );
            }
        }
    }
    ends
}

/// What the keys of an obligation begin with: its id, or a digest of one that is too long or no
/// plain text, and a colon.
pub fn key_prefix(id: &str) -> String {
    const DEVICE_BYTES: usize = ":".len() + 12;
    if id.bytes().all(|byte| byte.is_ascii_graphic()) && id.len() + DEVICE_BYTES <= KEY_BYTES_MAX {
        return id.to_owned();
    }
    let digest = super::folder::hex(&Sha256::digest(id.as_bytes()));
    format!("sha256-{}", &digest[..40])
}

/// The obligation that a key belongs to.
pub fn obligation_of(key: &str) -> &str {
    key.rsplit_once(':').map_or(key, |(prefix, _)| prefix)
}

/// It names its item.
fn about(said: &Said, item: &Taken, verdict: &mut Verdict) {
    let (at, fields) = ((said.place, &*said.id), &said.doc.fields);
    let (whose, body) = (&item.doc.fields, item.doc.body());
    let mut same = |what: &str, expected: Option<&str>, found: Option<&str>| {
        verdict.same(Invariant::P10, at, what, (expected, found));
    };
    same("about", Some("FeedItem"), Some(item.doc.kind));
    same("obligation", Some(&said.id), text(fields, "obligation_id"));
    same("customer", text(whose, "customer_id"), text(fields, "customer_id"));
    same("key", text(whose, "customer_id"), said.record.key_text());
    let account = text(whose, "account_id").unwrap_or("");
    let line = format!("{account}/{}", text(body, "item_id").unwrap_or(""));
    same("line", Some(&line), text(fields, "line"));
    let versions = (long(body, "version"), long(fields, "version"));
    verdict.same(Invariant::P10, at, "version", versions);
}

/// One end of the known ones, with sends that agree with it.
fn word(said: &Said, verdict: &mut Verdict) -> Option<Word> {
    let fields = &said.doc.fields;
    let (outcome, code) = (text(fields, "outcome").unwrap_or(""), text(fields, "code"));
    let mut broken = |expected: &str, found: String| {
        verdict.breach(Invariant::P10, said.place, &*said.id, expected, found);
    };
    let (mut attempts, mut keys) = (0, Vec::new());
    let prefix = key_prefix(&said.id);
    for send in records(fields, "sends") {
        let key = text(send, "key").unwrap_or("");
        if key.len() > KEY_BYTES_MAX || obligation_of(key) != prefix || keys.contains(&key) {
            let expected = format!("keys of {prefix}, each once, of {KEY_BYTES_MAX} bytes at most");
            broken(&expected, format!("{key}, {} bytes", key.len()));
        }
        attempts += long(send, "attempts").unwrap_or(0);
        keys.push(key);
    }
    let taken = delivered(said).count();
    if (outcome == "delivered") == (taken == 0) {
        let found = format!("{outcome}, {taken} of {} sends delivered", keys.len());
        broken("delivered where a gateway took it, and only there", found);
    }
    if matches!(outcome, "muted" | "preference") && attempts > 0 {
        broken("nothing was sent", format!("{outcome} after {attempts} attempts"));
    }
    let code = code.unwrap_or("");
    let word = Word::of(outcome, code, attempts, said.record.timestamp_ms);
    if word.is_none() {
        broken("an end that is known", format!("{outcome} {code}"));
    }
    word
}

/// Keys that a gateway is said to have taken.
fn delivered(said: &Said) -> impl Iterator<Item = String> {
    let sends = records(&said.doc.fields, "sends").into_iter();
    let taken = sends.filter(|send| text(send, "outcome") == Some("delivered"));
    taken.filter_map(|send| text(send, "key").map(str::to_owned))
}

/// The same was to be told.
fn repeated(first: &Said, said: &Said, verdict: &mut Verdict) {
    let at = (first.place, &*first.id);
    for name in ["customer_id", "obligation_id", "line", "kind", "title", "body"] {
        let own = |said: &Said| text(&said.doc.fields, name).map(str::to_owned);
        verdict.same(Invariant::P10, at, name, (own(first), own(said)));
    }
    let own = |said: &Said| long(&said.doc.fields, "version");
    verdict.same(Invariant::P10, at, "version", (own(first), own(said)));
}
