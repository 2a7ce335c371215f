//! One world: log, store, gateways and workers, in one thread and in simulated time.
//!
//! Owns what exists and what happens next. Workers crash, are taken over with or without notice, and
//! may live on as zombies; publishes of a crashed worker may have arrived or not; commits get lost.
//! At `HEALED_MS` everything heals, and the world must drain.

use super::asked::Collected;
use super::gateway::{Mode, Request};
use super::judge::Violation;
use super::records::{self, PARTITIONS, Placed};
use crate::codec::{avro::RegistryIds, limits::Sizes, push::PushCodec, raw::RawRecord};
use crate::domain::{
    ids::CustomerId,
    push::{Answer, Device, Outcome, Platform, Targets},
};
use crate::runtime::{
    dispatch::{Arrival, Dispatch, Options, PushSettings},
    fuse::FuseSettings,
    ports::Publish,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};

/// The first moment: a Monday noon in UTC.
pub const START_MS: i64 = 1_790_000_000_000;
pub const HEALED_MS: i64 = START_MS + 60_000;

pub struct Chance(ChaCha8Rng);

impl Chance {
    pub fn of(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
    pub fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n.max(1)
    }
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from + 1) as u64) as i64
    }
}

pub enum Event {
    Append(Box<RawRecord>),
    Poll,
    Targets {
        life: u64,
        ask: u64,
        customer: CustomerId,
    },
    Answer {
        life: u64,
        attempt: u64,
        answer: Answer,
    },
    Store {
        life: u64,
        ticket: u64,
        record: Box<Publish>,
    },
    Ack {
        life: u64,
        ticket: u64,
    },
    Mode(Platform, Mode),
    Crash,
    TakeOver,
    /// A former owner hears of it.
    Tell {
        life: u64,
        partition: i32,
    },
}

pub struct Worker {
    pub life: u64,
    pub dispatch: Dispatch,
    /// What it owns, or believes to own; next offset to fetch.
    pub fetched: BTreeMap<i32, i64>,
}

#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeMap<&'static str, u64>);

impl Seen {
    pub fn count(&mut self, what: &'static str, by: u64) {
        *self.0.entry(what).or_default() += by;
    }
    pub fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }
    pub fn add(&mut self, other: &Seen) {
        other.0.iter().for_each(|(what, by)| self.count(what, *by));
    }
}

/// A stored record of the outcomes or the dead letters.
pub struct Stored {
    pub at_ms: i64,
    pub record: Publish,
}

pub struct World {
    pub now_ms: i64,
    pub chance: Chance,
    pub settings: PushSettings,
    pub mute: bool,
    pub print: bool,
    pub log: BTreeMap<i32, Vec<RawRecord>>,
    pub targets: BTreeMap<CustomerId, Targets>,
    pub modes: BTreeMap<Platform, Mode>,
    pub journal: Vec<Request>,
    pub outcomes: Vec<Stored>,
    pub letters: Vec<Stored>,
    pub committed: BTreeMap<i32, i64>,
    /// What the owners asked for last; it counts once the world is healed.
    pub asked: BTreeMap<i32, i64>,
    /// One commit in eight gets lost.
    pub loses_commits: bool,
    pub workers: Vec<Worker>,
    /// The life that owns the partition.
    pub owners: BTreeMap<i32, u64>,
    /// Who has ever owned what: nobody gets a partition twice, so that a life has one tenure.
    pub tenures: BTreeSet<(u64, i32)>,
    pub events: BTreeMap<(i64, u64), Event>,
    next_event: u64,
    next_life: u64,
    next_record: u64,
    /// How long the store takes at most.
    pub store_ms: i64,
    pub seen: Seen,
    pub violation: Option<Violation>,
}

