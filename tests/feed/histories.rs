//! Random histories through authorisation and then the feed.

use crate::{
    desk::Desk,
    drawn::Histories,
    driver::{rules, wire},
    events::Upstream,
    model::{Verdict, must},
    moves::Move,
};
use std::collections::BTreeMap;
use tapline::domain::{
    account::{CardStatus, HolderRole},
    event::{AccountEvent, CardChanged, Event, HolderChanged},
    feed::{FeedBody, FeedRecord},
};

const HISTORIES: Histories =
    Histories { test: "feed", moves: 250, quick: 40, ci: 500, night: 20_000 };

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
fn rows_are_lines(desk: &Desk) -> Verdict {
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

fn play(moves: &[Move], came: &mut Came) -> Verdict {
    let mut upstream = Upstream::default();
    let mut desk = Desk::new(rules());
    let mut forgetful = Desk::new(rules());
    forgetful.forgetful = true;
    let mut latest = None;
    for one in moves {
        let mut records = upstream.play(one)?;
        let is_event = |record: &&AccountEvent| !matches!(record.body, Event::Tick(_));
        latest = records.iter().rfind(is_event).cloned().or(latest);
        records.extend(people(one, latest.as_ref()));
        for record in &records {
            desk.take(record)?;
            forgetful.take(record)?;
        }
    }
    rows_are_lines(&desk)?;
    let same = desk.records == forgetful.records
        && desk.sides == forgetful.sides
        && desk.head == forgetful.head;
    must!(same, "a saved and loaded head decides otherwise");
    came.count(&desk);
    Ok(())
}

/// Goal: P9: for every event and everybody who is of the audience at that position exactly one
/// item, for nobody else, in versions without a gap and with the event's balances; one row for each
/// line; saving and loading head and side rows before any record changes nothing. Method: see
/// `watcher`.
#[test]
fn histories_show_everything_once() {
    let mut came = Came::default();
    if HISTORIES.play(|_, moves| play(moves, &mut came)).is_none() {
        return;
    }
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
