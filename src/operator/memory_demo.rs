//! The demo without servers: the same stages and the same runtime over the in-memory log and store.
//!
//! Shows the rules at work on the real data. Proves nothing about Kafka, Cassandra or crashes, and
//! is labelled so wherever it prints.

use super::{
    apply::FIRST_RULES, demo_feed::Sight, demo_ledger::Ledger, print::say, stacks::LOCAL_PARTITIONS,
};
use crate::adapters::memory::{
    MemoryLog, MemoryStore,
    worker::{MemoryBinding, MemoryWorker},
};
use crate::codec::{
    authorisation::AuthorisationCodec,
    avro::{Avro, RegistryIds},
    feed::FeedCodec,
    headers::HeaderList,
    limits::Sizes,
    partitioner::partition_of,
    posting::PostingCodec,
    raw::RawRecord,
    rules,
    schemas::Subject,
    topics::{COMMANDS, EVENTS, FEED_ITEMS, POSTINGS, WINDOWS},
    windows::WindowsCodec,
};
use crate::console::progress::Progress;
use crate::domain::{
    command::{PARTITION_KEY, Tick},
    event::AccountEvent,
    rules::Rules,
};
use crate::load::{latency::Latency, play::Played};
use crate::producer::{
    Folder,
    dated::{Step, day_text},
    oracle::OracleLine,
};
use crate::runtime::{partition::Limits, telemetry};
use crate::stages::{
    Topic,
    authorisation::Authorisation,
    feed::Feed,
    settlement::{posting::Posting, windows::WindowsStage},
};
use crate::worker::{EXIT_FAILED, stages::encode_tick};
use std::{collections::BTreeMap, sync::Arc};

/// The stages one behind the other. Whoever runs has the log; between runs the first has it.
struct Pipeline {
    authorisation: MemoryWorker<Authorisation, AuthorisationCodec>,
    posting: MemoryWorker<Posting, PostingCodec>,
    windows: MemoryWorker<WindowsStage, WindowsCodec>,
    feed: MemoryWorker<Feed, FeedCodec>,
}

const PARTITIONS: i32 = LOCAL_PARTITIONS as i32;
const BUCKETS: u32 = 16;
/// Number of the life of the events topic.
const EVENTS_LIFE: i32 = 2;

pub fn play(folders: &[Folder], no_bars: bool) -> Result<Vec<Played>, i32> {
    let rules = rules::parse(FIRST_RULES).map_err(|error| {
        say(&error.to_string());
        EXIT_FAILED
    })?;
    let rules = BTreeMap::from([(rules.version, Arc::new(rules))]);
    let mut pipeline = Pipeline::new(&rules);
    let mut read = vec![0; PARTITIONS as usize];
    let mut played = Vec::new();
    for folder in folders {
        played.push(play_one(&mut pipeline, folder, &mut read, no_bars)?);
    }
    let mut ledger = Ledger::of(folders, PARTITIONS as usize);
    let judged = pipeline
        .each(POSTINGS, |raw| ledger.take_set(raw))
        .and_then(|()| pipeline.each(WINDOWS, |raw| ledger.take_event(raw)));
    judged.map_err(|reason| {
        say(&reason);
        EXIT_FAILED
    })?;
    ledger.conclude(&mut played);
    let mut sight = Sight::of(folders);
    let judged = pipeline
        .each(EVENTS, |raw| sight.take_event(raw))
        .and_then(|()| pipeline.each(FEED_ITEMS, |raw| sight.take_item(raw)))
        .and_then(|()| pipeline.rows().try_for_each(|(key, value)| sight.take_row(key, value)));
    judged.map_err(|reason| {
        say(&reason);
        EXIT_FAILED
    })?;
    sight.conclude_without_phones(&mut played);
    Ok(played)
}

impl Pipeline {
    fn new(rules: &BTreeMap<i32, Arc<Rules>>) -> Self {
        let mut log = MemoryLog::default();
        log.create(COMMANDS.0, PARTITIONS);
        let binding = |incarnation| MemoryBinding {
            topic_prefix: String::new(),
            incarnation,
            buckets: BUCKETS,
            limits: Limits::default(),
        };
        let (sizes, ids) = (Sizes::default, RegistryIds::default);
        let store = MemoryStore::default;
        let codec = || AuthorisationCodec::new(PARTITIONS, sizes(), ids(), "");
        let mut authorisation = MemoryWorker::new(&binding(1), log, store(), rules.clone(), codec);
        let (log, codec) = (std::mem::take(&mut authorisation.log), || {
            PostingCodec::new(PARTITIONS, sizes(), ids(), "")
        });
        let mut posting =
            MemoryWorker::new(&binding(EVENTS_LIFE), log, store(), rules.clone(), codec);
        let (log, codec) = (std::mem::take(&mut posting.log), || {
            WindowsCodec::new(PARTITIONS, sizes(), ids(), "")
        });
        let mut windows = MemoryWorker::new(&binding(3), log, store(), rules.clone(), codec);
        let (log, codec) =
            (std::mem::take(&mut windows.log), || FeedCodec::new(PARTITIONS, sizes(), ids(), ""));
        let mut feed = MemoryWorker::new(&binding(EVENTS_LIFE), log, store(), rules.clone(), codec);
        authorisation.log = std::mem::take(&mut feed.log);
        Self { authorisation, posting, windows, feed }
    }

