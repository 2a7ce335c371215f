//! What a real gateway would look at before it takes a push.
//!
//! Owns the checks and the words of their refusals. Never looks at behaviours. Invariant: a push
//! that passes is one that the real service would have understood and believed, as far as that can
//! be known from here.

use super::{
    Twin,
    jwt::Jwt,
    keys::{self, KEY_ID, TEAM_ID, hex},
    opened,
};
use crate::{
    adapters::gateways::{keys::BASE64_URL, sealed::POINT_BYTES},
    runtime::telemetry,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use ring::hmac;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::atomic::Ordering};

/// A push as it was understood.
#[derive(Default)]
pub struct Heard {
    pub key: String,
    /// The token, or the address that was posted to.
    pub device: String,
    pub title: String,
    pub body: String,
    pub fields: BTreeMap<String, String>,
    pub plain: Vec<u8>,
    pub is_gone: bool,
}

/// Status and word, as the platform would say it.
pub struct Refusal {
    pub status: u16,
    pub word: &'static str,
}

fn refuse<T>(status: u16, word: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, word })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    let members = value.as_object().into_iter().flatten();
    members.filter_map(|(name, it)| Some((name.clone(), it.as_str()?.to_owned()))).collect()
}

/// Any project will do: the token's own says enough.
pub fn fcm(twin: &Twin, _: &str, headers: &HeaderMap, plain: &[u8]) -> Result<Heard, Refusal> {
    let granted = text(headers, "authorization").strip_prefix("Bearer fake-token-");
    let number = granted.and_then(|number| number.parse::<u64>().ok());
    if number.is_none_or(|number| number >= twin.tokens_granted.load(Ordering::Relaxed)) {
        return refuse(401, "UNAUTHENTICATED");
    }
    let Ok(json) = serde_json::from_slice::<Value>(plain) else {
        return refuse(400, "INVALID_ARGUMENT");
    };
    let message = &json["message"];
    let (android, notice) = (&message["android"], &message["notification"]);
    let key = string(&android["collapse_key"]);
    let seconds = string(&android["ttl"]);
    let is_fine = !string(&message["token"]).is_empty()
        && key.len() <= 64
        && seconds.strip_suffix('s').is_some_and(|it| it.parse::<u32>().is_ok())
        && message["data"].as_object().is_none_or(|it| it.values().all(Value::is_string))
        && plain.len() <= 4_096;
    if !is_fine {
        return refuse(400, "INVALID_ARGUMENT");
    }
    let device = string(&message["token"]);
    Ok(Heard {
        key,
        is_gone: device.starts_with("fcm-gone-"),
        device,
        title: string(&notice["title"]),
        body: string(&notice["body"]),
        fields: strings(&message["data"]),
        plain: plain.to_vec(),
    })
}

pub fn apns(twin: &Twin, token: &str, headers: &HeaderMap, plain: &[u8]) -> Result<Heard, Refusal> {
    let Some(bearer) = text(headers, "authorization").strip_prefix("bearer ") else {
        return refuse(403, "MissingProviderToken");
    };
    let Some(jwt) = Jwt::read(bearer) else { return refuse(403, "InvalidProviderToken") };
    let age_seconds = telemetry::now_ms() / 1_000 - jwt.claims["iat"].as_i64().unwrap_or(0);
    let is_ours = twin.keys.as_ref().is_none_or(|keys| {
        let ids = (jwt.header["kid"].as_str(), jwt.claims["iss"].as_str());
        ids == (Some(KEY_ID), Some(TEAM_ID)) && twin.verified.is_signed(&jwt, &keys.apns)
    });
    if jwt.header["alg"] != "ES256" || jwt.header["kid"].as_str().is_none() || !is_ours {
        return refuse(403, "InvalidProviderToken");
    }
    if !(-60..3_600).contains(&age_seconds) {
        return refuse(403, "ExpiredProviderToken");
    }
    let key = text(headers, "apns-collapse-id").to_owned();
    let id = text(headers, "apns-id");
    match () {
        () if text(headers, "apns-topic").is_empty() => return refuse(400, "MissingTopic"),
        () if text(headers, "apns-push-type") != "alert" => {
            return refuse(400, "InvalidPushType");
        }
        () if key.len() > 64 => return refuse(400, "BadCollapseId"),
        () if id.len() != 36 => return refuse(400, "BadMessageId"),
        () if text(headers, "apns-expiration").parse::<u64>().is_err() => {
            return refuse(400, "BadExpirationDate");
        }
        () if token.len() != 64 || !token.bytes().all(|it| it.is_ascii_hexdigit()) => {
            return refuse(400, "BadDeviceToken");
        }
        () if plain.len() > 4_096 => return refuse(413, "PayloadTooLarge"),
        () => {}
    }
    let Ok(json) = serde_json::from_slice::<Value>(plain) else {
        return refuse(400, "PayloadEmpty");
    };
    let alert = &json["aps"]["alert"];
    Ok(Heard {
        key,
        device: token.to_owned(),
        title: string(&alert["title"]),
        body: string(&alert["body"]),
        fields: strings(&json),
        plain: plain.to_vec(),
        is_gone: token.starts_with(keys::APNS_GONE),
    })
}

