//! One line taken apart: the same fields whichever form it was written in.
//!
//! Owns which words begin a line and which columns follow, for each kind of file. Texts only; what
//! they mean is asked later. The row is reused from line to line, so reading allocates nothing.

use super::problem::Problem;

/// What a file is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// What the network asks us to pay.
    Clearing,
    /// What the network says a cycle came to.
    Report,
    /// What moved on our account at the bank.
    Statement,
}

impl FileKind {
    pub const ALL: [FileKind; 3] = [FileKind::Clearing, FileKind::Report, FileKind::Statement];

    pub fn word(self) -> &'static str {
        match self {
            FileKind::Clearing => "clearing",
            FileKind::Report => "report",
            FileKind::Statement => "statement",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == text)
    }

    /// The columns behind `line`.
    pub fn line_columns(self) -> &'static [&'static str] {
        match self {
            FileKind::Clearing => CLEARING_LINE,
            FileKind::Report => REPORT_LINE,
            FileKind::Statement => STATEMENT_LINE,
        }
    }

    /// The columns behind a row's word.
    pub fn columns(self, row: RowKind) -> &'static [&'static str] {
        match row {
            RowKind::Header => HEADER,
            RowKind::Line => self.line_columns(),
            RowKind::Totals => TOTALS,
            RowKind::Trailer => TRAILER,
        }
    }
}

/// What a line of a clearing file or a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    Present,
    /// Takes back a presentment.
    Reverse,
    Refund,
}

impl LineKind {
    pub const ALL: [LineKind; 3] = [LineKind::Present, LineKind::Reverse, LineKind::Refund];

    pub fn word(self) -> &'static str {
        match self {
            LineKind::Present => "present",
            LineKind::Reverse => "reverse",
            LineKind::Refund => "refund",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == text)
    }

    /// What we owe the network for it.
    pub fn owed_minor(self, amount_minor: i64) -> i64 {
        match self {
            LineKind::Present => amount_minor,
            LineKind::Reverse | LineKind::Refund => -amount_minor,
        }
    }
}

/// The word that begins a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    Header,
    Line,
    /// Of a report alone.
    Totals,
    Trailer,
}

impl RowKind {
    pub fn word(self) -> &'static str {
        match self {
            RowKind::Header => "header",
            RowKind::Line => "line",
            RowKind::Totals => "totals",
            RowKind::Trailer => "trailer",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let all = [RowKind::Line, RowKind::Header, RowKind::Totals, RowKind::Trailer];
        all.into_iter().find(|kind| kind.word() == text)
    }
}

pub const HEADER: &[&str] =
    &["kind", "version", "network", "file_id", "business_date", "currency", "cycle", "cutoff"];
#[rustfmt::skip]
pub const CLEARING_LINE: &[&str] = &[
    "record", "kind", "amount", "currency", "account", "card_token", "payment_id",
    "purchase_date", "merchant_name", "merchant_id", "merchant_category", "country", "channel",
    "original_amount", "original_currency", "authorisation_code", "reference", "sequence_number",
    "sequence_count", "last",
];
pub const REPORT_LINE: &[&str] =
    &["record", "kind", "amount", "currency", "message_id", "reference"];
pub const STATEMENT_LINE: &[&str] =
    &["record", "booking_date", "amount", "currency", "reference", "text"];
pub const TOTALS: &[&str] =
    &["items", "purchases", "purchase_reversals", "refunds", "interchange", "fees"];
pub const TRAILER: &[&str] = &["count", "sum", "hash_total"];

/// The fields of one line, by column.
#[derive(Debug)]
pub struct Row {
    pub line: u64,
    pub kind: RowKind,
    columns: &'static [&'static str],
    text: String,
    spans: Vec<(usize, usize)>,
}

impl Default for Row {
    fn default() -> Self {
        let (text, spans) = (String::with_capacity(512), Vec::with_capacity(32));
        Self { line: 0, kind: RowKind::Trailer, columns: TRAILER, text, spans }
    }
}

impl Row {
    /// Empties the row for a line that begins with the word of `kind`.
    pub fn begin(&mut self, line: u64, kind: RowKind, columns: &'static [&'static str]) {
        (self.line, self.kind, self.columns) = (line, kind, columns);
        self.text.clear();
        self.spans.clear();
        self.spans.resize(columns.len(), (0, 0));
    }

    pub fn columns(&self) -> &'static [&'static str] {
        self.columns
    }

    /// Sets a column's text by letting `write` append it. Columns out of range are dropped: who
    /// writes has counted them.
    pub fn set(&mut self, column: usize, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        if let Some(span) = self.spans.get_mut(column) {
            *span = (start, self.text.len());
        }
    }

    /// Empty where the line does not give it.
    pub fn text(&self, column: usize) -> &str {
        let (start, end) = self.spans.get(column).copied().unwrap_or_default();
        self.text.get(start..end).unwrap_or_default()
    }

    pub fn problem(
        &self,
        column: usize,
        code: &'static str,
        reason: impl std::fmt::Display,
    ) -> Problem {
        let field = self.columns.get(column).copied().unwrap_or("line");
        Problem::new(self.line, field, code, reason)
    }
}
