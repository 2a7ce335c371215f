//! Who may ask: the bearer token, or this machine alone.
//!
//! Owns the check before every `/v1` request and the headers that keep browsers strict. With
//! `api.token` set, everybody needs it; without it, a listener on a loopback address answers only
//! requests that name this machine as their host, so that no page of another site can be tricked
//! into reading it (DNS rebinding). Never logs a token.

use super::{
    problem::{Code, Problem},
    routes::Shared,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// How the listener decides who may ask.
#[derive(Clone, Debug)]
pub enum Access {
    /// SHA-256 of the bearer token.
    Token([u8; 32]),
    /// Only requests to a host name of this machine.
    Loopback,
    /// A listener that others reach without a token; production refuses to be set up so.
    Open,
}

impl Access {
    pub fn with_token(token: &str) -> Self {
        Access::Token(Sha256::digest(token.as_bytes()).into())
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self {
            Access::Open => Ok(()),
            Access::Loopback => check_host(headers),
            Access::Token(wanted) => {
                let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
                let given = given.and_then(|it| it.strip_prefix(b"Bearer ")).unwrap_or_default();
                let digest: [u8; 32] = Sha256::digest(given).into();
                // All bytes of both digests, whatever the first ones say.
                let difference = digest.iter().zip(wanted).fold(0, |all, (a, b)| all | (a ^ b));
                match difference {
                    0 => Ok(()),
                    _ => Err(Problem::new(
                        Code::TokenMissing,
                        "Send the header Authorization: Bearer <api.token>.",
                    )),
                }
            }
        }
    }
}

fn check_host(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    let name = authority.as_ref().map(|it| it.host().trim_matches(['[', ']'])).unwrap_or_default();
    let is_ours = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match is_ours {
        true => Ok(()),
        false => Err(Problem::new(
            Code::HostUnknown,
            "Without api.token it is asked as localhost or 127.0.0.1; to be reached under another \
             name, set api.token.",
        )),
    }
}

/// Before every route of `/v1`.
pub async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    match shared.settings.access.check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            let mut response = problem.into_response();
            if matches!(shared.settings.access, Access::Token(_)) {
                let scheme = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            }
            response
        }
    }
}

/// On every answer: nothing is stored, sniffed, framed or loaded from elsewhere.
pub async fn strict(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Our own script and style and nothing else: no inline script, no frame, no form, no other host.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'";
