//! The header of a file: whose it is, which one, of which day and in which currency.
//!
//! Owns the names that a file's messages are made from: `<network>:<file id>:<record>`. Neither
//! part may hold a colon, so a name has one reading. Invariant: the same file gives the same names.

use super::{
    problem::{Problem, shown},
    row::{FileKind, Row, RowKind},
};
use crate::domain::{
    cycle::{Cycle, Day},
    ids::MessageId,
    money::Currency,
    time::{DAY_MS, LogTime},
};
use crate::producer::amount;
use jiff::Timestamp;

/// The version of the forms; another one is refused.
pub const VERSION: &str = "1";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: FileKind,
    pub network: Box<str>,
    pub file_id: Box<str>,
    pub business_date: Day,
    /// Of every amount but the merchant's.
    pub currency: Currency,
    /// Of a report: the cycle that it tells about; of other files absent.
    pub cycle: Option<Cycle>,
}

const KIND: usize = 0;
const VERSION_AT: usize = 1;
const NETWORK: usize = 2;
const FILE_ID: usize = 3;
const BUSINESS_DATE: usize = 4;
const CURRENCY: usize = 5;
const CYCLE: usize = 6;
const CUTOFF: usize = 7;

impl Header {
    /// Errors: `header_missing`, `header_invalid`, `form_version`, `currency_unknown`.
    pub fn read(row: &Row) -> Result<Self, Problem> {
        if row.kind != RowKind::Header {
            let reason = format_args!("begins with `{}`", row.kind.word());
            return Err(Problem::new(row.line, "line", "header_missing", reason));
        }
        let invalid = |column: usize, what: &str| {
            let reason = format_args!("{} is {what}", shown(row.text(column)));
            row.problem(column, "header_invalid", reason)
        };
        if row.text(VERSION_AT) != VERSION {
            let reason = format_args!("{}, known is {VERSION}", shown(row.text(VERSION_AT)));
            return Err(row.problem(VERSION_AT, "form_version", reason));
        }
        let kind = FileKind::parse(row.text(KIND))
            .ok_or_else(|| invalid(KIND, "none of clearing, report, statement"))?;
        let (network, file_id) = (row.text(NETWORK), row.text(FILE_ID));
        let is_low = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if network.is_empty() || network.len() > 32 || !network.bytes().all(is_low) {
            return Err(invalid(NETWORK, "not 1 to 32 of a-z, 0-9 and -"));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if file_id.is_empty() || file_id.len() > 64 || !file_id.bytes().all(is_name) {
            return Err(invalid(FILE_ID, "not 1 to 64 of A-Z, a-z, 0-9, - _ and ."));
        }
        let business_date = Day::parse(row.text(BUSINESS_DATE))
            .ok_or_else(|| invalid(BUSINESS_DATE, "no day (YYYY-MM-DD)"))?;
        let currency = Currency::parse(row.text(CURRENCY));
        let currency = currency.filter(|currency| amount::exponent(*currency).is_some());
        let currency = currency.ok_or_else(|| {
            let reason = format_args!("{} is no currency of money", shown(row.text(CURRENCY)));
            row.problem(CURRENCY, "currency_unknown", reason)
        })?;
        let cycle = match (kind, row.text(CYCLE), row.text(CUTOFF)) {
            (FileKind::Report, number, cutoff) => {
                let number = number.parse().ok().filter(|number| (1..=1_000).contains(number));
                let number = number.ok_or_else(|| invalid(CYCLE, "no number from 1 to 1000"))?;
                let cutoff = cutoff.parse::<Timestamp>().ok();
                let cutoff = cutoff.ok_or_else(|| {
                    invalid(CUTOFF, "no time; write it like 2026-11-22T10:00:00Z")
                })?;
                let cutoff = LogTime(cutoff.as_millisecond());
                Some(Cycle { cutoff, business_date: business_date.0, number })
            }
            (_, "", "") => None,
            (_, "", _) => return Err(invalid(CUTOFF, "given, but belongs to reports")),
            _ => return Err(invalid(CYCLE, "given, but belongs to reports")),
        };
        let (network, file_id) = (network.into(), file_id.into());
        Ok(Self { kind, network, file_id, business_date, currency, cycle })
    }

    /// The first instant of the business date: the time of sending of all that the file says.
    pub fn day_start(&self) -> LogTime {
        LogTime(i64::from(self.business_date.0) * DAY_MS)
    }

    /// The delivery key of a line (docs/payments.md, "Identity and duplicates").
    pub fn message_id(&self, record: u64) -> MessageId {
        format!("{}:{}:{record}", self.network, self.file_id).into()
    }

    /// The texts of the header's columns.
    pub fn texts(&self) -> [String; 8] {
        let (cycle, cutoff) = match self.cycle {
            None => (String::new(), String::new()),
            Some(cycle) => {
                let cutoff = Timestamp::from_millisecond(cycle.cutoff.0).unwrap_or_default();
                (cycle.number.to_string(), cutoff.to_string())
            }
        };
        [
            self.kind.word().to_owned(),
            VERSION.to_owned(),
            self.network.to_string(),
            self.file_id.to_string(),
            self.business_date.to_string(),
            self.currency.to_string(),
            cycle,
            cutoff,
        ]
    }
}

impl Header {
    /// Of the templates.
    pub fn sample(kind: FileKind) -> Self {
        let day = |text: &str| Day::parse(text).unwrap_or(Day(0));
        let business_date = day("2026-11-21");
        let cutoff = LogTime(i64::from(business_date.0 + 1) * DAY_MS);
        let cycle = Cycle { cutoff, business_date: business_date.0, number: 1 };
        let (business_date, file_id) = match kind {
            FileKind::Clearing => (business_date, "20261121-1"),
            FileKind::Report => (business_date, "20261121-1-report"),
            FileKind::Statement => (day("2026-11-23"), "statement-20261123"),
        };
        Self {
            kind,
            network: "visa".into(),
            file_id: file_id.into(),
            business_date,
            // Three upper-case letters are a code.
            currency: Currency::parse("CAD").expect("a currency of ISO 4217"),
            cycle: (kind == FileKind::Report).then_some(cycle),
        }
    }
}
