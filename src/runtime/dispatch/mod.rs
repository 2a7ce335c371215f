//! The executor of the push stage: obligations to gateways, as a state machine without I/O.
//!
//! Arrivals and the time go in, requests go out through the ports; nothing here waits, spawns or
//! reads a clock, so the live worker and the simulation run the same. One machine serves all
//! partitions of a process, because gateways know no partitions. The order that loses nothing: every
//! send has ended, then the outcome is acknowledged, then the offset may be committed; a crash in
//! between repeats sends under the same key. Memory is bounded: at `waiting_max` open obligations
//! input stops, and what waits ends by its age. `intake` takes records, `sending` resolves and
//! sends, `ending` publishes and commits; `recipients` keeps each customer's order, `gate` each
//! gateway's pace.

mod breaker;
mod ending;
mod gate;
mod intake;
mod job;
mod lane;
mod pace;
mod ports;
mod recipients;
mod sending;
mod settings;
mod view;
mod zone;

pub use breaker::State as BreakerState;
pub use lane::Halted;
pub use ports::{Arrival, DispatchPorts};
pub use settings::PushSettings;
pub use view::{Counts, GateView, Told};
pub use zone::minute_of_day;

use crate::codec::push::PushCodec;
use crate::domain::push::Platform;
use crate::runtime::fuse::FuseSettings;
use gate::Gate;
use job::{Job, SendRef, SendState};
use lane::Lane;
use pace::Jitter;
use recipients::Recipients;
use std::collections::{BTreeMap, BTreeSet};

/// Commits are hints, so they are given this often at most.
const COMMIT_EVERY_MS: i64 = 100;

pub struct Options {
    pub settings: PushSettings,
    pub fuse: FuseSettings,
    /// `push.mode` is mute: nothing is resolved or sent.
    pub mute: bool,
    /// Of the jitter of pauses.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The obligation grows too old.
    Expire(u64),
    /// The pause of a send is over.
    Again(SendRef),
    /// An attempt counts as unanswered.
    GiveUp(u64),
    /// An answer that late would be of no use.
    Forget(u64),
}

/// A request at a gateway. It outlives its obligation: the gateway's health is learnt all the same.
#[derive(Clone, Debug)]
struct Attempt {
    send: SendRef,
    platform: Platform,
    began_ms: i64,
    /// Counted as unanswered; a yes or no that comes now is still believed.
    given_up: bool,
}

/// What an acknowledgement closes.
struct Ticket {
    partition: i32,
    /// The record's own offset, then those of its copies.
    offsets: Vec<i64>,
    /// The obligation's; absent for a dead letter.
    id: Option<Box<str>>,
}

pub struct Dispatch {
    options: Options,
    codec: PushCodec,
    jitter: Jitter,
    /// The time of the newest arrival; never goes back.
    now_ms: i64,
    /// Numbers of obligations, asks, attempts and tickets: never used twice.
    next_number: u64,
    lanes: BTreeMap<i32, Lane>,
    jobs: BTreeMap<u64, Job>,
    tickets: BTreeMap<u64, Ticket>,
    recipients: Recipients,
    /// Asks at the store, with the obligation and its partition.
    asks: BTreeMap<u64, (u64, i32)>,
    attempts: BTreeMap<u64, Attempt>,
    gates: BTreeMap<Platform, Gate>,
    timers: BTreeSet<(i64, Timer)>,
    /// Offsets open in all partitions.
    open: usize,
    commit_at_ms: i64,
    draining: bool,
    counts: Counts,
}

impl Dispatch {
    pub fn new(options: Options, codec: PushCodec, now_ms: i64) -> Self {
        let settings = options.settings;
        let gate = || Gate::new(settings.rate_max, settings.in_flight_max, now_ms);
        Self {
            jitter: Jitter::new(options.seed),
            options,
            codec,
            now_ms,
            next_number: 1,
            lanes: BTreeMap::new(),
            jobs: BTreeMap::new(),
            tickets: BTreeMap::new(),
            recipients: Recipients::default(),
            asks: BTreeMap::new(),
            attempts: BTreeMap::new(),
            gates: Platform::ALL.into_iter().map(|platform| (platform, gate())).collect(),
            timers: BTreeSet::new(),
            open: 0,
            commit_at_ms: now_ms,
            draining: false,
            counts: Counts::default(),
        }
    }