pub fn web_push(
    twin: &Twin,
    name: &str,
    headers: &HeaderMap,
    sealed: &[u8],
) -> Result<Heard, Refusal> {
    let origin = format!("http://{}", twin.address);
    vapid(twin, text(headers, "authorization"), &origin)?;
    let topic = text(headers, "topic");
    let is_base64_url =
        topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if topic.is_empty() || topic.len() > 32 || !is_base64_url {
        return refuse(400, "topic");
    }
    if text(headers, "ttl").parse::<u32>().is_err() {
        return refuse(400, "ttl");
    }
    if text(headers, "content-encoding") != "aes128gcm" {
        return refuse(415, "content_encoding");
    }
    if sealed.len() > 4_096 {
        return refuse(413, "too_long");
    }
    let Some(plain) = opened::open(sealed, &keys::RECEIVER, &keys::auth(name)) else {
        return refuse(400, "not_for_this_device");
    };
    let Ok(json) = serde_json::from_slice::<Value>(&plain) else { return refuse(400, "json") };
    let key = string(&json["key"]);
    if topic != BASE64_URL.encode(&Sha256::digest(key.as_bytes())[..24]) {
        return refuse(400, "topic_of_another_key");
    }
    Ok(Heard {
        key,
        device: format!("{origin}/push/{name}"),
        title: string(&json["title"]),
        body: string(&json["body"]),
        fields: strings(&json["data"]),
        plain,
        is_gone: name.starts_with("gone-"),
    })
}

