//! Header lists of records, and the headers of an output.
//!
//! Owns the names and texts of the headers (operations.md 1.2). Never asks a clock: `ce_time` is
//! log time. Runs once per output, so a list is one buffer. Invariant: all but `traceparent` and
//! `tracestate` follow from the log alone.

use super::{
    frame::{Chain, OutputId},
    raw::RawRecord,
};
use crate::domain::time::LogTime;
use std::{io::Write, ops::Range};
use uuid::Uuid;

pub const CE_ID: &str = "ce_id";
pub const CE_SPECVERSION: &str = "ce_specversion";
pub const CE_SOURCE: &str = "ce_source";
pub const CE_TYPE: &str = "ce_type";
pub const CE_TIME: &str = "ce_time";
pub const CONTENT_TYPE: &str = "content-type";
pub const TRACEPARENT: &str = "traceparent";
pub const TRACESTATE: &str = "tracestate";
pub const SRC: &str = "tapline-src";
pub const SEQ: &str = "tapline-seq";
pub const CHAIN: &str = "tapline-chain";
pub const ORIGIN_MS: &str = "tapline-origin-ms";
pub const PLANNED_US: &str = "tapline-planned-us";
pub const REPLAY_ID: &str = "tapline-replay-id";
pub const REPLAY_COUNT: &str = "tapline-replay-count";
pub const TARGETS: &str = "tapline-targets";

/// Namespace of `ce_id`: UUIDv5 of "tapline" among DNS names.
pub const ID_NAMESPACE: Uuid = Uuid::from_u128(0x3bae_d07b_d969_5e28_8242_3ae3_6a06_476e);

/// Those of an output, with room for the longest.
const OUTPUT_HEADERS_MAX: usize = 13;

/// Name and value of most headers together; longer ones grow the list.
const HEADER_BYTES_USUAL: usize = 40;

/// Headers in order, in one buffer. Names may repeat; a value may be null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderList {
    text: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: Range<u32>,
    /// End of the value, which begins where the name ends; `None`: null.
    value_end: Option<u32>,
}

impl HeaderList {
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for `headers` of usual size.
    pub fn with_capacity(headers: usize) -> Self {
        let text = Vec::with_capacity(headers * HEADER_BYTES_USUAL);
        Self { text, entries: Vec::with_capacity(headers) }
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
    }

    pub fn push(&mut self, name: &str, value: Option<&[u8]>) {
        let name = self.push_name(name);
        self.text.extend_from_slice(value.unwrap_or_default());
        let value_end = value.map(|_| self.end());
        self.entries.push(Entry { name, value_end });
    }

    pub fn push_text(&mut self, name: &str, value: &str) {
        self.push(name, Some(value.as_bytes()));
    }

    fn push_number(&mut self, name: &str, value: i64) {
        self.push_parts(name, |text| {
            let _ = write!(text, "{value}");
        });
    }

    /// A value that is written in place.
    fn push_parts(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let name = self.push_name(name);
        write(&mut self.text);
        let value_end = Some(self.end());
        self.entries.push(Entry { name, value_end });
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.entries.iter().map(|entry| {
            let name = std::str::from_utf8(self.name_of(entry));
            (name.expect("names are pushed as text"), self.value_of(entry))
        })
    }

    /// The value of the last header of that name, as Kafka's clients answer it.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.value_of(self.find(name)?)
    }

    /// The same as text, if it is.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Several are looked for in every record, so names are compared as bytes.
    fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().rfind(|entry| self.name_of(entry) == name.as_bytes())
    }

    fn name_of(&self, entry: &Entry) -> &[u8] {
        &self.text[entry.name.start as usize..entry.name.end as usize]
    }

    fn value_of(&self, entry: &Entry) -> Option<&[u8]> {
        entry.value_end.map(|end| &self.text[entry.name.end as usize..end as usize])
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names and values together, what the limit of 8 KiB counts.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    fn push_name(&mut self, name: &str) -> Range<u32> {
        let start = self.end();
        self.text.extend_from_slice(name.as_bytes());
        start..self.end()
    }

    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).expect("a record's headers are far below 4 GiB")
    }
}

/// What an output takes over from the record that caused it.
#[derive(Clone, Copy, Debug)]
struct PassedOn<'a> {
    traceparent: Option<&'a [u8]>,
    tracestate: Option<&'a [u8]>,
    planned_us: Option<&'a [u8]>,
    origin_ms: i64,
}

impl<'a> PassedOn<'a> {
    fn from(cause: &'a RawRecord) -> Self {
        let headers = &cause.headers;
        let origin_ms = headers.text(ORIGIN_MS).and_then(|text| text.parse().ok());
        Self {
            traceparent: headers.get(TRACEPARENT),
            tracestate: headers.get(TRACESTATE),
            planned_us: headers.get(PLANNED_US),
            origin_ms: origin_ms.unwrap_or(cause.timestamp_ms),
        }
    }
}

/// Where one output comes from; what its headers say.
#[derive(Clone, Copy, Debug)]
pub struct Provenance<'a> {
    pub id: &'a OutputId,
    pub stage: &'a str,
    pub ce_type: &'static str,
    /// `ce_time` of the log time; the caller keeps the text from tick to tick.
    pub ce_time: &'a str,
    /// Running number and chain of the key; only on outputs of the record's own key.
    pub link: Option<(i64, Chain)>,
    pub cause: &'a RawRecord,
}

/// The headers of an output.
pub fn headers(of: &Provenance<'_>) -> HeaderList {
    let passed = PassedOn::from(of.cause);
    let mut out = HeaderList::with_capacity(OUTPUT_HEADERS_MAX);
    out.push_parts(SRC, |text| {
        // Writing to a vector cannot fail.
        let _ = write!(text, "{}", of.id);
    });
    let id = Uuid::new_v5(&ID_NAMESPACE, out.get(SRC).unwrap_or_default());
    out.push_text(CE_ID, id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    out.push_text(CE_SPECVERSION, "1.0");
    out.push_parts(CE_SOURCE, |text| {
        text.extend_from_slice(b"/tapline/");
        text.extend_from_slice(of.stage.as_bytes());
    });
    out.push_text(CE_TYPE, of.ce_type);
    out.push_text(CE_TIME, of.ce_time);
    out.push_text(CONTENT_TYPE, "application/avro");
    if let Some((seq, chain)) = of.link {
        out.push_number(SEQ, seq);
        out.push_parts(CHAIN, |text| {
            let _ = write!(text, "{chain}");
        });
    }
    out.push_number(ORIGIN_MS, passed.origin_ms);
    for (name, value) in [
        (PLANNED_US, passed.planned_us),
        (TRACEPARENT, passed.traceparent),
        (TRACESTATE, passed.tracestate),
    ] {
        if value.is_some() {
            out.push(name, value);
        }
    }
    out
}

/// RFC 3339 in UTC with milliseconds; times outside years -9999 to 9999 stop at the edge.
pub fn ce_time(time: LogTime) -> String {
    let edge = if time.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let timestamp = jiff::Timestamp::from_millisecond(time.0).unwrap_or(edge);
    format!("{timestamp:.3}")
}
