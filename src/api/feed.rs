//! The feed's two questions: a page of lines, and the accounts with their balances.
//!
//! Owns their parameters and the order of events: wait for the position asked for, note what is
//! known, then read. Never joins the two: a client that wants both at one position asks both with
//! the same token.

use super::{
    position::{self, Asked},
    problem::{Answer, Code, Problem},
    query::{self, Parameters},
    routes::Shared,
    shapes::{Account, Accounts, FeedPage},
};
use crate::domain::ids::CustomerId;
use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderName, HeaderValue, Uri},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::sync::Arc;

type Pairs = Query<Vec<(String, String)>>;

/// A page of a customer's feed, newest line first. Paging is stable: a line's place never changes,
/// however often its payment does.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/feed",
    tag = "feed",
    params(
        ("customer" = String, Path, description = "Customer id"),
        ("limit" = Option<u32>, Query, description = "Lines in the page, 1 to 200 [default: 50]"),
        ("before" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("at_least" = Option<String>, Query,
            description = "Positions that the answer must contain, as `Tapline-Position` gave them"),
        ("wait_ms" = Option<u32>, Query,
            description = "How long to wait for them, 0 to 10000 [default: 2000]"),
        ("Tapline-Position" = Option<String>, Header, description = "The same as `at_least`"),
    ),
    responses(
        (status = 200, body = FeedPage, headers(
            ("Tapline-Position" = String, description = "Positions that the answer contains"))),
        (status = "default", response = super::routes::Failure),
    ),
)]
pub async fn feed(
    State(shared): State<Arc<Shared>>,
    Path(customer): Path<String>,
    Query(pairs): Pairs,
    uri: Uri,
    headers: HeaderMap,
) -> Answer<Response> {
    let customer = query::customer(&customer)?;
    let parameters = Parameters::new(pairs, &["limit", "before", "at_least", "wait_ms"])?;
    let (limit, before) = (parameters.limit()?, parameters.before()?);
    let (is_exact, contained) = reach(&shared, &parameters, &headers).await?;
    let page = shared.feed.page(&customer, before.as_ref(), limit, is_exact).await?;
    if page.lines.is_empty() && shared.feed.accounts(&customer).await?.is_empty() {
        return Err(unknown(&customer));
    }
    let incarnation = shared.positions.incarnation();
    let page = FeedPage::of(&page, incarnation, uri.path(), limit);
    Ok(answer(contained, &page))
}

/// The accounts that are or were the customer's, with their newest balances.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/accounts",
    tag = "feed",
    params(
        ("customer" = String, Path, description = "Customer id"),
        ("at_least" = Option<String>, Query,
            description = "Positions that the answer must contain, as `Tapline-Position` gave them"),
        ("wait_ms" = Option<u32>, Query,
            description = "How long to wait for them, 0 to 10000 [default: 2000]"),
        ("Tapline-Position" = Option<String>, Header, description = "The same as `at_least`"),
    ),
    responses(
        (status = 200, body = Accounts, headers(
            ("Tapline-Position" = String, description = "Positions that the answer contains"))),
        (status = "default", response = super::routes::Failure),
    ),
)]
pub async fn accounts(
    State(shared): State<Arc<Shared>>,
    Path(customer): Path<String>,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Answer<Response> {
    let customer = query::customer(&customer)?;
    let parameters = Parameters::new(pairs, &["at_least", "wait_ms"])?;
    let (_, contained) = reach(&shared, &parameters, &headers).await?;
    let lines = shared.feed.accounts(&customer).await?;
    if lines.is_empty() {
        return Err(unknown(&customer));
    }
    let incarnation = shared.positions.incarnation();
    let accounts = lines.iter().map(|line| Account::of(line, incarnation)).collect();
    Ok(answer(contained, &Accounts { accounts }))
}

/// Waits for what is asked. Shape: (whether anything was, positions that the read model contains).
async fn reach(
    shared: &Shared,
    parameters: &Parameters,
    headers: &HeaderMap,
) -> Answer<(bool, String)> {
    let (positions, wait) = (&*shared.positions, parameters.wait()?);
    let asked = Asked::read(parameters.text("at_least"), headers, positions)?;
    asked.wait(positions, wait).await?;
    Ok((!asked.is_empty(), asked.shown(positions.incarnation(), &positions.known())))
}

fn answer<T: Serialize>(contained: String, document: &T) -> Response {
    let mut response = Json(document).into_response();
    if let Some(value) = HeaderValue::from_str(&contained).ok().filter(|_| !contained.is_empty()) {
        response.headers_mut().insert(HeaderName::from_static(position::HEADER), value);
    }
    response
}

fn unknown(customer: &CustomerId) -> Problem {
    let detail = format!(
        "The feed has never heard of {customer}. Where it was opened a moment ago, ask with the \
         position of its opening."
    );
    Problem::of_field(Code::CustomerUnknown, "customer", detail)
}
