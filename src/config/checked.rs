//! The configuration as it is meant: typed, related key by key, given out in small structs.
//!
//! Owns the rules between keys. Never asks the outside: a topic's real settings and a server's are
//! the start checks' business. Invariant: a `Config` exists only if every rule here held.

use std::net::SocketAddr;
use std::time::Duration;

use super::error::ConfigError;
use super::gateways;
use super::raw::RawConfig;
use super::reader::Reader;
use super::reference::{self, Effective};
use crate::adapters::cassandra::settings::CassandraSettings;
use crate::adapters::gateways::settings::GatewaySettings;
use crate::adapters::kafka::settings::{KafkaSettings, OWNED_PROPERTIES, PROTECTED_PROPERTIES};
use crate::codec::{limits::Sizes, topics::FEED_ITEMS};
use crate::logging::{self, LogConfig, LogFormat};
use crate::runtime::dispatch::PushSettings;
use crate::runtime::settings::{FuseConfig, Profile, RuntimeConfig, STAGES, Secret};
use crate::stages::Topic;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    pub profile: Profile,
    /// In the order of the pipeline, each once.
    pub stages: Vec<&'static str>,
    /// How long unreachable servers are retried before exit 5.
    pub start_deadline: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    pub refresh_interval: Duration,
    pub gauge_idle: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushMode {
    /// Decides and records what would be sent, and sends nothing.
    Mute,
    Live,
}

/// The feed's read API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// Absent: no API.
    pub listen: Option<SocketAddr>,
    pub token: Option<Secret>,
    pub live_streams_max: usize,
    /// Of one customer.
    pub devices_max: usize,
}

/// Everything checked. A component gets its own part, never the whole. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub worker: WorkerConfig,
    pub kafka: KafkaSettings,
    pub cassandra: CassandraSettings,
    pub runtime: RuntimeConfig,
    pub http_listen: SocketAddr,
    pub api: ApiConfig,
    pub feed_buckets: u32,
    pub log: LogConfig,
    pub fuse: FuseConfig,
    pub limits: Sizes,
    /// How far back the topics must reach.
    pub replay_horizon: Duration,
    pub telemetry: TelemetryConfig,
    pub push: PushMode,
    /// Whom pushes go through. May be empty in mode live too: then no device can be told.
    pub gateways: GatewaySettings,
    pub push_settings: PushSettings,
    pub(super) effective: Vec<Effective>,
}

impl Config {
    /// The bucket count that is registered with an input topic and never changes: of its stage's
    /// heads, or of the read model where the topic is one.
    pub fn buckets_of(&self, topic: Topic) -> u32 {
        match topic {
            FEED_ITEMS => self.feed_buckets,
            _ => self.runtime.buckets_per_partition,
        }
    }
}

/// Reads every key and applies every rule; all problems come out together.
pub fn check(raw: &RawConfig, host: &str) -> Result<Config, ConfigError> {
    let mut read = Reader::new(raw);
    let profile = match read.choice("worker.profile") {
        Some("production") => Profile::Production,
        _ => Profile::Dev,
    };
    let checked = Config {
        worker: WorkerConfig {
            profile,
            stages: stages(&mut read),
            start_deadline: read.duration("worker.start_deadline"),
        },
        kafka: kafka(&mut read, profile, host),
        cassandra: cassandra(&mut read, profile),
        runtime: runtime(&mut read),
        http_listen: listen(&mut read, "http.listen"),
        api: api(&mut read, profile),
        feed_buckets: read.count("feed.buckets"),
        log: log(&mut read),
        fuse: fuse(&mut read),
        limits: limits(&mut read),
        replay_horizon: read.duration("replay.horizon"),
        telemetry: telemetry(&mut read),
        push: match read.choice("push.mode") {
            Some("live") => PushMode::Live,
            _ => PushMode::Mute,
        },
        gateways: gateways::check(&mut read, profile),
        push_settings: push(&mut read),
        effective: reference::effective(raw),
    };
    encryption(&mut read, &checked);
    read.finish(checked)
}

