//! One owned partition of a stage's input: the whole protocol as a state machine without I/O.
//!
//! Arrivals go in, requests go out through the ports; nothing here waits, spawns or reads a clock.
//! The live worker and the simulation call the same `handle`. The order that makes every effect
//! happen once (ARCHITECTURE.md, "The protocol"): outputs acked, then side rows acked, then the
//! seal's rows written, then the offset of a fresh tick committed. Steps: `consume.rs`; seals:
//! `seal.rs`.

#[cfg(test)]
use super::sabotage::{self, Bug};
use super::{
    acks::Acks,
    context::InForce,
    due::Deadlines,
    fuse::{Fuse, FuseSettings},
    heads::Heads,
    money::Money,
    outputs::Outbox,
    ports::{Arrival, Ports},
    reads::Reads,
    seal::OpenSeal,
    sides::Sides,
};
use crate::codec::{DecodeError, StageCodec, control, headers::ce_time, raw::RawRecord};
use crate::domain::time::LogTime;
use crate::stages::{Context, Scope, Stage};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

pub use super::halt::Halt;

/// What a partition is bound to for its whole life.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Number of the input log's incarnation (`log_incarnation`).
    pub incarnation: i32,
    pub partition: i32,
    pub partitions: i32,
    pub buckets: u32,
    /// Over which the keys of the stage's read model spread.
    pub read_buckets: u32,
    /// The group's committed offset.
    pub start: i64,
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Outputs sent and not acked at which input stops.
    pub inflight_records_max: usize,
    /// Records applied and not durable at which input stops.
    pub unsealed_records_max: i64,
    /// A batch of rows is split at this size.
    pub batch_bytes_max: usize,
    pub fuse: FuseSettings,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            inflight_records_max: 50_000,
            unsealed_records_max: 200_000,
            batch_bytes_max: 1 << 20,
            fuse: FuseSettings::default(),
        }
    }
}

/// A fetched record, decoded as far as it can be.
pub(super) struct Queued<I> {
    pub raw: RawRecord,
    /// Nobody where the record could not be decoded.
    pub scope: Scope,
    pub input: Result<I, DecodeError>,
}

impl<I> Queued<I> {
    fn new<S: Stage<Input = I>>(raw: RawRecord, input: Result<I, DecodeError>) -> Self {
        let scope = input.as_ref().map_or(Scope::Nothing, S::scope);
        let word = match (&input, &scope) {
            (Ok(_), Scope::Nothing) => control::scope(S::NAME, &raw),
            // A tick of time 0 is stale for everybody: it says nothing itself.
            (Ok(_), Scope::Tick(tick)) if tick.time == LogTime::ZERO => {
                control::scope(S::NAME, &raw)
            }
            _ => None,
        };
        Self { raw, scope: word.unwrap_or(scope), input }
    }
}

/// Counts since the partition was taken over; the shell turns them into metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub applied: u64,
    pub skipped: u64,
    pub dead_letters: u64,
    pub diverted: u64,
    pub published: u64,
    pub rows_sealed: u64,
    pub seals: u64,
    pub side_reads: u64,
}

pub struct Partition<S: Stage, C: StageCodec<S>> {
    pub(super) binding: Binding,
    pub(super) limits: Limits,
    pub(super) codec: Arc<C>,
    pub(super) heads: Heads<S::Head>,
    /// For metrics: nothing is decided by it.
    pub(super) money: Money,
    pub(super) deadlines: Deadlines,
    pub(super) in_force: InForce,
    /// Of the version in force.
    pub(super) rules: Arc<S::Rules>,
    pub(super) known_rules: BTreeMap<i32, Arc<S::Rules>>,
    pub(super) rules_asked: Option<i32>,
    pub(super) loaded: bool,
    pub(super) draining: bool,
    pub(super) started: bool,
    pub(super) queue: VecDeque<Queued<S::Input>>,
    /// Offset of the last record applied or skipped; `start - 1` before the first.
    pub(super) applied: i64,
    pub(super) applied_broker_ms: Option<i64>,
    pub(super) durable_broker_ms: Option<i64>,
    /// For metrics: nothing is decided by them.
    pub(super) letter_codes: Vec<&'static str>,
    /// Everything at or below is durable.
    pub(super) durable: i64,
    pub(super) committed: i64,
    /// Offset of the newest record seen in the queue.
    pub(super) fetched: i64,
    /// After a seek: the record that must come next.
    pub(super) resume_at: Option<i64>,
    pub(super) acks: Acks,
    pub(super) sides: Sides,
    pub(super) reads: Reads,
    pub(super) seal: Option<OpenSeal>,
    pub(super) seals: u64,
    /// Offsets of ticks that we judged fresh and have not committed past, ascending.
    pub(super) fresh_ticks: VecDeque<i64>,
    pub(super) fuse: Fuse,
    pub(super) halted: Option<Halt>,
    /// While the fuse is blown the queue is searched for its release and dropped.
    pub(super) searching_release: bool,
    pub(super) outbox: Outbox,
    pub(super) counts: Counts,
    pub(super) scratch: Vec<u8>,
    /// `ce_time` of the log time, written once per tick.
    pub(super) log_time_text: String,
}

