//! How many requests there are, how they end and how long they take, for `/metrics`.
//!
//! Owns what is counted of a request: the route as declared, the status, the time to the beginning
//! of the answer. Never a customer, a token or a path as it was asked for.

use crate::runtime::telemetry;
use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

/// Where nothing is.
const NO_ROUTE: &str = "none";

/// Around everything else, so that refusals count too.
pub async fn watch(request: Request, next: Next) -> Response {
    let begun_ns = telemetry::steady_ns();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    telemetry::api_answered(route, response.status().as_u16(), telemetry::seconds_since(begun_ns));
    response
}
