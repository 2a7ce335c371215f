//! `GET .../feed/live`: server-sent events for the items of one customer.
//!
//! Owns the events' names and order: `ready` once, `item` and `holding` as they come, `reload` where
//! the listener missed some and must read the page again, `end` with a problem as the last one. A
//! comment every 15 s keeps proxies awake.

use super::{
    live::{End, Listening, LivePos, LiveRecord, Refusal},
    problem::{Answer, Code, Problem},
    query::{self, Parameters},
    routes::Shared,
    shapes::{Account, Item},
};
use crate::domain::{feed::FeedBody, feed_page::AccountLine};
use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, Uri},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

const HEARTBEAT: Duration = Duration::from_secs(15);

/// What the browser waits before it comes back, in ms.
const RETRY: Duration = Duration::from_millis(2_000);

/// Live items of a customer: `ready`, then `item` (an Item) and `holding` (an Account) with an id
/// that `Last-Event-ID` takes, `reload` where some were missed, `end` (a Problem) as the last.
/// Records of the last seconds come again at the start: keep the highest version of each line.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/feed/live",
    tag = "feed",
    params(
        ("customer" = String, Path, description = "Customer id"),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event seen"),
    ),
    responses(
        (status = 200, description = "A stream that does not end by itself", body = String,
            content_type = "text/event-stream"),
        (status = "default", response = super::routes::Failure),
    ),
)]
pub async fn live(
    State(shared): State<Arc<Shared>>,
    Path(customer): Path<String>,
    Query(pairs): Query<Vec<(String, String)>>,
    uri: Uri,
    headers: HeaderMap,
) -> Answer<Response> {
    let customer = query::customer(&customer)?;
    Parameters::new(pairs, &[])?;
    let after = match headers.get("last-event-id") {
        None => None,
        Some(id) => {
            let parsed = id.to_str().ok().and_then(LivePos::parse);
            let detail = "Send the id of the last event as it came.";
            let wrong = || Problem::of_field(Code::BadParameter, "Last-Event-ID", detail);
            Some(parsed.ok_or_else(wrong)?)
        }
    };
    let listening = shared.hub.listen(&customer, after).map_err(|refusal| match refusal {
        Refusal::Full => {
            let detail = "As many streams as api.live_streams_max allows are open; come later.";
            Problem::new(Code::LiveStreamsFull, detail).again_after(5)
        }
        Refusal::Closed => Problem::new(Code::LiveUnavailable, "The worker stops.").again_after(5),
    })?;
    let source = Source {
        incarnation: shared.positions.incarnation(),
        path: uri.path().to_owned(),
        waiting: opening(&listening),
        listening,
        is_over: false,
    };
    let events = stream::unfold(source, |mut source| async {
        let event = source.next().await?;
        Some((Ok::<_, Infallible>(event), source))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

enum Waiting {
    Opening(Event),
    Record(LiveRecord),
}

struct Source {
    incarnation: i32,
    path: String,
    waiting: VecDeque<Waiting>,
    listening: Listening,
    is_over: bool,
}

fn opening(listening: &Listening) -> VecDeque<Waiting> {
    let mut waiting = VecDeque::new();
    let ready = Event::default().event("ready").retry(RETRY).data("{}");
    waiting.push_back(Waiting::Opening(ready));
    if listening.has_gap {
        let reload = Event::default().event("reload").data("{}");
        waiting.push_back(Waiting::Opening(reload));
    }
    waiting.extend(listening.first.iter().cloned().map(Waiting::Record));
    waiting
}

impl Source {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let record = match self.waiting.pop_front() {
                Some(Waiting::Opening(event)) => return Some(event),
                Some(Waiting::Record(record)) => record,
                None if self.is_over => return None,
                None => match self.listening.records.recv().await {
                    Some(record) => record,
                    None => {
                        self.is_over = true;
                        return Some(self.last());
                    }
                },
            };
            if let Some(event) = self.event(&record) {
                return Some(event);
            }
        }
    }

    fn event(&self, (pos, record): &LiveRecord) -> Option<Event> {
        let (name, document) = match &record.body {
            FeedBody::Item(_) => {
                ("item", serde_json::to_string(&Item::of(record, self.incarnation)?))
            }
            FeedBody::Holding(_) => {
                let line = AccountLine::of(record)?;
                ("holding", serde_json::to_string(&Account::of(&line, self.incarnation)))
            }
            FeedBody::Birth(_) => return None,
        };
        Some(Event::default().event(name).id(pos.to_string()).data(document.ok()?))
    }

    fn last(&self) -> Event {
        let problem = match self.listening.end() {
            End::TooSlow => {
                let detail = "Too many items waited for this reader, so the stream was ended. Read \
                              the feed again and come back.";
                Problem::new(Code::LiveUnavailable, detail)
            }
            End::Closed => {
                let detail = "The worker stops or lost the log. Come back with Last-Event-ID.";
                Problem::new(Code::LiveUnavailable, detail)
            }
        };
        let document = serde_json::to_string(&problem.body(&self.path)).unwrap_or_default();
        Event::default().event("end").data(document)
    }
}
