//! Settlement: the records of `settlement.parts.v1`, from which windows are made.
//!
//! Owns the shapes only; field names are the wire names of that topic's schema. A window is the
//! presentments of one network, currency and cycle; a part is one partition's share of it; what
//! is decided about windows stands in `window`. All amounts are minor units of the record's
//! currency. Two signs are used throughout: `net` is what we owe the network (below zero: it owes
//! us), `suspense` is a debit balance (what somebody still has to explain or pay), so a leg at
//! suspense has the opposite sign.

use super::{
    cycle::Cycle,
    ids::{AccountId, PaymentId},
    ledger::Leg,
    money::Currency,
    reason::Reason,
    time::LogTime,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Most suspense items that one part may list; what is beyond them is one item with their sum.
pub const SUSPENSE_ITEMS_MAX: usize = 128;

/// The record key of both topics: `<network>/<CURRENCY>`.
pub fn window_key(network: &str, currency: Currency) -> Box<str> {
    format!("{network}/{currency}").into()
}

/// SHA-256; on the wire 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// `None` unless it is what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl de::Visitor<'_> for Digits {
            type Value = ContentHash;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("64 lower-case hexadecimal digits")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ContentHash, E> {
                ContentHash::parse(text).ok_or_else(|| E::custom("content_hash"))
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

/// The envelope of `settlement.parts.v1`, keyed by `window_key`; a birth by `PARTITION_KEY`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettlementRecord {
    pub network: Box<str>,
    pub currency: Currency,
    pub body: SettlementInput,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SettlementInput {
    Part(PartSealed),
    Report(NetworkReport),
    Difference(ReportDifference),
    Statement(BankStatementLine),
    Resolve(ResolveException),
    Birth(Birth),
}

/// The first record of each partition; concerns nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {}

/// One partition's share of a cycle, sealed by the tick at or after the cut-off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartSealed {
    /// Of the ledger's partitions, and how many there are.
    pub partition: i32,
    pub partitions: i32,
    pub cycle: Cycle,
    /// The partition has never sealed a part of this network and currency with items before.
    pub first: bool,
    /// The offsets of `payments.events.v1` that it covers: from (inclusive) to (exclusive). The
    /// next part of the partition begins where this one ends.
    pub from_offset: i64,
    pub to_offset: i64,
    pub totals: CycleTotals,
    /// Chained over the canonical bytes of the items.
    pub content: ContentHash,
    /// At most `SUSPENSE_ITEMS_MAX`; their sum is `totals.suspense_minor`.
    pub suspense: Vec<SuspenseItem>,
    pub rules_version: i32,
}

/// Sums of one cycle. The first three are never negative; interchange may be, where refunds give
/// back more than purchases earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleTotals {
    pub items: i64,
    pub purchases_minor: i64,
    pub purchase_reversals_minor: i64,
    pub refunds_minor: i64,
    /// Earned by us.
    pub interchange_minor: i64,
    /// Scheme fees, paid by us.
    pub fees_minor: i64,
    /// What could not be booked on an account (owed positive).
    pub suspense_minor: i64,
}

impl CycleTotals {
    /// No single sum may be larger, so that a few of them can be added without a check.
    pub const MINOR_MAX: i64 = i64::MAX / 64;

    /// What we owe the network (S5); below zero: it owes us. Every sum is within `MINOR_MAX`.
    pub fn net_minor(&self) -> i64 {
        self.purchases_minor
            - self.purchase_reversals_minor
            - self.refunds_minor
            - self.interchange_minor
            + self.fees_minor
            + self.suspense_minor
    }

    /// `None` where a sum would leave `MINOR_MAX`.
    pub fn plus(&self, other: &CycleTotals) -> Option<CycleTotals> {
        let add = |a: i64, b: i64| {
            a.checked_add(b).filter(|sum| sum.unsigned_abs() <= Self::MINOR_MAX.unsigned_abs())
        };
        Some(CycleTotals {
            items: add(self.items, other.items)?,
            purchases_minor: add(self.purchases_minor, other.purchases_minor)?,
            purchase_reversals_minor: add(
                self.purchase_reversals_minor,
                other.purchase_reversals_minor,
            )?,
            refunds_minor: add(self.refunds_minor, other.refunds_minor)?,
            interchange_minor: add(self.interchange_minor, other.interchange_minor)?,
            fees_minor: add(self.fees_minor, other.fees_minor)?,
            suspense_minor: add(self.suspense_minor, other.suspense_minor)?,
        })
    }
}

