//! Push: what a customer is told, to which devices, and what became of it.
//!
//! Owns the shapes of `push.outcomes.v1` (the names are its wire names), of devices and of
//! preferences. An obligation stands for one customer, item, kind and version; its id is the text of
//! the feed record's own id, so that every repeat has the same (payments.md, F4).

use super::{
    feed::{ItemKind, ItemStatus},
    ids::CustomerId,
};
use serde::{Deserialize, Serialize};

/// What a notification is about; a customer may turn each off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Of a newer release (the enum's default).
    Unknown,
    Purchase,
    Decline,
    /// A payment came to another amount than was shown.
    AmountChanged,
    /// What was promised was given back: reversed or expired.
    Released,
    Refund,
    MoneyIn,
    MoneyOut,
}

/// Something that a customer shall be told. Pure: made from the feed record alone, so that every
/// repeat says the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Obligation {
    /// Text of the feed record's `tapline-src`.
    pub id: Box<str>,
    pub customer_id: CustomerId,
    /// `<account>/<item id>`: newer versions of it supersede older ones that still wait.
    pub line: Box<str>,
    pub version: i32,
    pub kind: NoticeKind,
    /// For the preference of a smallest amount; minor units of `currency_code`.
    pub amount_minor: i64,
    pub currency_code: Box<str>,
    pub title: Box<str>,
    pub body: Box<str>,
    /// Broker's time of the command that began it all: its age counts from here.
    pub origin_ms: i64,
    /// The item's own kind and state, for the device's program.
    pub item_kind: ItemKind,
    pub item_status: ItemStatus,
}

/// Who carries a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    Unknown,
    Fcm,
    Apns,
    WebPush,
    Webhook,
}

impl Platform {
    pub const ALL: [Platform; 4] =
        [Platform::Fcm, Platform::Apns, Platform::WebPush, Platform::Webhook];

    pub fn name(self) -> &'static str {
        match self {
            Platform::Unknown => "unknown",
            Platform::Fcm => "fcm",
            Platform::Apns => "apns",
            Platform::WebPush => "web_push",
            Platform::Webhook => "webhook",
        }
    }
}

/// Where a customer wants to be told. Prints no token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The customer's own name for it, unique among theirs.
    pub device_id: Box<str>,
    pub platform: Platform,
    /// FCM and APNs: the registration token. Web push and webhook: the address to post to.
    pub token: Box<str>,
    /// Web push only: the browser's public key and secret, base64url as the browser gives them.
    #[serde(default)]
    pub p256dh: Box<str>,
    #[serde(default)]
    pub auth: Box<str>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("device_id", &self.device_id)
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}

/// What a customer wants to be told. Absent: everything, at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    /// Kinds that are turned off.
    pub off: Vec<NoticeKind>,
    /// Nothing below it, by currency code (minor units). Declines are told at any amount.
    pub smallest_minor: std::collections::BTreeMap<Box<str>, i64>,
    pub quiet: Option<QuietHours>,
}

/// All that is asked of the store when something is to be sent to a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    pub devices: Vec<Device>,
    pub preferences: Preferences,
}

/// From and to in minutes of the day of the zone, `to` exclusive; over midnight where from > to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    pub from_minute: u16,
    pub to_minute: u16,
    /// IANA name, such as `Europe/Prague`.
    pub zone: Box<str>,
}

/// How an obligation ended, once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Of a newer release (the enum's default).
    Unknown,
    /// At least one device's gateway took it.
    Delivered,
    /// Every gateway refused it for good.
    Rejected,
    /// It grew too old before a gateway took it.
    Expired,
    /// Nothing may be sent: the worker is mute, or the record is a replayed one.
    Muted,
    /// The customer does not want it, or has no device.
    Preference,
    /// A newer version of the same line was told instead.
    Superseded,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Unknown => "unknown",
            Outcome::Delivered => "delivered",
            Outcome::Rejected => "rejected",
            Outcome::Expired => "expired",
            Outcome::Muted => "muted",
            Outcome::Preference => "preference",
            Outcome::Superseded => "superseded",
        }
    }
}

/// One record of `push.outcomes.v1`, keyed by the customer, under the feed record's own id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushOutcome {
    pub customer_id: CustomerId,
    /// The obligation's id.
    pub obligation_id: Box<str>,
    pub line: Box<str>,
    pub version: i32,
    pub kind: NoticeKind,
    pub outcome: Outcome,
    /// Why: `no_device`, `kind_off`, `amount_below`, `quiet_hours`, `replayed`, `mode_mute`, the
    /// gateway's own word, ...; empty where the outcome says it all.
    pub code: Box<str>,
    /// What was sent, or would have been.
    pub title: Box<str>,
    pub body: Box<str>,
    /// One for each device that was tried.
    pub sends: Vec<Send>,
}

/// What became of an obligation on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Send {
    /// The idempotency key: the obligation's id and a short hash of the device, 64 bytes at most.
    pub key: Box<str>,
    pub platform: Platform,
    pub outcome: Outcome,
    pub attempts: i32,
    /// The gateway's last word; empty where it took it.
    pub code: Box<str>,
}

/// What goes to a gateway. The same for every attempt under the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Idempotency key and collapse id; ASCII, 64 bytes at most.
    pub key: Box<str>,
    pub title: Box<str>,
    pub body: Box<str>,
    /// For the device's program; ASCII names.
    pub fields: Vec<(&'static str, Box<str>)>,
    /// How long the gateway may keep it for a device that is away.
    pub keep_seconds: u32,
}

/// What a gateway said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    /// The device is not there any more: forget it.
    Gone,
    /// Never try this one again. `code`: the gateway's word, or `http_<status>`.
    Rejected {
        code: Box<str>,
    },
    /// Worth another attempt: too many requests, its own trouble, no answer in time, cut off.
    Later {
        code: Box<str>,
        retry_after_ms: Option<i64>,
    },
}

impl Answer {
    pub fn rejected(code: &str) -> Self {
        Answer::Rejected { code: code.into() }
    }

    /// Nobody said when.
    pub fn later(code: &str) -> Self {
        Answer::Later { code: code.into(), retry_after_ms: None }
    }
}
