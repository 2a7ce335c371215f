//! The quiet end of a world: no more faults, everything must drain.
//!
//! Owns the fixed order in which all that is under way is done, the operator's last releases and
//! the last ticks. The small world lives entirely in here, with deaths at counted points.

use super::script;
use super::simulated::Simulated;
use super::world::{TOPICS, World};
use crate::domain::{command::Tick, time::LogTime};
use crate::runtime::partition::Halt;
use crate::runtime::ports::Arrival;
use std::sync::Arc;

const ROUNDS_MAX: usize = 3_000;
/// Later than every hold's end, every closing age and the next cut-off.
const LAST_JUMP_MS: i64 = 70_000;

impl<S: Simulated> World<S> {
    /// Ends the faults and waits until nothing is left to do, then checks everything.
    pub fn finish(&mut self) {
        self.faults = false;
        if self.chance.one_in(2) {
            self.owners.retain(|owner| owner.current);
        }
        self.drain();
        // One tick for what is due, one so that its seal has a tick to be committed at.
        let jumps = if S::TICKS { &[LAST_JUMP_MS, 1][..] } else { &[] };
        for jump_ms in jumps {
            for number in 0..self.partitions {
                self.judge(number);
            }
            for judge in &self.judges {
                let Tick { time, rules_version, .. } = judge.context();
                self.now = self.now.max(time.0);
                self.ordered_rules = self.ordered_rules.max(rules_version);
            }
            self.now += jump_ms;
            let time = LogTime(self.now);
            let tick = Tick { time, rules_version: self.ordered_rules, logic_version: 1 };
            for number in 0..self.partitions {
                self.append(number, S::tick(tick));
            }
            self.drain();
        }
        while !(self.late.is_empty() && self.ghosts.is_empty()) && self.violation.is_none() {
            self.something_late();
        }
        self.drain();
        if self.violation.is_none() {
            self.check_at_rest();
        }
    }

    /// Does everything that can be done, in a fixed order, until nothing more happens.
    pub fn drain(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if self.violation.is_some() || !self.round() {
                return self.check_drained();
            }
        }
        let state: Vec<String> = self
            .owners
            .iter()
            .map(|o| format!("p{} {:?}", o.number, o.partition.halted()))
            .collect();
        self.check(false, "P13 drains", || state.join("; "));
    }

    /// Nothing more happens: then everything must be applied and durable.
    fn check_drained(&mut self) {
        for number in 0..self.partitions {
            let Some(place) = self.owner_of(number) else { continue };
            let last =
                self.log.read(TOPICS[1], number, 0, usize::MAX).last().map_or(-1, |r| r.offset);
            let partition = &self.owners[place].partition;
            let (applied, durable) = (partition.applied(), partition.durable());
            let found = || format!("p{number} applied {applied}, durable {durable} of {last}");
            self.check(applied >= last && durable >= applied, "P13 drains", found);
        }
    }

    fn round(&mut self) -> bool {
        self.steps += 1;
        let mut busy = false;
        for number in 0..self.partitions {
            if self.owner_of(number).is_none() {
                self.take_over(number);
                busy = true;
            }
        }
        let workers: Vec<i64> = self.owners.iter().map(|owner| owner.worker).collect();
        for worker in workers {
            busy |= self.everything_of(worker);
            if self.violation.is_some() {
                return false;
            }
        }
        busy
    }

    fn place_of(&self, worker: i64) -> Option<usize> {
        self.owners.iter().position(|owner| owner.worker == worker)
    }

    /// One round of an owner; it may die in between.
    fn everything_of(&mut self, worker: i64) -> bool {
        let mut busy = false;
        while let Some(place) = self.place_of(worker)
            && let Some(target) = self.owners[place].sends.keys().next().copied()
        {
            self.store_first(place, target);
            busy = true;
        }
        let Some(place) = self.place_of(worker) else { return true };
        for ticket in std::mem::take(&mut self.owners[place].acks) {
            self.owners[place].ack(ticket);
        }
        while !self.owners[place].writes.is_empty() {
            self.write_somewhere(place, 0);
        }
        while !self.owners[place].reads.is_empty() {
            self.read_side(place, 0);
        }
        while !self.owners[place].pages.is_empty() {
            self.read_page(place, 0, usize::MAX);
        }
        for offset in std::mem::take(&mut self.owners[place].commits) {
            self.land_commit(place, offset);
            busy = true;
        }
        while let Some(version) = self.owners[place].loads.pop() {
            let rules = Arc::new(script::rules(version));
            let arrival = ("arrival rules", Arrival::Rules { version, rules });
            self.owners[place].arrivals.push(arrival);
        }
        while let Some(place) = self.place_of(worker)
            && !self.owners[place].arrivals.is_empty()
        {
            let (point, arrival) = self.owners[place].arrivals.remove(0);
            self.deliver(place, point, arrival);
            busy = true;
        }
        let Some(place) = self.place_of(worker) else { return true };
        if self.owners[place].heads_are_in() {
            self.tell_loaded(place);
            return true;
        }
        self.fetch(place);
        if !self.owners[place].fetched.is_empty() {
            self.take_fetched(place);
            return true;
        }
        self.rest(place) || busy
    }

    /// What is left when nothing is under way: seals, an operator's release, leaving.
    fn rest(&mut self, place: usize) -> bool {
        let owner = &self.owners[place];
        let (worker, number) = (owner.worker, owner.number);
        if owner.draining && owner.partition.is_drained() {
            self.owners.swap_remove(place);
            return true;
        }
        match owner.partition.halted().cloned() {
            Some(Halt::FuseBlown { offset }) => {
                let waits = self.log.end(TOPICS[1], number) == owner.fetch_at;
                if waits {
                    self.append(number, S::release_fuse(offset + 3));
                    return true;
                }
            }
            Some(halt) => {
                self.check(false, "P13 halted", || format!("p{number}: {}", halt.code()));
                return false;
            }
            None => {}
        }
        let owner = &self.owners[place];
        if owner.partition.durable() < owner.partition.applied() {
            let before = (owner.partition.durable(), owner.partition.counts().seals);
            self.deliver(place, "arrival seal due", Arrival::SealDue);
            return self.place_of(worker).is_none_or(|place| {
                let partition = &self.owners[place].partition;
                (partition.durable(), partition.counts().seals) != before
            });
        }
        false
    }
}
