//! Corruptions: one change to a good run each, and the id that the auditor must name for it.
//!
//! Owns the table and its changes, each made as a forger would: with the tools of `forger`.

use super::{
    forger::{
        drop_event, edit, find, forge, insert, is_authorised, is_diverted, is_tick, origin, read,
        read_command, rewrite, written,
    },
    good_run::{Rec, Run, StoredRow, codec},
};
use std::collections::BTreeMap;
use tapline::{
    codec::{StageCodec, frame::OutputId},
    domain::{
        account::{Account, Item},
        command::{AccountCommand, Command, CommandKind},
        event::{
            AccountCredited, AccountEvent, AuthorisationKind, CommandDeclined, Event,
            MessageRepeated,
        },
        money::Currency,
        reason::Reason,
        time::LogTime,
    },
};

/// Some day of 2023.
const CLOCK_US: i64 = 1_700_000_000_000_000;

/// Changes the run; returns the id that must be named.
pub type Plant = fn(&mut Run) -> String;

/// What is wrong, the invariant that must see it, the change.
pub const CORRUPTIONS: &[(&str, &str, Plant)] = &[
    ("event dropped", "P3", |run| drop_event(run, is_authorised)),
    ("event doubled under another id", "P3", doubled),
    ("copy that differs", "P3", copy_differs),
    ("two events swapped", "P3", swapped),
    ("chain broken", "P3", |run| {
        let place = find(run, is_authorised);
        run.events[place].set_header("tapline-chain", "00000000000000aa".into());
        run.events[place].source().to_string()
    }),
    ("answer to a diverted request dropped", "P3", |run| {
        drop_event(
            run,
            |event| matches!(&event.body, Event::PaymentDeclined(it) if is_diverted(it)),
        )
    }),
    ("credit of a transfer altered", "P3", transfer_altered),
    ("tick not passed on", "P3", |run| {
        drop_event(run, |event| matches!(event.body, Event::Tick(_)) && event.log_time.0 > 0)
    }),
    ("currency changed", "I1", |run| {
        edit(
            run,
            |event| matches!(event.body, Event::PaymentPresented(_)),
            |event| {
                let balances = event.balances.as_mut().expect("balances");
                balances.currency = Currency::parse("USD").expect("three letters");
            },
        )
    }),
    ("booked one minor unit off", "I3", |run| {
        edit(
            run,
            |event| matches!(event.body, Event::AccountCredited(_)),
            |event| {
                event.balances.as_mut().expect("balances").booked_minor += 1;
            },
        )
    }),
    ("less presented than asked", "I3", |run| {
        edit(
            run,
            |event| matches!(&event.body, Event::PaymentPresented(_)),
            |event| {
                if let Event::PaymentPresented(it) = &mut event.body {
                    it.presented_minor -= 1;
                }
            },
        )
    }),
    ("held one minor unit off", "I4", |run| {
        edit(run, is_authorised, |event| {
            event.balances.as_mut().expect("balances").held_minor -= 1;
        })
    }),
    ("hold released twice", "I4", released_twice),
    ("a decline that costs", "I5", |run| {
        edit(
            run,
            |event| matches!(event.body, Event::PaymentDeclined(_)),
            |event| {
                event.balances.as_mut().expect("balances").booked_minor -= 1;
            },
        )
    }),
    ("approved beyond what is available", "I6", |run| {
        let beyond = |event: &AccountEvent| {
            is_authorised(event) && event.balances.is_some_and(|it| it.available_minor() < 0)
        };
        edit(run, beyond, |event| {
            if let Event::PaymentAuthorised(it) = &mut event.body {
                it.kind = AuthorisationKind::Request;
            }
        })
    }),
    ("a presentment above the hold without a reason", "I6", |run| {
        let over = |event: &AccountEvent| {
            let body = &event.body;
            matches!(body, Event::PaymentPresented(it) if it.over_minor > 0)
        };
        edit(run, over, |event| {
            if let Event::PaymentPresented(it) = &mut event.body {
                it.payment.flags.clear();
            }
        })
    }),
    ("a reversal that moves booked", "I8", |run| {
        edit(
            run,
            |event| matches!(event.body, Event::PaymentReversed(_)),
            |event| {
                event.balances.as_mut().expect("balances").booked_minor += 1;
            },
        )
    }),
    ("another answer to a repeat", "I10", |run| {
        let said_yes = |event: &AccountEvent| {
            let body = &event.body;
            matches!(body, Event::MessageRepeated(it) if it.reason.is_none())
        };
        edit(run, said_yes, |event| {
            if let Event::MessageRepeated(it) = &mut event.body {
                it.accepted_minor += 1;
            }
        })
    }),
    ("a changed message taken for a repeat", "I10", |run| {
        edit(
            run,
            |event| matches!(event.body, Event::MessageConflicted(_)),
            |event| {
                event.body = Event::MessageRepeated(MessageRepeated {
                    kind: CommandKind::Authorise,
                    payment_id: None,
                    accepted_minor: 0,
                    reason: None,
                });
            },
        )
    }),
    ("a declined message accepted later", "I11", |run| {
        let said_no = |event: &AccountEvent| {
            let body = &event.body;
            matches!(body, Event::MessageRepeated(it) if it.reason.is_some())
        };
        edit(run, said_no, |event| {
            if let Event::MessageRepeated(it) = &mut event.body {
                it.reason = None;
            }
        })
    }),
    ("a presentment refused", "I12", |run| {
        edit(
            run,
            |event| matches!(event.body, Event::PaymentPresented(_)),
            |event| {
                let (kind, reason) = (CommandKind::Present, Reason::InsufficientFunds);
                event.body =
                    Event::CommandDeclined(CommandDeclined { kind, amount_minor: 1, reason });
            },
        )
    }),
    ("a counter fell", "I13", |run| {
        let of_a_hold = |event: &AccountEvent| {
            matches!(&event.body, Event::PaymentPresented(it)
                if it.payment.counters.approved_minor > 0)
        };
        edit(run, of_a_hold, |event| {
            if let Event::PaymentPresented(it) = &mut event.body {
                it.payment.counters.approved_minor -= 1;
            }
        })
    }),
    ("a hold open past its deadline", "I14", |run| {
        drop_event(run, |event| matches!(event.body, Event::HoldExpired(_)))
    }),
    ("log time runs back", "I14", |run| {
        edit(run, is_authorised, |event| event.log_time = LogTime(event.log_time.0 - 1))
    }),
    ("row one position old", "P4", |run| {
        run.heads.insert("acc-3".into(), run.former_heads["acc-3"].clone());
        "head acc-3".into()
    }),
    ("row of another account", "P4", |run| {
        let (image, pos) = (run.heads["acc-3"].image.clone(), run.heads["acc-3"].pos);
        let row = run.heads.get_mut("acc-1").expect("a row");
        (row.image, row.pos) = (image, pos);
        "head acc-1".into()
    }),
    ("row lost", "P4", |run| {
        run.heads.remove("acc-2");
        "head acc-2".into()
    }),
    ("row one minor unit off", "P4", row_off),
    ("row written with a clock's time", "P4", |run| stamp(run, |_| CLOCK_US - (1 << 51))),
    ("row stamped below its position", "P4", |run| stamp(run, |pos| pos - 1)),
    ("row stamped past the end of the log", "P4", |run| stamp(run, |pos| pos + 1_000_000)),
    ("older row with the newest timestamp", "P4", |run| {
        let pos = run.heads["acc-3"].pos;
        let former = StoredRow { pos, ..run.former_heads["acc-3"].clone() };
        run.heads.insert("acc-3".into(), former);
        "head acc-3".into()
    }),
    ("closed payment with another counter", "P4", side_off),
    ("offset one too high", "P5", |run| {
        let (partition, offset) = *run.committed.last().expect("a commit");
        run.committed.push((partition, offset - 1));
        format!("commit {partition}:{}", offset - 1)
    }),
    ("offset above the end", "P5", |run| {
        run.committed.push((0, 1_000_000));
        "commit 0:1000000".into()
    }),
    ("row in another bucket", "P7", |run| {
        run.heads.get_mut("acc-5").expect("a row").bucket ^= 1;
        "head acc-5".into()
    }),
    ("dead letter with a bit flipped", "P11", |run| {
        run.letters[1].value.as_mut().expect("a value")[15] ^= 1;
        origin(&run.letters[1])
    }),
    ("dead letter lost", "P11", |run| origin(&run.letters.remove(0))),
    ("dead letter of a good record", "P11", |run| {
        let mut letter = run.letters[0].clone();
        letter.offset = run.letters.len() as i64;
        for (name, value) in &mut letter.headers {
            if name == "kafka_dlt-original-offset" {
                *value = Some(3_i64.to_be_bytes().to_vec());
            }
        }
        run.letters.push(letter);
        origin(run.letters.last().expect("just pushed"))
    }),
    ("a diverted credit takes effect", "P11", diverted_acts),
    ("decided though never sent", "P12", |run| {
        let sent = run.journal[20].0.clone();
        run.journal.retain(|line| line.0 != sent);
        run.journal.push((sent.clone(), "never_sent", None));
        sent
    }),
    ("acked and not there", "P12", |run| {
        run.journal.push(("ghost".into(), "acked", None));
        "ghost".into()
    }),
    ("card number in a text", "P14", card_number),
];

