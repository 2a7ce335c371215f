//! Tests of the real card data as clearing batches, against the publishers' own totals.

use super::published::{self, Batch};
use crate::domain::{
    event::{AccountEvent, Event},
    ids::{AccountId, MessageId},
};
use crate::producer::{
    city::City,
    council::Council,
    dated::{Planned, Play, Step},
    fold::Fold,
    oracle::Judge,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// A ledger in which the accounts are open.
fn opened(openings: Vec<Planned>) -> Fold {
    let mut fold = Fold::default();
    for step in Play::new(openings) {
        if let Step::Command(command) = step {
            fold.command(command);
        }
    }
    fold
}

fn import(fold: &mut Fold, batches: &[Batch]) -> Vec<AccountEvent> {
    let commands = batches.iter().flat_map(|batch| &batch.commands);
    commands.map(|command| fold.command(command.clone())).collect()
}

/// (booked, answered again, in conflict)
fn counted(events: &[AccountEvent]) -> (usize, usize, usize) {
    let count = |of: fn(&Event) -> bool| events.iter().filter(|event| of(&event.body)).count();
    (
        count(|it| matches!(it, Event::PaymentPresented(_) | Event::PaymentRefunded(_))),
        count(|it| matches!(it, Event::MessageRepeated(_))),
        count(|it| matches!(it, Event::MessageConflicted(_))),
    )
}

/// Goal: imported as one batch a posting day, the city's rows are booked once and every total of
/// the publisher ties. Method: its control totals over a fold; the day that came twice is looked at
/// alone; then everything once more.
#[test]
fn city_batches_tie() {
    let city = City::read(&folder("toronto-pcard")).unwrap();
    let batches = published::city(&city);
    let names: BTreeSet<&str> = batches.iter().map(|it| &*it.checked.header.file_id).collect();
    assert_eq!(names.len(), batches.len(), "a batch's name is its own");
    let days: BTreeSet<_> = batches.iter().map(|it| it.checked.header.business_date).collect();
    assert_eq!((days.len(), batches.len()), (101, 102));
    let lines: u64 = batches.iter().map(|it| it.checked.lines).sum();
    assert_eq!(lines, 19_941);
    let owed_minor: i64 = batches.iter().map(|it| it.checked.owed_minor).sum();
    assert_eq!(owed_minor, 607_165_736, "both deliveries, as the publisher's months count them");

    let (mut fold, mut oracle) = (opened(city.openings()), city.oracle());
    let twice = "2016-10-posted-2016-10-03";
    for batch in &batches {
        let events = import(&mut fold, std::slice::from_ref(batch));
        let booked = match &*batch.checked.header.file_id {
            name if name == twice => (0, 352, 15),
            _ => (batch.commands.len(), 0, 0),
        };
        assert_eq!(counted(&events), booked, "{}", batch.checked.header.file_id);
        events.iter().for_each(|event| oracle.observe(event));
    }
    let again = import(&mut fold, &batches);
    assert_eq!(counted(&again), (0, 19_574 + 352, 15));
    // A clearing file brings no authorisations, and the second import is one more play.
    let lines = oracle.verdict();
    let broken: Vec<&str> = lines.iter().filter(|it| !it.ok).map(|it| it.name.as_str()).collect();
    assert_eq!(broken, ["authorisations approved"]);
    for (name, then) in [
        ("control totals that tie", "4074"),
        ("sum of the months", "6071657.36"),
        ("booked balance of all accounts", "-5963578.56"),
    ] {
        let line = lines.iter().find(|line| line.name.starts_with(name)).expect(name);
        assert_eq!(line.found, then, "{name}");
    }
}

/// Goal: importing what was played, or playing what was imported, moves nothing. Method: the play's
/// presentments and refunds are the batches' commands.
#[test]
fn batches_say_what_a_play_says() {
    for (play, batches) in [
        (
            City::read(&folder("toronto-pcard")).unwrap().play(),
            published::city(&City::read(&folder("toronto-pcard")).unwrap()),
        ),
        (
            Council::read(&folder("birmingham-pcard")).unwrap().play(),
            published::council(&Council::read(&folder("birmingham-pcard")).unwrap()),
        ),
    ] {
        let played = play.filter_map(|step| match step {
            Step::Command(command) => Some(command),
            Step::Tick(_) => None,
        });
        let mut known: BTreeMap<MessageId, Vec<_>> = BTreeMap::new();
        for command in played {
            known.entry(command.message_id.clone()).or_default().push(command);
        }
        let commands = batches.iter().flat_map(|batch| &batch.commands);
        assert!(commands.clone().count() > 14_000);
        for command in commands {
            assert!(known[&command.message_id].contains(command), "{command:?}");
        }
    }
}

/// Goal: one month is one batch, all of its rows are booked, look-alikes too. Method: the README's
/// counts; each account's sum by the rows; the same month again.
#[test]
fn council_batches_tie() {
    let council = Council::read(&folder("birmingham-pcard")).unwrap();
    let batches = published::council(&council);
    let said: Vec<_> =
        batches.iter().map(|it| (&*it.checked.header.file_id, it.checked.lines)).collect();
    assert_eq!(said, [("2017-09", 4_598), ("2017-10", 4_655), ("2017-11", 5_205)]);
    let refunds: u64 = batches.iter().map(|it| it.checked.kinds[2].lines).sum();
    assert_eq!(refunds, 610);
    let mut fold = opened(council.openings());
    let events = import(&mut fold, &batches);
    assert_eq!(counted(&events), (14_458, 0, 0));
    let mut sums: BTreeMap<AccountId, i64> = BTreeMap::new();
    for payment in &council.payments {
        *sums.entry(payment.account()).or_default() -= payment.amount_minor;
    }
    let last: BTreeMap<AccountId, i64> = events
        .iter()
        .filter_map(|event| Some((event.account_id.clone(), event.balances?.booked_minor)))
        .collect();
    assert_eq!(last, sums);
    assert_eq!(counted(&import(&mut fold, &batches)), (0, 14_458, 0));
}
