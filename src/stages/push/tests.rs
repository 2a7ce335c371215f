//! Tables of what is told, in which words, to whom, and under which key.

use super::*;
use crate::domain::{
    feed::{FeedItem, ItemChange, ItemKind},
    ids::{AccountId, CustomerId},
    payment::Flag,
    push::{Device, NoticeKind, Platform, Preferences, QuietHours},
    reason::Reason,
    time::LogTime,
};
use crate::pushes::records::{currency, purchase, step};

/// A purchase of 12.34 EUR that nothing but its merchant names.
fn item(change: ItemChange, kind: ItemKind) -> FeedItem {
    let timeline = vec![step(change, 1_234)];
    FeedItem { kind, change, timeline, category_text: "".into(), ..purchase("payment/p1") }
}

fn told(item: FeedItem) -> Option<Obligation> {
    let record = FeedRecord {
        customer_id: CustomerId::from("c1"),
        account_id: AccountId::from("a1"),
        log_time: LogTime(5),
        partition: 0,
        offset: 9,
        body: FeedBody::Item(Box::new(item)),
    };
    obligation(&record, "3:0:9:0:a1", 77)
}

type Change = fn(&mut FeedItem);

fn then(item: &mut FeedItem, change: ItemChange, amount_minor: i64) {
    (item.version, item.change) = (item.version + 1, change);
    item.timeline.push(step(change, amount_minor));
}

