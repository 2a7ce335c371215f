//! The twin as a tool: led, read and copied from by whoever tries pushes by hand.
//!
//! Owns what its own addresses say. What it answers as a gateway is the other cases'.

use crate::{
    ground::{Ground, ask, notification},
    scratch::Scratch,
};
use std::{future::pending, sync::Arc};
use tapline::{
    api::{
        access::Access,
        listen_at,
        live::Hub,
        memory::{ByHand, Memory},
        ports::TargetStore,
        routes::{Settings, Shared, Turns},
    },
    domain::{ids::CustomerId, push::Platform},
    fake_gateway::Options,
};

/// Goal: the twin can be led and read from outside, and its file has what it saw. Method: rules by
/// `/control`, then `/counts`, `/journal` and the file.
#[tokio::test]
async fn the_twin_is_led_from_outside() {
    let folder = Scratch::new();
    let path = folder.path().join("journal.jsonl");
    let ground = Ground::with(Options { journal: Some(path.clone()), ..Options::default() }).await;
    let address = ground.twin.address;
    let half = r#"{"target":"webhook","act":"status:500","share_percent":50}"#;
    let led = ask(address, "POST /control HTTP/1.1", half).await;
    assert!(led.starts_with("HTTP/1.1 204"), "{led}");
    for bad in [
        r#"{"target":"gcm","act":"hang"}"#,
        r#"{"target":"fcm","act":"sulk"}"#,
        r#"{"target":"fcm","act":"hang","share_percent":0}"#,
        r#"{"target":"fcm","act":"hang","shar":1}"#,
    ] {
        let led = ask(address, "POST /control HTTP/1.1", bad).await;
        assert!(led.starts_with("HTTP/1.1 4"), "{bad}: {led}");
    }
    for turn in 0..10 {
        ground.send(Platform::Webhook, "phone", &notification(&format!("k{turn}"))).await;
    }
    let counts = ground.twin.counts();
    assert_eq!((counts.accepted, counts.answers["webhook"]["status:500"]), (5, 5));
    let shown = ask(address, "GET /counts HTTP/1.1", "").await;
    assert!(shown.contains("\"accepted\":5"), "{shown}");
    let shown = ask(address, "GET /journal?since=8 HTTP/1.1", "").await;
    assert!(shown.contains("\"next\":10") && !shown.contains("\"seq\":7,"), "{shown}");
    let file = std::fs::read_to_string(&path).expect("the journal");
    let keys = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON")["key"].to_string()
    };
    assert_eq!(
        file.lines().map(keys).collect::<Vec<_>>(),
        (0..10).map(|it| format!("\"k{it}\"")).collect::<Vec<_>>()
    );
}

/// Goal: what `/device` prints is the body with which the API registers that device. Method: a
/// device of each platform, put as it was printed; the API then has the twin's own.
#[tokio::test]
async fn devices_are_registered_as_printed() {
    let ground = Ground::new().await;
    let memory = Arc::new(Memory::default());
    let shared = Shared {
        feed: memory.clone(),
        targets: memory.clone(),
        positions: memory.clone(),
        hub: Hub::new(1, Box::new(ByHand)),
        settings: Settings { access: Access::Open, devices_max: 4, allows_loopback_http: true },
        turns: Turns::default(),
    };
    let local = ([127, 0, 0, 1], 0).into();
    let api = listen_at(local, Arc::new(shared), pending()).await.expect("a free port");
    for platform in Platform::ALL {
        let name = platform.name().replace('_', "-");
        let line = format!("GET /device?platform={}&name={name} HTTP/1.1", platform.name());
        let shown = ask(ground.twin.address, &line, "").await;
        let body = shown.split_once("\r\n\r\n").expect("a body").1;
        let put = format!("PUT /v1/customers/c/devices/{name} HTTP/1.1");
        let answer = ask(api.address, &put, body).await;
        assert!(answer.starts_with("HTTP/1.1 201"), "{body}\n{answer}");
        let targets = memory.targets(&CustomerId::from("c")).await.expect("in memory");
        assert!(targets.devices.contains(&ground.twin.device(platform, &name)), "{body}");
    }
}
