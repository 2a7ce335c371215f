//! Pages, balances and the consistency token.

use super::records::{balance, holding, purchase, with};
use super::*;
use crate::api::query::Parameters;
use serde_json::json;

fn lines(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items").iter();
    items.map(|item| item["line"].as_str().expect("a line").to_owned()).collect()
}

/// Goal: pages together are the whole feed, each line once and in order, though items change and
/// come while somebody pages. Method: 25 lines, several of one moment, followed by `next`; after
/// each page an old line changes and a new one comes.
#[tokio::test]
async fn pages_are_stable_and_complete() {
    let desk = Desk::new(Access::Open);
    desk.put(holding("c", "a", (0, 0)));
    let created = |number: i64| records::BEGIN_MS + number / 3 * 60_000;
    let put = |number: i64, version: i64, offset: i64| {
        let id = format!("p{number:02}");
        let fields = json!({"created_at": created(number), "version": version});
        desk.put(with(purchase("c", "a", &id, (0, offset)), fields));
    };
    (0..25).for_each(|number| put(number, 1, number + 1));
    let mut wanted: Vec<i64> = (0..25).collect();
    wanted.sort_by_key(|number| (-created(*number), *number));
    let wanted: Vec<String> = wanted.iter().map(|it| format!("a/payment/p{it:02}")).collect();

    let (mut seen, mut next, mut turn) =
        (Vec::new(), Some("/v1/customers/c/feed?limit=4".to_owned()), 0);
    while let Some(path) = next {
        let page = ok(&desk.get(&path).await);
        seen.extend(lines(&page));
        next = page["next"].as_str().map(str::to_owned);
        put(turn * 3 % 25, 2 + turn, 100 + turn);
        put(100 + turn, 1, 200 + turn);
        turn += 1;
    }
    assert_eq!(seen, wanted);
    assert_eq!(turn, 7, "25 lines by four");
}

/// Goal: a line says its money in minor units and in decimals, its times in UTC. Method: one line,
/// whole, by its JSON.
#[tokio::test]
async fn a_line_in_full() {
    let desk = Desk::new(Access::Open);
    desk.put(holding("c", "a", (3, 0)));
    desk.put(purchase("c", "a", "p", (3, 5)));
    let reply = desk.get("/v1/customers/c/feed").await;
    let item = &ok(&reply)["items"][0];
    for (pointer, value) in [
        ("/line", json!("a/payment/p")),
        ("/position", json!("1:3:5")),
        ("/created_at", json!("2026-11-20T10:00:05.000Z")),
        ("/amount", json!({"minor": 123_450, "decimal": "1234.50", "currency": "CZK"})),
        ("/original", json!({"minor": 5_000, "decimal": "50.00", "currency": "EUR"})),
        ("/merchant/name", json!("Kavárna Slavia")),
        ("/is_incoming", json!(false)),
        ("/status", json!("pending")),
        ("/balance/available/decimal", json!("8765.50")),
        ("/timeline/0/change", json!("authorised")),
        ("/former_amount", Value::Null),
    ] {
        assert_eq!(item.pointer(pointer), Some(&value), "{pointer}");
    }
    assert_eq!(reply.header("tapline-position"), "1:3:5");
    assert_eq!(reply.header("cache-control"), "no-store");
}

/// Goal: an account's balance is the one after its newest event, wherever that line stands; who
/// left sees none. Method: an old payment changes last; another account is left.
#[tokio::test]
async fn balances_are_the_newest() {
    let desk = Desk::new(Access::Open);
    desk.put(holding("c", "a", (0, 1)));
    desk.put(purchase("c", "a", "new", (0, 7)));
    let fields = json!({"created_at": 1, "balance": balance(500, 0), "version": 3});
    desk.put(with(purchase("c", "a", "old", (0, 9)), fields));
    let mut left = holding("c", "b", (2, 4));
    left["body"]["Holding"]["removed"] = json!(true);
    desk.put(left);
    let accounts = ok(&desk.get("/v1/customers/c/accounts").await);
    let (a, b) = (&accounts["accounts"][0], &accounts["accounts"][1]);
    assert_eq!(a["balance"]["booked"]["decimal"], "5.00");
    assert_eq!(a["position"], "1:0:9");
    assert_eq!((&b["is_removed"], &b["balance"]), (&json!(true), &Value::Null));
}

/// Goal: an answer contains what it was asked to contain, or says that it does not yet. Method: a
/// position that is there, comes after the first look, or never; and the wait that is meant where
/// none is named.
#[tokio::test]
async fn positions_are_waited_for() {
    let desk = Desk::new(Access::Open);
    desk.put(holding("c", "a", (4, 10)));
    let ask = async |query: &str| desk.get(&format!("/v1/customers/c/feed{query}")).await;
    // What is there is not waited for: without a wait there is one look.
    let reply = ask("?at_least=1:4:10&wait_ms=0").await;
    assert_eq!((reply.status, reply.header("tapline-position")), (200, "1:4:10"));

    // Asked first, then it comes: the one thread is given up only when the first look is over.
    let coming = async { desk.memory.make_durable(4, 12) };
    let (reply, ()) = tokio::join!(biased; ask("?at_least=1:4:11,1:4:3"), coming);
    assert_eq!((reply.status, reply.header("tapline-position")), (200, "1:4:11"));

    for (query, wait_ms) in [("?at_least=1:4:99&wait_ms=0", 0), ("?at_least=1:5:0&wait_ms=50", 50)]
    {
        let begin = tokio::time::Instant::now();
        let reply = ask(query).await;
        assert_eq!(reply.problem().1, "position_not_reached", "{query}");
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
        assert!(begin.elapsed().as_millis() >= wait_ms, "{query}");
    }
    let unsaid = Parameters::new(Vec::new(), &["wait_ms"]).expect("no parameters");
    assert_eq!(unsaid.wait().expect("the usual wait").as_millis(), 2_000);
    let request = Request::get("/v1/customers/c/accounts?wait_ms=0")
        .header("Tapline-Position", "1:4:99")
        .body(Body::empty());
    let reply = desk.send(request.expect("a request")).await;
    assert_eq!(reply.problem().1, "position_not_reached", "by its header");
}
