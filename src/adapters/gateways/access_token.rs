//! Access tokens of a Google service account: asked for with a signed assertion, kept, renewed.
//!
//! Owns the exchange (RFC 7523) and how long its result is used. Never shows a token. Invariant: one
//! request at a time, however many wait; whoever waited gets its result, a failure too, so that a
//! dead token server is not asked once for every notification.

use super::{
    address,
    keys::{KeyError, KeyFile, rs256_token, rsa, secret_header},
    settings::FcmSettings,
    wire::{Reach, Reply, Tls, Version, Wire},
};
use crate::{domain::push::Answer, runtime::telemetry};
use http::{HeaderValue, Request, Uri, header};
use ring::signature::RsaKeyPair;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
const ASSERTION_SECONDS: i64 = 3_600;
/// A token is renewed this long before its end, or at nine tenths of a short life.
const MARGIN_MS: u64 = 300_000;
const FAILURE_KEPT_MS: u64 = 1_000;

/// The service account's key file, as Google gives it.
#[derive(Deserialize)]
struct Credentials {
    client_email: String,
    #[serde(default)]
    private_key_id: String,
    private_key: String,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

pub struct AccessTokens {
    wire: Wire,
    url: Uri,
    email: String,
    key_id: String,
    key: RsaKeyPair,
    held: Mutex<Held>,
}

/// Times are of the steady clock.
enum Held {
    Nothing,
    Token { bearer: HeaderValue, renew_at_ms: u64 },
    Failure { answer: Answer, until_ms: u64 },
}

impl AccessTokens {
    pub fn open(settings: &FcmSettings, tls: &Tls) -> Result<Self, KeyError> {
        let file = KeyFile {
            setting: "push.fcm_credentials_path",
            path: &settings.credentials_path,
            cure: "name the service account's JSON key file",
        };
        let credentials: Credentials = serde_json::from_str(&file.text()?)
            .map_err(|_| file.fault("is no service account's key"))?;
        let url = settings.token_url.as_ref().or(credentials.token_uri.as_ref());
        let url = url.ok_or_else(|| file.fault("has no token_uri"))?;
        if settings.token_url.is_none() && address::is_exposed(url) {
            return Err(file.fault("has a token_uri without encryption"));
        }
        Ok(AccessTokens {
            wire: Wire::new(tls, Reach::Anywhere, Version::Any),
            url: address::parse_base(url).ok_or_else(|| file.fault("has a bad token_uri"))?,
            email: credentials.client_email,
            key_id: credentials.private_key_id,
            key: rsa(&credentials.private_key)
                .ok_or_else(|| file.fault("has no usable RSA key in private_key"))?,
            held: Mutex::new(Held::Nothing),
        })
    }

    /// The `authorization` header. Errors: what to answer instead.
    pub async fn bearer(&self) -> Result<HeaderValue, Answer> {
        // Held during the request: this is what makes the others wait for its result.
        let mut held = self.held.lock().await;
        let now_ms = telemetry::steady_ms();
        match &*held {
            Held::Token { bearer, renew_at_ms } if now_ms < *renew_at_ms => {
                return Ok(bearer.clone());
            }
            Held::Failure { answer, until_ms } if now_ms < *until_ms => {
                return Err(answer.clone());
            }
            Held::Nothing | Held::Token { .. } | Held::Failure { .. } => {}
        }
        match self.ask().await {
            Ok((bearer, life_ms)) => {
                let used_ms = life_ms - MARGIN_MS.min(life_ms / 10);
                *held = Held::Token { bearer: bearer.clone(), renew_at_ms: now_ms + used_ms };
                Ok(bearer)
            }
            Err(answer) => {
                let until_ms = telemetry::steady_ms() + FAILURE_KEPT_MS;
                *held = Held::Failure { answer: answer.clone(), until_ms };
                Err(answer)
            }
        }
    }

    /// The gateway did not take it: ask for another one next time, unless that happened already.
    pub async fn forget(&self, refused: &HeaderValue) {
        let mut held = self.held.lock().await;
        if matches!(&*held, Held::Token { bearer, .. } if bearer == refused) {
            *held = Held::Nothing;
        }
    }

    async fn ask(&self) -> Result<(HeaderValue, u64), Answer> {
        let now = telemetry::now_ms() / 1_000;
        let head = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.url.to_string(),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        });
        let assertion = rs256_token(&self.key, &head, &claims).ok_or(Answer::later("no_token"))?;
        let request = Request::post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(format!("grant_type={GRANT}&assertion={assertion}").into_bytes());
        let sent = self.wire.send(request).await;
        let reply = sent.map_err(|fault| Answer::later(&format!("token_{}", fault.code())))?;
        granted(&reply).ok_or_else(|| reply.later(&format!("token_http_{}", reply.status)))
    }
}

/// The header, and for how long it is good. `None`: it was not granted.
fn granted(reply: &Reply) -> Option<(HeaderValue, u64)> {
    if reply.status != 200 {
        return None;
    }
    let granted: Granted = serde_json::from_slice(&reply.body).ok()?;
    let bearer = secret_header(format!("Bearer {}", granted.access_token))?;
    Some((bearer, granted.expires_in.min(86_400) * 1_000))
}
