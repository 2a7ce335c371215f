//! Corruptions: one change to a good run each, and the id that the auditor must name for it.
//!
//! Owns the table and the tools to change a record as a forger would: read, change, write again,
//! number anew, and compute the chains of the accounts again.

use super::good_run::{PARTITIONS, Rec, Run, codec};
use std::collections::{BTreeMap, HashMap};
use tapline::{
    codec::{
        StageCodec,
        avro::{Avro, RegistryIds},
        frame::{Chain, OutputId, chain},
        schemas::Subject,
    },
    domain::{
        account::{Account, Item},
        command::{AccountCommand, Command, CommandKind},
        event::{
            AccountCredited, AccountEvent, AuthorisationKind, CommandDeclined, Event,
            MessageRepeated, PaymentDeclined,
        },
        money::Currency,
        reason::Reason,
        time::LogTime,
    },
    stages::authorisation::Output,
};

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
    ("row written with a clock's time", "P4", |run| {
        run.heads.get_mut("acc-4").expect("a row").pos += 1;
        "head acc-4".into()
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

fn read(record: &Rec) -> AccountEvent {
    let value = record.value.as_deref().expect("a value");
    Avro::of(Subject::Events).decode(value, &RegistryIds::default()).expect("an event")
}

fn written(event: &AccountEvent) -> Vec<u8> {
    let mut value = Vec::new();
    codec().encode_output(&Output::Event(event.clone()), &mut value);
    value
}

fn is_authorised(event: &AccountEvent) -> bool {
    matches!(event.body, Event::PaymentAuthorised(_))
}

fn is_diverted(declined: &PaymentDeclined) -> bool {
    declined.reason == Reason::Diverted
}

/// The matching event at the lowest log position.
fn find(run: &Run, pick: impl Fn(&AccountEvent) -> bool) -> usize {
    let matching = (0..run.events.len()).filter(|place| pick(&read(&run.events[*place])));
    matching.min_by_key(|place| run.events[*place].source().source.offset).expect("such an event")
}

/// Changes an event and its copies, and the chain after it.
fn edit(
    run: &mut Run,
    pick: impl Fn(&AccountEvent) -> bool,
    change: impl Fn(&mut AccountEvent),
) -> String {
    let id = run.events[find(run, pick)].source();
    for record in run.events.iter_mut().filter(|record| record.source() == id) {
        let mut event = read(record);
        change(&mut event);
        record.value = Some(written(&event));
    }
    forge(run);
    id.to_string()
}

fn drop_event(run: &mut Run, pick: impl Fn(&AccountEvent) -> bool) -> String {
    let id = run.events[find(run, pick)].source();
    run.events.retain(|record| record.source() != id);
    forge(run);
    id.to_string()
}

/// Numbers events and links chains as if nothing had happened.
fn forge(run: &mut Run) {
    for partition in 0..PARTITIONS {
        let mut chains: HashMap<Vec<u8>, (i64, Chain)> = HashMap::new();
        let mut linked: HashMap<OutputId, (i64, Chain)> = HashMap::new();
        let own = run.events.iter_mut().filter(|record| record.partition == partition);
        for (offset, record) in own.enumerate() {
            record.offset = offset as i64;
            if record.header("tapline-seq").is_none() {
                continue;
            }
            let (seq, link) = *linked.entry(record.source()).or_insert_with(|| {
                let latest = chains.entry(record.key.clone().expect("a key")).or_default();
                let value = record.value.as_deref().expect("a value");
                *latest = (latest.0 + 1, chain(&latest.1, value));
                *latest
            });
            record.set_header("tapline-seq", seq.to_string());
            record.set_header("tapline-chain", link.to_string());
        }
    }
}

/// Puts an event after the last of its partition whose id is not above.
fn insert(run: &mut Run, record: Rec) -> String {
    let order = |record: &Rec| {
        let id = record.source();
        (id.source.offset, id.key.unwrap_or_default(), id.index)
    };
    let same = |other: &Rec| other.partition == record.partition;
    let place = run.events.iter().rposition(|other| same(other) && order(other) <= order(&record));
    let id = record.source().to_string();
    run.events.insert(place.expect("an earlier one") + 1, record);
    forge(run);
    id
}

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

fn is_tick(one: &Rec, other: &Rec) -> bool {
    one.header("tapline-seq").is_none() || other.header("tapline-seq").is_none()
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

fn read_command(record: &Rec) -> Option<AccountCommand> {
    let value = record.value.as_deref()?;
    Avro::of(Subject::Commands).decode(value, &RegistryIds::default()).ok()
}

fn rewrite(record: &mut Rec, change: impl Fn(&mut Command)) {
    let mut command = read_command(record).expect("a command");
    change(&mut command.body);
    let mut value = Vec::new();
    codec().encode_output(&Output::Command(command), &mut value);
    record.value = Some(value);
}

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

/// Where a dead letter came from.
fn origin(letter: &Rec) -> String {
    let header = |name: &str| {
        let found = letter.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.clone()).expect("an origin")
    };
    let partition = header("kafka_dlt-original-partition").try_into().expect("4 bytes");
    let offset = header("kafka_dlt-original-offset").try_into().expect("8 bytes");
    format!("{}:{}", i32::from_be_bytes(partition), i64::from_be_bytes(offset))
}
