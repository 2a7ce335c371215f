//! What goes wrong: deaths, doubled owners, writes that time out or land late, stale replicas.
//!
//! Owns the twins' faults. A death leaves behind what was under way: some of it happens at once,
//! some never, some after the next owner has moved on.

use super::judge::Target;
use super::owner::{Page, Write};
use super::simulated::Simulated;
use super::small::Fate;
use super::world::{INCARNATION, Late, World};
use crate::adapters::memory::store::TIMESTAMP_FIRST_US;
use crate::runtime::ports::{Arrival, Batch, RowWrite, Table};
use crate::runtime::sabotage::{self, Bug};
use std::collections::BTreeMap;
use std::sync::Arc;

impl<S: Simulated> World<S> {
    pub fn quorum(&self) -> usize {
        self.replicas.len() / 2 + 1
    }

    /// One of the faults that need no crash point.
    pub fn fault(&mut self) {
        if self.owners.is_empty() {
            return;
        }
        let place = self.chance.place(self.owners.len());
        let number = self.owners[place].number;
        if self.only_zombies {
            match self.owners.len() {
                0..3 => self.take_over(number),
                _ if !self.owners[place].current => self.die(place),
                _ => {}
            }
            return;
        }
        match self.chance.below(8) {
            0 | 1 => self.die(place),
            2 | 3 => self.take_over(number),
            4 => self.fail_publish(place),
            5 if !self.owners[place].draining => {
                self.owners[place].draining = true;
                self.deliver(place, "arrival drain", Arrival::Drain);
            }
            6 if !self.owners[place].current => self.die(place),
            _ => {}
        }
    }

    /// Passes a crash point; true: the owner died there.
    pub fn dies_at(&mut self, place: usize, point: &'static str) -> bool {
        self.passed += 1;
        let counted = self.deaths.iter().find(|(pass, _)| *pass == self.passed);
        let fate = counted.map(|(_, fate)| *fate);
        let mut dies = fate.is_some();
        if self.faults
            && let Some(at) = self.armed.iter().position(|(armed, _)| *armed == point)
        {
            self.armed[at].1 -= 1;
            if self.armed[at].1 == 0 {
                self.armed.swap_remove(at);
                dies = true;
            }
        }
        if dies {
            *self.seen.crashes.entry(point).or_default() += 1;
            self.note(&[7], || format!("dies at {point}"));
            match fate {
                Some(fate) => self.die_with(place, fate),
                None => self.die(place),
            }
        }
        dies
    }

    /// The process is gone; what it had under way is up to chance.
    pub fn die(&mut self, place: usize) {
        let owner = self.owners.swap_remove(place);
        let number = owner.number;
        self.note(&[8, owner.worker], || format!("w{} p{number} is dead", owner.worker));
        for (target, queue) in owner.sends {
            let mut queue: std::collections::VecDeque<_> =
                queue.into_iter().map(|(_, record)| record).collect();
            let keep = self.chance.place(queue.len() + 1);
            queue.truncate(keep);
            if self.chance.one_in(2) {
                queue.drain(..).for_each(|record| self.publish(number, target, record));
            } else if !queue.is_empty() {
                self.ghosts.push((number, target, queue));
            }
        }
        for write in owner.writes {
            self.leave_write(number, &write);
        }
        for offset in owner.commits {
            if self.chance.one_in(3) {
                self.committed[number as usize] = offset;
            }
        }
        if sabotage::on(Bug::AckedBatchesLost) && self.faults && !self.backup.is_empty() {
            self.replicas = self.backup.clone();
        }
    }

    /// The same with a fate that is given.
    fn die_with(&mut self, place: usize, fate: Fate) {
        let owner = self.owners.swap_remove(place);
        let number = owner.number;
        let half = |count: usize| match fate {
            Fate::Never => 0,
            Fate::FirstHalf => count.div_ceil(2),
            Fate::AtOnce | Fate::Later => count,
        };
        for (target, queue) in owner.sends {
            let count = half(queue.len());
            let queue = queue.into_iter().map(|(_, record)| record).take(count);
            match fate {
                Fate::Later => self.ghosts.push((number, target, queue.collect())),
                _ => queue.for_each(|record| self.publish(number, target, record)),
            }
        }
        let count = half(owner.writes.len());
        for write in owner.writes.into_iter().take(count) {
            match fate {
                Fate::Later => {
                    let (batch, clock_us) = (write.batch, write.clock_us);
                    self.late.push(Late { number, batch, replica: 0, clock_us });
                }
                _ => self.land(number, &write.batch, 0, write.clock_us),
            }
        }
        if let (Some(offset), Fate::AtOnce) = (owner.commits.first(), fate) {
            self.committed[number as usize] = *offset;
        }
    }

