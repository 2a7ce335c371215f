//! The network's report against the window: differences by class, and what they leave unexplained.
//!
//! Owns the arithmetic of S6: what a difference claims stands in suspense as an exception (an
//! expected one goes to the next window), so that the net of the window becomes what the report
//! says. What is left is one more exception, `unexplained`, and breaks the window. Never changes a
//! window after its report: what comes later is an exception that moves no money.

use super::{
    draft::{Draft, add},
    exceptions::{remembered, report_exception},
    head::{WINDOWS_AHEAD_MAX, exception_id},
    settle,
    window::{Status, Window},
};
use crate::domain::{
    cycle::Cycle,
    ledger::Address,
    settlement::{Class, CycleTotals, NetworkReport, ReportDifference, ResolutionKind},
    window::{
        Exception, Reconciliation, Resolution, Source, WindowBody, WindowBroken, WindowCarried,
        WindowReconciled,
    },
};
use crate::stages::Refused;

/// Takes a report: it waits for its window to close, meets it, or is an exception.
///
/// Errors: poison `amount_overflow`.
pub(super) fn report(draft: &mut Draft, report: &NetworkReport) -> Result<(), Refused> {
    let Some(place) = place(draft, report.cycle) else {
        return open_report(draft, report, Class::Extra);
    };
    let window = draft.window(place);
    if let Some(known) = &window.report {
        let is_same = known.totals == report.totals;
        return match is_same && known.report_id == report.report_id {
            true => Ok(()),
            false if is_same => open_report(draft, report, Class::Duplicate),
            false => open_report(draft, report, Class::Mismatch),
        };
    }
    window.report = Some(report.clone());
    match window.status {
        Status::Closed => reconcile(draft, place),
        Status::Open
        | Status::Reconciled
        | Status::Instructed
        | Status::Settled
        | Status::Broken => Ok(()),
    }
}

/// The window of a cycle. One that is still to come is opened ahead of its parts, as long as there
/// are not too many of those; `None`: there is no such window.
fn place(draft: &mut Draft, cycle: Cycle) -> Option<usize> {
    let head = &mut draft.head;
    match head.place(cycle.cutoff) {
        Ok(place) => Some(place),
        Err(_) if cycle.cutoff <= head.closed_through => None,
        Err(place) => {
            let ahead = head.windows.iter().filter(|window| window.parts.is_empty()).count();
            if ahead >= WINDOWS_AHEAD_MAX {
                return None;
            }
            head.windows.insert(place, Window::open(cycle));
            Some(place)
        }
    }
}

/// A report that fits no window, or a window that has one. No money: nothing is paid by it.
pub(super) fn open_report(
    draft: &mut Draft,
    report: &NetworkReport,
    class: Class,
) -> Result<(), Refused> {
    let id = exception_id(Source::Report, &report.report_id);
    if draft.head.exception(&id).is_some() {
        return Ok(());
    }
    let booked_minor = draft.head.window(report.cycle.cutoff).map_or(0, booked_minor);
    let exception = report_exception(id, report, class, booked_minor);
    Ok(draft.open(exception, Vec::new())?)
}

/// What our books say of the window before anything was paid.
fn booked_minor(window: &Window) -> i64 {
    window.totals.net_minor() + window.carried_minor
}

/// Takes a difference: before the report it moves what it claims; later it is only shown.
///
/// Errors: poison `amount_overflow`.
pub(super) fn difference(draft: &mut Draft, line: &ReportDifference) -> Result<(), Refused> {
    let id = exception_id(Source::Difference, &line.difference_id);
    if draft.head.exception(&id).is_some() {
        return Ok(());
    }
    let claimed_minor = line.claimed_minor();
    let open = place(draft, line.cycle)
        .filter(|place| draft.head.windows.get(*place).is_some_and(Window::is_unreported));
    // Not due in a report that is met already: neither money nor an exception.
    if open.is_none() && line.class == Class::Expected {
        return Ok(());
    }
    let suspense_minor = if open.is_some() { claimed_minor } else { 0 };
    if let Some(place) = open {
        let window = draft.window(place);
        window.differences_minor = add(window.differences_minor, claimed_minor)?;
        window.count(line.class, claimed_minor);
        add(window.outstanding_minor(), 0)?;
    }
    let exception = Exception {
        id,
        source: Source::Difference,
        class: line.class,
        cycle: Some(line.cycle),
        suspense_minor,
        claimed_minor: line.reported_minor,
        booked_minor: line.booked_minor,
        account_id: None,
        payment_id: line.payment_id.clone(),
        reason: None,
        reference: line.reference.clone(),
        owner: "reconciliation".into(),
        opened_at: line.at,
        resolution: None,
    };
    if line.class == Class::Expected {
        return carry(draft, line, exception);
    }
    let legs = draft.legs(Address::Suspense, Address::Net, suspense_minor);
    Ok(draft.open(exception, legs)?)
}

