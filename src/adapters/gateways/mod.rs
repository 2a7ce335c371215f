//! Gateways: who carries a notification to a device, one file each.
//!
//! Owns the trait, and which gateways are open. Never decides whether something is sent, how often
//! or how fast: the push stage's executor does. Invariant: what is sent under one key says the same
//! in every attempt, and no token, key or text reaches a log or an error.

mod access_token;
pub mod address;
mod apns;
mod fcm;
pub mod keys;
mod protocol;
pub mod sealed;
pub mod settings;
mod web_push;
mod webhook;
mod wire;

use crate::domain::push::{Answer, Device, Notification, Platform};
use futures_util::future::BoxFuture;
use settings::GatewaySettings;
use std::{collections::BTreeMap, sync::Arc};

pub use keys::KeyError;
pub use webhook::secret_fault;

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

/// Those that are configured. Sends nothing yet. Errors: a key file cannot be used.
pub fn open(settings: &GatewaySettings) -> Result<BTreeMap<Platform, Arc<dyn Gateway>>, KeyError> {
    let mut opened: BTreeMap<Platform, Arc<dyn Gateway>> = BTreeMap::new();
    if *settings == GatewaySettings::default() {
        return Ok(opened);
    }
    let tls = wire::Tls::new();
    if let Some(settings) = &settings.fcm {
        opened.insert(Platform::Fcm, Arc::new(fcm::Fcm::open(settings, &tls)?));
    }
    if let Some(settings) = &settings.apns {
        opened.insert(Platform::Apns, Arc::new(apns::Apns::open(settings, &tls)?));
    }
    if let Some(settings) = &settings.web_push {
        opened.insert(Platform::WebPush, Arc::new(web_push::WebPush::open(settings, &tls)?));
    }
    if let Some(settings) = &settings.webhook {
        opened.insert(Platform::Webhook, Arc::new(webhook::Webhook::open(settings, &tls)));
    }
    Ok(opened)
}
