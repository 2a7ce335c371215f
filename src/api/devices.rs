//! Devices: where a customer wants to be told.
//!
//! Owns registering, the cap, and that one address is registered once. Never shows a token again:
//! an answer has its last letters, or an address's host. The cap is kept by one writer at a time
//! for a customer in this process; workers side by side may pass it by one each.

use super::{
    checks,
    problem::{Answer, Code, Problem},
    query,
    routes::Shared,
};
use crate::domain::push::{Device, Platform};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A device to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceWanted {
    /// `fcm`, `apns`, `web_push` or `webhook`.
    #[schema(value_type = String, example = "fcm")]
    platform: Platform,
    /// FCM and APNs: the registration token. Web push and webhook: the https address to post to.
    #[schema(value_type = String)]
    token: Box<str>,
    /// Web push only: the browser's public key, base64url.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    p256dh: Box<str>,
    /// Web push only: the browser's secret, base64url.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    auth: Box<str>,
}

/// A registered device.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceShown {
    device_id: String,
    #[schema(example = "fcm")]
    platform: &'static str,
    /// Enough to recognise it by: the token's last letters, or the address's host.
    address_hint: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Devices {
    devices: Vec<DeviceShown>,
    /// As many may be registered.
    devices_max: usize,
}

impl DeviceShown {
    fn of(device: &Device) -> Self {
        let address_hint = match device.platform {
            Platform::WebPush | Platform::Webhook => {
                let uri = device.token.parse::<Uri>().ok();
                uri.as_ref().and_then(Uri::host).unwrap_or_default().to_owned()
            }
            Platform::Fcm | Platform::Apns | Platform::Unknown => {
                let letters = device.token.chars().rev().take(4).collect::<Vec<_>>();
                format!("…{}", letters.into_iter().rev().collect::<String>())
            }
        };
        Self {
            device_id: device.device_id.to_string(),
            platform: device.platform.name(),
            address_hint,
        }
    }
}

/// All devices of a customer.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/devices",
    tag = "push",
    params(("customer" = String, Path, description = "Customer id")),
    responses(
        (status = 200, body = Devices),
        (status = "default", response = super::routes::Failure),
    ),
)]
pub async fn list(
    State(shared): State<Arc<Shared>>,
    Path(customer): Path<String>,
) -> Answer<Json<Devices>> {
    let customer = query::customer(&customer)?;
    let targets = shared.targets.targets(&customer).await?;
    let devices = targets.devices.iter().map(DeviceShown::of).collect();
    Ok(Json(Devices { devices, devices_max: shared.settings.devices_max }))
}

/// One device of a customer.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/devices/{device}",
    tag = "push",
    params(
        ("customer" = String, Path, description = "Customer id"),
        ("device" = String, Path, description = "The customer's own name for it, 1 to 64 bytes"),
    ),
    responses(
        (status = 200, body = DeviceShown),
        (status = "default", response = super::routes::Failure),
    ),
)]
pub async fn show(
    State(shared): State<Arc<Shared>>,
    Path((customer, device_id)): Path<(String, String)>,
) -> Answer<Json<DeviceShown>> {
    let customer = query::customer(&customer)?;
    query::check_id("device", &device_id)?;
    let targets = shared.targets.targets(&customer).await?;
    let found = targets.devices.iter().find(|device| *device.device_id == *device_id);
    found.map(|device| Json(DeviceShown::of(device))).ok_or_else(|| {
        let detail = format!("{customer} has no device of this name.");
        Problem::of_field(Code::DeviceUnknown, "device", detail)
    })
}

/// Registers a device, in place of one of the same name or the same address.
#[utoipa::path(
    put,
    path = "/v1/customers/{customer}/devices/{device}",
    tag = "push",
    params(
        ("customer" = String, Path, description = "Customer id"),
        ("device" = String, Path, description = "The customer's own name for it, 1 to 64 bytes"),
    ),
    request_body = DeviceWanted,
    responses(
        (status = 201, body = DeviceShown, description = "Registered"),
        (status = 200, body = DeviceShown, description = "Registered in place of another"),
        (status = "default", response = super::routes::Failure),
    ),
)]
pub async fn put(
    State(shared): State<Arc<Shared>>,
    Path((customer, device_id)): Path<(String, String)>,
    bytes: Bytes,
) -> Answer<Response> {
    let customer = query::customer(&customer)?;
    query::check_id("device", &device_id)?;
    let wanted: DeviceWanted = query::body(&bytes)?;
    let device = Device {
        device_id: device_id.into(),
        platform: wanted.platform,
        token: wanted.token,
        p256dh: wanted.p256dh,
        auth: wanted.auth,
    };
    checks::device(&device, shared.settings.allows_loopback_http)?;
    let _turn = shared.turns.of(&customer).await;
    let known = shared.targets.targets(&customer).await?.devices;
    let is_same = |it: &&Device| it.device_id == device.device_id;
    let is_doubled =
        |it: &&Device| !is_same(it) && it.platform == device.platform && it.token == device.token;
    let replaced = known.iter().filter(|it| is_same(it) || is_doubled(it)).count();
    let devices_max = shared.settings.devices_max;
    if known.len() - replaced >= devices_max {
        let detail = format!(
            "{customer} has {} devices and may have {devices_max} (push.devices_max); delete one \
             first.",
            known.len()
        );
        return Err(Problem::of_field(Code::DevicesFull, "device", detail));
    }
    // The new one first: a failure in between leaves two, which is mended by the next attempt.
    shared.targets.put_device(&customer, &device).await?;
    for doubled in known.iter().filter(is_doubled) {
        shared.targets.delete_device(&customer, &doubled.device_id).await?;
    }
    let status = if replaced > 0 { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(DeviceShown::of(&device))).into_response())
}

/// Forgets a device; also where it is forgotten already.
#[utoipa::path(
    delete,
    path = "/v1/customers/{customer}/devices/{device}",
    tag = "push",
    params(
        ("customer" = String, Path, description = "Customer id"),
        ("device" = String, Path, description = "The customer's own name for it, 1 to 64 bytes"),
    ),
    responses(
        (status = 204, description = "It is not registered any more"),
        (status = "default", response = super::routes::Failure),
    ),
)]
pub async fn delete(
    State(shared): State<Arc<Shared>>,
    Path((customer, device_id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let customer = query::customer(&customer)?;
    query::check_id("device", &device_id)?;
    let _turn = shared.turns.of(&customer).await;
    shared.targets.delete_device(&customer, &device_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
