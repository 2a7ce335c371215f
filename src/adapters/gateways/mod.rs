//! Gateways: who carries a notification to a device, one file each.
//!
//! Owns the trait, and which gateways are open. Never decides whether something is sent, how often
//! or how fast: the push stage's executor does. Invariant: what is sent under one key says the same
//! in every attempt, and no token, key or text reaches a log or an error.

use crate::domain::push::{Answer, Device, Notification};
use futures_util::future::BoxFuture;

/// One way to reach devices.
pub trait Gateway: Send + Sync {
    /// Sends once. Every trouble is an answer. Dropping the future gives the attempt up; whether
    /// the gateway took it is then unknown, so another one carries the same key.
    fn send<'a>(
        &'a self,
        device: &'a Device,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Answer>;
}
