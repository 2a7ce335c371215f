//! Random histories through authorisation and then the feed.

use crate::{
    desk::{Desk, tick_event},
    driver::{KEY, rules, wire},
    moves::Move,
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
        account::{CardStatus, HolderRole},
        event::{AccountEvent, CardChanged, Event, HolderChanged},
        feed::{FeedBody, FeedRecord},
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

/// People come and go far more often than the moves let them.
fn people(one: &Move, latest: Option<&AccountEvent>) -> Option<AccountEvent> {
    let latest = latest.filter(|event| event.balances.is_some())?;
    let customer = |number: u8| format!("customer-{}", number % 5).into();
    let body = match one.payment % 16 {
        0 | 1 => Event::HolderChanged(HolderChanged {
            customer_id: customer(one.kind),
            role: if one.amount % 2 == 0 { HolderRole::Owner } else { HolderRole::Disponent },
            removed: one.amount % 3 == 0,
        }),
        2 => Event::CardChanged(CardChanged {
            card_token: format!("card-{}", [0, 1, 9][usize::from(one.kind) % 3]).into(),
            customer_id: customer((one.amount % 7) as u8),
            status: CardStatus::Active,
            last_four: "1234".into(),
        }),
        _ => return None,
    };
    Some(AccountEvent { message_id: None, body, ..latest.clone() })
}

/// What came up, so that an empty pass cannot look like a good one.
#[derive(Default, Debug)]
struct Came {
    words: BTreeMap<String, usize>,
    items: usize,
    holdings: usize,
    events: usize,
    reads: usize,
    recalls: usize,
}

impl Came {
    fn count(&mut self, desk: &Desk) {
        self.items += desk.watcher.items;
        self.holdings += desk.watcher.holdings;
        self.events += desk.offset as usize;
        self.reads += desk.reads;
        self.recalls += desk.recalls;
        for record in &desk.records {
            if let FeedBody::Item(item) = &record.body {
                for word in [wire(item.kind), wire(item.status), wire(item.change)] {
                    *self.words.entry(word).or_default() += 1;
                }
                if item.possible_duplicate {
                    *self.words.entry("duplicate".into()).or_default() += 1;
                }
            }
        }
    }
}

/// One row for each line of a customer, with the newest version that they ever got.
fn rows_are_lines(desk: &Desk) -> Result<(), String> {
    let name = |record: &FeedRecord| match &record.body {
        FeedBody::Item(item) => (record.customer_id.clone(), item.item_id.clone(), item.version),
        _ => (record.customer_id.clone(), "".into(), 0),
    };
    let mut newest = BTreeMap::new();
    for record in &desk.records {
        let (customer, line, version) = name(record);
        newest.insert((customer, line), version);
    }
    if newest.len() != desk.rows.len() {
        return Err(format!("{} lines, {} rows", newest.len(), desk.rows.len()));
    }
    for (row, record) in &desk.rows {
        let (customer, line, version) = name(record);
        if newest[&(customer.clone(), line)] != version || *row.key != *customer.as_str() {
            return Err(format!("an old version in {row:?}"));
        }
    }
    Ok(())
}

fn play(seed: u64, came: &RefCell<Came>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result = TestRunner::new_with_rng(config, rng).run(&moves(), |moves| {
        let mut player = Player::default();
        let mut desk = Desk::new(rules());
        let mut forgetful = Desk::new(rules());
        forgetful.forgetful = true;
        let mut read = 0;
        let mut latest: Option<AccountEvent> = None;
        for (number, one) in moves.iter().enumerate() {
            player.play(one).map_err(TestCaseError::fail)?;
            let mut records = Vec::new();
            // The first records come before the first tick.
            if number > 5 {
                records.push(tick_event(player.clock));
            }
            for output in &player.outputs[read..] {
                if let Output::Event(event) = output {
                    assert_eq!(event.account_id.as_str(), KEY);
                    records.push(event.clone());
                    latest = Some(event.clone());
                }
            }
            records.extend(people(one, latest.as_ref()));
            read = player.outputs.len();
            for record in &records {
                desk.take(record).map_err(TestCaseError::fail)?;
                forgetful.take(record).map_err(TestCaseError::fail)?;
            }
        }
        rows_are_lines(&desk).map_err(TestCaseError::fail)?;
        let same = desk.records == forgetful.records
            && desk.sides == forgetful.sides
            && desk.head == forgetful.head;
        if !same {
            return Err(TestCaseError::fail("a saved and loaded head decides otherwise"));
        }
        came.borrow_mut().count(&desk);
        Ok(())
    });
    if let Err(breach) = result {
        panic!("{breach}\nagain: TAPTEST_SEED={seed} cargo test --test feed");
    }
}

/// Goal: P9: for every event and everybody who is of the audience at that position exactly one
/// item, for nobody else, in versions without a gap and with the event's balances; one row for each
/// line; saving and loading head and side rows before any record changes nothing. Method: see
/// `watcher`.
#[test]
fn histories_show_everything_once() {
    let came = RefCell::default();
    if let Ok(seed) = env::var("TAPTEST_SEED") {
        play(seed.parse().expect("TAPTEST_SEED is a number"), &came);
        return;
    }
    for seed in 0..histories() {
        play(seed, &came);
    }
    let came = came.into_inner();
    println!("{came:?}");
    for word in [
        "purchase",
        "refund",
        "verification",
        "credit",
        "debit",
        "pending",
        "partly_cleared",
        "cleared",
        "declined",
        "reversed",
        "expired",
        "partly_refunded",
        "refunded",
        "announced",
        "booked",
        "verified",
        "authorised",
        "incremented",
        "presented",
        "presentment_reversed",
        "refund_announced",
        "duplicate",
    ] {
        assert!(came.words.get(word).is_some_and(|count| *count > 10), "{word}: {came:?}");
    }
    assert!(came.items > 1_000 && came.holdings > 300 && came.recalls > 20, "{came:?}");
}
