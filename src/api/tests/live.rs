//! Live items: order, coming back, being too slow, the end.

use super::records::{holding, purchase, with};
use super::*;
use crate::api::live::{End, LivePos, Refusal};
use crate::domain::ids::CustomerId;
use futures_util::StreamExt;
use serde_json::json;

/// One event as text: (name, id, data).
type Event = (String, String, Value);

/// Opens a stream, does `meanwhile`, and reads `count` events.
async fn events(
    desk: &Desk,
    last_id: Option<&str>,
    count: usize,
    meanwhile: impl FnOnce(),
) -> Vec<Event> {
    let mut request = Request::get("/v1/customers/c/feed/live");
    if let Some(id) = last_id {
        request = request.header("Last-Event-ID", id);
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = desk.router.clone().call(request).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    meanwhile();
    let (mut text, mut body) = (String::new(), response.into_body().into_data_stream());
    while text.matches("\n\n").count() < count {
        let Some(chunk) = body.next().await else { break };
        text += std::str::from_utf8(&chunk.expect("bytes")).expect("UTF-8");
    }
    text.split_terminator("\n\n").map(event).collect()
}

fn event(block: &str) -> Event {
    let field = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim_start_matches([':', ' ']).to_owned()
    };
    (field("event"), field("id"), serde_json::from_str(&field("data")).expect("JSON"))
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|(name, _, _)| name.as_str()).collect()
}

/// Goal: a listener gets its customer's records and no others, and one who comes back with the last
/// id gets exactly what it missed. Method: records of two customers before, during and after.
#[tokio::test]
async fn listeners_come_back_without_a_gap() {
    let desk = Desk::new(Access::Open);
    let publish = |customer: &str, id: &str, offset: i64| {
        let record = parsed(purchase(customer, "a", id, (0, offset)));
        desk.memory.publish(&desk.hub, record);
    };
    let first = events(&desk, None, 3, || {
        publish("c", "p1", 1);
        publish("other", "p2", 2);
        publish("c", "p3", 3);
    })
    .await;
    assert_eq!(names(&first), ["ready", "item", "item"]);
    assert_eq!(first[2].2["line"], "a/payment/p3");
    assert_eq!(desk.hub.listener_count(), 0, "a dropped stream listens no more");
    publish("c", "p4", 4);
    let again = events(&desk, Some(&first[2].1), 2, || {}).await;
    assert_eq!(names(&again), ["ready", "item"]);
    assert_eq!(again[1].2["line"], "a/payment/p4");
    let lost = events(&desk, Some("7-123"), 2, || {}).await;
    assert_eq!(names(&lost)[..2], ["ready", "reload"], "an id that nobody remembers");
}

/// Goal: holdings are told with their balance, and the worker's stop ends the stream with a problem.
/// Method: a holding, then `close`.
#[tokio::test]
async fn holdings_and_the_end() {
    let desk = Desk::new(Access::Open);
    let told = events(&desk, None, 3, || {
        desk.memory.publish(&desk.hub, parsed(holding("c", "a", (0, 1))));
        desk.hub.close();
    })
    .await;
    assert_eq!(names(&told), ["ready", "holding", "end"]);
    assert_eq!(told[1].2["balance"]["booked"]["decimal"], "10000.00");
    assert_eq!(told[2].2["code"], "live_unavailable");
    let reply = desk.get("/v1/customers/c/feed/live").await;
    assert_eq!(reply.problem().0, 503);
}

/// Goal: who does not read is dropped and told, nobody else waits, and there are only so many
/// listeners. Method: one that reads and one that does not, more records than may wait.
#[tokio::test]
async fn slow_listeners_are_dropped() {
    let desk = Desk::new(Access::Open);
    let customer = CustomerId::from("c");
    let mut slow = desk.hub.listen(&customer, None).expect("room");
    let mut quick = desk.hub.listen(&customer, None).expect("room");
    assert_eq!(desk.hub.listen(&customer, None).err(), Some(Refusal::Full));
    let reply = desk.get("/v1/customers/c/feed/live").await;
    assert_eq!(
        (reply.problem().1.as_str(), reply.header("retry-after")),
        ("live_streams_full", "5")
    );
    for offset in 0..4_400 {
        let record = purchase("c", "a", "p", (0, offset));
        let record = parsed(with(record, json!({"version": offset + 1})));
        desk.hub.publish(LivePos { partition: 0, offset }, record);
        assert_eq!(quick.records.recv().await.map(|(pos, _)| pos.offset), Some(offset));
    }
    assert_eq!(desk.hub.listener_count(), 1);
    let mut got = 0;
    while slow.records.recv().await.is_some() {
        got += 1;
    }
    assert_eq!((got, slow.end()), (4_096, End::TooSlow));
    drop(quick);
    assert_eq!(desk.hub.listener_count(), 0);
}

/// Goal: memory stays flat, and what fell out of it is not passed over in silence. Method: more
/// records than are kept; ids before and after the oldest kept one.
#[test]
fn what_is_forgotten_is_a_gap() {
    let hub = Hub::new(10, Box::new(ByHand));
    hub.covers(0, 0);
    let customer = CustomerId::from("c");
    for offset in 0..10_000 {
        let record = parsed(purchase("c", "a", "p", (0, offset)));
        hub.publish(LivePos { partition: 0, offset }, record);
    }
    for (offset, has_gap, count) in [(0, true, 8_192), (1_807, false, 8_192), (9_998, false, 1)] {
        let listening = hub.listen(&customer, Some(LivePos { partition: 0, offset }));
        let listening = listening.expect("room");
        assert_eq!((listening.has_gap, listening.first.len()), (has_gap, count), "{offset}");
    }
}
