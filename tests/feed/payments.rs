//! Each event as customers see it: states, amounts, versions, kinds.

use crate::desk::{Desk, expect, opened};
use tapline::domain::feed::FeedBody;

/// Goal: the worked example of the money rules reads right on every line: what stands, what is
/// pending, what was shown before, what was given back. Method: its commands through authorisation.
#[test]
fn worked_example() {
    let (mut world, mut desk) = opened(&["anna"]);
    let both = "customer-1=card_holder anna=owner";
    for (line, then) in [
        ("auth p1 300", "p1 v1 purchase pending authorised 300 pending 300"),
        ("increment p1 200", "p1 v2 purchase pending incremented 500 was 300 pending 500"),
        ("reverse p1 100", "p1 v3 purchase pending reversed 400 was 500 pending 400"),
        ("present p1 150 n=1 of=2", "p1 v4 purchase partly_cleared presented 400 pending 250"),
        ("tick 8", "p1 v5 purchase cleared expired 150 was 400"),
        ("present p1 900 n=2 of=2", "p1 v6 purchase cleared presented 1050 was 150"),
        ("unpresent p1 900", "p1 v7 purchase cleared presentment_reversed 150 was 1050"),
        ("refund p1 150", "p1 v8 purchase refunded refunded 150 refunded 150"),
    ] {
        assert_eq!(desk.run(&mut world, line), format!("{both}: {then}"), "{line}");
    }
    let item = desk.line("anna", "payment/p1");
    let steps: Vec<i64> = item.timeline.iter().map(|step| step.amount_minor).collect();
    assert_eq!(steps, [300, 200, 100, 150, 250, 900, 900, 150]);
    let balance = item.balance;
    assert_eq!(
        (balance.booked_minor, balance.held_minor, balance.available_minor),
        (1000, 0, 1000)
    );
}

/// Goal: every event and every state of an item. Method: a table on one holder.
#[test]
fn every_state() {
    let (mut world, mut desk) = opened(&["anna"]);
    desk.run(&mut world, "give c1 anna");
    expect(
        "states",
        &mut world,
        &mut desk,
        &[
            ("auth p1 100", "anna=card_holder: p1 v1 purchase pending authorised 100 pending 100"),
            ("reverse p1 100", "anna=card_holder: p1 v2 purchase reversed reversed 100"),
            (
                "auth p2 100",
                "anna=card_holder: p2 v1 purchase pending authorised 100 pending 100 duplicate",
            ),
            (
                "present p2 120 last",
                "anna=card_holder: p2 v2 purchase cleared presented 120 was 100 duplicate",
            ),
            (
                "refund p2 20",
                "anna=card_holder: p2 v3 purchase partly_refunded refunded 120 refunded 20 duplicate",
            ),
            (
                "refund p2 100",
                "anna=card_holder: p2 v4 purchase refunded refunded 120 refunded 120 duplicate",
            ),
            ("auth p3 70", "anna=card_holder: p3 v1 purchase pending authorised 70 pending 70"),
            (
                "auth p4 5000",
                "anna=card_holder: p4 v1 purchase declined declined 5000 insufficient_funds",
            ),
            (
                "advise p4 40",
                "anna=card_holder: p4 v2 purchase pending authorised 40 was 5000 pending 40",
            ),
            (
                "increment p4 9000",
                "anna=card_holder: p4 v3 purchase pending declined 40 pending 40 insufficient_funds",
            ),
            ("auth p5 0", "anna=card_holder: p5 v1 verification verified verified 0"),
            (
                "auth p6 30 single channel=atm",
                "anna=card_holder: p6 v1 cash_withdrawal cleared authorised 30",
            ),
            (
                "auth p7 30 single mcc=6011",
                "anna=card_holder: p7 v1 cash_withdrawal cleared authorised 30 duplicate",
            ),
            ("announce p8 25", "anna=card_holder: p8 v1 refund announced refund_announced 25"),
            ("refund p8 25", "anna=card_holder: p8 v2 refund booked refunded 25 refunded 25"),
            (
                "refund p9 15 merchant=other",
                "anna=card_holder: p9 v1 refund booked refunded 15 refunded 15",
            ),
            (
                "present p9 15 merchant=other",
                "anna=card_holder: p9 v2 purchase refunded presented 15 refunded 15",
            ),
            (
                "present q1 11 merchant=else",
                "anna=card_holder: q1 v1 purchase cleared presented 11",
            ),
            (
                "unpresent q1 11",
                "anna=card_holder: q1 v2 purchase reversed presentment_reversed 11",
            ),
            ("advise q2 60", "anna=card_holder: q2 v1 purchase pending authorised 60 pending 60"),
            (
                "advise q2 45 total",
                "anna=card_holder: q2 v2 purchase pending reversed 45 was 60 pending 45",
            ),
            (
                "advise q2 50 total",
                "anna=card_holder: q2 v3 purchase pending incremented 50 was 45 pending 50",
            ),
            (
                "advise q3 10 declined",
                "anna=card_holder: q3 v1 purchase declined declined 10 declined_elsewhere",
            ),
            (
                "auth q4 9999 partial",
                "anna=card_holder: q4 v1 purchase pending authorised 805 pending 805",
            ),
            ("reverse q4 all", "anna=card_holder: q4 v2 purchase reversed reversed 805"),
            (
                "tick 8",
                "anna=card_holder: p3 v2 purchase expired expired 70; anna=card_holder: p4 v4 purchase expired expired 40; anna=card_holder: q2 v4 purchase expired expired 50",
            ),
            ("credit 500 text=salary", "anna=owner: message/m30 v1 credit booked booked 500"),
            ("debit 70 text=rent", "anna=owner: message/m31 v1 debit booked booked 70"),
            (
                "debit 99999",
                "anna=owner: message/m32 v1 debit declined declined 99999 insufficient_funds",
            ),
            (
                "auth q5 10 cur=USD",
                "anna=card_holder: q5 v1 purchase declined declined 10USD original 100EUR currency_mismatch",
            ),
            ("auth q6 0", "anna=card_holder: q6 v1 verification verified verified 0"),
            (
                "auth q6 20",
                "anna=card_holder: q6 v2 purchase pending authorised 20 was 0 pending 20",
            ),
        ],
    );
}

