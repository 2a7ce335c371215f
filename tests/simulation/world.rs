//! One world: log and store twins, owners, tickers and the outside, in one thread.
//!
//! Owns what exists and which of all that could happen happens next. A seed decides everything.
//! `faults.rs` holds what goes wrong, `checks.rs` what must hold, `quiet.rs` the end without faults.

use super::checks::Violation;
use super::judge::{Judge, Target};
use super::owner::Owner;
use super::script::{self, Script};
use super::simulated::Simulated;
use super::small::Fate;
use crate::adapters::memory::{MemoryLog, MemoryStore};
use crate::codec::{
    headers::{HeaderList, REPLAY_ID, SRC},
    partitioner::partition_of,
    raw::RawRecord,
};
use crate::domain::command::{PARTITION_KEY, Tick};
use crate::domain::time::LogTime;
use crate::runtime::fuse::FuseSettings;
use crate::runtime::partition::{Halt, Limits};
use crate::runtime::ports::{Batch, Publish};
use crate::runtime::sabotage::{self, Bug};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub const INCARNATION: i32 = 7;
pub const BUCKETS: u32 = 2;
pub const RULES_VERSIONS: i32 = 3;
/// Topics by the judge's number: the stage's main output, its input, dead letters; then the outputs
/// of other keys, to wherever their key belongs and to the own partition.
pub const TOPICS: [&str; 5] = ["events", "commands", "letters", "parts", "items"];
pub const KEYS: [&str; 12] =
    ["a0", "b1", "c2", "d3", "e4", "f5", "g6", "h7", "i8", "j9", "k10", "l11"];

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

/// Records by partition.
pub type Feed = Vec<VecDeque<script::Record>>;

/// A write that left its sender and may still land.
pub struct Late {
    pub number: i32,
    pub batch: Arc<Batch>,
    pub replica: usize,
    pub clock_us: i64,
}

/// What a world is about, where chance alone would seldom show a bug.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Heads come slowly beside a former owner that goes on.
    SlowLoading,
    /// Three replicas that differ.
    Replicas,
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
    /// Outputs of the stages of settlement.
    pub postings: u64,
    pub windows: u64,
    pub reads: u64,
    pub blown: u64,
    /// Crashes by named point.
    pub crashes: BTreeMap<&'static str, u64>,
}

pub struct World<S: Simulated> {
    pub chance: Chance,
    pub partitions: i32,
    pub replicas: Vec<MemoryStore>,
    pub log: MemoryLog,
    pub committed: Vec<i64>,
    pub judges: Vec<Judge<S>>,
    /// (source partition, target) -> place of the next first copy
    pub next_copy: BTreeMap<(i32, Target), usize>,
    pub owners: Vec<Owner<S>>,
    pub late: Vec<Late>,
    pub ghosts: Vec<(i32, Target, VecDeque<Publish>)>,
    pub script: Script,
    pub now: i64,
    pub ordered_rules: i32,
    pub limits: Limits,
    pub steps: u64,
    workers: i64,
    ticks: u64,
    /// The most that a tick is later than the former one.
    tick_ms: u64,
    /// Relative frequency of what an owner does next.
    pub weights: [u64; 9],
    /// Out of 1000 steps.
    pub fault_rate: u64,
    pub write_fault_rate: u64,
    pub faults: bool,
    pub fetch_max: usize,
    /// How rarely the outside sends where it could.
    pace: u64,
    /// How rarely a page of heads is read where nothing else is left to do.
    pub load_patience: u64,
    /// A topic that stores slowly; beyond the last one: none.
    pub slow_topic: usize,
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
    pub print: bool,
}

