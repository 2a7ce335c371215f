//! Starts that must be refused, and starts that must wait.
//!
//! Owns one row per refusal that can be provoked here: exit code 4, and the stable code in the log.
//! Unreachable is not refused: it waits, says so, and ends with 5.

use super::{
    ground::{Ground, Site, until},
    watch,
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
    config::FromClientConfig,
};
use std::time::Duration;
use tapline::codec::topics::{TOPICS, settings_of};

/// Starts a worker that must be refused with a code.
fn expect_refusal(site: &Site, number: usize, what: &str, settings: &[(&str, &str)], code: &str) {
    let mut worker = site.worker(number, settings);
    let status = worker.ends(Duration::from_secs(60));
    let exit = status.and_then(|status| status.code());
    assert_eq!(exit, Some(4), "{what}: exit code; the log ends:\n{}", worker.last_lines(5));
    let said = format!("\"error_code\":\"{code}\"");
    assert!(watch::log_says(&worker, &said), "{what}: {code} not in:\n{}", worker.last_lines(8));
}

fn admin(site: &Site) -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &site.config.kafka.bootstrap);
    AdminClient::from_config(&config).expect("an admin client")
}

/// Sets the commands topic to its declared settings with one of them changed.
fn alter(site: &Site, setting: &str, value: &str) {
    let topic = site.commands();
    let declared = settings_of(&TOPICS[0]);
    let mut config = AlterConfig::new(ResourceSpecifier::Topic(&topic));
    for (name, declared) in &declared {
        config = config.set(name, if *name == setting { value } else { declared });
    }
    let answers = site.ask(|_| async {
        admin(site).alter_configs([&config], &AdminOptions::new()).await.expect("asked")
    });
    assert!(answers.iter().all(Result::is_ok), "{setting}={value}: {answers:?}");
}

fn query(site: &Site, statement: &str) {
    let asked = site.ask(|session| async move { session.query_unpaged(statement, &[]).await });
    asked.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// Goal: a worker never touches what is not exactly its own. Method: one installation, looked at
/// with one thing wrong at a time; at last it must start with nothing wrong.
pub fn at_start(ground: &Ground) {
    let site = ground.site("refusals");
    let start = |number, what, settings: &[(&str, &str)], code| {
        expect_refusal(&site, number, what, settings, code);
    };
    start(1, "missing topics", &[("kafka.topic_prefix", "nowhere.")], "topic_missing");
    start(2, "wrong partition count", &[("kafka.partitions", "5")], "partition_count");
    start(3, "no committed offset", &[("kafka.group_prefix", "strangers.")], "no_start_point");
    start(4, "changed buckets", &[("runtime.buckets_per_partition", "8")], "config_invalid");
    start(5, "missing keyspace", &[("cassandra.keyspace", "nowhere")], "store_schema");

    alter(&site, "cleanup.policy", "compact");
    start(6, "compacted topic", &[], "cleanup_policy");
    alter(&site, "message.timestamp.type", "CreateTime");
    start(7, "producers' times", &[], "timestamp_type");
    alter(&site, "retention.ms", "3600000");
    start(8, "forgetful topic", &[], "retention_short");
    alter(&site, "", "");

    let table = format!("{}.authorisation_side", site.config.cassandra.keyspace);
    query(&site, &format!("ALTER TABLE {table} WITH default_time_to_live = 60"));
    start(9, "forgetful table", &[], "store_schema");
    query(&site, &format!("DROP TABLE {table}"));
    start(10, "missing table", &[], "store_schema");
    let table = format!("{}.authorisation_head", site.config.cassandra.keyspace);
    query(&site, &format!("DROP TABLE {table}"));
    let columns = "incarnation int, log_partition int, bucket int, key text, image blob";
    let key = "PRIMARY KEY ((incarnation, log_partition, bucket), key)";
    query(&site, &format!("CREATE TABLE {table} ({columns}, {key})"));
    start(11, "heads of an older build", &[], "store_schema");
    query(&site, &format!("DROP TABLE {table}"));
    site.install();

    let mut worker = site.worker(12, &[]);
    watch::await_ready(&site, std::slice::from_mut(&mut worker), 60);
    worker.stop(Duration::from_secs(20));

    // Made anew under the old name, with its state in the old keyspace.
    let topic = site.commands();
    let answers = site.ask(|_| async {
        admin(&site).delete_topics(&[&topic], &AdminOptions::new()).await.expect("asked")
    });
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    until("the topic is gone", 30, || {
        let gone = watch::is_missing(&site, &topic);
        if gone { Ok(()) } else { Err(topic.clone()) }
    });
    let prefix = site.config.kafka.topic_prefix.clone();
    let group = site.config.kafka.group_prefix.clone();
    let named = [("kafka.topic_prefix", prefix.as_str()), ("kafka.group_prefix", group.as_str())];
    ground.named("anew", &named).install();
    start(13, "topic made anew", &[], "cluster_changed");
}

/// Goal: a server that is away is waited for, not refused. Method: an address where nobody listens
/// and a short deadline, for each of the two.
pub fn unreachable(ground: &Ground) {
    let site = ground.named("unreachable", &[]);
    // One question to Kafka takes 5 s; the deadline must leave room for a second.
    for (number, setting, deadline, waits) in [
        (1, "kafka.bootstrap", "7s", "waiting for Kafka"),
        (2, "cassandra.contact", "3s", "waiting for Cassandra"),
    ] {
        let settings = [(setting, "127.0.0.1:1"), ("worker.start_deadline", deadline)];
        let mut worker = site.worker(number, &settings);
        let status = worker.ends(Duration::from_secs(40));
        let exit = status.and_then(|status| status.code());
        assert_eq!(exit, Some(5), "{setting}; the log ends:\n{}", worker.last_lines(5));
        for said in [waits, "did not answer before worker.start_deadline"] {
            assert!(watch::log_says(&worker, said), "{said:?} not in:\n{}", worker.last_lines(8));
        }
    }
}