/// Goal: what nobody saw stays unseen, and what changes nothing shows nothing. Method: a table.
#[test]
fn nothing_to_see() {
    let (mut world, mut desk) = opened(&["anna"]);
    expect(
        "nothing",
        &mut world,
        &mut desk,
        &[
            ("open EUR id=again", ""),
            ("change overdraft=50", ""),
            ("credit 5 cur=USD", ""),
            ("present p1 5 cur=USD", ""),
            ("reverse p2 10", ""),
            ("unpresent p3 10", ""),
            ("credit 7 id=once", "anna=owner: message/once v1 credit booked booked 7"),
            ("credit 7 id=once", ""),
            ("credit 8 id=once", ""),
            // The original of a reversal that came first holds nothing.
            (
                "auth p2 10",
                "customer-1=card_holder anna=owner: p2 v1 purchase reversed authorised 10",
            ),
        ],
    );
}

/// Goal: in two currencies the merchant's own amount is that of what stands. Method: a table.
#[test]
fn two_currencies() {
    let (mut world, mut desk) = opened(&["anna"]);
    desk.run(&mut world, "give c1 anna");
    let usd = "original_cur=USD";
    let mut run = |line: &str| desk.run(&mut world, &format!("{line} {usd}"));
    let item = "anna=card_holder: p1";
    for (line, then) in [
        ("auth p1 90 original=100", "v1 purchase pending authorised 90 pending 90 original 100USD"),
        (
            "increment p1 9 original=10",
            "v2 purchase pending incremented 99 was 90 pending 99 original 110USD",
        ),
        (
            "present p1 50 original=55 n=1 of=2",
            "v3 purchase partly_cleared presented 99 pending 49 original 110USD",
        ),
        (
            "present p1 51 original=56 n=2 of=2",
            "v4 purchase cleared presented 101 was 99 original 111USD",
        ),
        (
            "refund p1 50 original=55",
            "v5 purchase partly_refunded refunded 101 refunded 50 original 111USD",
        ),
    ] {
        assert_eq!(run(line), format!("{item} {then}"), "{line}");
    }
    let then = "anna=card_holder: p2 v1 refund booked refunded 9 refunded 9 original 10USD";
    assert_eq!(run("refund p2 9 original=10 merchant=x"), then);
    let then = "anna=card_holder: p3 v1 purchase declined declined 9999 original 11000USD \
                insufficient_funds";
    assert_eq!(run("auth p3 9999 original=11000 merchant=y"), then);
    let then = "anna=card_holder: p4 v1 purchase cleared authorised 18 original 20USD";
    assert_eq!(run("auth p4 18 single original=20 merchant=z"), then);
}

