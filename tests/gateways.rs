//! Gateways over real sockets of this machine, each against its twin.
//!
//! Owns what only a wire can show: forms that a strict receiver understands, signatures that verify,
//! trouble that becomes an answer, hostile receivers. The meaning of every status is in the tables
//! beside each gateway. Nothing here leaves 127.0.0.1.

#[path = "gateways/ground.rs"]
mod ground;
mod scratch;
#[path = "gateways/twin.rs"]
mod twin;

use ground::{Ground, ask, later, notification, receive, rejected, secret, webhook_device};
use scratch::Scratch;
use std::{net::SocketAddr, time::Duration};
use tapline::{
    adapters::gateways::{self, settings::GatewaySettings},
    domain::push::{Answer, Device, Notification, Platform},
    fake_gateway::{FakeGateway, Keys, Options, Target},
    runtime::settings::Secret,
};
use tokio::net::TcpListener;

/// Goal: every gateway says the whole notification in a form that its receiver believes, repeats
/// say the same, and connections are reused. Method: each sends ten keys, the first twice, to a twin
/// that verifies every signature and decrypts.
#[tokio::test]
async fn notifications_arrive_whole() {
    for platform in Platform::ALL {
        let ground = Ground::new().await;
        for turn in [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9] {
            let key = format!("2:7:{turn}/a1b2");
            let answer = ground.send(platform, "phone", &notification(&key)).await;
            let journal = ground.twin.journal();
            assert_eq!(answer, Answer::Accepted, "{platform:?}: {:?}", journal.last());
        }
        let journal = ground.twin.journal();
        let entry = &journal[0];
        assert_eq!((entry.platform, &*entry.key), (platform.name(), "2:7:0/a1b2"));
        assert_eq!(entry.title, "Café Ŝajno");
        assert_eq!(entry.body, "12.50 CAD at Café Ŝajno");
        assert_eq!(entry.fields["line"], "acc-1/pay-1");
        assert_eq!(entry.origin_ms, Some(1_700_000_000_000));
        assert_eq!(journal[0].body_sha256, journal[1].body_sha256);
        assert!(journal.iter().all(|it| it.device == entry.device && it.device.len() == 16));
        let counts = ground.twin.counts();
        assert_eq!((counts.accepted, counts.keys, counts.repeats), (11, 10, 1));
        assert_eq!(counts.bodies_changed, 0);
        // FCM's access tokens come by a connection of their own.
        let connections = if platform == Platform::Fcm { 2 } else { 1 };
        assert_eq!(counts.connections, connections, "{platform:?}");
    }
}

/// Goal: what a gateway answers becomes one answer, Retry-After included, and a device that left is
/// known. Method: platform, what the twin does, what follows; each as over the wire.
#[tokio::test]
async fn answers_are_understood() {
    use Platform::{Apns, Fcm, WebPush, Webhook};
    let ground = Ground::new().await;
    let after = |code: &str, retry_after_ms| Answer::Later {
        code: code.into(),
        retry_after_ms: Some(retry_after_ms),
    };
    for (platform, act, then) in [
        (Fcm, "status:429:7", after("QUOTA_EXCEEDED", 7_000)),
        (Fcm, "status:500", later("INTERNAL")),
        (Fcm, "status:503:1", after("UNAVAILABLE", 1_000)),
        (Fcm, "status:410", Answer::Gone),
        (Fcm, "status:400", rejected("INVALID_ARGUMENT")),
        (Fcm, "status:403", rejected("SENDER_ID_MISMATCH")),
        (Fcm, "status:302", rejected("http_302")),
        (Apns, "status:429:7", after("TooManyRequests", 7_000)),
        (Apns, "status:500", later("InternalServerError")),
        (Apns, "status:410", Answer::Gone),
        (Apns, "status:400", Answer::Gone),
        (Apns, "status:413", rejected("PayloadTooLarge")),
        (WebPush, "status:429:7", after("http_429", 7_000)),
        (WebPush, "status:500", later("http_500")),
        (WebPush, "status:410", Answer::Gone),
        (WebPush, "status:404", Answer::Gone),
        (WebPush, "status:307", rejected("http_307")),
        (Webhook, "status:429:7", after("http_429", 7_000)),
        (Webhook, "status:500", later("http_500")),
        (Webhook, "status:410", Answer::Gone),
        (Webhook, "status:404", rejected("http_404")),
        (Webhook, "status:308", rejected("http_308")),
        (Webhook, "status:204", Answer::Accepted),
    ] {
        let before = ground.twin.counts().requests;
        ground.behave(Target::Platform(platform), act);
        let answer = ground.send(platform, "phone", &notification("k")).await;
        assert_eq!(answer, then, "{platform:?} {act}");
        // A redirect that was followed would come a second time.
        assert_eq!(ground.twin.counts().requests, before + 1, "{platform:?} {act}");
    }
    ground.behave(Target::All, "ok");
    for platform in Platform::ALL {
        let answer = ground.send(platform, "gone-phone", &notification("k")).await;
        assert_eq!(answer, Answer::Gone, "{platform:?}");
    }
}

