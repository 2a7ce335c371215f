//! Who is let in.

use super::*;
use crate::runtime::telemetry;

/// Goal: a token is needed where there is one, and a loopback listener without one is not fooled by
/// another host's name. Method: a table of (access, header, value, status).
#[tokio::test]
async fn who_may_ask() {
    let token = || Access::with_token("a-token-of-ours-1234");
    for (access, name, value, status) in [
        (token(), "authorization", "Bearer a-token-of-ours-1234", 200),
        (token(), "authorization", "Bearer a-token-of-ours-1235", 401),
        (token(), "authorization", "a-token-of-ours-1234", 401),
        (token(), "x-other", "", 401),
        (Access::Loopback, "host", "localhost:8080", 200),
        (Access::Loopback, "host", "127.0.0.1:8080", 200),
        (Access::Loopback, "host", "[::1]:8080", 200),
        (Access::Loopback, "host", "evil.example:8080", 421),
        (Access::Loopback, "host", "127.0.0.1.evil.example", 421),
        (Access::Loopback, "x-other", "", 421),
        (Access::Open, "host", "any.example", 200),
    ] {
        let desk = Desk::new(access);
        let ask = async |path: &str| {
            let request = Request::get(path).header(name, value).body(Body::empty());
            desk.send(request.expect("a request")).await
        };
        let reply = ask("/v1/customers/c/preferences").await;
        assert_eq!(reply.status, status, "{name}: {value}");
        match status {
            401 => {
                assert_eq!(reply.problem().1, "token_missing");
                assert_eq!(reply.header("www-authenticate"), "Bearer");
            }
            421 => assert_eq!(reply.problem().1, "host_unknown"),
            _ => {}
        }
        // The page and the document hold nothing of anybody's.
        assert_eq!((ask("/").await.status, ask("/openapi.json").await.status), (200, 200));
    }
}

/// Goal: requests are counted by their route and end, and no customer becomes a label. Method: the
/// metrics page after an answer, a refusal and a path that is none.
#[test]
fn requests_are_counted() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let page = crate::adapters::http::page_of(|| {
        runtime.block_on(async {
            let desk = Desk::new(Access::Open);
            for path in ["/v1/customers/cust-7/devices", "/v1/customers/cust-8/feed?limit=x", "/x"]
            {
                desk.get(path).await;
            }
        });
    });
    for labels in [
        r#"{route="/v1/customers/{customer}/devices",code="200"} 1"#,
        r#"{route="/v1/customers/{customer}/feed",code="400"} 1"#,
        r#"{route="none",code="404"} 1"#,
    ] {
        let line = format!("{}{labels}", telemetry::API_REQUESTS_TOTAL);
        assert!(page.lines().any(|it| it == line), "no {line} in\n{page}");
    }
    assert!(page.contains(telemetry::API_ANSWER_SECONDS), "{page}");
    assert!(!page.contains("cust-"), "{page}");
}
