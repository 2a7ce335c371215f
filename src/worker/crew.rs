//! The crew of one stage: who owns which partition, and how records reach it.
//!
//! Owns the partition threads. An assignment starts one per partition, a revocation ends them at
//! once (nothing is waited for: a late writer writes the same bytes). A partition whose queue stays
//! full is left alone, what was fetched for it is dropped, and it is fetched again when it has room.

use super::{
    inbox::Inbox,
    owned::{Drained, Owned},
    ports::{Edges, LivePorts, ParseRules},
    ticker::{EncodeTick, Ticker},
};
use crate::adapters::{
    cassandra::store::LogPartition,
    kafka::intake::{Assigned, Owner},
};
use crate::codec::{StageCodec, raw::RawRecord};
use crate::runtime::{
    board::HealthBoard,
    failure::pauses,
    partition::{Binding, Limits, Partition},
    ports::Arrival,
    settings::RuntimeConfig,
    telemetry::{self, StageMeters},
};
use crate::stages::Stage;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Heads are handed over in portions of this many rows.
const LOAD_ROWS: usize = 1_000;
/// Buckets read at the same time at takeover.
const LOAD_BUCKETS: usize = 8;
/// How long the consumer waits for room before it leaves a partition alone.
const ROOM_WAIT_MS: u64 = 2_000;

/// What makes a stage live: its codec and how its records and rules are written.
pub struct Live<S: Stage, C> {
    pub codec: Arc<dyn Fn() -> C + Send + Sync>,
    pub first_rules: Arc<S::Rules>,
    pub parse_rules: ParseRules<S::Rules>,
    pub encode_tick: Option<EncodeTick>,
}

pub struct CrewSettings {
    pub incarnation: i32,
    pub partitions: i32,
    pub runtime: RuntimeConfig,
    pub read_buckets: u32,
    pub limits: Limits,
    /// Full name of the input topic.
    pub topic: String,
}

struct Member<R> {
    inbox: Inbox<R>,
    thread: Option<JoinHandle<()>>,
    drained: Drained,
    dropped: Option<Dropped>,
}

/// Records were dropped for want of room, from this offset on.
#[derive(Clone, Copy)]
struct Dropped {
    from: i64,
    /// They are being fetched again.
    sought: bool,
}

pub struct Crew<S: Stage, C: StageCodec<S>> {
    edges: Arc<Edges>,
    live: Live<S, C>,
    settings: CrewSettings,
    board: Arc<HealthBoard>,
    members: BTreeMap<i32, Member<S::Rules>>,
}

impl<S: Stage, C: StageCodec<S>> Crew<S, C> {
    pub fn new(
        edges: Arc<Edges>,
        live: Live<S, C>,
        settings: CrewSettings,
        board: Arc<HealthBoard>,
    ) -> Self {
        Self { edges, live, settings, board, members: BTreeMap::new() }
    }

    fn take_over(&mut self, assigned: Assigned, card: crate::runtime::board::Card) {
        let number = assigned.partition;
        let start = match start_of(&assigned, &self.settings.topic) {
            Ok(start) => start,
            Err((code, sentence)) => super::refuse(code, &sentence),
        };
        let binding = Binding {
            incarnation: self.settings.incarnation,
            partition: number,
            partitions: self.settings.partitions,
            buckets: self.settings.runtime.buckets_per_partition,
            read_buckets: self.settings.read_buckets,
            start,
        };
        let log = LogPartition { incarnation: binding.incarnation, partition: number };
        let (inbox, arrivals) = Inbox::new();
        let drained: Drained = Arc::new(AtomicI64::new(-1));
        let codec = (self.live.codec)();
        let rules = self.live.first_rules.clone();
        let ticker =
            self.live.encode_tick.zip(self.settings.runtime.ticks).map(|(encode, every)| {
                let (sender, topic) = (self.edges.sender.clone(), self.settings.topic.clone());
                Ticker::new(
                    sender,
                    topic,
                    number,
                    encode,
                    every,
                    self.settings.runtime.clock_skew_max,
                )
            });
        let owned = Owned {
            partition: Partition::<S, C>::new(binding, self.settings.limits, codec, rules),
            ports: LivePorts::new(self.edges.clone(), inbox.clone(), log, self.live.parse_rules),
            inbox: inbox.clone(),
            arrivals,
            ticker,
            seal_every: self.settings.runtime.seal_interval,
            card,
            meters: StageMeters::new(S::NAME),
            drained: drained.clone(),
        };
        self.load(inbox.clone(), log, binding.buckets);
        let thread = std::thread::Builder::new()
            .name(format!("{}-{number}", S::NAME))
            .spawn(move || super::run_or_end(|| owned.run()));
        match thread {
            Ok(thread) => {
                let member = Member { inbox, thread: Some(thread), drained, dropped: None };
                self.members.insert(number, member);
            }
            Err(error) => super::end_process(&format!("no thread for partition {number}: {error}")),
        }
    }

