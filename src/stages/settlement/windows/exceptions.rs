//! Exceptions: what is open, and how a person's decision takes it out of suspense.
//!
//! Owns the checks of a resolution and its effect. A resolution moves the exception's whole amount
//! or nothing; one that does not fit is refused by an event, never half applied. Rebooked money
//! pays the window that it was meant for if that waits for it, else it goes to a later one:
//! settled windows never change.

use super::{
    draft::{Draft, add},
    head::Item,
    reconcile, settle,
    window::Status,
};
use crate::domain::{
    ledger::Address,
    settlement::{Class, NetworkReport, ResolutionKind, ResolveException},
    window::{
        Exception, ExceptionResolved, Refusal, Resolution, ResolutionRefused, Source, WindowBody,
    },
};
use crate::stages::Refused;

/// What a rebooked amount does.
enum Rebooking {
    /// Nothing: another kind, or no money.
    None,
    /// Pays the window at this place.
    Pays(usize),
    /// Goes to the next window to close.
    Carried,
}

/// Applies a decision, or refuses it.
///
/// Errors: poison `amount_overflow`.
pub(super) fn resolve(draft: &mut Draft, resolve: &ResolveException) -> Result<(), Refused> {
    let find = |known: &Exception| known.id == resolve.exception_id;
    let Some(place) = draft.head.exceptions.iter().position(find) else {
        refuse(draft, resolve, None, Refusal::ExceptionUnknown);
        return Ok(());
    };
    let exception = draft.head.exceptions[place].clone();
    if let Some(known) = &exception.resolution {
        if *known != resolution(resolve) {
            refuse(draft, resolve, Some(&exception), Refusal::ExceptionResolved);
        }
        return Ok(());
    }
    let rebooking = match check(draft, resolve, &exception)
        .and_then(|()| rebooking(draft, resolve, &exception))
    {
        Ok(rebooking) => rebooking,
        Err(refusal) => {
            refuse(draft, resolve, Some(&exception), refusal);
            return Ok(());
        }
    };
    let head = &mut draft.head;
    head.suspense_minor = add(head.suspense_minor, -exception.suspense_minor)?;
    head.exceptions_open -= 1;
    head.exceptions[place].resolution = Some(resolution(resolve));
    let body = ExceptionResolved {
        exception_id: exception.id.clone(),
        resolution: resolution(resolve),
        legs: resolve.legs.clone(),
    };
    draft.emit(exception.cycle, WindowBody::ExceptionResolved(body));
    // Suspense is credited by the amount, so net is debited: less is owed.
    match rebooking {
        Rebooking::None => {}
        Rebooking::Carried => {
            draft.head.carry_minor = add(draft.head.carry_minor, -exception.suspense_minor)?;
        }
        Rebooking::Pays(window) => settle::pay(draft, window, exception.suspense_minor)?,
    }
    mend(draft, &exception)
}

/// A window that was broken by this exception is what the report says from here on.
fn mend(draft: &mut Draft, exception: &Exception) -> Result<(), Refused> {
    let cutoff = exception.cycle.map(|cycle| cycle.cutoff);
    let place = cutoff.and_then(|cutoff| draft.head.place(cutoff).ok()).filter(|place| {
        exception.source == Source::Unexplained
            && draft.head.windows[*place].status == Status::Broken
    });
    place.map_or(Ok(()), |place| reconcile::agree(draft, place))
}

fn resolution(resolve: &ResolveException) -> Resolution {
    Resolution {
        kind: resolve.kind,
        at: resolve.at,
        by: resolve.by.clone(),
        text: resolve.text.clone(),
    }
}

fn refuse(
    draft: &mut Draft,
    resolve: &ResolveException,
    exception: Option<&Exception>,
    refusal: Refusal,
) {
    let exception_id = resolve.exception_id.clone();
    let body = WindowBody::ResolutionRefused(ResolutionRefused { exception_id, refusal });
    draft.emit(exception.and_then(|exception| exception.cycle), body);
}

/// The legs balance, move exactly the exception's amount, and go where the kind says.
fn check(draft: &Draft, resolve: &ResolveException, exception: &Exception) -> Result<(), Refusal> {
    let sum = |of: &dyn Fn(Address) -> bool| -> i128 {
        resolve.legs.iter().filter(|leg| of(leg.address)).map(|leg| i128::from(leg.minor)).sum()
    };
    let is_foreign = resolve.legs.iter().any(|leg| leg.currency != draft.currency);
    if is_foreign || sum(&|_| true) != 0 {
        return Err(Refusal::LegsUnbalanced);
    }
    let moved_minor = sum(&|address| address == Address::Suspense);
    let is_idle = exception.suspense_minor == 0 && !resolve.legs.is_empty();
    if is_idle || moved_minor != i128::from(exception.suspense_minor) {
        return Err(Refusal::LegsSuspense);
    }
    let allowed: &[Address] = match resolve.kind {
        ResolutionKind::WriteOff => &[
            Address::Interchange,
            Address::SchemeFees,
            Address::InterestExpense,
            Address::FeeIncome,
        ],
        ResolutionKind::Recovered => &[Address::Nostro],
        ResolutionKind::Rebooked => &[Address::Net],
        ResolutionKind::Carried | ResolutionKind::Unknown => &[],
    };
    let is_allowed = |address: Address| address == Address::Suspense || allowed.contains(&address);
    match resolve.legs.iter().all(|leg| is_allowed(leg.address)) {
        true => Ok(()),
        false => Err(Refusal::LegsAddress),
    }
}

fn rebooking(
    draft: &Draft,
    resolve: &ResolveException,
    exception: &Exception,
) -> Result<Rebooking, Refusal> {
    if resolve.kind != ResolutionKind::Rebooked || exception.suspense_minor == 0 {
        return Ok(Rebooking::None);
    }
    let cutoff = exception.cycle.map(|cycle| cycle.cutoff);
    let place = cutoff.and_then(|cutoff| draft.head.place(cutoff).ok());
    let (Source::Statement, Some(place)) = (exception.source, place) else {
        return Ok(Rebooking::Carried);
    };
    match draft.head.windows[place].status {
        Status::Instructed => Ok(Rebooking::Pays(place)),
        Status::Settled => Ok(Rebooking::Carried),
        Status::Open | Status::Closed | Status::Reconciled | Status::Broken => {
            Err(Refusal::WindowNotInstructed)
        }
    }
}

/// Remembers something that was taken and never stood open.
pub(super) fn remembered(draft: &mut Draft, exception: Exception) {
    draft.head.put(Item::Exception(Box::new(exception)));
}

/// An exception about a report as a whole.
pub(super) fn report_exception(
    id: Box<str>,
    report: &NetworkReport,
    class: Class,
    booked_minor: i64,
) -> Exception {
    Exception {
        id,
        source: Source::Report,
        class,
        cycle: Some(report.cycle),
        suspense_minor: 0,
        claimed_minor: report.totals.net_minor(),
        booked_minor,
        account_id: None,
        payment_id: None,
        reason: None,
        reference: report.report_id.clone(),
        owner: "reconciliation".into(),
        opened_at: report.at,
        resolution: None,
    }
}
