//! The routes, and the document that describes them.
//!
//! Owns what all requests share and the order of what wraps them. The OpenAPI document is made from
//! the same functions that answer; a test asks every route of it and refuses any other.

use super::{
    access::{self, Access},
    devices, feed,
    live::Hub,
    page,
    ports::{FeedReader, Positions, TargetStore},
    preferences,
    problem::{self, ProblemBody},
    query, stream, watched,
};
use crate::domain::ids::CustomerId;
use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    response::IntoResponse,
    routing::get,
};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};
use utoipa::{OpenApi, ToResponse};

/// What requests are answered by.
pub struct Settings {
    pub access: Access,
    pub devices_max: usize,
    /// Plain http addresses of this machine may be registered.
    pub allows_loopback_http: bool,
}

/// What all requests share.
pub struct Shared {
    pub feed: Arc<dyn FeedReader>,
    pub targets: Arc<dyn TargetStore>,
    pub positions: Arc<dyn Positions>,
    pub hub: Arc<Hub>,
    pub settings: Settings,
    pub turns: Turns,
}

/// One writer of devices at a time, for customers that share a lock.
pub struct Turns(Vec<Mutex<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..64).map(|_| Mutex::default()).collect())
    }
}

impl Turns {
    pub async fn of(&self, customer: &CustomerId) -> MutexGuard<'_, ()> {
        let bytes = customer.as_str().bytes();
        let sum = bytes.fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
        self.0[sum % self.0.len()].lock().await
    }
}

/// Any error, with its own status: RFC 9457, with a stable `code`.
#[derive(ToResponse)]
#[response(description = "What went wrong", content_type = "application/problem+json")]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Failure(ProblemBody);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tapline feed",
        description = "What the holders of an account see of it: pages, live items, balances; and \
                       where they want to be told. Amounts are integers in minor units and decimal \
                       text; times are RFC 3339 in UTC. An answer's `Tapline-Position` says which \
                       positions of the log it contains; sent back, it makes the next answer \
                       contain them too."
    ),
    paths(
        feed::feed, feed::accounts, stream::live, devices::list, devices::show, devices::put,
        devices::delete, preferences::show, preferences::put, document,
    ),
    components(responses(Failure), schemas(ProblemBody)),
    tags(
        (name = "feed", description = "What a customer sees"),
        (name = "push", description = "Where and what a customer wants to be told"),
    )
)]
pub struct Document;

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")),
)]
async fn document() -> impl IntoResponse {
    Json(Document::openapi())
}

/// Everything under `/v1`, as (path, methods).
pub fn router(shared: Arc<Shared>) -> Router {
    let customer = Router::new()
        .route("/v1/customers/{customer}/feed", get(feed::feed))
        .route("/v1/customers/{customer}/feed/live", get(stream::live))
        .route("/v1/customers/{customer}/accounts", get(feed::accounts))
        .route("/v1/customers/{customer}/devices", get(devices::list))
        .route(
            "/v1/customers/{customer}/devices/{device}",
            get(devices::show).put(devices::put).delete(devices::delete),
        )
        .route("/v1/customers/{customer}/preferences", get(preferences::show).put(preferences::put))
        .route_layer(from_fn_with_state(shared.clone(), access::admit));
    customer
        .route("/openapi.json", get(document))
        .route("/", get(page::index))
        .route("/page.js", get(page::script))
        .route("/page.css", get(page::style))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(DefaultBodyLimit::max(query::BODY_BYTES_MAX))
        .layer(from_fn(problem::render))
        .layer(from_fn(access::strict))
        .layer(from_fn(watched::watch))
        .with_state(shared)
}
