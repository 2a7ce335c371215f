//! Stored rows (P4): what Cassandra holds equals the fold at the position that the row names.
//!
//! Owns reading row images and comparing them. A row is compared when the fold stands at its
//! position, so a row that lags behind (not yet sealed, above the committed offset) is judged by
//! what was true there, and one that lags below a committed offset is a breach.

use super::{
    accounts::{Account, Balances, Counters, Totals},
    avro::{self, Doc, Fields, HEAD, SIDE, get, long, record, text},
    card_numbers,
    evidence::{Evidence, StoredRow},
    identity::{TIMESTAMP_BASE_US, bucket_of, partition_of},
    verdict::{Invariant, Place, Verdict},
};
use apache_avro::types::Value;
use std::collections::{BTreeMap, HashMap};

/// The rows of one partition, by the position that they stand at.
pub struct Rows<'a> {
    partition: i32,
    heads: BTreeMap<i64, Vec<&'a StoredRow>>,
    sides: BTreeMap<i64, Vec<&'a StoredRow>>,
    /// Heads by their write timestamp's position, each with its own.
    stamped: BTreeMap<i64, Vec<(&'a StoredRow, i64)>>,
    /// Newest side row of each item, by key and item.
    newest: HashMap<(&'a str, &'a str), &'a StoredRow>,
    pub positions: HashMap<&'a str, i64>,
}

impl<'a> Rows<'a> {
    /// `heads`, `sides`: of all partitions.
    pub fn of(
        partition: i32,
        heads: &'a [StoredRow],
        sides: &'a [StoredRow],
        verdict: &mut Verdict,
    ) -> Self {
        let mut rows = Rows {
            partition,
            heads: BTreeMap::new(),
            sides: BTreeMap::new(),
            stamped: BTreeMap::new(),
            newest: HashMap::new(),
            positions: HashMap::new(),
        };
        for row in heads.iter().filter(|row| row.partition == partition) {
            verdict.seen.heads += 1;
            let pos = avro::read(HEAD, &row.image).ok().and_then(|doc| long(&doc.fields, "pos"));
            let Some(pos) = pos else {
                rows.unreadable(row, verdict);
                continue;
            };
            rows.stamped(row, pos, verdict);
            rows.heads.entry(pos).or_default().push(row);
            rows.positions.insert(&row.key, pos);
        }
        for row in sides.iter().filter(|row| row.partition == partition) {
            verdict.seen.sides += 1;
            let pos = row.pos.unwrap_or(-1);
            rows.written(row, pos, verdict);
            rows.sides.entry(pos).or_default().push(row);
            let item = row.item.as_deref().unwrap_or_default();
            let newest = rows.newest.entry((&row.key, item)).or_insert(row);
            if newest.pos < row.pos {
                *newest = row;
            }
        }
        rows
    }

    fn place(&self, offset: i64) -> Place {
        Place { offset, partition: self.partition }
    }

    fn unreadable(&self, row: &StoredRow, verdict: &mut Verdict) {
        let (place, id) = (self.place(i64::MAX), name(row));
        verdict.breach(Invariant::P4, place, id, "a row of a known schema", "unreadable bytes");
    }

    /// The write timestamp is a position: that is what keeps a late writer harmless. A side row's is
    /// its own.
    fn written(&self, row: &StoredRow, pos: i64, verdict: &mut Verdict) {
        if let Some(at_us) = row.written_at_us {
            let expected = TIMESTAMP_BASE_US + pos;
            let at = (self.place(pos), &*name(row));
            verdict.same(Invariant::P4, at, "write timestamp", (expected, at_us));
        }
    }

    /// A head's write timestamp is a position up to which it is its key's state: its own or a later
    /// one, with no record of the key between, or an older state could win over a newer one.
    fn stamped(&mut self, row: &'a StoredRow, pos: i64, verdict: &mut Verdict) {
        let Some(at_us) = row.written_at_us else { return };
        let stamp = at_us - TIMESTAMP_BASE_US;
        if stamp < pos {
            let expected = format!("write timestamp {} or later", TIMESTAMP_BASE_US + pos);
            verdict.breach(Invariant::P4, self.place(pos), name(row), expected, at_us.to_string());
        }
        self.stamped.entry(stamp).or_default().push((row, pos));
    }

