//! Commands as the auditor reads them: what is asked, or why it can never be applied.
//!
//! Owns its own reading of the rules for what must become a dead letter: key, sizes, bytes,
//! content. Keeps the few facts of a command that the fold compares with events. Never looks at
//! state. Whether a request was rightly declined is not judged here or anywhere.

use super::{
    avro::{self, Doc, Fields, Unread, flag, long, text},
    card_numbers, currencies,
    evidence::{COMMANDS, PARTITION_KEY, Rec},
    identity::partition_of,
};
use apache_avro::types::Value;

const KEY_BYTES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 32;
const HEADERS_BYTES_MAX: usize = 8 * 1024;
const STRING_BYTES_MAX: usize = 1024;
const LIST_ENTRIES_MAX: usize = 256;
const AMOUNT_MINOR_MAX: i64 = 10_000_000_000_000;

/// What a record of the commands topic is.
pub enum Asked {
    Tick(Tick),
    FuseRelease,
    EndDiversion {
        through: i64,
    },
    Command(Box<Command>),
    /// Never applicable; the code is the one that its dead letter is expected to bear.
    Poison(&'static str),
    UnknownSchema,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    pub time: i64,
    pub rules_version: i64,
    pub logic_version: i64,
}

impl Tick {
    pub fn of(body: &Fields) -> Option<Self> {
        Some(Self {
            time: long(body, "time")?,
            rules_version: long(body, "rules_version")?,
            logic_version: long(body, "logic_version")?,
        })
    }
}

pub struct Command {
    /// Name of the body's record in the schema.
    pub kind: &'static str,
    pub message_id: Box<str>,
    /// Empty where the command concerns no payment.
    pub payment_id: Box<str>,
    pub amount_minor: Option<i64>,
    pub currency: Option<Box<str>>,
    /// Digest of everything but the ids.
    pub content: [u8; 16],
    pub approved: bool,
    pub advice: bool,
    pub allow_partial: bool,
    pub single_message: bool,
}

impl Command {
    /// R5: advices, credits and what the network presents may not be refused.
    pub fn must_be_accepted(&self) -> bool {
        match self.kind {
            "Advise" => self.approved,
            "Debit" => self.advice,
            "Reverse" | "Present" | "ReversePresentment" | "AuthoriseRefund" | "Refund"
            | "Credit" => true,
            _ => false,
        }
    }
}

/// A key that names an account of this partition.
pub fn account_key(record: &Rec, partition: i32, partitions: i32) -> Result<&str, &'static str> {
    let key = record.key.as_deref().unwrap_or_default();
    if key.is_empty() {
        return Err("missing_key");
    }
    if key.len() > KEY_BYTES_MAX {
        return Err("key_too_long");
    }
    let name = std::str::from_utf8(key).map_err(|_| "key_not_utf8")?;
    if name.starts_with("tapline.") {
        return Err("reserved_key");
    }
    if partition_of(key, partitions) != partition {
        return Err("wrong_partition");
    }
    Ok(name)
}

/// The ledger's own names: no account is behind them, so nothing waits behind their dead letters.
pub fn is_reserved(account: &str) -> bool {
    account.starts_with("part:") || account.starts_with("suspense:")
}

/// Lines that belong to nobody stand on `suspense:`, as long as nobody opens or pays it.
fn names_reserved(doc: &Doc, body: &Fields) -> bool {
    let account = text(&doc.fields, "account_id").unwrap_or("");
    account.starts_with("part:")
        || (doc.kind == "OpenAccount" && is_reserved(account))
        || (doc.kind == "Debit" && text(body, "transfer_to").is_some_and(is_reserved))
}

/// The record, and its value where it could be read.
pub fn read(record: &Rec, partition: i32, partitions: i32) -> (Asked, Option<Doc>) {
    let value = record.value.as_deref().unwrap_or_default();
    if value.len() > VALUE_BYTES_MAX {
        return (Asked::Poison("too_large"), None);
    }
    let doc = match avro::read(COMMANDS, value) {
        Ok(doc) => doc,
        Err(Unread::UnknownSchema) => return (Asked::UnknownSchema, None),
        Err(Unread::Broken) => return (Asked::Poison("undecodable_value"), None),
    };
    let asked = match fault(record, partition, partitions, &doc) {
        Some(code) => Asked::Poison(code),
        None => asked(&doc),
    };
    (asked, Some(doc))
}

fn asked(doc: &Doc) -> Asked {
    let body = doc.body();
    let through = long(body, "through_offset").unwrap_or(0).max(0);
    match doc.kind {
        "Tick" => Tick::of(body).map_or(Asked::Poison("undecodable_value"), Asked::Tick),
        "ReleaseFuse" => Asked::FuseRelease,
        "EndDiversion" => Asked::EndDiversion { through },
        kind => Asked::Command(Box::new(Command {
            kind,
            message_id: text(&doc.fields, "message_id").unwrap_or("").into(),
            payment_id: text(body, "payment_id").unwrap_or("").into(),
            amount_minor: long(body, "amount_minor"),
            currency: text(body, "currency").map(Box::from),
            content: avro::content(doc, &["account_id", "message_id", "payment_id"]),
            approved: flag(body, "approved"),
            advice: flag(body, "advice"),
            allow_partial: flag(body, "allow_partial"),
            single_message: flag(body, "single_message"),
        })),
    }
}

