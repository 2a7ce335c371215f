//! One partition's part of a network's cycle: counted item by item, sealed by a tick.
//!
//! Owns totals, the content hash and the offsets of the open cycle. Sealing opens the next in the
//! same step, so nothing stops and nothing falls between two cycles (S3); what comes late is in the
//! cycle that is open then, and missed cut-offs are sealed one by one, in order (S2). Invariant:
//! `recount` over the sealed range of the log gives the same totals and hash (S4).

use super::{
    Change, NOTHING, OVERFLOW, Output, PARTS, Step,
    clearing::{Clearing, clearing},
};
use crate::domain::{
    cycle::Cycle,
    event::AccountEvent,
    ids::AccountId,
    money::Currency,
    reason::Reason,
    rules::Rules,
    settlement::{
        ContentHash, CycleTotals, PartSealed, SUSPENSE_ITEMS_MAX, SettlementInput,
        SettlementRecord, SuspenseItem, window_key,
    },
    time::LogTime,
};
use crate::stages::{Context, Outgoing, Transition};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Cut-offs that one tick seals one by one. A clock that jumps further (years, when old data is
/// followed by new) passes over the empty cycles between the last of these and its own time: else
/// each partition would owe tens of thousands of empty parts at once.
const MISSED_MAX: usize = 400;

/// The head of a part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Absent before the first tick: there is no time yet.
    pub open: Option<Cycle>,
    /// An earlier cycle of this partition had items.
    pub had_items: bool,
    /// Where the open cycle begins in `payments.events.v1`.
    pub from_offset: i64,
    pub tally: Tally,
    /// At most `SUSPENSE_ITEMS_MAX`, the last of them then standing for the rest.
    pub suspense: Vec<SuspenseItem>,
}

/// What a part adds up: the same whether counted live or from the log again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub totals: CycleTotals,
    /// SHA-256 chained over the items in their order; zeros where there is none.
    pub content: ContentHash,
}

impl Tally {
    /// `None` where a sum would become too large.
    fn plus(&self, offset: i64, account_id: &AccountId, item: &CycleTotals) -> Option<Tally> {
        let totals = self.totals.plus(item)?;
        let mut hash = Sha256::new();
        hash.update(self.content.0);
        // Canonical: numbers as 8 bytes, big end first; the only text with its length before it.
        let account = account_id.as_str().as_bytes();
        hash.update(u64::try_from(account.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(account);
        for number in [
            offset,
            item.purchases_minor,
            item.purchase_reversals_minor,
            item.refunds_minor,
            item.interchange_minor,
            item.fees_minor,
            item.suspense_minor,
        ] {
            hash.update(number.to_be_bytes());
        }
        Some(Tally { totals, content: ContentHash(hash.finalize().into()) })
    }
}

/// Counts a range of the log again, for one network and currency.
///
/// Shape: every event of one partition from the part's `from_offset` (inclusive) to its `to_offset`
/// (exclusive), in order, with the rules in force at it. Events that are repeats (their output id
/// was seen before) must be left out, as the stage did; ticks may be given or not.
/// Errors: `None` where a sum would become too large, where the stage would have halted.
pub fn recount<'l>(
    network: &str,
    currency: Currency,
    range: impl IntoIterator<Item = (i64, &'l AccountEvent, &'l Rules)>,
) -> Option<Tally> {
    range.into_iter().try_fold(Tally::default(), |tally, (offset, event, rules)| {
        match clearing(event).filter(|item| (item.network, item.currency) == (network, currency)) {
            Some(item) => tally.plus(offset, &event.account_id, &item.totals(rules)),
            None => Some(tally),
        }
    })
}

/// One item taken into the open cycle: what it changes of the part.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The part as it was before its first item; absent where there is one.
    begun: Option<Part>,
    tally: Tally,
    suspense: Option<SuspenseItem>,
}

impl Part {
    /// Replaces the sums and lists what stands in suspense; the list is bounded, its sum never cut.
    fn take(&mut self, tally: Tally, suspense: Option<SuspenseItem>) {
        self.tally = tally;
        let Some(item) = suspense else { return };
        if self.suspense.len() < SUSPENSE_ITEMS_MAX {
            self.suspense.push(item);
        } else if let Some(rest) = self.suspense.last_mut() {
            // Within the part's sum of suspense, which was bounded when the item was counted.
            rest.owed_minor = rest.owed_minor.saturating_add(item.owed_minor);
        }
    }
}

