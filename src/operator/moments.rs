//! Times and places in a log as operators write and read them.
//!
//! Owns `--from` (`earliest`, `latest`, `offset:N`, RFC 3339, `-N`) and the text of a time: UTC
//! with the Z shown. A time without a zone is taken as UTC. Never asks a clock.

use crate::codec::frame::ce_time;
use crate::domain::time::LogTime;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use std::str::FromStr;

/// RFC 3339 in UTC with milliseconds.
pub fn utc(ms: i64) -> String {
    ce_time(LogTime(ms))
}

/// Milliseconds since 1970 of an RFC 3339 time; no zone means UTC.
pub fn parse_time(text: &str) -> Result<i64, String> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| civil().map(|zoned| zoned.timestamp()))
        .map(Timestamp::as_millisecond)
        .ok_or_else(|| format!("`{text}` is no time; write it like 2026-11-22T10:00:00Z"))
}

/// Seconds as people say them: `0 s`, `12.3 s`, `4 min 5 s`, `3 h 2 min`, `2 d 4 h`.
pub fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let seconds = ms / 1_000;
    match seconds {
        0 if ms == 0 => "0 s".to_owned(),
        0..60 => format!("{seconds}.{} s", ms % 1_000 / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    Earliest,
    /// Past the last record: what comes from now on.
    Latest,
    Offset(i64),
    /// The first record at or after this time, milliseconds since 1970, by the broker's clock.
    Time(i64),
    /// This many records before the end, per partition.
    Last(i64),
}

impl FromStr for StartAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0);
        match text {
            "earliest" => return Ok(StartAt::Earliest),
            "latest" => return Ok(StartAt::Latest),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("offset:") {
            return number(rest).map(StartAt::Offset).ok_or(format!("`{rest}` is no offset"));
        }
        if let Some(last) = text.strip_prefix('-').and_then(number) {
            return Ok(StartAt::Last(last));
        }
        parse_time(text).map(StartAt::Time).map_err(|_| {
            format!("`{text}` is none of earliest, latest, offset:N, -N, 2026-11-22T10:00:00Z")
        })
    }
}

impl StartAt {
    /// The first offset to read in a log from `start` up to (not including) `end`; `at_time`: what
    /// the broker answers to a time. Always inside the log.
    pub fn offset(self, start: i64, end: i64, at_time: Option<i64>) -> i64 {
        let wanted = match self {
            StartAt::Earliest => start,
            StartAt::Latest => end,
            StartAt::Offset(offset) => offset,
            StartAt::Time(_) => at_time.unwrap_or(end),
            StartAt::Last(records) => end.saturating_sub(records),
        };
        wanted.clamp(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every form of `--from` is understood, anything else is refused with the forms.
    /// Method: a table.
    #[test]
    fn from_forms() {
        for (text, from) in [
            ("earliest", StartAt::Earliest),
            ("latest", StartAt::Latest),
            ("offset:42", StartAt::Offset(42)),
            ("-10", StartAt::Last(10)),
            ("1970-01-01T00:00:01Z", StartAt::Time(1_000)),
            ("1970-01-01T00:00:01.5+00:00", StartAt::Time(1_500)),
            ("1970-01-01T01:00:00+01:00", StartAt::Time(0)),
            ("1970-01-01T00:00:02", StartAt::Time(2_000)),
        ] {
            assert_eq!(text.parse(), Ok(from), "{text}");
        }
        for text in ["", "offset:", "offset:-1", "--3", "yesterday", "42"] {
            assert!(text.parse::<StartAt>().is_err(), "{text}");
        }
    }

    /// Goal: reading never begins outside the log. Method: a log from 10 to 20.
    #[test]
    fn from_stays_inside_the_log() {
        for (from, at_time, offset) in [
            (StartAt::Earliest, None, 10),
            (StartAt::Latest, None, 20),
            (StartAt::Offset(3), None, 10),
            (StartAt::Offset(15), None, 15),
            (StartAt::Offset(99), None, 20),
            (StartAt::Last(4), None, 16),
            (StartAt::Last(400), None, 10),
            (StartAt::Time(5), Some(12), 12),
            (StartAt::Time(5), None, 20),
        ] {
            assert_eq!(from.offset(10, 20, at_time), offset, "{from:?}");
        }
    }

    /// Goal: times and spans read alike everywhere. Method: a table.
    #[test]
    fn texts() {
        assert_eq!(utc(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
        for (ms, text) in [
            (0, "0 s"),
            (-5, "0 s"),
            (250, "0.2 s"),
            (12_345, "12.3 s"),
            (245_000, "4 min 5 s"),
            (10_920_000, "3 h 2 min"),
            (187_200_000, "2 d 4 h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }
}
