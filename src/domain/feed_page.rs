//! A page of a customer's feed: its order, and the cursor that says where the next one begins.
//!
//! Owns the order of lines (newest beginning first, then account and item) and the cursor's text.
//! A line's place never changes in its life, so a cursor stays right while items change. Never
//! reads anything: the store and its twin in memory both answer with these shapes.

use super::feed::{BalanceAfter, FeedBody, FeedRecord};
use super::ids::AccountId;
use std::{fmt, str::FromStr};

/// Longest name of a line that a cursor carries, in bytes.
const LINE_BYTES_MAX: usize = 512;

/// The last line that was seen. Text: the beginning in ms, a hyphen and the line's name in hex;
/// opaque to whoever gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub created_ms: i64,
    /// `<account>/<item id>`.
    pub line: Box<str>,
}

impl Cursor {
    pub fn of(record: &FeedRecord) -> Option<Cursor> {
        match &record.body {
            FeedBody::Item(item) => Some(Cursor {
                created_ms: item.created_at.0,
                line: format!("{}/{}", record.account_id, item.item_id).into(),
            }),
            FeedBody::Holding(_) | FeedBody::Birth(_) => None,
        }
    }

    /// Whether a line stands after this one, further down.
    pub fn is_before(&self, other: &Cursor) -> bool {
        (-self.created_ms, &self.line) < (-other.created_ms, &other.line)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.created_ms)?;
        self.line.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text was made by nobody who made cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (created, hex) = text.rsplit_once('-').ok_or(CursorError)?;
        let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || hex.len() % 2 != 0 || hex.len() > 2 * LINE_BYTES_MAX {
            return Err(CursorError);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let bytes: Option<Vec<u8>> = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?))
            .collect();
        let line = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(CursorError)?;
        let created_ms = created.parse().map_err(|_| CursorError)?;
        Ok(Cursor { created_ms, line: line.into() })
    }
}

/// Lines in order, and where to go on; `next` is absent on the last page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub lines: Vec<FeedRecord>,
    pub next: Option<Cursor>,
}

impl Page {
    /// The first `limit` of lines that are in order already; whoever asks for one line more than it
    /// wants learns by it whether there is a next page.
    pub fn cut(mut lines: Vec<FeedRecord>, limit: usize) -> Page {
        let has_more = lines.len() > limit;
        lines.truncate(limit);
        let next = lines.last().filter(|_| has_more).and_then(Cursor::of);
        Page { lines, next }
    }
}

/// One account as a customer stands to it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountLine {
    pub account_id: AccountId,
    pub audience: super::feed::Audience,
    /// Its new items and its balance are theirs no more; what they saw stays.
    pub removed: bool,
    pub balance: BalanceAfter,
    /// Of the event that the balance stands at.
    pub partition: i32,
    pub offset: i64,
    pub log_time: super::time::LogTime,
}

impl AccountLine {
    /// The accounts that are or were a customer's, by account: one for each holding, with the
    /// balance of the newest record of the account, be it the holding itself or an item.
    pub fn gather(records: &[FeedRecord]) -> Vec<AccountLine> {
        let mut lines: Vec<AccountLine> = records.iter().filter_map(AccountLine::of).collect();
        lines.sort_by(|a, b| (&a.account_id, -a.offset).cmp(&(&b.account_id, -b.offset)));
        lines.dedup_by(|older, newer| older.account_id == newer.account_id);
        for record in records {
            let FeedBody::Item(item) = &record.body else { continue };
            let line = lines.iter_mut().find(|line| line.account_id == record.account_id);
            if let Some(line) = line.filter(|line| line.offset <= record.offset) {
                line.balance = item.balance;
                (line.offset, line.log_time) = (record.offset, record.log_time);
            }
        }
        lines
    }

    /// `None`: the record is no holding.
    pub fn of(record: &FeedRecord) -> Option<AccountLine> {
        match &record.body {
            FeedBody::Holding(holding) => Some(AccountLine {
                account_id: record.account_id.clone(),
                audience: holding.audience,
                removed: holding.removed,
                balance: holding.balance,
                partition: record.partition,
                offset: record.offset,
                log_time: record.log_time,
            }),
            FeedBody::Item(_) | FeedBody::Birth(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a cursor survives its way through an address, and nothing else passes for one.
    /// Method: texts there and back, then a table of what was tampered with.
    #[test]
    fn cursors() {
        for (created_ms, line) in
            [(0, "acc-1/payment/p"), (-5, "ž/message/ m"), (749_000_000_000, "")]
        {
            let cursor = Cursor { created_ms, line: line.into() };
            let text = cursor.to_string();
            assert!(text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-'), "{text}");
            assert_eq!(text.parse(), Ok(cursor));
        }
        let long = format!("1-{}", "61".repeat(LINE_BYTES_MAX + 1));
        for text in ["", "1", "-", "1-6", "1-zz", "x-61", "1-ff", "1-+6", &long] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }

    /// Goal: the order is newest first, then by name. Method: neighbours.
    #[test]
    fn order() {
        let at = |created_ms, line: &str| Cursor { created_ms, line: line.into() };
        assert!(at(2, "b").is_before(&at(1, "a")));
        assert!(at(2, "a").is_before(&at(2, "b")));
        assert!(!at(2, "a").is_before(&at(2, "a")));
    }
}
