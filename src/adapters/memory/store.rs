//! The store twin: heads, side rows and read models, one cell each, the later write timestamp wins.
//!
//! Owns Cassandra's rule for cells and nothing else. Two different values under one timestamp can
//! only come from a step that is not deterministic: Cassandra would take the larger value in
//! silence, the twin panics.

use crate::runtime::ports::{Batch, RowWrite, Table};
use crate::stages::ReadRow;
use std::collections::BTreeMap;

/// Later than any clock until 2041, so that no accidental write wins over a row of ours.
pub const TIMESTAMP_FIRST_US: i64 = 1 << 51;

/// Where a bucket lies: (incarnation, partition, bucket).
pub type Place = (i32, i32, u32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub timestamp_us: i64,
    pub bytes: Vec<u8>,
}

type KeyAndItem = (Box<str>, Box<str>);

/// Versions of one item by position.
type Versions = BTreeMap<i64, Cell>;

#[derive(Clone, Default)]
pub struct MemoryStore {
    heads: BTreeMap<Place, BTreeMap<Box<str>, Cell>>,
    /// (key, item) -> pos -> version
    sides: BTreeMap<Place, BTreeMap<KeyAndItem, Versions>>,
    /// (incarnation, bucket) -> rows
    reads: BTreeMap<(i32, u32), BTreeMap<ReadRow, Cell>>,
    rules: BTreeMap<i32, Vec<u8>>,
}

impl MemoryStore {
    /// Writes a batch, each row with the timestamp of its stamp.
    pub fn write(&mut self, incarnation: i32, partition: i32, batch: &Batch) {
        for row in &batch.rows {
            let timestamp_us = TIMESTAMP_FIRST_US + batch.stamp(row);
            self.write_row((incarnation, partition, batch.bucket), batch.table, row, timestamp_us);
        }
    }

    /// Writes one row under a timestamp. Panics on another value under the same timestamp.
    pub fn write_row(&mut self, place: Place, table: Table, row: &RowWrite, timestamp_us: i64) {
        let cell = Cell { timestamp_us, bytes: row.bytes.to_vec() };
        let key = Box::from(row.key.as_ref());
        let item = row.item.clone().unwrap_or_default();
        match table {
            Table::Heads => put(self.heads.entry(place).or_default(), key, cell),
            Table::Sides => {
                let versions = self.sides.entry(place).or_default();
                put(versions.entry((key, item)).or_default(), row.pos, cell);
            }
            Table::Reads { period } => {
                let (incarnation, _, bucket) = place;
                let row = ReadRow { period, key, order: row.order, item };
                put(self.reads.entry((incarnation, bucket)).or_default(), row, cell);
            }
        }
    }

    /// Rows of a read model in one bucket, in order of period, key, order and item.
    pub fn reads(&self, incarnation: i32, bucket: u32) -> impl Iterator<Item = (&ReadRow, &Cell)> {
        self.reads.get(&(incarnation, bucket)).into_iter().flatten()
    }

    pub fn read(&self, incarnation: i32, bucket: u32, row: &ReadRow) -> Option<&Cell> {
        self.reads.get(&(incarnation, bucket))?.get(row)
    }

    /// The heads of one bucket, in key order.
    pub fn heads(&self, place: Place) -> impl Iterator<Item = (&str, &Cell)> {
        self.heads.get(&place).into_iter().flatten().map(|(key, cell)| (key.as_ref(), cell))
    }

    pub fn head(&self, place: Place, key: &str) -> Option<&Cell> {
        self.heads.get(&place)?.get(key)
    }

    /// The newest version of an item below `below`: its position and cell.
    pub fn side(&self, place: Place, key: &str, item: &str, below: i64) -> Option<(i64, &Cell)> {
        let versions = self.sides.get(&place)?.get(&(Box::from(key), Box::from(item)))?;
        versions.range(..below).next_back().map(|(pos, cell)| (*pos, cell))
    }

    /// Versions of rules are immutable: the first one stays.
    pub fn put_rules(&mut self, version: i32, bytes: &[u8]) {
        self.rules.entry(version).or_insert_with(|| bytes.to_vec());
    }

    pub fn rules(&self, version: i32) -> Option<&[u8]> {
        self.rules.get(&version).map(Vec::as_slice)
    }
}

fn put<K: Ord + std::fmt::Debug>(cells: &mut BTreeMap<K, Cell>, key: K, cell: Cell) {
    match cells.get_mut(&key) {
        Some(known) if known.timestamp_us == cell.timestamp_us => assert!(
            known.bytes == cell.bytes,
            "two values under one timestamp: {key:?} at {}",
            cell.timestamp_us - TIMESTAMP_FIRST_US
        ),
        Some(known) if known.timestamp_us > cell.timestamp_us => {}
        Some(known) => *known = cell,
        None => {
            cells.insert(key, cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(pos: i64, item: Option<&str>, bytes: &[u8]) -> Batch {
        let (table, row) = match item {
            None => (Table::Heads, RowWrite::head("a".into(), pos, bytes.into())),
            Some(item) => {
                (Table::Sides, RowWrite::side("a".into(), item.into(), pos, bytes.into()))
            }
        };
        Batch { seal: 0, through: pos, index: 0, table, bucket: 3, rows: vec![row] }
    }

    /// Goal: the later position wins whatever the order, repeats are no-ops, side versions are
    /// found below a position. Method: write late, early and again.
    #[test]
    fn later_wins() {
        let (mut store, place) = (MemoryStore::default(), (1, 0, 3));
        for (pos, bytes) in [(7, b"new"), (5, b"old"), (7, b"new")] {
            store.write(1, 0, &batch(pos, None, bytes));
            store.write(1, 0, &batch(pos, Some("p:1"), bytes));
        }
        assert_eq!(store.head(place, "a").map(|cell| cell.bytes.as_slice()), Some(&b"new"[..]));
        for (below, pos) in [(5, None), (6, Some(5)), (7, Some(5)), (8, Some(7))] {
            assert_eq!(store.side(place, "a", "p:1", below).map(|(pos, _)| pos), pos, "{below}");
        }
    }

    #[test]
    #[should_panic(expected = "two values under one timestamp")]
    fn two_values_under_one_timestamp() {
        let mut store = MemoryStore::default();
        store.write(1, 0, &batch(7, None, b"one"));
        store.write(1, 0, &batch(7, None, b"two"));
    }
}
