//! Sending a file's records and knowing how far the log has them.
//!
//! Owns chunks: records that are acknowledged together. `through` is the last line before the first
//! chunk that is not acknowledged, so what it covers is in the log, whatever happens next.

use crate::adapters::kafka::sender::{Outbound, SendError, Sender, Ticket};
use crate::codec::{avro::Avro, headers::HeaderList, schemas::Subject};
use crate::config::Config;
use crate::stages::Topic;
use serde::Serialize;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Records of a chunk.
pub const CHUNK: usize = 1_000;

/// Chunks that may wait for their acks: some seconds of a broker's work, some hundred megabytes.
const WAITING_MAX: usize = 200;

pub struct Outgoing {
    sender: Sender,
    topic: String,
    avro: &'static Avro,
    headers: HeaderList,
    value: Vec<u8>,
    /// Last line of each chunk that was sent, and whether it is acknowledged.
    waiting: VecDeque<(u64, Arc<AtomicBool>)>,
    through: u64,
}

impl Outgoing {
    pub fn open(config: &Config, topic: Topic, subject: Subject) -> Result<Self, SendError> {
        Ok(Self {
            sender: Sender::open(&config.kafka, "clearing")?,
            topic: config.kafka.topic(topic.0),
            avro: Avro::of(subject),
            headers: HeaderList::new(),
            value: Vec::with_capacity(1_024),
            waiting: VecDeque::new(),
            through: 0,
        })
    }

    /// Begins a file, of which lines up to `through` are in the log already. What was sent before
    /// is acknowledged.
    pub fn begin(&mut self, through: u64) {
        self.through = through;
    }

    /// Sends records that end with line `through`, each under its key.
    pub fn send<'r, T: Serialize + 'r>(
        &mut self,
        records: impl ExactSizeIterator<Item = (&'r str, &'r T)>,
        through: u64,
    ) -> Result<(), SendError> {
        if records.len() == 0 {
            return Ok(());
        }
        let acked = Arc::new(AtomicBool::new(false));
        let done = acked.clone();
        let ticket =
            Ticket::new(records.len(), Box::new(move |_| done.store(true, Ordering::Release)));
        for (key, record) in records {
            self.value.clear();
            self.avro.encode(record, &mut self.value);
            let outbound = Outbound {
                topic: &self.topic,
                partition: None,
                key: Some(key.as_bytes()),
                value: Some(&self.value),
                headers: &self.headers,
            };
            self.sender.send(outbound, &ticket)?;
        }
        self.waiting.push_back((through, acked));
        Ok(())
    }

    /// The last line up to which everything is acknowledged.
    pub fn through(&mut self) -> u64 {
        while let Some((through, acked)) = self.waiting.front()
            && acked.load(Ordering::Acquire)
        {
            self.through = *through;
            self.waiting.pop_front();
        }
        self.through
    }

    /// Chunks that are not acknowledged.
    pub fn missing(&mut self) -> usize {
        self.through();
        self.waiting.len()
    }

    /// Whether as much is on its way as may be.
    pub fn is_full(&mut self) -> bool {
        self.missing() >= WAITING_MAX
    }

    /// Whether everything that was sent is acknowledged.
    pub fn is_settled(&mut self) -> bool {
        self.missing() == 0
    }

    /// What is on its way may be lost from here on: the next import sends it again.
    pub fn abandon(&self) {
        self.sender.stopping();
    }
}
