//! The meaning of single fields: numbers, amounts, days.
//!
//! Owns reading each once, with the column's name in what is wrong. Exact or refused: nothing is
//! rounded, trimmed or guessed.

use super::{
    problem::{Problem, shown},
    row::Row,
};
use crate::domain::{cycle::Day, money::Currency};
use crate::producer::amount;
use std::str::FromStr;

/// Decimal text as minor units of the currency; below zero with a minus sign.
pub fn amount_minor(
    row: &Row,
    column: usize,
    currency: Currency,
    code: &'static str,
) -> Result<i64, Problem> {
    let text = row.text(column);
    amount::minor(text, currency)
        .map_err(|error| row.problem(column, code, format_args!("{}: {error}", shown(text))))
}

/// A whole number in plain digits.
pub fn number<N: FromStr>(row: &Row, column: usize, code: &'static str) -> Result<N, Problem> {
    let text = row.text(column);
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| {
        row.problem(column, code, format_args!("{} is no whole number", shown(text)))
    })
}

/// A currency that ISO 4217 lists and that has minor units.
pub fn currency(row: &Row, column: usize, code: &'static str) -> Result<Currency, Problem> {
    let text = row.text(column);
    let known = Currency::parse(text).filter(|currency| amount::exponent(*currency).is_some());
    known.ok_or_else(|| {
        row.problem(column, code, format_args!("{} is no currency of money", shown(text)))
    })
}

/// A day as YYYY-MM-DD, or none where the field is empty.
pub fn day(row: &Row, column: usize) -> Result<Option<Day>, Problem> {
    let text = row.text(column);
    if text.is_empty() {
        return Ok(None);
    }
    Day::parse(text).map(Some).ok_or_else(|| {
        let reason = format_args!("{} is no day (YYYY-MM-DD)", shown(text));
        row.problem(column, "date_impossible", reason)
    })
}
