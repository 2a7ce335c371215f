//! Trial balances of a small ledger.

use super::*;
use crate::domain::{
    cycle::Cycle,
    ledger::PostingKind,
    reason::Reason,
    settlement::{Class, ResolutionKind},
    time::LogTime,
    window::{ExceptionOpened, ExceptionResolved, Resolution, WindowSettled},
};

fn eur() -> Currency {
    Currency::parse("EUR").expect("a code")
}

fn legs(legs: &[(Address, i64)]) -> Vec<Leg> {
    let leg = |(address, minor): &(Address, i64)| Leg {
        address: *address,
        currency: eur(),
        minor: *minor,
    };
    legs.iter().map(leg).collect()
}

fn set(time: i64, of: &[(Address, i64)]) -> PostingSet {
    PostingSet {
        account_id: "acc-1".into(),
        log_time: LogTime(time),
        kind: PostingKind::Suspense,
        payment_id: None,
        message_id: None,
        network: "visa".into(),
        cycle: None,
        legs: legs(of),
        after: Vec::new(),
        text: "".into(),
        rules_version: 1,
    }
}

fn event(at: i64, suspense_minor: i64, body: WindowBody) -> WindowEvent {
    let cycle = Some(Cycle { cutoff: LogTime(at), business_date: 0, number: 1 });
    WindowEvent {
        network: "visa".into(),
        currency: eur(),
        cycle,
        at: LogTime(at),
        suspense_minor,
        body,
    }
}

fn opened(id: &str, source: Source, minor: i64, of: &[(Address, i64)]) -> WindowBody {
    let exception = Exception {
        id: id.into(),
        source,
        class: Class::Extra,
        cycle: None,
        suspense_minor: minor,
        claimed_minor: minor,
        booked_minor: 0,
        account_id: None,
        payment_id: None,
        reason: Some(Reason::AccountUnknown),
        reference: "".into(),
        owner: "operations".into(),
        opened_at: LogTime(1),
        resolution: None,
    };
    WindowBody::ExceptionOpened(ExceptionOpened { exception, legs: legs(of) })
}

fn resolved(id: &str, of: &[(Address, i64)]) -> WindowBody {
    let kind = ResolutionKind::Recovered;
    let resolution = Resolution { kind, at: LogTime(1), by: "ann".into(), text: "".into() };
    let exception_id = id.into();
    WindowBody::ExceptionResolved(ExceptionResolved { exception_id, resolution, legs: legs(of) })
}

/// Postings at log times 10, 20, 30, 40 (offsets 0 to 3, of events 100 to 103); decisions about
/// the window that ends at 30, and about the bank.
fn ledger() -> (Vec<PostingSet>, Vec<WindowEvent>) {
    use Address::{Cust, Net, Nostro, Suspense};
    let sets = vec![
        set(10, &[(Nostro, -1_000), (Cust, 1_000)]),
        set(20, &[(Suspense, -70), (Net, 70)]),
        set(30, &[(Suspense, -5), (Net, 5)]),
        set(40, &[(Cust, -200), (Net, 200)]),
    ];
    let settled = WindowSettled { line_id: "l-1".into(), legs: legs(&[(Net, -70), (Nostro, 70)]) };
    let events = vec![
        event(30, 70, opened("item:0:101", Source::Item, 70, &[])),
        event(35, 70, WindowBody::Settled(settled)),
        event(36, 30, opened("line:l-2", Source::Statement, -40, &[(Suspense, 40), (Nostro, -40)])),
        event(38, -40, resolved("item:0:101", &[(Suspense, 70), (Nostro, -70)])),
    ];
    (sets, events)
}

fn summed(cut: Cut, (sets, events): (Vec<PostingSet>, Vec<WindowEvent>)) -> Summed {
    let mut sums = Sums::new(cut);
    for (offset, set) in (0..).zip(&sets) {
        sums.take_set((0, offset), Some((0, 100 + offset)), set);
    }
    events.iter().for_each(|event| sums.take_event(event));
    sums.finish()
}

