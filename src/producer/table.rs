//! Files of rows: what the publishers' tables have in common.
//!
//! Owns opening, decoding and the words of an error: file, line and field. Columns are found by
//! position, since header spellings drift from month to month; a wrong number of columns refuses
//! the file. Knows no meaning of any column.

use super::{amount, dated::day_start};
use crate::domain::{money::Currency, time::LogTime};
use jiff::civil::Date;
use std::{borrow::Cow, fmt, path::Path};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("{file}: {problem}")]
    File { file: String, problem: String },
    /// `line` counts from 1, the header.
    #[error("{file}, line {line}, {field}: {problem}")]
    Field { file: String, line: u64, field: &'static str, problem: String },
}

impl FileError {
    pub fn of_file(path: &Path, problem: impl fmt::Display) -> Self {
        Self::File { file: path.display().to_string(), problem: problem.to_string() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Latin1,
    Utf8,
}

/// How a table is written. `layouts`: the names of the columns in order, one list for each number
/// of columns that is known.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub delimiter: u8,
    pub encoding: Encoding,
    pub layouts: &'static [&'static [&'static str]],
}

/// A whole table in memory, without its header.
pub struct Table {
    file: String,
    encoding: Encoding,
    pub layout: &'static [&'static str],
    records: Vec<csv::ByteRecord>,
}

impl Table {
    pub fn read(path: &Path, form: Form) -> Result<Self, FileError> {
        let refused = |error: csv::Error| FileError::of_file(path, error);
        let mut records = csv::ReaderBuilder::new()
            .delimiter(form.delimiter)
            .has_headers(false)
            .flexible(true)
            .from_path(path)
            .map_err(refused)?
            .into_byte_records();
        let header = records.next().ok_or_else(|| FileError::of_file(path, "is empty"))?;
        let width = header.map_err(refused)?.len();
        let layout = form.layouts.iter().find(|layout| layout.len() == width);
        let layout = *layout.ok_or_else(|| {
            let known: Vec<_> =
                form.layouts.iter().map(|layout| layout.len().to_string()).collect();
            FileError::Field {
                file: file_name(path),
                line: 1,
                field: "columns",
                problem: format!("{width} of them, expected {}", known.join(" or ")),
            }
        })?;
        let records = records.collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let table = Self { file: file_name(path), encoding: form.encoding, layout, records };
        if let Some(row) = table.rows().find(|row| row.record.len() != width) {
            let problem = format!("{} of them, expected {width}", row.record.len());
            return Err(row.error_of("columns", problem));
        }
        Ok(table)
    }

    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.records.iter().map(|record| Row { table: self, record })
    }
}

/// One line of a table; every reading names the column by its place in the layout.
#[derive(Clone, Copy)]
pub struct Row<'t> {
    table: &'t Table,
    record: &'t csv::ByteRecord,
}

impl<'t> Row<'t> {
    /// From 1, the header; a quoted field may span lines, then it is the first.
    pub fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    pub fn error(&self, column: usize, problem: impl fmt::Display) -> FileError {
        self.error_of(self.table.layout[column], problem)
    }

    fn error_of(&self, field: &'static str, problem: impl fmt::Display) -> FileError {
        let (file, problem) = (self.table.file.clone(), problem.to_string());
        FileError::Field { file, line: self.line(), field, problem }
    }

    pub fn text(&self, column: usize) -> Result<Cow<'t, str>, FileError> {
        // The width of every record was checked when the table was read.
        let bytes = self.record.get(column).unwrap_or_default();
        match self.table.encoding {
            // Latin-1 is the first 256 code points.
            Encoding::Latin1 if !bytes.is_ascii() => {
                Ok(bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into())
            }
            Encoding::Latin1 | Encoding::Utf8 => std::str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|_| self.error(column, "not UTF-8")),
        }
    }

    /// Text that must not be empty.
    pub fn id(&self, column: usize) -> Result<Cow<'t, str>, FileError> {
        match self.text(column)? {
            text if text.trim().is_empty() => Err(self.error(column, "is empty")),
            text => Ok(text),
        }
    }

    pub fn number<N: std::str::FromStr>(&self, column: usize) -> Result<N, FileError> {
        let text = self.text(column)?;
        text.parse().map_err(|_| self.error(column, format_args!("'{text}' is not a number")))
    }

    pub fn currency(&self, column: usize) -> Result<Currency, FileError> {
        let text = self.text(column)?;
        Currency::parse(&text)
            .filter(|currency| amount::exponent(*currency).is_some())
            .ok_or_else(|| self.error(column, format_args!("'{text}' is not a currency")))
    }

    /// A billed currency, which the file fixes.
    pub fn currency_is(&self, column: usize, expected: Currency) -> Result<(), FileError> {
        match self.currency(column)? {
            currency if currency == expected => Ok(()),
            currency => Err(self.error(column, format_args!("{currency}, expected {expected}"))),
        }
    }

    pub fn amount_minor(&self, column: usize, currency: Currency) -> Result<i64, FileError> {
        let text = self.text(column)?;
        amount::minor(&text, currency)
            .map_err(|error| self.error(column, format_args!("'{text}': {error}")))
    }

    /// A day written by the pattern (of jiff), as its first instant in UTC.
    pub fn day(&self, column: usize, pattern: &str) -> Result<LogTime, FileError> {
        let text = self.text(column)?;
        let date = Date::strptime(pattern, text.as_ref()).ok();
        // Reading is lenient about leading zeros; what was read must write the same text.
        let date = date.filter(|date| date.strftime(pattern).to_string() == text);
        let wrong = || self.error(column, format_args!("'{text}' is not a day ({pattern})"));
        date.map(day_start).ok_or_else(wrong)
    }
}

pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
