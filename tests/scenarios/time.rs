//! What time does: expiry (T8), tombstones, items that leave the head and come back.

use crate::driver::{START_MS, World, parse_time};
use tapline::{
    domain::{
        event::{AccountEvent, Event},
        time::LogTime,
    },
    stages::{
        Cause, Context, Stage,
        authorisation::{self, Authorisation, Output},
    },
};

/// Goal: a hold ends at the first tick at or after its deadline, by the rule of its network and
/// class (I14). Method: a tick just before each end, and one at it.
#[test]
fn hold_times() {
    for (options, ends_h) in [
        ("network=other", 7 * 24),
        ("network=other class=pre_authorisation", 30 * 24),
        ("network=other class=lodging", 31 * 24),
        ("network=other class=vehicle_rental", 31 * 24),
        ("network=other class=fuel", 2),
        ("network=mastercard", 7 * 24),
        ("network=mastercard class=fuel", 7 * 24),
        ("network=mastercard class=pre_authorisation", 30 * 24),
        ("network=visa", 5 * 24),
        ("network=visa class=merchant_initiated", 5 * 24),
        ("network=visa class=customer_initiated_not_present", 10 * 24),
        ("network=visa class=pre_authorisation", 30 * 24),
        ("network=visa class=lodging", 31 * 24),
    ] {
        let mut world = World::funded(1000);
        world.run(&format!("auth p 300 {options}"));
        assert_eq!(world.tick(LogTime(START_MS + ends_h * 3_600_000 - 1)), "nothing due");
        let outcome = world.tick(LogTime(START_MS + ends_h * 3_600_000));
        assert_eq!(outcome, "expired E+300 [A300 E300 expired] 1000/0", "{options}");
    }
}

/// Goal: several deadlines in one tick, in the order of the items, each event with the balances
/// after it; late presentments after it. Method: one line per message or tick.
#[test]
fn several_deadlines() {
    World::funded(1000).expect(
        "several deadlines",
        &[
            ("auth b 100", "authorised request A+100 [b: A100 H100 pending] 1000/100"),
            ("auth a 200", "authorised request A+200 [a: A200 H200 pending] 1000/300"),
            (
                "auth c 300 class=lodging",
                "authorised request A+300 [c: A300 H300 pending] 1000/600",
            ),
            ("reverse t 5", "reversed over 5 [t: reversed tombstone] 1000/600"),
            (
                "present b 20",
                "presented life_cycle M+20 [b: A100 M20 H80 partially_cleared] 980/580",
            ),
            (
                "tick 8",
                "expired E+200 [a: A200 E200 expired] 980/380; expired E+80 [b: A100 E80 M20 \
                 cleared] 980/300; original of t not found 980/300",
            ),
            ("tick 8", "nothing due"),
            (
                "present a 200",
                "presented life_cycle O+200 [a: A200 E200 O200 cleared late] 780/300",
            ),
            (
                "present b 10",
                "presented life_cycle O+10 [b: A100 E80 M20 O10 cleared late] 770/300",
            ),
            ("tick 31", "expired E+300 [c: A300 E300 expired] 770/0"),
        ],
    );
}

/// Goal: items leave when closed and old, not before and not on anything but a tick; a message that
/// names one brings it back. Method: one line per message or tick; closing age 35 days.
#[test]
fn side_rows() {
    World::funded(1000).expect(
        "side rows",
        &[
            ("auth p 300 id=auth", "authorised request A+300 [A300 H300 pending] 1000/300"),
            (
                "present p 300 last id=pay",
                "presented life_cycle M+300 [A300 M300 cleared complete] 700/0",
            ),
            ("auth q 100 class=lodging", "authorised request A+100 [q: A100 H100 pending] 700/100"),
            (
                "auth x 50 merchant=inn id=inn",
                "authorised request A+50 [x: A50 H50 pending] 700/150",
            ),
            (
                "present y 50 merchant=inn id=pay-inn",
                "presented card_merchant_amount M+50 [x: A50 M50 cleared] 650/100",
            ),
            ("tick 35", "expired E+100 [q: A100 E100 expired] 650/0"),
            ("tick 3025s", "nothing due"),
            (
                "tick 3024001s",
                "m:card leaves; m:funds leaves; m:opening leaves; p:p leaves; p:q leaves; p:x \
                 leaves; p:y leaves",
            ),
            ("credit 1", "credited 1 651/0"),
            ("auth p 300 id=auth at=0", "repeated yes 300 651/0"),
            ("tick 3024002s", "p:p leaves"),
            ("auth p 301 id=auth at=0", "conflict amount_minor 651/0"),
            ("tick 3024003s", "p:p leaves"),
            (
                "refund p 100",
                "refunded life_cycle F+100 [A300 M300 F100 cleared partly_refunded complete] 751/0",
            ),
            ("credit 1000 id=funds at=0", "repeated yes 1000 751/0"),
            ("present y 50 merchant=inn id=pay-inn at=0", "repeated yes 50 751/0"),
            (
                "refund y 50 merchant=inn",
                "refunded life_cycle F+50 [x: A50 M50 F50 cleared refunded] 801/0",
            ),
            (
                "present y 1 merchant=inn",
                "presented life_cycle O+1 [x: A50 M50 O1 F50 cleared over partly_refunded] 800/0",
            ),
            ("tick 80", "m:funds leaves; m:m9 leaves; p:p leaves; p:x leaves; p:y leaves"),
            (
                "refund p 50",
                "refunded life_cycle F+50 [A300 M300 F150 cleared partly_refunded complete] 850/0",
            ),
            ("reverse q all", "reversed [q: A100 E100 expired] 850/0"),
        ],
    );
}

