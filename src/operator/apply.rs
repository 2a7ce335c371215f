//! Making an installation: tables, topics with their births, and the first rules.
//!
//! Owns what exists before any worker starts. Everything is idempotent: a second run finds it done.
//! A topic that exists otherwise than declared is refused, never altered.

use crate::adapters::{
    cassandra::{
        incarnations::{self, Incarnation},
        rules,
        session::Session,
        tables,
    },
    kafka::{
        reader::Reader,
        sender::{Outbound, Sender, Ticket},
        topics::Topics,
    },
};
use crate::codec::{
    self,
    births::{BIRTH, BIRTH_KEY, birth_value},
    headers::HeaderList,
    topics::TopicSpec,
};
use crate::config::Config;
use crate::domain::rules::Rules;
use crate::worker::checks::{self, First};
use std::{sync::mpsc, time::Duration};

/// One line of a plan: what is there and what would be done.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Planned {
    pub what: String,
    pub state: String,
    /// Empty: nothing to do.
    pub action: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Exists otherwise than declared, or would change what is immutable: exit 4.
    #[error("{code}: {sentence}")]
    Refused { code: &'static str, sentence: String },
    /// A server did not answer: exit 5.
    #[error("{0}")]
    Unreachable(String),
}

impl ApplyError {
    fn unreachable(error: impl std::fmt::Display) -> Self {
        ApplyError::Unreachable(error.to_string())
    }
}

type Result<T> = std::result::Result<T, ApplyError>;

pub async fn plan_tables(config: &Config, session: &Session) -> Result<Vec<Planned>> {
    let plan = tables::plan(session, &config.cassandra).await.map_err(ApplyError::unreachable)?;
    let keyspace = Planned {
        what: format!("keyspace {}", plan.keyspace),
        state: if plan.keyspace_exists { "exists" } else { "missing" }.to_owned(),
        action: if plan.keyspace_exists { "" } else { "create" }.to_owned(),
    };
    let tables = tables::tables().into_iter().map(|table| Planned {
        what: format!("table {}.{table}", plan.keyspace),
        state: if plan.missing_versions.is_empty() { "exists" } else { "missing" }.to_owned(),
        action: if plan.missing_versions.is_empty() { "" } else { "create" }.to_owned(),
    });
    Ok(std::iter::once(keyspace).chain(tables).collect())
}

pub async fn apply_tables(config: &Config, session: &Session) -> Result<()> {
    tables::apply(session, &config.cassandra).await.map_err(ApplyError::unreachable)
}

/// What `topics apply` would do; refuses when a topic exists otherwise.
pub async fn plan_topics(config: &Config) -> Result<Vec<Planned>> {
    let topics = Topics::open(&config.kafka).map_err(ApplyError::unreachable)?;
    let mut planned = Vec::new();
    for (spec, state) in topics.states().await.map_err(ApplyError::unreachable)? {
        if let Some(difference) = state.differences.first() {
            return Err(ApplyError::Refused {
                code: difference.code,
                sentence: difference.sentence.clone(),
            });
        }
        let declared = format!(
            "{} partitions, {} replicas, key {}",
            config.kafka.partitions, config.kafka.replication_factor, spec.key
        );
        planned.push(match state.exists {
            true => Planned {
                what: state.name,
                state: format!("exists: {} partitions", state.partitions),
                action: String::new(),
            },
            false => Planned {
                what: state.name,
                state: "missing".to_owned(),
                action: format!("create: {declared}"),
            },
        });
    }
    Ok(planned)
}

/// Creates missing topics; gives each stage's input its birth records, its incarnation and its
/// readers' first offset.
pub async fn apply_topics(config: &Config, session: &Session) -> Result<()> {
    plan_topics(config).await?;
    let topics = Topics::open(&config.kafka).map_err(ApplyError::unreachable)?;
    let cluster_id = topics.cluster_id().map_err(ApplyError::unreachable)?;
    for (spec, state) in topics.states().await.map_err(ApplyError::unreachable)? {
        if !state.exists {
            topics.create(spec).await.map_err(ApplyError::unreachable)?;
        }
        if let Some(value) = birth_value(spec.topic) {
            let birth_id = give_birth(config, spec, &value).await?;
            register(config, session, spec, &cluster_id, &birth_id).await?;
            for stage in spec.inputs_of {
                start_group(config, stage, spec).await?;
            }
        }
    }
    Ok(())
}