/// Expected in a later report: net goes from this window to the next, and nothing stands open. It
/// is remembered like a resolved exception, so that its repeat has no effect.
fn carry(draft: &mut Draft, line: &ReportDifference, memory: Exception) -> Result<(), Refused> {
    let minor = -line.claimed_minor();
    draft.head.carry_minor = add(draft.head.carry_minor, minor)?;
    let resolution =
        Resolution { kind: ResolutionKind::Carried, at: line.at, by: "".into(), text: "".into() };
    remembered(draft, Exception { suspense_minor: 0, resolution: Some(resolution), ..memory });
    let carried = WindowCarried { difference_id: line.difference_id.clone(), minor };
    draft.emit(Some(line.cycle), WindowBody::Carried(carried));
    Ok(())
}

/// Compares a closed window with its report.
pub(super) fn reconcile(draft: &mut Draft, place: usize) -> Result<(), Refused> {
    let window = draft.window(place);
    let Some(report) = window.report.clone() else { return Ok(()) };
    let unexplained_minor = add(report.totals.net_minor(), -window.outstanding_minor())?;
    window.unexplained_minor = unexplained_minor;
    // Sums can hide each other's errors in the net; line by line there would be differences.
    let is_comparable = window.tally.is_empty() && window.carried_minor == 0;
    let is_explained =
        unexplained_minor == 0 && (!is_comparable || are_alike(&window.totals, &report.totals));
    if is_explained {
        return agree(draft, place);
    }
    window.status = Status::Broken;
    let (cycle, body) = (window.cycle, WindowBroken { reconciliation: reconciliation(window) });
    draft.emit(Some(cycle), WindowBody::Broken(body));
    let booked_minor = report.totals.net_minor() - unexplained_minor;
    let id = exception_id(Source::Unexplained, &cycle.cutoff.0.to_string());
    let exception = Exception {
        source: Source::Unexplained,
        suspense_minor: unexplained_minor,
        opened_at: draft.at,
        ..report_exception(id, &report, Class::Mismatch, booked_minor)
    };
    let legs = draft.legs(Address::Suspense, Address::Net, unexplained_minor);
    Ok(draft.open(exception, legs)?)
}

/// What both sides must count alike. Suspense items are ours alone: the report has them among its
/// purchases and refunds.
fn are_alike(ours: &CycleTotals, theirs: &CycleTotals) -> bool {
    let shared = |it: &CycleTotals| (it.items, it.interchange_minor, it.fees_minor);
    shared(ours) == shared(theirs)
}

/// The window is what the report says (by itself, or because a person took the rest): pay it.
pub(super) fn agree(draft: &mut Draft, place: usize) -> Result<(), Refused> {
    let window = draft.window(place);
    window.status = Status::Reconciled;
    let (cycle, body) = (window.cycle, WindowReconciled { reconciliation: reconciliation(window) });
    draft.emit(Some(cycle), WindowBody::Reconciled(body));
    settle::instruct(draft, place);
    Ok(())
}

fn reconciliation(window: &Window) -> Reconciliation {
    Reconciliation {
        report_id: window.report.as_ref().map_or_else(Box::default, |it| it.report_id.clone()),
        booked_minor: window.totals.net_minor(),
        carried_minor: window.carried_minor,
        differences_minor: window.differences_minor,
        unexplained_minor: window.unexplained_minor,
        net_minor: window.outstanding_minor(),
        classes: window.tally.clone(),
    }
}
