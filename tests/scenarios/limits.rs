//! Limits: what they count, when a period starts anew, and what is given back.

use crate::driver::World;
use tapline::domain::{account::Limits, command::Channel, money::Currency, rules::LimitRule};

/// An account with plenty of money and these limits.
fn limited(limits: &str) -> World {
    let mut world = World::empty();
    world.run(&format!("open EUR overdraft=100000 {limits}"));
    world.run("card c1");
    world
}

/// Goal: each limit lets its cap through and nothing above, and periods start at zero. Method: one
/// line per message or tick; day 31 is the first of the next month.
#[test]
fn periods() {
    limited("per_transaction=100").expect(
        "transaction",
        &[
            ("auth a 101", "declined transaction_limit 0/0"),
            ("auth a 100", "authorised request A+100 [a: A100 H100 pending] 0/100"),
            ("increment a 101", "declined transaction_limit 0/100"),
            ("advise a 101", "authorised advice A+101 [a: A201 H201 pending] 0/201"),
        ],
    );
    limited("daily=100").expect(
        "daily",
        &[
            ("auth a 60", "authorised request A+60 [a: A60 H60 pending] 0/60"),
            ("auth b 41", "declined daily_limit 0/60"),
            ("auth b 40", "authorised request A+40 [b: A40 H40 pending] 0/100"),
            ("debit 1", "declined debit daily_limit 0/100"),
            ("tick 1", "nothing due"),
            ("auth c 100", "authorised request A+100 [c: A100 H100 pending] 0/200"),
            ("auth d 1", "declined daily_limit 0/200"),
            ("debit 7 advice", "debited 7 -7/200"),
            ("tick 2", "nothing due"),
            ("debit 100", "debited 100 -107/200"),
            ("auth e 1", "declined daily_limit -107/200"),
        ],
    );
    limited("monthly=100").expect(
        "monthly",
        &[
            ("auth a 100", "authorised request A+100 [a: A100 H100 pending] 0/100"),
            ("tick 30", "expired E+100 [a: A100 E100 expired] 0/0"),
            ("auth b 1", "authorised request A+1 [b: A1 H1 pending] 0/1"),
            ("tick 31", "nothing due"),
            ("auth b 100", "authorised request A+100 [b: A101 H101 pending] 0/101"),
            ("auth c 1", "declined monthly_limit 0/101"),
        ],
    );
    limited("lifetime=100").expect(
        "lifetime",
        &[
            ("auth a 100", "authorised request A+100 [a: A100 H100 pending] 0/100"),
            ("present a 100", "presented life_cycle M+100 [a: A100 M100 cleared] -100/0"),
            ("tick 365", "m:m1 leaves; m:m2 leaves; p:a leaves"),
            ("auth b 1", "declined lifetime_limit -100/0"),
        ],
    );
    limited("velocity=2 window_h=24").expect(
        "velocity",
        &[
            ("auth a 1", "authorised request A+1 [a: A1 H1 pending] 0/1"),
            ("auth z 0", "authorised verification [z: verified] 0/1"),
            ("auth b 1", "authorised request A+1 [b: A1 H1 pending] 0/2"),
            ("auth c 1", "declined velocity_limit 0/2"),
            ("tick 1", "nothing due"),
            ("auth c 1", "authorised request A+1 [c: A1 H1 pending] 0/3"),
        ],
    );
}