impl<S: Stage, C: StageCodec<S>> Partition<S, C> {
    /// `first_rules`: the rules in force before any tick (version 1).
    pub fn new(binding: Binding, limits: Limits, codec: C, first_rules: Arc<S::Rules>) -> Self {
        let in_force = InForce::at_the_beginning(S::LOGIC_VERSIONS[0]);
        let codec = Arc::new(codec);
        let thaw = codec.clone();
        let heads = Heads::new(Box::new(move |bytes| {
            thaw.decode_row(bytes).expect("these bytes were read or written here before")
        }));
        Self {
            limits,
            codec,
            heads,
            money: Money::default(),
            deadlines: Deadlines::default(),
            in_force,
            rules: first_rules.clone(),
            known_rules: BTreeMap::from([(in_force.rules_version, first_rules)]),
            rules_asked: None,
            loaded: false,
            draining: false,
            started: false,
            queue: VecDeque::new(),
            applied: binding.start - 1,
            applied_broker_ms: None,
            durable_broker_ms: None,
            letter_codes: Vec::new(),
            durable: binding.start - 1,
            committed: binding.start,
            fetched: binding.start - 1,
            resume_at: None,
            binding,
            acks: Acks::default(),
            sides: Sides::default(),
            reads: Reads::default(),
            seal: None,
            seals: 0,
            fresh_ticks: VecDeque::new(),
            fuse: Fuse::new(limits.fuse),
            halted: None,
            searching_release: false,
            outbox: Outbox::default(),
            counts: Counts::default(),
            scratch: Vec::new(),
            log_time_text: ce_time(LogTime::ZERO),
        }
    }

    /// Takes one arrival in and asks the ports for whatever follows from it.
    pub fn handle<P: Ports<S::Rules>>(&mut self, arrival: Arrival<S::Rules>, ports: &mut P) {
        match arrival {
            Arrival::Heads(rows) => self.load(rows),
            Arrival::LogEnd(end) => self.refuse_rows_ahead(end),
            Arrival::Loaded => {
                self.loaded = true;
                #[cfg(test)]
                self.heads.confuse(|key| {
                    crate::codec::partitioner::bucket_of(key.as_bytes(), self.binding.buckets)
                });
                self.raise_standing_keys();
            }
            Arrival::Fetched(records) => self.enqueue(records, ports),
            Arrival::Acknowledged { ticket } => self.acks.acknowledge(ticket),
            Arrival::Written { seal, index } => self.written(seal, index),
            Arrival::SideRow { below, item, version } => self.sides.answer(below, item, version),
            Arrival::Rules { version, rules } => {
                self.known_rules.insert(version, rules);
                if self.rules_asked == Some(version) {
                    self.rules_asked = None;
                }
            }
            Arrival::SealDue => self.open_seal(),
            Arrival::Retry => self.retry(),
            Arrival::Drain => {
                self.draining = true;
                self.queue.clear();
            }
        }
        self.consume(ports);
        if self.draining && self.seal.is_none() && self.durable < self.applied {
            self.open_seal();
        }
        let durable = self.durable;
        self.advance_seal(ports);
        if self.durable > durable {
            // What stood still for the limit of what is not durable goes on at once.
            self.consume(ports);
        }
    }

