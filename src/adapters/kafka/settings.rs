//! How the Kafka clients are set up: addresses, names, security, and the properties they get.
//!
//! Owns the mapping from our settings to client properties, with the ones that carry correctness.
//! Never opens a connection and never checks a value (`config` did). Invariant: what an operator
//! passes through is applied first and ours last, so no property of ours can be overridden.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::runtime::settings::Secret;

/// Properties that carry correctness, with the other names the client knows them by.
/// Whoever sets one through `kafka.properties` is refused at start.
pub const PROTECTED_PROPERTIES: &[&str] = &[
    "group.protocol",
    "partition.assignment.strategy",
    "enable.auto.commit",
    "auto.commit.enable",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "isolation.level",
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "partitioner",
    // A batch above the topic's max.message.bytes is refused whole, which ends the process.
    "batch.size",
    "transactional.id",
    // Hides successful acks; every checkpoint waits for one.
    "delivery.report.only.error",
];

/// Properties that a key of ours already sets, each with that key.
pub const OWNED_PROPERTIES: &[(&str, &str)] = &[
    ("bootstrap.servers", "kafka.bootstrap"),
    ("metadata.broker.list", "kafka.bootstrap"),
    ("group.id", "kafka.group_prefix"),
    ("group.instance.id", "kafka.instance_id"),
    ("client.id", "HOSTNAME"),
    ("session.timeout.ms", "kafka.session_timeout"),
    ("linger.ms", "kafka.linger"),
    ("queue.buffering.max.ms", "kafka.linger"),
    ("compression.type", "kafka.compression"),
    ("compression.codec", "kafka.compression"),
    ("security.protocol", "kafka.security_protocol"),
    ("sasl.mechanism", "kafka.sasl_mechanism"),
    ("sasl.mechanisms", "kafka.sasl_mechanism"),
    ("sasl.username", "kafka.username"),
    ("sasl.password", "kafka.password"),
    ("ssl.ca.location", "kafka.tls_ca_path"),
    ("ssl.certificate.location", "kafka.tls_certificate_path"),
    ("ssl.key.location", "kafka.tls_key_path"),
    ("ssl.key.password", "kafka.tls_key_password"),
];

/// The client's 10 s would outlast most restarts of a broker.
const RECONNECT_MS_MAX: &str = "1000";

/// Everything about Kafka that a deployment chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, separated by commas.
    pub bootstrap: String,
    pub topic_prefix: String,
    /// Group = prefix + stage.
    pub group_prefix: String,
    /// Of every topic; never changes for a live one.
    pub partitions: u32,
    /// Used when topics are created.
    pub replication_factor: u16,
    /// Already the longer one where `instance_id` is set.
    pub session_timeout: Duration,
    /// Static membership: a restart within the session timeout moves no partition.
    pub instance_id: Option<String>,
    /// Part of `client.id`, so that a broker's log says which pod it was.
    pub host: String,
    pub security_protocol: String,
    pub sasl_mechanism: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub tls_ca_path: Option<PathBuf>,
    pub tls_certificate_path: Option<PathBuf>,
    pub tls_key_path: Option<PathBuf>,
    pub tls_key_password: Option<Secret>,
    pub linger: Duration,
    pub compression: String,
    /// Passed through; holds neither a protected nor a secret property.
    pub properties: BTreeMap<String, String>,
    /// Registry ids of our own schemas, where producers write the Confluent frame.
    pub registry_ids_file: Option<PathBuf>,
}