/// Goal: R7: same card, merchant and amount within ten minutes is hinted at, on the later one and
/// for good; nothing else is. Method: a table.
#[test]
fn duplicates() {
    let (mut world, mut desk) = opened(&["anna"]);
    let mut run = |line: &str| desk.run(&mut world, line).contains("duplicate");
    run("tick 60s");
    for (line, hinted) in [
        ("auth p1 10 merchant=a", false),
        ("auth p2 11 merchant=a", false),
        ("auth p3 10 merchant=b", false),
        ("auth p4 10 merchant=a card=c2", false),
        ("tick 660s", false),
        ("auth p5 10 merchant=a", true),
        ("present p5 10 merchant=a", true),
        ("auth p6 9999 merchant=a", false),
        ("auth p7 9999 merchant=a", false),
        ("present p8 10 merchant=c", false),
        ("auth p9 10 merchant=c", false),
        ("tick 1261s", false),
        ("auth q1 10 merchant=a", false),
        ("auth q1 10 merchant=a", false),
        ("auth q2 10 merchant=a", true),
    ] {
        assert_eq!(run(line), hinted, "{line}");
    }
    assert!(!desk.line("anna", "payment/p1").possible_duplicate);
    assert_eq!(desk.head.recent.len(), 2, "the rest is forgotten");
}

/// Goal: heads stay small: no trace of bookings, a bounded memory of approvals, a bounded timeline
/// that keeps its beginning. Method: far more than fits of each.
#[test]
fn bounded_heads() {
    let (mut world, mut desk) = opened(&["anna"]);
    for number in 0..100 {
        desk.run(&mut world, "credit 10");
        desk.run(&mut world, &format!("auth p{number} 1 merchant=m{number}"));
    }
    assert_eq!((desk.head.lives.len(), desk.head.recent.len()), (100, 32));
    for _ in 0..40 {
        desk.run(&mut world, "increment p0 1");
    }
    let item = desk.line("anna", "payment/p0");
    assert_eq!((item.version, item.timeline.len(), item.amount_minor), (41, 16, 41));
    assert_eq!(crate::driver::wire(item.timeline[0].change), "authorised");
    assert_eq!(crate::driver::wire(item.timeline[15].change), "incremented");
}

/// Goal: a sum that cannot be right stops the partition and changes nothing. Method: counters and
/// balances near the end of what 64 bits hold.
#[test]
fn overflow_halts() {
    use tapline::{
        domain::event::Event,
        stages::{Cause, Refused, authorisation::Output},
    };
    let (mut world, mut desk) = opened(&["anna"]);
    desk.run(&mut world, "auth p1 10");
    let Some(Output::Event(good)) = world.outputs.last().cloned() else { panic!("an event") };
    let off: [fn(&mut tapline::domain::event::AccountEvent); 3] = [
        |event| event.balances.as_mut().expect("some").booked_minor = i64::MIN,
        |event| event.balances.as_mut().expect("some").held_minor = i64::MAX,
        |event| {
            let Event::PaymentAuthorised(e) = &mut event.body else { panic!("approved") };
            e.payment.counters.reversed_minor = i64::MAX;
        },
    ];
    for (place, change) in off.into_iter().enumerate() {
        let mut wrong = good.clone();
        change(&mut wrong);
        let before = desk.head.clone();
        let refused = desk.step(Cause::Record(&wrong));
        assert_eq!(refused, Err(Refused::Halt { code: "feed_overflow" }), "case {place}");
        assert_eq!(desk.head, before, "case {place}");
    }
}

/// Goal: an item says all that its event does. Method: one purchase, field by field.
#[test]
fn fields() {
    let (mut world, mut desk): (_, Desk) = opened(&["anna"]);
    desk.run(&mut world, "tick 1");
    desk.run(&mut world, "auth p1 300 merchant=shop original=330 original_cur=USD");
    let record = desk.records.last().expect("an item");
    let FeedBody::Item(item) = &record.body else { panic!("{record:?}") };
    assert_eq!(record.account_id.as_str(), crate::driver::KEY);
    assert_eq!(
        (&*item.merchant_name, item.merchant_category, &*item.category_text, &*item.country),
        ("shop", Some(5411), "Grocery Stores, Supermarkets", "AT")
    );
    assert_eq!((&*item.card_last_four, &*item.text), ("1234", ""));
    assert_eq!(item.created_at, world.clock);
    assert_eq!(item.release_at, Some(world.clock.plus_ms(5 * 86_400_000)));
    assert_eq!((item.balance.booked_minor, item.balance.held_minor), (1000, 300));
    assert_eq!(item.balance.available_minor, 700);
}
