//! Client configuration, and the client's own log lines as ours.

use rdkafka::{
    ClientConfig, ClientContext,
    client::Client,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
};
use std::{collections::BTreeMap, time::Duration};

pub fn config(properties: &BTreeMap<String, String>) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in properties {
        config.set(name, value);
    }
    config.set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Turns what the client says into log lines; never fails anything by itself.
#[derive(Clone, Copy, Default)]
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        report(&error, reason);
    }

    // The default parses a large JSON text on the polling thread.
    fn stats_raw(&self, _statistics: &[u8]) {}
}

impl ConsumerContext for Quiet {}

pub(super) fn log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "tapline::kafka", facility, text, "client message");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(target: "tapline::kafka", facility, text, "client message");
        }
    }
}

pub(super) fn report(error: &KafkaError, reason: &str) {
    tracing::warn!(target: "tapline::kafka", %error, reason, "client error; it reconnects by itself");
}

/// One real call: the cluster answers with its id. `None`: it did not within the time.
pub fn cluster_id(properties: &BTreeMap<String, String>, timeout: Duration) -> Option<String> {
    let consumer: BaseConsumer<Quiet> =
        BaseConsumer::from_config_and_context(&config(properties), Quiet).ok()?;
    let client: &Client<Quiet> = consumer.client();
    client.fetch_metadata(None, timeout).ok()?;
    client.fetch_cluster_id(timeout)
}

/// Version of the client library, for the build report.
pub fn library_version() -> String {
    rdkafka::util::get_rdkafka_version().1.to_owned()
}
