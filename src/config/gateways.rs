//! The settings of gateways: which of them are whole.
//!
//! Owns the rules between their keys. Never reads a key file: opening the gateway does. Invariant:
//! a gateway is configured when all that it needs is there; a part of it is a mistake that names
//! what is missing, never a silent "not configured".

use super::reader::Reader;
use crate::adapters::gateways::{
    address, secret_fault,
    settings::{ApnsSettings, FcmSettings, GatewaySettings, WebPushSettings, WebhookSettings},
};
use crate::runtime::settings::{Profile, Secret};

pub fn check(read: &mut Reader, profile: Profile) -> GatewaySettings {
    for key in ["push.fcm_url", "push.apns_url", "push.fcm_token_url"] {
        address_of(read, profile, key);
    }
    GatewaySettings {
        fcm: fcm(read),
        apns: apns(read),
        web_push: web_push(read),
        webhook: webhook(read),
    }
}

/// An address to send to; encrypted in production, unless it is this machine.
fn address_of(read: &mut Reader, profile: Profile, key: &str) {
    let Some(text) = read.optional_text(key) else { return };
    if address::parse_base(&text).is_none() {
        let cure = "write a scheme and a host, such as https://gateway.example";
        read.wrong(key, "is not an address of the web", cure);
    } else if address::is_exposed(&text) && profile == Profile::Production {
        let fault = "would send tokens and texts in clear, which production refuses";
        read.wrong(key, fault, "write https://");
    }
}

/// Whether all of `keys` are there. If only some are, each missing one is a problem.
fn is_whole(read: &mut Reader, name: &str, keys: &[&str]) -> bool {
    let is_set = |read: &Reader, key: &str| {
        read.optional_text(key).is_some_and(|text| !text.trim().is_empty())
    };
    let missing: Vec<&str> = keys.iter().copied().filter(|key| !is_set(read, key)).collect();
    if missing.len() < keys.len() {
        for key in &missing {
            let present = keys.iter().find(|key| !missing.contains(key)).unwrap_or(key);
            let fault = format!("is missing: {present} is set, and {name} needs both");
            read.wrong(key, &fault, "set it, or take the others away");
        }
    }
    missing.is_empty()
}

fn fcm(read: &mut Reader) -> Option<FcmSettings> {
    let is_whole = is_whole(read, "FCM", &["push.fcm_project", "push.fcm_credentials_path"]);
    if !is_whole && read.optional_text("push.fcm_token_url").is_some() {
        let fault = "would not be used without push.fcm_project and push.fcm_credentials_path";
        read.wrong("push.fcm_token_url", fault, "set them, or take it away");
    }
    let project = read.text("push.fcm_project");
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    if !project.chars().all(is_plain) {
        let cure = "write the project's id, in letters, digits and hyphens";
        read.wrong("push.fcm_project", "is not a project's id", cure);
    }
    is_whole.then(|| FcmSettings {
        url: read.text("push.fcm_url"),
        project,
        credentials_path: read.path("push.fcm_credentials_path").unwrap_or_default(),
        token_url: read.optional_text("push.fcm_token_url"),
    })
}

fn apns(read: &mut Reader) -> Option<ApnsSettings> {
    let keys = ["push.apns_topic", "push.apns_key_path", "push.apns_key_id", "push.apns_team_id"];
    is_whole(read, "APNs", &keys).then(|| ApnsSettings {
        url: read.text("push.apns_url"),
        topic: read.text("push.apns_topic"),
        key_path: read.path("push.apns_key_path").unwrap_or_default(),
        key_id: read.text("push.apns_key_id"),
        team_id: read.text("push.apns_team_id"),
    })
}

fn web_push(read: &mut Reader) -> Option<WebPushSettings> {
    let hosts = hosts(read, "push.web_push_hosts");
    let keys = ["push.web_push_key_path", "push.web_push_subject"];
    if !is_whole(read, "web push", &keys) {
        return None;
    }
    let subject = read.text("push.web_push_subject");
    if !["mailto:", "https:"].iter().any(|scheme| subject.starts_with(scheme)) {
        let cure = "write mailto:push@your.example, or a page's https address";
        read.wrong("push.web_push_subject", "is no address of people", cure);
    }
    let key_path = read.path("push.web_push_key_path").unwrap_or_default();
    Some(WebPushSettings { key_path, subject, hosts })
}

fn webhook(read: &mut Reader) -> Option<WebhookSettings> {
    if !is_whole(read, "webhooks", &["push.webhook_secrets", "push.webhook_hosts"]) {
        return None;
    }
    let secrets = read.list("push.webhook_secrets");
    if let Some(fault) = secrets.iter().find_map(|secret| secret_fault(secret)) {
        let cure = "write whsec_ and the base64 of 24 to 64 random bytes, several by comma";
        read.wrong("push.webhook_secrets", &format!("has one that {fault}"), cure);
    }
    let hosts = hosts(read, "push.webhook_hosts");
    Some(WebhookSettings { secrets: secrets.into_iter().map(Secret::new).collect(), hosts })
}

/// Names and ports alone: a scheme or a path would look as if it bound something.
fn hosts(read: &mut Reader, key: &str) -> Vec<String> {
    let hosts = read.list(key);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
    if let Some(host) = hosts.iter().find(|host| !host.chars().all(is_plain) || *host == ".") {
        let cure = "write host, host:port or .below.this, without scheme, path or star";
        read.wrong(key, &format!("has {host:?}, which is no host"), cure);
    }
    hosts
}
