//! Exports of a few records, read back from the disk.

use super::*;
use crate::domain::{
    cycle::Cycle,
    event::{AccountCredited, AccountEvent, Balances, Event},
    ledger::{Address, Leg, PostingKind, PostingSet},
    time::{DAY_MS, LogTime},
};
use crate::operator::export::{
    columns::message_type,
    manifest::Manifest,
    tables::{EVENT_TABLE, POSTING_TABLE, event, legs_of},
};
use crate::scratch::Scratch;
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::RowAccessor,
};
use std::{collections::BTreeMap, fs};

fn currency(code: &str) -> Currency {
    Currency::parse(code).expect("a code")
}

/// A credit on a day; its legs cancel out.
fn set(day: i64, number: i64) -> PostingSet {
    let minor = 100 + number;
    let leg = |address, minor| Leg { address, currency: currency("CZK"), minor };
    PostingSet {
        account_id: format!("acc-{number}").into(),
        log_time: LogTime(day * DAY_MS + number),
        kind: PostingKind::Credit,
        payment_id: None,
        message_id: Some(format!("m-{number}").into()),
        network: "visa".into(),
        cycle: (number % 2 == 0).then_some(Cycle {
            cutoff: LogTime((day + 1) * DAY_MS),
            business_date: i32::try_from(day).expect("a near day"),
            number: 1,
        }),
        legs: vec![leg(Address::Nostro, -minor), leg(Address::Cust, minor)],
        after: Vec::new(),
        text: "rent".into(),
        rules_version: 1,
    }
}

/// Writes sets of three days, and more rows than a group holds; the files as the manifest has them.
fn export(folder: &Path, unmask: bool) -> Vec<Written> {
    let mut days = Days::new(&POSTING_TABLE, folder, 2, (None, None));
    let mut offset = 0;
    for (day, sets) in [(10, 3), (11, 11_000), (13, 1)] {
        for number in 0..sets {
            let set = set(day, number);
            let rows = legs_of(&set, &format!("1:2:{offset}:0"), unmask);
            days.take(offset, set.log_time.day(), Some(rows)).expect("written");
            offset += 1;
        }
    }
    let written = days.finish().expect("written");
    let mut manifest = Manifest::open(folder).expect("none yet, or ours");
    manifest.add(&written);
    manifest.write(folder).expect("written");
    written
}

/// Goal: what is read back from the files is what was exported, and their sums are the manifest's.
/// Method: three days of postings, rows counted and added up by another way of reading.
#[test]
fn files_hold_what_was_posted() {
    let folder = Scratch::new();
    let written = export(folder.path(), true);
    let names: Vec<&str> = written.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        names,
        [
            "postings/day=1970-01-11/part-2.parquet",
            "postings/day=1970-01-12/part-2.parquet",
            "postings/day=1970-01-14/part-2.parquet"
        ]
    );
    for file in &written {
        let from = fs::File::open(folder.path().join(&file.path)).expect("the file");
        let reader = SerializedFileReader::new(from).expect("a whole file");
        let (mut rows, mut sums) = (0, BTreeMap::<String, i64>::new());
        for row in reader.get_row_iter(None).expect("rows") {
            let row = row.expect("a row");
            let minor = row.get_long(13).expect("the amount");
            let name = if minor < 0 { "debit_minor" } else { "credit_minor" };
            *sums.entry(name.to_owned()).or_default() += minor;
            assert_eq!(row.get_string(12).expect("the currency"), "CZK");
            assert_eq!(row.get_string(14).expect("the text"), "rent");
            let number: i64 = row.get_string(2).expect("the account")[4..].parse().expect("one");
            assert_eq!(minor.abs(), 100 + number);
            assert_eq!(
                row.get_timestamp_millis(8).is_ok(),
                number % 2 == 0,
                "the cycle of {number}"
            );
            rows += 1;
        }
        assert_eq!(rows, file.file.rows);
        assert_eq!(file.file.sums_minor[&currency("CZK")], sums);
        assert_eq!(sums.values().sum::<i64>(), 0);
    }
    let groups = |place: usize| {
        let from = fs::File::open(folder.path().join(&written[place].path)).expect("the file");
        SerializedFileReader::new(from).expect("a whole file").metadata().num_row_groups()
    };
    assert_eq!((groups(0), groups(1)), (1, 2), "22,000 rows are two groups");
    let complete: Vec<bool> = written.iter().map(|it| it.file.is_complete).collect();
    assert_eq!(complete, [true, true, false]);
    assert_eq!((written[1].file.first_offset, written[1].file.last_offset), (3, 11_002));
}

