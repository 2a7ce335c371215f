//! The OpenAPI document against the routes.

use super::*;
use std::collections::BTreeSet;

/// Routes for people's eyes, which no program asks.
const UNDESCRIBED: &[&str] = &["/", "/page.js", "/page.css"];

/// Goal: the document describes all routes and no others. Method: every path of the document is
/// asked with every method, which is refused with 405 exactly where the document has none; every
/// path in the source of the router stands in the document.
#[tokio::test]
async fn the_document_is_the_routes() {
    let desk = Desk::new(Access::Open);
    let document = ok(&desk.get("/openapi.json").await);
    assert!(document["openapi"].as_str().is_some_and(|it| it.starts_with("3.")));
    let paths = document["paths"].as_object().expect("paths");
    for (path, operations) in paths {
        let asked = path.replace("{customer}", "c").replace("{device}", "d");
        for method in ["get", "put", "post", "delete", "patch"] {
            if asked.ends_with("/live") && method == "get" {
                continue; // does not end
            }
            let reply = desk.ask(&method.to_uppercase(), &asked, "").await;
            let is_there = !(reply.status == 405 || reply.text.contains("route_unknown"));
            assert_eq!(is_there, operations.get(method).is_some(), "{method} {path}");
        }
    }
    let source = include_str!("../routes.rs");
    let body = source.split_once("pub fn router").expect("the router").1;
    let routed: BTreeSet<&str> = body
        .split('"')
        .filter(|text| text.starts_with('/'))
        .filter(|it| !UNDESCRIBED.contains(it))
        .collect();
    assert_eq!(routed, paths.keys().map(String::as_str).collect());
}

/// Goal: what is answered is what the document promises. Method: the fields of a page's line, an
/// account and a problem are the fields of their schemas; every reference leads somewhere.
#[tokio::test]
async fn answers_have_the_documents_fields() {
    let desk = Desk::new(Access::Open);
    desk.put(records::holding("c", "a", (0, 0)));
    desk.put(records::purchase("c", "a", "p", (0, 1)));
    let document = ok(&desk.get("/openapi.json").await);
    let page = ok(&desk.get("/v1/customers/c/feed").await);
    let accounts = ok(&desk.get("/v1/customers/c/accounts").await);
    let problem = desk.get("/v1/customers/c/feed?limit=x").await.json();
    for (name, answer) in [
        ("FeedPage", &page),
        ("Item", &page["items"][0]),
        ("Step", &page["items"][0]["timeline"][0]),
        ("Amount", &page["items"][0]["amount"]),
        ("Account", &accounts["accounts"][0]),
        ("Problem", &problem),
    ] {
        let schema = &document["components"]["schemas"][name]["properties"];
        let promised: BTreeSet<&String> = schema.as_object().expect(name).keys().collect();
        let given: BTreeSet<&String> = answer.as_object().expect(name).keys().collect();
        assert_eq!(given, promised, "{name}");
    }
    let text = document.to_string();
    for reference in text.split("\"#/").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document.pointer(&format!("/{reference}")).is_some(), "{reference}");
    }
}
