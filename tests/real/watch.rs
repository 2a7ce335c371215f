//! What workers and topics show of themselves, from outside.
//!
//! Owns looking: health pages, ends of logs, committed offsets, records of a topic. Never acts.

use super::ground::{Site, until};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tapline::adapters::kafka::reader::{Reader, Span};
use tapline::codec::{
    avro::{Avro, RegistryIds},
    raw::RawRecord,
    schemas::Subject,
    topics::EVENTS,
};
use tapline::domain::event::AccountEvent;
use tapline::load::workers::Worker;

/// Status and body of `/readyz`; `None` while nobody listens.
pub fn readyz(worker: &mut Worker) -> Option<(u16, Value)> {
    let (status, body) = page(worker, "readyz")?;
    Some((status, serde_json::from_str(&body).ok()?))
}

/// Status and text of a page of the worker's; `None` while nobody listens.
pub fn page(worker: &mut Worker, name: &str) -> Option<(u16, String)> {
    let address = worker.address()?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(2)))
        .build()
        .into();
    let mut answer = agent.get(format!("http://{address}/{name}")).call().ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.body_mut().read_to_string().ok()?))
}

/// The lines of the health page, by partition.
pub fn partitions(report: &Value) -> BTreeMap<i64, Value> {
    let lines = report.get("partitions").and_then(Value::as_array).cloned().unwrap_or_default();
    lines.into_iter().filter_map(|line| Some((line.get("partition")?.as_i64()?, line))).collect()
}

/// Waits until the workers share all partitions and each is ready.
pub fn await_ready(site: &Site, workers: &mut [Worker], within_s: u64) {
    until("workers take all partitions", within_s, || {
        let mut owned = 0;
        for worker in workers.iter_mut() {
            if !worker.is_running() {
                panic!("a worker ended:\n{}", worker.last_lines(8));
            }
            match readyz(worker) {
                Some((200, report)) => owned += partitions(&report).len(),
                Some((_, report)) => return Err(report.to_string()),
                None => return Err("no health page yet".to_owned()),
            }
        }
        match owned == site.partitions() as usize {
            true => Ok(()),
            false => Err(format!("{owned} of {} partitions are owned", site.partitions())),
        }
    });
}

pub fn spans(site: &Site, topic: &str) -> Vec<Span> {
    let reader = Reader::open(&site.config.kafka, "tapline.test").expect("a reader");
    reader.spans(topic).expect("the topic's ends")
}

/// Waits until everything that is in the commands topic now is durable. Only fresh ticks are
/// committed, so somebody must write them.
pub fn await_durable(site: &Site, workers: &mut [Worker], within_s: u64) {
    let ends = spans(site, &site.commands());
    until("everything becomes durable", within_s, || {
        let mut durable = BTreeMap::new();
        workers.iter_mut().for_each(|worker| durable.extend(worker.durable()));
        let reached = |number: &i32| {
            let place = ("authorisation".to_owned(), *number);
            durable.get(&place).copied().unwrap_or(0)
        };
        let behind: Vec<String> = ends
            .iter()
            .filter(|span| reached(&span.partition) < span.end)
            .map(|it| {
                format!("partition {} at {} of {}", it.partition, reached(&it.partition), it.end)
            })
            .collect();
        if behind.is_empty() { Ok(()) } else { Err(behind.join(", ")) }
    });
}

/// Everything in a topic, from its beginning to its end of now, partition by partition.
pub fn everything(site: &Site, topic: &str) -> Vec<RawRecord> {
    beyond(site, topic, &[])
}

/// Everything that was appended after `from`.
pub fn beyond(site: &Site, topic: &str, from: &[Span]) -> Vec<RawRecord> {
    let reader = Reader::open(&site.config.kafka, "tapline.test").expect("a reader");
    let mut spans = reader.spans(topic).expect("the topic's ends");
    for span in &mut spans {
        let known = from.iter().find(|known| known.partition == span.partition);
        span.start = known.map_or(span.start, |known| known.end);
    }
    let mut records = Vec::new();
    reader.read(topic, &spans, |_, raw| records.push(raw)).expect("the topic can be read");
    records.sort_by_key(|raw| (raw.partition, raw.offset));
    records
}

/// Events that are not copies of earlier ones, with their records.
pub fn events(site: &Site, from: &[Span]) -> Vec<(RawRecord, AccountEvent)> {
    let mut seen = std::collections::BTreeSet::new();
    beyond(site, &site.config.kafka.topic(EVENTS.0), from)
        .into_iter()
        .filter(|raw| seen.insert(raw.headers.text("tapline-src").unwrap_or_default().to_owned()))
        .map(|raw| {
            let value = raw.value.as_deref().unwrap_or_default();
            let event = Avro::of(Subject::Events).decode(value, &RegistryIds::default());
            let event = event.unwrap_or_else(|error| panic!("an event of ours: {error}"));
            (raw, event)
        })
        .collect()
}

/// The group's committed offsets, by partition.
pub fn committed(site: &Site) -> BTreeMap<i32, i64> {
    let group = site.config.kafka.group("authorisation");
    let reader = Reader::open(&site.config.kafka, &group).expect("a reader");
    let numbers: Vec<i32> = (0..site.partitions()).collect();
    let offsets = reader.committed(&site.commands(), &numbers).expect("committed offsets");
    numbers.into_iter().zip(offsets).filter_map(|(number, at)| Some((number, at?))).collect()
}

/// Lines of a worker's log that carry an error code, or whose message holds a text.
pub fn log_says(worker: &Worker, text: &str) -> bool {
    std::fs::read_to_string(&worker.log).unwrap_or_default().contains(text)
}

pub fn is_missing(site: &Site, topic: &str) -> bool {
    let reader = Reader::open(&site.config.kafka, "tapline.test").expect("a reader");
    reader.partitions(topic).is_ok_and(|numbers| numbers.is_empty())
}
