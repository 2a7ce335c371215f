//! What commands print: tables for people, JSON for scripts, on standard output.
//!
//! Owns the forms. Messages and progress go to standard error, so that a pipe gets data alone. Field
//! names in JSON are stable snake_case; times are UTC with the Z shown.

use clap::ValueEnum;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::Write;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// An aligned table.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// A column: its heading, whether it is a number (aligned right), and its text for a row.
pub struct Column<'a, T> {
    pub heading: &'a str,
    pub is_number: bool,
    pub text: &'a dyn Fn(&T) -> String,
}

pub fn text<'a, T>(heading: &'a str, text: &'a dyn Fn(&T) -> String) -> Column<'a, T> {
    Column { heading, is_number: false, text }
}

pub fn number<'a, T>(heading: &'a str, text: &'a dyn Fn(&T) -> String) -> Column<'a, T> {
    Column { heading, is_number: true, text }
}

/// Prints rows in the chosen form.
pub fn rows<T: Serialize>(output: Output, rows: &[T], columns: &[Column<'_, T>]) {
    match output {
        Output::Text => line(&table(rows, columns)),
        Output::Json => one(&rows),
        Output::Jsonl => rows.iter().for_each(|row| line(&compact(row))),
    }
}

/// Prints one document: JSON in both JSON forms; `shown` for people.
pub fn document<T: Serialize>(output: Output, document: &T, shown: impl FnOnce() -> String) {
    match output {
        Output::Text => line(&shown()),
        Output::Json => one(document),
        Output::Jsonl => line(&compact(document)),
    }
}

pub fn table<T>(rows: &[T], columns: &[Column<'_, T>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.heading));
    for row in rows {
        table.add_row(columns.iter().map(|column| {
            let alignment = match column.is_number {
                true => CellAlignment::Right,
                false => CellAlignment::Left,
            };
            Cell::new((column.text)(row)).set_alignment(alignment)
        }));
    }
    table.to_string()
}

fn one<T: Serialize>(document: &T) {
    line(&serde_json::to_string_pretty(document).unwrap_or_default());
}

fn compact<T: Serialize>(document: &T) -> String {
    serde_json::to_string(document).unwrap_or_default()
}

/// A line of data. A reader that closed the pipe early (`| head`) is no failure.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A message for people, apart from the data.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
