//! The log for commands: names to topics, reading up to an end, and writing an operator's records.
//!
//! Owns the words for what goes wrong between a command and Kafka, and its exit code. A reader
//! never joins a group. Writing waits for the ack of every record.

use super::{amounts::count, print::say};
use crate::adapters::kafka::{
    reader::{Reader, Span},
    sender::{Acked, Outbound, Sender, Ticket},
};
use crate::codec::{
    avro::Avro,
    headers::HeaderList,
    raw::RawRecord,
    schemas::Subject,
    topics::{self, TOPICS, TopicSpec},
};
use crate::config::Config;
use crate::domain::command::{AccountCommand, PARTITION_KEY};
pub use crate::worker::EXIT_USAGE;
use crate::worker::{EXIT_FAILED, EXIT_UNREACHABLE};
use std::{fmt::Display, ops::ControlFlow, sync::mpsc, time::Duration};

/// Longest silence while records are missing.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Says that Kafka does not answer; exit code 5.
pub fn unreachable(config: &Config, error: impl Display) -> i32 {
    say(&format!(
        "Kafka at {}: {error}\nIs the address right (kafka.bootstrap)? `tapline stack status` tells \
         about a local one.",
        config.kafka.bootstrap
    ));
    EXIT_UNREACHABLE
}

/// `stage`: whose committed offsets are looked at.
pub fn reader(config: &Config, stage: &str) -> Result<Reader, i32> {
    Reader::open(&config.kafka, &config.kafka.group(stage))
        .map_err(|error| unreachable(config, error))
}

/// A topic of ours by its name, with or without the installation's prefix, or by a part of it that
/// no other name has (`commands`, `events`). Errors: exit code 2.
pub fn topic_named(config: &Config, name: &str) -> Result<&'static TopicSpec, i32> {
    let full = |spec: &&TopicSpec| spec.topic.0 == name || config.kafka.topic(spec.topic.0) == name;
    if let Some(spec) = TOPICS.iter().find(full) {
        return Ok(spec);
    }
    let mut partly = TOPICS.iter().filter(|spec| spec.topic.0.contains(name));
    match (partly.next(), partly.next()) {
        (Some(spec), None) => Ok(spec),
        _ => {
            let names: Vec<&str> = TOPICS.iter().map(|spec| spec.topic.0).collect();
            say(&format!("`{name}` names no topic of tapline; write one of {}", names.join(", ")));
            Err(EXIT_USAGE)
        }
    }
}

/// The input topic of a stage of this release. Errors: exit code 2.
pub fn input_of(stage: &str) -> Result<(&'static str, &'static TopicSpec), i32> {
    topics::inputs().find(|(name, _)| *name == stage).ok_or_else(|| {
        let names: Vec<&str> = topics::inputs().map(|(name, _)| name).collect();
        say(&format!("`{stage}` is no stage of this release; write one of {}", names.join(", ")));
        EXIT_USAGE
    })
}

/// The partitions that exist, or the one that was asked for. Errors: exit code 2 where there is
/// none, 5 where Kafka does not answer.
pub fn spans(
    config: &Config,
    reader: &Reader,
    topic: &str,
    partition: Option<i32>,
) -> Result<Vec<Span>, i32> {
    let numbers = reader.partitions(topic).map_err(|error| unreachable(config, error))?;
    if numbers.is_empty() {
        say(&format!("topic {topic} does not exist; run `tapline topics apply --execute`"));
        return Err(EXIT_USAGE);
    }
    if let Some(number) = partition.filter(|number| !numbers.contains(number)) {
        say(&format!("topic {topic} has no partition {number}, only 0 to {}", numbers.len() - 1));
        return Err(EXIT_USAGE);
    }
    let wanted = numbers.into_iter().filter(|number| partition.is_none_or(|it| it == *number));
    let spans: Result<Vec<Span>, _> = wanted.map(|number| reader.span(topic, number)).collect();
    spans.map_err(|error| unreachable(config, error))
}

/// Each partition's span with the committed offset of the reader's group. The commit is read first:
/// it only moves up, so what is read after it lies above it unless the log is broken.
pub fn committed_spans(
    config: &Config,
    reader: &Reader,
    topic: &str,
    partition: Option<i32>,
) -> Result<Vec<(Span, Option<i64>)>, i32> {
    let numbers = reader.partitions(topic).map_err(|error| unreachable(config, error))?;
    let committed =
        reader.committed(topic, &numbers).map_err(|error| unreachable(config, error))?;
    let of = |number: i32| {
        numbers.iter().position(|it| *it == number).and_then(|place| committed[place])
    };
    let spans = spans(config, reader, topic, partition)?;
    Ok(spans.into_iter().map(|span| (span, of(span.partition))).collect())
}

