//! The ground of the wire tests: a twin that verifies, gateways that lead to it, plain sockets.
//!
//! Owns what several cases need. Never judges an answer: the cases do.

use crate::scratch::Scratch;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use tapline::{
    adapters::gateways::{self, Gateway},
    domain::push::{Answer, Device, Notification, Platform},
    fake_gateway::{Act, FakeGateway, Keys, Options, Rule, Target, WEBHOOK_SECRET},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub type Gateways = BTreeMap<Platform, Arc<dyn Gateway>>;

/// A twin that verifies, and gateways that lead to it.
pub struct Ground {
    pub twin: FakeGateway,
    pub gateways: Gateways,
    pub keys: Keys,
    _folder: Scratch,
}

impl Ground {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let folder = Scratch::new();
        let keys = Keys::write(folder.path()).expect("keys");
        let webhook_secrets = vec![WEBHOOK_SECRET.to_owned()];
        let options = Options { keys: Some(keys.clone()), webhook_secrets, ..options };
        let twin = FakeGateway::start(options).await.expect("a free port");
        let gateways = gateways::open(&keys.settings(twin.address)).expect("good keys");
        Ground { twin, gateways, keys, _folder: folder }
    }

    pub async fn send(
        &self,
        platform: Platform,
        name: &str,
        notification: &Notification,
    ) -> Answer {
        let device = self.twin.device(platform, name);
        self.gateways[&platform].send(&device, notification).await
    }

    pub fn behave(&self, target: Target, act: &str) {
        self.twin.behave(target, Rule::from(act.parse::<Act>().expect(act)));
    }
}

pub fn notification(key: &str) -> Notification {
    Notification {
        key: key.into(),
        title: "Café Ŝajno".into(),
        body: "12.50 CAD at Café Ŝajno".into(),
        fields: vec![("line", "acc-1/pay-1".into()), ("origin_ms", "1700000000000".into())],
        keep_seconds: 600,
    }
}

pub fn later(code: &str) -> Answer {
    Answer::Later { code: code.into(), retry_after_ms: None }
}

pub fn rejected(code: &str) -> Answer {
    Answer::Rejected { code: code.into() }
}

/// A webhook secret of 32 equal bytes: the letters of the base64 give it away, as they may here.
pub fn secret(number: usize) -> String {
    let letters = ["AAAA", "BBBB", "CCCC", "DDDD", "EEEE", "FFFF", "GGGG", "HHHH", "IIII", "JJJJ"];
    format!("whsec_{}", letters[number].repeat(8))
}

pub fn webhook_device(address: &str) -> Device {
    Device {
        device_id: "shop".into(),
        platform: Platform::Webhook,
        token: address.into(),
        p256dh: "".into(),
        auth: "".into(),
    }
}

/// One request of HTTP/1.1, answered with 200. Shape: (head, body).
pub async fn receive(listener: &TcpListener) -> (String, String) {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|it| it.strip_prefix("content-length: "));
            if body.len() >= length.and_then(|it| it.parse().ok()).expect("a length") {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .await
                    .expect("sent");
                return (head.to_owned(), body.to_owned());
            }
        }
        let read = stream.read_buf(&mut bytes).await.expect("a request");
        assert!(read > 0, "the request ended early");
    }
}

/// One request of HTTP/1.1. Shape: the whole answer.
pub async fn ask(address: SocketAddr, line: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a listener");
    let length = body.len();
    let request = format!(
        "{line}\r\nhost: twin\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("answered");
    text
}