    /// A write whose sender no longer waits: it lands now, later or never, replica by replica.
    fn leave_write(&mut self, number: i32, write: &Write) {
        for replica in write.replicas.clone() {
            match self.chance.below(3) {
                0 => self.land(number, &write.batch, replica, write.clock_us),
                1 => {
                    let (batch, clock_us) = (write.batch.clone(), write.clock_us);
                    self.late.push(Late { number, batch, replica, clock_us });
                }
                _ => {}
            }
        }
    }

    /// Delivery failed for good: the process must exit, and nothing behind it may go out.
    fn fail_publish(&mut self, place: usize) {
        let owner = &mut self.owners[place];
        let Some((_, queue)) = owner.sends.iter_mut().next() else { return };
        if sabotage::on(Bug::LaterSendsAfterAFailedOne) {
            if let Some((ticket, _)) = queue.pop_front() {
                owner.acks.push(ticket);
            }
            owner.sends.retain(|_, queue| !queue.is_empty());
            return;
        }
        self.die(place);
    }

    /// A write of a former time lands, or a record of a dead sender is stored.
    pub fn something_late(&mut self) {
        if !self.late.is_empty() {
            let at = self.chance.place(self.late.len());
            let late = self.late.swap_remove(at);
            self.seen.late_writes += 1;
            self.note(&[9, late.number.into()], || format!("late write on p{}", late.number));
            self.land(late.number, &late.batch, late.replica, late.clock_us);
        } else if !self.ghosts.is_empty() {
            let at = self.chance.place(self.ghosts.len());
            let (number, target, queue) = &mut self.ghosts[at];
            let (number, target, record) = (*number, *target, queue.pop_front());
            if queue.is_empty() {
                self.ghosts.swap_remove(at);
            }
            if let Some(record) = record {
                self.publish(number, target, record);
            }
        }
    }

    /// A write reaches one replica, or times out and is sent again.
    pub fn write_somewhere(&mut self, place: usize, at: usize) {
        let fails = self.faults && self.chance.below(1000) < self.write_fault_rate;
        let number = self.owners[place].number;
        if fails {
            let clock_us = self.steps as i64;
            let done = sabotage::on(Bug::TimedOutBatchTakenAsDone);
            let every = (0..self.replicas.len()).collect();
            let batch = self.owners[place].writes[at].batch.clone();
            let again = Write { batch, replicas: every, landed: 0, clock_us };
            let write = std::mem::replace(&mut self.owners[place].writes[at], again);
            self.note(&[10, number.into()], || format!("a write of p{number} times out"));
            self.leave_write(number, &write);
            if done {
                let write = self.owners[place].writes.swap_remove(at);
                self.tell_written(place, &write.batch);
            }
            return;
        }
        let write = &mut self.owners[place].writes[at];
        let which = self.chance.place(write.replicas.len());
        let replica = write.replicas.swap_remove(which);
        write.landed += 1;
        let (batch, clock_us, landed) = (write.batch.clone(), write.clock_us, write.landed);
        self.land(number, &batch, replica, clock_us);
        if landed >= self.quorum() {
            let write = self.owners[place].writes.swap_remove(at);
            for replica in write.replicas {
                if !self.faults || self.chance.one_in(2) {
                    self.land(number, &batch, replica, clock_us);
                } else {
                    let batch = batch.clone();
                    self.late.push(Late { number, batch, replica, clock_us });
                }
            }
            self.tell_written(place, &batch);
        }
    }

    fn tell_written(&mut self, place: usize, batch: &Batch) {
        let (seal, index) = (batch.seal, batch.index);
        let arrival = ("arrival written", Arrival::Written { seal, index });
        self.owners[place].arrivals.push(arrival);
    }

    /// A batch is applied by one replica.
    pub fn land(&mut self, number: i32, batch: &Arc<Batch>, replica: usize, clock_us: i64) {
        self.check_rows(number, batch);
        if self.violation.is_some() {
            return;
        }
        let by_clock = sabotage::on(Bug::WallClockTimestamps);
        for row in &batch.rows {
            let stamped_us = TIMESTAMP_FIRST_US + batch.stamp(row);
            let timestamp_us = if by_clock { clock_us } else { stamped_us };
            let place = (INCARNATION, number, batch.bucket);
            self.replicas[replica].write_row(place, batch.table, row, timestamp_us);
        }
    }

