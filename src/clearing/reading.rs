//! One pass over a file: header, lines, trailer.
//!
//! Owns what refuses a file as a whole: its form, its order and its totals. Memory is one line,
//! however long the file is. Invariant: `advance` says that the file is at its end only after the
//! trailer tied and nothing followed it.

use super::{
    csv_line,
    fields::{amount_minor, number},
    header::Header,
    json_line,
    lines::Lines,
    problem::{Problem, shown},
    row::{FileKind, LineKind, Row, RowKind},
};
use crate::domain::settlement::{ContentHash, CycleTotals};
use crate::producer::amount;
use std::io::BufRead;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Csv,
    Jsonl,
}

/// The line that `advance` stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub record: u64,
    /// Absent in a statement.
    pub kind: Option<LineKind>,
    /// As the line says it.
    pub amount_minor: i64,
}

impl Entry {
    /// What the line adds to the sum of the trailer.
    pub fn signed_minor(&self) -> i64 {
        self.kind.map_or(self.amount_minor, |kind| kind.owed_minor(self.amount_minor))
    }
}

pub struct Reading<R> {
    lines: Lines<R>,
    form: Form,
    row: Row,
    pub header: Header,
    columns: Money,
    last_record: u64,
    count: u64,
    sum_minor: i64,
    totals: Option<CycleTotals>,
    content: Option<ContentHash>,
}

/// Where a line of the kind of file has its money.
#[derive(Clone, Copy)]
struct Money {
    kind: Option<usize>,
    amount: usize,
    currency: usize,
}

impl Money {
    fn of(kind: FileKind) -> Self {
        let place = |name: &str| kind.line_columns().iter().position(|column| *column == name);
        // Each kind of line has both columns.
        let (amount, currency) = (place("amount"), place("currency"));
        Self {
            kind: place("kind"),
            amount: amount.unwrap_or_default(),
            currency: currency.unwrap_or_default(),
        }
    }
}

impl<R: BufRead> Reading<R> {
    /// Reads the header.
    pub fn open(source: R, form: Form) -> Result<Self, Problem> {
        let (mut lines, mut row) = (Lines::new(source), Row::default());
        if !lines.advance()? {
            return Err(Problem::new(1, "line", "header_missing", "the file is empty"));
        }
        // The header has the same columns in every kind of file.
        parse(lines.text()?, lines.number(), form, FileKind::Clearing, &mut row).map_err(|it| {
            match it.code {
                "row_unknown" => Problem { code: "header_missing", ..it },
                _ => it,
            }
        })?;
        let header = Header::read(&row)?;
        lines.accept();
        Ok(Self {
            lines,
            form,
            row,
            columns: Money::of(header.kind),
            header,
            last_record: 0,
            count: 0,
            sum_minor: 0,
            totals: None,
            content: None,
        })
    }

    /// Goes to the next line; `None` at the end of a file that ties.
    ///
    /// Errors: every code of [`super::problem::Scope::File`].
    pub fn advance(&mut self) -> Result<Option<Entry>, Problem> {
        loop {
            if self.content.is_some() {
                return Ok(None);
            }
            if !self.lines.advance()? {
                let reason = format_args!("the file ends after {} lines", self.count);
                let line = self.lines.number();
                return Err(Problem::new(line, "line", "trailer_missing", reason));
            }
            let (number, kind) = (self.lines.number(), self.header.kind);
            parse(self.lines.text()?, number, self.form, kind, &mut self.row)?;
            match (self.row.kind, kind) {
                (RowKind::Line, _) => {
                    let entry = self.entry()?;
                    self.lines.accept();
                    return Ok(Some(entry));
                }
                (RowKind::Totals, FileKind::Report) => self.take_totals()?,
                (RowKind::Trailer, _) => self.end()?,
                (RowKind::Header | RowKind::Totals, _) => {
                    let word = self.row.kind.word();
                    let reason = format_args!("`{word}` does not stand here");
                    return Err(Problem::new(number, "line", "row_unknown", reason));
                }
            }
        }
    }

