//! The heads of one partition: every key's state in memory, with the log position it stands at.
//!
//! Owns the skip rule. Truth is per row: a record is skipped for a key iff the row already contains
//! it, by position or by the source it came from. A mix of older and newer rows after a crash is
//! therefore legal, and nothing else may decide a skip (not a bucket, not a partition).

#[cfg(test)]
use super::sabotage::{self, Bug};
use crate::codec::{
    frame::OutputId,
    snapshot::{Row, Seen},
};
use crate::domain::time::LogTime;
use std::{collections::HashMap, sync::Arc};

/// One key's row with what the runtime derives from it.
pub struct Entry<H> {
    pub row: Row<H>,
    /// Changed since the last seal.
    pub dirty: bool,
    /// Where the key stands in the index of deadlines.
    pub deadline: Option<LogTime>,
}

pub struct Heads<H> {
    by_key: HashMap<Arc<str>, Entry<H>>,
    dirty: Vec<Arc<str>>,
}

impl<H: Default> Default for Heads<H> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), dirty: Vec::new() }
    }
}

impl<H: Default> Heads<H> {
    /// Takes a row read at takeover. The same row may come twice; the later position wins.
    pub fn load(&mut self, key: &str, row: Row<H>) {
        #[cfg(test)]
        let row =
            if sabotage::on(Bug::SeenNotRestored) { Row { seen: Vec::new(), ..row } } else { row };
        match self.by_key.get_mut(key) {
            Some(entry) if entry.row.pos >= row.pos => {}
            Some(entry) => entry.row = row,
            None => {
                self.by_key.insert(key.into(), Entry { row, dirty: false, deadline: None });
            }
        }
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub fn get(&self, key: &str) -> Option<&Entry<H>> {
        self.by_key.get(key)
    }

    /// The shared name of a key and its entry, made where there is none.
    pub fn entry(&mut self, key: &str) -> (Arc<str>, &mut Entry<H>) {
        let name = match self.by_key.get_key_value(key) {
            Some((name, _)) => name.clone(),
            None => Arc::from(key),
        };
        let entry = self.by_key.entry(name.clone()).or_insert_with(|| Entry {
            row: Row::default(),
            dirty: false,
            deadline: None,
        });
        (name, entry)
    }

    /// In no particular order: only for work whose result does not depend on it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Entry<H>)> {
        self.by_key.iter_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Entry<H>)> {
        self.by_key.iter()
    }

    /// Notes that the key changed; once per seal.
    pub fn mark_dirty(&mut self, name: &Arc<str>) {
        #[cfg(test)]
        if sabotage::on(Bug::DirtyHeadEvicted) && self.dirty.len() > 1 {
            self.by_key.remove(&self.dirty.swap_remove(0));
        }
        if let Some(entry) = self.by_key.get_mut(name)
            && !entry.dirty
        {
            entry.dirty = true;
            self.dirty.push(name.clone());
        }
    }

    /// The keys changed since the last call, in key order; they count as clean from here on.
    pub fn take_dirty(&mut self) -> Vec<Arc<str>> {
        let mut keys = std::mem::take(&mut self.dirty);
        keys.sort_unstable();
        for key in &keys {
            if let Some(entry) = self.by_key.get_mut(key) {
                entry.dirty = false;
            }
        }
        keys
    }

    pub fn dirty_len(&self) -> usize {
        self.dirty.len()
    }

    /// Bugs that confuse the rows of a takeover with each other.
    #[cfg(test)]
    pub fn confuse(&mut self, bucket_of: impl Fn(&str) -> u32) {
        let rows = || self.by_key.iter().map(|(key, entry)| (bucket_of(key), &entry.row));
        if sabotage::on(Bug::PositionPerBucket) {
            let newest: Vec<(u32, i64)> = rows().map(|(bucket, row)| (bucket, row.pos)).collect();
            for (key, entry) in &mut self.by_key {
                let of_bucket = newest.iter().filter(|(bucket, _)| *bucket == bucket_of(key));
                entry.row.pos = of_bucket.map(|(_, pos)| *pos).max().unwrap_or(-1);
            }
        } else if sabotage::on(Bug::SeenMaximumOverRows) {
            let mut newest: Vec<Seen> = Vec::new();
            for seen in rows().flat_map(|(_, row)| &row.seen) {
                match newest.iter_mut().find(|known| known.partition == seen.partition) {
                    Some(known) if place(known) < place(seen) => *known = seen.clone(),
                    Some(_) => {}
                    None => newest.push(seen.clone()),
                }
            }
            newest.sort_by_key(|seen| seen.partition);
            for entry in self.by_key.values_mut() {
                entry.row.seen = newest.clone();
            }
        }
    }
}

/// Does the row already contain the record at `offset` that came from `source`?
pub fn contains<H>(row: &Row<H>, offset: i64, source: Option<&OutputId>) -> bool {
    #[cfg(test)]
    if sabotage::on(Bug::SeenWithoutIndex) {
        let taken = |id: &OutputId, seen: &Seen| is_of(seen, id) && seen.offset >= id.source.offset;
        return row.pos >= offset
            || source.is_some_and(|id| row.seen.iter().any(|seen| taken(id, seen)));
    }
    #[cfg(test)]
    let offset = if sabotage::on(Bug::NoRowPosition) { i64::MAX } else { offset };
    row.pos >= offset
        || source.is_some_and(|id| {
            row.seen.iter().any(|seen| is_of(seen, id) && place(seen) >= place_of(id))
        })
}

/// Records in the row that it now contains the record at `offset` from `source`.
pub fn note<H>(row: &mut Row<H>, offset: i64, source: Option<&OutputId>) {
    row.pos = offset;
    let Some(id) = source else { return };
    #[cfg(test)]
    if sabotage::on(Bug::SeenNotKept) {
        return;
    }
    let seen = Seen {
        incarnation: id.source.incarnation,
        partition: id.source.partition,
        offset: id.source.offset,
        key: id.key.clone().unwrap_or_default(),
        index: id.index,
    };
    #[cfg(test)]
    let seen = match sabotage::on(Bug::SeenOneTooHigh) {
        true => Seen { offset: seen.offset + 1, ..seen },
        false => seen,
    };
    match row.seen.iter_mut().find(|seen| is_of(seen, id)) {
        Some(place) => *place = seen,
        None => {
            row.seen.push(seen);
            row.seen.sort_unstable_by_key(|seen| (seen.incarnation, seen.partition));
        }
    }
}

fn is_of(seen: &Seen, id: &OutputId) -> bool {
    #[cfg(test)]
    if sabotage::on(Bug::SeenOneForAllSources) {
        return true;
    }
    seen.incarnation == id.source.incarnation && seen.partition == id.source.partition
}

/// Order of outputs from one source partition: (offset, key, index).
fn place(seen: &Seen) -> (i64, &str, i32) {
    (seen.offset, &seen.key, seen.index)
}

fn place_of(id: &OutputId) -> (i64, &str, i32) {
    (id.source.offset, id.key.as_deref().unwrap_or(""), id.index)
}
