//! The producer: one per process, in order, every record acknowledged or the process ends.
//!
//! Owns the tickets by which acks are counted. Never flushes (that waits 100 ms and more with
//! anything outstanding) and never goes on past a failed send: a gap followed by later records would
//! make readers drop the retry as old, so any delivery error ends the process.

use super::{client, settings::KafkaSettings};
use crate::codec::headers::HeaderList;
use crate::runtime::ports::{Destination, Publish};
use rdkafka::{
    ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What happens when the last record of a ticket is acknowledged; told the broker's time of it.
pub type Done = Box<dyn Fn(Acked) + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    /// The broker's time of the latest record of the ticket.
    pub append_ms: i64,
    /// Offset of the latest acknowledged record.
    pub offset: i64,
}

/// Records that are acknowledged together.
pub struct Ticket {
    remaining: AtomicUsize,
    append_ms: AtomicI64,
    offset: AtomicI64,
    done: Done,
}

impl Ticket {
    pub fn new(records: usize, done: Done) -> Arc<Self> {
        Arc::new(Self {
            remaining: AtomicUsize::new(records),
            append_ms: AtomicI64::new(0),
            offset: AtomicI64::new(-1),
            done,
        })
    }
}

/// Ends the process when a record cannot be delivered.
#[derive(Clone, Default)]
struct Deliveries {
    stopping: Arc<AtomicBool>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        client::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::report(&error, reason);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Arc<Ticket>) {
        match result {
            Ok(message) => {
                let append_ms = message.timestamp().to_millis().unwrap_or(0);
                ticket.append_ms.fetch_max(append_ms, Ordering::Relaxed);
                ticket.offset.fetch_max(message.offset(), Ordering::Relaxed);
                if ticket.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
                    (ticket.done)(Acked {
                        append_ms: ticket.append_ms.load(Ordering::Relaxed),
                        offset: ticket.offset.load(Ordering::Relaxed),
                    });
                }
            }
            Err((error, message)) => {
                if !self.stopping.load(Ordering::Acquire) {
                    let topic = message.topic();
                    tracing::error!(%error, topic, "a record cannot be delivered; ending the process");
                    std::process::exit(EXIT_FAILED);
                }
            }
        }
    }
}

/// Exit code of a process that failed while running (docs: exit codes).
const EXIT_FAILED: i32 = 3;

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("Kafka client: {0}")]
    Client(#[from] KafkaError),
    #[error("a record for {topic} was refused: {error}")]
    Refused { topic: String, error: KafkaError },
}

#[derive(Clone)]
pub struct Sender {
    producer: Arc<ThreadedProducer<Deliveries>>,
    deliveries: Deliveries,
}

/// One record as it goes out.
#[derive(Clone, Copy, Debug)]
pub struct Outbound<'a> {
    pub topic: &'a str,
    /// Absent: where murmur2 puts the key.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a HeaderList,
}

impl<'a> Outbound<'a> {
    /// `topic`: the full name of the record's own.
    pub fn of(record: &'a Publish, topic: &'a str) -> Self {
        Outbound {
            topic,
            partition: match record.destination {
                Destination::Partition(partition) => Some(partition),
                Destination::ByKey => None,
            },
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        }
    }
}

impl Sender {
    /// `name`: part of the client's id, usually the stage.
    pub fn open(settings: &KafkaSettings, name: &str) -> Result<Self, SendError> {
        let deliveries = Deliveries::default();
        let mut config = client::config(&settings.producer_properties(name));
        for (name, value) in [
            ("queue.buffering.max.messages", "1000000"),
            ("queue.buffering.max.kbytes", "524288"),
            ("batch.num.messages", "20000"),
            // The broker holds a topic's max.message.bytes against whole batches.
            ("batch.size", "240000"),
        ] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        let producer = ThreadedProducer::from_config_and_context(&config, deliveries.clone())?;
        Ok(Self { producer: Arc::new(producer), deliveries })
    }

    /// Hands a record to the client, waiting while its queue is full. Order of calls is order in
    /// the partition.
    pub fn send(&self, record: Outbound<'_>, ticket: &Arc<Ticket>) -> Result<(), SendError> {
        let mut next =
            BaseRecord::<[u8], [u8], Arc<Ticket>>::with_opaque_to(record.topic, ticket.clone());
        if let Some(partition) = record.partition {
            next = next.partition(partition);
        }
        if let Some(key) = record.key {
            next = next.key(key);
        }
        if let Some(value) = record.value {
            next = next.payload(value);
        }
        if !record.headers.is_empty() {
            next = next.headers(owned(record.headers));
        }
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    next = back;
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                Err((error, _)) => {
                    return Err(SendError::Refused { topic: record.topic.to_owned(), error });
                }
            }
        }
    }

    /// Records handed to the client and not yet acknowledged.
    pub fn in_flight(&self) -> i32 {
        self.producer.in_flight_count()
    }

    /// From here on what is not acknowledged may be lost without ending the process.
    pub fn stopping(&self) {
        self.deliveries.stopping.store(true, Ordering::Release);
    }
}

fn owned(headers: &HeaderList) -> OwnedHeaders {
    let mut owned = OwnedHeaders::new_with_capacity(headers.len());
    for (key, value) in headers.iter() {
        owned = owned.insert(Header { key, value });
    }
    owned
}
