//! Cycles: which cut-off of a network's calendar an item belongs to.
//!
//! Owns calendar arithmetic (cut-offs, weekdays, holidays, all UTC). Never reads a clock: the time
//! is the log's. Invariant: a cycle is named by its cut-off; of one calendar cut-offs are strictly
//! ascending and each time has exactly one next (payments.md S1, S2).

use super::time::{DAY_MS, LogTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// One cycle of a (network, currency).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cycle {
    /// Items are in it that were read before this log time; the cut-off itself is the next's.
    pub cutoff: LogTime,
    /// Days since 1970-01-01 of the day that the cut-off ends or divides.
    pub business_date: i32,
    /// From 1 within the business date.
    pub number: i32,
}

/// A calendar day, days since 1970-01-01. Text: `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// A day of the proleptic Gregorian calendar, or `None` (also for 30 February).
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = text.len() == 10
            && text.bytes().enumerate().all(|(place, byte)| match place {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if !well_formed {
            return None;
        }
        let part = |from: usize, to: usize| text.get(from..to)?.parse::<i32>().ok();
        let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
        if !(1..=12).contains(&month) {
            return None;
        }
        let found = Self::of(year, month, day);
        (found.parts() == (year, month, day)).then_some(found)
    }

    /// Counted from 1 March of year 0, so that the leap day is the last of its year.
    fn of(year: i32, month: i32, day: i32) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self(era * 146_097 + day_of_era - 719_468)
    }

    fn parts(self) -> (i32, i32, i32) {
        let days = self.0 + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i32::from(month <= 2);
        (year, month, day)
    }

    pub fn weekday(self) -> Weekday {
        // 1970-01-01 was a Thursday.
        match (self.0 + 3).rem_euclid(7) {
            0 => Weekday::Mon,
            1 => Weekday::Tue,
            2 => Weekday::Wed,
            3 => Weekday::Thu,
            4 => Weekday::Fri,
            5 => Weekday::Sat,
            _ => Weekday::Sun,
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom(format_args!("`{text}` is not a day (YYYY-MM-DD)"));
        Day::parse(&text).ok_or_else(wrong)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

pub const ALL_WEEKDAYS: &[Weekday] = &[
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

pub const DAY_MINUTES: i32 = 1_440;

const MINUTE_MS: i64 = 60_000;

/// How far a calendar is searched; rules are refused whose holidays leave a longer gap.
pub const GAP_DAYS_MAX: i32 = 60;

/// When a network and currency cut off: minutes after midnight UTC (1 to 1440, ascending), on
/// these weekdays, but not on holidays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar<'a> {
    pub cutoff_minutes: &'a [i32],
    pub weekdays: &'a [Weekday],
    /// Ascending.
    pub holidays: &'a [Day],
}

impl Calendar<'_> {
    /// One cycle a day, at midnight: what holds where the rules say nothing.
    pub const DAILY: Calendar<'static> =
        Calendar { cutoff_minutes: &[DAY_MINUTES], weekdays: ALL_WEEKDAYS, holidays: &[] };

    /// The cycle of something read at this log time: the first cut-off strictly after it.
    pub fn next_cutoff(&self, after: LogTime) -> Cycle {
        let first_day = day_of(after);
        let is_later = |cycle: &Cycle| cycle.cutoff > after;
        (first_day..=first_day.saturating_add(GAP_DAYS_MAX + 1))
            .find_map(|day| self.of_day(day).find(is_later))
            // Not with checked rules; a cycle far away would halt nothing and hide everything.
            .unwrap_or_else(|| Cycle {
                cutoff: LogTime((i64::from(first_day) + 1) * DAY_MS),
                business_date: first_day,
                number: 1,
            })
    }

    /// The latest cut-off at or before this log time, of the days that a calendar may leave out.
    pub fn last_cutoff(&self, at: LogTime) -> Option<Cycle> {
        let day = day_of(at);
        let is_past = |cycle: &Cycle| cycle.cutoff <= at;
        (0..=GAP_DAYS_MAX + 1)
            .filter_map(|back| self.of_day(day.checked_sub(back)?).filter(is_past).last())
            .next()
    }

    fn of_day(&self, day: i32) -> impl Iterator<Item = Cycle> {
        let open = self.weekdays.contains(&Day(day).weekday())
            && self.holidays.binary_search(&Day(day)).is_err();
        let minutes = if open { self.cutoff_minutes } else { &[] };
        (1..).zip(minutes).map(move |(number, minute)| Cycle {
            cutoff: LogTime(i64::from(day) * DAY_MS + i64::from(*minute) * MINUTE_MS),
            business_date: day,
            number,
        })
    }
}

/// Saturating: no log time of a tick is that far away, and no wrong cycle comes of it if one is.
fn day_of(time: LogTime) -> i32 {
    let far = i64::from(i32::MAX / 4);
    // In range by the clamp.
    i32::try_from(time.day().clamp(-far, far)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: days and weekdays are the calendar's. Method: known days, both ways.
    #[test]
    fn days() {
        for (text, day, weekday) in [
            ("1970-01-01", 0, Weekday::Thu),
            ("1969-12-31", -1, Weekday::Wed),
            ("1993-01-01", 8_401, Weekday::Fri),
            ("2000-02-29", 11_016, Weekday::Tue),
            ("2026-11-22", 20_779, Weekday::Sun),
        ] {
            assert_eq!(Day::parse(text), Some(Day(day)), "{text}");
            assert_eq!(Day(day).to_string(), text);
            assert_eq!(Day(day).weekday(), weekday, "{text}");
        }
        for wrong in ["2026-02-30", "1900-02-29", "2026-13-01", "2026-1-01", "20260101", "x"] {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }

    /// Goal: S2: several cut-offs a day, none on Sunday or a holiday, midnight belongs to the day
    /// before it. Method: a table of times around a weekend with a Monday off.
    #[test]
    fn cutoffs() {
        // 2026-01-02 is a Friday.
        let friday = Day::parse("2026-01-02").expect("a day").0;
        let holidays = [Day(friday + 3)];
        let weekdays = ALL_WEEKDAYS.get(..6).expect("seven");
        let calendar = Calendar { cutoff_minutes: &[720, 1_440], weekdays, holidays: &holidays };
        let at = |day: i32, minute: i64, ms: i64| {
            LogTime(i64::from(friday + day) * DAY_MS + minute * MINUTE_MS + ms)
        };
        for (name, after, day, minute, number) in [
            ("morning", at(0, 0, 0), 0, 720, 1),
            ("just before", at(0, 720, -1), 0, 720, 1),
            ("at the cut-off", at(0, 720, 0), 0, 1_440, 2),
            ("before midnight", at(0, 1_440, -1), 0, 1_440, 2),
            ("at midnight", at(1, 0, 0), 1, 720, 1),
            ("Sunday", at(2, 5, 0), 4, 720, 1),
            ("end of Saturday", at(2, 0, 0), 4, 720, 1),
            ("holiday", at(3, 800, 0), 4, 720, 1),
        ] {
            let cycle = calendar.next_cutoff(after);
            assert_eq!(cycle.cutoff, at(day, minute, 0), "{name}");
            assert_eq!((cycle.business_date, cycle.number), (friday + day, number), "{name}");
            let last = calendar.last_cutoff(after).expect("one before");
            assert!(last.cutoff <= after, "{name}");
            assert_eq!(calendar.next_cutoff(last.cutoff), cycle, "{name}: nothing between");
        }
    }
}
