//! The lane of commands: encodes and sends them under their account's key.

use crate::adapters::kafka::{
    sender::{Acked, Outbound, SendError, Sender, Ticket},
    settings::KafkaSettings,
};
use crate::codec::{
    avro::Avro,
    headers::{HeaderList, PLANNED_US},
    schemas::Subject,
    topics::COMMANDS,
};
use crate::domain::command::{AccountCommand, PARTITION_KEY, Tick};
use crate::worker::stages::encode_tick;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub struct Lane {
    sender: Sender,
    topic: String,
    partitions: i32,
    avro: &'static Avro,
    value: Vec<u8>,
    headers: HeaderList,
    acked: Arc<AtomicU64>,
    sent: u64,
}

impl Lane {
    pub fn open(settings: &KafkaSettings) -> Result<Self, SendError> {
        Ok(Self {
            sender: Sender::open(settings, "producer")?,
            topic: settings.topic(COMMANDS.0),
            partitions: settings.partitions as i32,
            avro: Avro::of(Subject::Commands),
            value: Vec::with_capacity(512),
            headers: HeaderList::new(),
            acked: Arc::default(),
            sent: 0,
        })
    }

    pub fn partitions(&self) -> i32 {
        self.partitions
    }

    /// Records handed over, and records acknowledged.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Acquire)
    }

    /// A ticket of `records` that counts as acknowledged when all of them are.
    pub fn ticket(&self, records: usize) -> Arc<Ticket> {
        let acked = self.acked.clone();
        Ticket::new(
            records,
            Box::new(move |_| {
                acked.fetch_add(records as u64, Ordering::AcqRel);
            }),
        )
    }

    /// A ticket of one record that also tells `note` where the record stands.
    pub fn noting(&self, note: impl Fn(Acked) + Send + Sync + 'static) -> Arc<Ticket> {
        let acked = self.acked.clone();
        Ticket::new(
            1,
            Box::new(move |place| {
                note(place);
                acked.fetch_add(1, Ordering::AcqRel);
            }),
        )
    }

    /// Sends a command. `planned_us`: wall-clock time at which it was meant to be sent.
    pub fn send(
        &mut self,
        command: &AccountCommand,
        planned_us: Option<i64>,
        ticket: &Arc<Ticket>,
    ) -> Result<(), SendError> {
        self.value.clear();
        self.avro.encode(command, &mut self.value);
        self.headers.clear();
        if let Some(planned_us) = planned_us {
            self.headers.push_text(PLANNED_US, &planned_us.to_string());
        }
        self.sent += 1;
        let outbound = Outbound {
            topic: &self.topic,
            partition: None,
            key: Some(command.account_id.as_str().as_bytes()),
            value: Some(&self.value),
            headers: &self.headers,
        };
        self.sender.send(outbound, ticket)
    }

    /// Writes a tick into every partition.
    pub fn tick(&mut self, tick: Tick) -> Result<(), SendError> {
        let ticket = self.ticket(self.partitions as usize);
        let value = encode_tick(tick);
        self.headers.clear();
        for partition in 0..self.partitions {
            self.sent += 1;
            let outbound = Outbound {
                topic: &self.topic,
                partition: Some(partition),
                key: Some(PARTITION_KEY.as_bytes()),
                value: Some(&value),
                headers: &self.headers,
            };
            self.sender.send(outbound, &ticket)?;
        }
        Ok(())
    }

    /// Waits until everything sent is acknowledged.
    pub fn settle(&self) {
        while self.acked() < self.sent {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
    }
}
