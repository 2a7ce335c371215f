//! Outcomes of push against the items that they are about (P10).
//!
//! Owns the reading of `push.outcomes.v1` (in any order, the first of an id counts) and what an
//! outcome must say whatever was decided: whether something had to be told is the stage's affair.
//! A second attempt after a crash may end otherwise for a reason that time brings. It can never turn
//! what was not told into told, nor be mute where the first was not, or the other way round.

use super::{
    avro::{self, Doc, long, text},
    evidence::{EVENTS, Evidence, OUTCOMES, Rec},
    identity::{Source, partition_of},
    moves::records,
    taken::Taken,
    verdict::{Invariant, Place, Verdict},
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

pub const KEY_BYTES_MAX: usize = 64;
const ENDS: [&str; 6] = ["delivered", "rejected", "expired", "muted", "preference", "superseded"];

/// A record of the topic.
pub struct Said<'a> {
    pub id: String,
    /// Of the event that its item shows.
    pub place: Place,
    pub record: &'a Rec,
    pub doc: Doc,
}

/// How an obligation ended.
pub struct End {
    pub id: String,
    pub place: Place,
    pub outcome: String,
    /// Customer and line.
    pub line: (String, String),
    pub version: i64,
    /// Over all devices.
    pub attempts: i64,
    /// Keys that a gateway is said to have taken.
    pub delivered: Vec<String>,
}

/// By what the keys of its requests begin with.
pub type Ends = BTreeMap<String, End>;

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
        if let Some(first) = firsts.get(&*said.id) {
            repeated(first, said, verdict);
            continue;
        }
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
        let end = end(said, verdict);
        ends.insert(key_prefix(&said.id), end);
    }
    ends
}

/// What the keys of an obligation begin with: its id, or a digest of one that is too long or no
/// plain text, and a colon.
fn key_prefix(id: &str) -> String {
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
fn end(said: &Said, verdict: &mut Verdict) -> End {
    let fields = &said.doc.fields;
    let name = |name| text(fields, name).unwrap_or("").to_owned();
    let outcome = name("outcome");
    let mut broken = |expected: &str, found: String| {
        verdict.breach(Invariant::P10, said.place, &*said.id, expected, found);
    };
    if !ENDS.contains(&&*outcome) {
        broken("an end that is known", outcome.clone());
    }
    let (mut attempts, mut delivered, mut keys) = (0, Vec::new(), Vec::new());
    let prefix = key_prefix(&said.id);
    for send in records(fields, "sends") {
        let key = text(send, "key").unwrap_or("").to_owned();
        if key.len() > KEY_BYTES_MAX || obligation_of(&key) != prefix || keys.contains(&key) {
            let expected = format!("keys of {prefix}, each once, of {KEY_BYTES_MAX} bytes at most");
            broken(&expected, format!("{key}, {} bytes", key.len()));
        }
        attempts += long(send, "attempts").unwrap_or(0);
        if text(send, "outcome") == Some("delivered") {
            delivered.push(key.clone());
        }
        keys.push(key);
    }
    if (outcome == "delivered") == delivered.is_empty() {
        let found = format!("{outcome}, {} of {} sends delivered", delivered.len(), keys.len());
        broken("delivered where a gateway took it, and only there", found);
    }
    if matches!(&*outcome, "muted" | "preference") && attempts > 0 {
        broken("nothing was sent", format!("{outcome} after {attempts} attempts"));
    }
    End {
        id: said.id.clone(),
        place: said.place,
        line: (name("customer_id"), name("line")),
        version: long(fields, "version").unwrap_or(0),
        attempts,
        delivered,
        outcome,
    }
}

/// The same was to be told, and the first end stands.
fn repeated(first: &Said, said: &Said, verdict: &mut Verdict) {
    let at = (first.place, &*first.id);
    for name in ["customer_id", "obligation_id", "line", "kind", "title", "body"] {
        let own = |said: &Said| text(&said.doc.fields, name).map(str::to_owned);
        verdict.same(Invariant::P10, at, name, (own(first), own(said)));
    }
    let own = |said: &Said| long(&said.doc.fields, "version");
    verdict.same(Invariant::P10, at, "version", (own(first), own(said)));
    let ends = [first, said].map(|said| text(&said.doc.fields, "outcome").unwrap_or(""));
    let is_other = |outcome: &str| ends[0] != ends[1] && ends.contains(&outcome);
    if is_other("muted")
        || is_other("unknown")
        || (ends[0] != "delivered" && ends[1] == "delivered")
    {
        let expected = format!("{}, as first said", ends[0]);
        verdict.breach(Invariant::P10, first.place, &*first.id, expected, ends[1]);
    }
}
