//! Evidence from running servers.
//!
//! Owns the order of reading, which makes a system judgeable while its workers tick on: committed
//! offsets, rows, commands to an end noted then, and later what came of them. So whatever a
//! commit promised is in the rows read after it, no row stands above the commands read, and every
//! command read has had time for its outputs. Reads only; joins no group.

use super::{
    evidence::{
        COMMANDS, Committed, DEAD_LETTERS, EVENTS, Evidence, FEED_ITEMS, FeedRow, Headers,
        Incarnation, OUTCOMES, PARTS, POSTINGS, Rec, Span, StoredRow, Topic, WINDOWS,
    },
    folder,
};
use futures_util::TryStreamExt;
use scylla::{
    client::session::Session,
    statement::{Consistency, unprepared::Statement},
};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tapline::adapters::{
    cassandra::{session, settings::CassandraSettings},
    kafka::{
        reader::{Reader, Span as Found},
        settings::KafkaSettings,
    },
};

const PAGE_ROWS: i32 = 2_000;

/// Rows that hold many heads.
const PAGE_SLOTS: i32 = 8;

/// A command's outputs are in the log well within this, or the pipeline is not at rest.
const SETTLING: Duration = Duration::from_secs(2);
/// Required by the settings; a reader joins no group.
const SESSION_TIMEOUT: Duration = Duration::from_secs(45);

pub struct Sources {
    pub kafka: String,
    pub kafka_properties: BTreeMap<String, String>,
    pub cassandra: Vec<String>,
    pub keyspace: String,
    pub topic_prefix: String,
    pub group: String,
    pub feed_group: String,
    pub push_group: String,
    pub journal: Option<PathBuf>,
    pub gateway_journal: Option<PathBuf>,
    pub all_replicas: bool,
}

