//! The consumer of one stage: one thread polls and hands records to their partitions' owner.
//!
//! Owns the group membership. Never splits partition queues (the client may stall one for ever) and
//! never pauses for flow control: polling stops while an owner's queue is full. Rebalance callbacks
//! run inside the poll; they only note what happened, and the loop acts on it afterwards.

use super::{client, settings::KafkaSettings};
use crate::codec::{dead_letter::TimestampType, headers::HeaderList, raw::RawRecord};
use crate::runtime::telemetry;
use rdkafka::{
    ClientContext, Offset, Timestamp, TopicPartitionList,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
    message::{BorrowedMessage, Headers, Message},
    statistics::Statistics,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Most records handed on at once: small enough that a partition's queue stays bounded.
const BATCH_RECORDS: usize = 512;

/// Headers that room is made for ahead: a record of very many is refused later and costs no more
/// than its bytes until then.
const HEADERS_USUAL_MAX: usize = 32;

/// How long committed offsets and watermarks are waited for at an assignment.
const LOOK_UP: Duration = Duration::from_secs(10);

/// How long leaving the group may take before the process goes on to its end.
const LEAVE_WAIT: Duration = Duration::from_secs(2);

/// For the farewell itself, which the client sends in the background.
const FAREWELL_WAIT: Duration = Duration::from_millis(150);

/// Where a newly assigned partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    pub partition: i32,
    /// The group's committed offset; `None`: there is none.
    pub committed: Option<i64>,
    pub log_start: i64,
    pub log_end: i64,
}

/// Who owns the partitions.
pub trait Owner {
    /// The whole new assignment; it may be empty.
    fn assigned(&mut self, assigned: Vec<Assigned>);
    /// Told as soon as the callback is over; `lost`: another owner may already be at work.
    fn revoked(&mut self, partitions: Vec<i32>, lost: bool);
    /// Takes records, waiting while the partition's queue is full.
    fn fetched(&mut self, partition: i32, records: Vec<RawRecord>);
    /// What the client's statistics say, each ten seconds.
    fn statistics(&mut self, is_connected: bool, log_ends: Vec<(i32, i64)>);
    /// Called after every poll, at least each 100 ms.
    fn polled(&mut self);
    /// The consumer met an error that its own retries do not cure.
    fn failed(&mut self, error: String);
}

enum Change {
    Assigned(Vec<i32>),
    Revoked { partitions: Vec<i32>, lost: bool },
    Statistics { is_connected: bool, log_ends: Vec<(i32, i64)> },
}

struct Rebalances {
    changes: Arc<Mutex<VecDeque<Change>>>,
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        client::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::report(&error, reason);
    }

    /// Parsed on the polling thread, once in ten seconds: log ends for lag, and whether a broker is
    /// there at all.
    fn stats(&self, statistics: Statistics) {
        let is_connected = statistics.brokers.values().any(|broker| broker.state == "UP");
        let log_ends = statistics
            .topics
            .values()
            .flat_map(|topic| topic.partitions.values())
            .filter(|partition| partition.partition >= 0 && partition.hi_offset >= 0)
            .map(|partition| (partition.partition, partition.hi_offset))
            .collect();
        self.note(Change::Statistics { is_connected, log_ends });
    }
}

impl ConsumerContext for Rebalances {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let lost = consumer.assignment_lost();
            self.note(Change::Revoked { partitions: numbers(list), lost });
        }
    }

    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            self.note(Change::Assigned(numbers(list)));
        }
    }

    /// A commit is a hint: what it says was true, and a lost one only means more to skip.
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "an offset commit was not taken");
        }
    }
}