fn stages(read: &mut Reader) -> Vec<&'static str> {
    let mut chosen = Vec::new();
    for word in read.list("worker.stages") {
        let before = chosen.len();
        let is_meant = |stage: &str| match word.as_str() {
            "all" => true,
            "settlement" => stage == "posting" || stage == "windows",
            word => word == stage,
        };
        chosen.extend(STAGES.iter().copied().filter(|stage| is_meant(stage)));
        if chosen.len() == before {
            let cure = format!("write {}, settlement or all", STAGES.join(", "));
            read.wrong("worker.stages", &format!("has no stage {word:?}"), &cure);
        }
    }
    STAGES.iter().copied().filter(|stage| chosen.contains(stage)).collect()
}

fn kafka(read: &mut Reader, profile: Profile, host: &str) -> KafkaSettings {
    let instance_id = read.optional_text("kafka.instance_id");
    let timeouts = ["kafka.session_timeout", "kafka.session_timeout_static"]
        .map(|key| (key, read.duration(key)));
    let (session_key, session_timeout) = timeouts[usize::from(instance_id.is_some())];
    let settings = KafkaSettings {
        bootstrap: read.list("kafka.bootstrap").join(","),
        topic_prefix: read.text("kafka.topic_prefix"),
        group_prefix: read.text("kafka.group_prefix"),
        partitions: read.count("kafka.partitions"),
        replication_factor: read.count("kafka.replication_factor"),
        session_timeout,
        instance_id,
        host: host.to_owned(),
        security_protocol: read.choice("kafka.security_protocol").unwrap_or_default().to_owned(),
        sasl_mechanism: read.choice("kafka.sasl_mechanism").map(str::to_owned),
        username: read.optional_text("kafka.username"),
        password: read.secret("kafka.password"),
        tls_ca_path: read.path("kafka.tls_ca_path"),
        tls_certificate_path: read.path("kafka.tls_certificate_path"),
        tls_key_path: read.path("kafka.tls_key_path"),
        tls_key_password: read.secret("kafka.tls_key_password"),
        linger: read.short_duration("kafka.linger"),
        compression: read.choice("kafka.compression").unwrap_or_default().to_owned(),
        properties: read.map("kafka.properties"),
        registry_ids_file: read.path("kafka.registry_ids_file"),
    };
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if !settings.topic_prefix.chars().all(|it| is_plain(it) || it == '.' || it == '-') {
        let fault = "has a letter that topic names do not use";
        read.wrong("kafka.topic_prefix", fault, "use lower case, digits, dots and hyphens");
    }
    // Below 6 s brokers refuse; above the poll interval (60 s) the client does.
    if !(6..=60).contains(&settings.session_timeout.as_secs()) {
        read.wrong(session_key, "is outside what group membership allows", "write 6s to 60s");
    }
    if settings.linger > Duration::from_secs(1) {
        read.wrong("kafka.linger", "is longer than a second", "write 1ms, up to 20ms");
    }
    replicas(read, profile, "kafka.replication_factor", settings.replication_factor);
    sasl(read, &settings);
    for name in settings.properties.keys() {
        refuse_property(read, profile, name, &settings.properties[name]);
    }
    settings
}

fn sasl(read: &mut Reader, settings: &KafkaSettings) {
    let has_sasl = settings.security_protocol.starts_with("sasl_");
    for (key, is_set) in [
        ("kafka.sasl_mechanism", settings.sasl_mechanism.is_some()),
        ("kafka.username", settings.username.is_some()),
        ("kafka.password", settings.password.is_some()),
    ] {
        if has_sasl && !is_set {
            read.wrong(key, "is needed by kafka.security_protocol", "set it, or its _FILE form");
        } else if is_set && !has_sasl {
            let cure = "set kafka.security_protocol to sasl_ssl, or take it away";
            read.wrong(key, "would not be used without SASL", cure);
        }
    }
    if settings.tls_certificate_path.is_some() != settings.tls_key_path.is_some() {
        let fault = "is half of a pair with kafka.tls_key_path";
        read.wrong("kafka.tls_certificate_path", fault, "set both, or neither");
    }
}

