//! Apple's push service, HTTP/2 with provider tokens.
//!
//! Owns the request's form, the provider token and what the answers mean. The key is the collapse
//! id, so that a repeat replaces, and `apns-id` is derived from it. Never puts a device's token
//! anywhere but the path, and only if it is hexadecimal. Invariant: the body depends on the
//! notification alone.

use super::{
    address,
    keys::{KeyError, KeyFile, es256_token, secret_header},
    protocol::{Protocol, program},
    settings::ApnsSettings,
    wire::{Fault, Reach, Reply, Tls, Version, Wire},
};
use crate::{
    domain::push::{Answer, Device, Notification},
    runtime::telemetry,
};
use http::{HeaderValue, Request, header};
use p256::ecdsa::SigningKey;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Apple takes a token for an hour, and refuses a new one within twenty minutes.
const TOKEN_USED_MS: u64 = 40 * 60_000;
const TOKEN_KEPT_MS: u64 = 21 * 60_000;

pub struct Apns {
    wire: Wire,
    base: String,
    topic: HeaderValue,
    key: SigningKey,
    key_id: String,
    team_id: String,
    token: Mutex<Option<ProviderToken>>,
}

/// Made at a moment of the steady clock.
#[derive(Clone)]
struct ProviderToken {
    bearer: HeaderValue,
    made_ms: u64,
}

#[derive(Default, Deserialize)]
struct Failure {
    #[serde(default)]
    reason: String,
}

impl Apns {
    pub fn open(settings: &ApnsSettings, tls: &Tls) -> Result<Self, KeyError> {
        let file = KeyFile {
            setting: "push.apns_key_path",
            path: &settings.key_path,
            cure: "name the .p8 file that Apple gave for the key",
        };
        let base = settings.url.trim_end_matches('/').to_owned();
        if address::parse_base(&base).is_none() {
            return Err(file.fault("is of no use without push.apns_url"));
        }
        Ok(Apns {
            wire: Wire::new(tls, Reach::Anywhere, Version::Two),
            base,
            topic: HeaderValue::from_str(&settings.topic)
                .map_err(|_| file.fault("is of no use without push.apns_topic"))?,
            key: file.p256()?,
            key_id: settings.key_id.clone(),
            team_id: settings.team_id.clone(),
            token: Mutex::new(None),
        })
    }

    /// The `authorization` header, `older_than_ms` at most.
    fn bearer(&self, older_than_ms: u64) -> Option<HeaderValue> {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = telemetry::steady_ms();
        if let Some(token) = &*token
            && now_ms.saturating_sub(token.made_ms) < older_than_ms
        {
            return Some(token.bearer.clone());
        }
        let head = json!({"alg": "ES256", "kid": self.key_id});
        let claims = json!({"iss": self.team_id, "iat": telemetry::now_ms() / 1_000});
        let text = format!("bearer {}", es256_token(&self.key, &head, &claims));
        let bearer = secret_header(text)?;
        *token = Some(ProviderToken { bearer: bearer.clone(), made_ms: now_ms });
        Some(bearer)
    }
}

impl Protocol for Apns {
    async fn attempt(
        &self,
        device: &Device,
        notification: &Notification,
    ) -> Result<Answer, Answer> {
        let key = &notification.key;
        let is_hex = device.token.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || !(2..=200).contains(&device.token.len()) {
            return Err(Answer::rejected("token_malformed"));
        }
        let bearer = self.bearer(TOKEN_USED_MS).ok_or(Fault::Malformed)?;
        let ends = telemetry::now_ms() / 1_000 + i64::from(notification.keep_seconds);
        let request = Request::post(format!("{}/3/device/{}", self.base, device.token))
            .header(header::AUTHORIZATION, bearer)
            .header("apns-topic", self.topic.clone())
            .header("apns-push-type", "alert")
            .header("apns-collapse-id", &**key)
            .header("apns-id", id(key).hyphenated().to_string())
            .header("apns-expiration", ends)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body(notification).to_string().into_bytes());
        let (answer, is_token_refused) = answer(&self.wire.send(request).await?);
        if is_token_refused {
            self.bearer(TOKEN_KEPT_MS);
        }
        Ok(answer)
    }
}

/// The same for every attempt: Apple reports on a notification under it.
fn id(key: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes())
}

fn body(notification: &Notification) -> Value {
    let Notification { key, title, body, fields: _, keep_seconds: _ } = notification;
    let mut whole = program(notification);
    whole.insert("aps".to_owned(), json!({"alert": {"title": title, "body": body}}));
    whole.insert("key".to_owned(), json!(key));
    Value::Object(whole)
}

/// Shape: (what it means, whether our provider token was refused).
fn answer(reply: &Reply) -> (Answer, bool) {
    let failure: Failure = serde_json::from_slice(&reply.body).unwrap_or_default();
    let reason = failure.reason.as_str();
    let is_token_refused =
        matches!(reason, "ExpiredProviderToken" | "InvalidProviderToken" | "MissingProviderToken");
    let answer = match (reason, reply.status) {
        (_, 200) => Answer::Accepted,
        ("BadDeviceToken" | "Unregistered" | "ExpiredToken", _) | (_, 410) => Answer::Gone,
        // The operator's to mend, or the connection's: the notification waits.
        (_, 403) | ("IdleTimeout", _) => reply.later(reason),
        (reason, _) => reply.by_status(reason),
    };
    (answer, is_token_refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each answer of Apple's means one thing. Method: status, reason, what follows, whether
    /// another provider token is due.
    #[test]
    fn answers_mean_one_thing() {
        let (rejected, later) = (Answer::rejected, Answer::later);
        for (status, reason, then, renews) in [
            (200, "", Answer::Accepted, false),
            (410, "Unregistered", Answer::Gone, false),
            (410, "ExpiredToken", Answer::Gone, false),
            (410, "", Answer::Gone, false),
            (400, "BadDeviceToken", Answer::Gone, false),
            (400, "DeviceTokenNotForTopic", rejected("DeviceTokenNotForTopic"), false),
            (400, "BadCollapseId", rejected("BadCollapseId"), false),
            (400, "PayloadEmpty", rejected("PayloadEmpty"), false),
            (400, "IdleTimeout", later("IdleTimeout"), false),
            (404, "BadPath", rejected("BadPath"), false),
            (405, "MethodNotAllowed", rejected("MethodNotAllowed"), false),
            (413, "PayloadTooLarge", rejected("PayloadTooLarge"), false),
            (403, "ExpiredProviderToken", later("ExpiredProviderToken"), true),
            (403, "InvalidProviderToken", later("InvalidProviderToken"), true),
            (403, "MissingProviderToken", later("MissingProviderToken"), true),
            (403, "BadCertificateEnvironment", later("BadCertificateEnvironment"), false),
            (429, "TooManyRequests", later("TooManyRequests"), false),
            (429, "TooManyProviderTokenUpdates", later("TooManyProviderTokenUpdates"), false),
            (500, "InternalServerError", later("InternalServerError"), false),
            (503, "Shutdown", later("Shutdown"), false),
            (502, "", later("http_502"), false),
            (301, "", rejected("http_301"), false),
        ] {
            let body = json!({"reason": reason}).to_string().into_bytes();
            let reply = Reply { status, retry_after_ms: None, body };
            assert_eq!(answer(&reply), (then, renews), "{status} {reason}");
        }
    }
}
