//! Webhooks, signed as Standard Webhooks says (<https://www.standardwebhooks.com>).
//!
//! Owns the request's form, its signatures and what the answers mean. A customer gave the address,
//! so only listed hosts are spoken to, and no redirect is followed. Every configured secret signs,
//! so that a receiver may change from one to the next. Invariant: the body depends on the
//! notification alone; what depends on the attempt (its time) is in the headers.

use super::{
    address::Hosts,
    protocol::{Protocol, letter},
    settings::WebhookSettings,
    wire::{Reach, Reply, Tls, Version, Wire},
};
use crate::{
    domain::push::{Answer, Device, Notification},
    runtime::telemetry,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Request, header};
use ring::hmac;
use serde_json::json;
use std::sync::Arc;

pub struct Webhook {
    wire: Wire,
    hosts: Arc<Hosts>,
    secrets: Vec<hmac::Key>,
}

/// What is wrong with a secret, if anything. Never shows a part of it.
pub fn secret_fault(secret: &str) -> Option<&'static str> {
    match secret_key(secret).map(|key| key.len()) {
        None => Some("is not whsec_ and base64"),
        Some(24..=64) => None,
        Some(_) => Some("holds fewer than 24 or more than 64 bytes"),
    }
}

fn secret_key(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.trim().strip_prefix("whsec_")?).ok()
}

impl Webhook {
    pub fn open(settings: &WebhookSettings, tls: &Tls) -> Self {
        let hosts = Arc::new(Hosts::new(&settings.hosts));
        let keys = settings.secrets.iter().filter_map(|secret| secret_key(secret.reveal()));
        Webhook {
            wire: Wire::new(tls, Reach::Listed(Arc::clone(&hosts)), Version::Any),
            hosts,
            secrets: keys.map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key)).collect(),
        }
    }
}

impl Protocol for Webhook {
    async fn attempt(
        &self,
        device: &Device,
        notification: &Notification,
    ) -> Result<Answer, Answer> {
        let uri = self.hosts.admit(&device.token).map_err(Answer::rejected)?;
        let mut body = letter(notification);
        body["type"] = json!("notification");
        let body = body.to_string();
        let sent_seconds = telemetry::now_ms() / 1_000;
        let signature = signatures(&self.secrets, &notification.key, sent_seconds, &body);
        let request = Request::post(uri)
            .header("webhook-id", &*notification.key)
            .header("webhook-timestamp", sent_seconds)
            .header("webhook-signature", signature)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "tapline")
            .body(body.into_bytes());
        Ok(answer(&self.wire.send(request).await?))
    }
}

/// One signature for each secret, with blanks between.
fn signatures(secrets: &[hmac::Key], key: &str, sent_seconds: i64, body: &str) -> String {
    let signed = format!("{key}.{sent_seconds}.{body}");
    let one = |secret| format!("v1,{}", STANDARD.encode(hmac::sign(secret, signed.as_bytes())));
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn answer(reply: &Reply) -> Answer {
    match reply.status {
        410 => Answer::Gone,
        // A receiver that cannot verify us yet may be in the middle of a change of secrets.
        401 => reply.later(""),
        _ => reply.by_status(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each answer of a receiver means one thing. Method: status, then what follows.
    #[test]
    fn answers_mean_one_thing() {
        let (rejected, later) = (Answer::rejected, Answer::later);
        for (status, then) in [
            (200, Answer::Accepted),
            (204, Answer::Accepted),
            (410, Answer::Gone),
            (400, rejected("http_400")),
            (404, rejected("http_404")),
            (302, rejected("http_302")),
            (401, later("http_401")),
            (429, later("http_429")),
            (500, later("http_500")),
            (504, later("http_504")),
        ] {
            let reply = Reply { status, ..Reply::default() };
            assert_eq!(answer(&reply), then, "{status}");
        }
    }

    /// Goal: the signature is the one of the specification. Method: an example computed apart
    /// (`printf 'msg_1.1700000000.{}' | openssl dgst -sha256 -mac HMAC ...`), two secrets.
    #[test]
    fn signatures_are_the_standards() {
        let key = |byte: u8| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 24]);
        let one = signatures(&[key(1)], "msg_1", 1_700_000_000, "{}");
        assert_eq!(one, "v1,xw1cY1xdoqrK+MlQLDPbSB5pvSIi6K4Pe82bh9fr3YM=");
        let both = signatures(&[key(1), key(2)], "msg_1", 1_700_000_000, "{}");
        assert_eq!(both, format!("{one} v1,pfxny5Ts2TSkKysHSHwe8cAxnnb9CQkbCH7fHr6mcUM="));
    }

    /// Goal: a secret too weak or misspelt is refused when it is configured. Method: text, verdict.
    #[test]
    fn secrets_are_judged() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for (secret, is_fine) in [
            (of(24), true),
            (of(64), true),
            (format!(" {} ", of(32)), true),
            (of(23), false),
            (of(65), false),
            (STANDARD.encode([7; 32]), false),
            ("whsec_not base64!".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(secret_fault(&secret).is_none(), is_fine, "{secret}");
        }
    }
}
