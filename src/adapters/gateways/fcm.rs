//! Firebase Cloud Messaging, HTTP v1.
//!
//! Owns the message's form and what its answers mean. The key is the collapse key, the tag of what
//! is shown, and a field for the program, so that a repeat replaces and never adds. Never reads the
//! words of an error for people. Invariant: the body depends on the notification and device alone.

use super::{
    access_token::AccessTokens,
    address,
    keys::{KeyError, KeyFile},
    protocol::{Protocol, program},
    settings::FcmSettings,
    wire::{Reach, Reply, Tls, Version, Wire},
};
use crate::domain::push::{Answer, Device, Notification};
use http::{Request, Uri, header};
use serde::Deserialize;
use serde_json::{Value, json};

pub struct Fcm {
    wire: Wire,
    url: Uri,
    tokens: AccessTokens,
}

/// `{"error": {"status": "NOT_FOUND", "details": [{"errorCode": "UNREGISTERED"}]}}`
#[derive(Default, Deserialize)]
struct Failure {
    #[serde(default)]
    error: Fault,
}

#[derive(Default, Deserialize)]
struct Fault {
    #[serde(default)]
    status: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default, rename = "errorCode")]
    error_code: String,
}

impl Fcm {
    pub fn open(settings: &FcmSettings, tls: &Tls) -> Result<Self, KeyError> {
        let base = settings.url.trim_end_matches('/');
        let url = format!("{base}/v1/projects/{}/messages:send", settings.project);
        let file = KeyFile {
            setting: "push.fcm_project",
            path: settings.project.as_ref(),
            cure: "write the project's id, and a base such as https://fcm.googleapis.com",
        };
        Ok(Fcm {
            wire: Wire::new(tls, Reach::Anywhere, Version::Any),
            url: address::parse_base(&url).ok_or_else(|| file.fault("gives no address"))?,
            tokens: AccessTokens::open(settings, tls)?,
        })
    }
}

impl Protocol for Fcm {
    async fn attempt(
        &self,
        device: &Device,
        notification: &Notification,
    ) -> Result<Answer, Answer> {
        let bearer = self.tokens.bearer().await?;
        let request = Request::post(self.url.clone())
            .header(header::AUTHORIZATION, bearer.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body(device, notification).to_string().into_bytes());
        let reply = self.wire.send(request).await?;
        if reply.status == 401 {
            self.tokens.forget(&bearer).await;
        }
        Ok(answer(&reply))
    }
}

fn body(device: &Device, notification: &Notification) -> Value {
    let Notification { key, title, body, fields: _, keep_seconds } = notification;
    let mut program = program(notification);
    program.insert("key".to_owned(), json!(key));
    json!({"message": {
        "token": device.token,
        "notification": {"title": title, "body": body},
        "data": program,
        "android": {
            "collapse_key": key,
            "ttl": format!("{keep_seconds}s"),
            "notification": {"tag": key},
        },
    }})
}

/// FCM's own code where it gives one, else the status of its error, else that of HTTP.
fn answer(reply: &Reply) -> Answer {
    if reply.status == 200 {
        return Answer::Accepted;
    }
    let failure: Failure = serde_json::from_slice(&reply.body).unwrap_or_default();
    let codes = failure.error.details.iter().map(|detail| detail.error_code.as_str());
    let mut codes = codes.chain([failure.error.status.as_str()]).filter(|code| !code.is_empty());
    let code = codes.next().unwrap_or_default();
    match (code, reply.status) {
        ("UNREGISTERED" | "NOT_FOUND", _) | (_, 410) => Answer::Gone,
        ("INVALID_ARGUMENT" | "SENDER_ID_MISMATCH", _) => reply.rejected(code),
        // The operator's to mend, and no fault of this notification: it waits.
        ("THIRD_PARTY_AUTH_ERROR" | "UNAUTHENTICATED" | "PERMISSION_DENIED", _) | (_, 403) => {
            reply.later(code)
        }
        ("QUOTA_EXCEEDED" | "RESOURCE_EXHAUSTED" | "UNAVAILABLE" | "INTERNAL", _) => {
            reply.later(code)
        }
        (code, _) => reply.by_status(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each answer of FCM means one thing. Method: status, code, what follows.
    #[test]
    fn answers_mean_one_thing() {
        let rejected = Answer::rejected;
        let later = |code: &str| Answer::Later { code: code.into(), retry_after_ms: Some(7_000) };
        for (status, word, code, then) in [
            (200, "", "", Answer::Accepted),
            (404, "NOT_FOUND", "UNREGISTERED", Answer::Gone),
            (404, "NOT_FOUND", "", Answer::Gone),
            (410, "", "", Answer::Gone),
            (404, "", "", rejected("http_404")), // no words of FCM: a wrong base or project
            (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", rejected("INVALID_ARGUMENT")),
            (400, "INVALID_ARGUMENT", "", rejected("INVALID_ARGUMENT")),
            (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", rejected("SENDER_ID_MISMATCH")),
            (403, "PERMISSION_DENIED", "", later("PERMISSION_DENIED")),
            (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", later("THIRD_PARTY_AUTH_ERROR")),
            (401, "", "", later("http_401")),
            (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", later("QUOTA_EXCEEDED")),
            (429, "", "", later("http_429")),
            (500, "INTERNAL", "INTERNAL", later("INTERNAL")),
            (503, "UNAVAILABLE", "UNAVAILABLE", later("UNAVAILABLE")),
            (502, "", "", later("http_502")),
            (302, "", "", rejected("http_302")),
            (400, "a word with\nblanks", "", rejected("http_400")),
        ] {
            let body = json!({"error": {"status": word, "details": [{"errorCode": code}]}});
            let body = body.to_string().into_bytes();
            let reply = Reply { status, retry_after_ms: Some(7_000), body };
            assert_eq!(answer(&reply), then, "{status} {word} {code}");
        }
        for body in ["", "<html>", "{}", "[]", "{\"error\":7}", "{\"error\":{\"details\":[7]}}"] {
            let reply = Reply { status: 503, retry_after_ms: None, body: body.into() };
            assert_eq!(answer(&reply), Answer::later("http_503"), "{body}");
        }
    }
}
