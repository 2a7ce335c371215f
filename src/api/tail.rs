//! The tail of `feed.items.v1`: one thread that reads the log's end while somebody listens.
//!
//! Owns where it starts (ten seconds back, so that a page read meanwhile has no gap to the first
//! live item) and when it ends (a minute after the last listener). Joins no group and commits
//! nothing: every worker with listeners has its own tail over all partitions.

use super::live::{Hub, LivePos, Tail};
use crate::adapters::kafka::{groups, reader::Reader, settings::KafkaSettings};
use crate::codec::{
    avro::{Avro, RegistryIds},
    schemas::Subject,
};
use crate::domain::feed::FeedRecord;
use crate::runtime::telemetry;
use std::{sync::Arc, time::Duration};

/// A read model that is further behind than this is not what a page is read from.
const BACK_MS: i64 = 10_000;
const LINGER_MS: u64 = 60_000;
const TURN: Duration = Duration::from_millis(100);

/// Records of other groups' making never share its name.
const GROUP: &str = "live";

pub struct LogTail {
    pub settings: KafkaSettings,
    /// Full name of the topic.
    pub topic: String,
    pub ids: RegistryIds,
}

impl Tail for LogTail {
    fn start(&self, hub: Arc<Hub>) {
        let (settings, topic, ids) = (self.settings.clone(), self.topic.clone(), self.ids.clone());
        let of_thread = hub.clone();
        let begun = std::thread::Builder::new().name("live".to_owned()).spawn(move || {
            if let Err(error) = run(&settings, &topic, &ids, &of_thread) {
                tracing::warn!(%error, topic, "live items broke off; the next listener starts anew");
                of_thread.tail_ended(false);
            }
        });
        if let Err(error) = begun {
            tracing::error!(%error, "no thread for live items");
            hub.tail_ended(false);
        }
    }
}

fn run(settings: &KafkaSettings, topic: &str, ids: &RegistryIds, hub: &Hub) -> Result<(), String> {
    let open = || {
        let reader = Reader::open(settings, &settings.group(GROUP))?;
        let spans = reader.spans(topic)?;
        let numbers: Vec<i32> = spans.iter().map(|span| span.partition).collect();
        let since_ms = telemetry::now_ms() - BACK_MS;
        let recent = groups::offsets_at(settings, topic, &numbers, since_ms)?;
        let from = spans.iter().zip(recent);
        let from: Vec<(i32, i64)> =
            from.map(|(span, recent)| (span.partition, recent.unwrap_or(span.end))).collect();
        reader.assign(topic, &from).map(|()| (reader, from))
    };
    let (reader, from) = open().map_err(|error| error.to_string())?;
    from.iter().for_each(|(partition, offset)| hub.covers(*partition, *offset));
    let mut idle_since_ms = None;
    loop {
        let next = reader.next(TURN).map_err(|error| error.to_string())?;
        if let Some((partition, record)) = next {
            let pos = LivePos { partition, offset: record.offset };
            let value = record.value.as_deref().unwrap_or_default();
            match Avro::of(Subject::FeedItems).decode::<FeedRecord>(value, ids) {
                Ok(record) => hub.publish(pos, record),
                // The stages stop at such a record; a listener misses it and nothing else.
                Err(error) => tracing::warn!(%error, %pos, "an item cannot be shown live"),
            }
        }
        if hub.is_closed() {
            return Ok(());
        }
        let now_ms = telemetry::steady_ms();
        idle_since_ms = match hub.listener_count() {
            0 => idle_since_ms.or(Some(now_ms)),
            _ => None,
        };
        let is_done = idle_since_ms.is_some_and(|since_ms| now_ms >= since_ms + LINGER_MS);
        if is_done && hub.tail_ended(true) {
            return Ok(());
        }
    }
}
