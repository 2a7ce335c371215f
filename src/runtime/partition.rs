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
    ports::{Arrival, Ports, Publish},
    seal::OpenSeal,
    sides::Sides,
};
use crate::codec::{
    DecodeError, StageCodec, avro::Schema, frame::SourcePos, headers::ce_time, raw::RawRecord,
};
use crate::domain::time::LogTime;
use crate::stages::Stage;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// What a partition is bound to for its whole life.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Number of the input log's incarnation (`log_incarnation`).
    pub incarnation: i32,
    pub partition: i32,
    pub partitions: i32,
    pub buckets: u32,
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

/// Why a partition does not go on. None of these loses anything: the record stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The record was written with a schema this build does not know: we are older than its writer.
    SchemaUnknown { offset: i64, schema: Schema },
    /// A tick activates logic this build does not have.
    LogicUnknown { offset: i64, version: i32 },
    /// Too many dead letters; waits for an operator's release.
    FuseBlown { offset: i64 },
    /// The committed offset does not stand at a tick (pipeline.md section 6).
    StartIsNoTick { offset: i64 },
    /// A row of the store cannot be read.
    StateUnreadable { key: String, reason: String },
    /// A stored position lies at or above the end of the log.
    StateAhead { key: String, pos: i64 },
}

impl Halt {
    /// Stable code for logs, metrics and runbooks.
    pub fn code(&self) -> &'static str {
        match self {
            Halt::SchemaUnknown { .. } => "schema_unknown",
            Halt::LogicUnknown { .. } => "logic_unknown",
            Halt::FuseBlown { .. } => "fuse_blown",
            Halt::StartIsNoTick { .. } => "no_start_point",
            Halt::StateUnreadable { .. } => "state_unreadable",
            Halt::StateAhead { .. } => "offset_outside_log",
        }
    }
}

/// A fetched record, decoded as far as it can be.
pub(super) struct Queued<I> {
    pub raw: RawRecord,
    pub input: Result<I, DecodeError>,
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
    pub(super) codec: C,
    pub(super) heads: Heads<S::Head>,
    pub(super) deadlines: Deadlines,
    pub(super) in_force: InForce,
    pub(super) rules: BTreeMap<i32, Arc<S::Rules>>,
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
    pub(super) seal: Option<OpenSeal>,
    pub(super) seals: u64,
    /// Offsets of ticks that we judged fresh and have not committed past, ascending.
    pub(super) fresh_ticks: VecDeque<i64>,
    pub(super) fuse: Fuse,
    pub(super) halted: Option<Halt>,
    /// While the fuse is blown the queue is searched for its release and dropped.
    pub(super) searching_release: bool,
    pub(super) outbox: Vec<Publish>,
    pub(super) outbox_first: i64,
    pub(super) counts: Counts,
    pub(super) scratch: Vec<u8>,
    /// `ce_time` of the log time, written once per tick.
    pub(super) log_time_text: String,
}