/// Reads each span to its end or until told to stop; partitions come in any order, each in its own.
pub fn read(
    config: &Config,
    reader: &Reader,
    topic: &str,
    spans: &[Span],
    mut take: impl FnMut(RawRecord) -> ControlFlow<()>,
) -> Result<(), i32> {
    let mut open: Vec<Span> = spans.iter().copied().filter(|span| span.start < span.end).collect();
    let from: Vec<(i32, i64)> = open.iter().map(|span| (span.partition, span.start)).collect();
    if from.is_empty() {
        return Ok(());
    }
    reader.assign(topic, &from).map_err(|error| unreachable(config, error))?;
    while !open.is_empty() {
        let next = reader.next(SILENCE_MAX).map_err(|error| unreachable(config, error))?;
        let Some((partition, record)) = next else {
            let missing: i64 = open.iter().map(|span| span.end - span.start).sum();
            let missing = count(missing);
            return Err(unreachable(config, format!("silent, up to {missing} records missing")));
        };
        let Some(place) = open.iter().position(|span| span.partition == partition) else {
            continue;
        };
        let (offset, end) = (record.offset, open[place].end);
        if offset < end && take(record).is_break() {
            return Ok(());
        }
        if offset + 1 >= end {
            open.swap_remove(place);
        }
    }
    Ok(())
}

/// The record at an offset; `None` where the log has none there.
pub fn record_at(
    config: &Config,
    reader: &Reader,
    topic: &str,
    span: Span,
    offset: i64,
) -> Result<Option<RawRecord>, i32> {
    if !(span.start..span.end).contains(&offset) {
        return Ok(None);
    }
    let one = Span { partition: span.partition, start: offset, end: span.end };
    let mut found = None;
    read(config, reader, topic, &[one], |record| {
        found = Some(record);
        ControlFlow::Break(())
    })?;
    Ok(found.filter(|record| record.offset == offset))
}

/// An operator's producer. Opened once per command: connecting takes longer than a tick's interval.
pub struct Writer<'a> {
    config: &'a Config,
    sender: Sender,
}

impl<'a> Writer<'a> {
    pub fn open(config: &'a Config) -> Result<Self, i32> {
        let sender = Sender::open(&config.kafka, "operator").map_err(|error| {
            say(&format!("no producer: {error}"));
            EXIT_FAILED
        })?;
        Ok(Self { config, sender })
    }

    /// Writes a command into each of the partitions and waits for all acks; the broker's answers,
    /// in the order given.
    pub fn write(&self, topic: &str, records: &[(i32, AccountCommand)]) -> Result<Vec<Acked>, i32> {
        let headers = HeaderList::new();
        let mut answers = Vec::new();
        for (partition, command) in records {
            let mut value = Vec::new();
            Avro::of(Subject::Commands).encode(command, &mut value);
            let key = command.account_id.as_str();
            answers.push(self.send((topic, *partition), key, &value, &headers)?);
        }
        answers.into_iter().map(|answer| self.acked(&answer)).collect()
    }

    /// Writes a record of the whole partition, whose word stands in its headers; its answer.
    pub fn write_silent(
        &self,
        topic: &str,
        partition: i32,
        value: &[u8],
        headers: &HeaderList,
    ) -> Result<Acked, i32> {
        self.acked(&self.send((topic, partition), PARTITION_KEY, value, headers)?)
    }

    fn send(
        &self,
        (topic, partition): (&str, i32),
        key: &str,
        value: &[u8],
        headers: &HeaderList,
    ) -> Result<mpsc::Receiver<Acked>, i32> {
        let (done, answer) = mpsc::channel();
        let ticket = Ticket::new(
            1,
            Box::new(move |acked| {
                let _ = done.send(acked);
            }),
        );
        let outbound = Outbound {
            topic,
            partition: Some(partition),
            key: Some(key.as_bytes()),
            value: Some(value),
            headers,
        };
        let sent = self.sender.send(outbound, &ticket);
        sent.map_err(|error| unreachable(self.config, error))?;
        Ok(answer)
    }

    fn acked(&self, answer: &mpsc::Receiver<Acked>) -> Result<Acked, i32> {
        answer.recv_timeout(SILENCE_MAX).map_err(|_| {
            self.sender.stopping();
            let missing = "no ack within 30 s; the records may or may not have been written";
            unreachable(self.config, missing)
        })
    }
}
