//! The tail of the feed while the demo plays: a line of some customer's feed every now and then.
//!
//! Owns one thread that reads `feed.items.v1` from its end and shows the newest line each second.
//! Decides nothing, and is let go when the play ends.

use super::{amounts::money, logs, print::say};
use crate::codec::{
    avro::{Avro, RegistryIds},
    schemas::Subject,
    topics::FEED_ITEMS,
};
use crate::config::Config;
use crate::domain::feed::{FeedBody, FeedRecord};
use crate::producer::dated::day_text;
use crate::runtime::telemetry;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Between two lines.
const EVERY_MS: u64 = 1_500;

pub struct FeedTail {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FeedTail {
    /// Shows nothing where the log cannot be read: the demo's judgement says so anyway.
    pub fn start(config: &Config) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (config, stopped) = (config.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let _ = follow(&config, &stopped);
        });
        Self { stop, thread: Some(thread) }
    }

    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn follow(config: &Config, stop: &AtomicBool) -> Option<()> {
    let reader = logs::reader(config, "feed-tail").ok()?;
    let topic = config.kafka.topic(FEED_ITEMS.0);
    let ends: Vec<(i32, i64)> =
        reader.spans(&topic).ok()?.iter().map(|span| (span.partition, span.end)).collect();
    reader.assign(&topic, &ends).ok()?;
    let ids = RegistryIds::default();
    let mut next_ms = 0;
    while !stop.load(Ordering::Acquire) {
        let Some((_, raw)) = reader.next(Duration::from_millis(200)).ok()? else { continue };
        let now_ms = telemetry::steady_ms();
        if now_ms < next_ms {
            continue;
        }
        let value = raw.value.as_deref().unwrap_or_default();
        let record: FeedRecord = Avro::of(Subject::FeedItems).decode(value, &ids).ok()?;
        if let Some(line) = line(&record) {
            say(&line);
            next_ms = now_ms + EVERY_MS;
        }
    }
    Some(())
}

/// Day, customer, what, amount, state, balance after.
fn line(record: &FeedRecord) -> Option<String> {
    let FeedBody::Item(item) = &record.body else { return None };
    let what = if item.merchant_name.is_empty() { &item.text } else { &item.merchant_name };
    let what = if what.is_empty() { format!("{:?}", item.kind) } else { what.to_string() };
    let sign = if item.kind.is_incoming() { "+" } else { "-" };
    Some(format!(
        "  feed {} {}: {what} {sign}{} {:?}, balance {}",
        day_text(record.log_time),
        record.customer_id,
        money(item.amount_minor, item.currency),
        item.status,
        money(item.balance.booked_minor, item.balance.currency)
    ))
}
