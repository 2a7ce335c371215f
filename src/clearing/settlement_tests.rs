//! Tests of reports and statements: what they become, and where they differ from our books.

use super::{
    reading::Form,
    row::FileKind,
    settlement_files::{Booked, read_report, read_statement},
    writing::template,
};
use crate::domain::{
    ids::MessageId,
    settlement::{Class, Direction, SettlementInput, SettlementRecord},
};
use std::collections::BTreeMap;

/// Goal: a report becomes one record with its cycle and totals, a statement one a line. Method: the
/// templates, from both forms the same.
#[test]
fn records_of_the_templates() {
    let read = |form| {
        let report = read_report(&template(FileKind::Report, form).unwrap()[..], form).unwrap();
        let bytes = template(FileKind::Statement, form).unwrap();
        (report.record(), read_statement(&bytes[..], form).unwrap().records)
    };
    let (report, statement) = read(Form::Csv);
    assert_eq!((report.clone(), statement.clone()), read(Form::Jsonl));
    assert_eq!((&*report.network, report.currency.as_str()), ("visa", "CAD"));
    let SettlementInput::Report(report) = report.body else { panic!("{report:?}") };
    assert_eq!(&*report.report_id, "20261121-1-report");
    assert_eq!((report.cycle.number, report.cycle.cutoff.0), (1, 1_795_305_600_000));
    assert_eq!((report.totals.items, report.totals.net_minor()), (3, 5_408));
    let [SettlementRecord { body: SettlementInput::Statement(line), .. }] = &statement[..] else {
        panic!("{statement:?}")
    };
    assert_eq!((&*line.line_id, line.amount_minor), ("statement-20261123:1", 5_408));
    assert_eq!(line.direction, Direction::Pay);
    assert_eq!(&*line.reference, "visa/CAD/1795305600000");
}

/// Goal: each class of difference is found once, and what both have is none. Method: the template's
/// three items against books, one line a case: what is booked, then class, reported and booked.
#[test]
fn differences() {
    let bytes = template(FileKind::Report, Form::Csv).unwrap();
    let mut report = read_report(&bytes[..], Form::Csv).unwrap();
    let whole = [(1, 1_250), (2, 5_200), (3, -1_000)];
    let found = |report: &super::settlement_files::Report, booked: &[(u32, i64)]| {
        let booked: BTreeMap<MessageId, Booked> = booked
            .iter()
            .map(|(record, owed_minor)| {
                let id = format!("visa:20261121-1:{record}").into();
                let booked = Booked {
                    owed_minor: *owed_minor,
                    payment_id: Some("p".into()),
                    reference: "r".into(),
                };
                (id, booked)
            })
            .collect();
        let records = report.differences(&booked);
        let told = records.into_iter().map(|record| match record.body {
            SettlementInput::Difference(it) => {
                (it.difference_id.to_string(), it.class, it.reported_minor, it.booked_minor)
            }
            other => panic!("{other:?}"),
        });
        told.collect::<Vec<_>>()
    };
    let id = |rest: &str| format!("20261121-1-report:{rest}");
    assert_eq!(found(&report, &whole), []);
    assert_eq!(found(&report, &whole[..2]), [(id("3"), Class::Extra, -1_000, 0)]);
    let other = [(1, 1_250), (2, 5_201), (3, 1_000)];
    assert_eq!(
        found(&report, &other),
        [(id("2"), Class::Mismatch, 5_200, 5_201), (id("3"), Class::Mismatch, -1_000, 1_000)]
    );
    let more = [(1, 1_250), (2, 5_200), (3, -1_000), (4, 77)];
    let missing = (id("missing:visa:20261121-1:4"), Class::Missing, 0, 77);
    assert_eq!(found(&report, &more), [missing]);
    report.lines[1].message_id = report.lines[0].message_id.clone();
    report.lines[1].owed_minor = 1_250;
    assert_eq!(found(&report, &[whole[0], whole[2]]), [(id("2"), Class::Duplicate, 1_250, 0)]);
    // Totals alone say nothing about items.
    report.lines.clear();
    assert_eq!(found(&report, &whole), []);
}