/// Errors: what could not be read and why.
pub fn gather(sources: &Sources) -> Result<Evidence, String> {
    let reader = open(sources, &sources.group)?;
    let own = committed(&reader, sources, COMMANDS, &sources.group)?;
    let mut evidence = Evidence { committed: own, ..Evidence::default() };
    let has_feed = exists(&reader, sources, FEED_ITEMS);
    if has_feed {
        let of = |group, topic| committed(&open(sources, group)?, sources, topic, group);
        evidence.served.committed = of(&sources.feed_group, EVENTS)?;
        evidence.served.push_committed = of(&sources.push_group, FEED_ITEMS)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(rows(sources, has_feed, &mut evidence))?;
    for name in [COMMANDS, EVENTS, DEAD_LETTERS] {
        let topic = topic(&reader, sources, name, &mut evidence.spans)?;
        match name {
            COMMANDS => {
                evidence.commands = topic;
                std::thread::park_timeout(SETTLING);
            }
            EVENTS => evidence.events = topic,
            _ => evidence.dead_letters = topic,
        }
    }
    settlement(&reader, sources, &mut evidence)?;
    served(&reader, sources, &mut evidence)?;
    note_growth(&reader, sources, &mut evidence.spans)?;
    if let Some(path) = &sources.journal {
        evidence.journal = Some(folder::journal(path)?);
    }
    if let Some(path) = &sources.gateway_journal {
        evidence.served.requests = Some(folder::requests(path)?);
    }
    Ok(evidence)
}

fn kafka(sources: &Sources) -> KafkaSettings {
    let mut properties = sources.kafka_properties.clone();
    let security_protocol = properties.remove("security.protocol");
    KafkaSettings {
        bootstrap: sources.kafka.clone(),
        topic_prefix: sources.topic_prefix.clone(),
        group_prefix: String::new(),
        partitions: 1,
        replication_factor: 1,
        session_timeout: SESSION_TIMEOUT,
        instance_id: None,
        host: "auditor".to_owned(),
        security_protocol: security_protocol.unwrap_or("plaintext".to_owned()),
        sasl_mechanism: None,
        username: None,
        password: None,
        tls_ca_path: None,
        tls_certificate_path: None,
        tls_key_path: None,
        tls_key_password: None,
        linger: Duration::ZERO,
        compression: "none".to_owned(),
        properties,
        registry_ids_file: None,
    }
}

fn exists(reader: &Reader, sources: &Sources, name: &str) -> bool {
    let found = reader.partitions(&format!("{}{name}", sources.topic_prefix));
    !found.is_ok_and(|partitions| partitions.is_empty())
}

fn open(sources: &Sources, group: &str) -> Result<Reader, String> {
    let failed = |error| format!("kafka {}: {error}", sources.kafka);
    Reader::open(&kafka(sources), group).map_err(failed)
}

fn committed(
    reader: &Reader,
    sources: &Sources,
    name: &str,
    group: &str,
) -> Result<Vec<Committed>, String> {
    let topic = format!("{}{name}", sources.topic_prefix);
    let failed = |error| format!("{topic}, group {group}: {error}");
    let partitions = reader.partitions(&topic).map_err(failed)?;
    if partitions.is_empty() {
        return Err(format!("{topic} does not exist"));
    }
    let offsets = reader.committed(&topic, &partitions).map_err(failed)?;
    let known = partitions.iter().zip(offsets);
    Ok(known
        .filter_map(|(partition, offset)| {
            Some(Committed { partition: *partition, offset: offset? })
        })
        .collect())
}

/// The topics of settlement that exist, each after what its stage reads.
fn settlement(reader: &Reader, sources: &Sources, evidence: &mut Evidence) -> Result<(), String> {
    for name in [POSTINGS, PARTS, WINDOWS] {
        if !exists(reader, sources, name) {
            return Ok(());
        }
        std::thread::park_timeout(SETTLING);
        let topic = topic(reader, sources, name, &mut evidence.spans)?;
        match name {
            POSTINGS => evidence.postings = topic,
            PARTS => evidence.parts = topic,
            _ => evidence.windows = topic,
        }
    }
    Ok(())
}

/// What feed and push wrote, each after what its stage reads.
fn served(reader: &Reader, sources: &Sources, evidence: &mut Evidence) -> Result<(), String> {
    for name in [FEED_ITEMS, OUTCOMES] {
        if !exists(reader, sources, name) {
            return Ok(());
        }
        std::thread::park_timeout(SETTLING);
        let topic = topic(reader, sources, name, &mut evidence.spans)?;
        match name {
            FEED_ITEMS => evidence.served.items = topic,
            _ => evidence.served.outcomes = topic,
        }
    }
    Ok(())
}

fn note_growth(reader: &Reader, sources: &Sources, spans: &mut [Span]) -> Result<(), String> {
    let is_read = |span: &&mut Span| [COMMANDS, EVENTS, PARTS].contains(&&*span.topic);
    for span in spans.iter_mut().filter(is_read) {
        let full = format!("{}{}", sources.topic_prefix, span.topic);
        let now = reader.span(&full, span.partition).map_err(|error| format!("{full}: {error}"))?;
        span.grown_to = Some(now.end);
    }
    Ok(())
}

fn topic(
    reader: &Reader,
    sources: &Sources,
    name: &str,
    spans: &mut Vec<Span>,
) -> Result<Topic, String> {
    let full = format!("{}{name}", sources.topic_prefix);
    let failed = |error| format!("{full}: {error}");
    let found: Vec<Found> = reader.spans(&full).map_err(failed)?;
    if found.is_empty() {
        return Err(format!("{full} does not exist"));
    }
    spans.extend(found.iter().map(|span| Span {
        topic: name.to_owned(),
        partition: span.partition,
        start: span.start,
        end: span.end,
        grown_to: None,
    }));
    let mut topic = Topic::new();
    reader
        .read(&full, &found, |partition, raw| {
            topic.entry(partition).or_default().push(Rec {
                offset: raw.offset,
                timestamp_ms: raw.timestamp_ms,
                key: raw.key.map(Vec::into_boxed_slice),
                value: raw.value.map(Vec::into_boxed_slice),
                headers: Headers::pack(raw.headers.iter()),
            });
        })
        .map_err(failed)?;
    Ok(topic)
}

// ---------------------------------------------------------------------- tables

async fn rows(sources: &Sources, has_feed: bool, evidence: &mut Evidence) -> Result<(), String> {
    let settings = CassandraSettings {
        contact: sources.cassandra.clone(),
        keyspace: sources.keyspace.clone(),
        local_dc: None,
        username: None,
        password: None,
        tls: false,
        tls_ca_path: None,
        replication_factor: 1,
        in_flight: 32,
    };
    let session = session::connect(&settings).await.map_err(|error| error.to_string())?;
    let (keyspace, all) = (&sources.keyspace, sources.all_replicas);
    let prefix = &sources.topic_prefix;
    evidence.incarnation = incarnation(&session, keyspace, prefix, COMMANDS).await?;
    let bucket = "incarnation, log_partition, bucket";
    // Images and their times are two lists in the order of the keys.
    let heads =
        format!("SELECT {bucket}, writetime(images), images FROM {keyspace}.authorisation_head");
    type Slot = (i32, i32, i32, Option<Vec<i64>>, BTreeMap<String, Vec<u8>>);
    let take = |(incarnation, partition, bucket, times_us, images): Slot| {
        let mut times_us = times_us.unwrap_or_default().into_iter();
        evidence.heads.extend(images.into_iter().map(|(key, image)| StoredRow {
            incarnation,
            partition,
            bucket,
            key: key.into(),
            item: None,
            pos: None,
            written_at_us: times_us.next(),
            image: image.into(),
        }));
    };
    each(&session, heads, PAGE_SLOTS, all, take).await?;
    let sides = format!(
        "SELECT {bucket}, key, writetime(image), image, item, pos \
         FROM {keyspace}.authorisation_side"
    );
    type Side = (i32, i32, i32, String, Option<i64>, Vec<u8>, String, i64);
    let take = |(incarnation, partition, bucket, key, at_us, image, item, pos): Side| {
        evidence.sides.push(StoredRow {
            incarnation,
            partition,
            bucket,
            key: key.into(),
            item: Some(item.into()),
            pos: Some(pos),
            written_at_us: at_us,
            image: image.into(),
        });
    };
    each(&session, sides, PAGE_ROWS, all, take).await?;
    if !has_feed {
        return Ok(());
    }
    for name in [EVENTS, FEED_ITEMS] {
        let life = incarnation(&session, keyspace, prefix, name).await?;
        evidence.served.lives.extend(life);
    }
    evidence.served.rows = feed_rows(&session, keyspace, all).await?;
    Ok(())
}

async fn feed_rows(session: &Session, keyspace: &str, all: bool) -> Result<Vec<FeedRow>, String> {
    let mut rows = Vec::new();
    let query = format!(
        "SELECT incarnation, bucket, period, key, ordering, item, writetime(image), image \
         FROM {keyspace}.feed_item"
    );
    type Row = (i32, i32, i32, String, i64, String, Option<i64>, Vec<u8>);
    let take = |(incarnation, bucket, period, key, ordering, item, at_us, image): Row| {
        rows.push(FeedRow {
            incarnation,
            bucket,
            period,
            key: key.into(),
            ordering,
            item: item.into(),
            written_at_us: at_us,
            image: image.into(),
        });
    };
    each(session, query, PAGE_ROWS, all, take).await?;
    Ok(rows)
}

/// The newest life that is recorded of a topic.
async fn incarnation(
    session: &Session,
    keyspace: &str,
    prefix: &str,
    name: &str,
) -> Result<Option<Incarnation>, String> {
    let topic = format!("{prefix}{name}");
    let query = format!(
        "SELECT incarnation, topic, birth_id, partitions, buckets FROM {keyspace}.log_incarnation"
    );
    let mut newest: Option<Incarnation> = None;
    type Row = (i32, String, Option<String>, Option<i32>, Option<i32>);
    each(session, query, PAGE_ROWS, false, |(number, of, birth_id, partitions, buckets): Row| {
        if of == topic && newest.as_ref().is_none_or(|known| known.incarnation < number) {
            newest = Some(Incarnation {
                incarnation: number,
                topic: of,
                birth_id: birth_id.unwrap_or_default(),
                partitions: partitions.unwrap_or(0),
                buckets: buckets.unwrap_or(0),
            });
        }
    })
    .await?;
    Ok(newest)
}

async fn each<Row>(
    session: &Session,
    query: String,
    page_rows: i32,
    all_replicas: bool,
    mut take: impl FnMut(Row),
) -> Result<(), String>
where
    Row: for<'f, 'm> scylla::deserialize::row::DeserializeRow<'f, 'm> + 'static,
{
    let failed = |error: &dyn std::fmt::Display| format!("{query}: {error}");
    let mut statement = Statement::new(query.clone()).with_page_size(page_rows);
    if all_replicas {
        statement.set_consistency(Consistency::All);
    }
    let pager = session.query_iter(statement, &[]).await.map_err(|error| failed(&error))?;
    let mut rows = pager.rows_stream::<Row>().map_err(|error| failed(&error))?;
    while let Some(row) = rows.try_next().await.map_err(|error| failed(&error))? {
        take(row);
    }
    Ok(())
}