/// Goal: silence, a cut connection and a dead server are answers or the caller's time-out, and the
/// next attempt finds its way. Method: each trouble, then the same key again in good weather.
#[tokio::test]
async fn trouble_passes() {
    for platform in Platform::ALL {
        let ground = Ground::new().await;
        let target = Target::Platform(platform);
        ground.behave(target, "hang");
        let sent = notification("hang");
        let hanging = ground.send(platform, "phone", &sent);
        let answer = tokio::time::timeout(Duration::from_millis(300), hanging).await;
        assert!(answer.is_err(), "{platform:?}");
        ground.behave(target, "ok");
        assert_eq!(ground.send(platform, "phone", &sent).await, Answer::Accepted, "{platform:?}");

        ground.behave(target, "cut");
        let answer = ground.send(platform, "phone", &notification("cut")).await;
        assert_eq!(answer, later("cut"), "{platform:?}");
        ground.behave(target, "ok");
        let answer = ground.send(platform, "phone", &notification("cut")).await;
        assert_eq!(answer, Answer::Accepted, "{platform:?}");

        ground.behave(target, "slow:150ms");
        let answer = ground.send(platform, "phone", &notification("slow")).await;
        assert_eq!(answer, Answer::Accepted, "{platform:?}");
        assert_eq!(ground.twin.counts().bodies_changed, 0);

        let (device, address) = (ground.twin.device(platform, "phone"), ground.twin.address);
        let gateways = gateways::open(&ground.keys.settings(address)).expect("good keys");
        drop(ground.twin);
        let dead = async || gateways[&platform].send(&device, &notification("dead")).await;
        while dead().await == Answer::Accepted {
            tokio::task::yield_now().await; // the listener is closing
        }
        let code = if platform == Platform::Fcm { "token_connect" } else { "connect" };
        assert_eq!(dead().await, later(code), "{platform:?}");
    }
}

/// Goal: keys that HTTP or Apple would not take are refused here. Method: keys, then whether a
/// request was made.
#[tokio::test]
async fn keys_fit_every_gateway() {
    let ground = Ground::new().await;
    for (key, is_fine) in [
        ("k", true),
        (&*"k".repeat(64), true),
        (&*"k".repeat(65), false),
        ("", false),
        ("two words", false),
        ("line\r\nx-more: 1", false),
        ("ŝ", false),
    ] {
        for platform in Platform::ALL {
            let answer = ground.send(platform, "phone", &notification(key)).await;
            let then = if is_fine { Answer::Accepted } else { rejected("key_malformed") };
            assert_eq!(answer, then, "{platform:?} {key:?}");
        }
    }
    assert_eq!(ground.twin.counts().requests, 8);
}

/// Goal: an access token is asked for once however many wait, again when it ends or is refused, and
/// a dead token server is not stormed. Method: parallel sends, requests for tokens counted.
#[tokio::test]
async fn access_tokens_are_shared() {
    let parallel = async |ground: &Ground| {
        let sent: Vec<Notification> = (0..50).map(|it| notification(&format!("k{it}"))).collect();
        let sends = sent.iter().map(|it| ground.send(Platform::Fcm, "phone", it));
        futures_util::future::join_all(sends).await
    };
    let ground = Ground::new().await;
    assert!(parallel(&ground).await.iter().all(|it| *it == Answer::Accepted));
    assert_eq!(ground.twin.counts().tokens_granted, 1);

    ground.behave(Target::Platform(Platform::Fcm), "status:401");
    assert!(parallel(&ground).await.iter().all(|it| *it == later("UNAUTHENTICATED")));
    ground.behave(Target::All, "ok");
    assert!(parallel(&ground).await.iter().all(|it| *it == Answer::Accepted));
    let granted = ground.twin.counts().tokens_granted;
    assert!((2..50).contains(&granted), "{granted}");

    let ground = Ground::new().await;
    ground.behave(Target::Token, "status:500");
    assert!(parallel(&ground).await.iter().all(|it| *it == later("token_http_500")));
    let counts = ground.twin.counts();
    assert_eq!((counts.tokens_granted, counts.requests), (1, 0));

    let ground = Ground::with(Options { token_seconds: 0, ..Options::default() }).await;
    for key in ["a", "b", "c"] {
        assert_eq!(ground.send(Platform::Fcm, "p", &notification(key)).await, Answer::Accepted);
    }
    assert_eq!(ground.twin.counts().tokens_granted, 3);
}

