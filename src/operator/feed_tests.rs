//! The table of `tapline feed show`.

use super::*;
use crate::feed_records::{holding, purchase, with};
use serde_json::{Value, json};

fn parsed(record: Value) -> FeedRecord {
    serde_json::from_value(record).expect("a record")
}

/// Goal: people see signs, currencies, reasons and where to go on; no text of a stranger acts on the
/// terminal; who left sees no balance. Method: three lines and two accounts, printed.
#[test]
fn the_table() {
    let mut left = holding("c", "acc-2", (3, 1));
    left["body"]["Holding"]["removed"] = json!(true);
    let accounts = AccountLine::gather(&[parsed(holding("c", "acc-1", (7, 0))), parsed(left)]);
    let lines = [
        json!({"status": "declined", "reason": "daily_limit"}),
        json!({"merchant_name": "a\u{1b}[2J\u{202e}b", "category_text": ""}),
        json!({"kind": "credit", "status": "booked", "merchant_name": "", "text": "Salary"}),
        json!({}),
    ];
    let line = |(place, fields): (i64, Value)| {
        parsed(with(purchase("c", "acc-1", &place.to_string(), (7, 9 - place)), fields))
    };
    let page = Page::cut((0..).zip(lines).map(line).collect(), 3);
    let view = FeedView::of("c", accounts, page, 2, Show::Masked);
    let text = view.shown();
    for part in [
        "Kavárna Slavia (Eating places)",
        " 1,234.50 CZK",
        "-1,234.50 CZK",
        "+1,234.50 CZK",
        "declined: daily_limit",
        "a\u{fffd}[2J\u{fffd}b",
        "Salary (credit)",
        "owner, left",
        "2:7:9",
        "2026-11-20T10:00:09.000Z",
        "--before 1795168807000-",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains(['\u{1b}', '\u{202e}']));
    let json = serde_json::to_value(&view).expect("JSON");
    assert_eq!(json["items"][0]["amount"]["decimal"], "1234.50");
    assert_eq!(json["items"][0]["card_last_four"], crate::codec::json::MASK);
    assert_eq!(json["accounts"][1]["balance"], Value::Null);
}
