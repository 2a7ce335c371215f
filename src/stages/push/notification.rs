//! What goes to a device, and the key by which a repeat of it is recognised.
//!
//! Owns the idempotency key: obligation and device, at most 64 bytes of ASCII, so that it serves as
//! apns-collapse-id too (payments.md, F4). Neither knows attempts or time: every attempt under one
//! key is the same in every byte.

use crate::domain::push::{Device, NoticeKind, Notification, Obligation};
use crate::domain::{feed::ItemKind, feed::ItemStatus};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What gateways take as a collapse id.
pub const KEY_BYTES_MAX: usize = 64;

/// How long a gateway may keep a notification for a device that is away: the rest of the day.
pub const KEEP_SECONDS: u32 = 86_400;

/// Hex digits of the device's hash.
const DEVICE_DIGITS: usize = 12;

/// The obligation's id, a colon and 12 hex digits of the SHA-256 of platform and token. An id that
/// is too long or not plain ASCII stands as `sha256-` and 40 hex digits of its own hash.
pub fn device_key(id: &str, device: &Device) -> Box<str> {
    let mut hash = Sha256::new();
    hash.update(device.platform.name());
    hash.update([0]);
    hash.update(device.token.as_bytes());
    let device = hex(&hash.finalize(), DEVICE_DIGITS);
    let is_plain = id.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && id.len() + 1 + DEVICE_DIGITS <= KEY_BYTES_MAX {
        return format!("{id}:{device}").into();
    }
    let id = hex(&Sha256::digest(id.as_bytes()), 40);
    format!("sha256-{id}:{device}").into()
}

fn hex(bytes: &[u8], digits: usize) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(digits);
    text
}

/// What is sent to a device; `key` is the device's own.
pub fn notification(obligation: &Obligation, key: &str) -> Notification {
    Notification {
        key: key.into(),
        title: obligation.title.clone(),
        body: obligation.body.clone(),
        fields: vec![
            ("obligation", obligation.id.clone()),
            ("line", obligation.line.clone()),
            ("version", obligation.version.to_string().into()),
            ("kind", notice_name(obligation.kind).into()),
            ("item_kind", kind_name(obligation.item_kind).into()),
            ("item_status", status_name(obligation.item_status).into()),
        ],
        keep_seconds: KEEP_SECONDS,
    }
}

fn notice_name(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Unknown => "unknown",
        NoticeKind::Purchase => "purchase",
        NoticeKind::Decline => "decline",
        NoticeKind::AmountChanged => "amount_changed",
        NoticeKind::Released => "released",
        NoticeKind::Refund => "refund",
        NoticeKind::MoneyIn => "money_in",
        NoticeKind::MoneyOut => "money_out",
    }
}

fn kind_name(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Unknown => "unknown",
        ItemKind::Purchase => "purchase",
        ItemKind::CashWithdrawal => "cash_withdrawal",
        ItemKind::Refund => "refund",
        ItemKind::Verification => "verification",
        ItemKind::Credit => "credit",
        ItemKind::Interest => "interest",
        ItemKind::Debit => "debit",
        ItemKind::Fee => "fee",
    }
}

fn status_name(status: ItemStatus) -> &'static str {
    match status {
        ItemStatus::Unknown => "unknown",
        ItemStatus::Pending => "pending",
        ItemStatus::PartlyCleared => "partly_cleared",
        ItemStatus::Cleared => "cleared",
        ItemStatus::Declined => "declined",
        ItemStatus::Reversed => "reversed",
        ItemStatus::Expired => "expired",
        ItemStatus::PartlyRefunded => "partly_refunded",
        ItemStatus::Refunded => "refunded",
        ItemStatus::Announced => "announced",
        ItemStatus::Booked => "booked",
        ItemStatus::Verified => "verified",
    }
}
