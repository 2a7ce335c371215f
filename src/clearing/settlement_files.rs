//! Reports and statements as records of `settlement.parts.v1`.
//!
//! Owns what a report's totals and a statement's lines become, and the comparison of a report's
//! lines with our own items. They are few and decide about whole windows: any problem refuses the
//! file, no line is set aside.

use super::{
    fields::day,
    header::Header,
    problem::Problem,
    reading::{Entry, Form, Reading},
    row::{FileKind, LineKind},
};
use crate::domain::{
    cycle::Cycle,
    ids::{MessageId, PaymentId},
    settlement::{
        BankStatementLine, Class, ContentHash, CycleTotals, Direction, NetworkReport,
        ReportDifference, SettlementInput, SettlementRecord,
    },
    time::{DAY_MS, LogTime},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufRead,
};

// Places in `row::REPORT_LINE` and `row::STATEMENT_LINE`.
const REPORT_MESSAGE: usize = 4;
const REPORT_REFERENCE: usize = 5;
const BOOKING_DATE: usize = 1;
const STATEMENT_AMOUNT: usize = 2;
const STATEMENT_REFERENCE: usize = 4;
const STATEMENT_TEXT: usize = 5;

/// A report's line: one item as the network has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportLine {
    pub record: u64,
    pub message_id: MessageId,
    /// What we owe the network for it.
    pub owed_minor: i64,
    pub reference: Box<str>,
}

/// A report, read to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub header: Header,
    pub cycle: Cycle,
    pub totals: CycleTotals,
    /// In the order of the file; empty where the network reports totals alone.
    pub lines: Vec<ReportLine>,
    pub content: ContentHash,
}

/// Reads a report. Its lines are kept, because they are compared with our items.
///
/// Errors: any problem refuses the file; `file_kind` where it is none.
pub fn read_report(source: impl BufRead, form: Form) -> Result<Report, Problem> {
    let mut reading = Reading::open(source, form)?;
    let header = reading.header.clone();
    let (FileKind::Report, Some(cycle)) = (header.kind, header.cycle) else {
        let reason = format_args!("a {}, not a report", header.kind.word());
        return Err(Problem::new(1, "kind", "file_kind", reason));
    };
    let (mut lines, mut summed) = (Vec::new(), CycleTotals::default());
    while let Some(entry) = reading.advance()? {
        let row = reading.row();
        lines.push(ReportLine {
            record: entry.record,
            message_id: short(&reading, REPORT_MESSAGE)?.into(),
            owed_minor: entry.signed_minor(),
            reference: short(&reading, REPORT_REFERENCE)?.into(),
        });
        if row.text(REPORT_MESSAGE).is_empty() {
            let reason = "the line does not say which item it is about";
            return Err(row.problem(REPORT_MESSAGE, "item_missing", reason));
        }
        let sum_minor = match entry.kind {
            Some(LineKind::Reverse) => &mut summed.purchase_reversals_minor,
            Some(LineKind::Refund) => &mut summed.refunds_minor,
            Some(LineKind::Present) | None => &mut summed.purchases_minor,
        };
        *sum_minor = sum_minor.saturating_add(entry.amount_minor);
        summed.items += 1;
    }
    // A reading at its end has both.
    let totals = reading.totals().unwrap_or_default();
    let content = reading.content().unwrap_or_default();
    let (interchange_minor, fees_minor) = (totals.interchange_minor, totals.fees_minor);
    let summed = CycleTotals { interchange_minor, fees_minor, ..summed };
    if !lines.is_empty() && summed != totals {
        let reason = "the lines do not add up to the totals";
        return Err(Problem::new(reading.row().line, "line", "totals_invalid", reason));
    }
    Ok(Report { header, cycle, totals, lines, content })
}

impl Report {
    pub fn record(&self) -> SettlementRecord {
        let report_id = self.header.file_id.clone();
        let at = self.header.day_start();
        let (cycle, totals) = (self.cycle, self.totals);
        let body = SettlementInput::Report(NetworkReport { report_id, at, cycle, totals });
        envelope(&self.header, body)
    }

