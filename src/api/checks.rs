//! What a device and preferences must be like before they are stored.
//!
//! Owns the limits per platform and the one rule about addresses: we post to https alone, and to
//! plain http only on this machine and outside production. Asks nothing outside: an address that
//! nobody answers at is found out when something is sent.

use super::problem::{Answer, Code, Problem};
use crate::domain::{
    money::{AMOUNT_MINOR_MAX, Currency},
    push::{Device, NoticeKind, Platform, Preferences, QuietHours},
};
use axum::http::Uri;

const TOKEN_BYTES_MAX: usize = 4_096;
const ADDRESS_BYTES_MAX: usize = 2_048;
/// Apple's tokens have 64 hex digits today and "may grow".
const APNS_DIGITS: std::ops::RangeInclusive<usize> = 64..=200;
/// An uncompressed point of P-256 and 16 random bytes, in base64url without padding.
const P256DH_LETTERS: usize = 87;
const AUTH_LETTERS: usize = 22;
const CURRENCIES_MAX: usize = 32;
const MINUTES_OF_DAY: u16 = 1_440;

fn wrong<T>(field: &str, detail: impl Into<String>) -> Answer<T> {
    Err(Problem::of_field(Code::BadBody, field, detail))
}

/// `allows_loopback`: plain http to this machine is allowed.
pub fn device(device: &Device, allows_loopback: bool) -> Answer<()> {
    match device.platform {
        Platform::Unknown => {
            let names = Platform::ALL.map(Platform::name).join(", ");
            return wrong("platform", format!("Write one of {names}."));
        }
        Platform::Fcm => registration_token(&device.token)?,
        Platform::Apns => apns_token(&device.token)?,
        Platform::WebPush | Platform::Webhook => address(&device.token, allows_loopback)?,
    }
    let is_web = device.platform == Platform::WebPush;
    for (field, text, letters) in
        [("p256dh", &device.p256dh, P256DH_LETTERS), ("auth", &device.auth, AUTH_LETTERS)]
    {
        if is_web {
            base64url(field, text, letters)?;
        } else if !text.is_empty() {
            return wrong(field, "It belongs to web_push alone; leave it out.");
        }
    }
    Ok(())
}

fn registration_token(token: &str) -> Answer<()> {
    let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
    match !token.is_empty() && token.len() <= TOKEN_BYTES_MAX && is_plain {
        true => Ok(()),
        false => wrong(
            "token",
            format!("A registration token has 1 to {TOKEN_BYTES_MAX} visible ASCII letters."),
        ),
    }
}

fn apns_token(token: &str) -> Answer<()> {
    let is_hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
    match APNS_DIGITS.contains(&token.len()) && is_hex {
        true => Ok(()),
        false => wrong("token", "An APNs token has 64 to 200 hexadecimal digits."),
    }
}

fn address(text: &str, allows_loopback: bool) -> Answer<()> {
    if text.len() > ADDRESS_BYTES_MAX {
        return wrong("token", format!("An address has {ADDRESS_BYTES_MAX} bytes at most."));
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return wrong("token", "It is no address; write it like https://example.org/hook.");
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    if host.is_empty() || uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        return wrong("token", "An address has a host and no user name.");
    }
    let is_loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback && allows_loopback => Ok(()),
        _ => wrong("token", "Only https addresses are posted to."),
    }
}

fn base64url(field: &str, text: &str, letters: usize) -> Answer<()> {
    let bare = text.trim_end_matches('=');
    let is_plain = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    match bare.len() == letters && text.len() <= letters + 2 && is_plain {
        true => Ok(()),
        false => wrong(field, format!("Give it as the browser does: {letters} base64url letters.")),
    }
}

pub fn preferences(preferences: &Preferences) -> Answer<()> {
    let off = &preferences.off;
    if off.contains(&NoticeKind::Unknown) {
        return wrong("off", "`unknown` cannot be turned off.");
    }
    if off.iter().enumerate().any(|(place, kind)| off[..place].contains(kind)) {
        return wrong("off", "A kind stands twice.");
    }
    if preferences.smallest_minor.len() > CURRENCIES_MAX {
        return wrong("smallest_minor", format!("At most {CURRENCIES_MAX} currencies."));
    }
    for (code, minor) in &preferences.smallest_minor {
        let is_known =
            Currency::parse(code).is_some() && iso_currency::Currency::from_code(code).is_some();
        if !is_known {
            return wrong("smallest_minor", "A key is no ISO 4217 code.");
        }
        if !(0..=AMOUNT_MINOR_MAX).contains(minor) {
            return wrong("smallest_minor", format!("Write minor units, 0 to {AMOUNT_MINOR_MAX}."));
        }
    }
    preferences.quiet.as_ref().map_or(Ok(()), quiet)
}