/// What may not be passed through, each with its reason.
fn refuse_property(read: &mut Reader, profile: Profile, name: &str, value: &str) {
    let map = "kafka.properties";
    let owned = OWNED_PROPERTIES.iter().find(|(property, _)| *property == name);
    let names_secret = ["password", "secret", "pem"].iter().any(|word| name.contains(word));
    let weakens = matches!(
        (name, value),
        ("enable.ssl.certificate.verification", "false" | "0" | "f")
            | ("ssl.endpoint.identification.algorithm", "none")
    );
    if PROTECTED_PROPERTIES.contains(&name) {
        let fault = "carries correctness and cannot be changed";
        read.wrong_below(map, name, fault, "take it away");
    } else if let Some((_, key)) = owned {
        read.wrong_below(map, name, "has a key of its own", &format!("set {key} instead"));
    } else if names_secret {
        let cure = "use kafka.password, kafka.tls_key_password or kafka.tls_key_path";
        read.wrong_below(map, name, "would put a secret among plain settings", cure);
    } else if weakens && profile == Profile::Production {
        let fault = "turns off a check of certificates, which production needs";
        read.wrong_below(map, name, fault, "take it away and set kafka.tls_ca_path");
    }
}

fn cassandra(read: &mut Reader, profile: Profile) -> CassandraSettings {
    let settings = CassandraSettings {
        contact: read.list("cassandra.contact"),
        keyspace: read.text("cassandra.keyspace"),
        local_dc: read.optional_text("cassandra.local_dc"),
        username: read.optional_text("cassandra.username"),
        password: read.secret("cassandra.password"),
        tls: read.flag("cassandra.tls"),
        tls_ca_path: read.path("cassandra.tls_ca_path"),
        replication_factor: read.count("cassandra.replication_factor"),
        in_flight: read.count("cassandra.in_flight"),
    };
    let keyspace = settings.keyspace.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    let starts_well = keyspace.first().is_some_and(u8::is_ascii_lowercase);
    if !starts_well || keyspace.len() > 48 || !keyspace.iter().all(is_plain) {
        let cure = "use a lower case letter, then lower case, digits and underscores, 48 at most";
        read.wrong("cassandra.keyspace", "is not a keyspace name", cure);
    }
    if settings.username.is_some() != settings.password.is_some() {
        let fault = "is half of a pair with cassandra.password";
        read.wrong("cassandra.username", fault, "set both, or neither");
    }
    if settings.tls_ca_path.is_some() && !settings.tls {
        let fault = "would not be used without TLS";
        read.wrong("cassandra.tls_ca_path", fault, "set cassandra.tls to true");
    }
    replicas(read, profile, "cassandra.replication_factor", settings.replication_factor);
    settings
}

fn replicas(read: &mut Reader, profile: Profile, key: &str, replicas: u16) {
    if profile == Profile::Production && replicas < 3 {
        let fault = "loses acknowledged money with one server, and production is set";
        read.wrong(key, fault, "write 3, or set worker.profile to dev");
    }
}

fn encryption(read: &mut Reader, checked: &Config) {
    let allowed = read.flag("security.allow_plaintext");
    if checked.worker.profile != Profile::Production || allowed {
        return;
    }
    let fault = "sends plaintext, which production refuses";
    if checked.kafka.security_protocol.ends_with("plaintext") {
        let cure = "write ssl or sasl_ssl, or set security.allow_plaintext to true";
        read.wrong("kafka.security_protocol", fault, cure);
    }
    if !checked.cassandra.tls {
        let cure = "write true, or set security.allow_plaintext to true";
        read.wrong("cassandra.tls", fault, cure);
    }
}

fn runtime(read: &mut Reader) -> RuntimeConfig {
    let settings = RuntimeConfig {
        ticks: read.duration_or_off("runtime.ticks"),
        seal_interval: read.duration("runtime.seal_interval"),
        buckets_per_partition: read.count("runtime.buckets_per_partition"),
        inflight_records_max: read.count("runtime.inflight_records_max"),
        inflight_bytes_max: read.count("runtime.inflight_bytes_max"),
        uncommitted_records_max: read.count("runtime.uncommitted_records_max"),
        batch_records_max: read.count("runtime.batch_records_max"),
        batch_bytes_max: read.count("runtime.batch_bytes_max"),
        clock_skew_max: read.duration("runtime.clock_skew_max"),
    };
    if settings.batch_records_max > settings.inflight_records_max {
        let fault = "is above runtime.inflight_records_max and could never fill";
        read.wrong("runtime.batch_records_max", fault, "lower it");
    }
    if settings.seal_interval > Duration::from_secs(10) {
        let fault = "makes every takeover repeat more than ten seconds";
        read.wrong("runtime.seal_interval", fault, "write 100ms to 500ms");
    }
    if settings.ticks.is_some_and(|ticks| ticks > Duration::from_secs(60)) {
        let fault = "makes deadlines and commits more than a minute late";
        read.wrong("runtime.ticks", fault, "write 250ms, or off");
    }
    settings
}