/// Goal: the twin believes no foreign key, so that acceptance means something. Method: gateways with
/// keys of another folder.
#[tokio::test]
async fn foreign_keys_are_refused() {
    let (ground, other) = (Ground::new().await, Ground::new().await);
    let mut settings = other.keys.settings(ground.twin.address);
    let webhook = settings.webhook.as_mut().expect("all are set");
    webhook.secrets = vec![Secret::new(secret(9))];
    let gateways = gateways::open(&settings).expect("good keys");
    for (platform, then) in [
        (Platform::Apns, later("InvalidProviderToken")),
        (Platform::WebPush, rejected("http_403")),
        (Platform::Webhook, later("http_401")),
    ] {
        let device = ground.twin.device(platform, "phone");
        let answer = gateways[&platform].send(&device, &notification("k")).await;
        assert_eq!(answer, then, "{platform:?}");
    }
    assert_eq!(ground.twin.counts().accepted, 0);
}

/// Goal: while secrets change, a receiver with the old one and one with the new one both verify,
/// others do not; an independent library agrees. Method: two configured secrets, three receivers, and
/// one plain socket whose request the standard's own library judges.
#[tokio::test]
async fn webhooks_verify_under_old_and_new_secret() {
    let settings = |hosts: Vec<String>| {
        let secrets = vec![Secret::new(secret(1)), Secret::new(secret(2))];
        let webhook = gateways::settings::WebhookSettings { secrets, hosts };
        GatewaySettings { webhook: Some(webhook), ..GatewaySettings::default() }
    };
    for (known, then) in [(1, Answer::Accepted), (2, Answer::Accepted), (3, later("http_401"))] {
        let options = Options { webhook_secrets: vec![secret(known)], ..Options::default() };
        let twin = FakeGateway::start(options).await.expect("a free port");
        let opened = gateways::open(&settings(vec![twin.address.to_string()])).expect("settings");
        let device = twin.device(Platform::Webhook, "shop");
        let answer = opened[&Platform::Webhook].send(&device, &notification("k1")).await;
        assert_eq!(answer, then, "{known}");
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let receiver = tokio::spawn(async move { receive(&listener).await });
    let opened = gateways::open(&settings(vec![address.to_string()])).expect("settings");
    let device = webhook_device(&format!("http://{address}/hook"));
    let answer = opened[&Platform::Webhook].send(&device, &notification("k1")).await;
    assert_eq!(answer, Answer::Accepted);
    let (head, body) = receiver.await.expect("no panic");
    let mut headers = http::HeaderMap::new();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        let name = http::HeaderName::from_bytes(name.as_bytes()).expect(name);
        headers.insert(name, value.parse().expect("a value"));
    }
    for (number, is_fine) in [(1, true), (2, true), (3, false)] {
        let judge = standardwebhooks::Webhook::new(&secret(number)).expect("a secret");
        assert_eq!(judge.verify(body.as_bytes(), &headers).is_ok(), is_fine, "{number}");
    }
}

