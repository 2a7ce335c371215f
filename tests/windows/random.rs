//! What holds whatever comes: order between partitions, repeats, reloads, and the books.

use crate::{
    driver::Driver,
    records::{
        cycle, difference, eur, legs, line_saying, part, record, report, resolve, with_item,
    },
};
use proptest::prelude::*;
use tapline::{
    domain::{
        ledger::Address,
        settlement::{
            BankStatementLine, Class, ContentHash, CycleTotals, Direction, NetworkReport,
            PartSealed, ResolutionKind, SettlementInput, SettlementRecord, instruction_reference,
        },
        window::{WindowBody, WindowClosed},
    },
    stages::settlement::windows::{Status, window_content},
};

const CYCLES: i64 = 6;

/// The parts of a partition: it begins with some cycle and leaves some out; ranges follow.
fn partition(number: i32, partitions: i32, first: i64, nets: &[Option<i64>]) -> Vec<PartSealed> {
    let mut from_offset = 10;
    let sealed = (first..=CYCLES).zip(nets).filter_map(|(cycle, net)| Some((cycle, (*net)?)));
    let mut parts: Vec<PartSealed> = sealed
        .map(|(cycle, net_minor)| {
            let mut part = part(number, cycle, net_minor);
            if net_minor % 3 == 0 {
                part = with_item(part, &format!("{number}:{cycle}"), net_minor);
            }
            (part.partitions, part.first) = (partitions, false);
            (part.from_offset, part.to_offset) = (from_offset, from_offset + net_minor.abs());
            from_offset = part.to_offset;
            part
        })
        .collect();
    parts.iter_mut().take(1).for_each(|part| part.first = true);
    parts
}

fn partitions() -> impl Strategy<Value = Vec<Vec<PartSealed>>> {
    let one = (1..4_i64, prop::collection::vec(prop::option::weighted(0.9, -500..500_i64), 6));
    prop::collection::vec(one, 1..=4).prop_map(|rows| {
        let count = rows.len() as i32;
        let parts = rows.iter().enumerate();
        parts.map(|(place, (first, nets))| partition(place as i32, count, *first, nets)).collect()
    })
}

fn closed(driver: &Driver) -> Vec<(i64, WindowClosed)> {
    let closed = driver.events.iter().filter_map(|event| match &event.body {
        WindowBody::Closed(closed) => Some((event.cycle?.cutoff.0, closed.clone())),
        _ => None,
    });
    closed.collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Goal: the windows follow from the parts, not from the order in which partitions come, nor
    /// from repeats. Method: parts one partition after the other, against parts picked from any
    /// partition with repeats between them; and sums made here, from the parts alone.
    #[test]
    fn any_interleaving_gives_the_same_windows(
        parts in partitions(),
        picks in prop::collection::vec((any::<u8>(), any::<bool>()), 0..60),
    ) {
        let send = |driver: &mut Driver, part: &PartSealed| {
            driver.send(record(SettlementInput::Part(part.clone()))).map(drop)
        };
        let mut straight = Driver::new();
        for part in parts.iter().flatten() {
            prop_assert_eq!(send(&mut straight, part), Ok(()));
        }
        let mut mixed = Driver::new();
        let mut next = vec![0; parts.len()];
        let rest = (0..parts.len()).cycle().take(parts.len() * 7).map(|place| (place, false));
        let picks = picks.iter().map(|(place, again)| (*place as usize % parts.len(), *again));
        for (place, again) in picks.chain(rest) {
            if again && next[place] > 0 {
                let before = mixed.head.clone();
                let known = &parts[place][next[place] / 2];
                if next[place] / 2 < next[place] {
                    prop_assert_eq!(send(&mut mixed, known), Ok(()));
                    prop_assert_eq!(&before, &mixed.head);
                }
            } else if let Some(part) = parts[place].get(next[place]) {
                next[place] += 1;
                prop_assert_eq!(send(&mut mixed, part), Ok(()));
            }
        }
        let windows = closed(&mixed);
        prop_assert_eq!(&closed(&straight), &windows);
        prop_assert!(windows.is_sorted_by(|a, b| a.0 < b.0), "in order");
        for (cutoff, window) in &windows {
            let of_window: Vec<&PartSealed> =
                parts.iter().flatten().filter(|part| part.cycle.cutoff.0 == *cutoff).collect();
            let mut totals = of_window.iter().map(|part| part.totals);
            let sum = totals.try_fold(CycleTotals::default(), |sum, it| sum.plus(&it));
            prop_assert_eq!(Some(window.totals), sum);
            let hashes: Vec<ContentHash> = of_window.iter().map(|part| part.content).collect();
            let joined: Vec<ContentHash> = window.parts.iter().map(|part| part.content).collect();
            prop_assert_eq!(joined, hashes);
            prop_assert_eq!(window.content, window_content(&window.parts));
        }
        // Exactly what all partitions have passed is closed.
        let last = |parts: &Vec<PartSealed>| parts.last().map_or(0, |part| part.cycle.cutoff.0);
        let through = parts.iter().map(last).min();
        let due = |part: &&PartSealed| Some(part.cycle.cutoff.0) <= through;
        let mut cutoffs: Vec<i64> =
            parts.iter().flatten().filter(due).map(|part| part.cycle.cutoff.0).collect();
        cutoffs.sort_unstable();
        cutoffs.dedup();
        prop_assert_eq!(windows.iter().map(|window| window.0).collect::<Vec<_>>(), cutoffs);
    }
}

