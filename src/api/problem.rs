//! What went wrong, as RFC 9457 has it: every error of the API has this form and a stable code.
//!
//! Owns the table of codes with status and title, and the one place where an error becomes an
//! answer, the server crate's own (unknown route, wrong method, body too large) included. Never
//! repeats a secret or a store's address to the asker.

use crate::adapters::cassandra::failure::StoreError;
use crate::runtime::failure::Class;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

pub const MEDIA_TYPE: &str = "application/problem+json";

/// Stable names of what can go wrong; each has one status and one title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    BadRequest,
    BadParameter,
    BadBody,
    TokenMissing,
    HostUnknown,
    RouteUnknown,
    CustomerUnknown,
    DeviceUnknown,
    MethodNotAllowed,
    DevicesFull,
    PositionOfAnotherLog,
    BodyTooLarge,
    MediaType,
    PositionNotReached,
    LiveStreamsFull,
    LiveUnavailable,
    StoreUnavailable,
    Internal,
}

impl Code {
    /// Shape: (code, status, title).
    pub fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Code::BadRequest => ("bad_request", 400, "The request cannot be read"),
            Code::BadParameter => ("bad_parameter", 400, "A parameter is wrong"),
            Code::BadBody => ("bad_body", 400, "The body is wrong"),
            Code::TokenMissing => ("token_missing", 401, "The API's token is missing or wrong"),
            Code::HostUnknown => ("host_unknown", 421, "This listener answers this machine alone"),
            Code::RouteUnknown => ("route_unknown", 404, "There is nothing at this address"),
            Code::CustomerUnknown => ("customer_unknown", 404, "No such customer"),
            Code::DeviceUnknown => ("device_unknown", 404, "No such device"),
            Code::MethodNotAllowed => ("method_not_allowed", 405, "Not with this method"),
            Code::DevicesFull => {
                ("devices_full", 409, "The customer has as many devices as allowed")
            }
            Code::PositionOfAnotherLog => {
                ("position_of_another_log", 409, "The position is of another life of the log")
            }
            Code::BodyTooLarge => ("body_too_large", 413, "The body is too large"),
            Code::MediaType => ("media_type", 415, "The body is not JSON"),
            Code::PositionNotReached => ("position_not_reached", 503, "Not there yet"),
            Code::LiveStreamsFull => ("live_streams_full", 503, "Too many live streams are open"),
            Code::LiveUnavailable => ("live_unavailable", 503, "Live items cannot be had just now"),
            Code::StoreUnavailable => ("store_unavailable", 503, "The store does not answer"),
            Code::Internal => ("internal", 500, "This is our fault"),
        }
    }

    fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// An error before it is an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    /// Cause and cure, for people.
    pub detail: String,
    /// The parameter or field of the body that is at fault.
    pub field: Option<String>,
    pub retry_after_seconds: Option<u32>,
}

pub type Answer<T> = Result<T, Problem>;

/// An error of the API (RFC 9457), as `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Names the kind of error: `urn:tapline:problem:` and the code.
    #[schema(example = "urn:tapline:problem:bad_parameter")]
    r#type: String,
    title: &'static str,
    status: u16,
    /// Cause and cure, for people; its wording may change.
    detail: String,
    /// The path that was asked.
    instance: String,
    /// Stable: what programs decide by.
    #[schema(example = "bad_parameter")]
    code: &'static str,
    /// The parameter or field of the body that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl Problem {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, retry_after_seconds: None }
    }

    pub fn of_field(code: Code, field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(code, detail) }
    }

    pub fn again_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    pub fn body(&self, instance: &str) -> ProblemBody {
        let (code, status, title) = self.code.row();
        ProblemBody {
            r#type: format!("urn:tapline:problem:{code}"),
            title,
            status,
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            code,
            field: self.field.clone(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // The text may name servers: it is for the log, not for the asker.
        match error.class() {
            Class::Retryable => {
                tracing::warn!(%error, "the store does not answer the API");
                let detail = "The store did not answer; ask again in a moment.";
                Problem::new(Code::StoreUnavailable, detail).again_after(1)
            }
            Class::Fatal => {
                tracing::error!(%error, "the store refuses the API");
                Problem::new(Code::Internal, "The store refused; the worker's log says why.")
            }
        }
    }
}

impl IntoResponse for Problem {
    /// Only the status and the problem itself; `render` makes the body, which names the path.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives every error its body: ours, and those that the server crate made.
pub async fn render(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None => foreign(status),
    };
    let (mut parts, _) = response.into_parts();
    parts.extensions.remove::<Problem>();
    parts.status = problem.code.status();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    if let Some(seconds) = problem.retry_after_seconds {
        parts.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let body = serde_json::to_vec(&problem.body(&path)).unwrap_or_default();
    Response::from_parts(parts, Body::from(body))
}

/// The server crate's own answers.
fn foreign(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => {
            Problem::new(Code::RouteUnknown, "/openapi.json lists the addresses there are.")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            Problem::new(Code::MethodNotAllowed, "The header Allow lists the methods there are.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Code::BodyTooLarge, "A body has 64 KiB at most.")
        }
        status if status.is_client_error() => {
            Problem::new(Code::BadRequest, "The path or query is not valid UTF-8 text.")
        }
        _ => Problem::new(Code::Internal, "The worker's log says more."),
    }
}
