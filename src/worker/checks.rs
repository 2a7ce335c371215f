//! Start checks: everything that must be true outside before a worker touches anything.
//!
//! Owns the list of refusals (operations.md 1.6): each with a stable code and a sentence that says
//! what to do. Unreachable is not refused: the caller keeps trying until the start deadline.

use crate::adapters::{
    cassandra::{
        incarnations::{self, Incarnation},
        rules,
        session::Session,
        tables,
    },
    kafka::{
        reader::{Reader, Span},
        topics::Topics,
    },
};
use crate::codec::{births::BIRTH, topics::TopicSpec};
use crate::config::Config;
use crate::runtime::settings::Profile;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub sentence: String,
}

/// What the checks found that are the same for every stage.
#[derive(Debug, Default)]
pub struct Ground {
    pub refusals: Vec<Refusal>,
    /// The document of rules version 1; absent where a refusal says why.
    pub first_rules: Option<String>,
    /// Tables and topics are right: only then the log can be compared with what is stored.
    is_firm: bool,
}

/// What the checks of one stage found; the log's life is there unless there is a refusal, or the
/// ground is not firm.
#[derive(Debug, Default)]
pub struct Found {
    pub refusals: Vec<Refusal>,
    pub incarnation: Option<Incarnation>,
}

/// A dependency did not answer; worth trying again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

