//! Answers: the events topic as the outside reads it, each event once.
//!
//! Owns the reading and the count of repeats: a worker that takes over may publish again what its
//! predecessor published, byte for byte. Which those are is known to `codec::repeats`.

use crate::adapters::kafka::{reader::Reader, settings::KafkaSettings};
use crate::codec::{
    DecodeError,
    avro::{Avro, RegistryIds},
    raw::RawRecord,
    repeats::Newest,
    schemas::Subject,
    topics::EVENTS,
};
use crate::domain::event::AccountEvent;
use std::time::Duration;

pub struct Answers {
    reader: Reader,
    topic: String,
    avro: &'static Avro,
    ids: RegistryIds,
    taken: Newest,
    repeats: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("events cannot be read: {0}")]
    Log(String),
    #[error("the event at {partition}:{offset} cannot be decoded: {reason}")]
    Event { partition: i32, offset: i64, reason: DecodeError },
}

impl AnswerError {
    fn log(error: impl std::fmt::Display) -> Self {
        AnswerError::Log(error.to_string())
    }
}

impl Answers {
    /// Reads from the beginning, or from what comes next.
    pub fn open(settings: &KafkaSettings, from_beginning: bool) -> Result<Self, AnswerError> {
        let reader = Reader::open(settings, "tapline.producer").map_err(AnswerError::log)?;
        let topic = settings.topic(EVENTS.0);
        let spans = reader.spans(&topic).map_err(AnswerError::log)?;
        let from: Vec<(i32, i64)> = spans
            .iter()
            .map(|span| (span.partition, if from_beginning { span.start } else { span.end }))
            .collect();
        reader.assign(&topic, &from).map_err(AnswerError::log)?;
        let ids = RegistryIds::default();
        let avro = Avro::of(Subject::Events);
        Ok(Self { reader, topic, avro, ids, taken: Newest::default(), repeats: 0 })
    }

    /// The next new event, or `None` after the wait.
    pub fn next(
        &mut self,
        wait: Duration,
    ) -> Result<Option<(RawRecord, AccountEvent)>, AnswerError> {
        while let Some((partition, raw)) = self.reader.next(wait).map_err(AnswerError::log)? {
            if !self.taken.is_new(raw.partition, raw.source().as_ref()) {
                self.repeats += 1;
                continue;
            }
            let value = raw.value.as_deref().unwrap_or_default();
            let event = self
                .avro
                .decode(value, &self.ids)
                .map_err(|reason| AnswerError::Event { partition, offset: raw.offset, reason })?;
            return Ok(Some((raw, event)));
        }
        Ok(None)
    }

    /// Events that were published more than once.
    pub fn repeats(&self) -> u64 {
        self.repeats
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }
}
