//! The twin's addresses, and how each platform says what it says.
//!
//! Owns the order: check, ask what to do, journal, then answer. Never answers before the entry is
//! in the journal. Invariant: one entry for each push, whatever became of its connection.

use super::{
    Scissors, Twin,
    behaviour::{Act, Control, Target},
    checks::{self, Heard, Refusal},
    journal::Entry,
    keys, page,
};
use crate::{
    domain::push::{Device, Platform},
    runtime::telemetry,
};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Extension, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
};

const BODY_BYTES_MAX: usize = 64 * 1024;
const ENTRIES_MAX: usize = 1_000;
/// What `huge` sends: 256 MiB.
const HUGE_PARTS: usize = 4_096;

type Shared = State<Arc<Twin>>;

pub fn routes(twin: Arc<Twin>, scissors: Scissors) -> Router {
    Router::new()
        .route("/", get(shown))
        .route("/journal", get(journal))
        .route("/counts", get(counts))
        .route("/control", post(control))
        .route("/device", get(device))
        .route("/token", post(token))
        .route("/v1/projects/{project}/messages:send", pushes(Platform::Fcm, checks::fcm))
        .route("/3/device/{token}", pushes(Platform::Apns, checks::apns))
        .route("/push/{name}", pushes(Platform::WebPush, checks::web_push))
        .route("/hook/{name}", pushes(Platform::Webhook, checks::webhook))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(scissors))
        .with_state(twin)
}

/// Looks at a push; is told the name that its path has: of the device, or of FCM's project.
type Check = fn(&Twin, &str, &HeaderMap, &[u8]) -> Result<Heard, Refusal>;

fn pushes(platform: Platform, check: Check) -> MethodRouter<Arc<Twin>> {
    let push = async move |State(twin): Shared,
                           Extension(scissors): Extension<Scissors>,
                           Path(name): Path<String>,
                           headers: HeaderMap,
                           body: Bytes| {
        let heard = check(&twin, &name, &headers, &body);
        answer(&twin, &scissors, platform, heard).await
    };
    post(push)
}

fn next_act(twin: &Twin, target: Target) -> Act {
    let mut behaviours = twin.behaviours.lock().expect("no panic while choosing");
    behaviours.next(target, telemetry::steady_ms())
}

async fn answer(
    twin: &Twin,
    scissors: &Scissors,
    platform: Platform,
    heard: Result<Heard, Refusal>,
) -> Response {
    let received_us = telemetry::now_us();
    let act = next_act(twin, Target::Platform(platform));
    let (right, named) = match &heard {
        Ok(heard) if heard.is_gone => (say(platform, 410, None), "gone".to_owned()),
        Ok(_) => (say(platform, accepted(platform), None), "accepted".to_owned()),
        Err(it) => (say(platform, it.status, Some(it.word)), format!("refused:{}", it.word)),
    };
    let named = match &act {
        Act::Right | Act::Slow(_) => named,
        Act::Status { status, .. } => format!("status:{status}"),
        Act::Hang => "hang".to_owned(),
        Act::Cut => "cut".to_owned(),
        Act::Huge => "huge".to_owned(),
    };
    let entry = entry(platform, heard.ok().unwrap_or_default(), received_us, named);
    twin.journal.lock().expect("no panic while journaling").add(entry);
    perform(act, right, scissors, platform).await
}

