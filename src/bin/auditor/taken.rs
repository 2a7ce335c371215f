//! The outputs of the settlement stages, each id once (P3, P7).
//!
//! Owns what a reader of such a topic does: copies dropped and compared, order per source partition,
//! keys in their partition, values by their schema. What they say is judged elsewhere.

use super::{
    avro::{self, Doc, Unread},
    evidence::{Rec, Topic},
    identity::{Source, partition_of},
    outputs::same,
    verdict::{Invariant, Place, Verdict},
};
use std::collections::HashMap;

/// The first record of an id.
pub struct Taken<'a> {
    pub source: Source,
    pub id: String,
    pub record: &'a Rec,
    pub doc: Doc,
    /// Where it stands itself.
    pub partition: i32,
}

impl Taken<'_> {
    /// Of the record that led to it.
    pub fn place(&self) -> Place {
        Place { offset: self.source.offset, partition: self.source.partition }
    }
}

/// First records by partition and offset. `strangers`: records without a source are other writers'.
pub fn first_of<'a>(
    name: &str,
    topic: &'a Topic,
    strangers: bool,
    verdict: &mut Verdict,
) -> Vec<Taken<'a>> {
    let partitions = topic.keys().max().map_or(1, |last| last + 1);
    let mut known: HashMap<&str, &Rec> = HashMap::new();
    let mut newest: HashMap<(i32, i32), Source> = HashMap::new();
    let mut incarnation = None;
    let mut all = Vec::new();
    for (partition, record) in
        topic.iter().flat_map(|(at, all)| all.iter().map(move |it| (*at, it)))
    {
        if record.is_silent() {
            continue;
        }
        let text = record.headers.text("tapline-src");
        if text.is_none() && strangers {
            continue;
        }
        let text = text.unwrap_or("");
        let here = Place { offset: record.offset, partition };
        let source = Source::parse(text)
            .filter(|source| source.incarnation == *incarnation.get_or_insert(source.incarnation));
        verdict.checked(Invariant::P3);
        let Some(source) = source else {
            let id = format!("{name} {partition}:{}", record.offset);
            verdict.breach(Invariant::P3, here, id, "an id of this log", format!("`{text}`"));
            continue;
        };
        let place = Place { offset: source.offset, partition: source.partition };
        if let Some(first) = known.get(text) {
            if !same(first, record) {
                let found = format!("another record at {name} {partition}:{}", record.offset);
                verdict.breach(Invariant::P3, place, text, "a byte-equal copy", found);
            }
            continue;
        }
        known.insert(text, record);
        let latest = newest.entry((partition, source.partition)).or_insert_with(|| source.clone());
        if source.order() < latest.order() {
            let expected = format!("before {latest}");
            verdict.breach(Invariant::P3, place, text, expected, "after it");
        } else {
            *latest = source.clone();
        }
        let home = partition_of(record.key.as_deref().unwrap_or_default(), partitions);
        verdict.same(Invariant::P7, (place, text), "partition", (home, partition));
        match avro::read(name, record.value.as_deref().unwrap_or_default()) {
            Ok(doc) => {
                all.push(Taken { source, id: text.to_owned(), record, doc, partition });
            }
            Err(Unread::Broken) => {
                verdict.breach(Invariant::P3, place, text, "a readable value", "other bytes");
            }
            Err(Unread::UnknownSchema) => verdict
                .unjudged
                .push(format!("{name} {partition}:{} has an unknown schema", record.offset)),
        }
    }
    all
}
