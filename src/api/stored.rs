//! The API's ports over Cassandra and the log of events.
//!
//! Owns how far the read model is known to be: at once where this worker runs the feed stage for a
//! partition (the health board says what is durable), else by the committed offset of the stage's
//! group, which is looked up for all partitions at a time and at most every few milliseconds.

use super::{
    ports::{FeedReader, Positions, Reply, TargetStore},
    position::Asked,
};
use crate::adapters::{
    cassandra::{failure::StoreError, feed_items::FeedItems, push_targets::PushTargets},
    kafka::{reader::Reader, settings::KafkaSettings},
};
use crate::codec::frame::SourcePos;
use crate::domain::{
    feed_page::{AccountLine, Cursor, Page},
    ids::CustomerId,
    push::{Device, Preferences, Targets},
};
use crate::runtime::{board::HealthBoard, telemetry};
use std::{collections::BTreeMap, sync::Arc};

/// The stage whose read model this is.
const STAGE: &str = "feed";

/// Committed offsets that were looked up so recently are not looked up again.
const FRESH_MS: u64 = 15;

impl FeedReader for FeedItems {
    fn page<'a>(
        &'a self,
        customer: &'a CustomerId,
        before: Option<&'a Cursor>,
        limit: usize,
        is_exact: bool,
    ) -> Reply<'a, Page> {
        Box::pin(FeedItems::page(self, customer, before, limit, is_exact))
    }

    fn accounts<'a>(&'a self, customer: &'a CustomerId) -> Reply<'a, Vec<AccountLine>> {
        Box::pin(FeedItems::accounts(self, customer))
    }
}

impl TargetStore for PushTargets {
    fn targets<'a>(&'a self, customer: &'a CustomerId) -> Reply<'a, Targets> {
        Box::pin(PushTargets::targets(self, customer))
    }

    fn put_device<'a>(&'a self, customer: &'a CustomerId, device: &'a Device) -> Reply<'a, ()> {
        Box::pin(PushTargets::put_device(self, customer, device))
    }

    fn delete_device<'a>(&'a self, customer: &'a CustomerId, device_id: &'a str) -> Reply<'a, ()> {
        Box::pin(PushTargets::delete_device(self, customer, device_id))
    }

    fn put_preferences<'a>(
        &'a self,
        customer: &'a CustomerId,
        preferences: &'a Preferences,
    ) -> Reply<'a, ()> {
        Box::pin(PushTargets::put_preferences(self, customer, preferences))
    }
}

/// Committed offsets as they were last looked up.
#[derive(Default)]
struct Looked {
    at_ms: Option<u64>,
    next: BTreeMap<i32, i64>,
    /// Opened at the first look, kept for the others.
    reader: Option<Arc<Reader>>,
}

pub struct LogPositions {
    incarnation: i32,
    partitions: i32,
    settings: KafkaSettings,
    topic: String,
    board: Option<Arc<HealthBoard>>,
    looked: tokio::sync::Mutex<Looked>,
}

impl LogPositions {
    /// `topic`: full name of the events' topic. `board`: of this process, where it runs the stage.
    pub fn new(
        (incarnation, partitions): (i32, i32),
        settings: &KafkaSettings,
        topic: String,
        board: Option<Arc<HealthBoard>>,
    ) -> Self {
        let (settings, looked) = (settings.clone(), tokio::sync::Mutex::default());
        Self { incarnation, partitions, settings, topic, board, looked }
    }

    /// First offset that may be missing, of the partitions that this worker runs.
    fn own(&self) -> BTreeMap<i32, i64> {
        let Some(board) = &self.board else { return BTreeMap::new() };
        let report = board.snapshot(telemetry::steady_ms());
        let own = report.partitions.iter().filter(|it| it.stage == STAGE);
        own.filter_map(|it| {
            Some((i32::try_from(it.partition).ok()?, i64::try_from(it.durable?).ok()?))
        })
        .collect()
    }

    /// The same of all partitions, by what the group has committed.
    async fn committed(&self) -> Result<BTreeMap<i32, i64>, StoreError> {
        let mut looked = self.looked.lock().await;
        let now_ms = telemetry::steady_ms();
        if looked.at_ms.is_some_and(|at_ms| at_ms + FRESH_MS >= now_ms) {
            return Ok(looked.next.clone());
        }
        let (settings, topic) = (self.settings.clone(), self.topic.clone());
        let (known, partitions) = (looked.reader.clone(), self.partitions);
        // The client's call waits for the broker, so it has a thread of its own.
        let looking = tokio::task::spawn_blocking(move || {
            let reader = match known {
                Some(reader) => reader,
                None => Arc::new(
                    Reader::open(&settings, &settings.group(STAGE)).map_err(|it| it.to_string())?,
                ),
            };
            let numbers: Vec<i32> = (0..partitions).collect();
            let offsets = reader.committed(&topic, &numbers).map_err(|it| it.to_string())?;
            let next = numbers.into_iter().zip(offsets);
            let next = next.filter_map(|(partition, next)| Some((partition, next?))).collect();
            Ok::<_, String>((reader, next))
        });
        let found = looking.await.map_err(StoreError::unreachable)?;
        let (reader, next) = found.map_err(StoreError::unreachable)?;
        *looked = Looked { at_ms: Some(now_ms), next, reader: Some(reader) };
        Ok(looked.next.clone())
    }
}

impl Positions for LogPositions {
    fn incarnation(&self) -> i32 {
        self.incarnation
    }

    fn partitions(&self) -> i32 {
        self.partitions
    }

    fn are_reached<'a>(&'a self, asked: &'a Asked) -> Reply<'a, bool> {
        Box::pin(async move {
            let own = self.own();
            let is_reached = |next: &BTreeMap<i32, i64>, partition: &i32, offset: &i64| {
                next.get(partition).is_some_and(|next| next > offset)
            };
            // A partition that just came here may be behind what its former owner committed.
            let left: Vec<_> =
                asked.0.iter().filter(|(it, offset)| !is_reached(&own, it, offset)).collect();
            if left.iter().all(|(partition, _)| own.contains_key(partition)) {
                return Ok(left.is_empty());
            }
            let committed = self.committed().await?;
            Ok(left.iter().all(|(partition, offset)| is_reached(&committed, partition, offset)))
        })
    }

    fn known(&self) -> Vec<SourcePos> {
        let incarnation = self.incarnation;
        let own = self.own().into_iter().filter(|(_, next)| *next > 0);
        own.map(|(partition, next)| SourcePos { incarnation, partition, offset: next - 1 })
            .collect()
    }
}
