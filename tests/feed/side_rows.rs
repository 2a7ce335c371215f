//! Closed payments leave the head when they are old, and come back when they are named.

use crate::desk::{expect, opened};
use tapline::{
    domain::time::LogTime,
    stages::{Stage, feed::Feed},
};

/// Goal: what is closed leaves at the closing age, what is held stays; a named one comes back with
/// its version, place and timeline, and leaves again. Method: a table with long ticks.
#[test]
fn leaving_and_coming_back() {
    let (mut world, mut desk) = opened(&["anna"]);
    desk.run(&mut world, "give c1 anna");
    expect(
        "closed",
        &mut world,
        &mut desk,
        &[
            ("auth p1 100", "anna=card_holder: p1 v1 purchase pending authorised 100 pending 100"),
            ("present p1 100 last", "anna=card_holder: p1 v2 purchase cleared presented 100"),
            (
                "auth p2 9999 merchant=b",
                "anna=card_holder: p2 v1 purchase declined declined 9999 insufficient_funds",
            ),
            (
                "auth p3 50 class=lodging merchant=c",
                "anna=card_holder: p3 v1 purchase pending authorised 50 pending 50",
            ),
        ],
    );
    let created_at = world.clock;
    assert_eq!((desk.head.lives.len(), desk.sides.len()), (3, 0));
    desk.run(&mut world, "tick 35");
    assert_eq!(desk.sides.len(), 0, "not older than the closing age");
    desk.run(&mut world, "tick 36");
    let left: Vec<&str> = desk.sides.keys().map(|id| id.as_str()).collect();
    assert_eq!(left, ["p:p1", "p:p2"]);
    assert_eq!(desk.reads, 0, "nothing has cost a read");
    expect(
        "named",
        &mut world,
        &mut desk,
        &[
            (
                "refund p1 40",
                "anna=card_holder: p1 v3 purchase partly_refunded refunded 100 refunded 40",
            ),
            (
                "increment p2 10",
                "anna=card_holder: p2 v2 purchase pending authorised 10 was 9999 \
              pending 10",
            ),
        ],
    );
    assert_eq!((desk.reads, desk.recalls), (2, 2));
    let item = desk.line("anna", "payment/p1");
    assert_eq!((item.created_at, item.timeline.len()), (created_at, 3));
    desk.run(&mut world, "tick 80");
    desk.run(&mut world, "tick 120");
    assert!(desk.head.lives.is_empty());
    assert_eq!(Feed::deadline("", &desk.head, &desk.rules), None);
    assert_eq!(desk.sides.len(), 3);
}

/// Goal: what opens a payment costs no read, and nothing else is taken for new. Method: a table of
/// commands for payments that are not in the head, with the reads that each costs.
#[test]
fn who_asks() {
    let (mut world, mut desk) = opened(&["anna"]);
    for (line, reads) in [
        ("auth p1 10", 0),
        ("auth p2 9999", 0),
        ("auth p3 10 single", 0),
        ("auth p4 0", 0),
        ("present p5 10 merchant=x", 0),
        ("refund p6 10 merchant=y", 0),
        ("credit 10", 0),
        ("debit 10", 0),
        ("reverse p1 10", 0),
        ("present p1 10 last", 0),
        ("increment p7 10", 1),
        ("advise p8 10", 1),
        ("reverse p9 10", 1),
        ("auth p9 10", 1),
        ("unpresent q1 10", 1),
        ("announce q2 10", 1),
        ("auth q2 10", 0),
        // A repeat of what was never shown, and of what is in the head.
        ("reverse r1 10 id=once", 1),
        ("reverse r1 10 id=once", 1),
        ("auth r2 10 id=twice merchant=z", 0),
        ("auth r2 10 id=twice merchant=z", 0),
    ] {
        let before = desk.reads;
        desk.run(&mut world, line);
        assert_eq!(desk.reads - before, reads, "{line}");
    }
    assert_eq!(desk.recalls, 0);
}

/// Goal: the deadline is never later than the next life to leave, and a life that was changed again
/// waits anew. Method: two payments closed on different days, the first changed later.
#[test]
fn deadlines() {
    let (mut world, mut desk) = opened(&["anna"]);
    desk.run(&mut world, "auth p1 10 single");
    desk.run(&mut world, "tick 10");
    desk.run(&mut world, "auth p2 10 single");
    desk.run(&mut world, "tick 20");
    desk.run(&mut world, "refund p1 10");
    let days = |desk: &crate::desk::Desk| {
        Feed::deadline("", &desk.head, &desk.rules)
            .map(|due: LogTime| (due.0 - crate::driver::START_MS) / 86_400_000)
    };
    assert_eq!(days(&desk), Some(35), "too early, never too late");
    desk.run(&mut world, "tick 36");
    assert_eq!((days(&desk), desk.sides.len()), (Some(45), 0));
    desk.run(&mut world, "tick 46");
    assert_eq!((days(&desk), desk.sides.len()), (Some(55), 1));
    desk.run(&mut world, "tick 56");
    assert_eq!((days(&desk), desk.sides.len()), (None, 2));
}
