//! The live ports of one partition: Kafka's producer, Cassandra's store, the consumer's commits.
//!
//! Owns how requests become calls and answers become arrivals in the partition's inbox. Waits for
//! nothing. After the partition was revoked nothing more is sent: what is on its way may land, which
//! harms nobody.

use super::inbox::Inbox;
use crate::adapters::{
    cassandra::{
        failure::StoreError,
        rules,
        session::Session,
        store::{LogPartition, Store},
    },
    kafka::{
        intake::Intake,
        sender::{Outbound, Sender, Ticket},
    },
};
use crate::codec::{headers::ORIGIN_MS, topics::dead_letters_of};
use crate::runtime::{
    failure::{Class, pauses},
    ports::{Arrival, Batch, Ports, Publish, PublishTopic, SideRead},
    telemetry::{self, StageMeters},
};
use crate::stages::{Stage, Topic};
use std::{marker::PhantomData, sync::Arc};
use tokio::runtime::Handle;

/// What all partitions of a stage share.
pub struct Edges {
    pub stage: &'static str,
    pub sender: Sender,
    pub intake: Intake,
    pub store: Store,
    pub session: Arc<Session>,
    pub keyspace: String,
    pub topic_prefix: String,
    pub tokio: Handle,
    pub meters: StageMeters,
}

impl Edges {
    pub fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.topic_prefix, topic.0)
    }
}

/// What the outputs of a stage are in the metric of times from end to end. Windows have no command
/// at their beginning.
fn published_as(stage: &str) -> Option<&'static str> {
    match stage {
        "authorisation" => Some("event"),
        "posting" => Some("posting"),
        "feed" => Some("feed"),
        "push" => Some("push"),
        _ => None,
    }
}

/// How a rules document becomes a stage's rules.
pub type ParseRules<R> = fn(&str) -> Result<R, String>;

pub struct LivePorts<S: Stage> {
    edges: Arc<Edges>,
    inbox: Inbox<S::Rules>,
    log: LogPartition,
    outputs: Vec<(Topic, String)>,
    dead_letters: String,
    parse_rules: ParseRules<S::Rules>,
    stage: PhantomData<S>,
}

impl<S: Stage> LivePorts<S> {
    pub fn new(
        edges: Arc<Edges>,
        inbox: Inbox<S::Rules>,
        log: LogPartition,
        parse_rules: ParseRules<S::Rules>,
    ) -> Self {
        let outputs = S::OUTPUTS.iter().map(|topic| (*topic, edges.topic(*topic))).collect();
        let dead_letters = format!("{}{}", edges.topic_prefix, dead_letters_of(S::NAME));
        Self { edges, inbox, log, outputs, dead_letters, parse_rules, stage: PhantomData }
    }

    fn topic_name(&self, topic: PublishTopic) -> &str {
        match topic {
            PublishTopic::DeadLetters => &self.dead_letters,
            PublishTopic::Output(topic) => self
                .outputs
                .iter()
                .find(|(known, _)| *known == topic)
                .map_or(topic.0, |(_, name)| name.as_str()),
        }
    }
}

impl<S: Stage> Ports<S::Rules> for LivePorts<S> {
    fn publish(&mut self, ticket: u64, records: Vec<Publish>) {
        if self.inbox.is_revoked() {
            return;
        }
        let inbox = self.inbox.clone();
        let sent_ns = telemetry::steady_ns();
        let ack_seconds = self.edges.meters.produce_ack_seconds.clone();
        let origin_ms =
            records.last().and_then(|record| record.headers.text(ORIGIN_MS)?.parse::<i64>().ok());
        let acks = Ticket::new(
            records.len(),
            Box::new(move |_| {
                ack_seconds.record(telemetry::seconds_since(sent_ns));
                if let (Some(origin_ms), Some(to)) = (origin_ms, published_as(S::NAME)) {
                    telemetry::end_to_end("command", to, origin_ms, telemetry::now_ms());
                }
                inbox.send(Arrival::Acknowledged { ticket });
            }),
        );
        for record in &records {
            let outbound = Outbound::of(record, self.topic_name(record.topic));
            if let Err(error) = self.edges.sender.send(outbound, &acks) {
                // Never on past a failed send: readers would take the retry for old.
                super::end_process(&error.to_string());
            }
        }
    }

    fn write(&mut self, batch: Arc<Batch>) {
        let (edges, inbox, log) = (self.edges.clone(), self.inbox.clone(), self.log);
        super::spawn_or_end(&self.edges.tokio, async move {
            let go_on = |failure: &StoreError| {
                edges.meters.retried("store_write");
                tracing::warn!(stage = edges.stage, partition = log.partition, %failure,
                    "a checkpoint write is not acknowledged; sending it again");
                !inbox.is_revoked()
            };
            match edges.store.write(log, &batch, go_on).await {
                Ok(()) => inbox.send(Arrival::Written { seal: batch.seal, index: batch.index }),
                Err(failure) => super::end_process(&failure.to_string()),
            }
        });
    }

    fn read(&mut self, read: SideRead) {
        let (edges, inbox, log) = (self.edges.clone(), self.inbox.clone(), self.log);
        super::spawn_or_end(&self.edges.tokio, async move {
            let mut pauses = pauses();
            while !inbox.is_revoked() {
                match edges.store.read_side(log, &read).await {
                    Ok(version) => {
                        let SideRead { below, item, .. } = read;
                        inbox.send(Arrival::SideRow { below, item, version });
                        return;
                    }
                    Err(failure) if failure.class() == Class::Fatal => {
                        super::end_process(&failure.to_string())
                    }
                    Err(failure) => {
                        edges.meters.retried("store_read");
                        tracing::warn!(stage = edges.stage, partition = log.partition, %failure,
                            "a side row cannot be read yet; asking again");
                    }
                }
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
            }
        });
    }

    fn commit(&mut self, next_offset: i64) {
        if !self.inbox.is_revoked() {
            self.edges.intake.commit(self.log.partition, next_offset);
        }
    }

    fn load_rules(&mut self, version: i32) {
        let (edges, inbox, parse) = (self.edges.clone(), self.inbox.clone(), self.parse_rules);
        super::spawn_or_end(&self.edges.tokio, async move {
            let mut pauses = pauses();
            while !inbox.is_revoked() {
                match rules::load(&edges.session, &edges.keyspace, version).await {
                    Ok(Some(document)) => match parse(&document) {
                        Ok(rules) => {
                            let rules = Arc::new(rules);
                            inbox.send(Arrival::Rules { version, rules });
                            return;
                        }
                        Err(reason) => tracing::error!(
                            version,
                            reason,
                            "the active rules cannot be read by this release; upgrade the worker"
                        ),
                    },
                    Ok(None) => tracing::error!(
                        version,
                        "a tick activates rules that are not stored; run tapline rules activate"
                    ),
                    Err(failure) => tracing::warn!(version, %failure, "rules cannot be read yet"),
                }
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
            }
        });
    }

    fn seek(&mut self, offset: i64) {
        self.edges.intake.seek(self.log.partition, offset);
    }
}
