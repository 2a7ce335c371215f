//! What all gateways have in common: one attempt, from the check of its key to an answer.
//!
//! Owns the turn from a protocol into a gateway, and the parts of a notification as JSON that
//! several protocols want alike. Never knows a protocol's own words. Invariant: nothing goes out
//! under a key that some protocol could not carry, and every trouble becomes an answer.

use super::{Gateway, wire::Fault};
use crate::domain::push::{Answer, Device, Notification};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use std::future::Future;

/// What is particular to one gateway.
pub(super) trait Protocol: Send + Sync {
    /// Forms the request, sends it, reads the reply. The key is fine already. Errors: what to answer
    /// where there is no reply, because something was wrong before or on the way.
    fn attempt(
        &self,
        device: &Device,
        notification: &Notification,
    ) -> impl Future<Output = Result<Answer, Answer>> + Send;
}

impl<P: Protocol> Gateway for P {
    fn send<'a>(
        &'a self,
        device: &'a Device,
        notification: &'a Notification,
    ) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            if !is_key(&notification.key) {
                return Answer::rejected("key_malformed");
            }
            self.attempt(device, notification).await.unwrap_or_else(|answer| answer)
        })
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Connect | Fault::Cut | Fault::TimedOut => Answer::later(fault.code()),
            Fault::Malformed | Fault::Private => Answer::rejected(fault.code()),
        }
    }
}

/// Idempotency keys are ASCII without blanks, 64 bytes at most: what APNs allows, and HTTP.
fn is_key(key: &str) -> bool {
    (1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The fields for the device's program.
pub(super) fn program(notification: &Notification) -> Map<String, Value> {
    notification.fields.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect()
}

/// The whole notification, for receivers to which no protocol says how it should look.
pub(super) fn letter(notification: &Notification) -> Value {
    let Notification { key, title, body, fields: _, keep_seconds: _ } = notification;
    json!({"key": key, "title": title, "body": body, "data": program(notification)})
}