fn vapid(twin: &Twin, authorization: &str, origin: &str) -> Result<(), Refusal> {
    let Some(fields) = authorization.strip_prefix("vapid ") else {
        return refuse(401, "vapid_missing");
    };
    let field = |name: &str| {
        fields.split(',').find_map(|it| it.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let point = field("k").and_then(|key| BASE64_URL.decode(key).ok()).filter(|it| is_point(it));
    let (Some(jwt), Some(point)) = (field("t").and_then(Jwt::read), point) else {
        return refuse(403, "vapid_malformed");
    };
    let left_seconds = jwt.claims["exp"].as_i64().unwrap_or(0) - telemetry::now_ms() / 1_000;
    let is_known = twin.keys.as_ref().is_none_or(|keys| *keys.vapid == *point);
    let is_fine = twin.verified.is_signed(&jwt, &point)
        && jwt.claims["aud"] == origin
        && jwt.claims["sub"].as_str().is_some()
        && (1..=86_400).contains(&left_seconds);
    if is_fine && is_known { Ok(()) } else { refuse(403, "vapid_refused") }
}

/// Uncompressed, as RFC 8292 wants it. One off the curve verifies nothing.
fn is_point(bytes: &[u8]) -> bool {
    bytes.len() == POINT_BYTES && bytes.first() == Some(&4)
}

pub fn webhook(
    twin: &Twin,
    name: &str,
    headers: &HeaderMap,
    plain: &[u8],
) -> Result<Heard, Refusal> {
    let key = text(headers, "webhook-id").to_owned();
    let sent = text(headers, "webhook-timestamp");
    let signatures = text(headers, "webhook-signature");
    let age_seconds = sent.parse().map(|sent: i64| telemetry::now_ms() / 1_000 - sent);
    if key.is_empty() || !age_seconds.is_ok_and(|it| (-300..=300).contains(&it)) {
        return refuse(401, "timestamp");
    }
    let signed = [key.as_bytes(), b".", sent.as_bytes(), b".", plain].concat();
    let fits = |secret: &String| {
        let Some(bytes) = secret.strip_prefix("whsec_").and_then(|it| STANDARD.decode(it).ok())
        else {
            return false;
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        signatures.split(' ').filter_map(|it| it.strip_prefix("v1,")).any(|signature| {
            STANDARD.decode(signature).is_ok_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
        })
    };
    let is_signed = match twin.webhook_secrets.as_slice() {
        [] => signatures.starts_with("v1,"),
        secrets => secrets.iter().any(fits),
    };
    if !is_signed {
        return refuse(401, "signature");
    }
    let Ok(json) = serde_json::from_slice::<Value>(plain) else { return refuse(400, "json") };
    if json["key"].as_str() != Some(&key) {
        return refuse(400, "key_of_another_body");
    }
    Ok(Heard {
        key,
        device: format!("http://{}/hook/{name}", twin.address),
        title: string(&json["title"]),
        body: string(&json["body"]),
        fields: strings(&json["data"]),
        plain: plain.to_vec(),
        is_gone: name.starts_with("gone-"),
    })
}

/// A service account's request for an access token (RFC 7523).
pub fn token(twin: &Twin, headers: &HeaderMap, form: &[u8]) -> Result<(), Refusal> {
    let form = std::str::from_utf8(form).unwrap_or_default();
    let field = |name: &str| {
        form.split('&').find_map(|it| it.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let kind = text(headers, header::CONTENT_TYPE.as_str());
    let is_grant = field("grant_type").ends_with("jwt-bearer");
    let Some(jwt) = Jwt::read(field("assertion")).filter(|_| is_grant) else {
        return refuse(400, "invalid_request");
    };
    let now = telemetry::now_ms() / 1_000;
    let is_timely = jwt.claims["exp"].as_i64().is_some_and(|exp| exp > now && exp <= now + 3_600);
    let is_signed = twin.keys.is_none() || jwt.is_signed_by_account();
    let is_fine = kind == "application/x-www-form-urlencoded"
        && jwt.header["alg"] == "RS256"
        && jwt.claims["aud"] == format!("http://{}/token", twin.address)
        && jwt.claims["scope"].as_str().is_some_and(|it| it.ends_with("firebase.messaging"));
    if is_fine && is_timely && is_signed { Ok(()) } else { refuse(400, "invalid_grant") }
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapters::gateways::keys::es256_token, fake_gateway::Options};
    use p256::ecdsa::SigningKey;
    use serde_json::json;

    /// Goal: a remembered signature excuses no claim. Method: tokens that are signed well and say
    /// something wrong, each shown three times; a good one shown for another origin and key.
    #[test]
    fn claims_are_checked_for_each_push() {
        let pair = |byte: u8| {
            let key = SigningKey::from_slice(&[byte; 32]).expect("a key");
            let point = BASE64_URL.encode(key.verifying_key().to_encoded_point(false));
            (key, point)
        };
        let ((key, point), (_, foreign)) = (pair(1), pair(2));
        let twin = Twin::new(([127, 0, 0, 1], 9).into(), Options::default()).expect("in memory");
        let (now, here) = (telemetry::now_ms() / 1_000, "http://here");
        for (seconds, aud, k, origin, is_fine) in [
            (600, here, &point, here, true),
            (600, here, &point, "http://there", false),
            (600, here, &foreign, here, false),
            (-600, here, &point, here, false),
            (90_000, here, &point, here, false),
            (600, "http://there", &point, here, false),
        ] {
            let claims = json!({"aud": aud, "exp": now + seconds, "sub": "mailto:a@b.example"});
            let token = es256_token(&key, &json!({"alg": "ES256"}), &claims);
            for turn in 0..3 {
                let answer = vapid(&twin, &format!("vapid t={token}, k={k}"), origin);
                assert_eq!(answer.is_ok(), is_fine, "{turn} {claims} {k} {origin}");
            }
        }
    }
}