/// A network item that must be accepted and has no account to be booked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuspenseItem {
    /// Unique within the network and currency; derived from the item's source position.
    pub id: Box<str>,
    pub account_id: AccountId,
    /// What the customer would owe; below zero: would get.
    pub owed_minor: i64,
    pub reason: Reason,
    pub log_time: LogTime,
}

/// What the network says of a cycle. Its `totals.suspense_minor` is 0: it knows no suspense.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// The network's own name of the report: the same id and totals again is a repeat.
    pub report_id: Box<str>,
    pub at: LogTime,
    pub cycle: Cycle,
    pub totals: CycleTotals,
}

/// The classes of reconciliation (S6). `Matched` and `Expected` are no exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A newer release's class.
    Unknown,
    Matched,
    /// Ours, not yet in the report, and not yet due there.
    Expected,
    /// Ours, and not in the report where it was due.
    Missing,
    /// In both, with another amount, currency, date or direction.
    Mismatch,
    /// Theirs, and not in our books.
    Extra,
    /// Theirs, twice.
    Duplicate,
}

/// One line in which report and books differ, found by the importer as of the same cut. It comes
/// before its report. `reported_minor - booked_minor` is what the network claims beyond our books.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportDifference {
    /// Unique within the network and currency (report and line): the same again is a repeat.
    pub difference_id: Box<str>,
    pub at: LogTime,
    pub cycle: Cycle,
    pub class: Class,
    pub reported_minor: i64,
    pub booked_minor: i64,
    pub payment_id: Option<PaymentId>,
    pub reference: Box<str>,
    pub text: Box<str>,
}

impl ReportDifference {
    pub fn claimed_minor(&self) -> i64 {
        self.reported_minor - self.booked_minor
    }
}

/// Which way money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Unknown,
    /// From us to the network.
    Pay,
    /// From the network to us.
    Receive,
}

impl Direction {
    /// Of an amount that we owe (below zero: that is owed to us).
    pub fn of(owed_minor: i64) -> Self {
        if owed_minor < 0 { Direction::Receive } else { Direction::Pay }
    }

    /// `amount_minor` as something that we paid; below zero where it came in.
    pub fn paid_minor(self, amount_minor: i64) -> i64 {
        match self {
            Direction::Receive => -amount_minor,
            Direction::Pay | Direction::Unknown => amount_minor,
        }
    }
}

/// One line of the bank's statement of the nostro account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BankStatementLine {
    /// Unique within the network and currency: the same again is a repeat.
    pub line_id: Box<str>,
    pub at: LogTime,
    /// Above zero.
    pub amount_minor: i64,
    pub direction: Direction,
    /// The reference of our instruction as the bank repeats it; empty where it names none.
    pub reference: Box<str>,
    pub text: Box<str>,
}

/// Names an instruction: `<network>/<CURRENCY>/<cut-off in ms since 1970>`.
pub fn instruction_reference(network: &str, currency: Currency, cutoff: LogTime) -> Box<str> {
    format!("{network}/{currency}/{}", cutoff.0).into()
}

/// (network, currency, cut-off) of a reference of ours.
pub fn parse_reference(reference: &str) -> Option<(&str, Currency, LogTime)> {
    let (rest, cutoff) = reference.rsplit_once('/')?;
    let (network, currency) = rest.rsplit_once('/')?;
    Some((network, Currency::parse(currency)?, LogTime(cutoff.parse().ok()?)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolutionKind {
    Unknown,
    /// Taken as our own cost or income.
    WriteOff,
    /// Paid or got at the bank, outside of the imported statements.
    Recovered,
    /// Put where it belongs: the net of the window that it pays, else of a later one.
    Rebooked,
    /// Not an exception: it moved to a later window by itself. Never asked for.
    Carried,
}

/// A person's decision about an exception. Its legs move the exception's whole amount out of
/// suspense and nothing else; none where nothing stands there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResolveException {
    pub exception_id: Box<str>,
    pub at: LogTime,
    pub kind: ResolutionKind,
    pub legs: Vec<Leg>,
    /// Who decided.
    pub by: Box<str>,
    pub text: Box<str>,
}
