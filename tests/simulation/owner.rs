//! One owner of one partition: the real state machine, and everything of it that is under way.
//!
//! Owns the requests that were made and not answered. The world decides which of them happens next
//! and what comes back; nothing in here happens by itself.

use super::judge::Target;
use super::script;
use super::simulated::Simulated;
use super::world::{BUCKETS, INCARNATION};
use crate::codec::{partitioner::partition_of, raw::RawRecord};
use crate::domain::rules::Rules;
use crate::runtime::partition::{Binding, Limits, Partition};
use crate::runtime::ports::{Arrival, Batch, Destination, Ports, Publish, PublishTopic};
use crate::runtime::ports::{SideRead, Table};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub struct Write {
    pub batch: Arc<Batch>,
    /// Replicas that have not got it yet.
    pub replicas: Vec<usize>,
    pub landed: usize,
    /// Only used where the write timestamp is (wrongly) a clock's.
    pub clock_us: i64,
}

/// A page of heads still to be read: keys of the bucket above `after`.
pub struct Page {
    pub bucket: u32,
    pub after: Option<Box<str>>,
}

pub struct Owner<S: Simulated> {
    pub worker: i64,
    pub number: i32,
    /// The group's owner; else a former one that does not know yet.
    pub current: bool,
    pub draining: bool,
    pub partition: Partition<S, S::Codec>,
    pub fetch_at: i64,
    pub fetched: VecDeque<Vec<RawRecord>>,
    /// Answers on their way, delivered in any order.
    pub arrivals: Vec<(&'static str, Arrival<Rules>)>,
    pub sends: BTreeMap<Target, VecDeque<(u64, Publish)>>,
    /// Tickets of records that are stored and whose ack is on its way.
    pub acks: Vec<u64>,
    pub open: BTreeMap<u64, usize>,
    pub writes: Vec<Write>,
    pub reads: Vec<SideRead>,
    pub pages: Vec<Page>,
    pub commits: Vec<i64>,
    pub loads: Vec<i32>,
    pub end_told: bool,
}

impl<S: Simulated> Owner<S> {
    pub fn new(
        worker: i64,
        number: i32,
        partitions: i32,
        start: i64,
        limits: Limits,
        first: i32,
    ) -> Self {
        let binding = Binding {
            incarnation: INCARNATION,
            partition: number,
            partitions,
            buckets: BUCKETS,
            read_buckets: BUCKETS,
            start,
        };
        let rules = Arc::new(script::rules(first));
        Self {
            worker,
            number,
            current: true,
            draining: false,
            partition: Partition::new(binding, limits, S::codec(partitions), rules),
            fetch_at: start,
            fetched: VecDeque::new(),
            arrivals: Vec::new(),
            sends: BTreeMap::new(),
            acks: Vec::new(),
            open: BTreeMap::new(),
            writes: Vec::new(),
            reads: Vec::new(),
            pages: (0..BUCKETS).map(|bucket| Page { bucket, after: None }).collect(),
            commits: Vec::new(),
            loads: Vec::new(),
            end_told: false,
        }
    }

    /// All pages are read and delivered: the end of the load can be told.
    pub fn heads_are_in(&self) -> bool {
        !self.end_told
            && self.pages.is_empty()
            && !self.arrivals.iter().any(|(_, arrival)| matches!(arrival, Arrival::Heads(_)))
    }

    /// Queues records for the producer, which keeps the order per target.
    pub fn send(&mut self, ticket: u64, records: Vec<Publish>, partitions: i32) {
        self.open.insert(ticket, records.len());
        for record in records {
            let target = target_of::<S>(&record, partitions);
            self.sends.entry(target).or_default().push_back((ticket, record));
        }
    }

    /// An ack of one record; the answer once all of the ticket are there.
    pub fn ack(&mut self, ticket: u64) {
        let Some(left) = self.open.get_mut(&ticket) else { return };
        *left -= 1;
        if *left == 0 {
            self.open.remove(&ticket);
            self.arrivals.push(("arrival acknowledged", Arrival::Acknowledged { ticket }));
        }
    }
}

fn target_of<S: Simulated>(record: &Publish, partitions: i32) -> Target {
    let topic = match record.topic {
        PublishTopic::Output(topic) => S::topic_number(topic),
        PublishTopic::DeadLetters => 2,
    };
    let partition = match record.destination {
        Destination::Partition(partition) => partition,
        Destination::ByKey => partition_of(record.key.as_deref().unwrap_or_default(), partitions),
    };
    (topic, partition)
}

pub enum Request {
    Publish(u64, Vec<Publish>),
    Write(Arc<Batch>),
    Read(SideRead),
    Commit(i64),
    LoadRules(i32),
    Seek(i64),
}

impl Request {
    /// The crash point just before it.
    pub fn point(&self) -> &'static str {
        match self {
            Request::Publish(..) => "port publish",
            Request::Write(batch) => match batch.table {
                Table::Sides => "port write side rows",
                Table::Reads { .. } => "port write read rows",
                Table::Heads => "port write heads",
            },
            Request::Read(_) => "port read",
            Request::Commit(_) => "port commit",
            Request::LoadRules(_) => "port load rules",
            Request::Seek(_) => "port seek",
        }
    }
}

/// Collects what a partition asks for, in order.
pub struct Requests(pub Vec<Request>);

impl Ports<Rules> for Requests {
    fn publish(&mut self, ticket: u64, records: Vec<Publish>) {
        self.0.push(Request::Publish(ticket, records));
    }
    fn write(&mut self, batch: Arc<Batch>) {
        self.0.push(Request::Write(batch));
    }
    fn read(&mut self, read: SideRead) {
        self.0.push(Request::Read(read));
    }
    fn commit(&mut self, next_offset: i64) {
        self.0.push(Request::Commit(next_offset));
    }
    fn load_rules(&mut self, version: i32) {
        self.0.push(Request::LoadRules(version));
    }
    fn seek(&mut self, offset: i64) {
        self.0.push(Request::Seek(offset));
    }
}
