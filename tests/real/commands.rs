//! The commands of settlement as a person gives them, on real servers.
//!
//! Owns a short business day with one window and one item that belongs to nobody, and what each
//! command must say about it. Every command is the program itself, asked for JSON; what it says is
//! compared with the topics, added up again by `ledger`, never with another command.

use super::{
    ground::{Ground, Site, until},
    ledger::{self, Ledger},
    money::{self, DAY, Hand, OPENING_MINOR, SETTINGS, await_stages, command, eur, purchase},
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tapline::domain::{
    command::{AccountCommand, Command as Body, Present},
    event::Event,
    window::WindowBody,
};
use tapline::load::workers::settings_of;
use tapline::worker::{EXIT_DONE, EXIT_REFUSED};

const NETWORK: &str = "visa";
const ACCOUNTS: usize = 12;
const NOON: i64 = 720;
/// Presented for an account that nobody opened.
const LOST_MINOR: i64 = 777;

/// Goal: what people are shown of settlement is what the topics say, and a decision acts once.
/// Method: twelve presentments and one for nobody, one cut-off; then each command in turn.
pub fn of_settlement(ground: &Ground) {
    let site = ground.site("commands");
    let mut worker = site.worker(1, &SETTINGS);
    await_stages(&site, &mut worker, 60);
    let mut hand = Hand::open(&site);
    hand.tick(540);
    hand.accounts("acc-", ACCOUNTS);
    let items: Vec<AccountCommand> = (0..ACCOUNTS)
        .map(|number| present(&format!("acc-{number}"), paid_minor(number)))
        .chain([present("nobody", LOST_MINOR)])
        .collect();
    hand.write(&items);
    hand.tick(NOON);
    let is_closed = |ledger: &Ledger| ledger.closed().keys().any(|(of, ..)| &**of == NETWORK);
    until("the window is closed and stored", 30, || {
        let ledger = Ledger::read(&site);
        let rows = said(&site, &["window", "list", "--with-items"]);
        match is_closed(&ledger) && ledger.unposted().is_empty() && !list(&rows).is_empty() {
            true => Ok(()),
            false => Err(format!("{rows}")),
        }
    });

    let window = windows(&site);
    let id = exceptions(&site, &window);
    resolve(&site, &id);
    hand.tick(1_440);
    until("the day is closed and posted", 30, || {
        let ledger = Ledger::read(&site);
        let days = ledger.closed().keys().filter(|(of, ..)| &**of == NETWORK).count();
        match days == 2 && ledger.unposted().is_empty() {
            true => Ok(()),
            false => Err(format!("{days} windows")),
        }
    });
    statement(&site);
    trial_balance(&site);
    export(&site);
    words(&site);
    await_stages(&site, &mut worker, 10);
    let ledger = Ledger::read(&site);
    ledger.judge(&site);
    println!("  {window}, {id}; {} sets, {} events", ledger.postings.len(), ledger.events.len());
}

fn paid_minor(number: usize) -> i64 {
    1_000 + 10 * number as i64
}

fn present(account: &str, amount_minor: i64) -> AccountCommand {
    let payment = format!("pay-{account}");
    let body = Body::Present(Present {
        payment_id: payment.as_str().into(),
        amount_minor,
        currency: eur(),
        purchase: purchase(account, NETWORK, amount_minor),
        authorisation_code: "".into(),
        reference: payment.into(),
        sequence_number: 1,
        sequence_count: 1,
        last: true,
    });
    command(account, "present", body)
}

/// Exit code and standard output of `tapline ...`.
fn asked(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let log = site.folder.join("commands.log");
    let log = File::options().create(true).append(true).open(log).expect("a log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapline"));
    command.args(arguments).args(["--no-progress", "--output", "json"]);
    for (key, value) in settings_of(&site.config) {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::from(log)).output();
    let output = output.expect("tapline can be started");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

/// What a command says that must succeed.
fn said(site: &Site, arguments: &[&str]) -> Value {
    let (code, text) = asked(site, arguments);
    assert_eq!(code, Some(EXIT_DONE), "{arguments:?}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn minor(value: &Value, field: &str) -> i64 {
    value[field].as_i64().unwrap_or_else(|| panic!("no number {field} in {value}"))
}

/// The one window: as it closed, counted again, and unpaid. Its name.
fn windows(site: &Site) -> String {
    let ledger = Ledger::read(site);
    let closed = ledger.closed();
    let (name, closed) = closed.iter().find(|((of, ..), _)| &**of == NETWORK).expect("one");
    let rows = said(site, &["window", "list", "--with-items"]);
    let [row] = list(&rows) else { panic!("one window: {rows}") };
    let window = row["window"].as_str().expect("a name").to_owned();
    assert_eq!(window, format!("{NETWORK}/{}/{}", eur(), name.2.0));
    let bought: i64 = (0..ACCOUNTS).map(paid_minor).sum();
    for shown in [row, &said(site, &["window", "show", &window])] {
        assert_eq!(shown["state"], "closed", "{shown}");
        assert_eq!(minor(shown, "items"), ACCOUNTS as i64 + 1);
        assert_eq!(minor(shown, "purchases_minor"), bought);
        assert_eq!(minor(shown, "suspense_minor"), LOST_MINOR);
        assert_eq!(minor(shown, "outstanding_minor"), closed.net_minor);
    }
    let by_day = format!("{NETWORK}/{}/{DAY}#1", eur());
    for name in [&window, &by_day] {
        let again = said(site, &["window", "recompute", name]);
        assert!(again.to_string().contains(&closed.content.to_string()), "{again}");
    }
    said(site, &["window", "prove"]);
    let (code, _) = asked(site, &["window", "show", &format!("{NETWORK}/EUR/1")]);
    assert_eq!(code, Some(1), "there is no such window");
    window
}

/// The one open exception; its id.
fn exceptions(site: &Site, window: &str) -> String {
    let rows = said(site, &["exceptions", "list"]);
    let [row] = list(&rows) else { panic!("one exception: {rows}") };
    let id = row["id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("item:"), "{id}");
    assert_eq!((minor(row, "suspense_minor"), &row["network"]), (LOST_MINOR, &NETWORK.into()));
    let shown = said(site, &["exceptions", "show", &id]);
    assert_eq!(shown["exception"]["account_id"], "nobody", "{shown}");
    let of_window = said(site, &["window", "show", window]);
    assert!(of_window.to_string().contains(&id), "the window names its exception: {of_window}");
    let old = said(site, &["exceptions", "list", "--older-than", "3d"]);
    assert!(list(&old).is_empty(), "it is hours old: {old}");
    id
}

/// Planned, executed, and refused the second time.
fn resolve(site: &Site, id: &str) {
    let decision = ["exceptions", "resolve", id, "--as", "write_off", "--note", "below the limit"];
    let plan = said(site, &decision);
    assert_eq!((&plan["written_at"], list(&plan["legs"]).len()), (&Value::Null, 2), "{plan}");
    let open = said(site, &["exceptions", "list"]);
    assert_eq!(list(&open).len(), 1, "a plan changes nothing");
    let executed = [&decision[..], &["--execute", "--by", "a tester"]].concat();
    let done = said(site, &executed);
    assert!(!done["written_at"].is_null() && !done["answer"].is_null(), "{done}");
    let resolved = ledger::windows(site).into_iter().filter_map(|event| match event.body {
        WindowBody::ExceptionResolved(resolved) => Some(resolved.exception_id),
        _ => None,
    });
    assert_eq!(resolved.collect::<Vec<_>>(), [Box::from(id)], "one decision");
    // At once, before the row knows of the first; and again once it does.
    assert_eq!(asked(site, &executed).0, Some(EXIT_REFUSED), "the second time");
    assert!(list(&said(site, &["exceptions", "list"])).is_empty(), "nothing is open");
    assert_eq!(asked(site, &executed).0, Some(EXIT_REFUSED), "the third time");
    assert_eq!(list(&said(site, &["exceptions", "list", "--all"])).len(), 1);
}

fn statement(site: &Site) {
    let month = &DAY[..7];
    let sheet = said(site, &["statement", "acc-3", "--month", month]);
    let lines = list(&sheet["lines"]);
    let booked: i64 = lines.iter().map(|line| minor(line, "amount_minor")).sum();
    assert_eq!(minor(&sheet, "opening_minor") + booked, minor(&sheet, "closing_minor"));
    assert_eq!(minor(&sheet, "closing_minor"), OPENING_MINOR - paid_minor(3), "{sheet}");
    assert_eq!((lines.len(), list(&sheet["differences"]).len()), (2, 0), "{sheet}");
    assert!(!sheet.to_string().contains("CORNER BAKERY"), "merchants are masked: {sheet}");
    let (code, _) = asked(site, &["statement", "nobody-else", "--month", month]);
    assert_eq!(code, Some(1), "an account without postings");
}

fn trial_balance(site: &Site) {
    for arguments in [&["trial-balance"][..], &["trial-balance", "--day", DAY]] {
        let sums = said(site, arguments);
        assert_eq!(minor(&sums["sums_minor"], "EUR"), 0, "{sums}");
        assert!(list(&sums["differences"]).is_empty(), "{sums}");
        let cust = list(&sums["balances"]).iter().find(|it| it["address"] == "cust");
        let bought: i64 = (0..ACCOUNTS).map(paid_minor).sum();
        let left = ACCOUNTS as i64 * OPENING_MINOR - bought;
        assert_eq!(cust.map(|it| minor(it, "minor")), Some(left), "{sums}");
    }
}

/// Rows of a table's Parquet files, as a reader of Parquet finds them.
fn rows_below(folder: &Path) -> i64 {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let rows = |path: PathBuf| match path.extension().is_some_and(|kind| kind == "parquet") {
        true => {
            let file = SerializedFileReader::new(File::open(&path).expect("a file of ours"));
            file.expect("whole").metadata().file_metadata().num_rows()
        }
        false if path.is_dir() => rows_below(&path),
        false => 0,
    };
    entries.flatten().map(|entry| rows(entry.path())).sum()
}

fn export(site: &Site) {
    let folder = site.folder.join("bi");
    let to = folder.to_str().expect("a path of ours");
    let first = said(site, &["export", "--to", to]);
    let ledger = Ledger::read(site);
    let legs: usize = ledger.postings.iter().map(|set| set.value.legs.len()).sum();
    let is_fact = |event: &Event| !matches!(event, Event::Tick(_));
    let facts = ledger.events.iter().filter(|it| is_fact(&it.value.body)).count();
    assert_eq!(rows_below(&folder.join("postings")), legs as i64, "a row for each leg");
    assert_eq!(rows_below(&folder.join("events")), facts as i64, "a row for each event");
    let again = said(site, &["export", "--to", to]);
    assert_eq!(first, again, "the same log gives the same files");
}

/// An operator's words to stages whose input has no record for them: written, heard, harmless.
fn words(site: &Site) {
    for (arguments, topic) in [
        (&["dead-letters", "release-fuse", "--stage", "posting", "--partition", "0"][..], "events"),
        (&["dead-letters", "release-fuse", "--stage", "windows", "--partition", "0"], "parts"),
        (
            &["dead-letters", "end-diversion", "acc-3", "--stage", "posting", "--through", "0"],
            "events",
        ),
        (
            &["dead-letters", "end-diversion", "visa/EUR", "--stage", "windows", "--through", "0"],
            "parts",
        ),
    ] {
        let plan = said(site, arguments);
        assert!(plan["written_at"].is_null(), "{plan}");
        let done = said(site, &[arguments, &["--execute"]].concat());
        assert!(done["topic"].as_str().is_some_and(|it| it.contains(topic)), "{done}");
        assert!(done["written_at"].as_i64().is_some_and(|offset| offset > 0), "{done}");
    }
    // The money that comes after is decided as if nothing had been said.
    let mut hand = Hand::open(site);
    hand.accounts("late-", 3);
    hand.tick(1_500);
    until("what came after is posted", 20, || {
        let ledger = Ledger::read(site);
        let is_past = |at| at >= money::minute(1_440);
        let sets = ledger.postings.iter().filter(|set| is_past(set.value.log_time)).count();
        match (sets, ledger.unposted().len()) {
            (1.., 0) => Ok(()),
            (sets, unposted) => Err(format!("{sets} sets, {unposted} events unposted")),
        }
    });
}
