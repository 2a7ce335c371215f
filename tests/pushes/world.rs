//! One world: log, store, gateways and workers, in one thread and in simulated time.
//!
//! Owns what exists and what happens next. Workers crash, are taken over with or without notice, and
//! may live on as zombies; publishes of a crashed worker may have arrived or not; commits get lost.
//! At `HEALED_MS` everything heals, and the world must drain.

use super::gateway::{self, Mode, Request};
use super::judge::Violation;
use super::records::{self, PARTITIONS, Placed};
use crate::codec::{avro::RegistryIds, limits::Sizes, push::PushCodec, raw::RawRecord};
use crate::domain::{
    feed::ItemChange,
    ids::CustomerId,
    push::{Answer, Device, Notification, Outcome, Platform, Targets},
    reason::Reason,
};
use crate::runtime::{
    dispatch::{Arrival, Dispatch, DispatchPorts, Options, PushSettings},
    fuse::FuseSettings,
    ports::{Publish, PublishTopic},
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The first moment: a Monday noon in UTC.
pub const START_MS: i64 = 1_790_000_000_000;
const HEALED_MS: i64 = START_MS + 60_000;

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

/// What an executor asked for.
enum Asked {
    Resolve(u64, CustomerId),
    Send(u64, Device, Notification),
    Publish(u64, Publish),
    Forget(CustomerId, Device),
    Commit(i32, i64),
}

#[derive(Default)]
struct Collected(Vec<Asked>);

impl DispatchPorts for Collected {
    fn resolve(&mut self, ask: u64, customer: &CustomerId) {
        self.0.push(Asked::Resolve(ask, customer.clone()));
    }
    fn send(&mut self, attempt: u64, device: &Device, notification: &Notification) {
        self.0.push(Asked::Send(attempt, device.clone(), notification.clone()));
    }
    fn publish(&mut self, ticket: u64, record: Publish) {
        self.0.push(Asked::Publish(ticket, record));
    }
    fn forget_device(&mut self, customer: &CustomerId, device: &Device) {
        self.0.push(Asked::Forget(customer.clone(), device.clone()));
    }
    fn commit(&mut self, partition: i32, next_offset: i64) {
        self.0.push(Asked::Commit(partition, next_offset));
    }
}

enum Event {
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
    fetched: BTreeMap<i32, i64>,
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
    asked: BTreeMap<i32, i64>,
    /// One commit in eight gets lost.
    loses_commits: bool,
    pub workers: Vec<Worker>,
    /// The life that owns the partition.
    owners: BTreeMap<i32, u64>,
    /// Who has ever owned what: nobody gets a partition twice, so that a life has one tenure.
    tenures: BTreeSet<(u64, i32)>,
    events: BTreeMap<(i64, u64), Event>,
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

    pub fn random(seed: u64, print: bool) -> Self {
        let mut chance = Chance::of(seed);
        let settings = PushSettings {
            age_max: Duration::from_secs([15, 40, 120, 600][chance.below(4) as usize]),
            in_flight_max: [1, 2, 8, 64][chance.below(4) as usize],
            waiting_max: [4, 12, 60, 1_000][chance.below(4) as usize],
            rate_max: [20, 200, 2_000][chance.below(3) as usize],
            attempt_timeout: Duration::from_secs([2, 10][chance.below(2) as usize]),
            devices_max: 3,
        };
        let mut world = Self::bare(settings);
        (world.chance, world.print) = (chance, print);
        world.mute = world.chance.one_in(12);
        world.loses_commits = true;
        world.store_ms = [5, 50, 4_000][world.chance.below(3) as usize];
        world.people();
        world.script();
        world.faults();
        world.start();
        world
    }

    fn people(&mut self) {
        for number in 0..self.chance.between(1, 6) {
            let devices = (0..self.chance.below(5)).map(|own| {
                let platform = Platform::ALL[self.chance.below(3) as usize];
                device(platform, &format!("token-{number}-{own}"))
            });
            let mut targets = Targets { devices: devices.collect(), ..Targets::default() };
            if self.chance.one_in(6) {
                targets.preferences.off.push(crate::domain::push::NoticeKind::AmountChanged);
            }
            if self.chance.one_in(6) {
                targets.preferences.smallest_minor.insert("EUR".into(), 1_250);
            }
            self.targets.insert(customer(number).as_str().into(), targets);
        }
    }

    fn script(&mut self) {
        let people = self.targets.len() as u64;
        let mut lines: Vec<(i64, String, i32)> = Vec::new();
        for number in 0..self.chance.between(15, 60) {
            let at_ms = START_MS + self.chance.between(0, 55_000);
            let is_known = !lines.is_empty() && self.chance.one_in(2);
            let (who, line, version) = if is_known {
                let known = self.chance.below(lines.len() as u64) as usize;
                lines[known].2 += 1;
                lines[known].clone()
            } else {
                let line = (self.chance.below(people) as i64, format!("payment/p{number}"), 1);
                lines.push(line.clone());
                line
            };
            let item = match version {
                1 => records::purchase(&line),
                _ => records::cleared(&line, version, 1_200 + number),
            };
            let placed = Placed {
                customer: &customer(who),
                number: number as u64,
                at_ms,
                replayed: self.chance.one_in(20),
            };
            let mut record = records::record(&placed, item, 0);
            if self.chance.one_in(8) {
                let again_ms = at_ms + self.chance.between(1, 3_000);
                self.at(again_ms, Event::Append(Box::new(record.clone())));
            } else if self.chance.one_in(40) {
                record.value = Some(b"no frame".to_vec());
            }
            self.at(at_ms, Event::Append(Box::new(record)));
        }
        // Versions rise in the order of the log, whatever times were drawn.
        self.raise_versions();
    }

    /// Gives the lines' versions anew, in the order in which they are appended.
    fn raise_versions(&mut self) {
        let mut known: BTreeMap<String, (i32, BTreeMap<String, i32>)> = BTreeMap::new();
        for event in self.events.values_mut() {
            let Event::Append(record) = event else { continue };
            let ids = RegistryIds::default();
            let avro = crate::codec::avro::Avro::of(crate::codec::schemas::Subject::FeedItems);
            let bytes = record.value.clone().unwrap_or_default();
            let decoded = avro.decode::<crate::domain::feed::FeedRecord>(&bytes, &ids);
            let Ok(mut value) = decoded else { continue };
            let source = record.headers.text("tapline-src").unwrap_or_default().to_owned();
            if let crate::domain::feed::FeedBody::Item(item) = &mut value.body {
                let line = format!("{}/{}", value.account_id, item.item_id);
                let (newest, given) = known.entry(line).or_default();
                // A copy has the version of the first.
                item.version = *given.entry(source).or_insert_with(|| {
                    *newest += 1;
                    *newest
                });
                if item.version > 1 && item.change == ItemChange::Authorised {
                    item.change = ItemChange::Declined;
                    item.reason = Some(Reason::DailyLimit);
                }
            }
            let mut bytes = Vec::new();
            avro.encode(&value, &mut bytes);
            record.value = Some(bytes);
        }
    }

    fn faults(&mut self) {
        let span = HEALED_MS - START_MS;
        for _ in 0..self.chance.below(5) {
            let at_ms = START_MS + self.chance.between(0, span);
            let platform = Platform::ALL[self.chance.below(3) as usize];
            let fault = gateway::FAULTS[self.chance.below(8) as usize];
            self.at(at_ms, Event::Mode(platform, fault));
            let end_ms = (at_ms + self.chance.between(500, 40_000)).min(HEALED_MS);
            self.at(end_ms, Event::Mode(platform, Mode::Well));
        }
        for platform in Platform::ALL {
            self.at(HEALED_MS, Event::Mode(platform, Mode::Well));
        }
        for _ in 0..self.chance.below(4) {
            let at_ms = START_MS + self.chance.between(0, span);
            let event = if self.chance.one_in(2) { Event::Crash } else { Event::TakeOver };
            self.at(at_ms, event);
        }
    }

    fn at(&mut self, at_ms: i64, event: Event) {
        self.next_event += 1;
        self.events.insert((at_ms.max(self.now_ms), self.next_event), event);
    }

    fn after(&mut self, in_ms: i64, event: Event) {
        self.at(self.now_ms + in_ms, event);
    }

    fn trace(&self, text: impl FnOnce() -> String) {
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

    fn stored_in_log(&mut self, mut record: RawRecord) {
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

    fn new_worker(&mut self) -> u64 {
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

    fn assign(&mut self, life: u64, partition: i32) {
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
    fn tell(&mut self, life: u64, arrival: Arrival) {
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

    fn act(&mut self, life: u64, asked: Asked) {
        match asked {
            Asked::Resolve(ask, customer) => {
                let in_ms = self.chance.between(0, self.store_ms);
                self.after(in_ms, Event::Targets { life, ask, customer });
            }
            Asked::Send(attempt, device, notification) => {
                self.request(life, attempt, &device, notification);
            }
            Asked::Publish(ticket, record) => {
                let in_ms = self.chance.between(0, 20);
                self.after(in_ms, Event::Store { life, ticket, record: Box::new(record) });
            }
            Asked::Forget(customer, device) => {
                self.seen.count("forgotten", 1);
                if let Some(targets) = self.targets.get_mut(&customer) {
                    targets.devices.retain(|known| known.token != device.token);
                }
            }
            Asked::Commit(partition, next) => self.commit(life, partition, next),
        }
    }

    fn request(&mut self, life: u64, attempt: u64, device: &Device, notification: Notification) {
        let mode = self.modes[&device.platform];
        let (accepted, answer) = gateway::serve(mode, self.chance.draw());
        let field = |name| notification.fields.iter().find(|(known, _)| *known == name);
        let id: Box<str> = field("obligation").map_or("".into(), |(_, id)| id.clone());
        self.seen.count("sends", 1);
        self.seen.count("accepted", u64::from(accepted));
        self.seen.count("lost answers", u64::from(accepted && answer.is_none()));
        self.trace(|| {
            let name = device.platform.name();
            format!("life {life} sends {} to {name} ({mode:?}): {answer:?}", notification.key)
        });
        self.journal.push(Request {
            at_ms: self.now_ms,
            platform: device.platform,
            token: device.token.clone(),
            life,
            id,
            notification,
            accepted,
        });
        if let Some((answer, in_ms)) = answer {
            self.after(in_ms, Event::Answer { life, attempt, answer });
        }
    }

    /// Only the owner's commits count, and one in eight gets lost.
    fn commit(&mut self, life: u64, partition: i32, next: i64) {
        if self.owners.get(&partition) != Some(&life) {
            return;
        }
        if let Some(found) = super::judge::at_commit(self, partition, next) {
            self.violation.get_or_insert(found);
        }
        self.asked.insert(partition, next);
        if self.loses_commits && self.now_ms < HEALED_MS && self.chance.one_in(8) {
            return;
        }
        self.trace(|| format!("life {life} commits {partition}: {next}"));
        self.committed.insert(partition, next);
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

    fn happen(&mut self, event: Event) {
        match event {
            Event::Append(record) => self.stored_in_log(*record),
            Event::Poll => {
                self.poll();
                self.after(20, Event::Poll);
            }
            Event::Targets { life, ask, customer } => {
                let targets = self.targets.get(&customer).cloned().unwrap_or_default();
                self.tell(life, Arrival::Targets { ask, targets });
            }
            Event::Answer { life, attempt, answer } => {
                self.tell(life, Arrival::Answered { attempt, answer });
            }
            Event::Store { life, ticket, record } => {
                let at_ms = self.now_ms;
                let lives = self.workers.iter().any(|worker| worker.life == life);
                if !lives && self.chance.one_in(2) {
                    return;
                }
                self.trace(|| format!("life {life} stored {ticket}"));
                let stored = Stored { at_ms, record: *record };
                match stored.record.topic {
                    PublishTopic::DeadLetters => self.letters.push(stored),
                    PublishTopic::Output(_) => self.outcomes.push(stored),
                }
                let in_ms = self.chance.between(0, 20);
                self.after(in_ms, Event::Ack { life, ticket });
            }
            Event::Ack { life, ticket } => self.tell(life, Arrival::Acknowledged { ticket }),
            Event::Mode(platform, mode) => {
                self.trace(|| format!("{} is {mode:?}", platform.name()));
                self.modes.insert(platform, mode);
            }
            Event::Crash => self.crash(),
            Event::TakeOver => self.take_over(),
            Event::Tell { life, partition } => {
                if let Some(worker) = self.workers.iter_mut().find(|worker| worker.life == life) {
                    worker.fetched.remove(&partition);
                }
                self.tell(life, Arrival::Revoked { partition });
            }
        }
    }

    /// Each worker fetches what it may of what it believes to own.
    fn poll(&mut self) {
        let lives: Vec<u64> = self.workers.iter().map(|worker| worker.life).collect();
        for (life, partition) in
            lives.into_iter().flat_map(|life| (0..PARTITIONS).map(move |it| (life, it)))
        {
            let most = self.chance.between(1, 8) as usize;
            let Some(worker) = self.workers.iter_mut().find(|worker| worker.life == life) else {
                continue;
            };
            let Some(next) = worker.fetched.get_mut(&partition) else { continue };
            if worker.dispatch.is_full() || worker.dispatch.backlog(partition) > 0 {
                continue;
            }
            let fresh = self.log[&partition].iter().filter(|record| record.offset >= *next);
            let records: Vec<RawRecord> = fresh.take(most).cloned().collect();
            if let Some(last) = records.last() {
                *next = last.offset + 1;
                self.tell(life, Arrival::Fetched { partition, records });
            }
        }
    }

    /// Kills every worker; a new one goes on from what is committed.
    pub fn crash(&mut self) {
        self.trace(|| "crash".to_owned());
        self.seen.count("crashes", 1);
        for worker in std::mem::take(&mut self.workers) {
            let counts = worker.dispatch.counts();
            self.seen.count("copies", counts.copies);
            self.seen.count("retries", counts.retries.values().sum());
        }
        self.start();
    }

    /// Another worker gets one partition; the former owner hears of it at once, or later.
    fn take_over(&mut self) {
        let partition = self.chance.between(0, i64::from(PARTITIONS) - 1) as i32;
        let former = self.owners[&partition];
        self.seen.count("takeovers", 1);
        let lives = self.workers.iter().map(|worker| worker.life);
        let other = lives.filter(|life| !self.tenures.contains(&(*life, partition))).min();
        let next = match other {
            Some(other) if self.chance.one_in(2) => other,
            _ => self.new_worker(),
        };
        let late_ms = if self.chance.one_in(2) { 0 } else { self.chance.between(1, 20_000) };
        self.seen.count("zombies", u64::from(late_ms > 0));
        self.trace(|| format!("life {next} takes {partition} over from {former}, told {late_ms}"));
        self.after(late_ms, Event::Tell { life: former, partition });
        self.assign(next, partition);
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
