//! A month's sheet from postings made by hand.

use super::*;
use crate::domain::{
    ledger::{BalanceAfter, Leg},
    time::DAY_MS,
};

fn czk() -> Currency {
    Currency::parse("CZK").expect("a code")
}

/// A set of an account that stands at (cust, held) before it.
fn set(
    day: i64,
    kind: PostingKind,
    payment: Option<&str>,
    legs: &[(Address, i64)],
    before: &mut (i64, i64),
) -> PostingSet {
    let legs: Vec<Leg> = legs
        .iter()
        .map(|(address, minor)| Leg { address: *address, currency: czk(), minor: *minor })
        .collect();
    let mut after = Vec::new();
    for (address, balance) in [(Address::Cust, &mut before.0), (Address::Held, &mut before.1)] {
        let own: Vec<i64> =
            legs.iter().filter(|leg| leg.address == address).map(|leg| leg.minor).collect();
        *balance += own.iter().sum::<i64>();
        if !own.is_empty() {
            let network = "".into();
            after.push(BalanceAfter { address, network, currency: czk(), minor: *balance });
        }
    }
    PostingSet {
        account_id: "acc-1".into(),
        log_time: LogTime(day * DAY_MS),
        kind,
        payment_id: payment.map(Into::into),
        message_id: Some("m-1".into()),
        network: "".into(),
        cycle: None,
        legs,
        after,
        text: "shop".into(),
        rules_version: 1,
    }
}

/// January 1970: 1000 in. February: two payments approved, one of them paid with 20 over, one
/// still held. March: the other ends.
fn history() -> Vec<PostingSet> {
    use Address::{Cust, Held, Net, Nostro};
    use PostingKind::{Approve, Credit, Present, Release};
    let mut at = (0, 0);
    vec![
        set(5, Credit, None, &[(Nostro, -1_000), (Cust, 1_000)], &mut at),
        set(32, Approve, Some("p-1"), &[(Cust, -300), (Held, 300)], &mut at),
        set(33, Approve, Some("p-2"), &[(Cust, -50), (Held, 50)], &mut at),
        set(40, Present, Some("p-1"), &[(Held, -300), (Net, 300), (Cust, -20), (Net, 20)], &mut at),
        set(65, Release, Some("p-2"), &[(Held, -50), (Cust, 50)], &mut at),
    ]
}

fn closed(month: &str, sets: &[PostingSet], head: Option<Standing>) -> Closed {
    let mut sheet = Sheet::new(month.parse().expect("a month"), head);
    for (event, set) in (0..).zip(sets) {
        sheet.take(Some(event), set);
    }
    sheet.close()
}

/// Goal: a month shows what was booked in it, and only that; what is held stands apart. Method: a
/// short life of an account, month by month.
#[test]
fn months() {
    let head = Some(Standing { position: 4, booked_minor: 680, held_minor: 0 });
    for (month, opening, lines, closing, pending) in [
        ("1969-12", 0, vec![], 0, vec![]),
        ("1970-01", 0, vec![1_000], 1_000, vec![]),
        ("1970-02", 1_000, vec![-320], 680, vec![("p-2", 50)]),
        ("1970-03", 680, vec![], 680, vec![]),
        ("1970-04", 680, vec![], 680, vec![]),
    ] {
        let closed = closed(month, &history(), head);
        let amounts: Vec<i64> = closed.lines.iter().map(|line| line.amount_minor).collect();
        let held: Vec<(&str, i64)> =
            closed.pending.iter().map(|it| (it.payment_id.as_str(), it.held_minor)).collect();
        assert_eq!(closed.differences, Vec::<String>::new(), "{month}");
        assert_eq!((closed.opening_minor, closed.closing_minor), (opening, closing), "{month}");
        assert_eq!((amounts, held), (lines, pending), "{month}");
        assert_eq!(closed.lines.last().map_or(closing, |line| line.balance_minor), closing);
    }
}

/// Goal: money that does not add up is told. Method: one change each: a leg, a carried balance, a
/// posting left out, another row, a second currency; a row that is behind the log is right.
#[test]
fn what_does_not_add_up() {
    let sets = history();
    let told = |sets: &[PostingSet], head| closed("1970-02", sets, head).differences;
    let mut leg = sets.clone();
    leg[3].legs[2].minor += 1;
    assert!(told(&leg, None).len() == 2, "{:?}", told(&leg, None));
    let mut balance = sets.clone();
    balance[2].after[1].minor -= 1;
    assert!(told(&balance, None)[0].contains("does not lead"));
    let mut gap = sets.clone();
    gap.remove(1);
    assert!(told(&gap, None).iter().any(|it| it.contains("does not lead")));
    let row =
        |position, booked_minor, held_minor| Some(Standing { position, booked_minor, held_minor });
    assert!(told(&sets, row(4, 681, 0))[0].contains("the account's row has booked 681"));
    assert_eq!(told(&sets, row(2, 1_000, 350)), Vec::<String>::new());
    let mut foreign = sets;
    foreign[0].legs[1].currency = Currency::parse("EUR").expect("a code");
    assert!(told(&foreign, None)[0].contains("of EUR and of CZK"));
}

/// Goal: a month is written in one way only. Method: a table, both ways.
#[test]
fn month_texts() {
    for text in ["1993-05", "0001-01", "2026-12"] {
        assert_eq!(text.parse::<Month>().map(|month| month.to_string()), Ok(text.to_owned()));
    }
    let day: Month = "1993-12".parse().expect("a month");
    assert_eq!(Month(LogTime(8_765 * DAY_MS).month()), day);
    for text in ["", "1993", "1993-13", "1993-00", "93-05", "1993-5", "1993-+5", "1993-05-01"] {
        assert!(text.parse::<Month>().is_err(), "{text}");
    }
}
