//! Topics of the cluster: created from the table, compared with it, never changed afterwards.
//!
//! Owns the differences between `codec::topics` and the cluster. A topic that exists otherwise than
//! declared is a refusal, not a repair: partition counts decide where keys live.

use super::{client, client::Quiet, settings::KafkaSettings};
use crate::codec::topics::{TOPICS, TopicSpec, settings_of};
use rdkafka::{
    admin::{
        AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    config::FromClientConfig,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use std::{collections::BTreeMap, time::Duration};

const LOOK_UP: Duration = Duration::from_secs(10);

/// What one topic looks like against its declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// Full name, with prefix.
    pub name: String,
    pub exists: bool,
    pub partitions: usize,
    pub replication_factor: usize,
    pub differences: Vec<Difference>,
}

/// One way in which a topic is not as declared, with the stable code of the refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub code: &'static str,
    pub sentence: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    #[error("Kafka does not answer: {0}")]
    Unreachable(String),
    #[error("topic {name} could not be created: {error}")]
    NotCreated { name: String, error: String },
}

impl From<KafkaError> for TopicsError {
    fn from(error: KafkaError) -> Self {
        TopicsError::Unreachable(error.to_string())
    }
}

pub struct Topics<'a> {
    settings: &'a KafkaSettings,
    admin: AdminClient<DefaultClientContext>,
    consumer: BaseConsumer<Quiet>,
}

impl<'a> Topics<'a> {
    pub fn open(settings: &'a KafkaSettings) -> Result<Self, TopicsError> {
        let config = client::config(&settings.connection_properties("admin"));
        Ok(Self {
            settings,
            admin: AdminClient::from_config(&config)?,
            consumer: BaseConsumer::from_config_and_context(&config, Quiet)?,
        })
    }

    pub fn cluster_id(&self) -> Result<String, TopicsError> {
        self.consumer.client().fetch_cluster_id(LOOK_UP).ok_or_else(|| {
            TopicsError::Unreachable(format!("no answer from {}", self.settings.bootstrap))
        })
    }

    /// Every declared topic as it is, in the order of the table.
    pub async fn states(&self) -> Result<Vec<(&'static TopicSpec, TopicState)>, TopicsError> {
        let metadata = self.consumer.fetch_metadata(None, LOOK_UP)?;
        let mut states = Vec::new();
        for spec in TOPICS {
            let name = self.settings.topic(spec.topic.0);
            let found = metadata
                .topics()
                .iter()
                .find(|known| known.name() == name && !known.partitions().is_empty());
            let mut state = TopicState {
                exists: found.is_some(),
                partitions: found.map_or(0, |known| known.partitions().len()),
                replication_factor: found
                    .and_then(|known| known.partitions().first())
                    .map_or(0, |partition| partition.replicas().len()),
                differences: Vec::new(),
                name,
            };
            if state.exists {
                let settings = self.topic_settings(&state.name).await?;
                state.differences = self.differences(spec, &state, &settings);
            }
            states.push((spec, state));
        }
        Ok(states)
    }

    async fn topic_settings(&self, name: &str) -> Result<BTreeMap<String, String>, TopicsError> {
        let resource = ResourceSpecifier::Topic(name);
        let answers = self.admin.describe_configs([&resource], &self.options()).await?;
        let resource: ConfigResource = answers
            .into_iter()
            .next()
            .ok_or_else(|| TopicsError::Unreachable(format!("no settings of {name}")))?
            .map_err(|error| TopicsError::Unreachable(format!("settings of {name}: {error}")))?;
        Ok(resource
            .entries
            .into_iter()
            .filter_map(|entry| Some((entry.name, entry.value?)))
            .collect())
    }

    fn differences(
        &self,
        spec: &TopicSpec,
        state: &TopicState,
        settings: &BTreeMap<String, String>,
    ) -> Vec<Difference> {
        let name = &state.name;
        let mut differences = Vec::new();
        let mut differ = |code: &'static str, sentence: String| {
            differences.push(Difference { code, sentence });
        };
        let wanted = self.settings.partitions as usize;
        if state.partitions != wanted {
            differ(
                "partition_count",
                format!(
                    "topic {name} has {} partitions, kafka.partitions says {wanted}; the count of a \
                     live topic never changes: correct the setting, or move to a new topic",
                    state.partitions
                ),
            );
        }
        for (setting, declared) in settings_of(spec) {
            let actual = settings.get(setting).map_or("", String::as_str);
            let fits = match setting {
                "max.message.bytes" => {
                    actual.parse::<i64>().is_ok_and(|bytes| bytes >= spec.max_message_bytes)
                }
                // Stricter or longer than needed is fine.
                "retention.ms" | "retention.bytes" => actual == "-1",
                _ => actual == declared,
            };
            if !fits {
                let code = match setting {
                    "cleanup.policy" => "cleanup_policy",
                    "retention.ms" | "retention.bytes" => "retention_short",
                    "message.timestamp.type" => "timestamp_type",
                    "max.message.bytes" => "message_size",
                    _ => "durability_low",
                };
                differ(
                    code,
                    format!(
                        "topic {name} has {setting}={actual}, needed is {declared}; set it with \
                         kafka-configs --alter --topic {name} --add-config {setting}={declared}"
                    ),
                );
            }
        }
        differences
    }

    /// Creates a declared topic and waits until every partition has a leader.
    pub async fn create(&self, spec: &TopicSpec) -> Result<(), TopicsError> {
        let name = self.settings.topic(spec.topic.0);
        let settings = settings_of(spec);
        let min_insync = self.settings.min_insync_replicas().to_string();
        let mut topic = NewTopic::new(
            &name,
            self.settings.partitions as i32,
            TopicReplication::Fixed(i32::from(self.settings.replication_factor)),
        )
        .set("min.insync.replicas", &min_insync);
        for (setting, value) in &settings {
            topic = topic.set(setting, value);
        }
        for answer in self.admin.create_topics([&topic], &self.options()).await? {
            match answer {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, error)) => {
                    return Err(TopicsError::NotCreated { name, error: error.to_string() });
                }
            }
        }
        self.wait_for_leaders(&name).await
    }

    async fn wait_for_leaders(&self, name: &str) -> Result<(), TopicsError> {
        let wanted = self.settings.partitions as usize;
        for _ in 0..300 {
            let metadata = self.consumer.fetch_metadata(Some(name), LOOK_UP)?;
            let led = metadata
                .topics()
                .iter()
                .flat_map(|topic| topic.partitions())
                .filter(|partition| partition.leader() >= 0)
                .count();
            if led >= wanted {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(TopicsError::NotCreated {
            name: name.to_owned(),
            error: "its partitions got no leader within 30 s".to_owned(),
        })
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(LOOK_UP)).request_timeout(Some(LOOK_UP))
    }
}
