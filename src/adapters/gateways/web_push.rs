//! Web push: RFC 8030 requests, RFC 8291 content, RFC 8292 (VAPID) signatures.
//!
//! Owns the request's form and what the answers mean. The address comes from a browser by way of a
//! customer, so only listed push services are spoken to. The topic is derived from the key, so that
//! a repeat replaces what still waits. Invariant: the plaintext depends on the notification alone;
//! the bytes sent do not, as the encryption is salted anew each time.

use super::{
    address::Hosts,
    keys::{BASE64_URL, KeyError, KeyFile, es256_token, secret_header},
    protocol::{Protocol, letter},
    sealed::{self, AUTH_BYTES, POINT_BYTES},
    settings::WebPushSettings,
    wire::{Fault, Reach, Reply, Tls, Version, Wire},
};
use crate::{
    domain::push::{Answer, Device, Notification},
    runtime::telemetry,
};
use base64::Engine;
use http::{HeaderValue, Request, Uri, header};
use p256::ecdsa::SigningKey;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// RFC 8292 allows a day.
const TOKEN_SECONDS: i64 = 12 * 3_600;
const TOKEN_USED_MS: u64 = 6 * 3_600_000;
/// Push services, by scheme, host and port. Beyond, all are forgotten: a list of a few suffices.
const TOKENS_MAX: usize = 256;

pub struct WebPush {
    wire: Wire,
    hosts: Arc<Hosts>,
    key: SigningKey,
    /// Uncompressed point, base64url.
    public_key: String,
    subject: String,
    /// By origin: the header, and when it was made by the steady clock.
    tokens: Mutex<BTreeMap<String, (HeaderValue, u64)>>,
}

impl WebPush {
    pub fn open(settings: &WebPushSettings, tls: &Tls) -> Result<Self, KeyError> {
        let file = KeyFile {
            setting: "push.web_push_key_path",
            path: &settings.key_path,
            cure: "name a P-256 key: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`",
        };
        let (key, hosts) = (file.p256()?, Arc::new(Hosts::new(&settings.hosts)));
        Ok(WebPush {
            wire: Wire::new(tls, Reach::Listed(Arc::clone(&hosts)), Version::Any),
            hosts,
            public_key: BASE64_URL.encode(key.verifying_key().to_encoded_point(false).as_bytes()),
            key,
            subject: settings.subject.clone(),
            tokens: Mutex::default(),
        })
    }

    fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        let origin = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = telemetry::steady_ms();
        if let Some((header, made_ms)) = tokens.get(&origin)
            && now_ms.saturating_sub(*made_ms) < TOKEN_USED_MS
        {
            return Some(header.clone());
        }
        let exp = telemetry::now_ms() / 1_000 + TOKEN_SECONDS;
        let claims = json!({"aud": origin, "exp": exp, "sub": self.subject});
        let token = es256_token(&self.key, &json!({"typ": "JWT", "alg": "ES256"}), &claims);
        let header = secret_header(format!("vapid t={token}, k={}", self.public_key))?;
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        tokens.insert(origin, (header.clone(), now_ms));
        Some(header)
    }
}

impl Protocol for WebPush {
    async fn attempt(
        &self,
        device: &Device,
        notification: &Notification,
    ) -> Result<Answer, Answer> {
        let uri = self.hosts.admit(&device.token).map_err(Answer::rejected)?;
        let (point, auth) =
            subscription_keys(device).ok_or(Answer::rejected("device_keys_malformed"))?;
        let plain = letter(notification).to_string().into_bytes();
        let sealed = sealed::seal(plain, &point, &auth)?;
        let authorization = self.authorization(&uri).ok_or(Fault::Malformed)?;
        let request = Request::post(uri)
            .header(header::AUTHORIZATION, authorization)
            .header("ttl", notification.keep_seconds)
            .header("topic", topic(&notification.key))
            .header("urgency", "high")
            .header(header::CONTENT_ENCODING, "aes128gcm")
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(sealed);
        Ok(answer(&self.wire.send(request).await?))
    }
}

/// The browser's point and its secret. Whether the point is on the curve shows where it is used.
fn subscription_keys(device: &Device) -> Option<([u8; POINT_BYTES], [u8; AUTH_BYTES])> {
    let point = BASE64_URL.decode(device.p256dh.as_bytes()).ok()?;
    let auth = BASE64_URL.decode(device.auth.as_bytes()).ok()?;
    Some((point.try_into().ok()?, auth.try_into().ok()?))
}

impl From<sealed::Fault> for Answer {
    fn from(fault: sealed::Fault) -> Self {
        match fault {
            sealed::Fault::Point => Answer::rejected("device_keys_malformed"),
            sealed::Fault::TooLong => Answer::rejected("too_long"),
            sealed::Fault::Randomness => Answer::later("no_randomness"),
        }
    }
}

/// RFC 8030, section 5.4: 32 characters of the base64url alphabet at most; keys are longer.
fn topic(key: &str) -> String {
    BASE64_URL.encode(&Sha256::digest(key.as_bytes())[..24])
}

fn answer(reply: &Reply) -> Answer {
    match reply.status {
        404 | 410 => Answer::Gone,
        _ => reply.by_status(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each answer of a push service means one thing. Method: status, then what follows.
    #[test]
    fn answers_mean_one_thing() {
        let rejected = Answer::rejected;
        let later = |code: &str| Answer::Later { code: code.into(), retry_after_ms: Some(9) };
        for (status, then) in [
            (200, Answer::Accepted),
            (201, Answer::Accepted),
            (202, Answer::Accepted),
            (404, Answer::Gone),
            (410, Answer::Gone),
            (400, rejected("http_400")),
            (403, rejected("http_403")),
            (413, rejected("http_413")),
            (307, rejected("http_307")),
            (401, later("http_401")),
            (408, later("http_408")),
            (429, later("http_429")),
            (500, later("http_500")),
            (503, later("http_503")),
        ] {
            let reply = Reply { status, retry_after_ms: Some(9), body: Vec::new() };
            assert_eq!(answer(&reply), then, "{status}");
        }
    }

    /// Goal: a topic is what push services take, the same for a key, another for another key.
    /// Method: keys of every length.
    #[test]
    fn topics_fit() {
        let mut seen = std::collections::BTreeSet::new();
        for length in 1..=64 {
            let key = "k".repeat(length);
            let topic = topic(&key);
            let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            assert!(topic.len() == 32 && topic.bytes().all(is_fine), "{topic}");
            assert_eq!(topic, super::topic(&key));
            assert!(seen.insert(topic), "{key}");
        }
    }
}
