//! Which months of a bucket the feed's table holds, so that a reader stops where nothing is left.
//!
//! Owns one scan of the table's partition keys, shared by all who read and made anew when it is too
//! old for one of them; never more than one runs. A scan reads keys and no rows: buckets times
//! months of them. Invariant: a month that the scan saw exists; of later ones it says nothing, and
//! the reader looks into the next few itself.

use super::failure::StoreError;
use crate::runtime::telemetry;
use futures_util::TryStreamExt;
use scylla::{client::session::Session, statement::prepared::PreparedStatement};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A read that names no position is content with months that were looked up this long ago.
const AGE_MS_MAX: u64 = 5_000;

/// Beyond the newest known month, in any bucket, a reader looks into this many: log time runs on
/// while the scan grows old, in a played year by several months.
const AHEAD: i32 = 3;

/// The period of the rows that say which accounts are a customer's.
pub const HOLDINGS: i32 = -1;

#[derive(Default)]
struct Scan {
    begun_ms: Option<u64>,
    by_bucket: BTreeMap<i32, BTreeSet<i32>>,
}

pub struct Months {
    session: Arc<Session>,
    select: PreparedStatement,
    incarnation: i32,
    scan: tokio::sync::Mutex<Scan>,
}

impl Months {
    pub async fn open(
        session: Arc<Session>,
        keyspace: &str,
        incarnation: i32,
    ) -> Result<Self, StoreError> {
        let mut select = session
            .prepare(format!(
                "SELECT DISTINCT incarnation, bucket, period FROM {keyspace}.feed_item"
            ))
            .await
            .map_err(StoreError::unreachable)?;
        select.set_is_idempotent(true);
        Ok(Self { session, select, incarnation, scan: tokio::sync::Mutex::default() })
    }

    /// Months of a bucket to look into, newest first, none after `until`. `is_exact`: the reader
    /// must see all that is stored now, so a scan that began before is not good enough.
    pub async fn of(
        &self,
        bucket: i32,
        until: Option<i32>,
        is_exact: bool,
    ) -> Result<Vec<i32>, StoreError> {
        let asked_ms = telemetry::steady_ms();
        let mut scan = self.scan.lock().await;
        let is_fit = |begun_ms: u64| match is_exact {
            // Others waited for the lock too: one scan that began after we asked serves all.
            true => begun_ms > asked_ms,
            false => begun_ms + AGE_MS_MAX >= asked_ms,
        };
        if !scan.begun_ms.is_some_and(is_fit) {
            *scan = self.look_up().await?;
        }
        Ok(to_visit(&scan.by_bucket, bucket, until))
    }

    async fn look_up(&self) -> Result<Scan, StoreError> {
        let begun_ms = telemetry::steady_ms();
        let pager = self.session.execute_iter(self.select.clone(), ()).await?;
        let mut rows = pager.rows_stream::<(i32, i32, i32)>().map_err(StoreError::unreadable)?;
        let mut by_bucket: BTreeMap<i32, BTreeSet<i32>> = BTreeMap::new();
        while let Some((incarnation, bucket, period)) =
            rows.try_next().await.map_err(StoreError::unreachable)?
        {
            if incarnation == self.incarnation && period != HOLDINGS {
                by_bucket.entry(bucket).or_default().insert(period);
            }
        }
        Ok(Scan { begun_ms: Some(begun_ms), by_bucket })
    }
}

fn to_visit(by_bucket: &BTreeMap<i32, BTreeSet<i32>>, bucket: i32, until: Option<i32>) -> Vec<i32> {
    let newest = by_bucket.values().filter_map(BTreeSet::last).max();
    let ahead = newest.map(|newest| newest + 1..=newest + AHEAD).into_iter().flatten();
    let known = by_bucket.get(&bucket).into_iter().flatten().copied();
    let is_wanted = |period: &i32| until.is_none_or(|until| *period <= until);
    let mut months: Vec<i32> = known.chain(ahead).filter(is_wanted).collect();
    months.sort_unstable_by_key(|period| std::cmp::Reverse(*period));
    months.dedup();
    months
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every month that exists is visited once, newest first, with the next few, and none after
    /// the cursor's. Method: two buckets, one ahead of the other.
    #[test]
    fn months_to_visit() {
        let by_bucket =
            BTreeMap::from([(1, BTreeSet::from([276, 278])), (2, BTreeSet::from([276, 277, 280]))]);
        assert_eq!(to_visit(&by_bucket, 1, None), [283, 282, 281, 278, 276]);
        assert_eq!(to_visit(&by_bucket, 2, Some(279)), [277, 276]);
        assert_eq!(to_visit(&by_bucket, 9, None), [283, 282, 281]);
        assert_eq!(to_visit(&BTreeMap::new(), 1, None), Vec::<i32>::new());
    }
}