/// Goal: what falls without a presentment is given back, what was presented is not. Method: a daily
/// limit of 100 and one line per message.
#[test]
fn given_back() {
    limited("daily=100 lifetime=200").expect(
        "given back",
        &[
            ("auth a 100", "authorised request A+100 [a: A100 H100 pending] 0/100"),
            ("auth b 1", "declined daily_limit 0/100"),
            ("reverse a 30", "reversed V+30 [a: A100 V30 H70 pending] 0/70"),
            ("auth b 31", "declined daily_limit 0/70"),
            ("auth b 30", "authorised request A+30 [b: A30 H30 pending] 0/100"),
            (
                "present a 50 last",
                "presented life_cycle M+50 E+20 [a: A100 V30 E20 M50 cleared complete] -50/30",
            ),
            ("auth c 21", "declined daily_limit -50/30"),
            ("auth c 20", "authorised request A+20 [c: A20 H20 pending] -50/50"),
            ("advise c 5 total", "authorised advice V+15 [c: A20 V15 H5 pending] -50/35"),
            ("auth d 16", "declined daily_limit -50/35"),
            ("auth d 15", "authorised request A+15 [d: A15 H15 pending] -50/50"),
            ("tick 1", "nothing due"),
            ("auth e 101", "declined daily_limit -50/50"),
            ("auth e 100", "authorised request A+100 [e: A100 H100 pending] -50/150"),
            // Yesterday's money: only the lifetime gets it back.
            ("reverse d all", "reversed V+15 [d: A15 V15 reversed] -50/135"),
            ("reverse e 1", "reversed V+1 [e: A100 V1 H99 pending] -50/134"),
            ("auth f 2", "declined daily_limit -50/134"),
            ("auth f 1", "authorised request A+1 [f: A1 H1 pending] -50/135"),
            ("tick 2", "nothing due"),
            ("auth g 15", "authorised request A+15 [g: A15 H15 pending] -50/150"),
            ("auth g 16", "declined lifetime_limit -50/150"),
            ("auth g 1", "declined lifetime_limit -50/150"),
            (
                "tick 7",
                "expired E+30 [b: A30 E30 expired] -50/120; expired E+5 [c: A20 V15 E5 expired] \
                 -50/115; expired E+99 [e: A100 V1 E99 expired] -50/16; expired E+1 [f: A1 E1 \
                 expired] -50/15; expired E+15 [g: A15 E15 expired] -50/0",
            ),
            ("auth g 100", "authorised request A+100 [g: A115 E15 H100 pending] -50/100"),
        ],
    );
}

/// Goal: limits of account, card and rules count apart, and the order of reasons is over all of
/// them. Method: one line per message.
#[test]
fn scopes() {
    let mut world = limited("daily=100");
    world.run("card c2 daily=50 per_transaction=45");
    world.rules.limits = vec![
        LimitRule {
            name: "cash".into(),
            currency: Currency::parse("EUR").expect("three letters"),
            channel: Some(Channel::Atm),
            merchant_category: None,
            limits: Limits { daily_minor: Some(20), ..Limits::default() },
        },
        LimitRule {
            name: "games".into(),
            currency: Currency::parse("EUR").expect("three letters"),
            channel: None,
            merchant_category: Some(7995),
            limits: Limits { lifetime_minor: Some(10), ..Limits::default() },
        },
        LimitRule {
            name: "dollars".into(),
            currency: Currency::parse("USD").expect("three letters"),
            channel: None,
            merchant_category: None,
            limits: Limits { transaction_minor: Some(0), ..Limits::default() },
        },
    ];
    world.expect(
        "scopes",
        &[
            ("auth a 46 card=c2", "declined transaction_limit 0/0"),
            ("auth a 45 card=c2", "authorised request A+45 [a: A45 H45 pending] 0/45"),
            ("auth b 6 card=c2", "declined daily_limit 0/45"),
            ("auth b 21 channel=atm", "declined daily_limit 0/45"),
            ("auth b 20 channel=atm", "authorised request A+20 [b: A20 H20 pending] 0/65"),
            ("auth c 1 channel=atm", "declined daily_limit 0/65"),
            ("auth c 5 channel=atm card=c2", "authorised request A+5 [c: A5 H5 pending] 0/70"),
            ("auth d 1 card=c2", "declined daily_limit 0/70"),
            ("auth d 11 mcc=7995", "declined lifetime_limit 0/70"),
            ("auth d 10 mcc=7995", "authorised request A+10 [d: A10 H10 pending] 0/80"),
            ("auth e 20", "authorised request A+20 [e: A20 H20 pending] 0/100"),
            ("auth f 1", "declined daily_limit 0/100"),
            ("reverse b all", "reversed V+20 [b: A20 V20 reversed] 0/80"),
            ("auth f 20 channel=atm", "authorised request A+20 [f: A20 H20 pending] 0/100"),
            ("reverse d all", "reversed V+10 [d: A10 V10 reversed] 0/90"),
            ("auth g 10 mcc=7995", "authorised request A+10 [g: A10 H10 pending] 0/100"),
        ],
    );
    let scopes: Vec<&str> = world.head.usage.iter().map(|row| &*row.scope).collect();
    assert_eq!(scopes, ["account", "card:c2", "rule:cash:c1", "rule:cash:c2", "rule:games:c1"]);
}
