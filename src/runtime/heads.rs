//! The heads of one partition: every key's state in memory, with the log position it stands at.
//!
//! Owns the skip rule. Truth is per row: a record is skipped for a key iff the row already contains
//! it, by position or by the source it came from. A mix of older and newer rows after a crash is
//! therefore legal, and nothing else may decide a skip (not a bucket, not a partition).
//!
//! What changed since the last seal is kept as objects, everything else as the bytes it was
//! checkpointed with: most keys of most partitions rest at any time.

#[cfg(test)]
use super::sabotage::{self, Bug};
use crate::codec::{
    frame::OutputId,
    snapshot::{Row, Seen},
};
use crate::domain::time::LogTime;
use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

/// One key's row with what the runtime derives from it.
pub struct Entry<H> {
    pub row: Row<H>,
    /// Changed since the last seal.
    pub dirty: bool,
    /// Where the key stands in the index of deadlines.
    pub deadline: Option<LogTime>,
}

/// A head that nothing has named since the last seal: its checkpoint's bytes, shared with the seal
/// that writes them. They take a quarter of the room of the objects, and a takeover keeps them as
/// they were read.
struct Cold {
    bytes: Arc<[u8]>,
    pos: i64,
    deadline: Option<LogTime>,
}

enum Slot<H> {
    Warm(Box<Entry<H>>),
    Cold(Cold),
}

impl<H> Slot<H> {
    fn pos(&self) -> i64 {
        match self {
            Slot::Warm(entry) => entry.row.pos,
            Slot::Cold(cold) => cold.pos,
        }
    }

    fn deadline(&self) -> Option<LogTime> {
        match self {
            Slot::Warm(entry) => entry.deadline,
            Slot::Cold(cold) => cold.deadline,
        }
    }
}

/// Bytes to row. They were read once or written by this partition, so this cannot fail.
pub type Thaw<H> = Box<dyn Fn(&[u8]) -> Row<H> + Send>;

pub struct Heads<H> {
    by_key: HashMap<Arc<str>, Slot<H>>,
    dirty: Vec<Arc<str>>,
    thaw: Thaw<H>,
}

impl<H: Clone + Default> Heads<H> {
    pub fn new(thaw: Thaw<H>) -> Self {
        Self { by_key: HashMap::new(), dirty: Vec::new(), thaw }
    }

    /// Takes a row read at takeover, `row` being what `bytes` say. The same row may come twice; the
    /// later position wins. Returns the key's name and its former deadline where the row was taken.
    pub fn load(
        &mut self,
        key: &str,
        row: Row<H>,
        bytes: Vec<u8>,
        deadline: Option<LogTime>,
    ) -> Option<(Arc<str>, Option<LogTime>)> {
        let pos = row.pos;
        let slot = loaded(row, bytes, deadline);
        match self.by_key.entry(key.into()) {
            hash_map::Entry::Vacant(place) => {
                let name = place.key().clone();
                place.insert(slot);
                Some((name, None))
            }
            hash_map::Entry::Occupied(place) if place.get().pos() >= pos => None,
            hash_map::Entry::Occupied(mut place) => {
                let former = place.insert(slot).deadline();
                Some((place.key().clone(), former))
            }
        }
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The key's entry where there is one.
    pub fn get(&mut self, key: &str) -> Option<&mut Entry<H>> {
        let slot = self.by_key.get_mut(key)?;
        Some(warm(slot, &self.thaw))
    }

    pub fn deadline(&self, key: &str) -> Option<LogTime> {
        self.by_key.get(key)?.deadline()
    }

    /// A copy of the key's row.
    pub fn row(&self, key: &str) -> Option<Row<H>> {
        self.by_key.get(key).map(|slot| match slot {
            Slot::Warm(entry) => entry.row.clone(),
            Slot::Cold(cold) => (self.thaw)(&cold.bytes),
        })
    }

    /// In no particular order: only for work whose result does not depend on it.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_key.keys()
    }

    /// A key whose row stands at `pos` or later, if there is one.
    pub fn ahead_of(&self, pos: i64) -> Option<(&Arc<str>, i64)> {
        self.by_key.iter().map(|(key, slot)| (key, slot.pos())).find(|(_, at)| *at >= pos)
    }

    /// The shared name of a key and its entry, made where there is none.
    pub fn entry(&mut self, key: &str) -> (Arc<str>, &mut Entry<H>) {
        let name = match self.by_key.get_key_value(key) {
            Some((name, _)) => name.clone(),
            None => Arc::from(key),
        };
        let slot = self.by_key.entry(name.clone()).or_insert_with(|| {
            Slot::Warm(Box::new(Entry { row: Row::default(), dirty: false, deadline: None }))
        });
        (name, warm(slot, &self.thaw))
    }

