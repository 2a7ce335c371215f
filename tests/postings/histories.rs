//! Random histories through authorisation and then posting.

use crate::{
    desk::{Desk, kinds},
    drawn::Histories,
    driver::rules,
    events::Upstream,
    model::{Verdict, must},
    moves::{Move, picked},
};
use std::collections::BTreeMap;
use tapline::domain::{
    cycle::{Day, Weekday},
    event::{AccountEvent, Event, SettlementAmount},
    ledger::PostingKind,
    money::Currency,
    rules::{Fee, InterchangeRule, Rules, SettlementRule},
};

const HISTORIES: Histories =
    Histories { test: "postings", moves: 250, quick: 40, ci: 500, night: 20_000 };

/// Calendars and fees drawn from a few numbers; always rules that the checks would pass.
fn drawn(seed: u64) -> Rules {
    use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
    let mut rules = rules();
    let currency = |text| Currency::parse(text).expect("three letters");
    let draw = |turn: u32, end: u64| seed.rotate_left(turn * 11).wrapping_mul(0x9E37_79B9) % end;
    for (turn, rule) in (0..).zip(&mut rules.settlement) {
        let mut minutes: Vec<i32> =
            (0..1 + draw(turn, 5)).map(|n| 1 + draw(turn + n as u32 + 1, 1_440) as i32).collect();
        minutes.sort_unstable();
        minutes.dedup();
        rule.cutoff_minutes = minutes;
        rule.weekdays = picked(
            &[vec![Mon, Tue, Wed, Thu, Fri, Sat, Sun], vec![Mon, Tue, Wed, Thu, Fri], vec![Wed]],
            draw(turn + 3, 9) as u16,
        );
        let first = 20_454 + draw(turn, 40) as i32;
        rule.holidays = vec![Day(first), Day(first + 1), Day(first + 9)];
        let fee = Fee { basis_points: draw(turn, 500) as i64, fixed_minor: draw(turn, 3) as i64 };
        rule.interchange = vec![
            InterchangeRule { merchant_categories: vec![5411], fee },
            InterchangeRule { merchant_categories: vec![], fee: Fee { fixed_minor: 0, ..fee } },
        ];
        rule.scheme_fee = (turn % 2 == 0).then_some(fee);
    }
    let dollars = SettlementRule {
        network: "visa".into(),
        currencies: vec![currency("USD")],
        ..rules.settlement[0].clone()
    };
    rules.settlement.push(dollars);
    rules
}

/// Some purchases settle in dollars, as authorisation says where the rules make it so.
fn exchanged(mut event: AccountEvent, one: &Move) -> AccountEvent {
    let usd = Currency::parse("USD").expect("three letters");
    let amount = Some(SettlementAmount { minor: i64::from(one.amount) + 1, currency: usd })
        .filter(|_| one.options % 8 == 1);
    match &mut event.body {
        Event::PaymentAuthorised(e) if e.taken_minor > 0 => e.settlement = amount,
        Event::PaymentPresented(e) if e.presented_minor > 0 => e.settlement = amount,
        Event::PaymentRefunded(e) => e.settlement = amount,
        _ => {}
    }
    event
}

/// What came up, so that an empty pass cannot look like a good one.
#[derive(Default, Debug)]
struct Came {
    kinds: BTreeMap<PostingKind, usize>,
    /// Of more than one item.
    parts: usize,
}

fn play(seed: u64, moves: &[Move], came: &mut Came) -> Verdict {
    let mut upstream = Upstream::default();
    let mut desk = Desk::new(drawn(seed));
    let mut forgetful = Desk::new(drawn(seed));
    forgetful.forgetful = true;
    for one in moves {
        for event in upstream.play(one)? {
            let record = exchanged(event, one);
            desk.take(&record)?;
            forgetful.take(&record)?;
        }
    }
    desk.check_sealed()?;
    let same = desk.sets == forgetful.sets
        && desk.parts == forgetful.parts
        && desk.heads == forgetful.heads;
    must!(same, "a saved and loaded head decides otherwise");
    for (kind, count) in kinds(&desk.sets) {
        *came.kinds.entry(kind).or_default() += count;
    }
    came.parts += desk.parts.iter().filter(|(_, part)| part.totals.items > 1).count();
    Ok(())
}

/// Goal: after every record of every history all balances sum to 0 per currency, the ledger is what
/// authorisation says, parts are what stands at `net`; sealed parts count again to the same hash;
/// saving and loading any head before any record changes nothing. Method: see `desk`.
#[test]
fn histories_balance() {
    let mut came = Came::default();
    if HISTORIES.play(|seed, moves| play(seed, moves, &mut came)).is_none() {
        return;
    }
    println!("{came:?}");
    // Each kind but `unknown`.
    assert!(came.kinds.len() == 9 && came.kinds.values().all(|count| *count > 20), "{came:?}");
    assert!(came.parts > 100, "{came:?}");
}