/// Why a readable record can never be applied.
fn fault(record: &Rec, partition: i32, partitions: i32, doc: &Doc) -> Option<&'static str> {
    let body = doc.body();
    let purchase = avro::record(body, "purchase").unwrap_or(body);
    if text(purchase, "card_token").is_some_and(card_numbers::is_card_number) {
        return Some("pan_in_clear");
    }
    let of_partition = matches!(doc.kind, "Tick" | "ReleaseFuse");
    if record.key_text() != Some(PARTITION_KEY) {
        if let Err(code) = account_key(record, partition, partitions) {
            return Some(code);
        }
    } else if !of_partition {
        return Some("wrong_key");
    }
    let sizes =
        record.headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len));
    if record.headers.iter().count() > HEADERS_MAX || sizes.sum::<usize>() > HEADERS_BYTES_MAX {
        return Some("headers_too_large");
    }
    let named = text(&doc.fields, "account_id");
    if named != record.key_text() || (of_partition && named != Some(PARTITION_KEY)) {
        return Some("wrong_key");
    }
    if names_reserved(doc, body) {
        return Some("key_reserved");
    }
    if of_partition || doc.kind == "EndDiversion" {
        return None;
    }
    too_long(doc).or_else(|| money(doc.kind, body)).or_else(|| contradiction(doc, body))
}

fn too_long(doc: &Doc) -> Option<&'static str> {
    let mut found = false;
    for (name, value) in &doc.fields {
        avro::strings(name, value, &mut |_, text| found |= text.len() > STRING_BYTES_MAX);
    }
    let lists = ["blocked_categories", "blocked_channels"];
    let long_list = lists.iter().any(|name| match avro::get(doc.body(), name) {
        Some(Value::Array(entries)) => entries.len() > LIST_ENTRIES_MAX,
        _ => false,
    });
    let to = text(doc.body(), "transfer_to").unwrap_or("");
    if found || to.len() > KEY_BYTES_MAX {
        Some("text_too_long")
    } else if long_list {
        Some("list_too_long")
    } else if to.starts_with("tapline.") {
        Some("reserved_key")
    } else {
        None
    }
}

/// Amounts are whole, not negative, bounded, and in a currency of ISO 4217.
fn money(kind: &str, body: &Fields) -> Option<&'static str> {
    let empty: &Fields = &[];
    let purchase = avro::record(body, "purchase").unwrap_or(empty);
    let limits = avro::record(body, "limits").unwrap_or(empty);
    let mut amounts = Vec::new();
    for fields in [body, purchase, limits] {
        let names = fields.iter().map(|(name, _)| name.as_str());
        amounts
            .extend(names.filter(|name| name.ends_with("_minor")).map(|name| long(fields, name)));
    }
    for amount_minor in amounts.into_iter().flatten() {
        if amount_minor < 0 {
            return Some("amount_negative");
        }
        if amount_minor > AMOUNT_MINOR_MAX {
            return Some("amount_too_large");
        }
    }
    let codes = [text(body, "currency"), text(purchase, "original_currency")];
    if codes.into_iter().flatten().any(|code| !currencies::is_known(code)) {
        return Some("unknown_currency");
    }
    let positive = matches!(
        kind,
        "Increment" | "Reverse" | "ReversePresentment" | "Refund" | "Credit" | "Debit"
    );
    (positive && long(body, "amount_minor") == Some(0)).then_some("amount_not_positive")
}

/// What contradicts itself, whatever the state.
fn contradiction(doc: &Doc, body: &Fields) -> Option<&'static str> {
    let empty = |fields: &Fields, name: &str| text(fields, name) == Some("");
    if empty(&doc.fields, "message_id") || empty(body, "payment_id") || empty(body, "transfer_to") {
        return Some("id_missing");
    }
    if doc.kind == "ChangeAccount" && text(body, "status") == Some("unopened") {
        return Some("status_invalid");
    }
    if doc.kind == "Present" {
        let number = long(body, "sequence_number").unwrap_or(0);
        let count = long(body, "sequence_count").unwrap_or(0);
        let numbered = 1 <= number && number <= count;
        if !numbered && (number, count) != (0, 0) {
            return Some("sequence_invalid");
        }
    }
    let limits = avro::record(body, "limits")?;
    let count = long(limits, "velocity_count").unwrap_or(0);
    let window_ms = long(limits, "velocity_window_ms").unwrap_or(1);
    (count < 0 || window_ms <= 0).then_some("velocity_invalid")
}