/// Writes a birth record into each empty partition, with the topic's id in a header: Kafka's own
/// topic id cannot be asked for through the client.
async fn give_birth(config: &Config, spec: &TopicSpec, value: &[u8]) -> Result<String> {
    let topic = config.kafka.topic(spec.topic.0);
    let (settings, name) = (config.kafka.clone(), topic.clone());
    let births = tokio::task::spawn_blocking(move || checks::births(&settings, &name))
        .await
        .map_err(ApplyError::unreachable)?
        .map_err(ApplyError::unreachable)?;
    if let Some((partition, _)) = births.iter().find(|(_, first)| *first == First::Other) {
        return Err(ApplyError::Refused {
            code: "cluster_changed",
            sentence: format!(
                "{topic}/{partition} has records and no birth record before them, so it was not made \
                 by this command; let it make the topic"
            ),
        });
    }
    let known = births.iter().find_map(|(_, first)| match first {
        First::Birth(id) => Some(id.clone()),
        First::Nothing | First::Other | First::Gone => None,
    });
    let known = known.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let unborn = births.iter().filter(|(_, first)| *first == First::Nothing);
    let unborn: Vec<i32> = unborn.map(|(partition, _)| *partition).collect();
    if unborn.is_empty() {
        return Ok(known);
    }
    let sender = Sender::open(&config.kafka, "apply").map_err(ApplyError::unreachable)?;
    let (done, acked) = mpsc::channel();
    let ticket = Ticket::new(
        unborn.len(),
        Box::new(move |acked| {
            let _ = done.send(acked);
        }),
    );
    let mut headers = HeaderList::new();
    headers.push_text(BIRTH, &known);
    for partition in unborn {
        let outbound = Outbound {
            topic: &topic,
            partition: Some(partition),
            key: Some(BIRTH_KEY.as_bytes()),
            value: Some(value),
            headers: &headers,
        };
        sender.send(outbound, &ticket).map_err(ApplyError::unreachable)?;
    }
    let waited =
        tokio::task::spawn_blocking(move || acked.recv_timeout(Duration::from_secs(30))).await;
    match waited {
        Ok(Ok(_)) => Ok(known),
        _ => Err(ApplyError::Unreachable(format!("no ack for the birth records of {topic}"))),
    }
}

async fn register(
    config: &Config,
    session: &Session,
    spec: &TopicSpec,
    cluster_id: &str,
    birth_id: &str,
) -> Result<()> {
    let wanted = Incarnation {
        number: 0,
        topic: config.kafka.topic(spec.topic.0),
        birth_id: birth_id.to_owned(),
        cluster_id: cluster_id.to_owned(),
        partitions: config.kafka.partitions as i32,
        buckets: config.buckets_of(spec.topic) as i32,
    };
    let standing = incarnations::register(session, &config.cassandra.keyspace, &wanted)
        .await
        .map_err(ApplyError::unreachable)?;
    if standing.partitions != wanted.partitions || standing.buckets != wanted.buckets {
        return Err(ApplyError::Refused {
            code: "partition_count",
            sentence: format!(
                "{} was registered with {} partitions and {} buckets, the configuration says {} and \
                 {}; neither ever changes for a live topic",
                standing.topic,
                standing.partitions,
                standing.buckets,
                wanted.partitions,
                wanted.buckets
            ),
        });
    }
    Ok(())
}

/// Commits 0 for partitions of a stage's group that have no offset, while the log is whole.
async fn start_group(config: &Config, stage: &str, spec: &TopicSpec) -> Result<()> {
    let settings = config.kafka.clone();
    let (group, topic) = (config.kafka.group(stage), config.kafka.topic(spec.topic.0));
    let started = tokio::task::spawn_blocking(move || {
        let reader = Reader::open(&settings, &group)?;
        let spans = reader.spans(&topic)?;
        let partitions: Vec<i32> = spans.iter().map(|span| span.partition).collect();
        let committed = reader.committed(&topic, &partitions)?;
        for (span, committed) in spans.iter().zip(committed) {
            // Records beyond the birth may already have been applied by somebody: only a log that
            // nobody has written to yet may be started without an operator's word.
            if committed.is_none() && span.start == 0 && span.end <= 1 {
                reader.commit(&topic, span.partition, 0)?;
            }
        }
        Ok::<_, rdkafka::error::KafkaError>(())
    });
    started.await.map_err(ApplyError::unreachable)?.map_err(ApplyError::unreachable)
}

/// The rules that this release is shipped with, as an installation's first version.
pub const FIRST_RULES: &str = include_str!("../../rules/1.toml");

/// Stores a rules document; the same text again is fine, another text under its number is not.
pub async fn store_rules(config: &Config, session: &Session, document: &str) -> Result<i32> {
    let parsed = codec::rules::parse(document).map_err(|error| ApplyError::Refused {
        code: "config_invalid",
        sentence: error.to_string(),
    })?;
    refuse_other_closing_age(config, session, &parsed).await?;
    rules::store(session, &config.cassandra.keyspace, parsed.version, document).await.map_err(
        |error| ApplyError::Refused { code: "rules_immutable", sentence: error.to_string() },
    )?;
    Ok(parsed.version)
}

/// What left its account under the first version's age would not be looked for under a longer one,
/// so a repeat of it would take effect a second time: the age never changes for a live log.
async fn refuse_other_closing_age(config: &Config, session: &Session, rules: &Rules) -> Result<()> {
    let first = rules::load(session, &config.cassandra.keyspace, 1)
        .await
        .map_err(ApplyError::unreachable)?;
    let first = first.and_then(|document| codec::rules::parse(&document).ok());
    match first.map(|first| first.closing_age_ms) {
        Some(age_ms) if age_ms != rules.closing_age_ms => Err(ApplyError::Refused {
            code: "config_invalid",
            sentence: format!(
                "closing_age_ms = {} differs from version 1's {age_ms}; it never changes for a live \
                 log, or repeats of closed payments would not be known",
                rules.closing_age_ms
            ),
        }),
        _ => Ok(()),
    }
}

/// Everything a fresh installation needs, in order.
pub async fn apply_all(config: &Config, session: &Session) -> Result<()> {
    apply_tables(config, session).await?;
    store_rules(config, session, FIRST_RULES).await?;
    apply_topics(config, session).await
}
