//! What our stages published, decoded, each of it once: the way in which commands fold a log.
//!
//! Owns reading up to the present end with little memory, repeats left out. Never joins a group.

use super::{logs, print::say, records};
use crate::adapters::kafka::reader::{Reader, Span};
use crate::codec::{
    avro::{Avro, RegistryIds},
    frame::OutputId,
    raw::RawRecord,
    repeats::Newest,
    schemas::Subject,
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::stages::Topic;
use crate::worker::EXIT_FAILED;
use serde::de::DeserializeOwned;
use std::ops::ControlFlow;

/// Records between two words to the progress bar.
const PROGRESS_EVERY: u64 = 1_024;

/// One output, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Output<T> {
    pub partition: i32,
    pub offset: i64,
    /// Absent on what did not come out of a stage.
    pub source: Option<OutputId>,
    pub value: T,
}

pub struct Outputs<'a> {
    pub config: &'a Config,
    pub reader: Reader,
    pub ids: RegistryIds,
}

impl<'a> Outputs<'a> {
    pub fn open(config: &'a Config) -> Result<Self, i32> {
        let ids = records::registry_ids(config)?;
        Ok(Self { config, reader: logs::reader(config, "outputs")?, ids })
    }

    /// What the topic holds now; one partition only, if asked.
    pub fn spans(&self, topic: Topic, partition: Option<i32>) -> Result<Vec<Span>, i32> {
        logs::spans(self.config, &self.reader, &self.config.kafka.topic(topic.0), partition)
    }

    /// Records of the spans as they are, without repeats. A span must begin at the start of its
    /// partition or at a record that is no repeat. Errors: what `take` says, or those of the log.
    pub fn read_raw(
        &self,
        topic: Topic,
        spans: &[Span],
        progress: &mut Progress,
        mut take: impl FnMut(RawRecord, Option<OutputId>) -> Result<(), i32>,
    ) -> Result<(), i32> {
        let (mut newest, mut done, mut ended) = (Newest::default(), 0, Ok(()));
        let topic = self.config.kafka.topic(topic.0);
        logs::read(self.config, &self.reader, &topic, spans, |raw| {
            done += 1;
            if done % PROGRESS_EVERY == 0 {
                progress.at(done, "");
            }
            let source = raw.source();
            if !newest.is_new(raw.partition, source.as_ref()) {
                return ControlFlow::Continue(());
            }
            match take(raw, source) {
                Ok(()) => ControlFlow::Continue(()),
                Err(code) => {
                    ended = Err(code);
                    ControlFlow::Break(())
                }
            }
        })?;
        ended
    }

    /// The same, decoded, of the records that are `wanted`. Errors: exit code 3 where one cannot be
    /// decoded; nothing of the answer would be sure.
    pub fn read<T: DeserializeOwned>(
        &self,
        (topic, subject): (Topic, Subject),
        spans: &[Span],
        progress: &mut Progress,
        wanted: impl Fn(&RawRecord) -> bool,
        mut take: impl FnMut(Output<T>) -> Result<(), i32>,
    ) -> Result<(), i32> {
        let avro = Avro::of(subject);
        self.read_raw(topic, spans, progress, |raw, source| {
            if !wanted(&raw) {
                return Ok(());
            }
            let (partition, offset) = (raw.partition, raw.offset);
            match avro.decode(raw.value.as_deref().unwrap_or_default(), &self.ids) {
                Ok(value) => take(Output { partition, offset, source, value }),
                Err(error) => {
                    let topic = self.config.kafka.topic(topic.0);
                    say(&format!("{topic}:{partition}:{offset} cannot be read: {error}"));
                    Err(EXIT_FAILED)
                }
            }
        })
    }

    /// The same of all records, to a reader that cannot fail.
    pub fn each<T: DeserializeOwned>(
        &self,
        from: (Topic, Subject),
        spans: &[Span],
        progress: &mut Progress,
        mut take: impl FnMut(Output<T>),
    ) -> Result<(), i32> {
        let take = |output| {
            take(output);
            Ok(())
        };
        self.read(from, spans, progress, |_| true, take)
    }
}

/// Everything there is to read, for a progress bar.
pub fn records_of(spans: &[Span]) -> u64 {
    spans.iter().map(|span| span.end.saturating_sub(span.start).max(0).unsigned_abs()).sum()
}
