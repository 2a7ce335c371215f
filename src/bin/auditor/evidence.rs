//! Evidence: everything that is judged, as it was found, in a form that fits into memory.
//!
//! Owns the shapes only: raw records per topic and partition, raw rows, committed offsets, the
//! producer's journal. Never decodes a value and never judges. Where it came from (live servers or
//! a folder) makes no difference to the audit.

use std::{collections::BTreeMap, ops::Range};

pub const COMMANDS: &str = "payments.commands.v1";
pub const EVENTS: &str = "payments.events.v1";
pub const DEAD_LETTERS: &str = "authorisation.dead-letters.v1";
pub const POSTINGS: &str = "ledger.postings.v1";
pub const PARTS: &str = "settlement.parts.v1";
pub const WINDOWS: &str = "settlement.windows.v1";
pub const FEED_ITEMS: &str = "feed.items.v1";
pub const OUTCOMES: &str = "push.outcomes.v1";
/// The key of records that concern a whole partition.
pub const PARTITION_KEY: &str = "tapline.partition";

/// One record of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rec {
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Box<[u8]>>,
    pub value: Option<Box<[u8]>>,
    pub headers: Headers,
}

impl Rec {
    pub fn key_text(&self) -> Option<&str> {
        std::str::from_utf8(self.key.as_deref()?).ok()
    }

    /// Written by no stage and by no sender: a birth, or an operator's word to one stage. It is the
    /// partition's own and concerns no account.
    pub fn is_silent(&self) -> bool {
        let is_word = ["tapline-release-fuse", "tapline-end-diversion"]
            .into_iter()
            .any(|name| self.headers.contains(name));
        self.offset == 0 && self.headers.contains("tapline-birth")
            || is_word && self.key_text() == Some("tapline.partition")
    }
}

/// Headers in order, packed into one buffer: length and name, length and value, and so on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Box<[u8]>);

/// Length of a value that is null.
const NULL: u32 = u32::MAX;

impl Headers {
    pub fn pack<'a>(pairs: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Self {
        let mut packed = Vec::new();
        for (name, value) in pairs {
            packed.extend_from_slice(&(name.len() as u32).to_le_bytes());
            packed.extend_from_slice(name.as_bytes());
            let length = value.map_or(NULL, |value| value.len() as u32);
            packed.extend_from_slice(&length.to_le_bytes());
            packed.extend_from_slice(value.unwrap_or_default());
        }
        Self(packed.into_boxed_slice())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let name = take(&mut rest)??;
            let value = take(&mut rest)?;
            Some((std::str::from_utf8(name).unwrap_or("?"), value))
        })
    }

    /// The last value of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().filter(|(known, _)| *known == name).last()?.1
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|(known, _)| known == name)
    }
}

/// The next part: `Some(None)` for null, `None` at the end.
fn take<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    if length == NULL {
        *rest = after;
        return Some(None);
    }
    let (part, after) = after.split_at_checked(length as usize)?;
    *rest = after;
    Some(Some(part))
}

/// Records of a topic by partition, ascending by offset.
pub type Topic = BTreeMap<i32, Vec<Rec>>;

/// What a partition held when its end was noted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Span {
    pub topic: String,
    pub partition: i32,
    pub start: i64,
    /// One past the last offset.
    pub end: i64,
    /// Of a topic that a stage reads: its end after everything else was read. Workers go on
    /// ticking, so there may be outputs of records past the end that are not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grown_to: Option<i64>,
}

/// A row of `authorisation_head` (`item` absent) or `authorisation_side`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    pub incarnation: i32,
    pub partition: i32,
    pub bucket: i32,
    pub key: Box<str>,
    pub item: Option<Box<str>>,
    /// The position column of a side row; absent on heads, which carry it inside.
    pub pos: Option<i64>,
    /// The cell's write timestamp.
    pub written_at_us: Option<i64>,
    pub image: Box<[u8]>,
}

/// A committed offset of the group, as it was seen at some time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Committed {
    pub partition: i32,
    pub offset: i64,
}

/// The recorded life of the commands log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Incarnation {
    pub incarnation: i32,
    pub topic: String,
    pub birth_id: String,
    pub partitions: i32,
    pub buckets: i32,
}

/// One line of the producer's journal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JournalLine {
    pub message_id: Box<str>,
    #[serde(default)]
    pub sent_us: Option<i64>,
    pub state: SendState,
    #[serde(default)]
    pub partition: Option<i32>,
    #[serde(default)]
    pub offset: Option<i64>,
}

/// In this order a later line may say more than an earlier one of the same message.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SendState {
    NeverSent,
    Planned,
    Unknown,
    Acked,
}

