//! Amounts as the API writes them: minor units for programs, decimal text for people.
//!
//! Owns the decimal form: digits after the point by ISO 4217, no grouping, no floats. A code that
//! ISO does not know has none, so its decimal text is the minor units themselves.

use crate::domain::money::Currency;
use serde::Serialize;
use utoipa::ToSchema;

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Amount {
    /// In the currency's smallest unit.
    #[schema(example = 123450)]
    pub minor: i64,
    /// The same as a decimal number, with as many digits after the point as the currency has.
    #[schema(example = "1234.50")]
    pub decimal: String,
    /// ISO 4217.
    #[schema(example = "CZK")]
    pub currency: String,
}

impl Amount {
    pub fn new(minor: i64, currency: Currency) -> Self {
        let known = iso_currency::Currency::from_code(currency.as_str());
        let digits = usize::from(known.and_then(|known| known.exponent()).unwrap_or(0));
        Self { minor, decimal: decimal(minor, digits), currency: currency.to_string() }
    }
}

fn decimal(minor: i64, digits: usize) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    match text.split_at(text.len() - digits) {
        (whole, "") => format!("{sign}{whole}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: decimals are right for every exponent and sign. Method: a table.
    #[test]
    fn decimals() {
        for (minor, code, text) in [
            (123_450, "CZK", "1234.50"),
            (5, "EUR", "0.05"),
            (-5, "EUR", "-0.05"),
            (0, "EUR", "0.00"),
            (1_234, "JPY", "1234"),
            (1_234_567, "KWD", "1234.567"),
            (i64::MIN, "USD", "-92233720368547758.08"),
            (1_000, "QQQ", "1000"),
        ] {
            let currency = Currency::parse(code).expect("three letters");
            assert_eq!(Amount::new(minor, currency).decimal, text);
        }
    }
}