// ---------------------------------------------------------------------- events

fn doubled(run: &mut Run) -> String {
    let mut twin = run.events[find(run, is_authorised)].clone();
    let id = OutputId { index: 1, ..twin.source() };
    twin.set_header("tapline-src", id.to_string());
    insert(run, twin)
}

fn copy_differs(run: &mut Run) -> String {
    let is_copy = |record: &Rec| record.header("traceparent").is_some();
    let copies = run.events.iter().enumerate().filter(|(_, record)| is_copy(record));
    let first = copies.min_by_key(|(_, record)| record.source().source.offset);
    let place = first.expect("a copy").0;
    *run.events[place].value.as_mut().expect("a value").last_mut().expect("a byte") ^= 1;
    run.events[place].source().to_string()
}

fn swapped(run: &mut Run) -> String {
    let place = (0..run.events.len() - 1)
        .find(|place| {
            let (one, other) = (&run.events[*place], &run.events[place + 1]);
            one.partition == other.partition && one.key != other.key && !is_tick(one, other)
        })
        .expect("neighbours of two accounts");
    let id = run.events[place].source().to_string();
    run.events.swap(place, place + 1);
    forge(run);
    id
}

/// A second expiry of the same hold at the next tick, consistent with itself.
fn released_twice(run: &mut Run) -> String {
    let place = find(run, |event| matches!(event.body, Event::HoldExpired(_)));
    let (first, key) = (run.events[place].source(), run.events[place].key.clone());
    let partition = first.source.partition;
    let own = run.events.iter().filter(|record| record.partition == partition);
    let ticks = own.clone().filter(|record| record.source().key.as_deref() == Some(""));
    let next = ticks.map(Rec::source).find(|id| id.source.offset > first.source.offset);
    let tick = next.expect("a later tick");
    let before = own
        .filter(|it| it.key == key && it.source().source.offset < tick.source.offset)
        .max_by_key(|record| record.offset)
        .expect("the expiry at least");
    let (balances, mut event) = (read(before).balances, read(&run.events[place]));
    event.balances = balances;
    event.log_time = read(run.events.iter().find(|it| it.source() == tick).expect("it")).log_time;
    if let (Event::HoldExpired(it), Some(balances)) = (&mut event.body, &mut event.balances) {
        it.payment.counters.released_minor += it.released_minor;
        balances.held_minor -= it.released_minor;
    }
    let mut twin = run.events[place].clone();
    let name = String::from_utf8(key.expect("a key")).expect("text");
    let taken = |id: &OutputId| id.source == tick.source && id.key.as_deref() == Some(&*name);
    let index = run.events.iter().filter(|record| taken(&record.source())).count() as i32;
    let id = OutputId { source: tick.source, key: Some(name.as_str().into()), index };
    twin.set_header("tapline-src", id.to_string());
    twin.value = Some(written(&event));
    insert(run, twin)
}

