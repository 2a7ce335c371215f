//! One obligation under way, and its sends to devices.
//!
//! Owns their states. A send ends once and keeps how; an obligation ends when its last send has.
//! Invariant: key and notification follow from obligation and device, so every attempt is the same.

use crate::codec::raw::RawRecord;
use crate::domain::{
    ids::CustomerId,
    push::{Device, Obligation, Outcome, Platform, Preferences, Send},
    time::LogTime,
};

/// A send: the obligation's number and the place among its sends.
pub(super) type SendRef = (u64, usize);

/// Whose order it keeps: the partition comes first, so that a revocation finds all of it.
pub(super) type Recipient = (i32, CustomerId);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Behind an earlier obligation of its customer.
    Waiting,
    /// Devices and preferences are asked for.
    Asking,
    Sending,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SendState {
    /// An earlier obligation of the customer is still on its way to the same gateway.
    Behind,
    /// In the gateway's queue, at this place.
    Queued {
        place: u64,
    },
    UnderWay {
        attempt: u64,
    },
    /// Until this time.
    Pausing {
        until_ms: i64,
    },
    Ended,
}

#[derive(Clone, Debug)]
pub(super) struct DeviceSend {
    pub device: Device,
    pub state: SendState,
    pub report: Send,
}

impl DeviceSend {
    pub fn new(device: Device, key: Box<str>) -> Self {
        let platform = device.platform;
        let report =
            Send { key, platform, outcome: Outcome::Unknown, attempts: 0, code: "".into() };
        Self { device, state: SendState::Behind, report }
    }

    pub fn platform(&self) -> Platform {
        self.device.platform
    }

    pub fn is_open(&self) -> bool {
        self.state != SendState::Ended
    }
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub obligation: Obligation,
    pub partition: i32,
    pub log_time: LogTime,
    /// The feed record without its value, for the headers of the outcome.
    pub cause: RawRecord,
    pub expires_ms: i64,
    pub stage: Stage,
    /// As read when it was sent: a newer version that is not wanted supersedes nothing.
    pub preferences: Preferences,
    pub sends: Vec<DeviceSend>,
}

impl Job {
    pub fn recipient(&self) -> Recipient {
        (self.partition, self.obligation.customer_id.clone())
    }

    pub fn is_accepted(&self) -> bool {
        self.sends.iter().any(|send| send.report.outcome == Outcome::Delivered)
    }

    pub fn has_ended(&self) -> bool {
        self.stage == Stage::Sending && !self.sends.iter().any(DeviceSend::is_open)
    }

    /// What its sends come to together: one that was accepted counts for all, then what stopped
    /// the others.
    pub fn outcome(&self) -> Outcome {
        let has = |outcome| self.sends.iter().any(|send| send.report.outcome == outcome);
        [Outcome::Delivered, Outcome::Superseded, Outcome::Expired]
            .into_iter()
            .find(|outcome| has(*outcome))
            .unwrap_or(Outcome::Rejected)
    }
}
