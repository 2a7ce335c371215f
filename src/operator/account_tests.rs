//! Tests of the views of an account and of a payment, on a row made by hand.

use super::*;
use crate::codec::{avro::Avro, schemas::Subject, snapshot::Row};
use crate::domain::{
    account::{Account, AccountStatus, Card, CardStatus, Holder, HolderRole},
    command::{Channel, CommandKind, HoldClass},
    mark::{Answer, Mark},
    payment::{Counters, Flag, ItemId, Payment},
    reason::Reason,
    time::LogTime,
};

fn mark(id: &str, accepted_minor: i64, reason: Option<Reason>) -> Mark {
    let answer = Answer { accepted_minor, reason };
    Mark { message_id: id.into(), sent_at: LogTime(1_000), content: 0, fields: 0, answer }
}

fn payment(approved_minor: i64, taken_minor: i64, opened_ms: i64) -> Payment {
    Payment {
        card_token: "tok_secret".into(),
        merchant_name: "Bakery".into(),
        merchant: 7,
        merchant_category: Some(5_462),
        channel: Channel::Contactless,
        network: "visa".into(),
        hold_class: HoldClass::Standard,
        counters: Counters { approved_minor, taken_minor, ..Counters::default() },
        declined: None,
        flags: vec![Flag::Late],
        opened_at: LogTime(opened_ms),
        deadline: Some(LogTime(86_400_000)).filter(|_| approved_minor > taken_minor),
        authorisation_code: "A1B2C3".into(),
        marks: vec![mark("m-1", approved_minor, None)],
    }
}

fn head() -> Head {
    let mut account = Account::default();
    account.standing.status = AccountStatus::Open;
    account.standing.currency = Currency::parse("CZK");
    account.standing.booked_minor = 123_450;
    account.standing.held_minor = 2_000;
    account.holders.push(Holder { customer_id: "person".into(), role: HolderRole::Owner });
    account.cards.push(Card {
        card_token: "tok_secret".into(),
        customer_id: "person".into(),
        status: CardStatus::Active,
        expires_at: Some(LogTime(0)),
        last_four: "4242".into(),
        blocked_categories: vec![],
        blocked_channels: vec![],
        limits: Some(Limits { daily_minor: Some(500_000), ..Limits::default() }),
    });
    for (id, item) in [
        ("p:pay-1", Item::Payment(Box::new(payment(2_000, 0, 3_000)))),
        ("p:pay-2", Item::Payment(Box::new(payment(900, 900, 1_000)))),
        (
            "m:fee-1",
            Item::Booking(Box::new(Booking {
                kind: CommandKind::Debit,
                booked_minor: -550,
                booked_at: LogTime(2_000),
                mark: mark("fee-1", 550, None),
            })),
        ),
    ] {
        account.items.insert(ItemId(id.into()), item);
    }
    let row = Row { pos: 42, seq: 5, state: account, ..Row::default() };
    let mut bytes = Vec::new();
    Avro::of(Subject::Head).encode(&row, &mut bytes);
    Head { row, bytes }
}

fn view(limit: usize, show: Show) -> AccountView {
    let place = Place { partition: 2, bucket: 9 };
    AccountView::of("acc-1", place, &head(), &RegistryIds::default(), limit, show)
}

