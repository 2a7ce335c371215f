//! Where outside crates live.
//!
//! Owns the table and its exceptions with their reasons. Knows no rule.

/// Where an outside crate may be named: files or folders below `src/`. A crate without a line here
/// has no home yet and fails. `*`: anywhere but in `domain` and `stages`, which have `std` and
/// `serde` alone.
pub const HOMES: &[(&str, &[&str])] = &[
    ("apache_avro", &["codec/", "bin/auditor/"]),
    ("axum", &["adapters/http/", "api/", "fake_gateway/"]),
    ("base64", &["adapters/gateways/", "fake_gateway/"]),
    ("backon", &["runtime/failure.rs"]),
    ("clap", &["bin/", "operator/", "load/", "console/", "fake_gateway/"]),
    ("clap_complete", &["operator/"]),
    ("clap_markdown", &["operator/"]),
    ("comfy_table", &["console/"]),
    ("csv", &["clearing/", "producer/"]),
    ("figment", &["config/"]),
    (
        "futures_util",
        &["adapters/", "api/", "operator/", "worker/", "load/", "fake_gateway/", "bin/auditor/"],
    ),
    ("hdrhistogram", &["load/"]),
    ("http", &["adapters/gateways/", "api/", "fake_gateway/"]),
    ("http_body_util", &["adapters/gateways/"]),
    ("hyper_rustls", &["adapters/gateways/"]),
    ("hyper_util", &["adapters/gateways/", "fake_gateway/"]),
    ("indicatif", &["console/"]),
    ("iso_currency", &["*"]),
    ("jiff", &["*"]),
    ("libc", &["stack/"]),
    ("metrics", &["runtime/telemetry.rs", "runtime/board.rs", "adapters/http/"]),
    ("metrics_exporter_prometheus", &["adapters/http/"]),
    ("metrics_process", &["adapters/http/"]),
    ("metrics_util", &["adapters/http/"]),
    ("mimalloc", &["bin/"]),
    ("p256", &["adapters/gateways/", "fake_gateway/"]),
    ("parquet", &["operator/export/"]),
    ("rand", &["producer/", "load/"]),
    ("rand_chacha", &["producer/", "load/"]),
    ("rand_distr", &["producer/", "load/"]),
    ("rdkafka", &["adapters/kafka/"]),
    ("ring", &["adapters/gateways/", "fake_gateway/"]),
    ("rustls", &["adapters/gateways/"]),
    ("rustls_pki_types", &["adapters/gateways/"]),
    ("scylla", &["adapters/cassandra/"]),
    ("serde", &["*", "domain/", "stages/"]),
    ("serde_json", &["*"]),
    ("sha2", &["*", "stages/settlement/", "stages/push/"]),
    ("thiserror", &["*"]),
    (
        "tokio",
        &["adapters/", "api/", "worker/", "operator/", "load/", "fake_gateway/", "bin/auditor/"],
    ),
    ("toml", &["codec/", "config/"]),
    ("tower_service", &["adapters/gateways/", "api/tests/"]),
    ("tracing", &["*"]),
    ("tracing_subscriber", &["logging.rs"]),
    ("ureq", &["load/"]),
    ("utoipa", &["api/"]),
    ("uuid", &["codec/", "operator/", "adapters/gateways/"]),
    ("web_push_native", &["adapters/gateways/", "fake_gateway/"]),
];

/// (file, crate, why).
pub const HOMES_EXCEPTED: &[(&str, &str, &str)] = &[
    ("operator/apply.rs", "rdkafka", "names the client's error once, for want of one of ours"),
    ("worker/mod.rs", "http", "means our own adapter of that name"),
    ("bin/auditor/live.rs", "scylla", "judges what is stored, so it asks without our store"),
];