/// The account waits behind a dead letter, and a credit of it is booked all the same.
fn diverted_acts(run: &mut Run) -> String {
    let waits = |record: &&Rec| {
        matches!(read_command(record), Some(AccountCommand { body: Command::Credit(it), .. })
            if &*it.text == "waits too")
    };
    let cause = run.commands.iter().find(waits).expect("a credit that waits").clone();
    let command = read_command(&cause).expect("a command");
    let before = run
        .events
        .iter()
        .rfind(|it| it.key == cause.key && it.source().source.offset < cause.offset);
    let before = before.expect("an earlier event");
    let (mut event, mut record) = (read(before), before.clone());
    event.message_id = Some(command.message_id);
    if let (Command::Credit(it), Some(balances)) = (command.body, &mut event.balances) {
        balances.booked_minor += it.amount_minor;
        let (kind, amount_minor, text) = (it.kind, it.amount_minor, it.text);
        event.body = Event::AccountCredited(AccountCredited { kind, amount_minor, text });
    }
    let mut id = OutputId { key: None, index: 0, ..before.source() };
    id.source.offset = cause.offset;
    record.set_header("tapline-src", id.to_string());
    record.value = Some(written(&event));
    insert(run, record)
}

// -------------------------------------------------------------------- commands

fn transfer_altered(run: &mut Run) -> String {
    let ids: BTreeMap<i64, OutputId> = run
        .commands
        .iter()
        .filter(|record| record.header("tapline-src").is_some())
        .map(|record| (record.source().source.offset, record.source()))
        .collect();
    let id = ids.values().next().expect("a transfer").clone();
    let of_it = |record: &&mut Rec| record.header("tapline-src") == Some(id.to_string());
    for record in run.commands.iter_mut().filter(of_it) {
        rewrite(record, |body| {
            if let Command::Credit(it) = body {
                it.amount_minor += 1;
            }
        });
    }
    id.to_string()
}

