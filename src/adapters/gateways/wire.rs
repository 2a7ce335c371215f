//! One request to a gateway, from the connection's pool to a bounded reply.
//!
//! Owns connections, time-outs, size limits and what went wrong below HTTP. Never follows a redirect
//! (the client has no such part), never logs or returns what was sent. Invariant: a dropped future
//! cancels its request, and a reply costs at most `BODY_BYTES_MAX`.

use super::address::Hosts;
use crate::{domain::push::Answer, runtime::telemetry};
use futures_util::future::BoxFuture;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{
            HttpConnector,
            dns::{GaiResolver, Name},
        },
    },
    rt::{TokioExecutor, TokioTimer},
};
use std::{
    error::Error,
    fmt,
    io::{self, Cursor},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower_service::Service;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The caller's own time-out is shorter; this one keeps a forgotten request from living for ever.
const REQUEST_MAX: Duration = Duration::from_secs(30);
const IDLE_MAX: Duration = Duration::from_secs(90);
/// Without an answer to a ping the connection is dead, and its requests with it.
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PING_MAX: Duration = Duration::from_secs(5);
/// Answers are a few hundred bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// A gateway that asks for more is asked again after a day.
const RETRY_AFTER_MS_MAX: i64 = 86_400_000;

/// What speaks TLS: certificates that this system trusts (`SSL_CERT_FILE` overrides), ring's
/// ciphers. Without any certificate only plain connections work; the log says so.
#[derive(Clone)]
pub struct Tls(rustls::ClientConfig);

impl Tls {
    pub fn new() -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = || {
            rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .expect("ring has what TLS 1.2 and 1.3 need")
        };
        let config = builder().with_native_roots().unwrap_or_else(|error| {
            tracing::error!(%error, "no trusted certificates; install ca-certificates");
            builder().with_root_certificates(rustls::RootCertStore::empty())
        });
        Tls(config.with_no_client_auth())
    }
}

/// Which network addresses a name may lead to.
#[derive(Clone)]
pub enum Reach {
    /// The operator chose the name.
    Anywhere,
    /// A customer did, from these.
    Listed(Arc<Hosts>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// What the server offers, 1.1 where the connection is plain.
    Any,
    /// HTTP/2, on plain connections too.
    Two,
}

/// What came back. The body may be cut off at the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub retry_after_ms: Option<i64>,
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request could not be formed.
    Malformed,
    Connect,
    Cut,
    TimedOut,
    /// The name leads into a private network.
    Private,
}

impl Fault {
    pub fn code(self) -> &'static str {
        match self {
            Fault::Malformed => "request_malformed",
            Fault::Connect => "connect",
            Fault::Cut => "cut",
            Fault::TimedOut => "timeout",
            Fault::Private => "address_private",
        }
    }
}

impl Reply {
    /// Worth another attempt, when the gateway says.
    pub fn later(&self, code: &str) -> Answer {
        Answer::Later { code: self.word(code), retry_after_ms: self.retry_after_ms }
    }

    pub fn rejected(&self, code: &str) -> Answer {
        Answer::Rejected { code: self.word(code) }
    }

    /// What a gateway that keeps to HTTP means by its status, where no word of its own says more.
    pub fn by_status(&self, code: &str) -> Answer {
        match self.status {
            200..=299 => Answer::Accepted,
            401 | 408 | 425 | 429 | 500.. => self.later(code),
            _ => self.rejected(code),
        }
    }

    /// The gateway's own word, or the status where it has none that is fit for a label.
    fn word(&self, code: &str) -> Box<str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match code {
            code if (1..=64).contains(&code.len()) && code.bytes().all(is_plain) => code.into(),
            _ => format!("http_{}", self.status).into(),
        }
    }
}

/// Connections to the hosts of one gateway.
pub struct Wire {
    client: Client<HttpsConnector<HttpConnector<Names>>, Full<Cursor<Vec<u8>>>>,
}