    fn load(&mut self, rows: Vec<(Box<str>, Vec<u8>)>) {
        for (key, bytes) in rows {
            match self.codec.decode_row(&bytes) {
                Ok(row) => {
                    let deadline = deadline_of::<S>(&key, &row, &self.rules);
                    let mut share = Money::default();
                    let former = self.heads.row(&key);
                    former.iter().for_each(|row| share.take::<S>(&key, &row.state));
                    share.put::<S>(&key, &row.state);
                    let taken = self.heads.load(&key, row, bytes, deadline);
                    if let Some((name, former)) = taken {
                        self.deadlines.update(&name, former, deadline);
                        self.money.add_all(&share);
                    }
                }
                Err(error) => {
                    self.halted =
                        Some(Halt::StateUnreadable { key: key.into(), reason: error.to_string() });
                }
            }
        }
    }

    /// A row at or above the end of the log belongs to a log that lost its tail, or to another one.
    fn refuse_rows_ahead(&mut self, log_end: i64) {
        if let Some((key, pos)) = self.heads.ahead_of(log_end) {
            self.halted = Some(Halt::StateAhead { key: key.to_string(), pos });
        }
    }

    /// Makes the heads of the standing keys; they are clean, because they say nothing yet.
    fn raise_standing_keys(&mut self) {
        for key in S::standing_keys(&self.rules) {
            let (name, entry) = self.heads.entry(&key);
            let former = entry.deadline;
            entry.deadline = deadline_of::<S>(&key, &entry.row, &self.rules);
            self.deadlines.update(&name, former, entry.deadline);
        }
    }

    /// Builds the index of deadlines anew, because other rules apply.
    pub(super) fn index_deadlines(&mut self) {
        self.raise_standing_keys();
        self.deadlines.clear();
        let (deadlines, rules) = (&mut self.deadlines, &self.rules);
        self.heads.each_deadline(|key, row| {
            let deadline = deadline_of::<S>(key, row, rules);
            deadlines.update(key, None, deadline);
            deadline
        });
    }

    /// What holds at the record at `offset`. `rules`: those in force.
    pub(super) fn context<'r>(&self, rules: &'r S::Rules, offset: i64) -> Context<'r, S::Rules> {
        Context {
            log_time: self.in_force.time,
            rules,
            logic_version: self.in_force.logic_version,
            partition: self.binding.partition,
            partitions: self.binding.partitions,
            offset,
        }
    }

    /// Decodes the record that stopped the partition once more.
    fn retry(&mut self) {
        if let Some(Halt::SchemaUnknown { .. }) = self.halted
            && let Some(front) = self.queue.front_mut()
        {
            let input = self.codec.decode(&front.raw);
            *front = Queued::new::<S>(front.raw.clone(), input);
            self.halted = None;
        }
    }

    fn enqueue<P: Ports<S::Rules>>(&mut self, records: Vec<RawRecord>, ports: &mut P) {
        if self.draining {
            return;
        }
        for raw in records {
            // A log may give an offset twice; what lies at or below the newest is a repeat.
            if raw.offset <= self.fetched {
                continue;
            }
            #[cfg(test)]
            if sabotage::on(Bug::FetchedGapAfterSeek) {
                self.resume_at = None;
            }
            // After a seek, what was still on its way from before it lies further on.
            if self.resume_at.is_some_and(|offset| raw.offset != offset) {
                continue;
            }
            self.resume_at = None;
            self.fetched = raw.offset;
            let input = self.codec.decode(&raw);
            let queued = Queued::new::<S>(raw, input);
            if self.searching_release {
                self.search_release(&queued, ports);
                continue;
            }
            let may_ask = self.loaded;
            #[cfg(test)]
            let may_ask = may_ask || sabotage::on(Bug::ReadBeforeHeadLoaded);
            if may_ask {
                self.ask_ahead(&queued, ports);
            }
            self.queue.push_back(queued);
        }
    }

    /// Without ticks a takeover may start anywhere: everything that is durable is committed, but
    /// no dead letter that the fuse still counts is passed.
    pub(super) fn commit_durable<P: Ports<S::Rules>>(&mut self, ports: &mut P) {
        let durable = self.durable;
        #[cfg(test)]
        let durable = if sabotage::on(Bug::CommitBeyondDurable) { self.applied } else { durable };
        let next = self.fuse.held_at().map_or(durable + 1, |held| held.min(durable + 1));
        if next > self.committed {
            self.committed = next;
            ports.commit(next);
        }
    }
}

/// When a tick must step the key; never while it is diverted.
pub(super) fn deadline_of<S: Stage>(
    key: &str,
    row: &crate::codec::snapshot::Row<S::Head>,
    rules: &S::Rules,
) -> Option<LogTime> {
    if row.diverted_through.is_some() { None } else { S::deadline(key, &row.state, rules) }
}
