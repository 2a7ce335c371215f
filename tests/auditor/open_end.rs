//! Ends of a log whose last records an owner took and left: what may be missing there, what may not.
//!
//! Owns the worlds, each the good run with more records in partition 0 and what was made of them.
//! Commands are clean in none of them: a pipeline that owes decisions is not at rest.

use super::{
    forger::{insert, read, read_command, written},
    good_run::{INCARNATION, Rec, Run, codec, tick_command},
};
use tapline::{
    codec::{
        StageCodec,
        frame::{OutputId, SourcePos},
    },
    domain::{
        command::{AccountCommand, Command, Credit, CreditKind, Debit, DebitKind, Tick},
        event::{AccountDebited, Event},
        money::Currency,
        time::{DAY_MS, LogTime},
    },
    stages::authorisation::Output,
};

/// What the auditor must find.
pub enum Finding {
    Nothing,
    NotAtRest,
    /// The invariant, and what the id begins with.
    Breach(&'static str, String),
}
use Finding::{Breach, NotAtRest, Nothing};

type World = fn(&mut Run) -> Finding;

pub const WORLDS: &[(&str, World)] = &[
    ("tick not passed on yet", |run| {
        tick(run, 1);
        Nothing
    }),
    ("two of them, the first one committed", |run| {
        let first = tick(run, 1);
        tick(run, 1);
        run.committed.push((0, first));
        Nothing
    }),
    ("tick below the commit not passed on", |run| {
        let first = tick(run, 1);
        let second = tick(run, 1);
        run.committed.push((0, second));
        Breach("P3", id(first, ":"))
    }),
    ("tick not passed on, and a later one was", |run| {
        let first = tick(run, 1);
        let second = tick(run, 1);
        pass_on(run, second);
        Breach("P3", id(first, ":"))
    }),
    ("tick not passed on, and a row stands at it", |run| {
        let first = tick(run, 1);
        let key = account(run);
        let row = run.heads.get_mut(&key).expect("its row");
        let mut image = codec().decode_row(&row.image).expect("a row of ours");
        (image.pos, row.pos) = (first, first);
        row.image.clear();
        codec().encode_row(&image, &mut row.image);
        Breach("P3", id(first, ":"))
    }),
    ("tick passed on, its holds not ended yet", |run| {
        let far = tick(run, 400 * DAY_MS);
        pass_on(run, far);
        Nothing
    }),
    ("tick passed on, its holds never ended", |run| {
        let far = tick(run, 400 * DAY_MS);
        pass_on(run, far);
        let later = tick(run, 1);
        pass_on(run, later);
        Breach("I14", id(far, ":"))
    }),
    ("command not answered yet", |run| {
        credit(run);
        NotAtRest
    }),
    ("command not answered, and a later tick passed on", |run| {
        let asked = credit(run);
        let later = tick(run, 1);
        pass_on(run, later);
        Breach("P3", id(asked, ""))
    }),
    ("command below the commit not answered", |run| {
        let asked = credit(run);
        let later = tick(run, 1);
        run.committed.push((0, later));
        Breach("P3", id(asked, ""))
    }),
    ("bad record without a letter yet", |run| {
        bad(run);
        NotAtRest
    }),
    ("bad record below the commit without a letter", |run| {
        let bad = bad(run);
        let later = tick(run, 1);
        run.committed.push((0, later));
        Breach("P11", format!("0:{bad}"))
    }),
    ("request behind a bad record, neither told nor kept yet", |run| {
        bad(run);
        debit(run, false);
        NotAtRest
    }),
    ("transfer whose credit was not sent yet", |run| {
        debit(run, true);
        NotAtRest
    }),
    ("transfer below the commit without its credit", |run| {
        let debit = debit(run, true);
        let later = tick(run, 1);
        run.committed.push((0, later));
        Breach("P3", OutputId { index: 1, ..output(debit) }.to_string())
    }),
];

fn output(offset: i64) -> OutputId {
    let source = SourcePos { incarnation: INCARNATION, partition: 0, offset };
    OutputId { source, key: None, index: 0 }
}

fn id(offset: i64, key: &str) -> String {
    format!("{}{key}", output(offset))
}

fn append(run: &mut Run, key: &str, value: Vec<u8>) -> i64 {
    let own = run.commands.iter().filter(|record| record.partition == 0);
    let (offset, key) = (own.count() as i64, Some(key.as_bytes().to_vec()));
    let (value, headers) = (Some(value), Vec::new());
    run.commands.push(Rec { partition: 0, offset, key, value, headers, timestamp_ms: 0 });
    offset
}

fn ask(run: &mut Run, command: AccountCommand) -> i64 {
    let key = command.account_id.as_str().to_owned();
    let mut value = Vec::new();
    codec().encode_output(&Output::Command(command), &mut value);
    append(run, &key, value)
}

fn last_tick(run: &Run) -> Tick {
    let own = run.commands.iter().filter(|record| record.partition == 0);
    let ticks = own.filter_map(|record| match read_command(record)?.body {
        Command::Tick(tick) => Some(tick),
        _ => None,
    });
    ticks.max_by_key(|tick| tick.time).expect("ticks")
}

fn tick(run: &mut Run, after_ms: i64) -> i64 {
    let last = last_tick(run);
    let time = LogTime(last.time.0 + after_ms);
    ask(run, tick_command(Tick { time, ..last }))
}

fn pass_on(run: &mut Run, offset: i64) {
    let said = run.commands.iter().find(|it| (it.partition, it.offset) == (0, offset));
    let said = said.and_then(read_command).expect("a tick");
    let is_one = |record: &&Rec| matches!(read(record).body, Event::Tick(_));
    let mut record = run.events.iter().rfind(is_one).expect("one of them").clone();
    record.partition = 0;
    let mut event = read(&record);
    if let Command::Tick(tick) = said.body {
        (event.log_time, event.body) = (tick.time, Event::Tick(tick));
    }
    record.value = Some(written(&event));
    record.set_header("tapline-src", id(offset, ":"));
    insert(run, record);
}

/// One of partition 0 that waits behind nothing.
fn account(run: &Run) -> String {
    let waits_not =
        |image: &[u8]| codec().decode_row(image).is_ok_and(|row| row.diverted_through.is_none());
    let own = run.heads.values().filter(|row| row.partition == 0 && waits_not(&row.image));
    own.map(|row| row.key.clone()).next().expect("an account")
}

fn command(run: &Run, message_id: &str, body: Command) -> AccountCommand {
    let (account_id, sent_at) = (account(run).as_str().into(), last_tick(run).time);
    AccountCommand { account_id, message_id: message_id.into(), sent_at, body }
}

fn euro() -> Currency {
    Currency::parse("EUR").expect("three letters")
}

/// Acknowledged to its sender.
fn credit(run: &mut Run) -> i64 {
    let (currency, kind) = (euro(), CreditKind::CashIn);
    let body = Command::Credit(Credit { amount_minor: 5, currency, kind, text: "".into() });
    let command = command(run, "left", body);
    let offset = ask(run, command);
    run.journal.push(("left".into(), "acked", Some((0, offset))));
    offset
}

fn bad(run: &mut Run) -> i64 {
    let key = account(run);
    append(run, &key, vec![1, 2, 3])
}

/// A transfer to another account; `booked`: with its event, without the credit.
fn debit(run: &mut Run, booked: bool) -> i64 {
    let (kind, text) = (DebitKind::TransferOut, "".into());
    let (amount_minor, currency, advice) = (1, euro(), booked);
    let transfer_to = Some("acc-elsewhere".into());
    let body = Debit { amount_minor, currency, kind, advice, text, transfer_to };
    let command = command(run, "half", Command::Debit(body.clone()));
    let offset = ask(run, command.clone());
    if booked {
        let key = Some(command.account_id.as_str().as_bytes().to_vec());
        let before = run.events.iter().rfind(|it| it.key == key).expect("an earlier event");
        let (mut record, mut event) = (before.clone(), read(before));
        event.message_id = Some(command.message_id);
        event.log_time = last_tick(run).time;
        event.balances.as_mut().expect("balances").booked_minor -= amount_minor;
        let Debit { kind, advice, text, transfer_to, .. } = body;
        let debited = AccountDebited { kind, amount_minor, advice, text, transfer_to };
        event.body = Event::AccountDebited(debited);
        record.value = Some(written(&event));
        record.set_header("tapline-src", id(offset, ""));
        insert(run, record);
    }
    offset
}
