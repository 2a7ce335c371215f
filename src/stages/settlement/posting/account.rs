//! The ledger of one account: posts an event's legs and compares with what the event says.
//!
//! Owns the posting set and the check. The two stages count the same money in two ways, legs here
//! and counters there; where they differ one of them is wrong, and the partition stops before the
//! record instead of choosing.

use super::{
    Change, NOTHING, OVERFLOW, Output, POSTINGS, Step, clearing, clearing::Clearing, table,
};
use crate::domain::{
    cycle::Cycle,
    event::{AccountEvent, Balances},
    ledger::{Address, BalanceAfter, LedgerAccount, PostingSet},
    rules::Rules,
    time::LogTime,
};
use crate::stages::{Context, Outgoing, Refused, Transition};

/// cust = booked - held and held = held of the event, or else.
const DISAGREES: Refused = Refused::Halt { code: "ledger_disagrees" };

pub(super) fn post(
    context: &Context<Rules>,
    known: Option<&LedgerAccount>,
    event: &AccountEvent,
) -> Step {
    let empty = LedgerAccount::default();
    let ledger = known.unwrap_or(&empty);
    let clearing = clearing::clearing(event);
    let Some(movement) = table::movement(event, clearing.as_ref(), context.rules) else {
        check(ledger, &[], event.balances)?;
        return Ok(NOTHING);
    };
    let network = clearing.as_ref().map_or("", |item| item.network);
    let after = ledger.after(&movement.legs, network).ok_or(OVERFLOW)?;
    check(ledger, &after, event.balances)?;
    let set = PostingSet {
        account_id: event.account_id.clone(),
        log_time: context.log_time,
        kind: movement.kind,
        payment_id: movement.payment_id.cloned(),
        message_id: event.message_id.clone(),
        network: network.into(),
        cycle: clearing.and_then(|item| cycle(context, &item)),
        legs: movement.legs,
        after: after.clone(),
        text: movement.text.into(),
        rules_version: context.rules.version,
    };
    let effect = Outgoing { topic: POSTINGS, key: None, body: Output::Posting(set) };
    Ok(Transition { change: Some(Change::Account(after)), effects: vec![effect] })
}

/// The cycle of an item read now; before the first tick there is no time to say.
fn cycle(context: &Context<Rules>, item: &Clearing) -> Option<Cycle> {
    let calendar = context.rules.calendar_of(item.network, item.currency);
    (context.log_time > LogTime::ZERO).then(|| calendar.next_cutoff(context.log_time))
}

/// Compares the balances after the event: those in `after`, the rest as they were.
fn check(
    ledger: &LedgerAccount,
    after: &[BalanceAfter],
    balances: Option<Balances>,
) -> Result<(), Refused> {
    let is_own = |balance: &&BalanceAfter| matches!(balance.address, Address::Cust | Address::Held);
    // Nothing of a customer's may stand in a currency that is not the account's.
    let own = after.iter().filter(is_own).chain(ledger.balances.iter().filter(is_own));
    let currency = balances.map(|balances| balances.currency);
    if own.into_iter().any(|balance| balance.minor != 0 && Some(balance.currency) != currency) {
        return Err(DISAGREES);
    }
    let Some(balances) = balances else { return Ok(()) };
    let minor = |address: Address| {
        let moved = after.iter().find(|balance| balance.address == address);
        moved.map_or_else(|| ledger.minor(address, "", balances.currency), |moved| moved.minor)
    };
    let agrees = Some(minor(Address::Cust))
        == balances.booked_minor.checked_sub(balances.held_minor)
        && minor(Address::Held) == balances.held_minor;
    if agrees { Ok(()) } else { Err(DISAGREES) }
}