/// Goal: each change of an item tells what it should, or nothing. Method: a purchase of 12.34 EUR, what
/// is changed of it, and the whole sentence.
#[test]
fn what_is_told() {
    use NoticeKind as N;
    let cases: [(&str, Change, Option<(NoticeKind, i64, &str)>); 29] = [
        ("pending", |_| {}, Some((N::Purchase, 1_234, "12.34 EUR paid with card 4242."))),
        (
            "abroad",
            |it| {
                (it.original_minor, it.original_currency) = (2_000, currency("JPY"));
            },
            Some((N::Purchase, 1_234, "12.34 EUR (2000 JPY) paid with card 4242.")),
        ),
        (
            "again",
            |it| it.possible_duplicate = true,
            Some((
                N::Purchase,
                1_234,
                "12.34 EUR paid with card 4242. It looks like one a few minutes ago.",
            )),
        ),
        (
            "cash",
            |it| it.kind = ItemKind::CashWithdrawal,
            Some((N::Purchase, 1_234, "12.34 EUR withdrawn with card 4242.")),
        ),
        ("after its presentment", |it| (it.version, it.pending_minor) = (2, 0), None),
        (
            "in one step",
            |it| it.pending_minor = 0,
            Some((N::Purchase, 1_234, "12.34 EUR paid with card 4242.")),
        ),
        (
            "more",
            |it| {
                then(it, ItemChange::Incremented, 766);
                (it.amount_minor, it.former_amount_minor) = (2_000, Some(1_234));
                it.original_minor = 2_000;
            },
            Some((N::AmountChanged, 2_000, "It is now 20.00 EUR instead of 12.34 EUR.")),
        ),
        ("a check of the card", |it| it.change = ItemChange::Verified, None),
        ("unknown", |it| it.change = ItemChange::Unknown, None),
        (
            "declined",
            |it| {
                it.reason = Some(Reason::InsufficientFunds);
                (it.change, it.timeline[0].change) = (ItemChange::Declined, ItemChange::Declined);
            },
            Some((
                N::Decline,
                1_234,
                "12.34 EUR declined with card 4242: there is not enough money on the account.",
            )),
        ),
        (
            "a declined increment",
            |it| then(it, ItemChange::Declined, 500),
            Some((N::Decline, 500, "5.00 EUR declined with card 4242.")),
        ),
        (
            "a declined check",
            |it| {
                it.amount_minor = 0;
                it.reason = Some(Reason::CardPaused);
                then(it, ItemChange::Declined, 0);
            },
            Some((
                N::Decline,
                0,
                "A check of your card declined with card 4242: the card is paused.",
            )),
        ),
        ("cleared as shown", |it| then(it, ItemChange::Presented, 1_234), None),
        (
            "cleared for another amount",
            |it| {
                then(it, ItemChange::Presented, 1_300);
                (it.amount_minor, it.former_amount_minor) = (1_300, Some(1_234));
                it.original_minor = 1_300;
            },
            Some((N::AmountChanged, 1_300, "It came to 13.00 EUR instead of 12.34 EUR.")),
        ),
        (
            "forced",
            |it| {
                (it.change, it.timeline[0].change) = (ItemChange::Presented, ItemChange::Presented);
                (it.pending_minor, it.flags) = (0, vec![Flag::Forced]);
            },
            Some((N::Purchase, 1_234, "12.34 EUR paid with card 4242.")),
        ),
        (
            "late, after it expired",
            |it| {
                then(it, ItemChange::Expired, 1_234);
                then(it, ItemChange::Presented, 1_234);
                it.flags = vec![Flag::Late];
            },
            Some((N::Purchase, 1_234, "12.34 EUR paid with card 4242.")),
        ),
        (
            "after a decline",
            |it| {
                then(it, ItemChange::Declined, 1_234);
                then(it, ItemChange::Presented, 1_234);
                it.flags = vec![Flag::AfterDecline];
            },
            Some((N::Purchase, 1_234, "12.34 EUR paid with card 4242.")),
        ),
        (
            "the rest after a part was reversed",
            |it| {
                then(it, ItemChange::Reversed, 100);
                then(it, ItemChange::Presented, 1_134);
            },
            None,
        ),
        (
            "reversed",
            |it| then(it, ItemChange::Reversed, 1_234),
            Some((N::Released, 1_234, "12.34 EUR is free again: the merchant gave it back.")),
        ),
        (
            "a part reversed",
            |it| then(it, ItemChange::Reversed, 234),
            Some((N::Released, 234, "2.34 EUR is free again: the merchant gave it back.")),
        ),
        ("nothing reversed", |it| then(it, ItemChange::Reversed, 0), None),
        (
            "expired",
            |it| then(it, ItemChange::Expired, 1_234),
            Some((N::Released, 1_234, "12.34 EUR is free again: nobody took it in time.")),
        ),
        (
            "taken back",
            |it| then(it, ItemChange::PresentmentReversed, 1_234),
            Some((N::Refund, 1_234, "Refund of 12.34 EUR taken back by the merchant.")),
        ),
        (
            "refund announced",
            |it| then(it, ItemChange::RefundAnnounced, 200),
            Some((N::Refund, 200, "Refund of 2.00 EUR announced, on its way to you.")),
        ),
        (
            "refunded",
            |it| then(it, ItemChange::Refunded, 200),
            Some((N::Refund, 200, "Refund of 2.00 EUR arrived on your account.")),
        ),
        (
            "salary",
            |it| {
                (it.change, it.kind, it.text) =
                    (ItemChange::Booked, ItemKind::Credit, "May".into());
            },
            Some((N::MoneyIn, 1_234, "12.34 EUR came in: May.")),
        ),
        (
            "fee",
            |it| (it.change, it.kind) = (ItemChange::Booked, ItemKind::Fee),
            Some((N::MoneyOut, 1_234, "12.34 EUR went out.")),
        ),
        ("nothing booked", |it| (it.change, it.amount_minor) = (ItemChange::Booked, 0), None),
        (
            "without a card's digits",
            |it| it.card_last_four = "".into(),
            Some((N::Purchase, 1_234, "12.34 EUR paid.")),
        ),
    ];
    for (name, change, expected) in cases {
        let mut item = item(ItemChange::Authorised, ItemKind::Purchase);
        change(&mut item);
        let found = told(item);
        let found = found.as_ref().map(|it| (it.kind, it.amount_minor, &*it.body));
        assert_eq!(found, expected, "{name}");
    }
}

/// Goal: an obligation carries what names it and nothing of the time of sending. Method: the fields.
#[test]
fn obligations_are_named() {
    let it = told(item(ItemChange::Authorised, ItemKind::Purchase)).expect("told");
    assert_eq!((&*it.id, &*it.line, it.version), ("3:0:9:0:a1", "a1/payment/p1", 1));
    assert_eq!((it.origin_ms, &*it.title, &*it.currency_code), (77, "Bookshop", "EUR"));
}

/// Goal: foreign text cannot harm a screen. Method: names with control characters, marks of
/// direction, nothing visible, and no end.
#[test]
fn foreign_text_is_cleaned() {
    let long = "x".repeat(1_000);
    for (name, title) in [
        ("Café  Olé", "Café Olé".to_owned()),
        ("a\u{0}b\r\n\tc", "a b c".to_owned()),
        ("\u{202e}gnp.exe\u{202c}", "gnp.exe".to_owned()),
        ("\u{200b}\u{feff} ", "Card payment".to_owned()),
        ("", "Card payment".to_owned()),
        (&long, format!("{}…", "x".repeat(64))),
        ("<script>alert(1)</script>", "<script>alert(1)</script>".to_owned()),
    ] {
        let mut item = item(ItemChange::Authorised, ItemKind::Purchase);
        item.merchant_name = name.into();
        assert_eq!(&*told(item).expect("told").title, title, "{name:?}");
    }
}

