//! The dated plan: which command is sent on which day, and the ticks between the days.
//!
//! Owns the order of a play. The player writes a tick into every partition at 00:00:00Z of each
//! day from the data's first to the day after its last, then that day's commands: so a hold of
//! seven days is released before a presentment of the seventh day, which then is late. Never reads
//! a clock.

use crate::domain::{
    command::{AccountCommand, Command},
    ids::AccountId,
    time::{DAY_MS, LogTime},
};
use jiff::{ToSpan, civil::Date};

/// What comes first within a day (payments.md section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Opening,
    Holder,
    Card,
    /// Credits and debits, and card payments that a bank lists among them.
    Booking,
    Authorisation,
    /// Presentments and refunds.
    Presentment,
}

/// Rank within the day, then the place in the files.
pub type Order = (Rank, u64);

#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The first instant of the day.
    pub day: LogTime,
    pub order: Order,
    /// The record's key.
    pub account: AccountId,
    pub command: AccountCommand,
}

impl Planned {
    /// A command of that day; the day's start is its time of sending.
    pub fn new(
        day: LogTime,
        order: Order,
        account: &AccountId,
        message_id: String,
        body: Command,
    ) -> Self {
        let (account_id, message_id) = (account.clone(), message_id.into());
        let command = AccountCommand { account_id, message_id, sent_at: day, body };
        Self { day, order, account: account.clone(), command }
    }
}

#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every step is a command")]
pub enum Step {
    /// Into every partition.
    Tick(LogTime),
    Command(AccountCommand),
}

/// The plan in order: a tick, that day's commands, the next tick, and so on.
pub struct Play {
    planned: std::iter::Peekable<std::vec::IntoIter<Planned>>,
    /// The tick whose commands are being given; the next is a day later.
    day: Option<LogTime>,
    first: LogTime,
    last: LogTime,
}

impl Play {
    /// From the first day with a command to the last.
    pub fn new(planned: Vec<Planned>) -> Self {
        let days = || planned.iter().map(|planned| planned.day);
        let (first, last) = (days().min().unwrap_or_default(), days().max().unwrap_or_default());
        Self::spanning(planned, first, last)
    }

    /// Sorts by day and order; commands equal in both keep their sequence. No command may be
    /// outside the days given; the days at the ends may have none.
    pub fn spanning(mut planned: Vec<Planned>, first: LogTime, last: LogTime) -> Self {
        planned.sort_by_key(|planned| (planned.day, planned.order));
        Self { planned: planned.into_iter().peekable(), day: None, first, last }
    }

    /// The data's first day and its last; the last tick is a day later.
    pub fn days(&self) -> (LogTime, LogTime) {
        (self.first, self.last)
    }

    pub fn commands_left(&self) -> usize {
        self.planned.len()
    }
}

impl Iterator for Play {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let Some(day) = self.day else {
            self.planned.peek()?; // without commands there is no first day
            self.day = Some(self.first);
            return Some(Step::Tick(self.first));
        };
        if let Some(planned) = self.planned.next_if(|planned| planned.day <= day) {
            return Some(Step::Command(planned.command));
        }
        if day > self.last {
            return None;
        }
        self.day = Some(day.plus_ms(DAY_MS));
        self.day.map(Step::Tick)
    }
}

/// 00:00:00Z of a calendar day.
pub fn day_start(date: Date) -> LogTime {
    let epoch = jiff::civil::date(1970, 1, 1);
    // A span of days between two civil dates always exists and fits.
    let days = date.since(epoch).map_or(0, |span| span.get_days());
    LogTime(i64::from(days) * DAY_MS)
}

/// The calendar day of a log time, for people.
pub fn day_text(time: LogTime) -> String {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.checked_add(time.day().days()).map_or_else(|_| "?".to_owned(), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        command::{Credit, CreditKind},
        money::Currency,
    };

    /// Goal: a tick opens every day, also the quiet ones and the one after the last, and the
    /// commands of a day follow it by rank, then by place. Method: five commands given shuffled.
    #[test]
    fn ticks_and_order() {
        let credit = |day: i64, order, id: &str| {
            let body = Command::Credit(Credit {
                amount_minor: 1,
                currency: Currency::parse("CAD").unwrap(),
                kind: CreditKind::Other,
                text: "".into(),
            });
            Planned::new(LogTime(day * DAY_MS), order, &"a".into(), id.to_owned(), body)
        };
        let play = Play::new(vec![
            credit(12, (Rank::Presentment, 0), "e"),
            credit(10, (Rank::Presentment, 0), "c"),
            credit(12, (Rank::Authorisation, 9), "d"),
            credit(10, (Rank::Opening, 8), "a"),
            credit(10, (Rank::Booking, 3), "b"),
        ]);
        let told: Vec<String> = play
            .map(|step| match step {
                Step::Tick(time) => time.day().to_string(),
                Step::Command(command) => command.message_id.to_string(),
            })
            .collect();
        assert_eq!(told.join(" "), "10 a b c 11 12 d e 13");
        assert_eq!(Play::new(Vec::new()).next(), None);
    }

    /// Goal: days are counted in UTC from 1970. Method: known days, there and back.
    #[test]
    fn days() {
        for (text, day) in [("1970-01-01", 0), ("1993-12-31", 8_765), ("1969-12-31", -1)] {
            let time = day_start(text.parse().unwrap());
            assert_eq!((time.day(), day_text(time)), (day, text.to_owned()));
        }
    }
}
