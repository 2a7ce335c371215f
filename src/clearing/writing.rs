//! Writing files of both forms: for tests, templates and load.
//!
//! Owns the trailer, so that what is written ties. The forms differ in their lines alone.

use super::{
    csv_line,
    header::Header,
    lines::LINE_BYTES_MAX,
    reading::Form,
    row::{FileKind, RowKind},
};
use crate::domain::settlement::{ContentHash, CycleTotals};
use crate::producer::amount;
use sha2::{Digest, Sha256};
use std::io::{self, Write};

pub struct Writer<W> {
    out: W,
    form: Form,
    header: Header,
    count: u64,
    sum_minor: i64,
    hash: Sha256,
    line: String,
}

impl<W: Write> Writer<W> {
    pub fn begin(out: W, form: Form, header: Header) -> io::Result<Self> {
        let (hash, line) = (Sha256::new(), String::with_capacity(512));
        let mut writer = Self { out, form, header, count: 0, sum_minor: 0, hash, line };
        let texts = writer.header.texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        writer.row(RowKind::Header, &texts)?;
        Ok(writer)
    }

    /// Writes a line. `texts`: in the order of the kind's columns; `signed_minor`: what it adds to
    /// the sum.
    pub fn line(&mut self, signed_minor: i64, texts: &[&str]) -> io::Result<()> {
        self.count += 1;
        self.sum_minor += signed_minor;
        self.row(RowKind::Line, texts)
    }

    /// Of a report.
    pub fn totals(&mut self, totals: &CycleTotals) -> io::Result<()> {
        let sums = [
            totals.purchases_minor,
            totals.purchase_reversals_minor,
            totals.refunds_minor,
            totals.interchange_minor,
            totals.fees_minor,
        ];
        let items = totals.items.to_string();
        let sums = sums.map(|minor| amount::decimal(minor, self.header.currency));
        let texts: Vec<&str> =
            std::iter::once(items.as_str()).chain(sums.iter().map(String::as_str)).collect();
        self.row(RowKind::Totals, &texts)
    }

    /// Writes the trailer and gives the stream back.
    pub fn finish(mut self) -> io::Result<W> {
        let count = self.count.to_string();
        let sum = amount::decimal(self.sum_minor, self.header.currency);
        let hash = ContentHash(self.hash.clone().finalize().into()).to_string();
        self.row(RowKind::Trailer, &[&count, &sum, &hash])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn row(&mut self, row: RowKind, texts: &[&str]) -> io::Result<()> {
        let columns = self.header.kind.columns(row);
        assert_eq!(texts.len(), columns.len(), "a text for every column of `{}`", row.word());
        self.line.clear();
        match self.form {
            Form::Csv => {
                self.line.push_str(row.word());
                for text in texts {
                    self.line.push(',');
                    csv_line::push(text, &mut self.line);
                }
            }
            Form::Jsonl => self.json(row, columns, texts)?,
        }
        if self.line.len() > LINE_BYTES_MAX {
            return Err(io::Error::other(format!("a line of more than {LINE_BYTES_MAX} bytes")));
        }
        self.line.push('\n');
        self.hash.update(self.line.as_bytes());
        self.out.write_all(self.line.as_bytes())
    }

    /// Empty columns are left out.
    fn json(&mut self, row: RowKind, columns: &[&str], texts: &[&str]) -> io::Result<()> {
        self.line.push_str("{\"");
        self.line.push_str(row.word());
        self.line.push_str("\":{");
        let mut is_first = true;
        for (column, text) in columns.iter().zip(texts).filter(|(_, text)| !text.is_empty()) {
            self.line.push_str(if is_first { "\"" } else { ",\"" });
            self.line.push_str(column);
            self.line.push_str("\":");
            match is_bare(column, text) {
                true => self.line.push_str(text),
                false => self.line.push_str(&serde_json::to_string(text)?),
            }
            is_first = false;
        }
        self.line.push_str("}}");
        Ok(())
    }
}

/// Whole numbers and `last` stand without quotes; amounts and names never do.
fn is_bare(column: &str, text: &str) -> bool {
    const BARE: [&str; 8] = [
        "version",
        "cycle",
        "record",
        "sequence_number",
        "sequence_count",
        "count",
        "items",
        "last",
    ];
    let is_number = text == "0" || text.len() < 18 && !text.starts_with('0');
    let is_number = is_number && text.bytes().all(|byte| byte.is_ascii_digit());
    BARE.contains(&column) && (is_number || text == "true" || text == "false")
}

/// A small valid file of each kind and form, to begin with.
pub fn template(kind: FileKind, form: Form) -> io::Result<Vec<u8>> {
    let header = Header::sample(kind);
    let mut writer = Writer::begin(Vec::new(), form, header)?;
    for (signed_minor, texts) in sample_lines(kind) {
        writer.line(*signed_minor, texts)?;
    }
    if kind == FileKind::Report {
        writer.totals(&CycleTotals {
            items: 3,
            purchases_minor: 6_450,
            refunds_minor: 1_000,
            interchange_minor: 54,
            fees_minor: 12,
            ..CycleTotals::default()
        })?;
    }
    writer.finish()
}

type Sample = (i64, &'static [&'static str]);

#[rustfmt::skip]
fn sample_lines(kind: FileKind) -> &'static [Sample] {
    match kind {
        FileKind::Clearing => &[
            (1_250, &["1", "present", "12.50", "CAD", "account-1", "tok_1", "pay-1", "2026-11-20", "Coffee, Tea & Co", "m-17", "5814", "CA", "contactless", "", "", "A1B2C3", "74000000000000000000001", "1", "1", "true"]),
            (5_200, &["2", "present", "52.00", "CAD", "account-2", "tok_2", "", "2026-11-19", "Books \"Abroad\"", "", "5942", "US", "ecommerce", "38.10", "USD", "", "74000000000000000000002", "", "", "true"]),
            (-1_000, &["3", "refund", "10.00", "CAD", "account-1", "tok_1", "pay-1", "", "Coffee, Tea & Co", "m-17", "5814", "CA", "", "", "", "", "74000000000000000000001", "", "", ""]),
        ],
        FileKind::Report => &[
            (1_250, &["1", "present", "12.50", "CAD", "visa:20261121-1:1", "74000000000000000000001"]),
            (5_200, &["2", "present", "52.00", "CAD", "visa:20261121-1:2", "74000000000000000000002"]),
            (-1_000, &["3", "refund", "10.00", "CAD", "visa:20261121-1:3", "74000000000000000000001"]),
        ],
        FileKind::Statement => &[
            (-5_408, &["1", "2026-11-23", "-54.08", "CAD", "visa/CAD/1795305600000", "Settlement"]),
        ],
    }
}