async fn perform(act: Act, right: Response, scissors: &Scissors, platform: Platform) -> Response {
    match act {
        Act::Right => right,
        Act::Slow(pause) => {
            tokio::time::sleep(pause).await;
            right
        }
        Act::Status { status, retry_after_seconds } => {
            let mut response = say(platform, status, None);
            if let Some(seconds) = retry_after_seconds {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Act::Hang => std::future::pending().await,
        Act::Cut => {
            scissors.0.notify_one();
            std::future::pending().await
        }
        Act::Huge => {
            let parts = (0..HUGE_PARTS).map(|_| Ok::<_, Infallible>(vec![b' '; 65_536]));
            Body::from_stream(stream::iter(parts)).into_response()
        }
    }
}

fn entry(platform: Platform, heard: Heard, received_us: i64, answer: String) -> Entry {
    let number = |name: &str| heard.fields.get(name).and_then(|text| text.parse().ok());
    let hash = |bytes: &[u8]| match bytes {
        [] => String::new(),
        bytes => checks::sha256(bytes),
    };
    let mut device = hash(heard.device.as_bytes());
    device.truncate(16);
    Entry {
        seq: 0,
        received_us,
        platform: platform.name(),
        origin_ms: number("origin_ms"),
        planned_us: number("planned_us"),
        body_sha256: hash(&heard.plain),
        key: heard.key,
        device,
        title: heard.title,
        body: heard.body,
        fields: heard.fields,
        answer,
    }
}

fn accepted(platform: Platform) -> u16 {
    if platform == Platform::WebPush { 201 } else { 200 }
}

/// A status as the platform says it. `word`: of a check; else the usual one.
fn say(platform: Platform, status: u16, word: Option<&str>) -> Response {
    let mut status = status;
    let body = match platform {
        Platform::Unknown | Platform::WebPush | Platform::Webhook => {
            json!({"error": word.unwrap_or_default()})
        }
        Platform::Fcm if status < 300 => json!({"name": "projects/fake-project/messages/1"}),
        Platform::Fcm => {
            let code = word.unwrap_or(fcm_word(status));
            status = if status == 410 { 404 } else { status };
            json!({"error": {"code": status, "status": code, "details": [{"errorCode": code}]}})
        }
        Platform::Apns if status < 300 => json!({}),
        Platform::Apns => json!({"reason": word.unwrap_or(apns_word(status))}),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    if status.is_redirection() {
        let place = header::HeaderValue::from_static("/hook/redirected");
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn fcm_word(status: u16) -> &'static str {
    match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "SENDER_ID_MISMATCH",
        404 | 410 => "UNREGISTERED",
        429 => "QUOTA_EXCEEDED",
        500 => "INTERNAL",
        503 => "UNAVAILABLE",
        _ => "",
    }
}

fn apns_word(status: u16) -> &'static str {
    match status {
        400 => "BadDeviceToken",
        403 => "ExpiredProviderToken",
        410 => "Unregistered",
        413 => "PayloadTooLarge",
        429 => "TooManyRequests",
        500 => "InternalServerError",
        503 => "ServiceUnavailable",
        _ => "",
    }
}

async fn token(
    State(twin): Shared,
    Extension(scissors): Extension<Scissors>,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    let right = match checks::token(&twin, &headers, &form) {
        Ok(()) => {
            let number = twin.tokens_granted.fetch_add(1, Ordering::Relaxed);
            let token = format!("fake-token-{number}");
            let life = twin.token_seconds;
            Json(json!({"access_token": token, "expires_in": life, "token_type": "Bearer"}))
                .into_response()
        }
        Err(refusal) => say(Platform::Unknown, refusal.status, Some(refusal.word)),
    };
    perform(next_act(&twin, Target::Token), right, &scissors, Platform::Unknown).await
}

async fn control(State(twin): Shared, Json(control): Json<Control>) -> Response {
    match control.rule() {
        Ok((target, rule)) => {
            twin.behaviours.lock().expect("no panic while choosing").set(target, rule);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(fault) => (StatusCode::BAD_REQUEST, fault).into_response(),
    }
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn journal(State(twin): Shared, Query(from): Query<Since>) -> Response {
    let journal = twin.journal.lock().expect("no panic while journaling");
    let (next, entries) = journal.since(from.since, ENTRIES_MAX);
    Json(json!({"next": next, "entries": entries})).into_response()
}

async fn counts(State(twin): Shared) -> Response {
    Json(twin.counts()).into_response()
}

async fn shown(State(twin): Shared) -> Response {
    let entries = twin.journal.lock().expect("no panic while journaling").last(page::ROWS_MAX);
    let policy = (header::CONTENT_SECURITY_POLICY, page::POLICY);
    ([policy], Html(page::page(&entries))).into_response()
}

#[derive(Deserialize)]
struct Asked {
    platform: String,
    name: String,
}

/// A device to register: the body that `PUT .../devices/{name}` of the API takes.
async fn device(State(twin): Shared, Query(asked): Query<Asked>) -> Response {
    let platform = Platform::ALL.into_iter().find(|it| it.name() == asked.platform);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match platform {
        Some(platform) if !asked.name.is_empty() && asked.name.bytes().all(is_plain) => {
            let Device { device_id: _, platform, token, p256dh, auth } =
                keys::device(platform, &asked.name, twin.address);
            let mut body = json!({"platform": platform, "token": token});
            if platform == Platform::WebPush {
                body["p256dh"] = json!(p256dh);
                body["auth"] = json!(auth);
            }
            Json(body).into_response()
        }
        Some(_) => (StatusCode::BAD_REQUEST, "name: letters, digits and hyphens").into_response(),
        None => (StatusCode::BAD_REQUEST, "platform: fcm, apns, web_push, webhook").into_response(),
    }
}