impl<S: Stage, C: StageCodec<S>> Partition<S, C> {
    /// `first_rules`: the rules in force before any tick (version 1).
    pub fn new(binding: Binding, limits: Limits, codec: C, first_rules: Arc<S::Rules>) -> Self {
        let in_force = InForce::at_the_beginning(S::LOGIC_VERSIONS[0]);
        Self {
            limits,
            codec,
            heads: Heads::default(),
            deadlines: Deadlines::default(),
            in_force,
            rules: BTreeMap::from([(in_force.rules_version, first_rules)]),
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
            seal: None,
            seals: 0,
            fresh_ticks: VecDeque::new(),
            fuse: Fuse::new(limits.fuse),
            halted: None,
            searching_release: false,
            outbox: Vec::new(),
            outbox_first: 0,
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
                self.index_deadlines();
            }
            Arrival::Fetched(records) => self.enqueue(records, ports),
            Arrival::Acknowledged { ticket } => self.acks.acknowledge(ticket),
            Arrival::Written { seal, index } => self.written(seal, index),
            Arrival::SideRow { below, item, version } => self.sides.answer(below, item, version),
            Arrival::Rules { version, rules } => {
                self.rules.insert(version, rules);
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
                Ok(row) => self.heads.load(&key, row),
                Err(error) => {
                    self.halted =
                        Some(Halt::StateUnreadable { key: key.into(), reason: error.to_string() });
                }
            }
        }
    }

    /// A row at or above the end of the log belongs to a log that lost its tail, or to another one.
    fn refuse_rows_ahead(&mut self, log_end: i64) {
        let ahead = self.heads.iter().find(|(_, entry)| entry.row.pos >= log_end);
        if let Some((key, entry)) = ahead {
            self.halted = Some(Halt::StateAhead { key: key.to_string(), pos: entry.row.pos });
        }
    }

    /// Builds the index of deadlines from the heads: at takeover, and when other rules apply.
    pub(super) fn index_deadlines(&mut self) {
        self.deadlines.clear();
        let rules = self.rules[&self.in_force.rules_version].clone();
        for (key, entry) in self.heads.iter_mut() {
            entry.deadline = deadline_of::<S>(&entry.row, &rules);
            self.deadlines.update(key, None, entry.deadline);
        }
    }

    /// Decodes the record that stopped the partition once more.
    fn retry(&mut self) {
        if let Some(Halt::SchemaUnknown { .. }) = self.halted
            && let Some(front) = self.queue.front_mut()
        {
            front.input = self.codec.decode(&front.raw);
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
            if self.searching_release {
                self.search_release(raw.offset, &input, ports);
                continue;
            }
            let queued = Queued { raw, input };
            let may_ask = self.loaded;
            #[cfg(test)]
            let may_ask = may_ask || sabotage::on(Bug::ReadBeforeHeadLoaded);
            if may_ask {
                self.ask_ahead(&queued, ports);
            }
            self.queue.push_back(queued);
        }
    }

    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    pub fn source(&self, offset: i64) -> SourcePos {
        SourcePos {
            incarnation: self.binding.incarnation,
            partition: self.binding.partition,
            offset,
        }
    }

    pub fn in_force(&self) -> InForce {
        self.in_force
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn halted(&self) -> Option<&Halt> {
        self.halted.as_ref()
    }

    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Offset of the last record applied or skipped.
    pub fn applied(&self) -> i64 {
        self.applied
    }

    pub fn durable(&self) -> i64 {
        self.durable
    }

    pub fn committed(&self) -> i64 {
        self.committed
    }

    /// Records taken in and not yet applied.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Codes of the dead letters since the last call, one each.
    pub fn take_letter_codes(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.letter_codes)
    }

    /// Broker's time of the last record that is durable.
    pub fn durable_broker_ms(&self) -> Option<i64> {
        self.durable_broker_ms
    }

    /// Broker's time of the last record applied, and of the oldest one that waits.
    pub fn applied_broker_ms(&self) -> Option<i64> {
        self.applied_broker_ms
    }

    pub fn oldest_pending_broker_ms(&self) -> Option<i64> {
        self.queue.front().map(|queued| queued.raw.timestamp_ms)
    }

    pub fn heads(&self) -> &Heads<S::Head> {
        &self.heads
    }

    pub fn records_in_flight(&self) -> usize {
        self.acks.records_in_flight()
    }

    /// A seal is open.
    pub fn is_sealing(&self) -> bool {
        self.seal.is_some()
    }

    /// Something outside is still to answer: the partition waits, it is not stuck.
    pub fn awaits_outside(&self) -> bool {
        !self.loaded
            || self.seal.is_some()
            || self.acks.records_in_flight() > 0
            || self.rules_asked.is_some()
    }

    /// Nothing is left to write: safe to leave the group.
    pub fn is_drained(&self) -> bool {
        self.draining && self.seal.is_none() && self.durable >= self.applied
    }
}

/// When a tick must step the key; never while it is diverted.
pub(super) fn deadline_of<S: Stage>(
    row: &crate::codec::snapshot::Row<S::Head>,
    rules: &S::Rules,
) -> Option<LogTime> {
    if row.diverted_through.is_some() { None } else { S::deadline(&row.state, rules) }
}