impl Unreachable {
    pub fn from_display(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Checks Kafka's topics, Cassandra's tables and the first rules: once, for all stages.
pub async fn ground(config: &Config, session: &Session) -> Result<Ground, Unreachable> {
    let mut ground = Ground::default();
    check_tables(config, session, &mut ground.refusals).await?;
    check_topics(config, &mut ground.refusals).await?;
    ground.is_firm = ground.refusals.is_empty();
    if ground.is_firm {
        check_rules(config, session, &mut ground).await?;
    }
    Ok(ground)
}

/// Checks the tie between the log and the state of the stage that reads `input`.
pub async fn stage(
    config: &Config,
    session: &Session,
    ground: &Ground,
    input: &TopicSpec,
) -> Result<Found, Unreachable> {
    let mut found = Found::default();
    if ground.is_firm {
        check_incarnation(config, session, input, &mut found).await?;
    }
    Ok(found)
}

async fn check_tables(
    config: &Config,
    session: &Session,
    refused: &mut Vec<Refusal>,
) -> Result<(), Unreachable> {
    let refusals =
        tables::check(session, &config.cassandra).await.map_err(Unreachable::from_display)?;
    refused.extend(refusals.into_iter().map(|it| Refusal { code: it.code, sentence: it.sentence }));
    Ok(())
}

async fn check_topics(config: &Config, refused: &mut Vec<Refusal>) -> Result<(), Unreachable> {
    let topics = Topics::open(&config.kafka).map_err(Unreachable::from_display)?;
    for (_, state) in topics.states().await.map_err(Unreachable::from_display)? {
        if !state.exists {
            refused.push(Refusal {
                code: "topic_missing",
                sentence: format!(
                    "topic {} does not exist; run `tapline topics apply --execute`",
                    state.name
                ),
            });
        }
        refused.extend(
            state
                .differences
                .into_iter()
                .map(|it| Refusal { code: it.code, sentence: it.sentence }),
        );
        if config.worker.profile == Profile::Production
            && state.exists
            && state.replication_factor < 3
        {
            refused.push(Refusal {
                code: "durability_low",
                sentence: format!(
                    "topic {} has {} replicas; profile production needs 3",
                    state.name, state.replication_factor
                ),
            });
        }
    }
    Ok(())
}

/// Is this the very log that the state was made from?
async fn check_incarnation(
    config: &Config,
    session: &Session,
    input: &TopicSpec,
    found: &mut Found,
) -> Result<(), Unreachable> {
    let topic = config.kafka.topic(input.topic.0);
    let known = incarnations::of_topic(session, &config.cassandra.keyspace, &topic)
        .await
        .map_err(Unreachable::from_display)?;
    let Some(known) = known else {
        found.refusals.push(Refusal {
            code: "cluster_changed",
            sentence: format!(
                "topic {topic} is not registered in keyspace {}; run `tapline topics apply --execute`",
                config.cassandra.keyspace
            ),
        });
        return Ok(());
    };
    let mut refuse = |code, sentence| found.refusals.push(Refusal { code, sentence });
    if known.partitions != config.kafka.partitions as i32 {
        refuse(
            "partition_count",
            format!(
                "topic {topic} was registered with {} partitions, kafka.partitions says {}; the \
                 count of a live topic never changes",
                known.partitions, config.kafka.partitions
            ),
        );
    }
    let buckets = config.buckets_of(input.topic) as i32;
    if known.buckets != buckets {
        refuse(
            "config_invalid",
            format!(
                "topic {topic} was registered with {} buckets, the configuration says {buckets} \
                 (runtime.buckets_per_partition, feed.buckets for the feed); it decides where rows \
                 live and never changes",
                known.buckets
            ),
        );
    }
    let settings = config.kafka.clone();
    let births = tokio::task::spawn_blocking(move || births(&settings, &topic))
        .await
        .map_err(Unreachable::from_display)??;
    for (partition, first) in births {
        let found = match first {
            First::Gone => continue,
            First::Birth(id) if id == known.birth_id => continue,
            First::Birth(id) => format!("was born as {id}"),
            First::Nothing | First::Other => "has no birth record".to_owned(),
        };
        refuse(
            "cluster_changed",
            format!(
                "{}/{partition} {found}, its state belongs to {}: the topic was made anew, or this \
                 is another cluster; use an empty keyspace or the right cluster",
                known.topic, known.birth_id
            ),
        );
    }
    found.incarnation = Some(known);
    Ok(())
}

async fn check_rules(
    config: &Config,
    session: &Session,
    ground: &mut Ground,
) -> Result<(), Unreachable> {
    let document = rules::load(session, &config.cassandra.keyspace, 1)
        .await
        .map_err(Unreachable::from_display)?;
    if document.is_none() {
        ground.refusals.push(Refusal {
            code: "rules_missing",
            sentence: "rules version 1 is not stored; run `tapline rules activate rules/1.toml \
                       --execute`"
                .to_owned(),
        });
    }
    ground.first_rules = document;
    Ok(())
}

/// What stands at the beginning of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// The birth record of this life of the topic.
    Birth(String),
    /// The partition is empty.
    Nothing,
    /// A record that is no birth record: the topic was not made by `topics apply`.
    Other,
    /// The log no longer begins at 0, so it cannot be asked.
    Gone,
}

/// The beginning of each partition.
pub fn births(
    settings: &crate::adapters::kafka::settings::KafkaSettings,
    topic: &str,
) -> Result<Vec<(i32, First)>, Unreachable> {
    let reader = Reader::open(settings, "tapline.check").map_err(Unreachable::from_display)?;
    let spans = reader.spans(topic).map_err(Unreachable::from_display)?;
    let mut births = Vec::new();
    for span in spans {
        let birth = match span {
            Span { start: 0, end, .. } if end > 0 => {
                reader.assign(topic, &[(span.partition, 0)]).map_err(Unreachable::from_display)?;
                let first =
                    reader.next(Duration::from_secs(10)).map_err(Unreachable::from_display)?;
                let Some((_, record)) = first else {
                    return Err(Unreachable(format!("no record from {topic}/{}", span.partition)));
                };
                match record.headers.text(BIRTH) {
                    Some(id) => First::Birth(id.to_owned()),
                    None => First::Other,
                }
            }
            Span { start: 0, .. } => First::Nothing,
            Span { .. } => First::Gone,
        };
        births.push((span.partition, birth));
    }
    Ok(births)
}
