//! Worthless keys: what the twin trusts and nobody else may.
//!
//! Owns their making and the settings and devices that go with them. The RSA key is in the source
//! for everybody to see, as making one takes long; the others are made anew in each folder. Never
//! reads a key that it did not write. Invariant: what is signed with them is refused everywhere but
//! here.

use crate::{
    adapters::gateways::{
        keys::{BASE64_URL, rsa},
        settings::{ApnsSettings, FcmSettings, GatewaySettings, WebPushSettings, WebhookSettings},
    },
    domain::push::{Device, Platform},
    runtime::settings::Secret,
};
use base64::Engine;
use p256::{
    SecretKey,
    ecdsa::SigningKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding},
};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::LazyLock,
};

const RSA_PEM: &str = include_str!("worthless_rsa_key.pem");
/// Signs the webhooks of the settings that are made here.
pub const WEBHOOK_SECRET: &str = "whsec_d29ydGhsZXNzIHNlY3JldCBvZiB0aGUgZmFrZSE=";
pub const PROJECT: &str = "fake-project";
pub const TOPIC: &str = "com.example.fake";
pub const KEY_ID: &str = "FAKEKEYID0";
pub const TEAM_ID: &str = "FAKETEAM00";
const SUBJECT: &str = "mailto:fake@example.com";
const FILES: [&str; 3] = ["fcm.json", "apns.p8", "vapid.pem"];

/// A folder of keys: the service account, Apple's `.p8`, the VAPID key.
#[derive(Clone)]
pub struct Keys {
    folder: PathBuf,
    /// Public, as uncompressed points.
    pub(super) apns: Box<[u8]>,
    pub(super) vapid: Box<[u8]>,
}

impl Keys {
    /// Writes what is missing in `folder`, reads what an earlier call wrote.
    pub fn write(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let [fcm, apns, vapid] = FILES.map(|name| folder.join(name));
        let account = json!({
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "worthless",
            "private_key": RSA_PEM,
            "client_email": "fake@fake-project.example",
            "token_uri": "https://fake.invalid/token",
        });
        fs::write(fcm, format!("{account:#}\n"))?;
        Ok(Keys { folder: folder.to_owned(), apns: p256(&apns)?, vapid: p256(&vapid)? })
    }

    /// What leads a worker to the twin at `address`, with devices made by `device`.
    pub fn settings(&self, address: SocketAddr) -> GatewaySettings {
        let [fcm, apns, vapid] = FILES.map(|name| self.folder.join(name));
        let url = format!("http://{address}");
        GatewaySettings {
            fcm: Some(FcmSettings {
                url: url.clone(),
                project: PROJECT.to_owned(),
                credentials_path: fcm,
                token_url: Some(format!("{url}/token")),
            }),
            apns: Some(ApnsSettings {
                url,
                topic: TOPIC.to_owned(),
                key_path: apns,
                key_id: KEY_ID.to_owned(),
                team_id: TEAM_ID.to_owned(),
            }),
            web_push: Some(WebPushSettings {
                key_path: vapid,
                subject: SUBJECT.to_owned(),
                hosts: vec![address.to_string()],
            }),
            webhook: Some(WebhookSettings {
                secrets: vec![Secret::new(WEBHOOK_SECRET)],
                hosts: vec![address.to_string()],
            }),
        }
    }

    /// The same as keys of the configuration and their values.
    pub fn config(&self, address: SocketAddr) -> Vec<(&'static str, String)> {
        let [fcm, apns, vapid] = FILES.map(|name| self.folder.join(name).display().to_string());
        let url = format!("http://{address}");
        vec![
            ("push.fcm_url", url.clone()),
            ("push.fcm_project", PROJECT.to_owned()),
            ("push.fcm_credentials_path", fcm),
            ("push.fcm_token_url", format!("{url}/token")),
            ("push.apns_url", url),
            ("push.apns_topic", TOPIC.to_owned()),
            ("push.apns_key_path", apns),
            ("push.apns_key_id", KEY_ID.to_owned()),
            ("push.apns_team_id", TEAM_ID.to_owned()),
            ("push.web_push_key_path", vapid),
            ("push.web_push_subject", SUBJECT.to_owned()),
            ("push.web_push_hosts", address.to_string()),
            ("push.webhook_secrets", WEBHOOK_SECRET.to_owned()),
            ("push.webhook_hosts", address.to_string()),
        ]
    }
}

/// The public half of the key in the file.
fn p256(path: &Path) -> io::Result<Box<[u8]>> {
    if !path.exists() {
        let pem = new_key().to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?;
        fs::write(path, pem.as_bytes())?;
    }
    let key = SigningKey::read_pkcs8_pem_file(path).map_err(io::Error::other)?;
    Ok(key.verifying_key().to_encoded_point(false).to_bytes())
}

fn new_key() -> SecretKey {
    loop {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
        // All but a few of the numbers of 32 bytes are keys.
        if let Ok(key) = SecretKey::from_slice(&bytes) {
            return key;
        }
    }
}

/// The public half of the RSA key, as `ring` verifies with it.
pub fn rsa_public() -> Vec<u8> {
    let pair = rsa(RSA_PEM).expect("the key in the source is one");
    pair.public().as_ref().to_vec()
}

/// A browser: its key pair, of which the public half is made once.
pub struct Receiver {
    pub secret: SecretKey,
    /// Uncompressed.
    pub point: Box<[u8]>,
}

impl Receiver {
    pub fn new(secret: SecretKey) -> Self {
        let point = secret.public_key().to_sec1_bytes();
        Receiver { secret, point }
    }
}

/// The one browser behind all the twin's subscriptions.
pub static RECEIVER: LazyLock<Receiver> = LazyLock::new(|| {
    let bytes = Sha256::digest(b"worthless receiver of the fake gateway");
    Receiver::new(SecretKey::from_slice(&bytes).expect("the hash of this text is a key"))
});

/// A browser's secret, by the device's name.
pub fn auth(name: &str) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    std::array::from_fn(|place| hash[place])
}

/// A device whose pushes go to the twin at `address`. A name that begins with `gone-` is of one
/// that left. `name`: letters, digits and hyphens.
pub fn device(platform: Platform, name: &str, address: SocketAddr) -> Device {
    let token = match platform {
        Platform::Unknown | Platform::Fcm => format!("fcm-{name}"),
        Platform::Apns => apns_token(name),
        Platform::WebPush => format!("http://{address}/push/{name}"),
        Platform::Webhook => format!("http://{address}/hook/{name}"),
    };
    let (mut p256dh, mut auth_text) = (String::new(), String::new());
    if platform == Platform::WebPush {
        let point = &RECEIVER.point;
        (p256dh, auth_text) = (BASE64_URL.encode(point), BASE64_URL.encode(auth(name)));
    }
    Device {
        device_id: name.into(),
        platform,
        token: token.into(),
        p256dh: p256dh.into(),
        auth: auth_text.into(),
    }
}

/// 32 bytes in hexadecimal, as Apple's are.
fn apns_token(name: &str) -> String {
    let hash = hex(&Sha256::digest(name.as_bytes()));
    if name.starts_with("gone-") { format!("{APNS_GONE}{}", &hash[12..]) } else { hash }
}

/// How tokens of devices that left begin.
pub const APNS_GONE: &str = "deaddeaddead";

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
