//! Decisions about exceptions: what is refused, what moves, and what was long gone.

use crate::{
    driver::{Driver, words},
    records::{cycle, difference, legs, line, part, record, report, resolve, with_item},
};
use tapline::domain::{
    ledger::{Address, Leg},
    money::Currency,
    settlement::{Class, Direction, ResolutionKind, SettlementInput, SettlementRecord},
};

const UNEXPLAINED: &str = "unexplained:86400000";

fn part_of(partition: i32, number: i64, net_minor: i64) -> SettlementRecord {
    record(SettlementInput::Part(part(partition, number, net_minor)))
}

/// Window 1 owes 1000 and is closed.
fn closed(tail: &[SettlementRecord]) -> Vec<SettlementRecord> {
    [&[part_of(0, 1, 600), part_of(1, 1, 400)], tail].concat()
}

/// Goal: a decision moves the whole amount, where its kind allows, or is refused and moves
/// nothing. Method: scripts; (records, the last one's events, what then stands in suspense, what
/// the next window takes over). The driver's ledger must agree after each record.
#[test]
fn decisions() {
    use Address::{FeeIncome, Net, Nostro};
    use ResolutionKind::{Rebooked, Recovered, WriteOff};
    let broken = |kind, legs| closed(&[report("r-1", 1, 1_010), resolve(UNEXPLAINED, kind, legs)]);
    let twice = |kind| {
        let first = resolve(UNEXPLAINED, WriteOff, legs(FeeIncome, 10));
        closed(&[report("r-1", 1, 1_010), first, resolve(UNEXPLAINED, kind, legs(FeeIncome, 10))])
    };
    let paid = |tail: &[SettlementRecord]| {
        let lines = [report("r-1", 1, 1_000), line("l-1", 1, Direction::Pay, 300)];
        closed(&[&lines, tail].concat())
    };
    let early = closed(&[
        line("l-1", 1, Direction::Pay, 300),
        resolve("line:l-1", Rebooked, legs(Net, 300)),
    ]);
    let missing = difference("d-1", 1, Class::Missing, 0, 100);
    let item = record(SettlementInput::Part(with_item(part(0, 1, 600), "7", 40)));
    let dollars = || {
        let usd = Currency::parse("USD").expect("three letters");
        let in_usd = |leg: Leg| Leg { currency: usd, ..leg };
        legs(FeeIncome, 10).into_iter().map(in_usd).collect::<Vec<_>>()
    };
    for (name, records, said, suspense_minor, carry_minor) in [
        (
            "written off: the window is as reported",
            broken(WriteOff, legs(FeeIncome, 10)),
            "writeoff, reconciled 1010, pay 1010",
            0,
            0,
        ),
        (
            "got back at the bank",
            broken(Recovered, legs(Nostro, 10)),
            "recovered, reconciled 1010, pay 1010",
            0,
            0,
        ),
        (
            "to a later window",
            broken(Rebooked, legs(Net, 10)),
            "rebooked, reconciled 1010, pay 1010",
            0,
            -10,
        ),
        ("half of it", broken(WriteOff, legs(FeeIncome, 5)), "refused legssuspense", 10, 0),
        ("without legs", broken(WriteOff, Vec::new()), "refused legssuspense", 10, 0),
        (
            "one leg",
            broken(WriteOff, legs(FeeIncome, 10)[..1].to_vec()),
            "refused legsunbalanced",
            10,
            0,
        ),
        ("dollars", broken(WriteOff, dollars()), "refused legsunbalanced", 10, 0),
        ("a cost at the bank", broken(WriteOff, legs(Nostro, 10)), "refused legsaddress", 10, 0),
        ("a customer's", broken(Rebooked, legs(Address::Cust, 10)), "refused legsaddress", 10, 0),
        ("again", twice(WriteOff), "", 0, 0),
        ("again, otherwise", twice(Recovered), "refused exceptionresolved", 0, 0),
        (
            "no such exception",
            closed(&[resolve("line:x", WriteOff, Vec::new())]),
            "refused exceptionunknown",
            0,
            0,
        ),
        (
            "part of what is due",
            paid(&[resolve("line:l-1", Rebooked, legs(Net, 300))]),
            "rebooked",
            0,
            0,
        ),
        (
            "both parts of what is due",
            paid(&[
                resolve("line:l-1", Rebooked, legs(Net, 300)),
                line("l-2", 1, Direction::Pay, 700),
            ]),
            "settled",
            0,
            0,
        ),
        (
            "too much, and the bank's correction",
            paid(&[
                line("l-2", 1, Direction::Pay, 800),
                resolve("line:l-1", Rebooked, legs(Net, 300)),
                resolve("line:l-2", Rebooked, legs(Net, 800)),
                line("l-3", 1, Direction::Receive, 100),
            ]),
            "settled",
            0,
            0,
        ),
        ("before the instruction", early, "refused windownotinstructed", 300, 0),
        (
            "paid twice: kept for later",
            closed(&[
                report("r-1", 1, 1_000),
                line("l-1", 1, Direction::Pay, 1_000),
                line("l-2", 1, Direction::Pay, 1_000),
                resolve("line:l-2", Rebooked, legs(Net, 1_000)),
            ]),
            "rebooked",
            0,
            -1_000,
        ),
        (
            "no money, no legs",
            closed(&[
                report("r-1", 1, 1_000),
                report("r-2", 1, 1),
                resolve("report:r-2", WriteOff, Vec::new()),
            ]),
            "writeoff",
            0,
            0,
        ),
        (
            "no money, legs",
            closed(&[
                report("r-1", 1, 1_000),
                report("r-2", 1, 1),
                resolve("report:r-2", WriteOff, [legs(FeeIncome, 1), legs(FeeIncome, -1)].concat()),
            ]),
            "refused legssuspense",
            0,
            0,
        ),
        (
            "reported a cycle later",
            closed(&[
                missing,
                resolve("difference:d-1", Rebooked, legs(Net, -100)),
                part_of(0, 2, 5),
                part_of(1, 2, 5),
            ]),
            "closed 110",
            0,
            0,
        ),
        (
            "an item without an account",
            vec![item, resolve("item:7", WriteOff, legs(FeeIncome, 40))],
            "writeoff",
            0,
            0,
        ),
    ] {
        let mut driver = Driver::new();
        let events = records.into_iter().map(|record| driver.take(record)).last();
        assert_eq!(words(&events.expect("a script has records")), said, "{name}");
        let head = &driver.head;
        assert_eq!(
            (head.suspense_minor, head.carry_minor),
            (suspense_minor, carry_minor),
            "{name}"
        );
    }
}