impl Wire {
    pub fn new(tls: &Tls, reach: Reach, version: Version) -> Self {
        let mut connector =
            HttpConnector::new_with_resolver(Names { reach, system: GaiResolver::new() });
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_MAX));
        let secured = HttpsConnectorBuilder::new().with_tls_config(tls.0.clone()).https_or_http();
        let connector = match version {
            Version::Any => secured.enable_all_versions().wrap_connector(connector),
            Version::Two => secured.enable_http2().wrap_connector(connector),
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_MAX)
            .http2_only(version == Version::Two)
            .build(connector);
        Wire { client }
    }

    /// Sends what a builder gave and reads the reply. Every status is a reply; errors are what
    /// happened without one.
    pub async fn send(&self, request: http::Result<Request<Vec<u8>>>) -> Result<Reply, Fault> {
        let request = request.map_err(|_| Fault::Malformed)?;
        let request = request.map(|body| Full::new(Cursor::new(body)));
        let exchange = async {
            let mut response = self.client.request(request).await.map_err(|it| fault(&it))?;
            let status = response.status().as_u16();
            let retry_after_ms = response.headers().get(header::RETRY_AFTER).and_then(retry_after);
            let mut body = Vec::new();
            // A reply that is cut off or too long still has its status, which says the most.
            while let Some(Ok(frame)) = response.frame().await {
                let part = frame.into_data().unwrap_or_default();
                if body.len() + part.len() > BODY_BYTES_MAX {
                    break;
                }
                body.extend_from_slice(&part);
            }
            Ok(Reply { status, retry_after_ms, body })
        };
        tokio::time::timeout(REQUEST_MAX, exchange).await.unwrap_or(Err(Fault::TimedOut))
    }
}

fn fault(error: &hyper_util::client::legacy::Error) -> Fault {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<PrivateAddress>() {
            return Fault::Private;
        }
        cause = inner.source();
    }
    if error.is_connect() { Fault::Connect } else { Fault::Cut }
}

/// Seconds, or a date as HTTP writes it.
fn retry_after(value: &header::HeaderValue) -> Option<i64> {
    let text = value.to_str().ok()?.trim();
    let wait_ms = match text.parse::<i64>() {
        Ok(seconds) => seconds.saturating_mul(1_000),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            at.as_millisecond().saturating_sub(telemetry::now_ms())
        }
    };
    Some(wait_ms.clamp(0, RETRY_AFTER_MS_MAX))
}

/// Asks the system for a name's addresses and passes on those that it may lead to.
#[derive(Clone)]
struct Names {
    reach: Reach,
    system: GaiResolver,
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (reach, host) = (self.reach.clone(), name.as_str().to_owned());
        let resolved = self.system.call(name);
        Box::pin(async move { allowed(&reach, &host, resolved.await?.collect()) })
    }
}

fn allowed(
    reach: &Reach,
    host: &str,
    found: Vec<SocketAddr>,
) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    let Reach::Listed(hosts) = reach else { return Ok(found.into_iter()) };
    let is_empty = found.is_empty();
    let kept: Vec<_> =
        found.into_iter().filter(|it| hosts.admits_resolved(host, it.ip())).collect();
    match kept.is_empty() && !is_empty {
        true => Err(io::Error::other(PrivateAddress)),
        false => Ok(kept.into_iter()),
    }
}

#[derive(Debug)]
struct PrivateAddress;

impl fmt::Display for PrivateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads into a private network")
    }
}

impl Error for PrivateAddress {}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// Goal: a gateway's wish to wait is understood and bounded. Method: header, then milliseconds.
    #[test]
    fn waits_are_read() {
        for (text, then) in [
            ("0", Some(0)),
            ("5", Some(5_000)),
            (" 120 ", Some(120_000)),
            ("-1", Some(0)),
            ("99999999999999", Some(RETRY_AFTER_MS_MAX)),
            ("Fri, 01 Jan 1999 00:00:00 GMT", Some(0)),
            ("Fri, 01 Jan 2100 00:00:00 GMT", Some(RETRY_AFTER_MS_MAX)),
            ("soon", None),
            ("", None),
        ] {
            let value = HeaderValue::from_str(text).expect(text);
            assert_eq!(retry_after(&value), then, "{text:?}");
        }
    }

    /// Goal: a name that a customer gave cannot lead into our network, a mixed answer is cleaned,
    /// an operator's name may lead anywhere. Method: reach, addresses found, addresses left.
    #[test]
    fn private_addresses_are_refused() {
        let listed = Reach::Listed(Arc::new(Hosts::new(&["hooks.example".to_owned()])));
        for (reach, found, then) in [
            (&listed, vec!["93.184.216.34:0"], Some(1)),
            (&listed, vec!["10.0.0.1:0"], None),
            (&listed, vec!["10.0.0.1:0", "93.184.216.34:0"], Some(1)),
            (&listed, vec![], Some(0)),
            (&Reach::Anywhere, vec!["10.0.0.1:0"], Some(1)),
        ] {
            let addresses = found.iter().map(|it| it.parse().expect(it)).collect();
            let left = allowed(reach, "hooks.example", addresses).map(|it| it.count());
            assert_eq!(left.ok(), then, "{found:?}");
        }
    }
}
