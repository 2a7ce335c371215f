//! Parts: what each partition sealed, joined into windows that close one at a time, in order.
//!
//! Owns the check that the parts of a partition follow each other without a gap, the closing of
//! every window that is complete, and its content hash. The order between partitions has no
//! effect. Invariant: a window closes once and in order; a part that would change a closed one, or
//! leave something out, halts the partition, because it cannot happen unless something is broken.

use super::{
    draft::{Draft, add},
    head::{Sealed, Windows, exception_id},
    reconcile,
    window::{Status, Window},
};
use crate::domain::{
    settlement::{Class, ContentHash, PartSealed, SuspenseItem},
    window::{Exception, PartRange, Source, WindowBody, WindowClosed},
};
use crate::stages::{Poison, Refused};
use sha2::{Digest, Sha256};

/// Takes a part: a new one into its window, a repeated one without effect.
///
/// Errors: poison `amount_overflow`; halts `partitions_changed`, `part_gap`, `part_conflict`,
/// `window_sealed`.
pub(super) fn seal(draft: &mut Draft, part: &PartSealed) -> Result<(), Refused> {
    let head = &draft.head;
    if head.partitions != 0 && head.partitions != part.partitions {
        return Err(Refused::Halt { code: "partitions_changed" });
    }
    let sealed = head.sealed(part.partition);
    if sealed.is_some_and(|sealed| part.cycle.cutoff <= sealed.cutoff) {
        return repeated(head, part);
    }
    let follows = match sealed {
        Some(sealed) => sealed.to_offset == part.from_offset,
        None => part.first,
    };
    if !follows {
        return Err(Refused::Halt { code: "part_gap" });
    }
    draft.head.partitions = part.partitions;
    join(draft, part)?;
    for item in &part.suspense {
        open_item(draft, part, item)?;
    }
    close_complete(draft)
}

/// The part is known if what it says is what was taken; else somebody's log is wrong.
fn repeated(head: &Windows, part: &PartSealed) -> Result<(), Refused> {
    let window = head.window(part.cycle.cutoff);
    match window.and_then(|window| window.part(part.partition)) {
        Some(known) if *known == range(part) => Ok(()),
        _ if window.is_some_and(|window| window.status == Status::Open) => {
            Err(Refused::Halt { code: "part_conflict" })
        }
        _ => Err(Refused::Halt { code: "window_sealed" }),
    }
}

fn range(part: &PartSealed) -> PartRange {
    PartRange {
        partition: part.partition,
        from_offset: part.from_offset,
        to_offset: part.to_offset,
        items: part.totals.items,
        content: part.content,
    }
}

fn join(draft: &mut Draft, part: &PartSealed) -> Result<(), Poison> {
    let cutoff = part.cycle.cutoff;
    let (partition, to_offset) = (part.partition, part.to_offset);
    let sealed = &mut draft.head.sealed;
    let row = Sealed { partition, cutoff, to_offset };
    match sealed.binary_search_by_key(&partition, |sealed| sealed.partition) {
        Ok(place) => sealed[place] = row,
        Err(place) => sealed.insert(place, row),
    }
    let place = draft.head.place(cutoff).unwrap_or_else(|place| {
        draft.head.windows.insert(place, Window::open(part.cycle));
        place
    });
    let window = draft.window(place);
    // A report that came first may have called it otherwise.
    window.cycle = part.cycle;
    let totals = window.totals.plus(&part.totals).ok_or(Poison { code: "amount_overflow" })?;
    window.totals = totals;
    let at = window.parts.partition_point(|known| known.partition < partition);
    window.parts.insert(at, range(part));
    draft.joined_minor = part.totals.net_minor();
    Ok(())
}

/// An item without an account; its posting has moved the amount to suspense already.
fn open_item(draft: &mut Draft, part: &PartSealed, item: &SuspenseItem) -> Result<(), Poison> {
    let exception = Exception {
        id: exception_id(Source::Item, &item.id),
        source: Source::Item,
        class: Class::Extra,
        cycle: Some(part.cycle),
        suspense_minor: item.owed_minor,
        claimed_minor: item.owed_minor,
        booked_minor: 0,
        account_id: Some(item.account_id.clone()),
        payment_id: None,
        reason: Some(item.reason),
        reference: item.id.clone(),
        owner: "operations".into(),
        opened_at: item.log_time,
        resolution: None,
    };
    draft.open(exception, Vec::new())
}

/// Closes the earliest open window, and the next, as long as all partitions have passed them.
fn close_complete(draft: &mut Draft) -> Result<(), Refused> {
    loop {
        let open = draft.head.windows.iter().position(|window| window.status == Status::Open);
        let Some(place) = open else { return Ok(()) };
        let cutoff = draft.head.windows[place].cycle.cutoff;
        if !draft.head.is_sealed_through(cutoff) {
            return Ok(());
        }
        draft.head.closed_through = cutoff;
        if draft.head.windows[place].parts.is_empty() {
            dissolve(draft, place)?;
        } else {
            close(draft, place)?;
        }
    }
}

fn close(draft: &mut Draft, place: usize) -> Result<(), Refused> {
    let carried_minor = std::mem::take(&mut draft.head.carry_minor);
    let window = draft.window(place);
    let content = window_content(&window.parts);
    window.status = Status::Closed;
    window.content = Some(content);
    window.carried_minor = carried_minor;
    let closed = WindowClosed {
        totals: window.totals,
        carried_minor,
        net_minor: window.outstanding_minor(),
        parts: window.parts.clone(),
        content,
    };
    let (cycle, is_reported) = (window.cycle, window.report.is_some());
    draft.emit(Some(cycle), WindowBody::Closed(closed));
    if is_reported { reconcile::reconcile(draft, place) } else { Ok(()) }
}

/// A report or a difference named a cut-off that no partition has: there never was such a window.
/// Its report becomes an exception, and net that differences moved goes to the next window.
fn dissolve(draft: &mut Draft, place: usize) -> Result<(), Refused> {
    let window = draft.head.windows.remove(place);
    draft.head.carry_minor = add(draft.head.carry_minor, window.outstanding_minor())?;
    match &window.report {
        Some(report) => reconcile::open_report(draft, report, Class::Extra),
        None => Ok(()),
    }
}

/// SHA-256 over the hashes of the parts, which ascend by partition.
pub fn window_content(parts: &[PartRange]) -> ContentHash {
    let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part.content.0));
    ContentHash(hash.finalize().into())
}