    /// Works the deadline of every key out anew, warming none of them.
    pub fn each_deadline(
        &mut self,
        mut deadline_of: impl FnMut(&Arc<str>, &Row<H>) -> Option<LogTime>,
    ) {
        for (key, slot) in &mut self.by_key {
            match slot {
                Slot::Warm(entry) => entry.deadline = deadline_of(key, &entry.row),
                Slot::Cold(cold) => cold.deadline = deadline_of(key, &(self.thaw)(&cold.bytes)),
            }
        }
    }

    /// Notes that the key changed; once per seal.
    pub fn mark_dirty(&mut self, name: &Arc<str>) {
        #[cfg(test)]
        if sabotage::on(Bug::DirtyHeadEvicted) && self.dirty.len() > 1 {
            self.by_key.remove(&self.dirty.swap_remove(0));
        }
        // What was changed is warm.
        if let Some(Slot::Warm(entry)) = self.by_key.get_mut(name)
            && !entry.dirty
        {
            entry.dirty = true;
            self.dirty.push(name.clone());
        }
    }

    /// The keys changed since the last call, in key order. They count as clean once frozen.
    pub fn take_dirty(&mut self) -> Vec<Arc<str>> {
        let mut keys = std::mem::take(&mut self.dirty);
        keys.sort_unstable();
        keys
    }

    /// From here on the key is kept as the bytes that `encode` makes of its row, which must be all
    /// of it; returns its position and them.
    pub fn freeze(
        &mut self,
        key: &str,
        encode: impl FnOnce(&Row<H>) -> Arc<[u8]>,
    ) -> Option<(i64, Arc<[u8]>)> {
        let slot = self.by_key.get_mut(key)?;
        let Slot::Warm(entry) = slot else { return None };
        let (bytes, pos, deadline) = (encode(&entry.row), entry.row.pos, entry.deadline);
        *slot = Slot::Cold(Cold { bytes: bytes.clone(), pos, deadline });
        Some((pos, bytes))
    }

    pub fn dirty_len(&self) -> usize {
        self.dirty.len()
    }

    /// Bugs that confuse the rows of a takeover with each other.
    #[cfg(test)]
    pub fn confuse(&mut self, bucket_of: impl Fn(&str) -> u32) {
        let rows: Vec<(Arc<str>, Row<H>)> =
            self.by_key.keys().filter_map(|key| Some((key.clone(), self.row(key)?))).collect();
        if sabotage::on(Bug::PositionPerBucket) {
            let newest: Vec<(u32, i64)> =
                rows.iter().map(|(key, row)| (bucket_of(key), row.pos)).collect();
            for (key, slot) in &mut self.by_key {
                let entry = warm(slot, &self.thaw);
                let of_bucket = newest.iter().filter(|(bucket, _)| *bucket == bucket_of(key));
                entry.row.pos = of_bucket.map(|(_, pos)| *pos).max().unwrap_or(-1);
            }
        } else if sabotage::on(Bug::SeenMaximumOverRows) {
            let mut newest: Vec<Seen> = Vec::new();
            for seen in rows.into_iter().flat_map(|(_, row)| row.seen) {
                match newest.iter_mut().find(|known| known.partition == seen.partition) {
                    Some(known) if place(known) < place(&seen) => *known = seen,
                    Some(_) => {}
                    None => newest.push(seen),
                }
            }
            newest.sort_by_key(|seen| seen.partition);
            for slot in self.by_key.values_mut() {
                warm(slot, &self.thaw).row.seen = newest.clone();
            }
        }
    }
}

/// What a takeover keeps of a row: its bytes.
fn loaded<H>(row: Row<H>, bytes: Vec<u8>, deadline: Option<LogTime>) -> Slot<H> {
    #[cfg(test)]
    if sabotage::on(Bug::SeenNotRestored) {
        let row = Row { seen: Vec::new(), ..row };
        return Slot::Warm(Box::new(Entry { row, dirty: false, deadline }));
    }
    Slot::Cold(Cold { bytes: bytes.into(), pos: row.pos, deadline })
}

/// The entry of a slot, made of its bytes where it is cold.
fn warm<'s, H>(slot: &'s mut Slot<H>, thaw: &Thaw<H>) -> &'s mut Entry<H> {
    if let Slot::Cold(cold) = slot {
        let entry = Entry { row: thaw(&cold.bytes), dirty: false, deadline: cold.deadline };
        *slot = Slot::Warm(Box::new(entry));
    }
    match slot {
        Slot::Warm(entry) => entry,
        Slot::Cold(_) => unreachable!("it was warmed a line above"),
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
