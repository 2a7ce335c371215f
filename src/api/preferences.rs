//! Preferences: what a customer wants to be told, and when.
//!
//! Owns reading and replacing them as one document. Absent means everything, at any time.

use super::{checks, problem::Answer, query, routes::Shared};
use crate::domain::push::Preferences;
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

/// The document's form, for the OpenAPI page; `domain::push::Preferences` is what is read.
#[derive(ToSchema)]
#[schema(as = Preferences)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct PreferencesForm {
    /// Kinds that are turned off: `purchase`, `decline`, `amount_changed`, `released`, `refund`,
    /// `money_in`, `money_out`.
    #[schema(example = json!(["money_out"]))]
    off: Option<Vec<String>>,
    /// Nothing below it, by currency code, in minor units. Declines are told at any amount.
    #[schema(example = json!({"CZK": 10000}))]
    smallest_minor: Option<BTreeMap<String, i64>>,
    quiet: Option<QuietHoursForm>,
}

/// When nothing is to be heard. Over midnight where it begins after it ends.
#[derive(ToSchema)]
#[schema(as = QuietHours)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct QuietHoursForm {
    /// Minutes since midnight in the zone.
    #[schema(example = 1320)]
    from_minute: u16,
    /// The first minute that is not quiet.
    #[schema(example = 420)]
    to_minute: u16,
    /// IANA name.
    #[schema(example = "Europe/Prague")]
    zone: String,
}

/// What a customer wants to be told.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/preferences",
    tag = "push",
    params(("customer" = String, Path, description = "Customer id")),
    responses(
        (status = 200, body = PreferencesForm),
        (status = "default", response = super::routes::Failure),
    ),
)]
pub async fn show(
    State(shared): State<Arc<Shared>>,
    Path(customer): Path<String>,
) -> Answer<Json<Preferences>> {
    let customer = query::customer(&customer)?;
    Ok(Json(shared.targets.targets(&customer).await?.preferences))
}

/// Replaces what a customer wants to be told, whole.
#[utoipa::path(
    put,
    path = "/v1/customers/{customer}/preferences",
    tag = "push",
    params(("customer" = String, Path, description = "Customer id")),
    request_body = PreferencesForm,
    responses(
        (status = 200, body = PreferencesForm),
        (status = "default", response = super::routes::Failure),
    ),
)]
pub async fn put(
    State(shared): State<Arc<Shared>>,
    Path(customer): Path<String>,
    bytes: Bytes,
) -> Answer<Json<Preferences>> {
    let customer = query::customer(&customer)?;
    let preferences: Preferences = query::body(&bytes)?;
    checks::preferences(&preferences)?;
    shared.targets.put_preferences(&customer, &preferences).await?;
    Ok(Json(preferences))
}
