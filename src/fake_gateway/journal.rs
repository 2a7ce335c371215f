//! What was sent to the twin, and what it answered.
//!
//! Owns the entries' form and the counts. Never drops a line of the file; in memory only the last
//! entries are kept. Invariant: entries are numbered from 0 without gaps, in the order of arrival.

use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::{self, LineWriter, Write},
    path::Path,
};

const KEPT_MAX: usize = 20_000;
/// Keys whose bodies are compared; more are not watched.
const KEYS_MAX: usize = 1_000_000;

/// One request. What could not be read of it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub seq: u64,
    /// When the request had arrived, microseconds since 1970.
    pub received_us: i64,
    pub platform: &'static str,
    pub key: String,
    /// First 16 hexadecimal digits of the SHA-256 of the token or address.
    pub device: String,
    pub title: String,
    pub body: String,
    /// Of what was said: the JSON body, for web push the decrypted one.
    pub body_sha256: String,
    /// What came for the device's program.
    pub fields: BTreeMap<String, String>,
    /// The fields of these names, if they are numbers.
    pub origin_ms: Option<i64>,
    pub planned_us: Option<i64>,
    /// `accepted`, `gone`, `refused:<why>`, `status:<n>`, `hang`, `cut`, `huge`.
    pub answer: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub requests: u64,
    pub accepted: u64,
    /// Platform, then answer.
    pub answers: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// Different keys that were accepted.
    pub keys: u64,
    /// Acceptances of a key that had been accepted before.
    pub repeats: u64,
    /// Requests whose body differs from an earlier one under the same key and device. Never right.
    pub bodies_changed: u64,
    pub tokens_granted: u64,
    pub connections: u64,
}

struct Seen {
    body_sha256: String,
    is_accepted: bool,
}

pub struct Journal {
    file: Option<LineWriter<File>>,
    kept: VecDeque<Entry>,
    next: u64,
    counts: Counts,
    keys: BTreeMap<String, Seen>,
}

impl Journal {
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(File::create).transpose()?.map(LineWriter::new);
        Ok(Journal {
            file,
            kept: VecDeque::new(),
            next: 0,
            counts: Counts::default(),
            keys: BTreeMap::new(),
        })
    }

    pub fn add(&mut self, mut entry: Entry) {
        entry.seq = self.next;
        self.next += 1;
        self.count(&entry);
        if let Some(file) = &mut self.file {
            let line = serde_json::to_string(&entry).expect("an entry is plain JSON");
            if let Err(error) = writeln!(file, "{line}") {
                tracing::error!(%error, "the journal cannot be written");
                self.file = None;
            }
        }
        self.kept.push_back(entry);
        if self.kept.len() > KEPT_MAX {
            self.kept.pop_front();
        }
    }

    fn count(&mut self, entry: &Entry) {
        let is_accepted = entry.answer == "accepted";
        self.counts.requests += 1;
        self.counts.accepted += u64::from(is_accepted);
        let answers = self.counts.answers.entry(entry.platform).or_default();
        *answers.entry(entry.answer.clone()).or_default() += 1;
        if entry.key.is_empty() || entry.body_sha256.is_empty() {
            return;
        }
        let named = format!("{}/{}", entry.key, entry.device);
        let is_full = self.keys.len() >= KEYS_MAX;
        match self.keys.get_mut(&named) {
            Some(seen) => {
                self.counts.bodies_changed += u64::from(seen.body_sha256 != entry.body_sha256);
                self.counts.repeats += u64::from(is_accepted && seen.is_accepted);
                self.counts.keys += u64::from(is_accepted && !seen.is_accepted);
                seen.is_accepted |= is_accepted;
            }
            None if !is_full => {
                self.counts.keys += u64::from(is_accepted);
                let seen = Seen { body_sha256: entry.body_sha256.clone(), is_accepted };
                self.keys.insert(named, seen);
            }
            None => {}
        }
    }

    pub fn counts(&self, tokens_granted: u64, connections: u64) -> Counts {
        Counts { tokens_granted, connections, ..self.counts.clone() }
    }

    /// Shape: (number to ask from next, entries from `seq` on that are still kept).
    pub fn since(&self, seq: u64, entries_max: usize) -> (u64, Vec<Entry>) {
        let from = self.kept.iter().filter(|entry| entry.seq >= seq);
        let found: Vec<Entry> = from.take(entries_max).cloned().collect();
        (found.last().map_or(self.next.max(seq), |entry| entry.seq + 1), found)
    }

    /// Newest first.
    pub fn last(&self, entries_max: usize) -> Vec<Entry> {
        self.kept.iter().rev().take(entries_max).cloned().collect()
    }
}