/// Goal: a hostile registration leads nowhere, and a hostile receiver costs little. Method: addresses
/// and keys that a customer might register; then a body without end.
#[tokio::test]
async fn hostile_devices_and_receivers() {
    let ground = Ground::new().await;
    let address = ground.twin.address;
    let other = SocketAddr::new(address.ip(), address.port() ^ 1);
    let web = |token: String| Device {
        token: token.into(),
        ..ground.twin.device(Platform::WebPush, "p")
    };
    let apns =
        |token: &str| Device { token: token.into(), ..ground.twin.device(Platform::Apns, "p") };
    let phone = ground.twin.device(Platform::WebPush, "phone");
    // As long as a point, and none of the curve.
    let off_curve = format!("B{}", "A".repeat(86));
    for (device, code) in [
        (webhook_device("https://evil.example/hook"), "host_not_listed"),
        (webhook_device(&format!("http://{other}/hook/p")), "host_not_listed"),
        (webhook_device(&format!("http://me@{address}/hook/p")), "address_malformed"),
        (webhook_device(&format!("http://localhost:{}/hook/p", address.port())), "host_not_listed"),
        (webhook_device("http://169.254.169.254/latest/meta-data"), "host_not_listed"),
        (webhook_device("file:///etc/passwd"), "address_malformed"),
        (webhook_device(""), "address_malformed"),
        (web("https://evil.example/push/p".to_owned()), "host_not_listed"),
        (web(format!("http://{other}/push/p")), "host_not_listed"),
        (Device { p256dh: "AAAA".into(), ..phone.clone() }, "device_keys_malformed"),
        (Device { p256dh: "".into(), ..phone.clone() }, "device_keys_malformed"),
        (Device { p256dh: off_curve.into(), ..phone.clone() }, "device_keys_malformed"),
        (Device { auth: "AAAA".into(), ..phone.clone() }, "device_keys_malformed"),
        (Device { auth: "not base64!".into(), ..phone.clone() }, "device_keys_malformed"),
        (apns("../../counts"), "token_malformed"),
        (apns("ab?x=1"), "token_malformed"),
        (apns(""), "token_malformed"),
    ] {
        let answer = ground.gateways[&device.platform].send(&device, &notification("k")).await;
        assert_eq!(answer, rejected(code), "{:?} {}", device.platform, device.token);
    }
    assert_eq!(ground.twin.counts().requests, 0);

    ground.behave(Target::All, "huge");
    for platform in [Platform::Apns, Platform::WebPush, Platform::Webhook] {
        let sent = notification("k");
        let answer = ground.send(platform, "phone", &sent);
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
        assert_eq!(answer, Ok(Answer::Accepted), "{platform:?}");
    }
    let answer = ground.send(Platform::Fcm, "phone", &notification("k")).await;
    assert_eq!(answer, later("token_http_200"));
}

/// Goal: any text of a merchant arrives as it is, and shows as text on the page. Method: control
/// characters, right-to-left marks, markup and length, through every gateway.
#[tokio::test]
async fn hostile_texts_arrive_as_they_are() {
    let ground = Ground::new().await;
    let long = "ŝ".repeat(512);
    for (number, text) in
        ["\u{202e}evil\u{0}\r\n\t", "<script>alert(1)</script>", "\"}],{\\", &*long]
            .iter()
            .enumerate()
    {
        for platform in Platform::ALL {
            let key = format!("k{number}");
            let sent = Notification { body: (*text).into(), ..notification(&key) };
            assert_eq!(ground.send(platform, "phone", &sent).await, Answer::Accepted, "{text}");
            let journal = ground.twin.journal();
            assert_eq!(journal.last().map(|it| &*it.body), Some(*text), "{platform:?}");
        }
    }
    let page = ask(ground.twin.address, "GET / HTTP/1.1", "").await;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
}

/// Goal: a key file that will not do is refused when gateways open, by setting, file and cure,
/// without a word of what it holds. Method: files of each kind, spoilt.
#[tokio::test]
async fn bad_key_files_are_refused() {
    let folder = Scratch::new();
    let keys = Keys::write(folder.path()).expect("keys");
    let settings = keys.settings(SocketAddr::from(([127, 0, 0, 1], 9)));
    assert_eq!(gateways::open(&settings).expect("good").len(), 4);
    let none = gateways::open(&GatewaySettings::default()).expect("none");
    assert!(none.is_empty());
    for (name, held, then) in [
        ("fcm.json", Some("hunter2"), "push.fcm_credentials_path: "),
        ("fcm.json", Some(r#"{"client_email":"a","private_key":"hunter2"}"#), "private_key"),
        ("fcm.json", None, "cannot be read"),
        ("apns.p8", Some("hunter2"), "push.apns_key_path: "),
        ("vapid.pem", Some("aHVudGVyMg"), "push.web_push_key_path: "),
        ("vapid.pem", None, "cannot be read"),
    ] {
        Keys::write(folder.path()).expect("keys");
        let path = folder.path().join(name);
        let good = std::fs::read(&path).expect("a key");
        match held {
            Some(held) => std::fs::write(&path, held).expect("written"),
            None => std::fs::remove_file(&path).expect("removed"),
        }
        let Err(error) = gateways::open(&settings) else { panic!("{name} {held:?}") };
        let text = error.to_string();
        assert!(text.contains(then) && text.contains(name), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMg"), "{text}");
        std::fs::write(&path, good).expect("mended");
    }
}