    /// Compares the rows that stand at this position with the accounts as they are now.
    /// `may_stand`: whether a row of that key can stand at this record.
    pub fn compare(
        &mut self,
        offset: i64,
        accounts: &HashMap<Box<str>, Account>,
        may_stand: impl Fn(&str) -> bool,
        verdict: &mut Verdict,
    ) {
        let place = self.place(offset);
        for row in self.heads.remove(&offset).unwrap_or_default() {
            verdict.checked(Invariant::P4);
            let doc = avro::read(HEAD, &row.image).ok();
            let account = accounts.get(&row.key).filter(|_| may_stand(&row.key));
            let (Some(doc), Some(account)) = (doc, account) else {
                let found = format!("position {offset}, where another record stands");
                verdict.breach(Invariant::P4, place, name(row), "a record of this key", found);
                continue;
            };
            no_card_number(&doc, row, place, verdict);
            let found = self.head_difference(row, &doc.fields, account, offset);
            if let Some((expected, found)) = found {
                verdict.breach(Invariant::P4, place, name(row), expected, found);
            }
        }
        for (row, pos) in self.stamps_through(offset) {
            let doc = avro::read(HEAD, &row.image).ok();
            let Some((doc, account)) = doc.zip(accounts.get(&row.key)) else { continue };
            if self.head_difference(row, &doc.fields, account, pos).is_some() {
                let found = format!("another state at {offset}, its write timestamp");
                let expected = format!("the state of position {pos}");
                verdict.breach(Invariant::P4, place, name(row), expected, found);
            }
        }
        for row in self.sides.remove(&offset).unwrap_or_default() {
            verdict.checked(Invariant::P4);
            let doc = avro::read(SIDE, &row.image).ok();
            let account = accounts.get(&row.key);
            let (Some(doc), Some(account)) = (doc, account) else {
                verdict.breach(
                    Invariant::P4,
                    place,
                    name(row),
                    "a known account",
                    "none, or no row",
                );
                continue;
            };
            no_card_number(&doc, row, place, verdict);
            if let Some((expected, found)) = side_difference(row, &doc, account) {
                verdict.breach(Invariant::P4, place, name(row), expected, found);
            }
        }
    }

    /// Heads whose timestamp the fold has come to, but for those that were compared there already.
    fn stamps_through(&mut self, offset: i64) -> Vec<(&'a StoredRow, i64)> {
        let later = self.stamped.split_off(&(offset + 1));
        let due = std::mem::replace(&mut self.stamped, later);
        let due =
            due.into_iter().flat_map(|(stamp, rows)| rows.into_iter().map(move |it| (stamp, it)));
        due.filter(|(stamp, (_, pos))| stamp > pos).map(|(_, row)| row).collect()
    }

    fn head_difference(
        &self,
        row: &StoredRow,
        fields: &Fields,
        account: &Account,
        offset: i64,
    ) -> Option<(String, String)> {
        let state = record(fields, "state")?;
        let standing = record(state, "standing")?;
        let totals = record(standing, "totals")?;
        let status = if account.status.is_empty() { "unopened" } else { &account.status };
        let chain = match get(fields, "chain") {
            Some(Value::Fixed(_, bytes)) => bytes.clone(),
            _ => Vec::new(),
        };
        let minor = |name| long(totals, name).unwrap_or(0).into();
        let stored_totals = Totals {
            given_back: minor("given_back_minor"),
            credited: minor("credited_minor"),
            debited: minor("debited_minor"),
        };
        let balances = Balances {
            currency: account.currency.clone().unwrap_or_default(),
            booked: account.booked,
            held: account.held,
            limit: account.limit,
        };
        differs("balances", &balances, &Balances::read(standing))
            .or_else(|| differs("status", &status, &text(standing, "status").unwrap_or("")))
            .or_else(|| differs("seq", &Some(account.seq), &long(fields, "seq")))
            .or_else(|| differs("chain", &account.chain.to_vec(), &chain))
            .or_else(|| differs("totals", &account.totals, &stored_totals))
            .or_else(|| {
                let stored = long(fields, "diverted_through");
                differs("diverted through", &account.diverted_through, &stored)
            })
            .or_else(|| self.payments_difference(row, state, account, offset))
    }

