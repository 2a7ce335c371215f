//! The API asked through its routes, over ports in memory.
//!
//! Owns the set-up that the tests share: a router, questions, and answers as JSON.

mod access;
mod documents;
mod live;
mod paging;
mod problems;
mod targets;

use super::{
    access::Access,
    live::{Hub, Tail},
    memory::{ByHand, Memory},
    routes::{Settings, Shared, Turns, router},
};
use crate::domain::feed::FeedRecord;
use crate::feed_records as records;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use serde_json::Value;
use std::sync::Arc;
use tower_service::Service;

struct Desk {
    memory: Arc<Memory>,
    hub: Arc<Hub>,
    router: Router,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// (status, code, field) of a problem, whose form is checked on the way.
    fn problem(&self) -> (u16, String, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let body = self.json();
        assert_eq!(body["status"], self.status);
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("type"), format!("urn:tapline:problem:{}", text("code")));
        for name in ["title", "detail", "instance"] {
            assert!(!text(name).is_empty(), "no {name}: {}", self.text);
        }
        (self.status, text("code"), text("field"))
    }
}

impl Desk {
    fn new(access: Access) -> Self {
        Self::with_tail(access, 2, Box::new(ByHand))
    }

    fn with_tail(access: Access, listeners_max: usize, tail: Box<dyn Tail>) -> Self {
        let memory = Arc::new(Memory::default());
        let hub = Hub::new(listeners_max, tail);
        let settings = Settings { access, devices_max: 20, allows_loopback_http: true };
        let shared = Arc::new(Shared {
            feed: memory.clone(),
            targets: memory.clone(),
            positions: memory.clone(),
            hub: hub.clone(),
            settings,
            turns: Turns::default(),
        });
        Self { memory, hub, router: router(shared) }
    }

    fn put(&self, record: Value) {
        self.memory.put(parsed(record));
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().call(request).await.expect("infallible");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 1 << 22).await.expect("a body");
        Reply { status, headers, text: String::from_utf8(bytes.to_vec()).expect("UTF-8") }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned()));
        self.send(request.expect("a request")).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "").await
    }
}

fn parsed(record: Value) -> FeedRecord {
    serde_json::from_value(record).expect("a feed record")
}

fn ok(reply: &Reply) -> Value {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    reply.json()
}
