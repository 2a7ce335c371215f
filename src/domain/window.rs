//! Windows and exceptions: the records of `settlement.windows.v1`.
//!
//! Owns the shapes of what was decided about a window and of an exception; field names are the
//! wire names of that topic's schema. Amounts and signs as in `settlement`. Every event carries
//! what stands in suspense after it, and every set of legs sums to zero: a reader who adds them to
//! the postings gets the ledger.

use super::{
    cycle::Cycle,
    ids::{AccountId, PaymentId},
    ledger::Leg,
    money::Currency,
    reason::Reason,
    settlement::{Class, ContentHash, CycleTotals, Direction, ResolutionKind},
    time::LogTime,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowEvent {
    pub network: Box<str>,
    pub currency: Currency,
    /// Absent where an exception belongs to no window.
    pub cycle: Option<Cycle>,
    /// The time that the record behind it names (a part: its cut-off).
    pub at: LogTime,
    /// Sum of the open exceptions of this network and currency after the event.
    pub suspense_minor: i64,
    pub body: WindowBody,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WindowBody {
    Closed(WindowClosed),
    Reconciled(WindowReconciled),
    Broken(WindowBroken),
    Instructed(WindowInstructed),
    Settled(WindowSettled),
    Carried(WindowCarried),
    ExceptionOpened(ExceptionOpened),
    ExceptionResolved(ExceptionResolved),
    ResolutionRefused(ResolutionRefused),
}

/// The offsets of one partition that a window covers (S4), enough to compute it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRange {
    pub partition: i32,
    pub from_offset: i64,
    /// Exclusive.
    pub to_offset: i64,
    pub items: i64,
    pub content: ContentHash,
}

/// All parts are there; the content never changes again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowClosed {
    pub totals: CycleTotals,
    /// Net that earlier windows gave to this one.
    pub carried_minor: i64,
    /// totals' net + `carried_minor` + what differences reported so far move.
    pub net_minor: i64,
    /// Ascending by partition; a partition whose first part is later is not among them.
    pub parts: Vec<PartRange>,
    /// SHA-256 over the parts' hashes in that order.
    pub content: ContentHash,
}

/// How many differences of a class a window has, and what they claim in sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassTally {
    pub class: Class,
    pub count: i64,
    pub claimed_minor: i64,
}

/// The window against the report: booked + carried + differences + unexplained = net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reconciliation {
    pub report_id: Box<str>,
    pub booked_minor: i64,
    pub carried_minor: i64,
    pub differences_minor: i64,
    pub unexplained_minor: i64,
    /// What the report says that we owe, and what will be paid.
    pub net_minor: i64,
    /// Ascending by class; only classes that came up.
    pub classes: Vec<ClassTally>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowReconciled {
    pub reconciliation: Reconciliation,
}

/// The report says what nothing explains: a person must decide about the exception `unexplained`
/// before anything is paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowBroken {
    pub reconciliation: Reconciliation,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowInstructed {
    /// Above zero.
    pub amount_minor: i64,
    pub direction: Direction,
    /// What the bank is to repeat on its statement.
    pub reference: Box<str>,
}

/// The net of the window is exactly 0 after this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowSettled {
    /// The statement line that paid it; empty where nothing was due, or where lines in suspense
    /// were rebooked.
    pub line_id: Box<str>,
    /// net <-> nostro; empty where `line_id` is.
    pub legs: Vec<Leg>,
}

/// A difference of class `expected`: net that leaves this window for the next to close.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowCarried {
    pub difference_id: Box<str>,
    pub minor: i64,
}

/// Where an exception came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Unknown,
    /// A network item without an account (booked to suspense with its posting).
    Item,
    Difference,
    Report,
    Statement,
    /// What the differences of a report leave unexplained.
    Unexplained,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exception {
    /// `<source>:<id of what it came from>`.
    pub id: Box<str>,
    pub source: Source,
    pub class: Class,
    pub cycle: Option<Cycle>,
    /// What stands in suspense because of it, a debit balance; 0 where it is only to be looked at.
    pub suspense_minor: i64,
    /// What the network or the bank says, and what our books said.
    pub claimed_minor: i64,
    pub booked_minor: i64,
    pub account_id: Option<AccountId>,
    pub payment_id: Option<PaymentId>,
    pub reason: Option<Reason>,
    pub reference: Box<str>,
    /// The desk that must act.
    pub owner: Box<str>,
    pub opened_at: LogTime,
    pub resolution: Option<Resolution>,
}

impl Exception {
    pub fn is_open(&self) -> bool {
        self.resolution.is_none()
    }

    /// By the times that records name, never by a clock.
    pub fn age_ms(&self, now: LogTime) -> i64 {
        now.0.saturating_sub(self.opened_at.0).max(0)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    pub kind: ResolutionKind,
    pub at: LogTime,
    pub by: Box<str>,
    pub text: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExceptionOpened {
    pub exception: Exception,
    /// net or nostro <-> suspense; empty for an item, whose posting has booked it already.
    pub legs: Vec<Leg>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExceptionResolved {
    pub exception_id: Box<str>,
    pub resolution: Resolution,
    pub legs: Vec<Leg>,
}

/// A resolution that had no effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResolutionRefused {
    pub exception_id: Box<str>,
    pub refusal: Refusal,
}

/// In the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    Unknown,
    ExceptionUnknown,
    /// Resolved before, in another way.
    ExceptionResolved,
    /// A leg in another currency, or legs that do not sum to zero.
    LegsUnbalanced,
    /// The legs leave something of the exception in suspense, or move more than it.
    LegsSuspense,
    /// A leg at an address that the kind does not allow.
    LegsAddress,
    /// Money of a statement cannot pay a window that was not instructed yet.
    WindowNotInstructed,
}
