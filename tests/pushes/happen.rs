//! What happens in a world: one event at a time, and the fates of workers.
//!
//! Owns fetching, crashes and takeovers. A publish of a crashed worker may have arrived or not; a
//! former owner may hear of its loss late and go on meanwhile.

use super::records::PARTITIONS;
use super::world::{Event, Stored, World};
use crate::codec::raw::RawRecord;
use crate::runtime::{dispatch::Arrival, ports::PublishTopic};

impl World {
    pub fn happen(&mut self, event: Event) {
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
}
