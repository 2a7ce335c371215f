//! Which minute of the day it is somewhere.
//!
//! Owns the one look at the table of time zones, daylight saving included. A zone that the table
//! does not know counts as UTC: the quiet hours stay as long, and the API refuses such a name.

use jiff::{Timestamp, tz::TimeZone};

/// 0 to 1439. `zone`: IANA name.
pub fn minute_of_day(now_ms: i64, zone: &str) -> u16 {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let Ok(now) = Timestamp::from_millisecond(now_ms) else { return 0 };
    let local = now.to_zoned(zone);
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    u16::try_from(minute).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: zones, daylight saving and unknown names. Method: 2026-07-01 and 2026-01-01, 22:30 UTC.
    #[test]
    fn minutes() {
        const JULY: i64 = 1_782_945_000_000;
        const JANUARY: i64 = 1_767_306_600_000;
        for (now_ms, zone, time) in [
            (JULY, "UTC", (22, 30)),
            (JULY, "Europe/Prague", (0, 30)),
            (JANUARY, "Europe/Prague", (23, 30)),
            (JULY, "Asia/Kathmandu", (4, 15)),
            (JANUARY, "America/New_York", (17, 30)),
            (JULY, "Mars/Olympus", (22, 30)),
        ] {
            assert_eq!(minute_of_day(now_ms, zone), time.0 * 60 + time.1, "{zone} at {now_ms}");
        }
    }
}