/// Goal: amounts have their currency's decimals. Method: a table.
#[test]
fn amounts() {
    for (minor, code, text) in [
        (1_234, "EUR", "12.34 EUR"),
        (5, "EUR", "0.05 EUR"),
        (1_234, "JPY", "1234 JPY"),
        (1_234, "KWD", "1.234 KWD"),
        (12_340, "CLF", "1.2340 CLF"),
        (-5, "EUR", "-0.05 EUR"),
        (-1_205, "EUR", "-12.05 EUR"),
    ] {
        assert_eq!(words::amount(minor, currency(code)), text);
    }
}

/// Goal: preferences are asked in order, and quiet hours may pass midnight. Method: a table of
/// preferences, the minute of the day, and the code.
#[test]
fn wishes() {
    let quiet = |from_minute, to_minute| {
        Some(QuietHours { from_minute, to_minute, zone: "Europe/Prague".into() })
    };
    let off = |kind| Preferences { off: vec![kind], ..Preferences::default() };
    let above = |minor| Preferences {
        smallest_minor: [("EUR".into(), minor)].into(),
        ..Preferences::default()
    };
    let hushed = |from, to| Preferences { quiet: quiet(from, to), ..Preferences::default() };
    let night = || hushed(22 * 60, 7 * 60);
    for (name, preferences, minute, code) in [
        ("nothing said", Preferences::default(), 0, None),
        ("off", off(NoticeKind::Purchase), 0, Some("kind_off")),
        ("another off", off(NoticeKind::Refund), 0, None),
        ("too small", above(1_235), 0, Some("amount_below")),
        ("as large", above(1_234), 0, None),
        ("before the night", night(), 22 * 60 - 1, None),
        ("the night begins", night(), 22 * 60, Some("quiet_hours")),
        ("midnight", night(), 0, Some("quiet_hours")),
        ("the last minute", night(), 7 * 60 - 1, Some("quiet_hours")),
        ("morning", night(), 7 * 60, None),
        ("lunch", hushed(12 * 60, 13 * 60), 12 * 60 + 30, Some("quiet_hours")),
        ("after lunch", hushed(12 * 60, 13 * 60), 13 * 60, None),
        ("never", hushed(60, 60), 60, None),
    ] {
        let obligation = told(item(ItemChange::Authorised, ItemKind::Purchase)).expect("told");
        let found = wanted(&preferences, &obligation, |_| minute);
        assert_eq!(found.err(), code, "{name}");
    }
    let mut declined = item(ItemChange::Declined, ItemKind::Purchase);
    declined.reason = Some(Reason::DailyLimit);
    let declined = told(declined).expect("told");
    assert_eq!(wanted(&above(9_999), &declined, |_| 0), Ok(()), "declines at any amount");
}

/// Goal: a key is short ASCII and names obligation and device, whatever the id is. Method: ids and
/// devices; equal only where both are.
#[test]
fn device_keys() {
    let device = |platform, token: &str| Device {
        device_id: "d".into(),
        platform,
        token: token.into(),
        p256dh: "".into(),
        auth: "".into(),
    };
    let long = format!("3:0:9:0:{}", "a".repeat(64));
    let mut known = std::collections::BTreeSet::new();
    for id in ["3:0:9:0:a1", "3:0:9:1:a1", "3:0:9:0:ü", &long, &format!("{long}b")] {
        for (platform, token) in
            [(Platform::Fcm, "t1"), (Platform::Fcm, "t2"), (Platform::Apns, "t1")]
        {
            let key = device_key(id, &device(platform, token));
            assert!(key.len() <= KEY_BYTES_MAX, "{key}");
            assert!(key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
            assert!(known.insert(key), "{id} {platform:?} {token}");
        }
    }
    let key = device_key("3:0:9:0:a1", &device(Platform::Fcm, "t1"));
    assert_eq!(&*key, "3:0:9:0:a1:1ccd51c7d0fd", "golden: a repeat after an upgrade is the same");
    let obligation = told(item(ItemChange::Authorised, ItemKind::Purchase)).expect("told");
    let sent = notification(&obligation, &key);
    assert!(sent.fields.iter().all(|(name, _)| name.is_ascii()));
    assert_eq!((sent.key, sent.body), (key, obligation.body));
}