/// Goal: nothing is forgotten though heads stay small. Method: a window and an exception from the
/// start are settled and resolved after hundreds of others; what was taken then is a repeat still.
#[test]
fn what_left_the_head_comes_back() {
    let mut driver = Driver::new();
    let first = difference("d-0", 1, Class::Extra, 7, 0);
    closed(&[first.clone()]).into_iter().for_each(|record| drop(driver.take(record)));
    for number in 2..=40 {
        (0..2).for_each(|partition| drop(driver.take(part_of(partition, number, 5))));
        for place in 0..5 {
            let id = format!("d-{number}-{place}");
            driver.take(difference(&id, number, Class::Missing, 0, 1));
        }
    }
    assert!(driver.head.window(cycle(1).cutoff).is_none(), "it is still here");
    assert!(driver.head.exception("difference:d-0").is_none(), "it is still here");
    assert_eq!(driver.open().count(), 1 + 39 * 5);
    let bytes = driver.head_bytes().len();
    assert!(bytes < 16_384, "a head of {bytes} bytes");
    assert_eq!(driver.take(first), []);
    assert_eq!(driver.take(part_of(0, 1, 600)), []);
    for (record, said) in [
        (report("r-1", 1, 1_007), "reconciled 1007, pay 1007"),
        (line("l-1", 1, Direction::Pay, 1_007), "settled"),
        (line("l-1", 1, Direction::Pay, 1_007), ""),
        (report("r-1", 1, 1_007), ""),
        (resolve("difference:d-0", ResolutionKind::Rebooked, legs(Address::Net, 7)), "rebooked"),
        (resolve("difference:d-0", ResolutionKind::Rebooked, legs(Address::Net, 7)), ""),
    ] {
        assert_eq!(words(&driver.take(record)), said);
    }
    let changed = part_of(0, 1, 601);
    assert_eq!(driver.send(changed), Ok(Vec::new()), "content is compared by its hash");
    let ages = driver.open().map(|exception| exception.age_ms(driver.head.now));
    assert_eq!(ages.max(), Some(38 * 86_400_000), "the oldest is of the second day");
}
