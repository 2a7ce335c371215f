//! The feed's API as a program meets it: real HTTP to the address that a worker's log names.
//!
//! Owns asking and listening. Every answer is kept whole, errors too; judges nothing but that an
//! answer is JSON.

use super::ground::until;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};
use tapline::load::workers::Worker;

pub struct Api {
    agent: ureq::Agent,
    base: String,
}

/// An answer.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub kind: String,
    pub position: String,
    pub retry_after: String,
    pub body: Value,
}

impl Said {
    /// The stable code of a problem.
    pub fn code(&self) -> &str {
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Api {
    pub fn of(worker: &Worker) -> Self {
        let address = until("the worker serves the API", 30, || {
            worker.page().ok_or_else(|| worker.last_lines(5))
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        Self { agent: agent.into(), base: format!("http://{address}") }
    }

    pub fn get(&self, path: &str) -> Said {
        said(self.agent.get(format!("{}{path}", self.base)).call())
    }

    pub fn put(&self, path: &str, body: &Value) -> Said {
        let put = self.agent.put(format!("{}{path}", self.base));
        said(put.header("content-type", "application/json").send(body.to_string()))
    }

    pub fn delete(&self, path: &str) -> Said {
        said(self.agent.delete(format!("{}{path}", self.base)).call())
    }

    /// All lines of a customer's feed, page after page.
    pub fn lines(&self, customer: &str, limit: usize) -> Vec<Value> {
        let mut lines = Vec::new();
        let mut next = Some(format!("/v1/customers/{customer}/feed?limit={limit}"));
        while let Some(path) = next {
            let page = self.get(&path);
            assert_eq!(page.status, 200, "{path}: {page:?}");
            let items = page.body["items"].as_array().cloned().unwrap_or_default();
            assert!(items.len() <= limit, "{path} has {} lines", items.len());
            lines.extend(items);
            next = page.body["next"].as_str().map(str::to_owned);
        }
        lines
    }

    /// Opens a customer's live items; returns when the stream is ready.
    pub fn listen(&self, customer: &str) -> Live {
        let url = format!("{}/v1/customers/{customer}/feed/live", self.base);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(5)))
            .build()
            .into();
        let (told, events) = channel();
        std::thread::spawn(move || {
            let answer = agent.get(url).call().expect("a stream");
            let (mut name, mut lines) =
                (String::new(), BufReader::new(answer.into_body().into_reader()));
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                if let Some(event) = line.strip_prefix("event: ") {
                    name = event.trim().to_owned();
                }
                if let Some(text) = line.strip_prefix("data: ") {
                    let body = serde_json::from_str(text).expect("an event's data is JSON");
                    if told.send((name.clone(), body)).is_err() {
                        return;
                    }
                }
                line.clear();
            }
        });
        let live = Live { events };
        live.find("ready", 10, |_| true);
        live
    }
}

fn said(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Said {
    let mut answer = answer.unwrap_or_else(|error| panic!("the API does not answer: {error}"));
    let header = |name: &str| {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (kind, position, retry_after) =
        (header("content-type"), header("tapline-position"), header("retry-after"));
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().expect("a body of text");
    let body = match text.is_empty() {
        true => Value::Null,
        false => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")),
    };
    Said { status, kind, position, retry_after, body }
}

/// An open stream of live items.
pub struct Live {
    events: Receiver<(String, Value)>,
}

impl Live {
    /// The next event of a name whose data is wanted; others are passed over.
    pub fn find(&self, name: &str, within_s: u64, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(within_s);
        let mut others = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok((of, body)) if of == name && is_it(&body) => return body,
                Ok((of, _)) => others.push(of),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no {name} within {within_s} s, but {others:?}")
                }
            }
        }
    }
}
