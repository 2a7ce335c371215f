//! Money for people: minor units as decimals of their currency.
//!
//! Owns the text form alone, "1,234.50 CZK": integers all the way, digits after the point by
//! ISO 4217. Sums are kept per currency and never added across them. In JSON amounts stay minor
//! units beside their currency.

use crate::domain::money::Currency;
use std::collections::BTreeMap;

/// "1,234.50 CZK", "-12 JPY"; a code that ISO does not know is shown in minor units and says so.
pub fn money(minor: i64, currency: Currency) -> String {
    match iso_currency::Currency::from_code(currency.as_str()) {
        Some(known) => {
            let digits = usize::from(known.exponent().unwrap_or(0));
            format!("{} {currency}", decimal(i128::from(minor), digits))
        }
        None => format!("{} minor units of {currency}", decimal(i128::from(minor), 0)),
    }
}

fn decimal(minor: i128, digits: usize) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        "" => format!("{sign}{grouped}"),
        fraction => format!("{sign}{grouped}.{fraction}"),
    }
}

/// "1,234", for counts of records.
pub fn count(number: i64) -> String {
    decimal(i128::from(number), 0)
}

/// Sums per currency, minor units.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Sums(pub BTreeMap<Currency, i64>);

impl Sums {
    /// Stops at the largest number instead of wrapping: a log of such sums does not exist.
    pub fn add(&mut self, minor: i64, currency: Currency) {
        let sum = self.0.entry(currency).or_default();
        *sum = sum.saturating_add(minor);
    }

    pub fn add_all(&mut self, other: &Sums) {
        for (currency, minor) in &other.0 {
            self.add(*minor, *currency);
        }
    }

    /// One amount a line, "-" where nothing was added.
    pub fn shown(&self) -> String {
        if self.0.is_empty() {
            return "-".to_owned();
        }
        let lines: Vec<String> =
            self.0.iter().map(|(currency, minor)| money(*minor, *currency)).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: an amount reads as its currency is written. Method: a table of exponents and signs.
    #[test]
    fn amounts() {
        for (minor, code, text) in [
            (123_450, "CZK", "1,234.50 CZK"),
            (5, "EUR", "0.05 EUR"),
            (0, "EUR", "0.00 EUR"),
            (-100_000_000, "USD", "-1,000,000.00 USD"),
            (1_234, "JPY", "1,234 JPY"),
            (1_234_567, "KWD", "1,234.567 KWD"),
            (i64::MIN, "JPY", "-9,223,372,036,854,775,808 JPY"),
            (1_000, "QQQ", "1,000 minor units of QQQ"),
        ] {
            let currency = Currency::parse(code).expect("three letters");
            assert_eq!(money(minor, currency), text);
        }
    }

    /// Goal: currencies never mix. Method: two of them, added in turn.
    #[test]
    fn sums_keep_currencies_apart() {
        let [czk, eur] = ["CZK", "EUR"].map(|code| Currency::parse(code).expect("a code"));
        let mut sums = Sums::default();
        assert_eq!(sums.shown(), "-");
        for (minor, currency) in [(100, czk), (7, eur), (250, czk)] {
            sums.add(minor, currency);
        }
        assert_eq!(sums.shown(), "3.50 CZK\n0.07 EUR");
        assert_eq!(serde_json::json!(sums), serde_json::json!({"CZK": 350, "EUR": 7}));
    }
}
