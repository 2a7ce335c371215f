//! Parts of cycles: when they open and seal, and what is in them.

use crate::{
    desk::Desk,
    driver::{START_MS, rules},
    events::{PARTITION, PARTITIONS, tick_event},
};
use tapline::domain::{
    command::CommandKind,
    event::{AccountEvent, Event, MovedToSuspense},
    money::Currency,
    reason::Reason,
    settlement::{ContentHash, CycleTotals, PartSealed, SUSPENSE_ITEMS_MAX},
    time::{DAY_MS, LogTime},
};

const HOUR_MS: i64 = 3_600_000;

/// An item without an account: it needs no balances to agree with.
fn item(network: &str, owed_minor: i64) -> AccountEvent {
    AccountEvent {
        account_id: "nobody".into(),
        message_id: Some("m1".into()),
        log_time: LogTime::ZERO,
        balances: None,
        body: Event::MovedToSuspense(MovedToSuspense {
            kind: CommandKind::Present,
            payment_id: None,
            owed_minor,
            currency: Currency::parse("EUR").expect("three letters"),
            reason: Reason::AccountUnknown,
            network: network.into(),
        }),
    }
}

fn at(hours: i64) -> LogTime {
    LogTime(START_MS + hours * HOUR_MS)
}

fn of<'d>(desk: &'d Desk, key: &str) -> Vec<&'d PartSealed> {
    desk.parts.iter().filter(|(own, _)| **own == *key).map(|(_, part)| part).collect()
}

/// Goal: a cycle opens at the first tick and seals at the first tick at or after its cut-off, empty
/// ones too and missed ones in order; a late item goes to the next. Method: a table of ticks and
/// items; mastercard cuts off at 8, 16 and 24 hours. (offsets: every record is one.)
#[test]
fn cycles_in_order() {
    let mut desk = Desk::new(rules());
    let key = "part:mastercard/EUR";
    for (record, sealed) in [
        (tick_event(at(1)), vec![]),
        (item("mastercard", 100), vec![]),
        (tick_event(LogTime(at(8).0 - 1)), vec![]),
        (item("mastercard", 20), vec![]),
        (tick_event(at(8)), vec![(8, 0, 4, 120)]),
        (item("mastercard", 3), vec![]),
        // Repeated and old ticks do nothing.
        (tick_event(at(8)), vec![]),
        (tick_event(at(7)), vec![]),
        (tick_event(at(25)), vec![(16, 4, 8, 3), (24, 8, 8, 0)]),
        (tick_event(at(33)), vec![(32, 8, 9, 0)]),
        (item("mastercard", 7), vec![]),
        (tick_event(at(40)), vec![(40, 9, 11, 7)]),
    ] {
        let from = of(&desk, key).len();
        desk.take(&record).expect("a record");
        let found: Vec<_> = of(&desk, key)[from..]
            .iter()
            .map(|part| {
                let hours = (part.cycle.cutoff.0 - START_MS) / HOUR_MS;
                (hours, part.from_offset, part.to_offset, part.totals.suspense_minor)
            })
            .collect();
        assert_eq!(found, sealed, "{record:?}");
    }
    let parts = of(&desk, key);
    let firsts: Vec<bool> = parts.iter().map(|part| part.first).collect();
    assert_eq!(firsts, [true, false, false, false, false]);
    let numbers: Vec<i32> = parts.iter().map(|part| part.cycle.number).collect();
    assert_eq!(numbers, [1, 2, 3, 1, 2]);
    assert!(parts.iter().all(|part| part.partition == PARTITION && part.partitions == PARTITIONS));
    assert!(
        parts[2].totals == CycleTotals::default() && parts[2].content == ContentHash::default()
    );
    assert_ne!(parts[0].content, parts[1].content);
    desk.check_sealed().expect("counted again");
}

/// Goal: what comes before the first tick, or of a network that the rules do not name, is in a
/// cycle too. Method: such items, then ticks.
#[test]
fn without_time_or_rules() {
    let mut desk = Desk::new(rules());
    desk.take(&item("visa", 5)).expect("before time");
    assert_eq!(desk.sets[0].cycle, None);
    desk.take(&tick_event(at(1))).expect("the first tick");
    desk.take(&item("visa", 6)).expect("an item");
    desk.take(&item("new network", 7)).expect("no name of a network");
    desk.take(&item("newcomer", 8)).expect("an item");
    assert_eq!(of(&desk, "part:visa/EUR"), Vec::<&PartSealed>::new());
    // 1 January is a holiday of visa's.
    desk.take(&tick_event(at(36))).expect("noon of the second");
    for (key, from_offset, owed_minor) in
        [("part:visa/EUR", 0, 11), ("part:unknown/EUR", 3, 7), ("part:newcomer/EUR", 4, 8)]
    {
        let parts = of(&desk, key);
        let first_with_items = parts.iter().find(|part| part.totals.items > 0).expect(key);
        assert_eq!(first_with_items.from_offset, from_offset, "{key}");
        assert_eq!(first_with_items.totals.suspense_minor, owed_minor, "{key}");
        assert!(first_with_items.first, "{key}");
    }
    desk.check_sealed().expect("counted again");
}

/// Goal: a clock that jumps by decades owes no flood of empty parts, and none with items is lost.
/// Method: 31 years at once.
#[test]
fn a_jump_of_decades() {
    let mut desk = Desk::new(rules());
    desk.take(&tick_event(at(1))).expect("a tick");
    desk.take(&item("interbank", 9)).expect("an item");
    let later = LogTime(START_MS + 31 * 365 * DAY_MS);
    desk.take(&tick_event(later)).expect("a tick");
    let parts = of(&desk, "part:interbank/EUR");
    assert_eq!(parts.len(), 401);
    assert_eq!(parts[0].totals.suspense_minor, 9);
    assert!(parts.is_sorted_by(|a, b| a.cycle < b.cycle && a.to_offset <= b.from_offset));
    assert_eq!(parts[400].cycle.cutoff, later);
    let head = desk.heads["part:interbank/EUR"].part.clone().expect("a part");
    assert_eq!(head.open.expect("open").cutoff, later.plus_ms(DAY_MS));
}

/// Goal: however much stands in suspense, a part's list is bounded and its sum whole. Method: more
/// items than fit.
#[test]
fn suspense_is_bounded() {
    let mut desk = Desk::new(rules());
    desk.take(&tick_event(at(1))).expect("a tick");
    let mut owed_minor = 0;
    for number in 1..=2 * SUSPENSE_ITEMS_MAX as i64 {
        let minor = if number % 5 == 0 { -number } else { number };
        owed_minor += minor;
        desk.take(&item("visa", minor)).expect("an item");
    }
    desk.take(&tick_event(at(36))).expect("noon of the second");
    let parts = of(&desk, "part:visa/EUR");
    let part = parts.last().expect("sealed");
    assert_eq!(part.suspense.len(), SUSPENSE_ITEMS_MAX);
    assert_eq!(part.suspense.iter().map(|item| item.owed_minor).sum::<i64>(), owed_minor);
    assert_eq!(part.totals.suspense_minor, owed_minor);
    assert_eq!(&*part.suspense[0].id, "2:1");
    assert_eq!(&*part.suspense[127].id, "2:128+");
    desk.check_sealed().expect("counted again");
}