/// Goal: a side row is read only where the pipeline's rule says so. Method: each kind of message,
/// young and old, with and without its item in the head.
#[test]
fn items_named() {
    let mut world = World::funded(1000);
    world.run("auth known 10");
    world.clock = parse_time("100");
    let context = Context::of(world.clock, &world.rules);
    for (line, then) in [
        ("auth p 10 at=65", &[][..]),
        ("auth p 10 at=64", &["p:p"]),
        ("auth known 10 at=0", &[]),
        ("credit 10 id=x at=65", &[]),
        ("credit 10 id=x at=64", &["m:x"]),
        ("debit 10 id=x at=64", &["m:x"]),
        ("open EUR id=x at=64", &["m:x"]),
        ("change status=open id=x at=64", &["m:x"]),
        ("holder h id=x at=64", &["m:x"]),
        ("card c1 id=x at=64", &["m:x"]),
        ("card c1 id=x at=65", &[]),
        ("credit 10 id=funds at=0", &[]),
        ("present p 10", &["p:p"]),
        ("present known 10", &[]),
        ("unpresent p 10", &["p:p"]),
        ("refund p 10", &["p:p"]),
        ("announce p 10", &["p:p"]),
        ("reverse p 10", &["p:p"]),
        ("increment p 10", &["p:p"]),
        ("advise p 10", &["p:p"]),
        ("advise known 10", &[]),
    ] {
        let command = crate::driver::parse(line, 1, world.clock);
        let named = Authorisation::items_named(&context, &world.head, &command);
        let named: Vec<&str> = named.iter().map(AsRef::as_ref).collect();
        assert_eq!(named, then, "{line}");
    }
}

/// Goal: a due step without anything due does nothing. Method: one on an empty head, one too early.
#[test]
fn nothing_due() {
    let mut world = World::empty();
    for line in ["open EUR", "credit 10"] {
        let context = Context::of(world.clock, &world.rules);
        let transition = Authorisation::step(&context, crate::driver::KEY, &world.head, Cause::Due)
            .expect("a no");
        assert_eq!((transition.change, transition.effects), (None, Vec::new()));
        world.run(line);
    }
}

/// Goal: ticks are passed on whole, and who waits for an answer behind a dead letter gets one.
/// Method: each kind of command.
#[test]
fn passed_on_and_diverted() {
    let tick =
        tapline::domain::command::Tick { time: LogTime(7), rules_version: 2, logic_version: 1 };
    let passed = Authorisation::PASS_ON.expect("ticks are passed on")(tick);
    let Output::Event(AccountEvent { body, account_id, log_time, .. }) = passed.body else {
        panic!("an event")
    };
    assert_eq!(
        (body, account_id.as_str(), log_time),
        (Event::Tick(tick), "tapline.partition", LogTime(7))
    );

    let mut world = World::funded(1000);
    let context_rules = world.rules.clone();
    world.run("auth q 5000 id=before");
    let context = Context::of(world.clock, &context_rules);
    for (line, then) in [
        ("auth q 5000 id=before", "repeated no insufficient_funds 1000/0"),
        ("auth p 10", "declined diverted 1000/0"),
        ("increment p 10", "declined diverted 1000/0"),
        ("debit 10", "declined debit diverted 1000/0"),
        ("debit 10 advice", ""),
        ("advise p 10", ""),
        ("present p 10", ""),
        ("reverse p 10", ""),
        ("unpresent p 10", ""),
        ("refund p 10", ""),
        ("announce p 10", ""),
        ("credit 10", ""),
        ("open EUR", ""),
        ("change status=open", ""),
        ("card c1", ""),
        ("holder h", ""),
    ] {
        let command = crate::driver::parse(line, 1, world.clock);
        let answer = authorisation::diverted(&context, crate::driver::KEY, &world.head, &command);
        let words = answer.map_or(String::new(), |outgoing| match outgoing.body {
            Output::Event(event) => crate::driver::word_event(&event),
            Output::Command(command) => panic!("{command:?}"),
        });
        assert_eq!(words, then, "{line}");
    }
}