    fn run_until_idle(&mut self) {
        self.authorisation.run_until_idle();
        self.posting.log = std::mem::take(&mut self.authorisation.log);
        self.posting.run_until_idle();
        self.windows.log = std::mem::take(&mut self.posting.log);
        self.windows.run_until_idle();
        self.feed.log = std::mem::take(&mut self.windows.log);
        self.feed.run_until_idle();
        self.authorisation.log = std::mem::take(&mut self.feed.log);
    }

    /// Every row of the read model.
    fn rows(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let rows = (0..BUCKETS).flat_map(|bucket| self.feed.store.reads(EVENTS_LIFE, bucket));
        rows.map(|(row, cell)| (&*row.key, cell.bytes.as_slice()))
    }

    fn log(&mut self) -> &mut MemoryLog {
        &mut self.authorisation.log
    }

    /// Every record of a topic.
    fn each(
        &self,
        topic: Topic,
        take: impl FnMut(&RawRecord) -> Result<(), String>,
    ) -> Result<(), String> {
        let log = &self.authorisation.log;
        let records = |partition| log.read(topic.0, partition, 0, usize::MAX);
        (0..PARTITIONS).flat_map(records).try_for_each(take)
    }
}

fn play_one(
    pipeline: &mut Pipeline,
    folder: &Folder,
    read: &mut [i64],
    no_bars: bool,
) -> Result<Played, i32> {
    let plan = folder.play();
    let (first, last) = plan.days();
    let total = plan.commands_left() as u64;
    let mut judge = folder.judge();
    let mut progress = Progress::start(folder.name(), total, no_bars);
    let begun_ns = telemetry::steady_ns();
    let (mut commands, mut decisions) = (0, 0);
    for step in plan {
        match step {
            Step::Tick(time) => {
                // A day's commands are decided before the next day begins, so that the bar moves.
                pipeline.run_until_idle();
                decisions += observe(pipeline, read, |event| judge.observe(event))?;
                progress.at(decisions, &day_text(time));
                let value = encode_tick(Tick { time, rules_version: 1, logic_version: 1 });
                let key = PARTITION_KEY.as_bytes().to_vec();
                for partition in 0..PARTITIONS {
                    let contents = (Some(key.clone()), Some(value.clone()), HeaderList::new());
                    pipeline.log().append(COMMANDS.0, partition, time.0, contents);
                }
            }
            Step::Command(command) => {
                let key = command.account_id.as_str().as_bytes().to_vec();
                let partition = partition_of(&key, PARTITIONS);
                let mut value = Vec::new();
                Avro::of(Subject::Commands).encode(&command, &mut value);
                let contents = (Some(key), Some(value), HeaderList::new());
                pipeline.log().append(COMMANDS.0, partition, command.sent_at.0, contents);
                commands += 1;
            }
        }
    }
    pipeline.run_until_idle();
    decisions += observe(pipeline, read, |event| judge.observe(event))?;
    progress.finish();
    let booked_minor = judge.last_booked_minor();
    let mut verdict = judge.verdict();
    let held = |id: &str| {
        pipeline
            .authorisation
            .partitions()
            .find_map(|it| it.heads().row(id))
            .map(|row| row.state.standing.booked_minor)
    };
    let same = booked_minor.iter().filter(|(id, minor)| held(id.as_str()) == Some(**minor)).count();
    verdict.push(OracleLine::equal(
        "accounts whose head equals their last event",
        booked_minor.len(),
        same,
    ));
    Ok(Played {
        name: folder.name(),
        days: format!("{} to {}", day_text(first), day_text(last)),
        commands,
        decisions,
        seconds: telemetry::seconds_since(begun_ns),
        latency: Latency::default().percentiles(),
        verdict,
        booked_minor,
    })
}

/// Reads the new events of every partition; returns how many answer a message.
fn observe(
    pipeline: &Pipeline,
    read: &mut [i64],
    mut take: impl FnMut(&AccountEvent),
) -> Result<u64, i32> {
    let mut answers = 0;
    for partition in 0..PARTITIONS {
        let from = &mut read[partition as usize];
        for record in pipeline.authorisation.log.read(EVENTS.0, partition, *from, usize::MAX) {
            *from = record.offset + 1;
            let value = record.value.as_deref().unwrap_or_default();
            let decoded = Avro::of(Subject::Events).decode(value, &RegistryIds::default());
            let event: AccountEvent = decoded.map_err(|error| {
                say(&format!(
                    "the event at {partition}:{} cannot be decoded: {error}",
                    record.offset
                ));
                EXIT_FAILED
            })?;
            answers += u64::from(event.message_id.is_some());
            take(&event);
        }
    }
    Ok(answers)
}