impl Rebalances {
    fn note(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<i32> {
    list.elements()
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
        .collect()
}

/// Shared with the partitions' threads, which commit through it.
#[derive(Clone)]
pub struct Intake {
    consumer: Arc<BaseConsumer<Rebalances>>,
    changes: Arc<Mutex<VecDeque<Change>>>,
    topic: Arc<str>,
}

impl Intake {
    pub fn open(settings: &KafkaSettings, stage: &str, topic: &str) -> KafkaResult<Self> {
        let changes = Arc::new(Mutex::new(VecDeque::new()));
        let context = Rebalances { changes: changes.clone() };
        let config = client::config(&settings.consumer_properties(stage));
        let consumer = BaseConsumer::from_config_and_context(&config, context)?;
        consumer.subscribe(&[topic])?;
        Ok(Self { consumer: Arc::new(consumer), changes, topic: topic.into() })
    }

    /// Polls until told to stop.
    pub fn run(&self, owner: &mut impl Owner, stop: &AtomicBool) {
        let mut batches: BTreeMap<i32, Vec<RawRecord>> = BTreeMap::new();
        while !stop.load(Ordering::Acquire) {
            let mut wait = Duration::from_millis(100);
            let mut records = 0;
            // Drain what is there without waiting, so that a burst costs one hand-over.
            while let Some(polled) = self.consumer.poll(wait) {
                match polled {
                    Ok(message) => {
                        batches.entry(message.partition()).or_default().push(raw(&message));
                        records += 1;
                    }
                    Err(error) => owner.failed(error.to_string()),
                }
                wait = Duration::ZERO;
                if records >= BATCH_RECORDS || self.has_changes() {
                    break;
                }
            }
            self.act_on_changes(owner, &mut batches);
            for (partition, batch) in &mut batches {
                if !batch.is_empty() {
                    owner.fetched(*partition, std::mem::take(batch));
                }
            }
            owner.polled();
        }
    }

    fn has_changes(&self) -> bool {
        !self.changes.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    fn act_on_changes(&self, owner: &mut impl Owner, batches: &mut BTreeMap<i32, Vec<RawRecord>>) {
        loop {
            let change = self.changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match change {
                None => return,
                Some(Change::Revoked { partitions, lost }) => {
                    batches.retain(|partition, _| !partitions.contains(partition));
                    owner.revoked(partitions, lost);
                }
                Some(Change::Statistics { is_connected, log_ends }) => {
                    owner.statistics(is_connected, log_ends);
                }
                Some(Change::Assigned(partitions)) => match self.look_up(&partitions) {
                    Ok(assigned) => owner.assigned(assigned),
                    Err(error) => owner.failed(format!("offsets of an assignment: {error}")),
                },
            }
        }
    }

    /// Committed offsets and watermarks, with patience: the broker has just answered the group.
    fn look_up(&self, partitions: &[i32]) -> KafkaResult<Vec<Assigned>> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        let committed = self.consumer.committed_offsets(list, LOOK_UP)?;
        let mut assigned = Vec::new();
        for element in committed.elements() {
            let (log_start, log_end) =
                self.consumer.fetch_watermarks(&self.topic, element.partition(), LOOK_UP)?;
            let committed = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let partition = element.partition();
            assigned.push(Assigned { partition, committed, log_start, log_end });
        }
        Ok(assigned)
    }

    /// One past the newest record of a partition.
    pub fn log_end(&self, partition: i32) -> KafkaResult<i64> {
        Ok(self.consumer.fetch_watermarks(&self.topic, partition, LOOK_UP)?.1)
    }

    /// A hint without an answer.
    pub fn commit(&self, partition: i32, next_offset: i64) {
        self.commit_in(partition, next_offset, CommitMode::Async);
    }

    /// Waits for the answer; used when leaving the group.
    pub fn commit_and_wait(&self, partition: i32, next_offset: i64) {
        self.commit_in(partition, next_offset, CommitMode::Sync);
    }

    fn commit_in(&self, partition: i32, next_offset: i64, mode: CommitMode) {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(&self.topic, partition, Offset::Offset(next_offset));
        if let Err(error) = added.and_then(|()| self.consumer.commit(&list, mode)) {
            tracing::debug!(%error, partition, next_offset, "an offset commit was not taken");
        }
    }

    /// Fetch again from an offset.
    pub fn seek(&self, partition: i32, offset: i64) {
        if let Err(error) =
            self.consumer.seek(&self.topic, partition, Offset::Offset(offset), LOOK_UP)
        {
            tracing::warn!(%error, partition, offset, "seek failed");
        }
    }

    /// Leaves the group, so that its partitions go to others at once and not after the session's
    /// time-out. The client hands the revocation out inside a poll and says its farewell after it,
    /// so polling goes on for that long; never longer than a bounded wait, since the broker may be
    /// away. The client itself is not dropped: that can hang, and the process ends anyway.
    pub fn leave(&self) {
        self.consumer.unsubscribe();
        let deadline_ms = telemetry::steady_ms() + LEAVE_WAIT.as_millis() as u64;
        let is_assigned = || self.consumer.assignment().is_ok_and(|list| list.count() > 0);
        while is_assigned() && telemetry::steady_ms() < deadline_ms {
            let _ = self.consumer.poll(Duration::from_millis(20));
        }
        let _ = self.consumer.poll(FAREWELL_WAIT);
    }
}

/// Copies a message out of the client's buffers.
pub(super) fn raw(message: &BorrowedMessage<'_>) -> RawRecord {
    let (timestamp_ms, timestamp_type) = match message.timestamp() {
        Timestamp::LogAppendTime(ms) => (ms, TimestampType::LogAppendTime),
        Timestamp::CreateTime(ms) => (ms, TimestampType::CreateTime),
        Timestamp::NotAvailable => (-1, TimestampType::CreateTime),
    };
    let theirs = message.headers();
    let count = theirs.map_or(0, Headers::count);
    let mut headers = HeaderList::with_capacity(count.min(HEADERS_USUAL_MAX));
    for header in theirs.into_iter().flat_map(Headers::iter) {
        headers.push(header.key, header.value);
    }
    RawRecord {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms,
        timestamp_type,
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}