/// Makes the change to the head's part.
pub(super) fn take(part: &mut Option<Part>, counted: Counted) {
    let Counted { begun, tally, suspense } = counted;
    part.get_or_insert_with(|| begun.unwrap_or_default()).take(tally, suspense);
}

/// Counts one item of the open cycle.
pub(super) fn count(context: &Context<Rules>, known: Option<&Part>, event: &AccountEvent) -> Step {
    let Some(item) = clearing(event) else { return Ok(NOTHING) };
    let begun = known.is_none().then(|| {
        let calendar = context.rules.calendar_of(item.network, item.currency);
        let open =
            (context.log_time > LogTime::ZERO).then(|| calendar.next_cutoff(context.log_time));
        Part { open, from_offset: context.offset, ..Part::default() }
    });
    let (tally, listed) =
        known.map_or((Tally::default(), 0), |part| (part.tally, part.suspense.len()));
    let totals = item.totals(context.rules);
    let tally = tally.plus(context.offset, &event.account_id, &totals).ok_or(OVERFLOW)?;
    let suspense = (item.suspense_minor != 0).then(|| suspended(context, listed, event, &item));
    let counted = Counted { begun, tally, suspense };
    Ok(Transition { change: Some(Change::Counted(Box::new(counted))), effects: Vec::new() })
}

/// An item that stands in suspense, behind `listed` others.
fn suspended(
    context: &Context<Rules>,
    listed: usize,
    event: &AccountEvent,
    item: &Clearing,
) -> SuspenseItem {
    let (partition, offset) = (context.partition, context.offset);
    let is_last = listed + 1 == SUSPENSE_ITEMS_MAX;
    let more = if is_last { "+" } else { "" };
    SuspenseItem {
        id: format!("{partition}:{offset}{more}").into(),
        account_id: event.account_id.clone(),
        owed_minor: item.suspense_minor,
        reason: item.reason.unwrap_or(Reason::Unknown),
        log_time: context.log_time,
    }
}

/// Seals every cycle whose cut-off has come, or opens the first one.
pub(super) fn seal(
    context: &Context<Rules>,
    network: &str,
    currency: Currency,
    known: Option<&Part>,
) -> Step {
    let calendar = context.rules.calendar_of(network, currency);
    let now = context.log_time;
    let mut part = match known {
        Some(part) => part.clone(),
        None => Part { from_offset: context.offset, ..Part::default() },
    };
    let mut open = part.open.unwrap_or_else(|| calendar.next_cutoff(now));
    let mut effects = Vec::new();
    while open.cutoff <= now {
        if effects.len() == MISSED_MAX {
            open = calendar.last_cutoff(now).filter(|last| *last > open).unwrap_or(open);
        }
        effects.push(sealed(context, network, currency, &part, open));
        part = Part {
            open: None,
            had_items: part.had_items || part.tally.totals.items > 0,
            from_offset: context.offset,
            tally: Tally::default(),
            suspense: Vec::new(),
        };
        let passed = if effects.len() > MISSED_MAX { now } else { open.cutoff };
        open = calendar.next_cutoff(passed);
    }
    part.open = Some(open);
    Ok(Transition { change: Some(Change::Part(Box::new(part))), effects })
}

fn sealed(
    context: &Context<Rules>,
    network: &str,
    currency: Currency,
    part: &Part,
    cycle: Cycle,
) -> Outgoing<Output> {
    let body = PartSealed {
        partition: context.partition,
        partitions: context.partitions,
        cycle,
        first: !part.had_items,
        from_offset: part.from_offset,
        to_offset: context.offset,
        totals: part.tally.totals,
        content: part.tally.content,
        suspense: part.suspense.clone(),
        rules_version: context.rules.version,
    };
    let body = SettlementInput::Part(body);
    let record = SettlementRecord { network: network.into(), currency, body };
    let key = Some(window_key(network, currency));
    Outgoing { topic: PARTS, key, body: Output::Part(record) }
}
