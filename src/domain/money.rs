//! Money: integers in minor units of a currency, and nothing else.
//!
//! Owns the currency code, the bound on one message's amount and the one rounding, that of a fee.
//! Never converts: a billing amount is the network's. The bound keeps every sum of a realistic log
//! far inside an `i64`; sums are checked all the same (overflow checks are on in release).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The largest amount one message may name: 10^13 minor units (a hundred thousand million
/// dollars). A million of them still fit into an `i64`.
pub const AMOUNT_MINOR_MAX: i64 = 10_000_000_000_000;

/// The part of an amount that a rate takes, in whole minor units; a half goes to the even one, so
/// that neither side gains by it in the long run.
///
/// Units: `amount_minor` 0 to `AMOUNT_MINOR_MAX`, `basis_points` (hundredths of a percent) 0 to
/// 10,000; the result is not above the amount.
pub fn basis_points_of(amount_minor: i64, basis_points: i64) -> i64 {
    const WHOLE: i128 = 10_000;
    let product = i128::from(amount_minor) * i128::from(basis_points);
    let (whole, rest) = (product.div_euclid(WHOLE), product.rem_euclid(WHOLE));
    let up = rest * 2 > WHOLE || (rest * 2 == WHOLE && whole % 2 != 0);
    i64::try_from(whole + i128::from(up)).unwrap_or(i64::MAX)
}

/// An ISO 4217 letter code. Only its form is checked here; whether the code exists is the codec's
/// question, which knows the ISO table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Three upper-case ASCII letters, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    pub fn as_str(&self) -> &str {
        // The bytes are ASCII letters by construction.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Code;
        impl de::Visitor<'_> for Code {
            type Value = Currency;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a currency code of three upper-case letters")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Currency, E> {
                Currency::parse(text).ok_or_else(|| E::custom("unknown_currency"))
            }
        }
        deserializer.deserialize_str(Code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: halves go to the even unit, everything else to the nearest. Method: a table.
    #[test]
    fn rates() {
        for (amount_minor, basis_points, part_minor) in [
            (10_000, 20, 20),
            (249, 20, 0),
            (250, 20, 0), // 0.5
            (251, 20, 1),
            (749, 20, 1),
            (750, 20, 2),   // 1.5
            (1_250, 20, 2), // 2.5
            (1_251, 20, 3),
            (0, 10_000, 0),
            (AMOUNT_MINOR_MAX, 10_000, AMOUNT_MINOR_MAX),
        ] {
            let found = basis_points_of(amount_minor, basis_points);
            assert_eq!(found, part_minor, "{amount_minor} at {basis_points}");
        }
    }
}
