//! Random histories through authorisation and then posting.

use crate::{
    desk::{Desk, kinds, tick_event},
    driver::rules,
    moves::{Move, picked},
    player::Player,
};
use proptest::{
    collection::vec,
    prelude::any,
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use std::{cell::RefCell, collections::BTreeMap, env};
use tapline::{
    domain::{
        cycle::{Day, Weekday},
        event::{AccountEvent, Event, SettlementAmount},
        ledger::PostingKind,
        money::Currency,
        rules::{Fee, InterchangeRule, Rules, SettlementRule},
    },
    stages::authorisation::Output,
};

const COMMANDS: usize = 250;

fn histories() -> u64 {
    match env::var("TAPTEST_SIZE").as_deref() {
        Ok("night") => 20_000,
        Ok("ci") => 500,
        Ok("quick") | Err(_) => 40,
        Ok(other) => panic!("TAPTEST_SIZE is quick, ci or night, not {other}"),
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = any::<(u8, u8, u16, u16)>().prop_map(|(kind, payment, amount, options)| Move {
        kind,
        payment,
        amount,
        options,
    });
    vec(one, COMMANDS)
}

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
fn exchanged(event: &AccountEvent, one: &Move) -> AccountEvent {
    let mut event = event.clone();
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

fn play(seed: u64, seen: &RefCell<BTreeMap<PostingKind, usize>>, parts: &RefCell<usize>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result = TestRunner::new_with_rng(config, rng).run(&moves(), |moves| {
        let mut player = Player::default();
        let mut desk = Desk::new(drawn(seed));
        let mut forgetful = Desk::new(drawn(seed));
        forgetful.forgetful = true;
        let mut read = 0;
        for (number, one) in moves.iter().enumerate() {
            player.play(one).map_err(TestCaseError::fail)?;
            let mut records = Vec::new();
            // The first records come before the first tick.
            if number > 5 {
                records.push(tick_event(player.clock));
            }
            for output in &player.outputs[read..] {
                if let Output::Event(event) = output {
                    records.push(exchanged(event, one));
                }
            }
            read = player.outputs.len();
            for record in &records {
                desk.take(record).map_err(TestCaseError::fail)?;
                forgetful.take(record).map_err(TestCaseError::fail)?;
            }
        }
        desk.check_sealed().map_err(TestCaseError::fail)?;
        let same = desk.sets == forgetful.sets
            && desk.parts == forgetful.parts
            && desk.heads == forgetful.heads;
        if !same {
            return Err(TestCaseError::fail("a saved and loaded head decides otherwise"));
        }
        for (kind, count) in kinds(&desk.sets) {
            *seen.borrow_mut().entry(kind).or_default() += count;
        }
        *parts.borrow_mut() += desk.parts.iter().filter(|(_, part)| part.totals.items > 1).count();
        Ok(())
    });
    if let Err(breach) = result {
        panic!("{breach}\nagain: TAPTEST_SEED={seed} cargo test --test postings");
    }
}

/// Goal: after every record of every history all balances sum to 0 per currency, the ledger is what
/// authorisation says, parts are what stands at `net`; sealed parts count again to the same hash;
/// saving and loading any head before any record changes nothing. Method: see `desk`.
#[test]
fn histories_balance() {
    let (seen, parts) = (RefCell::default(), RefCell::default());
    if let Ok(seed) = env::var("TAPTEST_SEED") {
        play(seed.parse().expect("TAPTEST_SEED is a number"), &seen, &parts);
        return;
    }
    for seed in 0..histories() {
        play(seed, &seen, &parts);
    }
    println!("{seen:?} {parts:?}");
    // Each kind but `unknown`, so that an empty pass cannot look like a good one.
    let seen = seen.into_inner();
    assert!(seen.len() == 9 && seen.values().all(|count| *count > 20), "{seen:?}");
    assert!(parts.into_inner() > 100);
}
