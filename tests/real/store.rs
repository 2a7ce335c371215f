//! The Cassandra adapter against a real server.
//!
//! Owns the rules that everything else rests on: write timestamps decide, a late or repeated write
//! is harmless, a whole bucket fits into one batch, side rows are read below a position.

use super::ground::Ground;
use std::sync::Arc;
use tapline::adapters::cassandra::store::{LogPartition, Store};
use tapline::adapters::cassandra::{session::Session, settings::CassandraSettings};
use tapline::codec::partitioner::{bucket_of, slot_of};
use tapline::runtime::ports::{Batch, RowWrite, SideRead, Table};

const LOG: LogPartition = LogPartition { incarnation: 99, partition: 0 };

struct Bench<'a> {
    store: &'a Store,
    bucket: u32,
}

impl Bench<'_> {
    async fn write(&self, rows: Vec<RowWrite>) {
        let is_side = rows.iter().any(|row| row.item.is_some());
        let table = if is_side { Table::Sides } else { Table::Heads };
        let through = rows.iter().map(|row| row.pos).max().unwrap_or_default();
        let batch = Batch { seal: 1, through, index: 0, table, bucket: self.bucket, rows };
        let failed = |error: &_| panic!("a write was not taken at once: {error}");
        self.store.write(LOG, &batch, failed).await.unwrap_or_else(|error| panic!("{error}"));
    }

    async fn head(&self, key: &str) -> Option<Vec<u8>> {
        self.store.load_head(LOG, self.bucket, key).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn side(&self, key: &str, below: i64) -> Option<(i64, Vec<u8>)> {
        let read = SideRead { below, bucket: self.bucket, key: key.into(), item: "item".into() };
        self.store.read_side(LOG, &read).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

fn head(key: &str, pos: i64, bytes: &[u8]) -> RowWrite {
    RowWrite::head(key.into(), pos, bytes.into())
}

/// Goal: the store keeps what the log says, whoever writes when. Method: writes of older, equal and
/// newer positions, writes and deletes by others without our timestamps, a batch of 1 MiB, side
/// rows on both sides of a position.
pub fn adapters(ground: &Ground) {
    let site = ground.site("store");
    let settings = &site.config.cassandra;
    let keyspace = &settings.keyspace;
    site.ask(|session| async move {
        let store = Store::open(Arc::clone(&session), settings, "authorisation")
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let bench = Bench { store: &store, bucket: bucket_of(b"key", 16) };

        assert_eq!(bench.head("key").await, None);
        for (pos, bytes, found) in [
            (10, b"ten", b"ten"),
            (5, b"fiv", b"ten"),
            (10, b"ten", b"ten"),
            (11, b"new", b"new"),
            (10, b"ten", b"new"),
        ] {
            bench.write(vec![head("key", pos, bytes)]).await;
            assert_eq!(bench.head("key").await.as_deref(), Some(&found[..]), "after {pos}");
        }
        let place = format!(
            "incarnation = 99 AND log_partition = 0 AND bucket = {} AND slot = {}",
            bench.bucket,
            slot_of(b"key")
        );
        for foreign in [
            format!("UPDATE {keyspace}.authorisation_head SET images['key'] = 0xff WHERE {place}"),
            format!("UPDATE {keyspace}.authorisation_head SET images = {{}} WHERE {place}"),
            format!("DELETE images['key'] FROM {keyspace}.authorisation_head WHERE {place}"),
            format!("DELETE FROM {keyspace}.authorisation_head WHERE {place}"),
        ] {
            session.query_unpaged(foreign.as_str(), &[]).await.unwrap_or_else(|e| panic!("{e}"));
            let kept = bench.head("key").await;
            assert_eq!(kept.as_deref(), Some(&b"new"[..]), "a write without ours wins: {foreign}");
        }

        let large: Vec<RowWrite> =
            (0..128).map(|i| head(&format!("large-{i}"), 20, &[7; 8 * 1024])).collect();
        let written: usize = large.iter().map(|row| row.bytes.len()).sum();
        assert_eq!(written, 1 << 20);
        bench.write(large).await;
        let (mut rows, mut bytes) = (0, 0);
        let take = |key: Box<str>, image: Vec<u8>| {
            if key.starts_with("large-") {
                (rows, bytes) = (rows + 1, bytes + image.len());
            }
        };
        store.load_heads(LOG, bench.bucket, take).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((rows, bytes), (128, 1 << 20), "the largest batch read back");

        for pos in [5, 9] {
            let bytes = pos.to_string().into_bytes();
            bench
                .write(vec![RowWrite::side("side".into(), "item".into(), pos, bytes.into())])
                .await;
        }
        for (below, found) in [(5, None), (6, Some(5)), (9, Some(5)), (10, Some(9)), (99, Some(9))]
        {
            let version = bench.side("side", below).await;
            assert_eq!(version.map(|(pos, _)| pos), found, "newest below {below}");
        }
        assert_eq!(bench.side("nobody", 99).await, None);
        read_rows(&session, settings).await;
    });
}

/// The newest version of a read model's row wins, rows of a key come highest order first.
async fn read_rows(session: &Arc<Session>, settings: &CassandraSettings) {
    let mut store = Store::open(Arc::clone(session), settings, "feed")
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let opened = store.open_reads(&settings.keyspace, "feed").await;
    opened.unwrap_or_else(|error| panic!("{error}"));
    for (order, pos, bytes) in [(1, 30, "old"), (2, 31, "two"), (1, 33, "one"), (1, 32, "mid")] {
        let item = Some("line".into());
        let bytes = bytes.as_bytes().into();
        let row = RowWrite { key: "reader".into(), item, order, pos, bytes };
        let table = Table::Reads { period: 24 };
        let batch = Batch { seal: 1, through: 99, index: 0, table, bucket: 3, rows: vec![row] };
        let failed = |error: &_| panic!("a write was not taken at once: {error}");
        store.write(LOG, &batch, failed).await.unwrap_or_else(|error| panic!("{error}"));
    }
    let statement = format!(
        "SELECT ordering, image FROM {}.feed_item \
         WHERE incarnation = 99 AND bucket = 3 AND period = 24 AND key = 'reader'",
        settings.keyspace
    );
    let answer = session.query_unpaged(statement, &[]).await.expect("a server that answers");
    let answer = answer.into_rows_result().expect("rows");
    let rows: Vec<(i64, Vec<u8>)> =
        answer.rows().expect("two columns").map(|row| row.expect("a row")).collect();
    assert_eq!(rows, [(2, b"two".to_vec()), (1, b"one".to_vec())]);
}
