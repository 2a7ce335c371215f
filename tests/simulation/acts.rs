//! What the owners do: every answer and timer that may come next, and what is asked because of it.
//!
//! Owns the choice among all that is under way of one owner, and the way of each request to its
//! twin. An arrival and a request are crash points: the owner may die just before each.

use super::judge::Target;
use super::owner::{Request, Requests, Write};
use super::script;
use super::simulated::Simulated;
use super::world::{POINTS, TOPICS, World};
use crate::domain::rules::Rules;
use crate::runtime::partition::Halt;
use crate::runtime::ports::Arrival;
use crate::runtime::sabotage::{self, Bug};
use std::sync::Arc;

/// Number of the action that loads a page of heads.
const LOAD: usize = 7;

impl<S: Simulated> World<S> {
    /// Something that an owner waits for happens.
    pub fn act(&mut self, place: usize) {
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
    pub fn deliver(&mut self, place: usize, point: &'static str, arrival: Arrival<Rules>) {
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
