//! Rows of the feed's read model against the items (P9): the newest version of each line, and no
//! row more.
//!
//! Owns where a row must stand and which bytes it must hold. A row may lag behind only for what
//! stands at or above the offset that the feed committed before the rows were read.

use super::{
    avro::long,
    evidence::{EVENTS, Evidence, FEED_ITEMS, FeedRow},
    feed::Lines,
    identity::{TIMESTAMP_BASE_US, bucket_of},
    taken::Taken,
    verdict::{Invariant, Place, Verdict},
};
use std::collections::{BTreeMap, HashMap};

/// Of the rows that say which accounts a customer has.
const HOLDINGS_PERIOD: i32 = -1;
/// Of what stands in no log.
const NOWHERE: Place = Place { offset: i64::MAX, partition: 0 };

pub fn judge(evidence: &Evidence, lines: &Lines, verdict: &mut Verdict) {
    let mut rows: BTreeMap<(&str, &str), Vec<&FeedRow>> = BTreeMap::new();
    let life = evidence.served.life(EVENTS).map(|life| life.incarnation);
    for row in &evidence.served.rows {
        // Of a former life of the events: of no customer's concern any more.
        if life.is_none_or(|number| number == row.incarnation) {
            rows.entry((&row.key, &row.item)).or_default().push(row);
        }
    }
    verdict.seen.feed_rows = rows.len() as u64;
    for ((customer, line), versions) in lines {
        let own = rows.remove(&(customer.as_str(), line.as_str())).unwrap_or_default();
        let (first, others) = match own.split_first() {
            Some((first, others)) => (Some(*first), others),
            None => (None, &own[..]),
        };
        let name = format!("row {customer} {line}");
        verdict.checked(Invariant::P9);
        for other in others {
            let found = format!("another at {}:{}", other.period, other.ordering);
            verdict.breach(Invariant::P9, NOWHERE, &*name, "one row of a line", found);
        }
        newest(evidence, &name, versions, first, verdict);
    }
    for ((customer, line), _) in rows {
        let name = format!("row {customer} {line}");
        let expected = "no row: the customer was never shown it";
        verdict.breach(Invariant::P9, NOWHERE, name, expected, "a row");
    }
    buckets(evidence, verdict);
}

/// `versions`: oldest first, at least one.
fn newest(
    evidence: &Evidence,
    name: &str,
    versions: &[&Taken],
    row: Option<&FeedRow>,
    verdict: &mut Verdict,
) {
    let Some(last) = versions.last() else { return };
    let durable = versions.iter().rposition(|item| is_durable(evidence, item));
    let Some(row) = row else {
        if durable.is_some() {
            let expected = format!("the row of {}", last.id);
            verdict.breach(Invariant::P9, last.place(), name, expected, "no row");
        }
        return;
    };
    let allowed = &versions[durable.unwrap_or(0)..];
    let holds = |item: &&&Taken| item.record.value.as_deref() == Some(&*row.image);
    let Some(item) = allowed.iter().rev().find(holds) else {
        let found = match versions.iter().find(holds) {
            Some(old) => format!("the bytes of {}", old.id),
            None => "other bytes".to_owned(),
        };
        let expected = format!("the bytes of {}", last.id);
        verdict.breach(Invariant::P9, last.place(), name, expected, found);
        return;
    };
    let at = (item.place(), name);
    let created_at = long(item.doc.body(), "created_at");
    let (period, ordering) = match (item.doc.kind, created_at) {
        ("FeedItem", Some(created_at)) => (month_of(created_at), created_at),
        _ => (HOLDINGS_PERIOD, 0),
    };
    let stands = (row.period, row.ordering);
    verdict.same(Invariant::P9, at, "period and order", ((period, ordering), stands));
    if let Some(at_us) = row.written_at_us {
        let expected = TIMESTAMP_BASE_US + item.source.offset;
        verdict.same(Invariant::P9, at, "write timestamp", (expected, at_us));
    }
}

/// Without a known offset everything must be there.
fn is_durable(evidence: &Evidence, item: &Taken) -> bool {
    let own = |it: &&super::evidence::Committed| it.partition == item.source.partition;
    let committed = evidence.served.committed.iter().find(own);
    committed.is_none_or(|committed| item.source.offset < committed.offset)
}

/// One bucket for all rows of a customer; the right one where the count is recorded.
fn buckets(evidence: &Evidence, verdict: &mut Verdict) {
    let count = evidence.served.life(FEED_ITEMS).map(|life| life.buckets);
    let mut known: HashMap<&str, i32> = HashMap::new();
    for row in &evidence.served.rows {
        let expected = match count {
            Some(count) => bucket_of(&row.key, count),
            None => *known.entry(&row.key).or_insert(row.bucket),
        };
        let name = format!("row {} {}", row.key, row.item);
        verdict.same(Invariant::P7, (NOWHERE, &name), "bucket", (expected, row.bucket));
    }
}

/// Months since January 1970 of a time in milliseconds: whole years, then whole months.
fn month_of(time_ms: i64) -> i32 {
    const MONTH_DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    const YEARS_MAX: i64 = 300_000;
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut days = time_ms.div_euclid(86_400_000);
    let mut year = 1970;
    while days < 0 && year > -YEARS_MAX {
        year -= 1;
        days += 365 + i64::from(is_leap(year));
    }
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    for (place, length) in MONTH_DAYS.iter().enumerate() {
        let length = length + i64::from(place == 1 && is_leap(year));
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    ((year - 1970) * 12 + month) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: months change on the first only, also before 1970. Method: days around the edges.
    #[test]
    fn months() {
        for (day, month) in
            [(0, 0), (30, 0), (31, 1), (58, 1), (59, 2), (11_016, 361), (11_017, 362), (-1, -1)]
        {
            assert_eq!(month_of(day * 86_400_000), month, "day {day}");
        }
        assert_eq!(month_of(8_401 * 86_400_000), 23 * 12);
    }
}