/// Something to do, chosen by numbers that fit whatever the driver's head is.
type Act = (u8, u8, i64);

/// The record of an act; `None` where there is nothing to do it to.
fn act(driver: &Driver, (kind, which, minor): Act) -> Option<SettlementRecord> {
    let number = i64::from(which % 8) + 1;
    let id = (which % 16).to_string();
    let pick = |count: usize| usize::from(which).checked_rem(count);
    match kind % 12 {
        0..=3 => {
            let partition = i32::from(which % 2);
            let sealed = driver.head.sealed(partition);
            let number = sealed.map_or(1, |sealed| sealed.cutoff.0 / cycle(1).cutoff.0 + 1);
            let part = part(partition, number, minor);
            let has_item = minor % 4 == 0;
            Some(record(SettlementInput::Part(match has_item {
                true => with_item(part, &format!("{partition}:{number}"), minor),
                false => part,
            })))
        }
        4 => Some(record(SettlementInput::Part(part(i32::from(which % 2), number, minor)))),
        5 => {
            let classes = [Class::Missing, Class::Extra, Class::Mismatch, Class::Expected];
            let class = classes[usize::from(which) % 4];
            Some(difference(&id, number, class, minor, minor / 2))
        }
        6 => Some(report(&id, number, minor)),
        7 | 8 => {
            let windows = driver.windows();
            let window = windows.get(pick(windows.len())?)?;
            let totals = CycleTotals { suspense_minor: 0, ..window.totals };
            let gap_minor = window.outstanding_minor() - totals.net_minor();
            let totals = CycleTotals {
                purchases_minor: totals.purchases_minor + gap_minor.max(0),
                refunds_minor: totals.refunds_minor + (-gap_minor).max(0),
                ..totals
            };
            let at = window.cycle.cutoff;
            let cycle = window.cycle;
            let report = NetworkReport { report_id: format!("fit-{id}").into(), at, cycle, totals };
            Some(record(SettlementInput::Report(report)))
        }
        9 => {
            let windows = driver.windows();
            let window = windows.get(pick(windows.len())?)?;
            let reference = instruction_reference("visa", eur(), window.cycle.cutoff);
            let owed_minor = if minor % 2 == 0 { window.outstanding_minor() } else { minor };
            let direction = Direction::of(owed_minor);
            let line = line_saying(&id, &reference, direction, owed_minor.abs().max(1));
            Some(line)
        }
        10 => Some(record(SettlementInput::Statement(BankStatementLine {
            line_id: id.into(),
            at: cycle(number).cutoff,
            amount_minor: minor.abs().max(1),
            direction: Direction::of(minor),
            reference: "".into(),
            text: "".into(),
        }))),
        _ => {
            let exception = driver.open().nth(pick(driver.open().count())?)?;
            let (kind, address) = match minor % 3 {
                0 => (ResolutionKind::WriteOff, Address::FeeIncome),
                1 => (ResolutionKind::Recovered, Address::Nostro),
                _ => (ResolutionKind::Rebooked, Address::Net),
            };
            Some(resolve(&exception.id, kind, legs(address, exception.suspense_minor)))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Goal: after every record suspense is the sum of the open exceptions, net is what the windows
    /// owe, and settled windows stay; and a head that is saved and loaded between any two records
    /// goes on to the same bytes. Method: random acts; the driver judges each; a second driver
    /// never reloads.
    #[test]
    fn the_books_hold(
        acts in prop::collection::vec((any::<u8>(), any::<u8>(), -999..999_i64), 1..150),
    ) {
        let (mut saved, mut kept) = (Driver::new(), Driver::with_reloads(false));
        for one in acts {
            let Some(record) = act(&saved, one) else { continue };
            prop_assert_eq!(saved.send(record.clone()), kept.send(record));
            prop_assert_eq!(saved.head_bytes(), kept.head_bytes());
        }
    }
}

/// Goal: the random acts reach what they are to judge. Method: many acts of a fixed seed leave
/// windows in every state, and every kind of event behind them.
#[test]
fn the_acts_reach_every_state() {
    let mut state = 7_u64;
    let mut number = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64
    };
    let mut driver = Driver::new();
    for _ in 0..3_000 {
        let one = (number() as u8, number() as u8, number() % 999);
        if let Some(record) = act(&driver, one) {
            drop(driver.send(record));
        }
    }
    for status in
        [Status::Open, Status::Closed, Status::Instructed, Status::Settled, Status::Broken]
    {
        assert!(driver.windows().iter().any(|window| window.status == status), "{status:?}");
    }
    let mut kinds: Vec<_> =
        driver.events.iter().map(|event| std::mem::discriminant(&event.body)).collect();
    kinds.sort_by_key(|kind| format!("{kind:?}"));
    kinds.dedup();
    assert_eq!(kinds.len(), 9, "events that never came");
}