fn card_number(run: &mut Run) -> String {
    let salary = |record: &&mut Rec| {
        matches!(read_command(record), Some(AccountCommand { body: Command::Credit(it), .. })
            if &*it.text == "salary")
    };
    let record = run.commands.iter_mut().find(salary).expect("a credit");
    rewrite(record, |body| {
        if let Command::Credit(it) = body {
            it.text = "for 4111 1111 1111 1111".into();
        }
    });
    format!("payments.commands.v1 {}:{}", record.partition, record.offset)
}

// ------------------------------------------------------------- rows and letters

/// A head's write timestamp becomes that of another position.
fn stamp(run: &mut Run, of: fn(i64) -> i64) -> String {
    let row = run.heads.get_mut("acc-4").expect("a row");
    row.pos = of(row.pos);
    "head acc-4".into()
}

fn row_off(run: &mut Run) -> String {
    let row = run.heads.get_mut("acc-0").expect("a row");
    let mut image = codec().decode_row(&row.image).expect("a row of ours");
    let state: &mut Account = &mut image.state;
    state.standing.booked_minor += 1;
    row.image.clear();
    codec().encode_row(&image, &mut row.image);
    "head acc-0".into()
}

fn side_off(run: &mut Run) -> String {
    let of_payment = |item: &Option<String>| item.as_deref().is_some_and(|it| it.starts_with("p:"));
    let payments = run.sides.iter_mut().filter(|row| of_payment(&row.item));
    let row = payments.min_by_key(|row| (row.pos, row.partition)).expect("a closed payment");
    let Ok(Item::Payment(mut payment)) = codec().decode_side(&row.image) else {
        panic!("not a payment: {row:?}");
    };
    payment.counters.refunded_minor += 1;
    row.image.clear();
    codec().encode_side(&Item::Payment(payment), &mut row.image);
    format!("side {} {}", row.key, row.item.as_deref().unwrap_or_default())
}