    /// Reads all heads of a partition into its inbox, some buckets at a time, then the log's end.
    fn load(&self, inbox: Inbox<S::Rules>, log: LogPartition, buckets: u32) {
        let edges = self.edges.clone();
        super::spawn_or_end(&self.edges.tokio, async move {
            let mut loads = tokio::task::JoinSet::new();
            let mut next = 0..buckets;
            for bucket in next.by_ref().take(LOAD_BUCKETS) {
                loads.spawn(load_bucket(edges.clone(), inbox.clone(), log, bucket));
            }
            while loads.join_next().await.is_some() {
                if let Some(bucket) = next.next() {
                    loads.spawn(load_bucket(edges.clone(), inbox.clone(), log, bucket));
                }
            }
            let intake = edges.intake.clone();
            let end = tokio::task::spawn_blocking(move || intake.log_end(log.partition)).await;
            if let Ok(Ok(end)) = end {
                inbox.send(Arrival::LogEnd(end));
            }
            inbox.send(Arrival::Loaded);
        });
    }

    /// Lets every partition finish what it has applied; returns committed offsets of those that did
    /// within the time.
    pub fn drain(&mut self, within: Duration) -> Vec<(i32, i64)> {
        for member in self.members.values() {
            member.inbox.send(Arrival::Drain);
        }
        let deadline_ms = telemetry::steady_ms() + within.as_millis() as u64;
        let is_drained = |member: &Member<S::Rules>| member.drained.load(Ordering::Acquire) >= 0;
        while !self.members.values().all(is_drained) && telemetry::steady_ms() < deadline_ms {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.members
            .iter()
            .filter(|(_, member)| is_drained(member))
            .map(|(number, member)| (*number, member.drained.load(Ordering::Acquire)))
            .collect()
    }

    fn let_go(&mut self, numbers: &[i32]) {
        for number in numbers {
            if let Some(mut member) = self.members.remove(number) {
                member.inbox.revoke();
                // The thread ends by itself within a millisecond or two; nobody waits for it.
                drop(member.thread.take());
            }
        }
    }
}

/// Where consumption begins, or why it must not.
fn start_of(assigned: &Assigned, topic: &str) -> Result<i64, (&'static str, String)> {
    let partition = assigned.partition;
    let Some(committed) = assigned.committed else {
        return Err((
            "no_start_point",
            format!(
                "the group has no committed offset for {topic}/{partition}; set 0 or an older tick \
                 with `tapline offsets set --execute`"
            ),
        ));
    };
    if committed < assigned.log_start || committed > assigned.log_end {
        return Err((
            "offset_outside_log",
            format!(
                "the committed offset {committed} of {topic}/{partition} lies outside the log \
                 ({}..{}); the log lost records: restore it, or rebuild from offset 0",
                assigned.log_start, assigned.log_end
            ),
        ));
    }
    Ok(committed)
}

async fn load_bucket<R: Send + Sync + 'static>(
    edges: Arc<Edges>,
    inbox: Inbox<R>,
    log: LogPartition,
    bucket: u32,
) {
    let mut pauses = pauses();
    loop {
        let mut rows = Vec::new();
        let take = |key: Box<str>, image: Vec<u8>| {
            rows.push((key, image));
            if rows.len() >= LOAD_ROWS {
                inbox.send(Arrival::Heads(std::mem::take(&mut rows)));
            }
        };
        let loaded = edges.store.load_heads(log, bucket, take).await;
        inbox.send(Arrival::Heads(rows));
        match loaded {
            Ok(()) => return,
            Err(failure) if inbox.is_revoked() => {
                tracing::debug!(%failure, "loading given up: revoked");
                return;
            }
            Err(failure) => {
                edges.meters.retried("store_load");
                tracing::warn!(stage = edges.stage, partition = log.partition, bucket, %failure,
                    "heads cannot be read yet; reading the bucket again");
            }
        }
        tokio::time::sleep(pauses.next().unwrap_or_default()).await;
    }
}