    /// Takes one arrival in and asks the ports for whatever follows from it. `now_ms`: since 1970.
    pub fn handle<P: DispatchPorts>(&mut self, arrival: Arrival, now_ms: i64, ports: &mut P) {
        self.now_ms = self.now_ms.max(now_ms);
        match arrival {
            Arrival::Assigned { partition, start } => {
                self.forget(partition);
                self.lanes.insert(partition, Lane::new(start, self.options.fuse));
            }
            Arrival::Revoked { partition } => self.forget(partition),
            Arrival::Fetched { partition, records } => self.enqueue(partition, records),
            Arrival::Targets { ask, targets } => self.resolved(ask, targets, ports),
            Arrival::Answered { attempt, answer } => self.answered(attempt, answer, ports),
            Arrival::Acknowledged { ticket } => self.acknowledged(ticket),
            Arrival::Wake => {}
            Arrival::Retry => self.look_again(),
            Arrival::Drain => {
                self.draining = true;
                self.lanes.values_mut().for_each(|lane| lane.backlog.clear());
            }
        }
        self.advance(ports);
    }

    /// Whatever time and room allow now.
    fn advance<P: DispatchPorts>(&mut self, ports: &mut P) {
        self.take_backlogs(ports);
        while let Some((due_ms, timer)) = self.timers.first().copied()
            && due_ms <= self.now_ms
        {
            self.timers.pop_first();
            self.timer(timer, ports);
        }
        for gate in self.gates.values_mut() {
            gate.look(self.now_ms);
        }
        if !self.draining {
            self.begin_asks(ports);
            self.begin_attempts(ports);
        }
        self.commit(ports);
    }

    fn timer<P: DispatchPorts>(&mut self, timer: Timer, ports: &mut P) {
        match timer {
            Timer::Expire(number) => self.expire(number, ports),
            Timer::Again(send) => self.pause_over(send),
            Timer::GiveUp(attempt) => self.give_up(attempt, ports),
            Timer::Forget(attempt) => drop(self.attempts.remove(&attempt)),
        }
    }

    /// When `Arrival::Wake` is wanted at the latest; `None`: only other arrivals matter.
    pub fn wake_ms(&self) -> Option<i64> {
        let timer = self.timers.first().map(|(due_ms, _)| *due_ms);
        let gates = self.gates.values().filter_map(Gate::wake_ms);
        let gates = gates.min().filter(|_| !self.draining);
        let owes_commit = self.lanes.values().any(|lane| lane.committable() > lane.committed);
        let commit = owes_commit.then_some(self.commit_at_ms);
        [timer, gates, commit].into_iter().flatten().min()
    }

    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// Another owner is at work there: nothing of it is known any more. Requests at gateways go on
    /// and tell us how those are.
    fn forget(&mut self, partition: i32) {
        let Some(lane) = self.lanes.remove(&partition) else { return };
        self.open -= lane.open.len();
        self.recipients.forget(partition);
        self.tickets.retain(|_, ticket| ticket.partition != partition);
        self.asks.retain(|_, (_, own)| *own != partition);
        let gone = self.jobs.extract_if(.., |_, job| job.partition == partition);
        for (number, job) in gone {
            self.timers.remove(&(job.expires_ms, Timer::Expire(number)));
            for (place, send) in job.sends.iter().enumerate() {
                match send.state {
                    SendState::Pausing { until_ms } => {
                        self.timers.remove(&(until_ms, Timer::Again((number, place))));
                    }
                    SendState::Queued { place } => {
                        if let Some(gate) = self.gates.get_mut(&send.device.platform) {
                            gate.leave(place);
                        }
                    }
                    SendState::Behind | SendState::UnderWay { .. } | SendState::Ended => {}
                }
            }
        }
    }
}
