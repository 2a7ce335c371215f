//! The table of compiled-in schemas: every version of every subject.
//!
//! Owns which schema texts exist and their fingerprints. Versions are append-only; the highest of
//! a subject is the current one, the only one that is written. A schema is never taken from the
//! network. Invariant: every text parses (tests/schemas.rs), so the table can be built at once.

use apache_avro::{Schema, rabin::Rabin};
use std::sync::LazyLock;

/// What a schema describes: a topic's values or a table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Commands,
    Events,
    Head,
    Side,
    Postings,
    PostingHead,
    Parts,
    Windows,
    WindowsHead,
    WindowsSide,
    FeedItems,
    PushOutcomes,
}

impl Subject {
    pub const ALL: &'static [Subject] = &[
        Subject::Commands,
        Subject::Events,
        Subject::Head,
        Subject::Side,
        Subject::Postings,
        Subject::PostingHead,
        Subject::Parts,
        Subject::Windows,
        Subject::WindowsHead,
        Subject::WindowsSide,
        Subject::FeedItems,
        Subject::PushOutcomes,
    ];

    /// The name of its folder under `schemas/`; for a topic, the topic's name.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Commands => "payments.commands.v1",
            Subject::Events => "payments.events.v1",
            Subject::Head => "authorisation.head",
            Subject::Side => "authorisation.side",
            Subject::Postings => "ledger.postings.v1",
            Subject::PostingHead => "posting.head",
            Subject::Parts => "settlement.parts.v1",
            Subject::Windows => "settlement.windows.v1",
            Subject::WindowsHead => "windows.head",
            Subject::WindowsSide => "windows.side",
            Subject::FeedItems => "feed.items.v1",
            Subject::PushOutcomes => "push.outcomes.v1",
        }
    }
}

/// One version of one subject.
pub struct Version {
    pub subject: Subject,
    pub number: u32,
    pub text: &'static str,
    pub schema: Schema,
    /// CRC-64-AVRO of the canonical form.
    pub fingerprint: u64,
}

macro_rules! texts {
    ($($subject:ident $number:literal $path:literal,)*) => {
        &[$((Subject::$subject, $number, include_str!(concat!("../../schemas/", $path)))),*]
    };
}

/// Ascending by version within a subject.
const TEXTS: &[(Subject, u32, &str)] = texts! {
    Commands 1 "payments.commands.v1/1.avsc",
    Events 1 "payments.events.v1/1.avsc",
    Head 1 "authorisation.head/1.avsc",
    Side 1 "authorisation.side/1.avsc",
    Postings 1 "ledger.postings.v1/1.avsc",
    PostingHead 1 "posting.head/1.avsc",
    Parts 1 "settlement.parts.v1/1.avsc",
    Windows 1 "settlement.windows.v1/1.avsc",
    WindowsHead 1 "windows.head/1.avsc",
    WindowsSide 1 "windows.side/1.avsc",
    FeedItems 1 "feed.items.v1/1.avsc",
    PushOutcomes 1 "push.outcomes.v1/1.avsc",
};

static VERSIONS: LazyLock<Vec<Version>> = LazyLock::new(|| {
    let version = |&(subject, number, text): &(Subject, u32, &'static str)| {
        let schema = Schema::parse_str(text)
            .expect("compiled-in schemas parse: tests/schemas.rs reads each of them");
        let fingerprint = fingerprint(&schema);
        Version { subject, number, text, schema, fingerprint }
    };
    TEXTS.iter().map(version).collect()
});

/// All versions, ascending within a subject.
pub fn versions() -> &'static [Version] {
    &VERSIONS
}

/// The version that is written.
pub fn current(subject: Subject) -> &'static Version {
    versions()
        .iter()
        .rfind(|version| version.subject == subject)
        .expect("every subject has a version in TEXTS")
}

pub fn by_fingerprint(fingerprint: u64) -> Option<&'static Version> {
    versions().iter().find(|version| version.fingerprint == fingerprint)
}

/// CRC-64-AVRO of the schema's canonical form.
pub fn fingerprint(schema: &Schema) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(schema.fingerprint::<Rabin>().bytes) {
        *to = from;
    }
    u64::from_le_bytes(bytes)
}