fn quiet(hours: &QuietHours) -> Answer<()> {
    for (field, minute) in
        [("quiet.from_minute", hours.from_minute), ("quiet.to_minute", hours.to_minute)]
    {
        if minute >= MINUTES_OF_DAY {
            return wrong(field, "Write minutes since midnight, 0 to 1439.");
        }
    }
    if hours.from_minute == hours.to_minute {
        return wrong("quiet.to_minute", "Hours that end where they begin are none.");
    }
    match jiff::tz::TimeZone::get(&hours.zone) {
        Ok(_) => Ok(()),
        Err(_) => wrong("quiet.zone", "No such time zone; write an IANA name, Europe/Prague."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(platform: Platform, token: &str) -> Device {
        let (p256dh, auth) = match platform {
            Platform::WebPush => ("B".repeat(87), "a".repeat(22)),
            _ => (String::new(), String::new()),
        };
        Device {
            device_id: "phone".into(),
            platform,
            token: token.into(),
            p256dh: p256dh.into(),
            auth: auth.into(),
        }
    }

    /// Goal: only what a gateway could take is stored, and we post to no plain address but our own.
    /// Method: a table of platforms and tokens with the field at fault.
    #[test]
    fn devices() {
        let (hex, long) = ("0a".repeat(32), "t".repeat(4_097));
        for (platform, token, field) in [
            (Platform::Fcm, "dG9rZW4:APA91", None),
            (Platform::Fcm, "", Some("token")),
            (Platform::Fcm, long.as_str(), Some("token")),
            (Platform::Fcm, "a b", Some("token")),
            (Platform::Fcm, "a\u{202e}b", Some("token")),
            (Platform::Apns, hex.as_str(), None),
            (Platform::Apns, "xyz", Some("token")),
            (Platform::Webhook, "https://example.org/hook?x=1", None),
            (Platform::Webhook, "http://example.org/hook", Some("token")),
            (Platform::Webhook, "http://127.0.0.1:9000/hook", None),
            (Platform::Webhook, "http://[::1]:9000/hook", None),
            (Platform::Webhook, "http://127.0.0.1.example.org/", Some("token")),
            (Platform::Webhook, "http://localhost@example.org/", Some("token")),
            (Platform::Webhook, "https://user:word@example.org/", Some("token")),
            (Platform::Webhook, "/hook", Some("token")),
            (Platform::Webhook, "file:///etc/passwd", Some("token")),
            (Platform::WebPush, "https://push.example.org/x", None),
            (Platform::Unknown, "x", Some("platform")),
        ] {
            let found = device(&of(platform, token), true).err().and_then(|it| it.field);
            assert_eq!(found.as_deref(), field, "{platform:?} {token}");
        }
        let local = of(Platform::Webhook, "http://localhost:9000/");
        assert!(device(&local, true).is_ok());
        assert!(device(&local, false).is_err(), "production");
        for (p256dh, auth, field) in
            [("x", &*"a".repeat(22), "p256dh"), (&*"B".repeat(87), "", "auth")]
        {
            let mut web = of(Platform::WebPush, "https://push.example.org/x");
            (web.p256dh, web.auth) = (p256dh.into(), auth.into());
            let found = device(&web, true).err().and_then(|it| it.field);
            assert_eq!(found.as_deref(), Some(field));
        }
    }

    /// Goal: preferences that could never be meant are refused with their field. Method: a table.
    #[test]
    fn wishes() {
        for (document, field) in [
            (r#"{}"#, None),
            (r#"{"off":["decline"],"smallest_minor":{"CZK":100}}"#, None),
            (r#"{"off":["unknown"]}"#, Some("off")),
            (r#"{"off":["decline","decline"]}"#, Some("off")),
            (r#"{"smallest_minor":{"QQQ":1}}"#, Some("smallest_minor")),
            (r#"{"smallest_minor":{"CZK":-1}}"#, Some("smallest_minor")),
            (r#"{"quiet":{"from_minute":1320,"to_minute":420,"zone":"Europe/Prague"}}"#, None),
            (
                r#"{"quiet":{"from_minute":1440,"to_minute":420,"zone":"UTC"}}"#,
                Some("quiet.from_minute"),
            ),
            (r#"{"quiet":{"from_minute":5,"to_minute":5,"zone":"UTC"}}"#, Some("quiet.to_minute")),
            (r#"{"quiet":{"from_minute":5,"to_minute":6,"zone":"Mars/Base"}}"#, Some("quiet.zone")),
        ] {
            let wanted: Preferences = serde_json::from_str(document).expect(document);
            let found = preferences(&wanted).err().and_then(|it| it.field);
            assert_eq!(found.as_deref(), field, "{document}");
        }
    }
}
