//! Feed records for the tests of the API and its page, as JSON of `domain::feed`.
//!
//! Owns one plain purchase and one holding; a test changes the fields it is about.

use serde_json::{Value, json};

/// 2026-11-20T10:00:00Z.
pub const BEGIN_MS: i64 = 1_795_168_800_000;

pub fn balance(booked_minor: i64, held_minor: i64) -> Value {
    json!({
        "currency": "CZK", "booked_minor": booked_minor, "held_minor": held_minor,
        "available_minor": booked_minor - held_minor,
    })
}

/// Shape: a record; `at`: (partition, offset).
pub fn record(customer: &str, account: &str, at: (i32, i64), body: Value) -> Value {
    json!({
        "customer_id": customer, "account_id": account, "log_time": BEGIN_MS + at.1 * 1_000,
        "partition": at.0, "offset": at.1, "body": body,
    })
}

pub fn holding(customer: &str, account: &str, at: (i32, i64)) -> Value {
    let body = json!({"Holding": {
        "audience": "owner", "removed": false, "balance": balance(1_000_000, 0),
    }});
    record(customer, account, at, body)
}

/// A pending purchase of 1,234.50 CZK.
pub fn purchase(customer: &str, account: &str, id: &str, at: (i32, i64)) -> Value {
    let created_ms = BEGIN_MS + at.1 * 1_000;
    let body = json!({"Item": {
        "item_id": format!("payment/{id}"), "version": 1, "created_at": created_ms,
        "audience": "card_holder", "kind": "purchase", "status": "pending",
        "change": "authorised", "amount_minor": 123_450, "former_amount_minor": null,
        "pending_minor": 123_450, "refunded_minor": 0, "currency": "CZK",
        "original_minor": 5_000, "original_currency": "EUR", "merchant_name": "Kavárna Slavia",
        "merchant_category": 5812, "category_text": "Eating places", "country": "CZ",
        "card_last_four": "4242", "text": "", "reason": null, "flags": [],
        "release_at": created_ms + 604_800_000, "possible_duplicate": false,
        "balance": balance(1_000_000, 123_450),
        "timeline": [{"log_time": created_ms, "change": "authorised", "amount_minor": 123_450}],
    }});
    record(customer, account, at, body)
}

/// The same record with fields of its item replaced.
pub fn with(mut record: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().into_iter().flatten() {
        record["body"]["Item"][name] = value.clone();
    }
    record
}
