//! What is wrong with a file: line, field, reason, and a stable code.
//!
//! Owns the table of codes and which of them refuse the whole file. A file is refused where its
//! money cannot be told from it any more; a line whose record number, kind and amount are readable
//! is set aside alone, as an exception, and the rest counts. Never repeats what might be a card
//! number.

use serde::Serialize;
use std::fmt;

/// `line` counts from 1, the header; `field` is a column's name, or `line` for all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line}, {field}: {code}: {reason}")]
pub struct Problem {
    pub line: u64,
    pub field: &'static str,
    pub code: &'static str,
    pub reason: String,
}

impl Problem {
    pub fn new(
        line: u64,
        field: &'static str,
        code: &'static str,
        reason: impl fmt::Display,
    ) -> Self {
        Self { line, field, code, reason: reason.to_string() }
    }
}

/// What a code means for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing of the file is published.
    File,
    /// That line alone becomes an exception.
    Line,
}

/// Every code with its scope and meaning, as docs/clearing.md lists them.
#[rustfmt::skip]
pub const CODES: &[(&str, Scope, &str)] = &[
    ("after_trailer", Scope::File, "Something follows the trailer."),
    ("amount_invalid", Scope::File, "An amount is not decimal text that is exact in the currency's smallest unit, or is below zero where the kind tells the direction."),
    ("columns", Scope::File, "A line has too few or too many fields."),
    ("currency_mixed", Scope::File, "A line is in another currency than the header says."),
    ("currency_unknown", Scope::File, "ISO 4217 does not list the header's currency."),
    ("file_changed", Scope::File, "The file is not what was checked a moment before."),
    ("file_kind", Scope::File, "The file is of another kind than was asked for."),
    ("form_version", Scope::File, "The form has a version that this release does not know."),
    ("header_invalid", Scope::File, "A field of the header cannot be used."),
    ("header_missing", Scope::File, "The first line is not a header."),
    ("item_missing", Scope::File, "A line of a report does not name its item."),
    ("kind_unknown", Scope::File, "A line is none of present, reverse, refund."),
    ("line_too_long", Scope::File, "A line is longer than 16,384 bytes."),
    ("not_json", Scope::File, "A line is not one JSON object of this form."),
    ("not_utf8", Scope::File, "A line is not UTF-8."),
    ("quotes", Scope::File, "A quoted field is not closed, or something follows its end."),
    ("record_invalid", Scope::File, "A record number is not a whole number from 1 on."),
    ("record_order", Scope::File, "A record number is below the one before it."),
    ("record_repeated", Scope::File, "A record number comes twice."),
    ("row_unknown", Scope::File, "A line begins with none of the words of this kind of file."),
    ("sum_too_large", Scope::File, "The sum leaves what 64 bits can hold."),
    ("totals_invalid", Scope::File, "The totals of a report are missing, repeated, no amounts, or not those of its lines."),
    ("trailer_count", Scope::File, "The trailer counts other lines than there are."),
    ("trailer_hash", Scope::File, "The trailer's hash total is not that of the bytes before it."),
    ("trailer_missing", Scope::File, "The file ends without a trailer: it is cut off."),
    ("trailer_sum", Scope::File, "The trailer's sum is not that of the lines."),
    ("unreadable", Scope::File, "The file cannot be read."),
    ("account_invalid", Scope::Line, "The account is missing, longer than 64 bytes, or a reserved name."),
    ("amount_not_positive", Scope::Line, "A reversal or a refund of nothing."),
    ("card_missing", Scope::Line, "The card's token is missing."),
    ("category_invalid", Scope::Line, "The merchant category is not four digits."),
    ("channel_unknown", Scope::Line, "The channel is none that is known."),
    ("country_invalid", Scope::Line, "The country is not two capital letters."),
    ("date_impossible", Scope::Line, "The calendar has no such day."),
    ("last_invalid", Scope::Line, "`last` is neither true nor false."),
    ("original_invalid", Scope::Line, "What the merchant charged is no amount of a known currency."),
    ("pan_in_clear", Scope::Line, "The card's token is a card number."),
    ("sequence_invalid", Scope::Line, "The sequence is not n of m with 1 <= n <= m."),
    ("text_too_long", Scope::Line, "A text is longer than 1,024 bytes."),
];

/// `File` for a code that is not in the table: unknown trouble publishes nothing.
pub fn scope(code: &str) -> Scope {
    let known = CODES.iter().find(|(known, ..)| *known == code);
    known.map_or(Scope::File, |(_, scope, _)| *scope)
}

/// A field's text for people: cut short, and hidden where its digits could be a card number.
pub fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits >= 12 {
        return "a text of many digits (not shown)".to_owned();
    }
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        short.push_str("...");
    }
    format!("'{}'", short.escape_debug())
}