fn listen(read: &mut Reader, key: &str) -> SocketAddr {
    read.text(key).trim().parse().unwrap_or_else(|_| {
        let cure = "write an address and a port, such as 0.0.0.0:9464 or [::]:9464";
        read.wrong(key, "is not an address", cure);
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn api(read: &mut Reader, profile: Profile) -> ApiConfig {
    let settings = ApiConfig {
        listen: match read.text("api.listen").trim() {
            "off" => None,
            _ => Some(listen(read, "api.listen")),
        },
        token: read.secret("api.token"),
        live_streams_max: read.count("api.live_streams_max"),
        devices_max: read.count("push.devices_max"),
    };
    let is_reachable = settings.listen.is_some_and(|listen| !listen.ip().is_loopback());
    if profile == Profile::Production && is_reachable && settings.token.is_none() {
        let fault = "is reached from elsewhere without a token, which production refuses";
        read.wrong("api.listen", fault, "set api.token, or write 127.0.0.1:8080 or off");
    }
    let is_short = |token: &Secret| token.reveal().len() < 16;
    if settings.token.as_ref().is_some_and(is_short) {
        read.wrong("api.token", "is shorter than 16 bytes", "write a longer one");
    }
    settings
}

fn log(read: &mut Reader) -> LogConfig {
    let level = read.text("log.level");
    if let Err(error) = logging::check_level(&level) {
        let cure = "write a level (error, warn, info, debug, trace) or target=level, ...";
        read.wrong("log.level", &format!("is not a filter ({error})"), cure);
    }
    let format = match read.choice("log.format") {
        Some("json") => LogFormat::Json,
        Some("text") => LogFormat::Text,
        _ => LogFormat::Auto,
    };
    LogConfig { format, level }
}

fn push(read: &mut Reader) -> PushSettings {
    let settings = PushSettings {
        age_max: read.duration("push.age_max"),
        in_flight_max: read.count("push.in_flight_max"),
        waiting_max: read.count("push.waiting_max"),
        rate_max: read.count("push.rate_max"),
        attempt_timeout: read.duration("push.attempt_timeout"),
        devices_max: read.count("push.devices_max"),
    };
    if settings.waiting_max < settings.in_flight_max {
        let fault = "is below push.in_flight_max, so that many could never be under way";
        read.wrong("push.waiting_max", fault, "raise it");
    }
    // A gateway's breaker judges after four seconds; a shorter time-out would only repeat.
    if !(1..=60).contains(&settings.attempt_timeout.as_secs()) {
        let fault = "is no time that a gateway can be given";
        read.wrong("push.attempt_timeout", fault, "write 1s to 60s");
    }
    if settings.age_max < settings.attempt_timeout {
        let fault = "is below push.attempt_timeout, so nothing could be tried twice";
        read.wrong("push.age_max", fault, "write 10m");
    }
    settings
}

fn fuse(read: &mut Reader) -> FuseConfig {
    let fuse = FuseConfig {
        max: read.count("dead_letters.fuse_max"),
        window: read.count("dead_letters.fuse_window"),
    };
    if fuse.max >= fuse.window {
        let fault = "is not below dead_letters.fuse_window, so the fuse could never blow";
        read.wrong("dead_letters.fuse_max", fault, "lower it");
    }
    fuse
}

fn limits(read: &mut Reader) -> Sizes {
    Sizes {
        key_bytes_max: read.count("limits.key_bytes_max"),
        value_bytes_max: read.count("limits.value_bytes_max"),
        headers_max: read.count("limits.headers_max"),
        headers_bytes_max: read.count("limits.headers_bytes_max"),
        string_bytes_max: read.count("limits.string_bytes_max"),
        list_entries_max: read.count("limits.list_entries_max"),
    }
}

fn telemetry(read: &mut Reader) -> TelemetryConfig {
    let telemetry = TelemetryConfig {
        refresh_interval: read.duration("telemetry.refresh_interval"),
        gauge_idle: read.duration("telemetry.gauge_idle"),
    };
    if telemetry.gauge_idle < telemetry.refresh_interval * 2 {
        let fault = "is shorter than two refreshes, so live gauges would come and go";
        read.wrong("telemetry.gauge_idle", fault, "write at least twice the refresh interval");
    }
    telemetry
}