/// Goal: the same log gives the same folder, and nothing half-written lies in it. Method: twice
/// into one folder and once into another, all bytes compared; texts only on request.
#[test]
fn again_is_the_same() {
    let (one, other) = (Scratch::new(), Scratch::new());
    export(one.path(), false);
    let first = bytes(one.path());
    export(one.path(), false);
    export(other.path(), false);
    assert_eq!(first.len(), 4);
    assert!(first == bytes(one.path()) && first == bytes(other.path()));
    let from = fs::File::open(one.path().join("postings/day=1970-01-11/part-2.parquet"));
    let reader = SerializedFileReader::new(from.expect("the file")).expect("a whole file");
    let row = reader.get_row_iter(None).expect("rows").next().expect("one").expect("a row");
    assert!(row.get_string(14).is_err(), "a text that nobody asked for");
}

/// Every file below a folder, by path.
fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).expect("a folder").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => {
                    let below = path.strip_prefix(folder).expect("below it").to_owned();
                    found.insert(below, fs::read(&path).expect("a file"));
                }
            }
        }
    }
    found
}

/// Goal: days end by the clock, and only what was asked for is written. Method: a partition with
/// ticks, a range of one day, a clock that runs back.
#[test]
fn days_by_the_clock() {
    let folder = Scratch::new();
    let only = Some(Day(11));
    let mut days = Days::new(&POSTING_TABLE, folder.path(), 0, (only, only));
    let rows = |day| Some(legs_of(&set(day, 1), "1:0:0:0", false));
    for (offset, day, rows) in
        [(0, 10, rows(10)), (1, 11, None), (2, 11, rows(11)), (3, 9, None), (4, 12, None)]
    {
        days.take(offset, day, rows).expect("in order");
    }
    let back = days.take(5, 11, rows(11)).map_err(|error| error.to_string());
    assert_eq!(back, Err("the clock of partition 0 runs back at offset 5".to_owned()));
    let written = days.finish().expect("written");
    assert_eq!(written.len(), 1);
    assert_eq!(written[0].path, "postings/day=1970-01-12/part-0.parquet");
    assert!(written[0].file.is_complete, "a tick of the next day was read");
}

/// Goal: an event's row has its columns, and a tick none. Method: a credit by hand.
#[test]
fn events_as_rows() {
    let credited = AccountEvent {
        account_id: "acc-1".into(),
        message_id: Some("m-1".into()),
        log_time: LogTime(5),
        balances: Some(Balances {
            currency: currency("EUR"),
            booked_minor: 70,
            held_minor: 0,
            overdraft_limit_minor: 0,
        }),
        body: Event::AccountCredited(AccountCredited {
            kind: crate::domain::command::CreditKind::CashIn,
            amount_minor: 70,
            text: "secret".into(),
        }),
    };
    let row = event(&credited, "1:0:5:0").expect("a fact");
    assert_eq!(row.cells.len(), EVENT_TABLE.columns.len());
    assert_eq!(row.sums, [(currency("EUR"), "credited_minor", 70)]);
    let place = |name| EVENT_TABLE.columns.iter().position(|it| it.name == name).expect("one");
    assert_eq!(row.cells[place("kind")], Cell::Text("account_credited".to_owned()));
    assert_eq!(row.cells[place("booked_minor")], Cell::Long(70));
    assert!(!row.cells.contains(&Cell::Text("secret".to_owned())));
}

/// Goal: a table that people query keeps its columns. Method: the schema as it was released.
#[test]
fn released_columns() {
    let text = message_type(POSTING_TABLE.name, POSTING_TABLE.columns);
    assert_eq!(
        text,
        "message postings {\n  REQUIRED BINARY source (UTF8);\n  REQUIRED INT32 leg;\n  \
         REQUIRED BINARY account_id (UTF8);\n  REQUIRED INT64 log_time (TIMESTAMP(MILLIS,true));\n  \
         REQUIRED BINARY kind (UTF8);\n  OPTIONAL BINARY payment_id (UTF8);\n  \
         OPTIONAL BINARY message_id (UTF8);\n  OPTIONAL BINARY network (UTF8);\n  \
         OPTIONAL INT64 cycle_cutoff (TIMESTAMP(MILLIS,true));\n  \
         OPTIONAL INT32 cycle_business_date (DATE);\n  OPTIONAL INT32 cycle_number;\n  \
         REQUIRED BINARY address (UTF8);\n  REQUIRED BINARY currency (UTF8);\n  \
         REQUIRED INT64 minor;\n  OPTIONAL BINARY text (UTF8);\n  \
         REQUIRED INT32 rules_version;\n}\n"
    );
    for table in [&POSTING_TABLE, &EVENT_TABLE] {
        crate::operator::export::columns::schema(table.name, table.columns).expect("a schema");
    }
}
