//! The table of settings: every key, its kind, its default and its meaning, in one place.
//!
//! Owns what may be written. The check for unknown keys, the defaults layer, the reference page
//! and the print-out are all made from this table, so they cannot disagree. Never says what a
//! value means beyond its kind: `checked` does. (A table, hence its length.)

/// How the text of a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text that often lives beside a password: it may come from a file, and prints as it is.
    Credential,
    /// May come from a file, never from a flag, and prints as `***`.
    Secret,
    /// `250ms`, `30s`, `5m`, `12h`, `90d`.
    Duration,
    /// A duration, or `off`.
    DurationOrOff,
    Count {
        min: u64,
        max: u64,
    },
    Flag,
    /// Words separated by commas, or a list in the file.
    List,
    Choice(&'static [&'static str]),
    /// Free keys below this one.
    Map,
}

/// One line of the table. `default: None` means not set.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub key: &'static str,
    pub kind: Kind,
    pub default: Option<&'static str>,
    /// Replaces `default` where `worker.profile` is `production`.
    pub in_production: Option<&'static str>,
    pub meaning: &'static str,
}

impl Setting {
    /// Whether `<key>_file` may name a file that holds the value.
    pub fn has_file_form(&self) -> bool {
        matches!(self.kind, Kind::Credential | Kind::Secret)
    }

    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    const fn production(self, default: &'static str) -> Setting {
        Setting { in_production: Some(default), ..self }
    }
}

/// The setting of a key, if there is one.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The environment variable of a key: `kafka.topic_prefix` is `TAPLINE_KAFKA__TOPIC_PREFIX`.
/// Dots within a passed-through property become single underscores.
pub fn environment_form(key: &str) -> String {
    let (group, rest) = key.split_once('.').unwrap_or((key, ""));
    let rest = match rest.split_once('.') {
        Some((map, name)) => format!("{map}__{}", name.replace('.', "_")),
        None => rest.to_owned(),
    };
    format!("TAPLINE_{group}__{rest}").to_uppercase()
}

const fn required(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { key, kind, default: Some(default), in_production: None, meaning }
}

