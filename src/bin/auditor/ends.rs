//! How obligations ended: every word on each, and which words may stand beside each other (P10).
//!
//! Owns the table of words. An owner that dies before its commit leaves the next one to decide anew,
//! by what is true then: the first word counts for whoever reads outcomes, but what was sent is
//! judged by all of them. Reads no record and knows no gateway.

use super::verdict::Place;
use std::collections::BTreeMap;

/// Outcomes, each with its reason where that matters.
///
/// All pairs may stand beside each other, in either order, but for the last one's: owners differ in
/// settings, in what they have read by then and in the time at which they look, and a former
/// owner's word may come late.
const WORDS: [Known; 7] = [
    // Told again it may be refused, too old, not wanted by now, or its newer version be known.
    ("delivered", None),
    // `gone` takes the device away, so the next owner finds none; gateways are set up and mended.
    ("rejected", None),
    // The bound is of a worker's start, and what was under way may be taken.
    ("expired", None),
    // Quiet hours end, wishes change, devices are put.
    ("preference", None),
    // A takeover takes the older version first, often before the newer one is read.
    ("superseded", None),
    // Of a worker's start. Older open obligations hold the commit back, so even an orderly change
    // decides some anew.
    ("muted", Some(MODE_MUTE)),
    // The record says so itself, to whoever reads it: no owner can say otherwise.
    ("muted", Some(REPLAYED)),
];

type Known = (&'static str, Option<&'static str>);

pub const MODE_MUTE: &str = "mode_mute";
pub const REPLAYED: &str = "replayed";

/// What one owner said.
#[derive(Clone, Copy)]
pub struct Word {
    known: Known,
    /// Over all devices.
    pub attempts: i64,
    /// Broker's time.
    pub said_ms: i64,
}

impl Word {
    /// `None`: no such end, or muted without saying why.
    pub fn of(outcome: &str, code: &str, attempts: i64, said_ms: i64) -> Option<Self> {
        let is_it = |known: &&Known| known.0 == outcome && known.1.is_none_or(|why| why == code);
        let known = *WORDS.iter().find(is_it)?;
        Some(Self { known, attempts, said_ms })
    }

    pub fn name(&self) -> &'static str {
        self.known.1.unwrap_or(self.known.0)
    }

    pub fn is(&self, name: &str) -> bool {
        self.name() == name
    }

    /// The two cannot both be said of one obligation.
    pub fn contradicts(&self, other: &Word) -> bool {
        self.is(REPLAYED) != other.is(REPLAYED)
    }
}

/// An obligation's end.
pub struct End {
    pub id: String,
    pub place: Place,
    /// In the order of the log; the first one counts. Unknown ones are left out.
    pub words: Vec<Word>,
    /// Keys that a gateway is said to have taken, by any word.
    pub delivered: Vec<String>,
}

impl End {
    pub fn all(&self, name: &str) -> bool {
        !self.words.is_empty() && self.words.iter().all(|word| word.is(name))
    }

    /// A word admits that something was sent.
    pub fn has_attempts(&self) -> bool {
        self.words.iter().any(|word| word.attempts > 0)
    }

    pub fn last_said_ms(&self) -> Option<i64> {
        self.words.iter().map(|word| word.said_ms).max()
    }
}

/// By what the keys of its requests begin with.
pub type Ends = BTreeMap<String, End>;
