//! A head in money: what was settled, what stands in suspense, what is owed and for how long.
//!
//! Owns the sums that a network and currency adds to the metrics of its partition. Ages are counted
//! to the latest time that a record named, so the same log gives the same sums. Amounts by age are
//! without their sign: money that is owed both ways must not hide each other. Decides nothing.

use super::{head::Windows, window::Status};
use crate::domain::{money::Currency, time::LogTime};
use crate::stages::Flow;

const DAY_MS: i64 = 86_400_000;
/// From here on somebody should have acted.
const LATE_MS: i64 = 3 * DAY_MS;

const FLOWS: [Flow; 9] = [
    Flow::Settled,
    Flow::Suspense,
    Flow::SuspenseFresh,
    Flow::SuspenseDay,
    Flow::SuspenseLate,
    Flow::OwedFresh,
    Flow::OwedDay,
    Flow::OwedLate,
    Flow::OwedBroken,
];

/// Windows that left the head unpaid are not among those owed by age; `settled` counts them still.
/// Exceptions that left are older than those that stayed, so their sum counts as late.
pub(super) fn sums(key: &str, head: &Windows, add: &mut impl FnMut(Flow, Currency, i64)) {
    let code = key.rsplit_once('/').map_or("", |(_, code)| code);
    let Some(currency) = Currency::parse(code) else { return };
    // All of them, so that an alert has a series before its case.
    FLOWS.into_iter().for_each(|flow| add(flow, currency, 0));
    add(Flow::Settled, currency, head.settled_minor);
    add(Flow::Suspense, currency, head.suspense_minor);
    let by_age =
        |since: LogTime, [fresh, day, late]: [Flow; 3]| match head.now.0.saturating_sub(since.0) {
            age_ms if age_ms >= LATE_MS => late,
            age_ms if age_ms >= DAY_MS => day,
            _ => fresh,
        };
    let ages = [Flow::SuspenseFresh, Flow::SuspenseDay, Flow::SuspenseLate];
    let mut gone_minor = head.suspense_minor;
    for exception in head.exceptions.iter().filter(|exception| exception.is_open()) {
        let minor = exception.suspense_minor;
        gone_minor = gone_minor.saturating_sub(minor);
        add(by_age(exception.opened_at, ages), currency, minor.saturating_abs());
    }
    add(Flow::SuspenseLate, currency, gone_minor.saturating_abs());
    let ages = [Flow::OwedFresh, Flow::OwedDay, Flow::OwedLate];
    for window in &head.windows {
        let minor = window.outstanding_minor().saturating_abs();
        match window.status {
            Status::Open | Status::Settled => continue,
            Status::Broken => add(Flow::OwedBroken, currency, minor),
            Status::Closed | Status::Reconciled | Status::Instructed => {}
        }
        add(by_age(window.cycle.cutoff, ages), currency, minor);
    }
}
