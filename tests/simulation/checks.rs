//! What must hold, whenever something becomes durable: the pipeline's invariants by name.
//!
//! Owns the comparison of the twins with the judge's fold. Each check runs at the moment of the
//! effect, so a violation is reported where it happens and not where it is noticed.

use super::judge::{Target, letter_id};
use super::simulated::{Simulated, Topics};
use super::world::{BUCKETS, INCARNATION, TOPICS, World};
use crate::adapters::memory::store::{Cell, TIMESTAMP_FIRST_US};
use crate::codec::{StageCodec, headers::SRC, partitioner::bucket_of};
use crate::runtime::ports::{Batch, Publish, Table};
use crate::stages::ReadRow;
use std::collections::BTreeMap;

/// A broken invariant: its name and what was found.
pub type Violation = (&'static str, String);

impl<S: Simulated> World<S> {
    /// Keeps the first violation.
    pub fn check(&mut self, holds: bool, name: &'static str, found: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            let found = found();
            self.note(&[99], || format!("VIOLATION {name}: {found}"));
            self.violation = Some((name, found));
        }
    }

    /// Folds everything that is in the log.
    pub fn judge(&mut self, number: i32) {
        let judge = &mut self.judges[number as usize];
        for record in self.log.read(TOPICS[1], number, judge.next, usize::MAX) {
            judge.fold(record);
            if let Some(key) = record.key_text()
                && judge.is_diverted(key)
            {
                self.diverted.insert(key.to_owned());
            }
        }
    }

    /// P3, P11: every copy is one of the fold's outputs, to the byte; first copies come in order.
    pub fn check_publish(&mut self, number: i32, target: Target, record: &Publish) {
        self.judge(number);
        let id = match target.0 {
            2 => letter_id(&record.headers),
            _ => record.headers.text(SRC).unwrap_or_default().to_owned(),
        };
        let judge = &mut self.judges[number as usize];
        let Some(place) = judge.by_id.get(&id).copied() else {
            return self.check(false, "P3 no output of the fold", || id);
        };
        let expected = &mut judge.expected[place];
        let equal = expected.target == target
            && expected.key == record.key
            && expected.value == record.value
            && expected.headers == record.headers;
        let first = !std::mem::replace(&mut expected.present, true);
        let place = expected.place;
        let told = match equal {
            true => String::new(),
            false => format!(
                "published {}, expected {}",
                S::told(record.value.as_deref()),
                S::told(expected.value.as_deref())
            ),
        };
        let name = if target.0 == 2 { "P11 dead letter" } else { "P3 copies are byte-equal" };
        self.check(equal, name, || format!("{id}: {told}"));
        if first {
            let next = self.next_copy.entry((number, target)).or_default();
            let in_order = *next == place;
            *next = place + 1;
            self.check(in_order, "P3 in order without a gap", || id);
        }
    }

    /// P2, P4: rows are the fold's, and come after their outputs and side rows.
    pub fn check_rows(&mut self, number: i32, batch: &Batch) {
        self.judge(number);
        if let Table::Reads { period } = batch.table {
            return self.check_read_rows(number, period, batch);
        }
        for row in &batch.rows {
            let (key, pos) = (row.key.as_ref().to_owned(), row.pos);
            let judge = &mut self.judges[number as usize];
            let read = judge.reads.get(&key).cloned().unwrap_or_default();
            let left = judge.left.get(&key).cloned().unwrap_or_default();
            if let Some(item) = &row.item {
                let known = left.iter().any(|version| {
                    (version.0, &version.1, &version.2) == (pos, item, &row.bytes.to_vec())
                });
                self.check(known, "P4 side row is the fold's", || format!("{key} {item} at {pos}"));
                continue;
            }
            let complete = judge.complete_through();
            let equal = judge.rows.get(&(key.clone(), pos)) == Some(&row.bytes.to_vec());
            self.check(equal, "P4 row is the fold's", || format!("p{number} {key} at {pos}"));
            let found = || format!("p{number} {key} at {pos}, outputs through {complete}");
            self.check(complete >= pos, "P2 outputs before state", found);
            let stamp = batch.stamp(row);
            let rows = &self.judges[number as usize].rows;
            let next = (pos + 1..=stamp).find(|at| rows.contains_key(&(key.clone(), *at)));
            let found = || format!("p{number} {key} at {pos}, next at {next:?}, stamped {stamp}");
            self.check(pos <= stamp && next.is_none(), "P4 row is as of its stamp", found);
            for (at, item, bytes) in left.iter().filter(|version| version.0 <= pos) {
                let stored = self.side_is_durable(number, &key, item, *at, bytes);
                let found = || format!("p{number} {key} at {pos}: {item} at {at}");
                self.check(stored, "P2 side rows before their head", found);
            }
            for (at, row, _) in read.iter().filter(|version| version.0 <= pos) {
                let found = || format!("p{number} {key} at {pos}: {row:?} at {at}");
                let stored = self.read_row_is_durable(row, *at, None);
                self.check(stored, "P2 read rows before their head", found);
            }
        }
    }

    /// P4: rows of the read model are outputs of the fold.
    fn check_read_rows(&mut self, number: i32, period: i32, batch: &Batch) {
        for row in &batch.rows {
            let (key, item) = (Box::from(&*row.key), row.item.clone().unwrap_or_default());
            let read = ReadRow { period, key, order: row.order, item };
            let mut known = self.judges[number as usize].reads.values().flatten();
            let known = known.any(|(pos, of, bytes)| {
                (*pos, of, bytes.as_slice()) == (row.pos, &read, row.bytes.as_ref())
            });
            self.check(known, "P4 read row is the fold's", || format!("{read:?} at {}", row.pos));
        }
    }

    /// A quorum has the row at `pos` or later; where `bytes` are named, exactly those.
    fn read_row_is_durable(&self, row: &ReadRow, pos: i64, bytes: Option<&[u8]>) -> bool {
        let bucket = bucket_of(row.key.as_bytes(), BUCKETS);
        let stored = self.replicas.iter().filter_map(|it| it.read(INCARNATION, bucket, row));
        let holds = |cell: &&Cell| match bytes {
            Some(bytes) => cell.bytes == bytes,
            None => cell.timestamp_us >= TIMESTAMP_FIRST_US + pos,
        };
        stored.filter(holds).count() >= self.quorum()
    }

    /// P1, P5: everything below a commit is durable, and a fresh tick stands at it.
    pub fn check_commit(&mut self, number: i32, offset: i64) {
        self.judge(number);
        let judge = &mut self.judges[number as usize];
        let fresh = judge.fresh_ticks.binary_search(&offset).is_ok();
        let complete = judge.complete_through();
        let rows: Vec<(String, i64)> = judge
            .touched
            .iter()
            .filter_map(|(key, at)| {
                let count = at.partition_point(|pos| *pos < offset);
                Some((key.clone(), *at.get(count.checked_sub(1)?)?))
            })
            .collect();
        let found = || format!("p{number}: {offset}, outputs through {complete}");
        self.check(complete >= offset - 1, "P1 outputs below a commit", found);
        for (key, pos) in rows {
            let durable = self.row_is_durable(number, &key, pos);
            let found = || format!("p{number}: {offset}, row {key} at {pos}");
            self.check(durable, "P1 rows below a commit", found);
        }
        let fits = fresh || !S::TICKS;
        self.check(fits, "P5 commit at a fresh tick", || format!("p{number}: {offset}"));
    }

    /// For a printed trace: the first row in memory that is not the fold's.
    pub fn check_memory(&mut self, place: usize) {
        let number = self.owners[place].number;
        self.judge(number);
        let partition = &self.owners[place].partition;
        let judge = &self.judges[number as usize];
        let wrong = partition.heads().keys().find_map(|key| {
            let in_memory = partition.heads().row(key)?;
            let mut bytes = Vec::new();
            judge.codec().encode_row(&in_memory, &mut bytes);
            let expected = judge.rows.get(&(key.to_string(), in_memory.pos))?;
            let row = judge.codec().decode_row(expected).ok()?;
            let found = || format!("{key}: {in_memory:?}\nexpected {row:?}");
            (*expected != bytes).then(found)
        });
        if let Some(wrong) = wrong {
            self.check(false, "P4 row in memory", || wrong);
        }
    }

    /// The sums of money are those of the heads, whatever was loaded, put back or taken over.
    fn check_money(&mut self) {
        for place in 0..self.owners.len() {
            let partition = &self.owners[place].partition;
            let mut counted = Vec::new();
            for key in partition.heads().keys() {
                let Some(row) = partition.heads().row(key) else { continue };
                S::money(key, &row.state, &mut |flow, currency, minor| {
                    counted.push((flow, currency, i128::from(minor)));
                });
            }
            let wrong = partition.money().sums().iter().find(|sum| {
                let of_sum = |it: &&(_, _, i128)| (it.0, it.1) == (sum.flow, sum.currency);
                counted.iter().filter(of_sum).map(|it| it.2).sum::<i128>() != sum.minor
            });
            let wrong = wrong.copied();
            self.check(wrong.is_none(), "sums of money are the heads'", || format!("{wrong:?}"));
        }
    }

    fn row_is_durable(&self, number: i32, key: &str, pos: i64) -> bool {
        let place = (INCARNATION, number, bucket_of(key.as_bytes(), BUCKETS));
        let holds = |bytes: &[u8]| {
            let row = self.judges[0].codec().decode_row(bytes);
            row.is_ok_and(|row| row.pos >= pos)
        };
        let stored = self.replicas.iter().filter_map(|replica| replica.head(place, key));
        stored.filter(|cell| holds(&cell.bytes)).count() >= self.quorum()
    }

    fn side_is_durable(&self, number: i32, key: &str, item: &str, pos: i64, bytes: &[u8]) -> bool {
        let place = (INCARNATION, number, bucket_of(key.as_bytes(), BUCKETS));
        let stored = self.replicas.iter().filter_map(|r| r.side(place, key, item, pos + 1));
        stored.filter(|(at, cell)| *at == pos && cell.bytes == bytes).count() >= self.quorum()
    }

    /// At rest: nothing is missing, every row is the fold's, every cent is accounted for.
    pub fn check_at_rest(&mut self) {
        for number in 0..self.partitions {
            self.judge(number);
            let judge = &mut self.judges[number as usize];
            let through = judge.complete_through();
            let missing = judge.expected.iter().find(|output| !output.present);
            let name = match missing {
                Some(output) if output.target.0 == 2 => "P11 dead letter missing",
                _ => "P3 output missing at rest",
            };
            let (all, letters) = (through == judge.next - 1, judge.letters);
            self.seen.recalled += judge.recalled;
            self.seen.letters += letters;
            let last = match S::TICKS {
                true => judge.fresh_ticks.last().copied().unwrap_or(0),
                false => judge.next,
            };
            let rows: Vec<(String, i64)> = judge
                .touched
                .iter()
                .filter_map(|(key, at)| Some((key.clone(), *at.last()?)))
                .collect();
            self.check(all, name, || format!("p{number} after {through}"));
            for (key, pos) in rows {
                let place = (INCARNATION, number, bucket_of(key.as_bytes(), BUCKETS));
                let cells = self.replicas.iter().filter_map(|replica| replica.head(place, &key));
                let expected = &self.judges[number as usize].rows[&(key.clone(), pos)];
                let right = cells.filter(|cell| cell.bytes == *expected).count() >= self.quorum();
                self.check(right, "P4 row at rest", || format!("p{number} {key} at {pos}"));
            }
            let mut newest: BTreeMap<ReadRow, Vec<u8>> = BTreeMap::new();
            for (_, row, bytes) in self.judges[number as usize].reads.values().flatten() {
                newest.insert(row.clone(), bytes.clone());
            }
            self.seen.reads += newest.len() as u64;
            for (row, bytes) in newest {
                let right = self.read_row_is_durable(&row, 0, Some(&bytes));
                self.check(right, "P4 read row at rest", || format!("p{number} {row:?}"));
            }
            // What landed last may be a former owner's: without a tick for everybody to commit at,
            // only the owner's own word tells.
            let owner = self.owner_of(number).filter(|_| !S::TICKS);
            let committed = match owner {
                Some(owner) => self.owners[owner].partition.committed(),
                None => self.committed[number as usize],
            };
            let held = letters > 0;
            let found = || format!("p{number}: {committed}, not {last}");
            self.check(held || committed == last, "P5 commit at rest", found);
        }
        let topics = Topics { log: &self.log, partitions: self.partitions };
        match S::audit(&topics, &self.diverted) {
            Ok(audited) => {
                self.seen.events += audited.events;
                self.seen.expired += audited.expired;
            }
            Err((name, found)) => self.check(false, name, || found),
        }
        self.check_money();
    }
}
