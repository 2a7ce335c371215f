//! Log time: the only time the payment rules know.
//!
//! Owns points in time as milliseconds since 1970 (UTC) and the calendar arithmetic limits need.
//! Never reads a clock: log time is what the latest fresh tick of the partition says.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LogTime(pub i64);

pub const DAY_MS: i64 = 86_400_000;

impl LogTime {
    /// The time before the first tick.
    pub const ZERO: LogTime = LogTime(0);

    /// Days since 1970-01-01, rounded down.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }

    /// Months since January of year 0 (proleptic Gregorian): equal for all days of one month.
    ///
    /// The day number is turned into a date by counting from 1 March of year 0, so that the leap
    /// day is the last of its year.
    pub fn month(self) -> i64 {
        let days = self.day() + 719_468; // days from 0000-03-01 to 1970-01-01
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        (era * 400 + year_of_era) * 12 + month_from_march + 2
    }

    /// Later by `ms`; stops at the end of time instead of wrapping.
    pub fn plus_ms(self, ms: i64) -> LogTime {
        LogTime(self.0.saturating_add(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: months change on the first of the month only. Method: known days around the edges.
    #[test]
    fn month_numbers() {
        for (day, month) in [
            (0, 1970 * 12),          // 1970-01-01
            (30, 1970 * 12),         // 1970-01-31
            (31, 1970 * 12 + 1),     // 1970-02-01
            (58, 1970 * 12 + 1),     // 1970-02-28
            (59, 1970 * 12 + 2),     // 1970-03-01
            (11_016, 2000 * 12 + 1), // 2000-02-29
            (11_017, 2000 * 12 + 2), // 2000-03-01
            (8_401, 1993 * 12),      // 1993-01-01
            (8_765, 1993 * 12 + 11), // 1993-12-31
            (-1, 1969 * 12 + 11),    // 1969-12-31
        ] {
            assert_eq!(LogTime(day * DAY_MS).month(), month, "day {day}");
        }
    }
}
