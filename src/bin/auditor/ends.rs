//! How obligations ended: every word on each, and which words may stand beside each other (P10).
//!
//! Owns the table of words. An owner that dies before its commit leaves the next one to decide anew,
//! by what is true then: the first word counts for whoever reads outcomes, but what was sent is
//! judged by all of them. Reads no record and knows no gateway.

use super::verdict::Place;
use std::collections::BTreeMap;

/// Outcome, why where that matters, whether another owner may say otherwise, and the reason.
///
/// But for the last, all pairs are right, in either order: owners differ in settings, in what they
/// have read by then and in the time at which they look, and a former owner's word may come late.
type Known = (&'static str, Option<&'static str>, bool, &'static str);

const WORDS: [Known; 7] = [
    // Told again it may be refused, too old, not wanted by now, or its newer version be known.
    ("delivered", None, true, "the gateway, the time and the customer are others by then"),
    // `gone` takes the device away, so the next owner finds none.
    ("rejected", None, true, "devices are put and dropped, gateways set up and mended"),
    // Time alone only adds to an age.
    ("expired", None, true, "the bound is of a worker's start; what was under way may be taken"),
    ("preference", None, true, "quiet hours end, wishes change, devices are put"),
    // A takeover takes the older version first, often before the newer one is read.
    ("superseded", None, true, "the newer version is not read yet, or not wanted any more"),
    // Older open obligations hold the commit back, so even an orderly change decides some anew.
    ("muted", Some("mode_mute"), true, "the mode is of a worker's start"),
    ("muted", Some("replayed"), false, "the record says so itself to whoever reads it"),
];

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

    /// Why the two cannot both be said of one obligation.
    pub fn contradicts(&self, other: &Word) -> Option<&'static str> {
        let is_other = self.name() != other.name();
        let fixed = [self, other].into_iter().find(|word| !word.known.2)?;
        is_other.then_some(fixed.known.3)
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
