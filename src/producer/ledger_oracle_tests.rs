//! Tests of the ledger's oracle: a small right ledger passes, and every way to spoil it is named.

use super::{
    ledger_oracle::{Closing, Expected, LedgerOracle},
    oracle::OracleLine,
};
use crate::domain::{
    cycle::Cycle,
    ledger::{Address, BalanceAfter, Leg, PostingKind, PostingSet},
    money::Currency,
    settlement::{ContentHash, CycleTotals},
    time::{DAY_MS, LogTime},
    window::{PartRange, WindowBody, WindowClosed, WindowEvent},
};
use std::collections::BTreeMap;

fn currency() -> Currency {
    Currency::parse("CAD").expect("three letters")
}

fn cycle_of(day: i64) -> Cycle {
    let business_date = i32::try_from(day).expect("a small day");
    Cycle { cutoff: LogTime((day + 1) * DAY_MS), business_date, number: 1 }
}

/// A set of an account: (address, leg, balance after).
fn set(account: &str, day: i64, moves: &[(Address, i64, i64)]) -> PostingSet {
    let is_cleared = moves.iter().any(|(address, ..)| *address == Address::Net);
    let network = |address| if address == Address::Net { "city" } else { "" };
    let after = |(address, _, minor): &(Address, i64, i64)| BalanceAfter {
        address: *address,
        network: network(*address).into(),
        currency: currency(),
        minor: *minor,
    };
    let leg = |(address, minor, _): &(Address, i64, i64)| Leg {
        address: *address,
        currency: currency(),
        minor: *minor,
    };
    PostingSet {
        account_id: account.into(),
        log_time: LogTime(day * DAY_MS),
        kind: PostingKind::Present,
        payment_id: None,
        message_id: None,
        network: if is_cleared { "city" } else { "" }.into(),
        cycle: is_cleared.then(|| cycle_of(day)),
        legs: moves.iter().map(leg).collect(),
        after: moves.iter().map(after).collect(),
        text: "".into(),
        rules_version: 1,
    }
}

fn window(day: i64, purchases_minor: i64, refunds_minor: i64, parts: i32) -> WindowEvent {
    let content = ContentHash::default();
    let part = |partition| PartRange { partition, from_offset: 0, to_offset: 1, items: 0, content };
    let totals = CycleTotals { items: 1, purchases_minor, refunds_minor, ..Default::default() };
    let net_minor = totals.net_minor();
    let parts = (0..parts).map(part).collect();
    let closed = WindowClosed { totals, carried_minor: 0, net_minor, parts, content };
    WindowEvent {
        network: "city".into(),
        currency: currency(),
        cycle: Some(cycle_of(day)),
        at: LogTime(0),
        suspense_minor: 0,
        body: WindowBody::Closed(closed),
    }
}

/// Days 10 to 12: held and cleared on the first, nothing on the second, refunded on the third.
fn sets() -> Vec<PostingSet> {
    use Address::{Cust, Held, Net};
    vec![
        set("city-a", 10, &[(Cust, -500, -500), (Held, 500, 500)]),
        set("city-a", 10, &[(Held, -500, 0), (Net, 500, 500)]),
        set("city-b", 12, &[(Net, -80, -80), (Cust, 80, 80)]),
        set("elsewhere", 11, &[(Cust, 7, 7)]),
    ]
}

fn windows() -> Vec<WindowEvent> {
    vec![window(9, 0, 0, 2), window(10, 500, 0, 2), window(11, 0, 0, 2), window(12, 0, 80, 2)]
}

fn verdict(sets: &[PostingSet], windows: &[WindowEvent]) -> Vec<OracleLine> {
    let closing =
        |day, minor| Closing { account: "city-a".into(), day: LogTime(day * DAY_MS), minor };
    let (first, last) = (LogTime(10 * DAY_MS), LogTime(12 * DAY_MS));
    let closings = vec![closing(10, -500), closing(12, -500)];
    let (name, cleared_minor) = ("city", 420);
    let expected = Expected { name, currency: currency(), first, last, cleared_minor, closings };
    let mut oracle = LedgerOracle::new(expected, 2);
    sets.iter().for_each(|set| oracle.post(set));
    windows.iter().for_each(|event| oracle.decide(event));
    oracle.verdict(&BTreeMap::from([("city-a".into(), -500), ("city-b".into(), 80)]))
}

fn broken(lines: &[OracleLine]) -> Vec<&str> {
    lines.iter().filter(|line| !line.ok).map(|line| line.name.as_str()).collect()
}

/// Goal: a right ledger passes, and each fault is found by the lines that are about it. Method: a
/// table of one fault each, with the beginnings of the lines that must fail.
#[test]
fn faults_are_named() {
    let lines = verdict(&sets(), &windows());
    assert_eq!(broken(&lines), Vec::<&str>::new());
    let days = lines.iter().find(|line| line.name.starts_with("days whose trial balance"));
    assert_eq!(days.map(|line| line.found.as_str()), Some("3"));

    type Spoil = fn(&mut Vec<PostingSet>, &mut Vec<WindowEvent>);
    let faults: [(&str, Spoil, &[&str]); 8] = [
        (
            "a leg a cent off, with its balance",
            |sets, _| {
                sets[2].legs[1].minor += 1;
                sets[2].after[1].minor += 1;
            },
            &[
                "posting sets that do not sum to 0",
                "days whose trial balance",
                "trial balance on 1970-01-13",
                "trial balance after the last tick",
                "accounts whose ledger",
            ],
        ),
        (
            "a balance a cent off",
            |sets, _| sets[2].after[0].minor += 1,
            &[
                "balances that are not",
                "days whose trial balance",
                "trial balance on 1970-01-13",
                "trial balance after the last tick",
            ],
        ),
        (
            "the first half of a payment is lost",
            |sets, _| drop(sets.remove(0)),
            &[
                "balances that are not",
                "days whose trial balance",
                "trial balance on 1970-01-11",
                "trial balance on 1970-01-12",
                "trial balance on 1970-01-13",
                "trial balance after the last tick",
                "account-days whose statement",
                "statement of city-a on 1970-01-11",
                "statement of city-a on 1970-01-13",
                "accounts whose ledger",
            ],
        ),
        (
            "a refund is lost",
            |sets, _| drop(sets.remove(2)),
            &["accounts whose ledger", "windows whose net", "net of city/CAD until 1970-01-14"],
        ),
        (
            "a window does not close",
            |_, windows| drop(windows.remove(3)),
            &[
                "windows of city closed",
                "purchases less refunds",
                "windows whose net",
                "net of city/CAD until 1970-01-14",
            ],
        ),
        (
            "an empty window does not close",
            |_, windows| drop(windows.remove(2)),
            &["windows of city closed"],
        ),
        (
            "a part is missing",
            |_, windows| windows[2] = window(11, 0, 0, 1),
            &["windows of city closed"],
        ),
        (
            "a window closes twice",
            |_, windows| windows.push(window(10, 500, 0, 2)),
            &["windows closed twice"],
        ),
    ];
    for (fault, spoil, expected) in faults {
        let (mut sets, mut windows) = (sets(), windows());
        spoil(&mut sets, &mut windows);
        let lines = verdict(&sets, &windows);
        let found = broken(&lines);
        assert_eq!(found.len(), expected.len(), "{fault}: {found:?}");
        for (name, beginning) in found.iter().zip(expected) {
            assert!(name.starts_with(beginning), "{fault}: {found:?}");
        }
    }
}