impl World {
    /// A world without faults and records: one worker owns all.
    pub fn bare(settings: PushSettings) -> Self {
        let mut world = Self {
            now_ms: START_MS,
            chance: Chance::of(1),
            settings,
            mute: false,
            print: false,
            log: (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect(),
            targets: BTreeMap::new(),
            modes: Platform::ALL.into_iter().map(|platform| (platform, Mode::Well)).collect(),
            journal: Vec::new(),
            outcomes: Vec::new(),
            letters: Vec::new(),
            committed: (0..PARTITIONS).map(|partition| (partition, 0)).collect(),
            asked: BTreeMap::new(),
            loses_commits: false,
            workers: Vec::new(),
            owners: BTreeMap::new(),
            tenures: BTreeSet::new(),
            events: BTreeMap::new(),
            next_event: 0,
            next_life: 0,
            next_record: 0,
            store_ms: 10,
            seen: Seen::default(),
            violation: None,
        };
        world.after(0, Event::Poll);
        world
    }

    pub fn start(&mut self) {
        let life = self.new_worker();
        for partition in 0..PARTITIONS {
            self.assign(life, partition);
        }
    }

    pub fn at(&mut self, at_ms: i64, event: Event) {
        self.next_event += 1;
        self.events.insert((at_ms.max(self.now_ms), self.next_event), event);
    }

    pub fn after(&mut self, in_ms: i64, event: Event) {
        self.at(self.now_ms + in_ms, event);
    }

    pub fn trace(&self, text: impl FnOnce() -> String) {
        if self.print {
            println!("{:>9} {}", self.now_ms - START_MS, text());
        }
    }

    /// Appends a record of a case, now.
    pub fn append(&mut self, customer: &str, item: crate::domain::feed::FeedItem) -> u64 {
        self.append_aged(customer, item, 0)
    }

    /// The same, of a command that is so old.
    pub fn append_aged(
        &mut self,
        customer: &str,
        item: crate::domain::feed::FeedItem,
        age_ms: i64,
    ) -> u64 {
        self.next_record += 1;
        let (number, at_ms) = (self.next_record, self.now_ms - age_ms);
        let placed = Placed { customer, number, at_ms, replayed: false };
        let record = records::record(&placed, item, 0);
        self.stored_in_log(record);
        number
    }

    pub fn stored_in_log(&mut self, mut record: RawRecord) {
        let log = self.log.entry(record.partition).or_default();
        // Offsets have gaps where a log has its own records.
        record.offset =
            log.last().map_or(0, |last| last.offset + 1 + (last.offset % 7 == 3) as i64);
        log.push(record);
    }

    pub fn log_end(&self, partition: i32) -> i64 {
        self.log[&partition].last().map_or(0, |last| last.offset + 1)
    }

    pub fn codec() -> PushCodec {
        PushCodec::new(PARTITIONS, Sizes::default(), RegistryIds::default(), "")
    }

    pub fn new_worker(&mut self) -> u64 {
        self.next_life += 1;
        let options = Options {
            settings: self.settings,
            fuse: FuseSettings::default(),
            mute: self.mute,
            seed: self.next_life,
        };
        let dispatch = Dispatch::new(options, Self::codec(), self.now_ms);
        let life = self.next_life;
        self.workers.push(Worker { life, dispatch, fetched: BTreeMap::new() });
        life
    }

    pub fn assign(&mut self, life: u64, partition: i32) {
        let start = self.committed[&partition];
        self.asked.remove(&partition);
        self.owners.insert(partition, life);
        self.tenures.insert((life, partition));
        if let Some(worker) = self.workers.iter_mut().find(|worker| worker.life == life) {
            worker.fetched.insert(partition, start);
        }
        self.tell(life, Arrival::Assigned { partition, start });
    }

    /// Hands an arrival to a worker that still lives and does what it then asks for.
    pub fn tell(&mut self, life: u64, arrival: Arrival) {
        let now_ms = self.now_ms;
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.life == life) else {
            return;
        };
        let mut ports = Collected::default();
        worker.dispatch.handle(arrival, now_ms, &mut ports);
        let (held, waiting) = (worker.dispatch.held(), worker.dispatch.waiting());
        if worker.dispatch.is_full() {
            self.seen.count("full", 1);
        }
        let waiting_max = self.settings.waiting_max;
        let held_max = 12 * waiting_max + 10 * self.settings.in_flight_max + 200;
        if waiting > waiting_max || held > held_max {
            let found = format!("{waiting} wait of {waiting_max}, {held} held of {held_max}");
            self.violation.get_or_insert(("memory is bounded", found));
        }
        for asked in ports.0 {
            self.act(life, asked);
        }
    }