impl<S: Stage, C: StageCodec<S>> Owner for Crew<S, C> {
    fn assigned(&mut self, assigned: Vec<Assigned>) {
        self.edges.meters.rebalanced("assign");
        let numbers: Vec<u32> = assigned.iter().map(|one| one.partition as u32).collect();
        let now_ms = telemetry::steady_ms();
        let cards = self.board.assigned(S::NAME, &self.settings.topic, &numbers, now_ms);
        tracing::info!(stage = S::NAME, partitions = ?numbers, "partitions assigned");
        for (one, card) in assigned.into_iter().zip(cards) {
            card.update(|report| report.log_end = u64::try_from(one.log_end).ok());
            self.take_over(one, card);
        }
    }

    fn revoked(&mut self, partitions: Vec<i32>, lost: bool) {
        let code = if lost { "lost" } else { "revoke" };
        self.edges.meters.rebalanced(code);
        tracing::info!(stage = S::NAME, ?partitions, lost, "partitions revoked");
        self.let_go(&partitions);
        self.board.revoked(S::NAME);
    }

    fn fetched(&mut self, partition: i32, records: Vec<RawRecord>) {
        let Some(member) = self.members.get_mut(&partition) else { return };
        let Some(first) = records.first().map(|record| record.offset) else { return };
        // After dropping, only the record that was dropped first may come next.
        if member.dropped.is_some_and(|dropped| !dropped.sought || dropped.from != first) {
            return;
        }
        let (records_max, bytes_max) =
            (self.settings.runtime.inflight_records_max, self.settings.runtime.inflight_bytes_max);
        let is_full =
            |inbox: &Inbox<S::Rules>| inbox.records() >= records_max || inbox.bytes() >= bytes_max;
        let deadline_ms = telemetry::steady_ms() + ROOM_WAIT_MS;
        while is_full(&member.inbox) {
            if telemetry::steady_ms() >= deadline_ms {
                member.dropped = Some(Dropped { from: first, sought: false });
                return;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        member.dropped = None;
        member.inbox.queued(records.len(), records.iter().map(bytes_of).sum());
        member.inbox.send(Arrival::Fetched(records));
    }

    fn statistics(&mut self, is_connected: bool, log_ends: Vec<(i32, i64)>) {
        self.board.broker_connected(S::NAME, is_connected);
        for (partition, end) in log_ends {
            if let Ok(end) = u64::try_from(end) {
                self.board.log_end(S::NAME, partition as u32, end);
            }
        }
    }

    fn polled(&mut self) {
        let mut is_held = false;
        let records_max = self.settings.runtime.inflight_records_max;
        for (number, member) in &mut self.members {
            let Some(dropped) = &mut member.dropped else { continue };
            is_held = true;
            if !dropped.sought && member.inbox.records() < records_max / 2 {
                // Back to the first dropped record; the mark stays until exactly it arrives.
                self.edges.intake.seek(*number, dropped.from);
                dropped.sought = true;
            }
        }
        self.board.polled(S::NAME, is_held, telemetry::steady_ms());
    }

    fn failed(&mut self, error: String) {
        tracing::warn!(stage = S::NAME, error, "the consumer reports an error");
    }
}

fn bytes_of(record: &RawRecord) -> usize {
    record.key.as_ref().map_or(0, Vec::len)
        + record.value.as_ref().map_or(0, Vec::len)
        + record.headers.bytes()
}
