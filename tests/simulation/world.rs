//! One world: log and store twins, owners, tickers and the outside, in one thread.
//!
//! Owns what exists and which of all that could happen happens next. A seed decides everything.
//! `faults.rs` holds what goes wrong, `checks.rs` what must hold, `quiet.rs` the end without faults.

use super::checks::Violation;
use super::judge::{Judge, Target};
use super::owner::{Owner, Request, Requests, Write, codec};
use super::script::{self, Script};
use super::small::Fate;
use crate::adapters::memory::{MemoryLog, MemoryStore};
use crate::codec::{headers::HeaderList, partitioner::partition_of};
use crate::domain::command::PARTITION_KEY;
use crate::domain::time::LogTime;
use crate::runtime::fuse::FuseSettings;
use crate::runtime::partition::{Halt, Limits};
use crate::runtime::ports::{Arrival, Batch, Publish};
use crate::runtime::sabotage::{self, Bug};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub const INCARNATION: i32 = 7;
pub const BUCKETS: u32 = 2;
pub const RULES_VERSIONS: i32 = 3;
/// Topics by the judge's number: events, commands, dead letters.
pub const TOPICS: [&str; 3] = ["events", "commands", "letters"];
pub const KEYS: [&str; 12] =
    ["a0", "b1", "c2", "d3", "e4", "f5", "g6", "h7", "i8", "j9", "k10", "l11"];

/// Number of the action that loads a page of heads.
const LOAD: usize = 7;

/// The seed's numbers.
pub struct Chance(ChaCha8Rng);