const fn optional(key: &'static str, kind: Kind, meaning: &'static str) -> Setting {
    Setting { key, kind, default: None, in_production: None, meaning }
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

const MIB: u64 = 1 << 20;

#[rustfmt::skip] // one setting a line, or two where the meaning is long
pub const SETTINGS: &[Setting] = &[
    required("worker.profile", Kind::Choice(&["dev", "production"]), "dev", "`production` refuses plaintext and fewer than three replicas"),
    required("worker.stages", Kind::List, "authorisation", "stages to run: `authorisation`, `posting`, `windows`, `feed`, `push`; `settlement` is posting and windows, `all` is every one"),
    required("worker.start_deadline", Kind::Duration, "120s", "how long a start waits for Kafka and Cassandra before it gives up (exit 5)"),

    required("kafka.bootstrap", Kind::List, "127.0.0.1:9092", "brokers to ask first, `host:port`"),
    required("kafka.topic_prefix", Kind::Text, "", "put before every topic name; lower case, digits, dots and hyphens"),
    required("kafka.group_prefix", Kind::Text, "tapline.", "consumer group = prefix + stage"),
    required("kafka.partitions", count(1, 10_000), "12", "partitions of every topic; never changes for a live topic"),
    required("kafka.replication_factor", count(1, 9), "1", "replicas of a topic that we create").production("3"),
    required("kafka.session_timeout", Kind::Duration, "15s", "silence after which the group gives a worker's partitions away"),
    required("kafka.session_timeout_static", Kind::Duration, "45s", "the same where `kafka.instance_id` is set: longer than a restart takes"),
    optional("kafka.instance_id", Kind::Text, "static member id, such as the name of a StatefulSet's pod"),
    required("kafka.security_protocol", Kind::Choice(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]), "plaintext", "how brokers are spoken to"),
    optional("kafka.sasl_mechanism", Kind::Choice(&["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]), "needed with `sasl_ssl` and `sasl_plaintext`"),
    optional("kafka.username", Kind::Credential, "SASL user"),
    optional("kafka.password", Kind::Secret, "SASL password"),
    optional("kafka.tls_ca_path", Kind::Text, "file with the authority that signed the brokers' certificates"),
    optional("kafka.tls_certificate_path", Kind::Text, "file with our certificate, for mutual TLS"),
    optional("kafka.tls_key_path", Kind::Text, "file with the key of our certificate"),
    optional("kafka.tls_key_password", Kind::Secret, "password of that key"),
    required("kafka.linger", Kind::Duration, "1ms", "how long the producer gathers a batch; `5ms` to `20ms` where nobody waits for the answer; `1500us` is one and a half"),
    required("kafka.compression", Kind::Choice(&["none", "lz4", "gzip", "snappy"]), "none", "of what we produce"),
    optional("kafka.properties", Kind::Map, "any other client property, except those that carry correctness"),
    optional("kafka.registry_ids_file", Kind::Text, "JSON file with the registry ids of our own schemas, to read the Confluent frame"),

    required("cassandra.contact", Kind::List, "127.0.0.1:9042", "nodes to ask first, `host:port`"),
    required("cassandra.keyspace", Kind::Text, "tapline", "lower case, digits and underscores"),
    optional("cassandra.local_dc", Kind::Text, "data centre whose nodes are asked"),
    optional("cassandra.username", Kind::Credential, "user"),
    optional("cassandra.password", Kind::Secret, "password"),
    required("cassandra.tls", Kind::Flag, "false", "encrypt connections"),
    optional("cassandra.tls_ca_path", Kind::Text, "file with the authority that signed the nodes' certificates"),
    required("cassandra.replication_factor", count(1, 9), "1", "replicas of the keyspace; above 1, reads and writes are QUORUM").production("3"),
    required("cassandra.in_flight", count(1, 1024), "64", "requests in flight; 32 to 256 is a good range"),

    required("runtime.ticks", Kind::DurationOrOff, "250ms", "how often a clock record is written into each command partition; `off` where somebody else does"),
    required("runtime.seal_interval", Kind::Duration, "500ms", "pause between two checkpoints of changed state; answers do not wait for it, a takeover repeats what it covers"),
    required("runtime.buckets_per_partition", count(1, 4096), "16", "rows of the store over which a partition's keys spread; never changes for a live topic"),
    required("runtime.inflight_records_max", count(1, 10_000_000), "10000", "records of a partition fetched and not yet applied, before polling stops"),
    required("runtime.inflight_bytes_max", count(MIB, 1 << 36), "16777216", "the same in bytes"),
    required("runtime.uncommitted_records_max", count(1, 100_000_000), "200000", "records applied and not yet committed, before the input stops"),
    required("runtime.batch_records_max", count(1, 100_000), "500", "records applied in one go, before others get their turn"),
    required("runtime.batch_bytes_max", count(1 << 16, 16 * MIB), "1048576", "size at which a batch of rows for the store is split"),
    required("runtime.clock_skew_max", Kind::Duration, "60s", "no clock records are written while our clock and the broker's differ by more"),

    required("http.listen", Kind::Text, "0.0.0.0:9464", "address of `/metrics`, `/livez`, `/readyz`, `/startupz` and `/version`"),
    required("api.listen", Kind::Text, "127.0.0.1:8080", "address of the feed's read API and page, in a worker that runs `feed`; `off` for none"),
    optional("api.token", Kind::Secret, "bearer token that every question to the API must carry; without it a loopback address answers this machine alone, and `production` refuses any other"),
    required("api.live_streams_max", count(1, 65_536), "256", "streams of live items open at a time; more are told to come later"),
    required("feed.buckets", count(1, 65_536), "64", "rows of the store over which a month of all customers' items spreads; keep each below 100 MB; never changes for a live topic"),
    required("log.format", Kind::Choice(&["auto", "json", "text"]), "auto", "`auto` is text on a terminal, else JSON"),
    required("log.level", Kind::Text, "info", "a level, or directives such as `info,tapline::runtime=debug`"),

    required("dead_letters.fuse_max", count(0, 1_000_000), "20", "more dead letters than this within the window stop the partition"),
    required("dead_letters.fuse_window", count(1, 10_000_000), "1000", "consecutive records"),
    required("replay.horizon", Kind::Duration, "90d", "how far back a replay must reach; topics must keep at least this"),

    required("limits.key_bytes_max", count(1, 64), "64", "larger records are dead letters; a replay needs the limits of the live run"),
    required("limits.value_bytes_max", count(1024, 196_608), "65536", "of a record's value"),
    required("limits.headers_max", count(8, 256), "32", "headers of a record"),
    required("limits.headers_bytes_max", count(1024, 32_768), "8192", "of all headers of a record"),
    required("limits.string_bytes_max", count(64, 65_536), "1024", "of one string field"),
    required("limits.list_entries_max", count(1, 65_536), "256", "of one list field"),

    required("security.allow_plaintext", Kind::Flag, "false", "lets profile `production` run without TLS"),
    required("telemetry.refresh_interval", Kind::Duration, "5s", "how often gauges of partitions are set again"),
    required("telemetry.gauge_idle", Kind::Duration, "60s", "a gauge that nobody sets any more disappears after this"),
    required("push.devices_max", count(1, 1_000), "20", "devices that one customer may register"),
    required("push.mode", Kind::Choice(&["mute", "live"]), "mute", "`mute` decides and records, but sends nothing"),
    required("push.fcm_url", Kind::Text, "https://fcm.googleapis.com", "where FCM is"),
    optional("push.fcm_project", Kind::Text, "Firebase project id; FCM needs it and `push.fcm_credentials_path`"),
    optional("push.fcm_credentials_path", Kind::Text, "JSON key file of the service account that may send"),
    optional("push.fcm_token_url", Kind::Text, "where access tokens are asked for, instead of the key file's `token_uri`"),
    required("push.apns_url", Kind::Text, "https://api.push.apple.com", "where APNs is"),
    optional("push.apns_topic", Kind::Text, "bundle id of the program; APNs needs it and the three below"),
    optional("push.apns_key_path", Kind::Text, "`.p8` file with the signing key"),
    optional("push.apns_key_id", Kind::Text, "id of that key"),
    optional("push.apns_team_id", Kind::Text, "id of the team that owns it"),
    optional("push.web_push_key_path", Kind::Text, "VAPID key: P-256, PEM or base64url; web push needs it and `push.web_push_subject`"),
    optional("push.web_push_subject", Kind::Text, "`mailto:` or `https:` address at which push services may reach you"),
    required("push.web_push_hosts", Kind::List, "fcm.googleapis.com,updates.push.services.mozilla.com,.push.apple.com,.notify.windows.com", "push services that a subscription may name: `host`, `host:port` or `.below.this`"),
    optional("push.webhook_secrets", Kind::Secret, "`whsec_...`, several by comma while receivers change; each signs; webhooks need it and `push.webhook_hosts`"),
    optional("push.webhook_hosts", Kind::List, "receivers that a device may name: `host`, `host:port` or `.below.this`"),
    required("push.age_max", Kind::Duration, "10m", "a push that is older since its command is dropped and counted"),
    required("push.in_flight_max", count(1, 65_536), "256", "requests under way at once at the store, and at each gateway"),
    required("push.waiting_max", count(100, 10_000_000), "50000", "pushes in memory at which input stops"),
    required("push.rate_max", count(1, 1_000_000), "2000", "requests in a second at each gateway"),
    required("push.attempt_timeout", Kind::Duration, "10s", "after this a request at a gateway counts as unanswered"),
];
