//! Devices and preferences.

use super::*;
use serde_json::json;

fn fcm(token: &str) -> String {
    json!({"platform": "fcm", "token": token}).to_string()
}

/// Goal: a thousand devices of one customer at once leave twenty, and everybody is told why. Method:
/// all registrations together, then what is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_are_capped() {
    let desk = Desk::new(Access::Open);
    let all = (0..1_000).map(|number| {
        let (path, body) =
            (format!("/v1/customers/c/devices/d{number}"), fcm(&format!("t{number}")));
        let desk = &desk;
        async move { desk.ask("PUT", &path, &body).await }
    });
    let replies = futures_util::future::join_all(all).await;
    let count = |status: u16| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((count(201), count(409)), (20, 980));
    let refused = replies.iter().find(|reply| reply.status == 409).expect("one");
    assert_eq!(refused.problem().1, "devices_full");
    assert!(refused.text.contains("push.devices_max"), "{}", refused.text);
    let stored = ok(&desk.get("/v1/customers/c/devices").await);
    assert_eq!(stored["devices"].as_array().map(Vec::len), Some(20));
    assert_eq!(stored["devices_max"], 20);
}

/// Goal: a device is registered once, under its last name, and its token is never told again.
/// Method: the same name, the same token, and forgetting, in turn.
#[tokio::test]
async fn a_device_in_its_life() {
    let desk = Desk::new(Access::Open);
    let put = async |id: &str, token: &str| {
        desk.ask("PUT", &format!("/v1/customers/c/devices/{id}"), &fcm(token)).await.status
    };
    assert_eq!(put("phone", "secret-token-1111").await, 201);
    assert_eq!(put("phone", "secret-token-2222").await, 200, "the same name");
    assert_eq!(put("new%20phone", "secret-token-2222").await, 200, "the same token");
    let reply = desk.get("/v1/customers/c/devices").await;
    assert!(!reply.text.contains("secret"), "{}", reply.text);
    let wanted = json!([{"device_id": "new phone", "platform": "fcm", "address_hint": "…2222"}]);
    assert_eq!(ok(&reply)["devices"], wanted);
    for status in [204, 204] {
        let reply = desk.ask("DELETE", "/v1/customers/c/devices/new%20phone", "").await;
        assert_eq!(reply.status, status);
    }
    assert_eq!(ok(&desk.get("/v1/customers/c/devices").await)["devices"], json!([]));
    assert_eq!(desk.get("/v1/customers/c/devices/phone").await.problem().1, "device_unknown");
}

/// Goal: preferences are one document, replaced whole, and absent means everything. Method: read,
/// write, read, write less, read.
#[tokio::test]
async fn preferences_are_one_document() {
    let desk = Desk::new(Access::Open);
    let path = "/v1/customers/c/preferences";
    let nothing = json!({"off": [], "smallest_minor": {}, "quiet": null});
    assert_eq!(ok(&desk.get(path).await), nothing);
    let quiet = json!({"from_minute": 1320, "to_minute": 420, "zone": "Europe/Prague"});
    let wish = json!({"off": ["money_out"], "smallest_minor": {"CZK": 10_000}, "quiet": quiet});
    assert_eq!(ok(&desk.ask("PUT", path, &wish.to_string()).await), wish);
    assert_eq!(ok(&desk.get(path).await), wish);
    assert_eq!(ok(&desk.ask("PUT", path, "{}").await), nothing);
    assert_eq!(ok(&desk.get(path).await), nothing);
}