    /// Until everything is committed, or far too much time has gone by.
    pub fn live(&mut self) {
        let end_ms = HEALED_MS + self.settings.age_max.as_millis() as i64 + 120_000;
        while self.violation.is_none() && self.now_ms < end_ms && !self.is_done() {
            self.step();
        }
        self.committed.append(&mut self.asked.clone());
        for worker in &self.workers {
            for partition in worker.dispatch.partitions() {
                self.trace(|| {
                    let dispatch = &worker.dispatch;
                    format!(
                        "life {} at {partition}: position {:?}, halted {:?}, {} wait, {} behind",
                        worker.life,
                        dispatch.position(partition),
                        dispatch.halted(partition),
                        dispatch.waiting_in(partition),
                        dispatch.backlog(partition)
                    )
                });
            }
        }
        for outcome in super::judge::outcomes(self) {
            self.seen.count(outcome.outcome.name(), 1);
        }
        for worker in &self.workers {
            let counts = worker.dispatch.counts();
            self.seen.count("copies", counts.copies);
            self.seen.count("retries", counts.retries.values().sum());
            let opened: u64 = worker.dispatch.gates().map(|gate| gate.opened).sum();
            self.seen.count("breakers opened", opened);
        }
        self.seen.count("letters", self.letters.len() as u64);
        self.seen.count("obligations", super::judge::obligations(self).len() as u64);
    }

    pub fn run_until(&mut self, until_ms: i64) {
        while self.now_ms < until_ms {
            self.step();
        }
    }

    pub fn run_for(&mut self, span_ms: i64) {
        self.run_until(self.now_ms + span_ms);
    }

    fn is_done(&self) -> bool {
        let is_whole = |partition: &i32| {
            let reached = self.asked.get(partition).unwrap_or(&self.committed[partition]);
            *reached == self.log_end(*partition)
        };
        self.now_ms > HEALED_MS && self.log.keys().all(is_whole)
    }

    /// The next event or wake-up, whichever is sooner.
    fn step(&mut self) {
        let wake = self
            .workers
            .iter()
            .filter_map(|worker| worker.dispatch.wake_ms().map(|wake_ms| (wake_ms, worker.life)));
        let wake = wake.min();
        let event_ms = self.events.first_key_value().map_or(i64::MAX, |((at_ms, _), _)| *at_ms);
        match wake {
            Some((wake_ms, life)) if wake_ms < event_ms => {
                self.now_ms = self.now_ms.max(wake_ms);
                self.tell(life, Arrival::Wake);
            }
            _ => {
                let Some(((at_ms, _), event)) = self.events.pop_first() else { return };
                self.now_ms = self.now_ms.max(at_ms);
                self.happen(event);
            }
        }
    }

    /// Of everything that was requested and said.
    pub fn hash(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        for request in &self.journal {
            (request.at_ms, &request.notification.key, request.accepted).hash(&mut hasher);
        }
        for stored in &self.outcomes {
            (stored.at_ms, &stored.record.value).hash(&mut hasher);
        }
        hasher.finish()
    }

    pub fn count(&self, outcome: Outcome) -> usize {
        super::judge::outcomes(self).iter().filter(|it| it.outcome == outcome).count()
    }
}

pub fn customer(number: i64) -> String {
    format!("customer-{number}")
}

pub fn device(platform: Platform, token: &str) -> Device {
    Device {
        device_id: token.into(),
        platform,
        token: token.into(),
        p256dh: "".into(),
        auth: "".into(),
    }
}