fn suspense(summed: &Summed) -> Option<(i64, i64, i64)> {
    let proof = summed.suspense.first()?;
    Some((proof.ledger_minor, proof.exceptions_minor, proof.unsealed_minor))
}

/// Goal: at every position the ledger sums to 0 and suspense is explained. Method: cuts by time
/// and by offset through a small history, suspense worked out by hand.
#[test]
fn every_position() {
    let below = |offset| Cut::Below([(0, offset)].into());
    for (name, cut, proof) in [
        ("now", Cut::Now, Some((-35, -40, 5))),
        ("before anything", Cut::Before(10), None),
        ("before the item", Cut::Before(20), None),
        ("item in no window", Cut::Before(25), Some((70, 0, 70))),
        ("sealed at the cut", Cut::Before(30), Some((70, 70, 0))),
        ("after the bank's line", Cut::Before(37), Some((35, 30, 5))),
        ("everything", Cut::Before(1_000), Some((-35, -40, 5))),
        ("below the item", below(1), None),
        ("below the second item", below(2), Some((70, 70, 0))),
        ("below the last", below(3), Some((-35, -40, 5))),
        ("of another partition", Cut::Below([(1, 0)].into()), Some((-35, -40, 5))),
    ] {
        let summed = summed(cut, ledger());
        assert_eq!(summed.differences, Vec::<String>::new(), "{name}");
        assert!(summed.sums_minor.values().all(|sum| *sum == 0), "{name}");
        assert_eq!(suspense(&summed), proof, "{name}");
    }
    let now = summed(Cut::Now, ledger());
    let balance = |address| now.balances.iter().find(|it| it.address == address);
    assert_eq!(balance(Address::Cust).map(|it| it.minor), Some(800));
    assert_eq!(balance(Address::Nostro).map(|it| it.minor), Some(-1_040));
}

/// Goal: whatever is wrong is told. Method: one change each.
#[test]
fn what_is_wrong_is_told() {
    let told = |change: &dyn Fn(&mut Vec<PostingSet>, &mut Vec<WindowEvent>)| {
        let (mut sets, mut events) = ledger();
        change(&mut sets, &mut events);
        summed(Cut::Now, (sets, events)).differences
    };
    assert_eq!(told(&|_, _| {}), Vec::<String>::new());
    assert!(told(&|sets, _| sets[0].legs[0].minor += 1)[0].contains("EUR sums to 1"));
    let lost = told(&|sets, _| drop(sets.remove(1)));
    assert!(lost[0].contains("item:0:101 stands for 70"), "{lost:?}");
    let said = told(&|_, events| events[3].suspense_minor += 1);
    assert!(said.iter().any(|it| it.contains("of open exceptions and says -39")), "{said:?}");
    let twice = told(&|_, events| events.push(events[3].clone()));
    assert!(twice.iter().any(|it| it.contains("was never opened")), "{twice:?}");
    let unsealed = told(&|sets, _| sets[1].legs[0].minor -= 1);
    assert!(!unsealed.is_empty());
}

/// Goal: what stands for the rest of a long list is found in the postings. Method: three items,
/// the last exception for two of them; then one that says too much.
#[test]
fn the_rest_of_a_list() {
    use Address::{Net, Suspense};
    let items = || (1..=3).map(|minor| set(minor, &[(Suspense, -minor), (Net, minor)])).collect();
    for (minor, is_good) in [(5, true), (6, false)] {
        let events = vec![
            event(9, 1, opened("item:0:100", Source::Item, 1, &[])),
            event(9, 1 + minor, opened("item:0:101+", Source::Item, minor, &[])),
        ];
        let summed = summed(Cut::Now, (items(), events));
        assert_eq!(summed.differences.is_empty(), is_good, "{:?}", summed.differences);
    }
}
