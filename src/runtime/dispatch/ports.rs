//! The edges of the executor: what it asks of the outside and what comes back.
//!
//! Everything is asked without waiting and answered by an arrival, in any order and possibly much
//! later or never. A port that cannot do what it was asked repeats it until it can, but for `send`:
//! its failure is an answer (`Answer::Later`), because the executor decides when to try again.

use crate::codec::raw::RawRecord;
use crate::domain::{
    ids::CustomerId,
    push::{Answer, Device, Notification, Targets},
};
use crate::runtime::ports::Publish;

pub trait DispatchPorts {
    /// Devices and preferences of a customer, as they are now: `Arrival::Targets`.
    fn resolve(&mut self, ask: u64, customer: &CustomerId);
    /// One attempt at the gateway of the device's platform: `Arrival::Answered`, once.
    fn send(&mut self, attempt: u64, device: &Device, notification: &Notification);
    /// An outcome or a dead letter: `Arrival::Acknowledged`.
    fn publish(&mut self, ticket: u64, record: Publish);
    /// The gateway says that the device is gone. There is no answer.
    fn forget_device(&mut self, customer: &CustomerId, device: &Device);
    /// A hint that may be lost: there is no answer.
    fn commit(&mut self, partition: i32, next_offset: i64);
}

#[derive(Clone, Debug)]
pub enum Arrival {
    /// The partition is ours from its committed offset on.
    Assigned {
        partition: i32,
        start: i64,
    },
    /// It is not any more: everything of it is forgotten, answers that still come are ignored.
    Revoked {
        partition: i32,
    },
    /// Records in order of offset, none left out.
    Fetched {
        partition: i32,
        records: Vec<RawRecord>,
    },
    Targets {
        ask: u64,
        targets: Targets,
    },
    Answered {
        attempt: u64,
        answer: Answer,
    },
    Acknowledged {
        ticket: u64,
    },
    /// `wake_ms` has come.
    Wake,
    /// Look again at what stopped a partition.
    Retry,
    /// Take and begin nothing more; what is under way ends.
    Drain,
}