impl KafkaSettings {
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.topic_prefix)
    }

    pub fn group(&self, stage: &str) -> String {
        format!("{}{stage}", self.group_prefix)
    }

    /// In-sync replicas that topics are created with: one may be down when there are three.
    pub fn min_insync_replicas(&self) -> u16 {
        if self.replication_factor >= 3 { self.replication_factor - 1 } else { 1 }
    }

    /// Addresses and security: enough for an admin client.
    pub fn connection_properties(&self, stage: &str) -> BTreeMap<String, String> {
        let mut properties = self.properties.clone();
        let mut set = |name: &str, value: &str| {
            properties.insert(name.to_owned(), value.to_owned());
        };
        set("bootstrap.servers", &self.bootstrap);
        set("client.id", &format!("tapline-{stage}-{}", self.host));
        set("security.protocol", &self.security_protocol);
        set("allow.auto.create.topics", "false");
        let path = |path: &Option<PathBuf>| path.as_ref().map(|it| it.display().to_string());
        let revealed = |secret: &Option<Secret>| secret.as_ref().map(|it| it.reveal().to_owned());
        for (name, value) in [
            ("sasl.mechanism", self.sasl_mechanism.clone()),
            ("sasl.username", self.username.clone()),
            ("sasl.password", revealed(&self.password)),
            ("ssl.ca.location", path(&self.tls_ca_path)),
            ("ssl.certificate.location", path(&self.tls_certificate_path)),
            ("ssl.key.location", path(&self.tls_key_path)),
            ("ssl.key.password", revealed(&self.tls_key_password)),
        ] {
            if let Some(value) = value {
                set(name, &value);
            }
        }
        properties
    }

    /// One consumer per stage. `classic` is set in words because the client's default will change,
    /// and its other protocol loses commits in the version that we link.
    pub fn consumer_properties(&self, stage: &str) -> BTreeMap<String, String> {
        let mut properties = self.connection_properties(stage);
        let session_ms = self.session_timeout.as_millis().to_string();
        for (name, value) in [
            ("group.id", self.group(stage).as_str()),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "range"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_committed"),
            ("session.timeout.ms", &session_ms),
        ] {
            properties.insert(name.to_owned(), value.to_owned());
        }
        // Worth having, not worth insisting on: an operator may tune these.
        for (name, value) in [
            ("check.crcs", "true"),
            ("fetch.min.bytes", "1"),
            ("fetch.queue.backoff.ms", "5"), // the client's 1000 makes gaps of a second
            ("queued.max.messages.kbytes", "8192"),
            ("max.poll.interval.ms", "60000"),
            ("heartbeat.interval.ms", "3000"),
            ("reconnect.backoff.max.ms", RECONNECT_MS_MAX),
            ("statistics.interval.ms", "10000"),
        ] {
            properties.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        if let Some(id) = &self.instance_id {
            // One process may run several stages, each a member of its own group.
            properties.insert("group.instance.id".to_owned(), format!("{id}-{stage}"));
        }
        properties
    }

    /// One producer per process. The gapless guarantee does not cover a message that times out,
    /// hence no time-out: a failed send ends the process instead.
    pub fn producer_properties(&self, stage: &str) -> BTreeMap<String, String> {
        let mut properties = self.connection_properties(stage);
        // The client takes fractions.
        let linger_ms = (self.linger.as_secs_f64() * 1e3).to_string();
        for (name, value) in [
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("enable.gapless.guarantee", "true"),
            ("message.timeout.ms", "0"),
            ("partitioner", "murmur2_random"),
            ("linger.ms", &linger_ms),
            ("compression.type", &self.compression),
        ] {
            properties.insert(name.to_owned(), value.to_owned());
        }
        for (name, value) in
            [("statistics.interval.ms", "10000"), ("reconnect.backoff.max.ms", RECONNECT_MS_MAX)]
        {
            properties.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        properties
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> KafkaSettings {
        KafkaSettings {
            bootstrap: "one:9092,two:9092".into(),
            topic_prefix: "test.".into(),
            group_prefix: "tapline.".into(),
            partitions: 12,
            replication_factor: 3,
            session_timeout: Duration::from_secs(45),
            instance_id: Some("pod-0".into()),
            host: "box".into(),
            security_protocol: "sasl_ssl".into(),
            sasl_mechanism: Some("SCRAM-SHA-512".into()),
            username: Some("worker".into()),
            password: Some(Secret::new("hunter2")),
            tls_ca_path: Some("/etc/ca.pem".into()),
            tls_certificate_path: None,
            tls_key_path: None,
            tls_key_password: None,
            linger: Duration::from_millis(1),
            compression: "none".into(),
            properties: BTreeMap::from([
                ("acks".to_owned(), "1".to_owned()), // config refuses it; ours must win all the same
                ("fetch.min.bytes".to_owned(), "100".to_owned()),
                ("socket.nagle.disable".to_owned(), "true".to_owned()),
            ]),
            registry_ids_file: None,
        }
    }

    /// Goal: the clients get the settings that the protocol rests on. Method: one line per property.
    #[test]
    fn clients_get_what_the_protocol_needs() {
        let settings = settings();
        let consumer = settings.consumer_properties("feed");
        let producer = settings.producer_properties("feed");
        for (side, properties, name, value) in [
            ("consumer", &consumer, "group.protocol", "classic"),
            ("consumer", &consumer, "partition.assignment.strategy", "range"),
            ("consumer", &consumer, "enable.auto.commit", "false"),
            ("consumer", &consumer, "enable.auto.offset.store", "false"),
            ("consumer", &consumer, "auto.offset.reset", "error"),
            ("consumer", &consumer, "isolation.level", "read_committed"),
            ("consumer", &consumer, "group.id", "tapline.feed"),
            ("consumer", &consumer, "group.instance.id", "pod-0-feed"),
            ("consumer", &consumer, "session.timeout.ms", "45000"),
            ("consumer", &consumer, "fetch.queue.backoff.ms", "5"),
            ("consumer", &consumer, "fetch.min.bytes", "100"),
            ("consumer", &consumer, "sasl.password", "hunter2"),
            ("producer", &producer, "acks", "all"),
            ("producer", &producer, "enable.idempotence", "true"),
            ("producer", &producer, "enable.gapless.guarantee", "true"),
            ("producer", &producer, "message.timeout.ms", "0"),
            ("producer", &producer, "partitioner", "murmur2_random"),
            ("producer", &producer, "linger.ms", "1"),
            ("producer", &producer, "client.id", "tapline-feed-box"),
            ("producer", &producer, "socket.nagle.disable", "true"),
            ("producer", &producer, "ssl.ca.location", "/etc/ca.pem"),
        ] {
            assert_eq!(properties.get(name).map(String::as_str), Some(value), "{side} {name}");
        }
        assert_eq!(settings.topic("payments.events.v1"), "test.payments.events.v1");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
