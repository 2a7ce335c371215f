//! Every way to ask wrongly, and the form of the refusal.

use super::records::{holding, purchase, with};
use super::*;
use serde_json::json;

/// Goal: whatever is wrong, the answer is a problem with a stable code and the field at fault.
/// Method: a table of questions with status, code and field.
#[tokio::test]
async fn wrong_questions() {
    let desk = Desk::new(Access::Open);
    desk.put(holding("c", "a", (0, 0)));
    let (long, big) = ("x".repeat(65), format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024)));
    let too_long = format!("/v1/customers/{long}/feed");
    let phone = "/v1/customers/c/devices/phone";
    let wishes = "/v1/customers/c/preferences";
    for (method, path, body, status, code, field) in [
        ("GET", "/nothing", "", 404, "route_unknown", ""),
        ("GET", "/v1/customers/nobody/feed", "", 404, "customer_unknown", "customer"),
        ("GET", "/v1/customers/nobody/accounts", "", 404, "customer_unknown", "customer"),
        ("GET", phone, "", 404, "device_unknown", "device"),
        ("POST", "/v1/customers/c/feed", "", 405, "method_not_allowed", ""),
        ("DELETE", "/", "", 405, "method_not_allowed", ""),
        ("GET", &too_long, "", 400, "bad_parameter", "customer"),
        ("GET", "/v1/customers/a%00b/feed", "", 400, "bad_parameter", "customer"),
        ("GET", "/v1/customers/%ff/feed", "", 400, "bad_request", ""),
        ("GET", "/v1/customers/c/feed?limit=0", "", 400, "bad_parameter", "limit"),
        ("GET", "/v1/customers/c/feed?limit=201", "", 400, "bad_parameter", "limit"),
        ("GET", "/v1/customers/c/feed?limit=1&limit=2", "", 400, "bad_parameter", "limit"),
        ("GET", "/v1/customers/c/feed?Limit=1", "", 400, "bad_parameter", "Limit"),
        ("GET", "/v1/customers/c/feed?before=x", "", 400, "bad_parameter", "before"),
        ("GET", "/v1/customers/c/feed?wait_ms=10001", "", 400, "bad_parameter", "wait_ms"),
        ("GET", "/v1/customers/c/feed?at_least=1:2", "", 400, "bad_parameter", "at_least"),
        ("GET", "/v1/customers/c/feed?at_least=1:12:0", "", 400, "bad_parameter", "at_least"),
        ("GET", "/v1/customers/c/feed?at_least=1:-1:0", "", 400, "bad_parameter", "at_least"),
        (
            "GET",
            "/v1/customers/c/feed?at_least=9:0:0",
            "",
            409,
            "position_of_another_log",
            "at_least",
        ),
        ("PUT", phone, "{", 400, "bad_body", ""),
        ("PUT", phone, "[]", 400, "bad_body", ""),
        ("PUT", phone, "\u{fffd}", 400, "bad_body", ""),
        ("PUT", phone, r#"{"platform":"fcm"}"#, 400, "bad_body", "token"),
        ("PUT", phone, r#"{"platform":"fcm","token":"t","extra":1}"#, 400, "bad_body", "extra"),
        ("PUT", phone, r#"{"platform":"unknown","token":"t"}"#, 400, "bad_body", "platform"),
        ("PUT", phone, r#"{"platform":"webhook","token":"http://a.b/"}"#, 400, "bad_body", "token"),
        ("PUT", phone, &big, 413, "body_too_large", ""),
        (
            "PUT",
            wishes,
            r#"{"quiet":{"from_minute":1,"to_minute":2,"zone":"X/Y"}}"#,
            400,
            "bad_body",
            "quiet.zone",
        ),
        ("PUT", wishes, r#"{"off":["lottery"]}"#, 400, "bad_body", ""),
    ] {
        let reply = desk.ask(method, path, body).await;
        let wanted = (status, code.to_owned(), field.to_owned());
        assert_eq!(reply.problem(), wanted, "{method} {path} {}", &body[..body.len().min(60)]);
        let instance = path.split('?').next();
        assert_eq!(reply.json()["instance"].as_str(), instance);
    }
    let reply = desk.ask("POST", "/v1/customers/c/feed", "").await;
    assert_eq!(reply.header("allow"), "GET,HEAD");
}

/// Goal: hostile text passes through as the text it is. Method: markup, a direction mark and an
/// emoji as a merchant; the parsed JSON is the same, and the type is no markup.
#[tokio::test]
async fn hostile_text_stays_text() {
    let desk = Desk::new(Access::Open);
    desk.put(holding("c", "a", (0, 0)));
    let name = "<img src=x onerror=alert(1)>\u{202e}\u{1f600}\"'&";
    let record = purchase("c", "a", "p", (0, 1));
    desk.put(with(record, json!({"merchant_name": name, "text": "</script>"})));
    let reply = desk.get("/v1/customers/c/feed").await;
    assert_eq!(ok(&reply)["items"][0]["merchant"]["name"], name);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(reply.header("content-security-policy").starts_with("default-src 'none'"));
}