    /// The fields of the line.
    pub fn row(&self) -> &Row {
        &self.row
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn sum_minor(&self) -> i64 {
        self.sum_minor
    }

    /// Of a report that was read to its end.
    pub fn totals(&self) -> Option<CycleTotals> {
        self.totals
    }

    /// Of a file that was read to its end: its hash total.
    pub fn content(&self) -> Option<ContentHash> {
        self.content
    }

    /// Record number, kind and money of the row, which every line must give.
    fn entry(&mut self) -> Result<Entry, Problem> {
        let row = &self.row;
        let record: u64 = number(row, 0, "record_invalid")?;
        if record == 0 {
            return Err(row.problem(0, "record_invalid", "record numbers begin with 1"));
        }
        if record <= self.last_record {
            let repeated = record == self.last_record;
            let code = if repeated { "record_repeated" } else { "record_order" };
            let reason = format_args!("{record} after {}", self.last_record);
            return Err(row.problem(0, code, reason));
        }
        let columns = self.columns;
        let kind = columns.kind.map(|column| {
            LineKind::parse(row.text(column))
                .ok_or_else(|| row.problem(column, "kind_unknown", shown(row.text(column))))
        });
        let kind = kind.transpose()?;
        let currency = self.header.currency;
        if row.text(columns.currency) != currency.as_str() {
            let found = shown(row.text(columns.currency));
            let reason = format_args!("{found}, the header says {currency}");
            return Err(row.problem(columns.currency, "currency_mixed", reason));
        }
        let amount_minor = amount_minor(row, columns.amount, currency, "amount_invalid")?;
        if amount_minor < 0 && kind.is_some() {
            let reason = "below zero; the kind tells the direction";
            return Err(row.problem(columns.amount, "amount_invalid", reason));
        }
        let entry = Entry { record, kind, amount_minor };
        self.sum_minor = self.sum_minor.checked_add(entry.signed_minor()).ok_or_else(|| {
            row.problem(columns.amount, "sum_too_large", "the sum leaves 64 bits")
        })?;
        (self.last_record, self.count) = (record, self.count + 1);
        Ok(entry)
    }

    fn take_totals(&mut self) -> Result<(), Problem> {
        let (row, currency) = (&self.row, self.header.currency);
        if self.totals.is_some() {
            return Err(Problem::new(row.line, "line", "totals_invalid", "a second time"));
        }
        let code = "totals_invalid";
        let sum = |column| {
            let text = row.text(column);
            let minor = amount::sum_minor(text, currency);
            minor.map_err(|error| {
                row.problem(column, code, format_args!("{}: {error}", shown(text)))
            })
        };
        let totals = CycleTotals {
            items: number(row, 0, code)?,
            purchases_minor: sum(1)?,
            purchase_reversals_minor: sum(2)?,
            refunds_minor: sum(3)?,
            interchange_minor: sum(4)?,
            fees_minor: sum(5)?,
            suspense_minor: 0,
        };
        for (column, minor) in
            [totals.purchases_minor, totals.purchase_reversals_minor, totals.refunds_minor]
                .into_iter()
                .enumerate()
        {
            if minor < 0 {
                return Err(row.problem(column + 1, code, "below zero"));
            }
        }
        if totals.plus(&CycleTotals::default()).is_none() {
            return Err(Problem::new(row.line, "line", code, "larger than any cycle"));
        }
        self.totals = Some(totals);
        self.lines.accept();
        Ok(())
    }

    /// Ties the trailer and looks that nothing follows.
    fn end(&mut self) -> Result<(), Problem> {
        let row = &self.row;
        let count: u64 = number(row, 0, "trailer_count")?;
        if count != self.count {
            let reason = format_args!("{count}, but there are {} lines", self.count);
            return Err(row.problem(0, "trailer_count", reason));
        }
        let (text, currency) = (row.text(1), self.header.currency);
        let sum = amount::decimal(self.sum_minor, currency);
        let said = amount::sum_minor(text, currency);
        if said.ok() != Some(self.sum_minor) {
            let reason = format_args!("{}, but the lines add up to {sum}", shown(text));
            return Err(row.problem(1, "trailer_sum", reason));
        }
        let hash = ContentHash(self.lines.hash());
        if ContentHash::parse(row.text(2)) != Some(hash) {
            let reason = format_args!("the bytes before the trailer have {hash}");
            return Err(row.problem(2, "trailer_hash", reason));
        }
        if self.header.kind == FileKind::Report && self.totals.is_none() {
            return Err(Problem::new(row.line, "line", "totals_invalid", "missing"));
        }
        if self.lines.advance()? {
            let line = self.lines.number();
            let reason = "something follows the trailer";
            return Err(Problem::new(line, "line", "after_trailer", reason));
        }
        self.content = Some(hash);
        Ok(())
    }
}

fn parse(
    text: &str,
    number: u64,
    form: Form,
    kind: FileKind,
    row: &mut Row,
) -> Result<(), Problem> {
    match form {
        Form::Csv => csv_line::parse(text, number, kind, row),
        Form::Jsonl => json_line::parse(text, number, kind, row),
    }
}
