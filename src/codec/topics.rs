//! The topics: names, keys, schemas, who writes and who reads them.
//!
//! Owns the one table that `topics apply`, the start checks and the README's table are made from.
//! Names are lower case with dots and hyphens; an installation may put a prefix before them.

use crate::stages::Topic;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    pub topic: Topic,
    /// What a record's key names.
    pub key: &'static str,
    /// Subject of the value's schema; absent where values are other topics' bytes.
    pub schema: Option<&'static str>,
    pub max_message_bytes: i64,
    pub written_by: &'static [&'static str],
    pub read_by: &'static [&'static str],
    /// The stages that read it as their input.
    pub inputs_of: &'static [&'static str],
    /// Ticks stand among its records, so that its reader starts at one of them.
    pub has_ticks: bool,
}

pub const COMMANDS: Topic = Topic("payments.commands.v1");
pub const EVENTS: Topic = Topic("payments.events.v1");
pub const POSTINGS: Topic = Topic("ledger.postings.v1");
pub const PARTS: Topic = Topic("settlement.parts.v1");
pub const WINDOWS: Topic = Topic("settlement.windows.v1");
pub const FEED_ITEMS: Topic = Topic("feed.items.v1");
pub const PUSH_OUTCOMES: Topic = Topic("push.outcomes.v1");
pub const AUTHORISATION_DEAD_LETTERS: Topic = Topic("authorisation.dead-letters.v1");
pub const POSTING_DEAD_LETTERS: Topic = Topic("posting.dead-letters.v1");
pub const WINDOWS_DEAD_LETTERS: Topic = Topic("windows.dead-letters.v1");
pub const FEED_DEAD_LETTERS: Topic = Topic("feed.dead-letters.v1");
pub const PUSH_DEAD_LETTERS: Topic = Topic("push.dead-letters.v1");

/// Largest value we decode; a topic takes four times that, so that larger ones become dead letters
/// instead of vanishing at the producer.
const RECORD_BYTES_MAX: i64 = 262_144;

pub const TOPICS: &[TopicSpec] = &[
    TopicSpec {
        topic: COMMANDS,
        key: "account",
        schema: Some("payments.commands.v1"),
        max_message_bytes: RECORD_BYTES_MAX,
        written_by: &["edge", "authorisation (ticks, credits of transfers)", "operators"],
        read_by: &["authorisation"],
        inputs_of: &["authorisation"],
        has_ticks: true,
    },
    TopicSpec {
        topic: EVENTS,
        key: "account",
        schema: Some("payments.events.v1"),
        max_message_bytes: RECORD_BYTES_MAX,
        written_by: &["authorisation"],
        read_by: &["posting", "feed", "producer"],
        inputs_of: &["posting", "feed"],
        has_ticks: true,
    },
    TopicSpec {
        topic: POSTINGS,
        key: "account",
        schema: Some("ledger.postings.v1"),
        max_message_bytes: RECORD_BYTES_MAX,
        written_by: &["posting"],
        read_by: &["ledgers"],
        inputs_of: &[],
        has_ticks: false,
    },
    TopicSpec {
        topic: PARTS,
        key: "network and currency",
        schema: Some("settlement.parts.v1"),
        max_message_bytes: RECORD_BYTES_MAX,
        written_by: &["posting", "operators (reports, statements, resolutions)"],
        read_by: &["windows"],
        inputs_of: &["windows"],
        has_ticks: false,
    },
    TopicSpec {
        topic: WINDOWS,
        key: "network and currency",
        schema: Some("settlement.windows.v1"),
        max_message_bytes: RECORD_BYTES_MAX,
        written_by: &["windows"],
        read_by: &["ledgers", "operators"],
        inputs_of: &[],
        has_ticks: false,
    },
    TopicSpec {
        topic: FEED_ITEMS,
        key: "customer",
        schema: Some("feed.items.v1"),
        max_message_bytes: RECORD_BYTES_MAX,
        written_by: &["feed"],
        read_by: &["push", "the live feed"],
        inputs_of: &["push"],
        has_ticks: false,
    },
    TopicSpec {
        topic: PUSH_OUTCOMES,
        key: "customer",
        schema: Some("push.outcomes.v1"),
        max_message_bytes: RECORD_BYTES_MAX,
        written_by: &["push"],
        read_by: &["support"],
        inputs_of: &[],
        has_ticks: false,
    },
    dead_letters(AUTHORISATION_DEAD_LETTERS, &["authorisation"]),
    dead_letters(POSTING_DEAD_LETTERS, &["posting"]),
    dead_letters(WINDOWS_DEAD_LETTERS, &["windows"]),
    dead_letters(FEED_DEAD_LETTERS, &["feed"]),
    dead_letters(PUSH_DEAD_LETTERS, &["push"]),
];

/// A dead letter is the original value with its headers and ours.
const fn dead_letters(topic: Topic, written_by: &'static [&'static str]) -> TopicSpec {
    TopicSpec {
        topic,
        key: "as the source record",
        schema: None,
        max_message_bytes: 2 * RECORD_BYTES_MAX,
        written_by,
        read_by: &["operators"],
        inputs_of: &[],
        has_ticks: false,
    }
}

/// Every stage and its input, in the order of the pipeline.
pub fn inputs() -> impl Iterator<Item = (&'static str, &'static TopicSpec)> {
    TOPICS.iter().flat_map(|spec| spec.inputs_of.iter().map(move |stage| (*stage, spec)))
}

/// The dead-letter topic of a stage, without prefix.
pub fn dead_letters_of(stage: &str) -> String {
    format!("{stage}.dead-letters.v1")
}

/// What every topic is created with and checked against, apart from sizes and replication.
pub fn settings_of(spec: &TopicSpec) -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        ("max.message.bytes", spec.max_message_bytes.to_string()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names stay legal for Kafka's own metrics and each stage's dead letters have a topic.
    #[test]
    fn names() {
        for spec in TOPICS {
            let name = spec.topic.0;
            assert!(
                name.chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c)),
                "{name}"
            );
            for stage in spec.inputs_of {
                let letters = dead_letters_of(stage);
                assert!(TOPICS.iter().any(|other| other.topic.0 == letters), "{letters}");
            }
        }
    }
}