    /// Every payment of the account is in the head, or in a side row that is as new.
    fn payments_difference(
        &self,
        row: &StoredRow,
        state: &Fields,
        account: &Account,
        offset: i64,
    ) -> Option<(String, String)> {
        let empty = HashMap::new();
        let items = match get(state, "items") {
            Some(Value::Map(items)) => items,
            _ => &empty,
        };
        let mut names: Vec<&Box<str>> = account.payments.keys().collect();
        names.sort_unstable();
        for payment_id in names {
            let item = format!("p:{payment_id}");
            let counters = account.payments[payment_id].counters;
            let stored = match items.get(&item) {
                Some(value) => counters_in(value),
                None => self.side_counters(&row.key, &item, offset),
            };
            let found = differs(&format!("counters of {payment_id}"), &Some(counters), &stored);
            if found.is_some() {
                return found;
            }
        }
        let held = items.values().filter_map(counters_in).map(|counters| counters.hold()).sum();
        differs("sum of holds in the row", &account.held, &held)
    }

    /// Of the newest side row, which the caller's comparison by position has judged or will judge.
    fn side_counters(&self, key: &str, item: &str, offset: i64) -> Option<Counters> {
        let row = self.newest.get(&(key, item)).filter(|row| row.pos <= Some(offset))?;
        let doc = avro::read(SIDE, &row.image).ok()?;
        counters_in(get(&doc.fields, "item")?)
    }

    /// Rows at positions where no record stands.
    pub fn left_over(self, verdict: &mut Verdict) {
        for (pos, row) in self
            .heads
            .iter()
            .chain(&self.sides)
            .flat_map(|(pos, rows)| rows.iter().map(move |row| (*pos, *row)))
        {
            let found = format!("position {pos}");
            let expected = "the position of a record of this key";
            verdict.breach(Invariant::P4, self.place(pos), name(row), expected, found);
        }
        for (stamp, rows) in &self.stamped {
            for (row, pos) in rows {
                let found = format!("write timestamp of {stamp}");
                let expected = "that of a position of the log";
                verdict.breach(Invariant::P4, self.place(*pos), name(row), expected, found);
            }
        }
    }
}

pub fn name(row: &StoredRow) -> String {
    match &row.item {
        Some(item) => format!("side {} {item}", row.key),
        None => format!("head {}", row.key),
    }
}

fn counters_in(item: &Value) -> Option<Counters> {
    record(avro::as_record(item)?, "counters").map(Counters::read)
}

fn side_difference(row: &StoredRow, doc: &Doc, account: &Account) -> Option<(String, String)> {
    let payment_id = row.item.as_deref()?.strip_prefix("p:")?;
    let stored = counters_in(get(&doc.fields, "item")?)?;
    let payment = account.payments.get(payment_id);
    let counters = payment.map(|payment| payment.counters).unwrap_or_default();
    differs(&format!("counters of {payment_id}"), &counters, &stored)
}

fn differs<T: PartialEq + std::fmt::Debug + ?Sized>(
    what: &str,
    expected: &T,
    found: &T,
) -> Option<(String, String)> {
    (expected != found).then(|| (format!("{what} {expected:?}"), format!("{what} {found:?}")))
}

/// P14 in what is stored.
fn no_card_number(doc: &Doc, row: &StoredRow, place: Place, verdict: &mut Verdict) {
    verdict.checked(Invariant::P14);
    for (name, value) in &doc.fields {
        avro::strings(name, value, &mut |field, text| {
            if card_numbers::find(text).is_some() {
                let found = format!("one in the field {field}");
                verdict.breach(Invariant::P14, place, self::name(row), "no card number", found);
            }
        });
    }
}

/// The rows of nobody's partition, and those in a wrong bucket (P7).
pub fn homes(evidence: &Evidence, verdict: &mut Verdict) {
    for row in evidence.heads.iter().chain(&evidence.sides) {
        let place = Place { offset: i64::MAX, partition: row.partition };
        let (at, key) = ((place, &*name(row)), row.key.as_bytes());
        let home = partition_of(key, evidence.partitions());
        verdict.same(Invariant::P7, at, "partition", (home, row.partition));
        if let Some(known) = &evidence.incarnation {
            let bucket = bucket_of(&row.key, known.buckets);
            verdict.same(Invariant::P7, at, "bucket", (bucket, row.bucket));
            let number = known.incarnation;
            verdict.same(Invariant::P7, at, "incarnation", (number, row.incarnation));
        }
    }
}
