//! What each gateway needs to know, checked by `config`.
//!
//! Owns the shape of the settings and nothing of their keys' spelling. Never holds what a key file
//! holds: `open` reads it. Invariant: a gateway is `Some` only with all that it needs, so that
//! half a configuration cannot pass for none.

use crate::runtime::settings::Secret;
use std::path::PathBuf;

/// Absent: that kind of device cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewaySettings {
    pub fcm: Option<FcmSettings>,
    pub apns: Option<ApnsSettings>,
    pub web_push: Option<WebPushSettings>,
    pub webhook: Option<WebhookSettings>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FcmSettings {
    /// Scheme, host and port.
    pub url: String,
    pub project: String,
    /// The service account's key, JSON as Google gives it.
    pub credentials_path: PathBuf,
    /// Instead of the one that the key file names.
    pub token_url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApnsSettings {
    pub url: String,
    /// The program's bundle id.
    pub topic: String,
    /// The `.p8` file: PKCS#8 PEM of a P-256 key.
    pub key_path: PathBuf,
    pub key_id: String,
    pub team_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebPushSettings {
    /// The VAPID key: PKCS#8 PEM of a P-256 key, or its 32 bytes as base64url.
    pub key_path: PathBuf,
    /// `mailto:` or `https:`, for the push service's people.
    pub subject: String,
    /// See `address::Hosts`.
    pub hosts: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// `whsec_` and base64. Each signs, so that a receiver may change from one to the next.
    pub secrets: Vec<Secret>,
    /// See `address::Hosts`.
    pub hosts: Vec<String>,
}