/// A row of `feed_item`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeedRow {
    pub incarnation: i32,
    pub bucket: i32,
    /// Months since 1970; -1 for the accounts of a customer.
    pub period: i32,
    pub key: Box<str>,
    pub ordering: i64,
    pub item: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at_us: Option<i64>,
    #[serde(with = "super::folder::hexadecimal")]
    pub image: Box<[u8]>,
}

/// One request in the gateway's journal; what else it notes is not judged.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Request {
    pub received_us: i64,
    pub platform: Box<str>,
    /// The idempotency key.
    pub key: Box<str>,
    /// Of what was said; empty where it could not be read.
    pub body_sha256: Box<str>,
    /// `accepted`, or what was answered instead.
    pub answer: Box<str>,
}

/// What customers were shown and told; empty where feed and push do not run.
#[derive(Clone, Debug, Default)]
pub struct Served {
    pub items: Topic,
    pub rows: Vec<FeedRow>,
    /// Of the feed's group on the events; a partition without one must have all its rows.
    pub committed: Vec<Committed>,
    /// Of push's group on the items; in a partition without one nothing is known to be told.
    pub push_committed: Vec<Committed>,
    /// The recorded lives of the events and of the feed's items, as far as there are any.
    pub lives: Vec<Incarnation>,
    pub outcomes: Topic,
    /// Absent: nobody kept a journal.
    pub requests: Option<Vec<Request>>,
}

impl Served {
    pub fn life(&self, topic: &str) -> Option<&Incarnation> {
        self.lives.iter().find(|life| life.topic.ends_with(topic))
    }
}

#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub spans: Vec<Span>,
    pub commands: Topic,
    pub events: Topic,
    pub dead_letters: Topic,
    /// Of settlement; empty where its stages do not run.
    pub postings: Topic,
    pub parts: Topic,
    pub windows: Topic,
    pub heads: Vec<StoredRow>,
    pub sides: Vec<StoredRow>,
    pub committed: Vec<Committed>,
    pub incarnation: Option<Incarnation>,
    /// Absent: nobody kept one.
    pub journal: Option<Vec<JournalLine>>,
    pub served: Served,
}

impl Evidence {
    /// Partitions of the commands topic.
    pub fn partitions(&self) -> i32 {
        self.partitions_of(COMMANDS)
    }

    pub fn partitions_of(&self, topic: &str) -> i32 {
        self.spans.iter().filter(|span| span.topic == topic).count() as i32
    }

    /// Offsets of commands that came while the evidence was gathered: not judged.
    pub fn came_later(&self, partition: i32) -> Range<i64> {
        self.came_since(COMMANDS, partition)
    }

    /// The same of another topic.
    pub fn came_since(&self, topic: &str, partition: i32) -> Range<i64> {
        let own = |span: &&Span| span.topic == topic && span.partition == partition;
        let span = self.spans.iter().find(own);
        span.map_or(0..0, |span| span.end..span.grown_to.unwrap_or(span.end))
    }

    pub fn topic(&self, name: &str) -> &Topic {
        match name {
            COMMANDS => &self.commands,
            EVENTS => &self.events,
            POSTINGS => &self.postings,
            PARTS => &self.parts,
            WINDOWS => &self.windows,
            FEED_ITEMS => &self.served.items,
            OUTCOMES => &self.served.outcomes,
            _ => &self.dead_letters,
        }
    }

    /// Why the evidence is not whole; empty where it is.
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        for name in [COMMANDS, EVENTS, DEAD_LETTERS] {
            let mut numbers: Vec<i32> = Vec::new();
            for span in self.spans.iter().filter(|span| span.topic == name) {
                numbers.push(span.partition);
                gaps.extend(self.gap(span));
            }
            numbers.sort_unstable();
            if !numbers.iter().copied().eq(0..self.partitions()) {
                gaps.push(format!("{name} has partitions {numbers:?}, unlike {COMMANDS}"));
            }
        }
        let others = [POSTINGS, PARTS, WINDOWS, FEED_ITEMS, OUTCOMES];
        let is_other = |span: &&Span| others.contains(&&*span.topic);
        gaps.extend(self.spans.iter().filter(is_other).filter_map(|span| self.gap(span)));
        if self.partitions() == 0 {
            gaps.push(format!("{COMMANDS} has no partition"));
        }
        gaps
    }

    fn gap(&self, span: &Span) -> Option<String> {
        let place = format!("{} partition {}", span.topic, span.partition);
        if span.start != 0 {
            return Some(format!("{place} begins at {}: what came before is gone", span.start));
        }
        let last = self.topic(&span.topic).get(&span.partition).and_then(|all| all.last());
        let end = last.map_or(0, |record| record.offset + 1);
        (end != span.end).then(|| format!("{place} was read to {end}, but ends at {}", span.end))
    }
}
