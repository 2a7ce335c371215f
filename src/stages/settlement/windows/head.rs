//! The head of one network and currency: what its partitions sealed, windows, exceptions, sums.
//!
//! Owns which windows and exceptions are in memory and which have left as side rows. Never decides
//! about money. Invariants: windows ascend by cut-off; an open window never leaves; at most
//! `WINDOWS_KEPT` others and `EXCEPTIONS_KEPT` open exceptions stay, so that a head is bounded by
//! how far its partitions are apart, not by its age.

use super::window::{Status, Window};
use crate::domain::{
    settlement::{SettlementInput, SettlementRecord, parse_reference},
    time::LogTime,
    window::{Exception, Source},
};
use serde::{Deserialize, Serialize};

/// Windows that stay in the head although they are closed; older ones leave in whatever status and
/// come back when a record names them.
pub const WINDOWS_KEPT: usize = 16;
pub const EXCEPTIONS_KEPT: usize = 64;
/// Windows that a report or a difference may open before any part of them is there.
pub const WINDOWS_AHEAD_MAX: usize = 64;

/// Default: a network and currency of which nothing was ever read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    /// Partitions of the ledger; 0 before the first part.
    pub partitions: i32,
    /// Ascending by partition.
    pub sealed: Vec<Sealed>,
    /// Cut-off of the newest window that closed; all up to it have.
    pub closed_through: LogTime,
    /// The latest time that a record named: what ages are counted from.
    pub now: LogTime,
    /// Sum of the open exceptions, those that left the head included.
    pub suspense_minor: i64,
    pub exceptions_open: i64,
    /// Net that the next window to close takes over.
    pub carry_minor: i64,
    /// Ascending by cut-off.
    pub windows: Vec<Window>,
    /// In the order of opening, then of coming back.
    pub exceptions: Vec<Exception>,
    /// Net of all parts so far less what is still owed for them: for metrics, nothing is decided by
    /// it. A head of a release that did not count begins at 0.
    pub settled_minor: i64,
}

/// How far a partition has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    pub partition: i32,
    pub cutoff: LogTime,
    /// Where its next part begins.
    pub to_offset: i64,
}

/// What can leave a head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    Window(Box<Window>),
    Exception(Box<Exception>),
}

/// `w:<cut-off>` or `e:<exception id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemId(Box<str>);

impl ItemId {
    pub fn window(cutoff: LogTime) -> Self {
        Self(format!("w:{}", cutoff.0).into())
    }

    pub fn exception(id: &str) -> Self {
        Self(format!("e:{id}").into())
    }
}

impl AsRef<str> for ItemId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The id of the exception that something opens.
pub fn exception_id(source: Source, id: &str) -> Box<str> {
    let source = match source {
        Source::Item => "item",
        Source::Difference => "difference",
        Source::Report => "report",
        Source::Statement => "line",
        Source::Unexplained => "unexplained",
        Source::Unknown => "unknown",
    };
    format!("{source}:{id}").into()
}

impl Windows {
    pub fn window(&self, cutoff: LogTime) -> Option<&Window> {
        self.place(cutoff).ok().and_then(|place| self.windows.get(place))
    }

    /// What is owed for the windows that are here, and what the next one takes over.
    pub fn owed_minor(&self) -> i64 {
        let owed = |window: &Window| window.outstanding_minor();
        self.windows.iter().map(owed).fold(self.carry_minor, i64::saturating_add)
    }

    /// Where the window stands, or would stand.
    pub fn place(&self, cutoff: LogTime) -> Result<usize, usize> {
        self.windows.binary_search_by_key(&cutoff, |window| window.cycle.cutoff)
    }

    pub fn exception(&self, id: &str) -> Option<&Exception> {
        self.exceptions.iter().find(|exception| &*exception.id == id)
    }

    pub fn sealed(&self, partition: i32) -> Option<&Sealed> {
        self.sealed.iter().find(|sealed| sealed.partition == partition)
    }

    /// Every partition has sealed this cycle, or its first part is later.
    pub fn is_sealed_through(&self, cutoff: LogTime) -> bool {
        i32::try_from(self.sealed.len()).is_ok_and(|count| count == self.partitions)
            && self.sealed.iter().all(|sealed| sealed.cutoff >= cutoff)
    }

    /// Puts a window or an exception in, for the first time or back.
    pub fn put(&mut self, item: Item) {
        match item {
            Item::Window(window) => match self.place(window.cycle.cutoff) {
                Ok(place) => self.windows[place] = *window,
                Err(place) => self.windows.insert(place, *window),
            },
            Item::Exception(exception) => self.exceptions.push(*exception),
        }
    }

    /// What the record needs and the head does not have. An exception that comes back names its
    /// window, so it is asked for again then.
    pub fn named(&self, record: &SettlementRecord) -> Vec<ItemId> {
        let (exception, cutoff) = match &record.body {
            SettlementInput::Part(part) => (None, Some(part.cycle.cutoff)),
            SettlementInput::Report(report) => {
                let id = exception_id(Source::Report, &report.report_id);
                (Some(id), Some(report.cycle.cutoff))
            }
            SettlementInput::Difference(difference) => {
                let id = exception_id(Source::Difference, &difference.difference_id);
                (Some(id), Some(difference.cycle.cutoff))
            }
            SettlementInput::Statement(line) => {
                let id = exception_id(Source::Statement, &line.line_id);
                (Some(id), parse_reference(&line.reference).map(|(_, _, cutoff)| cutoff))
            }
            SettlementInput::Resolve(resolve) => {
                let known = self.exception(&resolve.exception_id);
                let cycle = known.and_then(|exception| exception.cycle);
                (Some(resolve.exception_id.clone()), cycle.map(|cycle| cycle.cutoff))
            }
            SettlementInput::Birth(_) => (None, None),
        };
        // Only what was closed can have left.
        let window = cutoff
            .filter(|cutoff| *cutoff <= self.closed_through && self.place(*cutoff).is_err())
            .map(ItemId::window);
        let exception =
            exception.filter(|id| self.exception(id).is_none()).map(|id| ItemId::exception(&id));
        window.into_iter().chain(exception).collect()
    }

    /// Takes out what has to leave: the oldest windows that are closed, exceptions that are
    /// resolved, the oldest of the others.
    pub fn evict(&mut self) -> Vec<(ItemId, Item)> {
        let mut leaving = Vec::new();
        let closed = self.windows.iter().filter(|window| window.status != Status::Open).count();
        let mut windows_left = closed.saturating_sub(WINDOWS_KEPT);
        let leaves = |window: &mut Window| {
            let leaves = windows_left > 0 && window.status != Status::Open;
            windows_left -= usize::from(leaves);
            leaves
        };
        for window in self.windows.extract_if(.., leaves) {
            leaving.push((ItemId::window(window.cycle.cutoff), Item::Window(Box::new(window))));
        }
        let open = self.exceptions.iter().filter(|exception| exception.is_open()).count();
        let mut exceptions_left = open.saturating_sub(EXCEPTIONS_KEPT);
        let leaves = |exception: &mut Exception| {
            let is_over = exception.is_open() && exceptions_left > 0;
            exceptions_left -= usize::from(is_over);
            is_over || !exception.is_open()
        };
        for exception in self.exceptions.extract_if(.., leaves) {
            let id = ItemId::exception(&exception.id);
            leaving.push((id, Item::Exception(Box::new(exception))));
        }
        leaving
    }
}