    /// The lines in which the report and our books differ, as of the same cut.
    ///
    /// Shape: `booked` is every item of the cycle in our books, by its message. A message that both
    /// sides have with the same amount gives nothing; theirs alone is `extra`, ours alone
    /// `missing`, the second of theirs `duplicate`, another amount `mismatch`. None where the
    /// network reports totals alone. In the order of the file, then ours by message.
    pub fn differences(&self, booked: &BTreeMap<MessageId, Booked>) -> Vec<SettlementRecord> {
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        if self.lines.is_empty() {
            return found;
        }
        for line in &self.lines {
            let ours = booked.get(&line.message_id);
            let (class, booked_minor) = match ours {
                _ if !seen.insert(&line.message_id) => (Class::Duplicate, 0),
                None => (Class::Extra, 0),
                Some(ours) if ours.owed_minor == line.owed_minor => continue,
                Some(ours) => (Class::Mismatch, ours.owed_minor),
            };
            let id = format!("{}:{}", self.header.file_id, line.record);
            let amounts = (line.owed_minor, booked_minor);
            let reference = line.reference.clone();
            let text = line.message_id.as_str();
            found.push(self.difference(id, class, amounts, (ours, reference, text)));
        }
        for (message_id, ours) in booked.iter().filter(|(id, _)| !seen.contains(id)) {
            let id = format!("{}:missing:{message_id}", self.header.file_id);
            let said = (Some(ours), ours.reference.clone(), message_id.as_str());
            found.push(self.difference(id, Class::Missing, (0, ours.owed_minor), said));
        }
        found
    }

    fn difference(
        &self,
        difference_id: String,
        class: Class,
        (reported_minor, booked_minor): (i64, i64),
        (ours, reference, text): (Option<&Booked>, Box<str>, &str),
    ) -> SettlementRecord {
        let body = SettlementInput::Difference(ReportDifference {
            difference_id: difference_id.into(),
            at: self.header.day_start(),
            cycle: self.cycle,
            class,
            reported_minor,
            booked_minor,
            payment_id: ours.and_then(|ours| ours.payment_id.clone()),
            reference,
            text: text.into(),
        });
        envelope(&self.header, body)
    }
}

/// An item of our books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    pub owed_minor: i64,
    pub payment_id: Option<PaymentId>,
    pub reference: Box<str>,
}

/// A bank's statement, read to its end: its lines as records.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    pub header: Header,
    pub records: Vec<SettlementRecord>,
    /// What came in less what went out.
    pub sum_minor: i64,
    pub content: ContentHash,
}

/// Errors: any problem refuses the file; `file_kind` where it is no statement.
pub fn read_statement(source: impl BufRead, form: Form) -> Result<Statement, Problem> {
    let mut reading = Reading::open(source, form)?;
    let header = reading.header.clone();
    if header.kind != FileKind::Statement {
        let reason = format_args!("a {}, not a statement", header.kind.word());
        return Err(Problem::new(1, "kind", "file_kind", reason));
    }
    let mut records = Vec::new();
    while let Some(entry) = reading.advance()? {
        let line = statement_line(&reading, &header, entry)?;
        records.push(envelope(&header, SettlementInput::Statement(line)));
    }
    let (sum_minor, content) = (reading.sum_minor(), reading.content().unwrap_or_default());
    Ok(Statement { header, records, sum_minor, content })
}

fn statement_line<R: BufRead>(
    reading: &Reading<R>,
    header: &Header,
    entry: Entry,
) -> Result<BankStatementLine, Problem> {
    let row = reading.row();
    let direction = match entry.amount_minor {
        1.. => Direction::Receive,
        0 => {
            let reason = "a line that moves nothing";
            return Err(row.problem(STATEMENT_AMOUNT, "amount_not_positive", reason));
        }
        _ => Direction::Pay,
    };
    let booked_on = day(row, BOOKING_DATE)?.unwrap_or(header.business_date);
    Ok(BankStatementLine {
        line_id: format!("{}:{}", header.file_id, entry.record).into(),
        at: LogTime(i64::from(booked_on.0) * DAY_MS),
        amount_minor: entry.amount_minor.abs(),
        direction,
        reference: short(reading, STATEMENT_REFERENCE)?.into(),
        text: short(reading, STATEMENT_TEXT)?.into(),
    })
}

/// A text that a record of ours may carry.
fn short<R: BufRead>(reading: &Reading<R>, column: usize) -> Result<&str, Problem> {
    const BYTES_MAX: usize = 1_024;
    let text = reading.row().text(column);
    if text.len() > BYTES_MAX {
        let reason = format_args!("{} bytes, at most {BYTES_MAX}", text.len());
        return Err(reading.row().problem(column, "text_too_long", reason));
    }
    Ok(text)
}

fn envelope(header: &Header, body: SettlementInput) -> SettlementRecord {
    let (network, currency) = (header.network.clone(), header.currency);
    SettlementRecord { network, currency, body }
}
