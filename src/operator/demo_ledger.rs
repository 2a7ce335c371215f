//! The demo's look at the ledger: what posting and windows made of the data that was played.
//!
//! Owns waiting until the last window of every folder has closed, and reading both topics to their
//! ends, each output once. Judges nothing: `producer::ledger_oracle` does. Never joins a group.

use super::{logs, print::say};
use crate::adapters::kafka::reader::Reader;
use crate::codec::{
    avro::{Avro, RegistryIds},
    raw::RawRecord,
    repeats::Newest,
    schemas::Subject,
    topics::{EVENTS, PARTS, POSTINGS, WINDOWS},
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::{ledger::PostingSet, window::WindowEvent};
use crate::load::{play::Played, workers::Worker};
use crate::producer::{Folder, ledger_oracle::LedgerOracle};
use crate::runtime::telemetry;
use crate::stages::Topic;
use crate::worker::EXIT_FAILED;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long the windows may stand still while some are missing.
const STILL_MS_MAX: u64 = 60_000;

/// Waits until the last window of each folder has closed: then postings and windows have read all
/// that was played. Errors: what is missing, after a minute in which no window came.
pub fn await_windows(
    config: &Config,
    folders: &[Folder],
    workers: &mut [Worker],
    no_bars: bool,
) -> Result<(), String> {
    let mut ledger = Ledger::of(folders, config.kafka.partitions as usize);
    let reader = logs::reader(config, "windows").map_err(|_| "Kafka cannot be read".to_owned())?;
    let mut progress = Progress::start("windows", 0, no_bars);
    let topic = config.kafka.topic(WINDOWS.0);
    let from: Vec<(i32, i64)> = reader
        .spans(&topic)
        .map_err(|error| error.to_string())?
        .iter()
        .map(|span| (span.partition, span.start))
        .collect();
    reader.assign(&topic, &from).map_err(|error| error.to_string())?;
    let (mut events, mut still_since_ms) = (0, telemetry::steady_ms());
    while ledger.oracles.iter().any(|oracle| !oracle.has_last_window()) {
        let next = reader.next(Duration::from_millis(200)).map_err(|error| error.to_string())?;
        if let Some((_, raw)) = next {
            ledger.take_event(&raw)?;
            (events, still_since_ms) = (events + 1, telemetry::steady_ms());
        }
        progress.at(events, "waiting for the last windows to close");
        let is_over = telemetry::steady_ms() > still_since_ms + STILL_MS_MAX;
        if is_over || !workers.iter_mut().all(Worker::is_running) {
            return Err(format!("{}\n{}", ledger.missing(), unread(config)));
        }
    }
    progress.finish();
    Ok(())
}

/// How far the two stages have read, in words.
fn unread(config: &Config) -> String {
    let of = |stage: &str, topic: Topic| -> Option<String> {
        let reader = logs::reader(config, stage).ok()?;
        let name = config.kafka.topic(topic.0);
        let spans = reader.spans(&name).ok()?;
        let partitions: Vec<i32> = spans.iter().map(|span| span.partition).collect();
        let committed = reader.committed(&name, &partitions).ok()?;
        let left: Vec<String> = spans
            .iter()
            .zip(committed)
            .map(|(span, offset)| format!("{}:{}", span.partition, span.end - offset.unwrap_or(0)))
            .collect();
        Some(format!("{stage} has records of {name} left (partition:records): {}", left.join(" ")))
    };
    let lines = [of("posting", EVENTS), of("windows", PARTS)];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Reads both topics to their ends and puts the oracles' lines behind what was judged already.
/// The workers have stopped, so the ends stay where they are.
pub fn judge(config: &Config, folders: &[Folder], played: &mut [Played]) -> Result<(), i32> {
    let failed = |reason: String| {
        say(&reason);
        EXIT_FAILED
    };
    let mut ledger = Ledger::of(folders, config.kafka.partitions as usize);
    let reader = logs::reader(config, "windows")?;
    read(config, &reader, POSTINGS, |raw| ledger.take_set(raw)).map_err(failed)?;
    read(config, &reader, WINDOWS, |raw| ledger.take_event(raw)).map_err(failed)?;
    ledger.conclude(played);
    Ok(())
}

pub(super) fn read(
    config: &Config,
    reader: &Reader,
    topic: Topic,
    mut take: impl FnMut(&RawRecord) -> Result<(), String>,
) -> Result<(), String> {
    let name = config.kafka.topic(topic.0);
    let spans = reader.spans(&name).map_err(|error| error.to_string())?;
    let mut taken = Ok(());
    let each = |_, raw: RawRecord| {
        if taken.is_ok() {
            taken = take(&raw).map_err(|reason| format!("{name}: {reason}"));
        }
    };
    reader.read(&name, &spans, each).map_err(|error| format!("{name}: {error}"))?;
    taken
}

/// One oracle a folder, fed with each output once.
pub struct Ledger {
    oracles: Vec<LedgerOracle>,
    ids: RegistryIds,
    /// Outputs taken, of each topic.
    sets: Newest,
    events: Newest,
}

impl Ledger {
    pub fn of(folders: &[Folder], partitions: usize) -> Self {
        Self {
            oracles: folders.iter().map(|folder| folder.ledger_oracle(partitions)).collect(),
            ids: RegistryIds::default(),
            sets: Newest::default(),
            events: Newest::default(),
        }
    }

    pub fn take_set(&mut self, raw: &RawRecord) -> Result<(), String> {
        if self.sets.is_new(raw.partition, raw.source().as_ref()) {
            let set: PostingSet = decode(Subject::Postings, raw, &self.ids)?;
            self.oracles.iter_mut().for_each(|oracle| oracle.post(&set));
        }
        Ok(())
    }

    pub fn take_event(&mut self, raw: &RawRecord) -> Result<(), String> {
        if self.events.is_new(raw.partition, raw.source().as_ref()) {
            let event: WindowEvent = decode(Subject::Windows, raw, &self.ids)?;
            self.oracles.iter_mut().for_each(|oracle| oracle.decide(&event));
        }
        Ok(())
    }

    pub fn conclude(&self, played: &mut [Played]) {
        for (oracle, one) in self.oracles.iter().zip(played) {
            one.verdict.append(&mut oracle.verdict(&one.booked_minor));
        }
    }

    fn missing(&self) -> String {
        let open = self.oracles.iter().filter(|oracle| !oracle.has_last_window());
        let names: Vec<String> = open.map(LedgerOracle::last_window).collect();
        format!("these windows have not closed: {}", names.join(", "))
    }
}

pub(super) fn decode<T: DeserializeOwned>(
    subject: Subject,
    raw: &RawRecord,
    ids: &RegistryIds,
) -> Result<T, String> {
    let value = raw.value.as_deref().unwrap_or_default();
    let place = format!("{}:{}", raw.partition, raw.offset);
    Avro::of(subject).decode(value, ids).map_err(|error| format!("{place}: {error}"))
}
