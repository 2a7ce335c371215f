//! Reading a log from the side: for people, for proofs and for start checks, never as a stage.
//!
//! Owns consumers without a group that are assigned partitions by hand. Never commits.

use super::{client, client::Quiet, intake::raw, settings::KafkaSettings};
use crate::codec::raw::RawRecord;
use crate::runtime::telemetry;
use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::Message,
};
use std::time::Duration;

const LOOK_UP: Duration = Duration::from_secs(10);

pub struct Reader {
    consumer: BaseConsumer<Quiet>,
}

fn is_settling(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

/// The client tells of lost connections while it makes new ones.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::BrokerNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
        )
    )
}

/// First offset and one past the last of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub partition: i32,
    pub start: i64,
    pub end: i64,
}

impl Reader {
    /// `group`: whose committed offsets it looks at; a reader never joins it.
    pub fn open(settings: &KafkaSettings, group: &str) -> KafkaResult<Self> {
        let mut config = client::config(&settings.connection_properties("reader"));
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.max.messages.kbytes", "16384");
        Ok(Self { consumer: BaseConsumer::from_config_and_context(&config, Quiet)? })
    }

    /// Partition numbers of a topic, ascending; empty where it does not exist.
    pub fn partitions(&self, topic: &str) -> KafkaResult<Vec<i32>> {
        let metadata = self.consumer.fetch_metadata(Some(topic), LOOK_UP)?;
        let mut numbers: Vec<i32> = metadata
            .topics()
            .iter()
            .filter(|known| known.name() == topic && known.error().is_none())
            .flat_map(|known| known.partitions().iter().map(|partition| partition.id()))
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub fn span(&self, topic: &str, partition: i32) -> KafkaResult<Span> {
        let mut patience = 50;
        loop {
            match self.consumer.fetch_watermarks(topic, partition, LOOK_UP) {
                Ok((start, end)) => return Ok(Span { partition, start, end }),
                // A topic that was just made moves its leaders about for a moment.
                Err(error) if patience > 0 && is_settling(&error) => patience -= 1,
                Err(error) => return Err(error),
            }
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }

    /// All partitions of a topic with their spans.
    pub fn spans(&self, topic: &str) -> KafkaResult<Vec<Span>> {
        self.partitions(topic)?.into_iter().map(|partition| self.span(topic, partition)).collect()
    }

    /// The group's committed offset of each partition.
    pub fn committed(&self, topic: &str, partitions: &[i32]) -> KafkaResult<Vec<Option<i64>>> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(topic, *partition);
        }
        let list = self.consumer.committed_offsets(list, LOOK_UP)?;
        let of = |partition: &i32| {
            list.find_partition(topic, *partition).and_then(|found| match found.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            })
        };
        Ok(partitions.iter().map(of).collect())
    }

    /// Sets the group's committed offset; only while nobody is in the group.
    pub fn commit(&self, topic: &str, partition: i32, offset: i64) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        self.consumer.commit(&list, CommitMode::Sync)
    }

    /// Starts reading at the given offset of each partition, in place of what was read before.
    pub fn assign(&self, topic: &str, from: &[(i32, i64)]) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in from {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        self.consumer.assign(&list)
    }

    /// The next record of any assigned partition, or `None` after the wait. A broker that is away
    /// is no error: the client comes back to it by itself.
    pub fn next(&self, wait: Duration) -> KafkaResult<Option<(i32, RawRecord)>> {
        let deadline_ms = telemetry::steady_ms() + wait.as_millis() as u64;
        loop {
            let left_ms = deadline_ms.saturating_sub(telemetry::steady_ms());
            match self.consumer.poll(Duration::from_millis(left_ms)) {
                None => return Ok(None),
                Some(Err(error)) if is_passing(&error) => {}
                Some(Err(error)) => return Err(error),
                Some(Ok(message)) => return Ok(Some((message.partition(), raw(&message)))),
            }
        }
    }

    /// Reads spans from start to end, in order within each partition. Fails when nothing arrives
    /// for 30 s though records are missing.
    pub fn read(
        &self,
        topic: &str,
        spans: &[Span],
        mut take: impl FnMut(i32, RawRecord),
    ) -> KafkaResult<()> {
        let mut open: Vec<(i32, i64)> = spans
            .iter()
            .filter(|span| span.start < span.end)
            .map(|span| (span.partition, span.end))
            .collect();
        let from: Vec<(i32, i64)> = spans
            .iter()
            .filter(|span| span.start < span.end)
            .map(|span| (span.partition, span.start))
            .collect();
        self.assign(topic, &from)?;
        while !open.is_empty() {
            let Some((partition, record)) = self.next(Duration::from_secs(30))? else {
                return Err(KafkaError::NoMessageReceived);
            };
            let offset = record.offset;
            if let Some(place) = open.iter().position(|(number, _)| *number == partition) {
                let end = open[place].1;
                if offset < end {
                    take(partition, record);
                }
                if offset + 1 >= end {
                    open.swap_remove(place);
                }
            }
        }
        Ok(())
    }
}
