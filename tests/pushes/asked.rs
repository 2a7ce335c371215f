//! What executors ask for, and what the world makes of it.
//!
//! Owns the ports: they collect, and the world acts afterwards. Requests at gateways go into the
//! journal at once; everything else takes its time.

use super::gateway::{self, Request};
use super::world::{Event, HEALED_MS, World};
use crate::domain::{
    ids::CustomerId,
    push::{Device, Notification},
};
use crate::runtime::{dispatch::DispatchPorts, ports::Publish};

/// What an executor asked for.
pub enum Asked {
    Resolve(u64, CustomerId),
    Send(u64, Device, Notification),
    Publish(u64, Publish),
    Forget(CustomerId, Device),
    Commit(i32, i64),
}

#[derive(Default)]
pub struct Collected(pub Vec<Asked>);

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

impl World {
    pub fn act(&mut self, life: u64, asked: Asked) {
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
}