    /// The replicas that answer a read: any quorum.
    fn answering(&mut self) -> Vec<usize> {
        let mut replicas: Vec<usize> = (0..self.replicas.len()).collect();
        let most = if sabotage::on(Bug::ReadsAtOne) { 1 } else { self.quorum() };
        while replicas.len() > most {
            let out = self.chance.place(replicas.len());
            replicas.swap_remove(out);
        }
        replicas
    }

    /// One page of a bucket's heads at quorum, repaired before it is answered.
    pub fn read_page(&mut self, place: usize, at: usize, rows_max: usize) {
        let number = self.owners[place].number;
        let page = self.owners[place].pages.swap_remove(at);
        let bucket = (INCARNATION, number, page.bucket);
        let replicas = self.answering();
        let mut newest: BTreeMap<Box<str>, (i64, Vec<u8>)> = BTreeMap::new();
        for replica in &replicas {
            for (key, cell) in self.replicas[*replica].heads(bucket) {
                if page.after.as_deref().is_some_and(|after| key <= after) {
                    continue;
                }
                let found = newest.entry(key.into()).or_default();
                if found.0 < cell.timestamp_us {
                    *found = (cell.timestamp_us, cell.bytes.clone());
                }
            }
        }
        let more = newest.len() > rows_max;
        let mut rows = Vec::new();
        for (key, (timestamp_us, bytes)) in newest.into_iter().take(rows_max) {
            self.repair(&replicas, bucket, &key, None, timestamp_us, &bytes);
            rows.push((key, bytes));
        }
        let owner = &mut self.owners[place];
        if more && let Some((last, _)) = rows.last() {
            owner.pages.push(Page { bucket: page.bucket, after: Some(last.clone()) });
        }
        owner.arrivals.push(("arrival heads", Arrival::Heads(rows)));
    }

    /// Blocking read repair: what is answered is on a quorum.
    fn repair(
        &mut self,
        replicas: &[usize],
        place: (i32, i32, u32),
        key: &str,
        item: Option<(&str, i64)>,
        timestamp_us: i64,
        bytes: &[u8],
    ) {
        if sabotage::on(Bug::NoReadRepair) || replicas.len() < 2 {
            return;
        }
        let (table, row) = match item {
            Some((item, pos)) => {
                (Table::Sides, RowWrite::side(key.into(), item.into(), pos, bytes.into()))
            }
            None => (Table::Heads, RowWrite::head(key.into(), 0, bytes.into())),
        };
        for replica in replicas {
            self.replicas[*replica].write_row(place, table, &row, timestamp_us);
        }
    }

    /// A side row at quorum, at this very moment; the answer may arrive much later.
    pub fn read_side(&mut self, place: usize, at: usize) {
        let number = self.owners[place].number;
        let read = self.owners[place].reads.swap_remove(at);
        let bucket = (INCARNATION, number, read.bucket);
        let below = if sabotage::on(Bug::SideReadUnbounded) { i64::MAX } else { read.below };
        let replicas = self.answering();
        let newest = replicas
            .iter()
            .filter_map(|replica| {
                self.replicas[*replica].side(bucket, &read.key, &read.item, below)
            })
            .max_by_key(|(pos, _)| *pos)
            .map(|(pos, cell)| (pos, cell.timestamp_us, cell.bytes.clone()));
        if let Some((pos, timestamp_us, bytes)) = &newest {
            let item = Some((read.item.as_ref(), *pos));
            self.repair(&replicas, bucket, &read.key, item, *timestamp_us, bytes);
        }
        let version = newest.map(|(pos, _, bytes)| (pos, bytes));
        let answer = Arrival::SideRow { below: read.below, item: read.item, version };
        self.owners[place].arrivals.push(("arrival side row", answer));
    }

    /// A commit is stored, lost, or left to come when its sender is long gone.
    pub fn land_commit(&mut self, place: usize, offset: i64) {
        let number = self.owners[place].number;
        match self.chance.below(6) {
            0 if self.faults => {}
            1 if self.faults => self.owners[place].commits.push(offset),
            _ => {
                self.committed[number as usize] = offset;
                self.note(&[11, number.into(), offset], || format!("p{number} committed {offset}"));
            }
        }
    }

    /// A record reaches the log.
    pub fn publish(&mut self, number: i32, target: Target, record: crate::runtime::ports::Publish) {
        if self.violation.is_some() {
            return;
        }
        self.check_publish(number, target, &record);
        let topic = super::world::TOPICS[target.0];
        let contents = (record.key, record.value, record.headers);
        let offset = self.log.append(topic, target.1, self.now, contents);
        self.note(&[12, number.into(), offset], || {
            format!("p{number} stores {topic} {}:{offset}", target.1)
        });
    }
}