/// Goal: the text tells balances, holds with deadlines, the latest first, and where all of it
/// stands. Method: lines of the text with the tables' frames taken off.
#[test]
fn account_text() {
    let text = view(20, Show::Masked).shown();
    let rows: Vec<String> = text
        .lines()
        .map(|line| line.split(['│', '┆']).map(str::trim).collect::<Vec<_>>().join("|"))
        .collect();
    for expected in [
        "account acc-1  open  partition 2, bucket 9, log position 42, output 5",
        "booked                      1,234.50 CZK",
        "available                   1,214.50 CZK",
        "|***|owner|",
        "|***|***|active|1970-01-01T00:00:00.000Z|daily 5,000.00 CZK|",
        "|pay-1|20.00 CZK|1970-01-02T00:00:00.000Z|pending|Bakery|",
    ] {
        assert!(rows.iter().any(|row| row == expected), "{expected}\nin\n{text}");
    }
    let latest: Vec<&String> = rows.iter().filter(|row| row.starts_with("|1970")).collect();
    assert_eq!(
        latest,
        [
            "|1970-01-01T00:00:03.000Z|payment|pay-1|20.00 CZK|pending|Bakery|",
            "|1970-01-01T00:00:02.000Z|debit|fee-1|-5.50 CZK|booked||",
            "|1970-01-01T00:00:01.000Z|payment|pay-2|9.00 CZK|cleared|Bakery|",
        ]
    );
    assert!(!text.contains("DIVERTED"));
}

/// Goal: sensitive fields come on request only, in text and in JSON, also inside the whole row.
/// Method: search for them.
#[test]
fn account_masks() {
    for (show, shown) in [(Show::Masked, false), (Show::Everything, true)] {
        let view = view(20, show);
        let json = serde_json::to_string(&view).expect("serialises");
        for secret in ["tok_secret", "person", "4242"] {
            assert_eq!(json.contains(secret), shown, "{secret} {show:?}");
        }
        assert_eq!(view.shown().contains("tok_secret"), shown);
    }
}

/// Goal: the JSON names stay and --limit cuts the list alone. Method: the document of one row.
#[test]
fn account_json() {
    let json = serde_json::json!(view(1, Show::Masked));
    for (name, expected) in [
        ("account_id", serde_json::json!("acc-1")),
        ("status", serde_json::json!("open")),
        ("currency", serde_json::json!("CZK")),
        ("booked_minor", serde_json::json!(123_450)),
        ("held_minor", serde_json::json!(2_000)),
        ("available_minor", serde_json::json!(121_450)),
        ("position", serde_json::json!(42)),
        ("diverted_through", serde_json::json!(null)),
    ] {
        assert_eq!(json[name], expected, "{name}");
    }
    assert_eq!(json["latest"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["holds"][0]["deadline"], "1970-01-02T00:00:00.000Z");
    assert_eq!(json["holds"][0]["messages"][0]["message_id"], "m-1");
    assert_eq!(json["row"]["state"]["items"].as_object().map(|items| items.len()), Some(3));
}

/// Goal: a diverted account says so and how that ends. Method: the same row with the mark.
#[test]
fn diverted_text() {
    let mut head = head();
    head.row.diverted_through = Some(40);
    let place = Place { partition: 2, bucket: 9 };
    let ids = RegistryIds::default();
    let text = AccountView::of("acc-1", place, &head, &ids, 20, Show::Masked).shown();
    assert!(text.contains("DIVERTED: waits behind a dead letter, through offset 40"), "{text}");
    assert!(text.contains("end-diversion acc-1 --through 40"), "{text}");
}

/// Goal: a payment's text tells counters, flags, messages and where it was found. Method: lines.
#[test]
fn payment_text() {
    let place = Place { partition: 2, bucket: 9 };
    let mut closed = payment(900, 900, 1_000);
    closed.marks.push(mark("m-2", 0, Some(Reason::Conflict)));
    let currency = Currency::parse("CZK");
    let view =
        PaymentView::of("acc-1", "p:pay-2", &closed, currency, place, 17, "side row", Show::Masked);
    let text = view.shown();
    for expected in [
        "payment pay-2  cleared  account acc-1\nfound in the side row at log position 17, \
         partition 2, bucket 9\n",
        "flags           late\n",
        "card            ***\n",
        "approved                        9.00 CZK\n",
        "= hold                          0.00 CZK\n",
        "conflict",
    ] {
        assert!(text.contains(expected), "{expected}\nin\n{text}");
    }
}
