//! Settlement: what is instructed, and the bank's statement against it.
//!
//! Owns the last step of a window: a line that pays exactly what is outstanding, in the right
//! direction, settles it by legs net <-> nostro. Any other money that moved stands in suspense as
//! an exception until a person says what it was. Invariant: the net of a settled window is 0.

use super::{
    draft::{Draft, add},
    head::exception_id,
    window::Status,
};
use crate::domain::{
    ledger::Address,
    settlement::{BankStatementLine, Class, Direction, instruction_reference, parse_reference},
    window::{Exception, Source, WindowBody, WindowInstructed, WindowSettled},
};
use crate::stages::Refused;

/// Instructs what is outstanding; nothing outstanding is settled by itself.
pub(super) fn instruct(draft: &mut Draft, place: usize) {
    let window = draft.window(place);
    let (cycle, owed_minor) = (window.cycle, window.outstanding_minor());
    if owed_minor == 0 {
        return settled(draft, place, "", 0);
    }
    window.status = Status::Instructed;
    let body = WindowInstructed {
        amount_minor: owed_minor.abs(),
        direction: Direction::of(owed_minor),
        reference: instruction_reference(&draft.network, draft.currency, cycle.cutoff),
    };
    draft.emit(Some(cycle), WindowBody::Instructed(body));
}

/// Takes a line of the statement.
///
/// Errors: poison `amount_overflow`.
pub(super) fn statement(draft: &mut Draft, line: &BankStatementLine) -> Result<(), Refused> {
    let id = exception_id(Source::Statement, &line.line_id);
    if draft.head.exception(&id).is_some() {
        return Ok(());
    }
    let paid_minor = line.direction.paid_minor(line.amount_minor);
    let reference = parse_reference(&line.reference);
    let of_network = reference.filter(|(network, _, _)| **network == *draft.network);
    let place = of_network
        .filter(|(_, currency, _)| *currency == draft.currency)
        .and_then(|(_, _, cutoff)| draft.head.place(cutoff).ok());
    let class = match place {
        Some(place) => match meet(draft, place, line, paid_minor)? {
            Some(class) => class,
            None => return Ok(()),
        },
        // Our instruction, and money in another currency.
        None if of_network.is_some_and(|(_, currency, _)| currency != draft.currency) => {
            Class::Mismatch
        }
        None => Class::Extra,
    };
    let window = place.map(|place| draft.window(place).clone());
    let exception = Exception {
        id,
        source: Source::Statement,
        class,
        cycle: window.as_ref().map(|window| window.cycle),
        suspense_minor: paid_minor,
        claimed_minor: paid_minor,
        booked_minor: window
            .filter(|window| window.status == Status::Instructed)
            .map_or(0, |window| window.outstanding_minor()),
        account_id: None,
        payment_id: None,
        reason: None,
        reference: line.reference.clone(),
        owner: "treasury".into(),
        opened_at: line.at,
        resolution: None,
    };
    let legs = draft.legs(Address::Suspense, Address::Nostro, paid_minor);
    Ok(draft.open(exception, legs)?)
}

/// The line against its window: `None` where it settles it, or did before; else why it does not.
fn meet(
    draft: &mut Draft,
    place: usize,
    line: &BankStatementLine,
    paid_minor: i64,
) -> Result<Option<Class>, Refused> {
    let window = draft.window(place);
    Ok(match window.status {
        Status::Instructed if window.outstanding_minor() == paid_minor => {
            window.paid_minor = add(window.paid_minor, paid_minor)?;
            settled(draft, place, &line.line_id, paid_minor);
            None
        }
        // Partial, too much, or the wrong way.
        Status::Instructed => Some(Class::Mismatch),
        Status::Settled if window.paid_minor != paid_minor => Some(Class::Extra),
        Status::Settled if *window.settled_by == *line.line_id => None,
        Status::Settled => Some(Class::Duplicate),
        // Money that moved before we asked for it.
        Status::Open | Status::Closed | Status::Reconciled | Status::Broken => Some(Class::Extra),
    })
}

/// Money from suspense pays an instructed window; it is settled when nothing is left.
pub(super) fn pay(draft: &mut Draft, place: usize, paid_minor: i64) -> Result<(), Refused> {
    let window = draft.window(place);
    window.paid_minor = add(window.paid_minor, paid_minor)?;
    if window.outstanding_minor() == 0 {
        settled(draft, place, "", 0);
    }
    Ok(())
}

fn settled(draft: &mut Draft, place: usize, line_id: &str, paid_minor: i64) {
    let window = draft.window(place);
    window.status = Status::Settled;
    window.settled_by = line_id.into();
    let cycle = window.cycle;
    let legs = draft.legs(Address::Net, Address::Nostro, paid_minor);
    let body = WindowSettled { line_id: line_id.into(), legs };
    draft.emit(Some(cycle), WindowBody::Settled(body));
}