/// All crash points: every port call and every arrival.
pub const POINTS: [&str; 19] = [
    "port publish",
    "port write read rows",
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

impl<S: Simulated> World<S> {
    /// `aim`: what the seed's world is about; otherwise a seed draws that too.
    /// `feed`: what the outside sends is what another world has published, by partition.
    pub fn new(seed: u64, print: bool, aim: Option<Aim>, feed: Option<Feed>) -> Self {
        let mut chance = Chance::of(seed);
        let mut partitions = 1 + chance.below(4) as i32;
        let mut accounts = if chance.one_in(10) { KEYS.len() } else { 1 + chance.place(7) };
        let mut commands =
            if chance.one_in(6) { 40 + chance.below(160) } else { 6 + chance.below(50) };
        let slow_loading = chance.one_in(6) || aim == Some(Aim::SlowLoading);
        if slow_loading {
            (partitions, accounts, commands) = (1, 1 + chance.place(3), 60 + chance.below(80));
        }
        let script = match feed {
            None => Script::new(&mut chance, accounts, commands as usize),
            Some(feed) => {
                partitions = feed.len() as i32;
                Script::fed(&mut chance, feed)
            }
        };
        let replicas = if chance.one_in(3) || aim == Some(Aim::Replicas) { 3 } else { 1 };
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
            world.load_patience = [60, 120, 250][world.chance.place(3)];
            world.fetch_max = 1 + world.chance.place(4);
            world.script.old = 900;
            world.script.names_what_leaves = true;
            world.ticks = commands;
        }
        if world.script.is_fed() {
            // Its ticks are among what it is fed with.
            world.ticks = 0;
        }
        if !S::TICKS {
            world.limits.fuse = FuseSettings::default();
            world.script.poison = 0;
        }
        if seed % 4 == 3 {
            // Many cycles end in such a world, and some ticks are late for several.
            world.tick_ms = 36_000;
        }
        world
    }

    /// What was published to a topic, as another world's input.
    pub fn published(&self, topic: usize) -> Feed {
        let contents =
            |record: &RawRecord| (record.key.clone(), record.value.clone(), record.headers.clone());
        let of = |number| self.log.read(TOPICS[topic], number, 0, usize::MAX).iter().map(contents);
        (0..self.partitions).map(|number| of(number).collect()).collect()
    }

    /// A world in which nothing happens by itself.
    pub fn plain(chance: Chance, partitions: i32, replicas: usize, script: Script) -> Self {
        let mut log = MemoryLog::default();
        TOPICS.iter().for_each(|topic| log.create(topic, partitions));
        let rules: Vec<_> = (1..=RULES_VERSIONS).map(script::rules).collect();
        let judge = |number| Judge::new(number, partitions, rules.clone());
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
            tick_ms: 1_800,
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
        let (number, record) = match self.script.fed_next(&mut self.chance) {
            Some(fed) => fed,
            None => self.command(),
        };
        if self.chance.one_in(15) {
            let offsets = 1 + self.chance.below(3) as i64;
            self.log.leave_gap(TOPICS[1], number, offsets);
        }
        self.seen.commands += 1;
        self.append(number, record);
    }

    /// A command, nearly always at its key's partition.
    fn command(&mut self) -> (i32, script::Record) {
        let record = self.script.next(&mut self.chance, LogTime(self.now));
        let key = record.0.as_deref().unwrap_or_default();
        let number = match self.chance.one_in(200) {
            true => self.chance.place(self.partitions as usize) as i32,
            false => partition_of(key, self.partitions),
        };
        (number, record)
    }

    pub fn append(&mut self, number: i32, record: script::Record) -> i64 {
        let offset = self.log.append(TOPICS[1], number, self.now, record);
        self.note(&[2, number.into(), offset], || format!("record at p{number}:{offset}"));
        offset
    }

    /// A ticker writes, by a clock that may be wrong and with the versions it knows.
    fn tick(&mut self) {
        self.ticks -= 1;
        self.now += self.chance.below(self.tick_ms) as i64;
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
        let tick = Tick { time, rules_version: rules, logic_version: logic };
        self.append(number, S::tick(tick));
        if self.chance.one_in(12) {
            self.append(number, S::tick(tick));
        }
    }

    /// The operator: releases blown fuses, ends diversions, sends dead letters again.
    pub fn operate(&mut self) {
        if !S::TICKS {
            return;
        }
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
            self.append(number, S::release_fuse(through));
            return;
        }
        // In what follows another stage, a key that lost a record and goes on is rightly a halt.
        let end = if self.script.is_fed() { 0 } else { self.log.end(TOPICS[2], number) };
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
            // With the id of the output that it was, or as a record of the outside.
            let mut headers = HeaderList::new();
            if let Some(id) = letter.headers.text(SRC).filter(|_| self.chance.one_in(2)) {
                headers.push_text(SRC, id);
            }
            headers.push_text(REPLAY_ID, "run");
            self.append(number, (letter.key, letter.value, headers));
        } else {
            let through = self.log.end(TOPICS[1], number);
            self.append(number, script::end_diversion(&key, through));
        }
    }
}