impl Chance {
    pub fn of(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// 0 to `n - 1`; 0 for 0.
    pub fn below(&mut self, n: u64) -> u64 {
        u64::from(self.0.next_u32()) % n.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn place(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }
}

/// A write that left its sender and may still land.
pub struct Late {
    pub number: i32,
    pub batch: Arc<Batch>,
    pub replica: usize,
    pub clock_us: i64,
}

/// What a run saw.
#[derive(Clone, Default)]
pub struct Seen {
    pub commands: u64,
    pub takeovers: u64,
    pub zombies: u64,
    pub late_writes: u64,
    pub recalled: u64,
    pub expired: u64,
    pub letters: u64,
    pub events: u64,
    pub blown: u64,
    /// Crashes by named point.
    pub crashes: BTreeMap<&'static str, u64>,
}

pub struct World {
    pub chance: Chance,
    pub partitions: i32,
    pub replicas: Vec<MemoryStore>,
    pub log: MemoryLog,
    pub committed: Vec<i64>,
    pub judges: Vec<Judge>,
    /// (source partition, target) -> place of the next first copy
    pub next_copy: BTreeMap<(i32, Target), usize>,
    pub owners: Vec<Owner>,
    pub late: Vec<Late>,
    pub ghosts: Vec<(i32, Target, VecDeque<Publish>)>,
    pub script: Script,
    pub now: i64,
    pub ordered_rules: i32,
    pub limits: Limits,
    pub steps: u64,
    workers: i64,
    ticks: u64,
    /// Relative frequency of what an owner does next.
    weights: [u64; 9],
    /// Out of 1000 steps.
    pub fault_rate: u64,
    pub write_fault_rate: u64,
    pub faults: bool,
    fetch_max: usize,
    /// How rarely the outside sends where it could.
    pace: u64,
    /// How rarely a page of heads is read where nothing else is left to do.
    load_patience: u64,
    /// A topic that stores slowly; beyond the last one: none.
    slow_topic: usize,
    /// Of all faults: only doubled owners.
    pub only_zombies: bool,
    /// Where somebody will die: point and how often it is passed before.
    pub armed: Vec<(&'static str, u64)>,
    /// Of the small world: deaths at counted passes of any point.
    pub deaths: Vec<(u64, Fate)>,
    pub passed: u64,
    pub diverted: BTreeSet<String>,
    /// What a lossy store would come back with.
    pub backup: Vec<MemoryStore>,
    pub seen: Seen,
    pub violation: Option<Violation>,
    trace: u64,
    print: bool,
}

/// All crash points: every port call and every arrival.
pub const POINTS: [&str; 18] = [
    "port publish",
    "port write side rows",
    "port write heads",
    "port read",
    "port commit",
    "port load rules",
    "port seek",
    "arrival heads",
    "arrival log end",
    "arrival loaded",
    "arrival fetched",
    "arrival acknowledged",
    "arrival written",
    "arrival side row",
    "arrival rules",
    "arrival seal due",
    "arrival retry",
    "arrival drain",
];

impl World {
    pub fn new(seed: u64, print: bool) -> Self {
        let mut chance = Chance::of(seed);
        let mut partitions = 1 + chance.below(4) as i32;
        let mut accounts = if chance.one_in(10) { KEYS.len() } else { 1 + chance.place(7) };
        let mut commands =
            if chance.one_in(6) { 40 + chance.below(160) } else { 6 + chance.below(50) };
        let slow_loading = chance.one_in(6);
        if slow_loading {
            (partitions, accounts, commands) = (1, 1 + chance.place(5), 60 + chance.below(80));
        }
        let script = Script::new(&mut chance, accounts, commands as usize);
        let replicas = if chance.one_in(3) { 3 } else { 1 };
        let mut weights = [8, 6, 6, 6, 6, 6, 4, 4, 2];
        for weight in &mut weights {
            *weight = [*weight, *weight, 1, 12][chance.place(4)];
        }
        let mut world = Self::plain(chance, partitions, replicas, script);
        world.weights = weights;
        world.print = print;
        let chance = &mut world.chance;
        world.fault_rate = [0, 10, 25, 50][chance.place(4)];
        world.write_fault_rate = [0, 50, 300][chance.place(3)];
        world.ticks = 3 + chance.below(commands);
        for _ in 0..chance.below(5) {
            world.armed.push((POINTS[chance.place(POINTS.len())], 1 + chance.below(6)));
        }
        if chance.one_in(3) {
            if chance.one_in(2) {
                world.armed.push(("port seek", 1));
                world.script.poison = world.script.poison.max(60);
            }
            let window_records = 4 + chance.below(40) as i64;
            world.limits.fuse = FuseSettings { letters_max: 1 + chance.place(4), window_records };
        }
        if chance.one_in(5) {
            world.limits.inflight_records_max = 1 + chance.place(6);
            world.limits.unsealed_records_max = 1 + chance.below(10) as i64;
        }
        if chance.one_in(3) {
            world.limits.batch_bytes_max = 200;
        }
        world.slow_topic = world.chance.place(2 * TOPICS.len());
        if slow_loading {
            // Beside former owners that go on, and with much that has left the heads.
            world.weights = [12, 12, 3, 12, 12, 12, 12, 1, 8];
            world.fault_rate = 12;
            world.pace = 1 + world.chance.below(4);
            world.only_zombies = true;
            world.load_patience = [8, 60, 200][world.chance.place(3)];
            world.fetch_max = 1 + world.chance.place(4);
            world.script.old = 900;
            world.script.names_what_leaves = true;
            world.ticks = commands;
        }
        world
    }

    /// A world in which nothing happens by itself.
    pub fn plain(chance: Chance, partitions: i32, replicas: usize, script: Script) -> Self {
        let mut log = MemoryLog::default();
        TOPICS.iter().for_each(|topic| log.create(topic, partitions));
        let rules: Vec<_> = (1..=RULES_VERSIONS).map(script::rules).collect();
        let judge = |number| Judge::new(number, partitions, codec(partitions), rules.clone());
        Self {
            chance,
            partitions,
            replicas: vec![MemoryStore::default(); replicas],
            log,
            committed: vec![0; partitions as usize],
            judges: (0..partitions).map(judge).collect(),
            next_copy: BTreeMap::new(),
            owners: Vec::new(),
            late: Vec::new(),
            ghosts: Vec::new(),
            script,
            now: 1_000_000,
            ordered_rules: 1,
            limits: Limits::default(),
            steps: 0,
            workers: 0,
            ticks: 0,
            weights: [1; 9],
            fault_rate: 0,
            write_fault_rate: 0,
            faults: true,
            slow_topic: TOPICS.len(),
            load_patience: 1,
            fetch_max: 8,
            pace: 1,
            only_zombies: false,
            armed: Vec::new(),
            deaths: Vec::new(),
            passed: 0,
            diverted: BTreeSet::new(),
            backup: Vec::new(),
            seen: Seen::default(),
            violation: None,
            trace: 0xcbf2_9ce4_8422_2325,
            print: false,
        }
    }

    /// Lives through the faults, then the quiet end; the hash of everything that happened.
    pub fn run(&mut self) -> u64 {
        while (self.script.left > 0 || self.ticks > 0) && self.violation.is_none() {
            self.step();
        }
        for _ in 0..self.chance.below(200) {
            if self.violation.is_none() {
                self.step();
            }
        }
        self.finish();
        self.trace
    }

    /// Notes something that happened: numbers for the hash, words for a printed trace.
    pub fn note(&mut self, numbers: &[i64], words: impl FnOnce() -> String) {
        for number in numbers {
            self.trace = (self.trace ^ number.cast_unsigned()).wrapping_mul(0x0100_0000_01b3);
        }
        if self.print {
            println!("{:>6} {}", self.steps, words());
        }
    }

    fn step(&mut self) {
        self.steps += 1;
        for number in 0..self.partitions {
            if self.owner_of(number).is_none() && self.chance.one_in(8) {
                self.take_over(number);
            }
        }
        match self.chance.below(100) {
            0..10 if self.script.left > 0 && self.chance.one_in(self.pace) => self.outside(),
            10..15 if self.ticks > 0 && self.chance.one_in(self.pace) => self.tick(),
            15..18 => self.something_late(),
            18..20 => self.operate(),
            _ if self.chance.below(1000) < self.fault_rate => self.fault(),
            _ if !self.owners.is_empty() => {
                let place = self.chance.place(self.owners.len());
                self.act(place);
            }
            _ => {}
        }
    }

    pub fn owner_of(&self, number: i32) -> Option<usize> {
        self.owners.iter().position(|owner| owner.number == number && owner.current)
    }

    /// A new owner starts at the committed offset; a former one may live on without knowing.
    pub fn take_over(&mut self, number: i32) {
        if let Some(former) = self.owner_of(number) {
            self.owners[former].current = false;
            self.seen.zombies += 1;
        }
        self.workers += 1;
        self.seen.takeovers += 1;
        let mut start = self.committed[number as usize];
        if sabotage::on(Bug::ResetToLatest) && self.seen.takeovers > self.partitions as u64 {
            start = self.log.end(TOPICS[1], number);
        }
        let deployed = sabotage::on(Bug::RulesByDeploy) && self.workers % 2 == 1;
        let first = if deployed { 2 } else { 1 };
        let (worker, limits) = (self.workers, self.limits);
        self.note(&[1, number.into(), start], || format!("w{worker} takes p{number} at {start}"));
        self.owners.push(Owner::new(worker, number, self.partitions, start, limits, first));
        if sabotage::on(Bug::AckedBatchesLost) {
            self.backup = self.replicas.clone();
        }
    }

    /// The next command of the outside.
    pub fn outside(&mut self) {
        let record = self.script.next(&mut self.chance, LogTime(self.now));
        let key = record.0.as_deref().unwrap_or_default();
        let mut number = partition_of(key, self.partitions);
        if self.chance.one_in(200) {
            number = self.chance.place(self.partitions as usize) as i32;
        }
        if self.chance.one_in(15) {
            let offsets = 1 + self.chance.below(3) as i64;
            self.log.leave_gap(TOPICS[1], number, offsets);
        }
        self.seen.commands += 1;
        self.append(number, record);
    }

    pub fn append(&mut self, number: i32, record: script::Record) -> i64 {
        let offset = self.log.append(TOPICS[1], number, self.now, record);
        self.note(&[2, number.into(), offset], || format!("record at p{number}:{offset}"));
        offset
    }

    /// A ticker writes, by a clock that may be wrong and with the versions it knows.
    fn tick(&mut self) {
        self.ticks -= 1;
        self.now += self.chance.below(1_800) as i64;
        if self.chance.one_in(12) && self.ordered_rules < RULES_VERSIONS {
            self.ordered_rules += 1;
        }
        if self.owners.is_empty() {
            return;
        }
        let place = self.chance.place(self.owners.len());
        let (number, worker) = (self.owners[place].number, self.owners[place].worker);
        let known = self.owners[place].partition.in_force();
        let skew_ms = if worker % 3 == 0 { (worker % 7 - 3) * 400 } else { 0 };
        let (mut time, mut rules) = (LogTime(self.now + skew_ms), known.rules_version);
        if self.chance.one_in(2) {
            rules = rules.max(self.ordered_rules);
        }
        if self.chance.one_in(10) {
            time = known.time;
        }
        if self.chance.one_in(12) {
            rules = 1;
        }
        let logic = if self.chance.one_in(30) { 0 } else { 1 };
        self.append(number, script::tick(time, rules, logic));
        if self.chance.one_in(12) {
            self.append(number, script::tick(time, rules, logic));
        }
    }

    /// The operator: releases blown fuses, ends diversions, sends dead letters again.
    pub fn operate(&mut self) {
        let blown = |place: &usize| {
            let halted = self.owners[*place].partition.halted();
            matches!(halted, Some(Halt::FuseBlown { .. }))
        };
        let place = (0..self.owners.len()).find(blown);
        let number = match place {
            Some(place) => self.owners[place].number,
            None => self.chance.place(self.partitions as usize) as i32,
        };
        if let Some(place) = place
            && let Some(Halt::FuseBlown { offset }) = self.owners[place].partition.halted().cloned()
        {
            let through = offset + self.chance.below(5) as i64 - 1;
            self.append(number, script::release_fuse(through));
            return;
        }
        let end = self.log.end(TOPICS[2], number);
        if end == 0 || !self.chance.one_in(3) {
            return;
        }
        let at = self.chance.below(end.cast_unsigned()).cast_signed();
        let Some(letter) = self.log.read(TOPICS[2], number, at, 1).first().cloned() else { return };
        let Some(key) = letter.key_text().map(str::to_owned) else { return };
        let right =
            !key.starts_with("tapline.") && partition_of(key.as_bytes(), self.partitions) == number;
        if !right || key == PARTITION_KEY {
            return;
        }
        if self.chance.one_in(2) {
            let mut headers = HeaderList::new();
            headers.push_text(crate::codec::headers::REPLAY_ID, "run");
            self.append(number, (letter.key, letter.value, headers));
        } else {
            let through = self.log.end(TOPICS[1], number);
            self.append(number, script::end_diversion(&key, through));
        }
    }

    /// Something that an owner waits for happens.
    fn act(&mut self, place: usize) {
        let total = self.weights.iter().sum();
        let mut ticket = self.chance.below(total);
        let mut kind = 0;
        while ticket >= self.weights[kind] {
            ticket -= self.weights[kind];
            kind += 1;
        }
        for shift in 0..self.weights.len() {
            let next = (kind + shift) % self.weights.len();
            // What loads slowly does so also where nothing else is left to do.
            let waits = shift > 0 && next == LOAD && !self.chance.one_in(self.load_patience);
            if !waits && self.try_act(place, next) {
                return;
            }
        }
    }

    fn try_act(&mut self, place: usize, kind: usize) -> bool {
        let chance = &mut self.chance;
        let owner = &mut self.owners[place];
        match kind {
            0 if !owner.arrivals.is_empty() => {
                let at = chance.place(owner.arrivals.len());
                let (point, arrival) = owner.arrivals.swap_remove(at);
                self.deliver(place, point, arrival);
            }
            1 if !owner.fetched.is_empty() => self.take_fetched(place),
            2 if owner.fetched.len() < 3 => return self.fetch(place),
            3 if !owner.sends.is_empty() => self.store_some(place),
            4 if !owner.acks.is_empty() => {
                let at = chance.place(owner.acks.len());
                let ticket = owner.acks.swap_remove(at);
                owner.ack(ticket);
            }
            5 if !owner.writes.is_empty() => {
                let write = chance.place(owner.writes.len());
                self.write_somewhere(place, write);
            }
            6 if !owner.reads.is_empty() => {
                let at = chance.place(owner.reads.len());
                self.read_side(place, at);
            }
            LOAD if !owner.pages.is_empty() || owner.heads_are_in() => self.load_some(place),
            8 => self.small_things(place),
            _ => return false,
        }
        true
    }

    pub fn take_fetched(&mut self, place: usize) {
        if let Some(batch) = self.owners[place].fetched.pop_front() {
            self.deliver(place, "arrival fetched", Arrival::Fetched(batch));
        }
    }

    /// Reads on in the log; sometimes an offset comes twice.
    pub fn fetch(&mut self, place: usize) -> bool {
        let most = 1 + self.chance.place(self.fetch_max);
        let owner = &mut self.owners[place];
        let records = self.log.read(TOPICS[1], owner.number, owner.fetch_at, most).to_vec();
        let Some(last) = records.last() else { return false };
        owner.fetch_at = last.offset + 1;
        let twice = self.faults && self.chance.one_in(10);
        if twice {
            owner.fetched.push_back(records.clone());
        }
        owner.fetched.push_back(records);
        true
    }

    fn store_some(&mut self, place: usize) {
        let owner = &self.owners[place];
        let which = self.chance.place(owner.sends.len());
        let Some(target) = owner.sends.keys().nth(which).copied() else { return };
        if self.slow_topic == target.0 && !self.chance.one_in(15) {
            return;
        }
        let most = 1 + self.chance.below(4);
        for _ in 0..most {
            self.store_first(place, target);
        }
    }

    /// The first record of a queue reaches the log; its ack is on its way.
    pub fn store_first(&mut self, place: usize, target: Target) {
        let owner = &mut self.owners[place];
        let Some(queue) = owner.sends.get_mut(&target) else { return };
        let first = queue.pop_front();
        if queue.is_empty() {
            owner.sends.remove(&target);
        }
        let Some((ticket, record)) = first else { return };
        let number = owner.number;
        owner.acks.push(ticket);
        let ignored = sabotage::on(Bug::DeadLetterFailureIgnored) && target.0 == 2;
        if !(ignored && self.faults && self.chance.one_in(3)) {
            self.publish(number, target, record);
        }
    }

    fn load_some(&mut self, place: usize) {
        if self.owners[place].heads_are_in() {
            self.tell_loaded(place);
        } else {
            let pages = self.owners[place].pages.len();
            let page = self.chance.place(pages);
            let most = 1 + self.chance.place(3);
            self.read_page(place, page, most);
        }
    }

    pub fn tell_loaded(&mut self, place: usize) {
        self.owners[place].end_told = true;
        let w = self.owners[place].worker;
        let n = self.owners[place].number;
        self.judge(n);
        super::faults::EARLY.with_borrow_mut(|e| { for (worker,key,item,below,found) in e.iter() { if *worker==w {
            let pos = self.owners[place].partition.heads().get(key).map_or(-1, |x| x.row.pos);
            let left: Vec<i64> = self.judges[n as usize].left.get(key).map(|l| l.iter().filter(|v| v.1==*item && v.0<*below).map(|v| v.0).collect()).unwrap_or_default();
            let bite = left.iter().any(|q| Some(*q) > *found && *q <= pos && pos < *below);
            eprintln!("LOAD bite={bite} pos={pos} below={below} found={found:?} left={left:?} start={}", self.owners[place].partition.binding().start);
        }} e.clear(); });
        let worker = self.owners[place].worker;
        let end = self.log.end(TOPICS[1], self.owners[place].number);
        self.deliver(place, "arrival log end", Arrival::LogEnd(end));
        if self.owners.get(place).is_some_and(|owner| owner.worker == worker) {
            self.deliver(place, "arrival loaded", Arrival::Loaded);
        }
    }

    /// Commits, rules, the timers, leaving after a drain.
    fn small_things(&mut self, place: usize) {
        let owner = &mut self.owners[place];
        if !owner.commits.is_empty() {
            let at = self.chance.place(owner.commits.len());
            let offset = owner.commits.swap_remove(at);
            self.land_commit(place, offset);
        } else if let Some(version) = owner.loads.pop() {
            let rules = Arc::new(script::rules(version));
            owner.arrivals.push(("arrival rules", Arrival::Rules { version, rules }));
        } else if owner.draining && owner.partition.is_drained() {
            self.owners.swap_remove(place);
        } else if self.chance.one_in(20) {
            self.deliver(place, "arrival retry", Arrival::Retry);
        } else {
            self.deliver(place, "arrival seal due", Arrival::SealDue);
        }
    }

    /// Hands an arrival to the state machine, unless its owner dies at that very point.
    pub fn deliver(
        &mut self,
        place: usize,
        point: &'static str,
        arrival: Arrival<crate::domain::rules::Rules>,
    ) {
        let (worker, number) = (self.owners[place].worker, self.owners[place].number);
        let code = POINTS.iter().position(|known| *known == point).unwrap_or(0) as i64;
        self.note(&[3, worker, code], || format!("w{worker} p{number} {point}"));
        if self.dies_at(place, point) {
            return;
        }
        let was_halted = self.owners[place].partition.halted().is_some();
        let mut requests = Requests(Vec::new());
        sabotage::run_as(worker);
        self.owners[place].partition.handle(arrival, &mut requests);
        if self.print {
            self.check_memory(place);
        }
        let halted = self.owners[place].partition.halted();
        if !was_halted && matches!(halted, Some(Halt::FuseBlown { .. })) {
            self.seen.blown += 1;
        }
        for request in requests.0 {
            if self.dies_at(place, request.point()) {
                return;
            }
            self.request(place, request);
        }
    }

    fn request(&mut self, place: usize, request: Request) {
        let (partitions, replicas) = (self.partitions, self.replicas.len());
        let owner = &mut self.owners[place];
        let (worker, number) = (owner.worker, owner.number);
        match request {
            Request::Publish(ticket, records) => {
                let count = records.len();
                owner.send(ticket, records, partitions);
                self.note(&[4, worker, count as i64], || {
                    format!("w{worker} p{number} publishes {count}")
                });
            }
            Request::Write(batch) => {
                let clock_us = self.steps as i64 + (worker % 5) * 300;
                let (seal, index) = (batch.seal, batch.index);
                let replicas = (0..replicas).collect();
                owner.writes.push(Write { batch, replicas, landed: 0, clock_us });
                self.note(&[5, worker, index as i64], || {
                    format!("w{worker} p{number} writes seal {seal} batch {index}")
                });
            }
            Request::Read(read) => owner.reads.push(read),
            Request::Commit(offset) => {
                owner.commits.push(offset);
                self.note(&[6, worker, offset], || format!("w{worker} p{number} commits {offset}"));
                self.check_commit(number, offset);
            }
            Request::LoadRules(version) => owner.loads.push(version),
            Request::Seek(offset) => {
                owner.fetch_at = offset;
                if self.chance.one_in(2) {
                    owner.fetched.clear();
                }
            }
        }
    }
}
