//! Groups and times, asked from the side: who is in a group, which offset stands at a time.
//!
//! Owns the two look-ups that commands need beyond reading a log. Joins nothing, commits nothing.

use super::{client, client::Quiet, settings::KafkaSettings};
use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};
use std::time::Duration;

const LOOK_UP: Duration = Duration::from_secs(10);

/// A group as its coordinator knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Kafka's own word (`Stable`, `Empty`, ...); empty where there is no such group.
    pub state: String,
    /// Client ids of the members, ascending.
    pub members: Vec<String>,
}

pub fn group(settings: &KafkaSettings, name: &str) -> KafkaResult<Group> {
    let consumer = open(settings)?;
    // The list is answered by brokers that are connected; this connects to all of them.
    consumer.fetch_metadata(None, LOOK_UP)?;
    let list = consumer.fetch_group_list(Some(name), LOOK_UP)?;
    let Some(found) = list.groups().iter().find(|group| group.name() == name) else {
        return Ok(Group::default());
    };
    let mut members: Vec<String> =
        found.members().iter().map(|member| member.client_id().to_owned()).collect();
    members.sort_unstable();
    Ok(Group { state: found.state().to_owned(), members })
}

/// The first offset at or after a time, for each partition; `None`: every record is older.
pub fn offsets_at(
    settings: &KafkaSettings,
    topic: &str,
    partitions: &[i32],
    time_ms: i64,
) -> KafkaResult<Vec<Option<i64>>> {
    let consumer = open(settings)?;
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        asked.add_partition_offset(topic, *partition, Offset::Offset(time_ms))?;
    }
    let answered = consumer.offsets_for_times(asked, LOOK_UP)?;
    let of = |partition: &i32| match answered.find_partition(topic, *partition)?.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    };
    Ok(partitions.iter().map(of).collect())
}

fn open(settings: &KafkaSettings) -> KafkaResult<BaseConsumer<Quiet>> {
    let config = client::config(&settings.connection_properties("groups"));
    BaseConsumer::from_config_and_context(&config, Quiet)
}
