//! The demo's look at the ledger: what posting and windows made of the data that was played.
//!
//! Owns reading both topics to their ends, each output once; nobody writes them by then. Judges
//! nothing: `producer::ledger_oracle` does. Never joins a group.

use super::{logs, print::say};
use crate::adapters::kafka::reader::Reader;
use crate::codec::{
    avro::{Avro, RegistryIds},
    raw::RawRecord,
    repeats::Newest,
    schemas::Subject,
    topics::{POSTINGS, WINDOWS},
};
use crate::config::Config;
use crate::domain::{ledger::PostingSet, window::WindowEvent};
use crate::load::play::Played;
use crate::producer::{Folder, ledger_oracle::LedgerOracle};
use crate::stages::Topic;
use crate::worker::EXIT_FAILED;
use serde::de::DeserializeOwned;

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
