//! Live items: one tail of the log, fanned out to whoever listens, by customer.
//!
//! Owns who listens, the recent records that make a reconnect exact, and the end of a listener that
//! reads too slowly. Never reads the log: a `Tail` does, on a thread of its own, while somebody
//! listens and a little longer. Invariant: a listener gets every record of its customer from its
//! start on, in the log's order, or is told in so many words that it missed some.

use crate::domain::{
    feed::{FeedBody, FeedRecord},
    ids::CustomerId,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;

/// Records that wait for one listener before it counts as too slow; the last seconds come at once.
const WAITING_MAX: usize = 4_096;

/// Recent records that are kept for those who come back.
const RECENT_MAX: usize = 8_192;

/// Where a record stands on `feed.items.v1`; the id of its event. Text: `<partition>-<offset>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LivePos {
    pub partition: i32,
    pub offset: i64,
}

impl std::fmt::Display for LivePos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.partition, self.offset)
    }
}

impl LivePos {
    pub fn parse(text: &str) -> Option<Self> {
        let (partition, offset) = text.split_once('-')?;
        Some(Self { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
    }
}

pub type LiveRecord = (LivePos, Arc<FeedRecord>);

/// Reads the end of the log and calls `Hub::covers` and `Hub::publish` until `Hub::is_wanted` says
/// no. Starts in the background and returns at once.
pub trait Tail: Send + Sync {
    fn start(&self, hub: Arc<Hub>);
}

/// Why a listener's channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It let too many records wait.
    TooSlow,
    /// The worker stops, or the tail broke.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many streams as allowed are open.
    Full,
    /// The worker stops.
    Closed,
}

struct Listener {
    id: u64,
    sender: mpsc::Sender<LiveRecord>,
    end: Arc<Mutex<End>>,
}

#[derive(Default)]
struct Inside {
    listeners: BTreeMap<CustomerId, Vec<Listener>>,
    count: usize,
    next_id: u64,
    recent: VecDeque<LiveRecord>,
    /// First offset of each partition from which on every record is in `recent` or came after.
    covered_from: BTreeMap<i32, i64>,
    is_tailing: bool,
    is_closed: bool,
}

pub struct Hub {
    inside: Mutex<Inside>,
    listeners_max: usize,
    tail: Box<dyn Tail>,
}

/// A listener's side. Dropping it ends the listening.
pub struct Listening {
    pub records: mpsc::Receiver<LiveRecord>,
    /// Recent records of the customer, to be sent first.
    pub first: Vec<LiveRecord>,
    /// Records between the asked position and the first one were missed: read the feed again.
    pub has_gap: bool,
    end: Arc<Mutex<End>>,
    hub: Arc<Hub>,
    customer: CustomerId,
    id: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub fn new(listeners_max: usize, tail: Box<dyn Tail>) -> Arc<Self> {
        Arc::new(Self { inside: Mutex::default(), listeners_max, tail })
    }

    /// Begins to listen. `after`: the last record that the listener saw; without it the recent ones
    /// come again, which closes the gap to a page that is read at the same time.
    pub fn listen(
        self: &Arc<Self>,
        customer: &CustomerId,
        after: Option<LivePos>,
    ) -> Result<Listening, Refusal> {
        let mut inside = lock(&self.inside);
        if inside.is_closed {
            return Err(Refusal::Closed);
        }
        if inside.count >= self.listeners_max {
            return Err(Refusal::Full);
        }
        let is_new = |pos: &LivePos| {
            after.is_none_or(|after| pos.partition != after.partition || pos.offset > after.offset)
        };
        let is_wanted =
            |(pos, record): &&LiveRecord| record.customer_id == *customer && is_new(pos);
        let first: Vec<LiveRecord> = inside.recent.iter().filter(is_wanted).cloned().collect();
        let has_gap = after.is_some_and(|after| {
            let covered_from = inside.covered_from.get(&after.partition);
            covered_from.is_none_or(|from| after.offset + 1 < *from)
        });
        let (sender, records) = mpsc::channel(WAITING_MAX);
        let end = Arc::new(Mutex::new(End::Closed));
        let id = inside.next_id;
        inside.next_id += 1;
        inside.count += 1;
        let listener = Listener { id, sender, end: end.clone() };
        inside.listeners.entry(customer.clone()).or_default().push(listener);
        let starts = !inside.is_tailing;
        inside.is_tailing = true;
        drop(inside);
        if starts {
            self.tail.start(self.clone());
        }
        let hub = self.clone();
        Ok(Listening { records, first, has_gap, end, hub, customer: customer.clone(), id })
    }

    /// The tail begins at this offset of a partition.
    pub fn covers(&self, partition: i32, from: i64) {
        lock(&self.inside).covered_from.insert(partition, from);
    }

    /// The next record of the log. Never waits: a listener without room is dropped.
    pub fn publish(&self, pos: LivePos, record: FeedRecord) {
        if matches!(record.body, FeedBody::Birth(_)) {
            return;
        }
        let mut inside = lock(&self.inside);
        let inside = &mut *inside;
        let record = Arc::new(record);
        if inside.recent.len() >= RECENT_MAX
            && let Some((old, _)) = inside.recent.pop_front()
        {
            inside.covered_from.insert(old.partition, old.offset + 1);
        }
        inside.recent.push_back((pos, record.clone()));
        let Some(listeners) = inside.listeners.get_mut(&record.customer_id) else { return };
        let before = listeners.len();
        listeners.retain(|listener| match listener.sender.try_send((pos, record.clone())) {
            Ok(()) => true,
            Err(_) => {
                *lock(&listener.end) = End::TooSlow;
                false
            }
        });
        inside.count -= before - listeners.len();
        if listeners.is_empty() {
            inside.listeners.remove(&record.customer_id);
        }
    }

    pub fn listener_count(&self) -> usize {
        lock(&self.inside).count
    }

    /// The tail ended, by itself or by an error: listeners are told, and the next one starts it
    /// anew. `only_if_idle`: not if somebody has come meanwhile; gives whether it ended.
    pub fn tail_ended(&self, only_if_idle: bool) -> bool {
        let mut inside = lock(&self.inside);
        if only_if_idle && inside.count > 0 {
            return false;
        }
        inside.is_tailing = false;
        inside.listeners.clear();
        inside.count = 0;
        inside.recent.clear();
        inside.covered_from.clear();
        true
    }

    pub fn is_closed(&self) -> bool {
        lock(&self.inside).is_closed
    }

    /// The worker stops: every stream ends, no new one begins.
    pub fn close(&self) {
        let mut inside = lock(&self.inside);
        inside.is_closed = true;
        inside.listeners.clear();
        inside.count = 0;
    }
}

impl Listening {
    /// Why `records` ended.
    pub fn end(&self) -> End {
        *lock(&self.end)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut inside = lock(&self.hub.inside);
        let inside = &mut *inside;
        let Some(listeners) = inside.listeners.get_mut(&self.customer) else { return };
        let before = listeners.len();
        listeners.retain(|listener| listener.id != self.id);
        inside.count -= before - listeners.len();
        if listeners.is_empty() {
            inside.listeners.remove(&self.customer);
        }
    }
}
