//! The log twin: topics of partitions of records, and the offsets groups have committed.
//!
//! Owns the place of every record. An offset is given once, ascending, and may leave gaps (as
//! Kafka's control records do), so readers compare offsets and never expect the next number. The
//! caller names the append time: there is no clock in here.

use crate::codec::{dead_letter::TimestampType, headers::HeaderList, raw::RawRecord};
use std::collections::BTreeMap;

#[derive(Default)]
struct Part {
    records: Vec<RawRecord>,
    end: i64,
}

/// Topics by full name.
#[derive(Default)]
pub struct MemoryLog {
    topics: BTreeMap<String, Vec<Part>>,
    /// (group, topic, partition) -> next offset to read
    committed: BTreeMap<(String, String, i32), i64>,
}

impl MemoryLog {
    /// Creates a topic; one that exists stays as it is.
    pub fn create(&mut self, topic: &str, partitions: i32) {
        let parts = || (0..partitions).map(|_| Part::default()).collect();
        self.topics.entry(topic.to_owned()).or_insert_with(parts);
    }

    /// Partitions of a topic; 0: there is no such topic.
    pub fn partitions(&self, topic: &str) -> i32 {
        self.topics.get(topic).map_or(0, |parts| parts.len() as i32)
    }

    /// Appends a record and returns its offset. Panics where the partition does not exist.
    pub fn append(
        &mut self,
        topic: &str,
        partition: i32,
        timestamp_ms: i64,
        (key, value, headers): (Option<Vec<u8>>, Option<Vec<u8>>, HeaderList),
    ) -> i64 {
        let part = self.part_mut(topic, partition);
        let offset = part.end;
        part.end += 1;
        part.records.push(RawRecord {
            partition,
            offset,
            timestamp_ms,
            timestamp_type: TimestampType::LogAppendTime,
            key,
            value,
            headers,
        });
        offset
    }

    /// Leaves offsets out, as control records of Kafka do.
    pub fn leave_gap(&mut self, topic: &str, partition: i32, offsets: i64) {
        self.part_mut(topic, partition).end += offsets;
    }

    /// Records from `from` on, at most `records_max`.
    pub fn read(&self, topic: &str, partition: i32, from: i64, records_max: usize) -> &[RawRecord] {
        let Some(part) = self.part(topic, partition) else { return &[] };
        let first = part.records.partition_point(|record| record.offset < from);
        let last = part.records.len().min(first.saturating_add(records_max));
        &part.records[first..last]
    }

    /// The offset that the next record would get at the earliest.
    pub fn end(&self, topic: &str, partition: i32) -> i64 {
        self.part(topic, partition).map_or(0, |part| part.end)
    }

    pub fn commit(&mut self, group: &str, topic: &str, partition: i32, next_offset: i64) {
        self.committed.insert((group.to_owned(), topic.to_owned(), partition), next_offset);
    }

    /// `None`: the group never committed, and a worker refuses to start.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.committed.get(&(group.to_owned(), topic.to_owned(), partition)).copied()
    }

    fn part(&self, topic: &str, partition: i32) -> Option<&Part> {
        self.topics.get(topic)?.get(usize::try_from(partition).ok()?)
    }

    fn part_mut(&mut self, topic: &str, partition: i32) -> &mut Part {
        self.topics
            .get_mut(topic)
            .and_then(|parts| parts.get_mut(usize::try_from(partition).ok()?))
            .expect("topics are created before anything is published to them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: readers find records across gaps, groups their offsets. Method: append around a gap.
    #[test]
    fn gaps_and_offsets() {
        let mut log = MemoryLog::default();
        log.create("t", 2);
        let record = || (None, Some(vec![1]), HeaderList::new());
        assert_eq!(log.append("t", 1, 5, record()), 0);
        log.leave_gap("t", 1, 3);
        assert_eq!(log.append("t", 1, 6, record()), 4);
        let offsets = |from, most| -> Vec<i64> {
            log.read("t", 1, from, most).iter().map(|record| record.offset).collect()
        };
        assert_eq!((offsets(0, 9), offsets(1, 9), offsets(0, 1)), (vec![0, 4], vec![4], vec![0]));
        assert_eq!((log.end("t", 1), log.end("t", 0), log.partitions("none")), (5, 0, 0));
        assert_eq!(log.committed("g", "t", 1), None);
        log.commit("g", "t", 1, 4);
        assert_eq!(log.committed("g", "t", 1), Some(4));
    }
}
