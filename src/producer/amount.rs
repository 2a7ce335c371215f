//! Amounts: decimal text and minor units, exactly.
//!
//! Owns the ISO 4217 exponents that text needs. Never rounds: what does not fit into the
//! currency's minor unit is an error of that line, and trailing zeros are not ("100.00" yen is
//! 100). No floats.

use crate::domain::money::{AMOUNT_MINOR_MAX, Currency};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("not a decimal number")]
    NotANumber,
    #[error("finer than the currency's smallest unit")]
    Remainder,
    #[error("larger than any amount that a message may name")]
    TooLarge,
    #[error("a currency that ISO 4217 does not list")]
    CurrencyUnknown,
}

/// Digits behind the point: CAD 2, JPY 0, KWD 3. `None` for codes that are no money (XAU, QQQ).
pub fn exponent(currency: Currency) -> Option<u32> {
    iso_currency::Currency::from_code(currency.as_str())?.exponent().map(u32::from)
}

/// `[-]digits[.digits]` as minor units of the currency, at most what one message may name.
///
/// Errors: see [`AmountError`]; the caller adds file, line and field.
pub fn minor(text: &str, currency: Currency) -> Result<i64, AmountError> {
    bounded(text, currency, AMOUNT_MINOR_MAX)
}

/// The same for a sum of many amounts, up to what 64 bits hold.
pub fn sum_minor(text: &str, currency: Currency) -> Result<i64, AmountError> {
    bounded(text, currency, i64::MAX)
}

fn bounded(text: &str, currency: Currency, minor_max: i64) -> Result<i64, AmountError> {
    let exponent = exponent(currency).ok_or(AmountError::CurrencyUnknown)?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(AmountError::NotANumber),
        Some((whole, fraction)) => (whole, fraction),
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(AmountError::NotANumber);
    }
    let (kept, rest) = fraction.split_at(fraction.len().min(exponent as usize));
    if rest.bytes().any(|byte| byte != b'0') {
        return Err(AmountError::Remainder);
    }
    let padding = std::iter::repeat_n(b'0', exponent as usize - kept.len());
    let mut minor: i64 = 0;
    for digit in whole.bytes().chain(kept.bytes()).chain(padding) {
        let next = minor.checked_mul(10).and_then(|ten| ten.checked_add(i64::from(digit - b'0')));
        minor = next.filter(|next| *next <= minor_max).ok_or(AmountError::TooLarge)?;
    }
    Ok(sign * minor)
}

/// The reverse, with all digits of the exponent: -5 CAD cents is `-0.05`.
pub fn decimal(minor: i64, currency: Currency) -> String {
    let exponent = exponent(currency).unwrap_or(0);
    let sign = if minor < 0 { "-" } else { "" };
    let unit = 10_u64.pow(exponent);
    let (whole, rest) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    match exponent {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{rest:0width$}", width = exponent as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AmountError::*;

    /// Goal: text becomes exactly the minor units it says or is refused. Method: one line a case;
    /// what was accepted is written out and read again.
    #[test]
    fn exact_or_refused() {
        for (text, currency, then) in [
            ("1.00", "CAD", Ok(100)),
            ("-0.05", "CAD", Ok(-5)),
            ("7", "CAD", Ok(700)),
            ("7.5", "CAD", Ok(750)),
            ("100.00", "JPY", Ok(100)),
            ("100.50", "JPY", Err(Remainder)),
            ("1.234", "KWD", Ok(1234)),
            ("1.2340", "KWD", Ok(1234)),
            ("1.005", "GBP", Err(Remainder)),
            ("100000000000.00", "GBP", Ok(10_000_000_000_000)),
            ("100000000000.01", "GBP", Err(TooLarge)),
            ("99999999999999999999", "GBP", Err(TooLarge)),
            ("", "CAD", Err(NotANumber)),
            ("-", "CAD", Err(NotANumber)),
            (".5", "CAD", Err(NotANumber)),
            ("5.", "CAD", Err(NotANumber)),
            ("1,000.00", "CAD", Err(NotANumber)),
            ("1e3", "CAD", Err(NotANumber)),
            ("+1", "CAD", Err(NotANumber)),
            ("--1", "CAD", Err(NotANumber)),
            ("1.2.3", "CAD", Err(NotANumber)),
            ("٣", "CAD", Err(NotANumber)),
            ("1", "QQQ", Err(CurrencyUnknown)),
            ("1", "XAU", Err(CurrencyUnknown)),
        ] {
            let currency = Currency::parse(currency).unwrap();
            assert_eq!(minor(text, currency), then, "{text} {currency}");
            if !matches!(then, Err(TooLarge)) {
                assert_eq!(sum_minor(text, currency), then, "{text} {currency} as a sum");
            }
            if let Ok(amount) = then {
                assert_eq!(minor(&decimal(amount, currency), currency), then, "{text} written");
            }
        }
        let yen = Currency::parse("JPY").unwrap();
        for (text, then) in [
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775807", Ok(-i64::MAX)),
            ("9223372036854775808", Err(TooLarge)),
        ] {
            assert_eq!(sum_minor(text, yen), then, "{text} as a sum");
        }
    }
}
