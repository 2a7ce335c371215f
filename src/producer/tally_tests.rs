//! Tests of the tally: every kind of wrong answer must be found and named.

use super::{
    cards::{Cards, Settings},
    crowd::{Choice, Crowd},
    fold::Fold,
    life::Mix,
    oracle::Judge,
    samples::Samples,
    tally::Tally,
};
use crate::domain::{
    command::CommandKind,
    event::{AccountEvent, CommandDeclined, Event, MessageRepeated},
    money::Currency,
    reason::Reason,
    time::LogTime,
};

type Spoil = fn(&Event) -> bool;
type Change = fn(AccountEvent) -> Vec<AccountEvent>;

fn with(mut event: AccountEvent, change: impl FnOnce(&mut AccountEvent)) -> Vec<AccountEvent> {
    change(&mut event);
    vec![event]
}

/// Goal: each kind of wrong answer is found and named. Method: 2,000 commands through a fold,
/// one event of a kind spoilt; the lines that must then be broken. The last case spoils none.
#[test]
fn wrong_answers_are_named() {
    let presented: Spoil = |event| matches!(event, Event::PaymentPresented(_));
    let authorised: Spoil = |event| matches!(event, Event::PaymentAuthorised(_));
    let cases: [(&str, Spoil, Change, &[&str]); 10] = [
        ("lost", presented, |_| vec![], &["messages with one final", "a booked balance"]),
        ("doubled", presented, |e| vec![e.clone(), e], &["a message has two final"]),
        ("lost repeat", |e| matches!(e, Event::MessageRepeated(_)), |_| vec![], &["repeats"]),
        (
            "repeat too many",
            |e| matches!(e, Event::MessageRepeated(_)),
            |e| vec![e.clone(), e],
            &["a repeated answer"],
        ),
        (
            "conflict taken for a repeat",
            |e| matches!(e, Event::MessageConflicted(_)),
            |e| {
                with(e, |e| {
                    let (kind, payment_id) = (CommandKind::Authorise, None);
                    e.body = Event::MessageRepeated(MessageRepeated {
                        kind,
                        payment_id,
                        accepted_minor: 0,
                        reason: None,
                    });
                })
            },
            &["changed repeats in conflict", "a repeated answer"],
        ),
        (
            "amount one off",
            presented,
            |e| {
                with(e, |e| {
                    if let Event::PaymentPresented(event) = &mut e.body {
                        event.presented_minor += 1;
                    }
                })
            },
            &["an amount is not the one"],
        ),
        (
            "booked one off",
            presented,
            |e| {
                with(e, |e| {
                    if let Some(after) = &mut e.balances {
                        after.booked_minor += 1;
                    }
                })
            },
            &["a booked balance is not"],
        ),
        (
            "held one off",
            authorised,
            |e| {
                with(e, |e| {
                    if let Some(after) = &mut e.balances {
                        after.held_minor += 1;
                    }
                })
            },
            &["a held balance is not"],
        ),
        (
            "presentment declined",
            presented,
            |e| {
                with(e, |e| {
                    e.body = Event::CommandDeclined(CommandDeclined {
                        kind: CommandKind::Present,
                        amount_minor: 1,
                        reason: Reason::InsufficientFunds,
                    });
                })
            },
            &["a message that must be accepted", "booked by all messages"],
        ),
        ("nothing", |_| false, |e| vec![e], &[]),
    ];
    for (name, hit, change, names) in cases {
        let settings = Settings {
            crowd: Crowd {
                run: "r".into(),
                accounts: 3,
                currency: Currency::parse("CAD").unwrap(),
                opening_minor: 100_000_000,
                with_frozen: true,
                start: LogTime(1),
            },
            choice: Choice::Uniform,
            mix: Mix::default(),
            seed: 5,
            day_ms: 100,
            spacing_us: 1_000,
        };
        let cards = Cards::new(settings, Samples::few());
        let (mut fold, mut tally, mut spoilt) = (Fold::default(), Tally::new(), false);
        let commands: Vec<_> = cards.openings().collect();
        for command in commands.into_iter().chain(cards.take(2_000)) {
            tally.sent(&command);
            let event = fold.command(command);
            let now = !spoilt && hit(&event.body);
            spoilt |= now;
            let events = if now { change(event) } else { vec![event] };
            events.iter().for_each(|event| tally.observe(event));
        }
        let lines = tally.verdict();
        let broken: Vec<_> = lines.iter().filter(|line| !line.ok).collect();
        for start in names {
            assert!(broken.iter().any(|line| line.name.starts_with(start)), "{name}: {broken:?}");
        }
        assert_eq!(broken.is_empty(), names.is_empty(), "{name}: {broken:?}");
    }
}
