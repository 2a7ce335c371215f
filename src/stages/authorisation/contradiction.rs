//! What contradicts itself and can never be applied: dead-lettered, the state untouched.
//!
//! Owns the checks that a well-formed record may still fail. Never a business answer: whether money
//! is there or a card is known is a decline, not a poison.

use super::draft::OVERFLOW;
use crate::{
    domain::{
        account::{AccountStatus, Limits},
        command::{AccountCommand, Command},
        money::AMOUNT_MINOR_MAX,
    },
    stages::Poison,
};

const NEGATIVE: Poison = Poison { code: "amount_negative" };
const NOT_POSITIVE: Poison = Poison { code: "amount_not_positive" };
const SEQUENCE: Poison = Poison { code: "sequence_invalid" };
const STATUS: Poison = Poison { code: "status_invalid" };
const KEY: Poison = Poison { code: "key_mismatch" };
const ID_MISSING: Poison = Poison { code: "id_missing" };
const NOT_HERE: Poison = Poison { code: "command_unexpected" };

/// `Err`: the record is poison, whatever the state.
pub(super) fn check(key: &str, message: &AccountCommand) -> Result<(), Poison> {
    if message.account_id.as_str() != key {
        return Err(KEY);
    }
    let no_payment = payment_id(&message.body).is_some_and(|id| id.is_empty());
    if message.message_id.is_empty() || no_payment {
        return Err(ID_MISSING);
    }
    body(&message.body)
}

fn body(body: &Command) -> Result<(), Poison> {
    match body {
        Command::OpenAccount(open) => {
            amount(open.overdraft_limit_minor).and(limits(open.limits.as_ref()))
        }
        Command::ChangeAccount(change) => {
            if change.status == Some(AccountStatus::Unopened) {
                return Err(STATUS);
            }
            amount(change.overdraft_limit_minor.unwrap_or(0)).and(limits(change.limits.as_ref()))
        }
        Command::ChangeHolder(_) => Ok(()),
        Command::ChangeCard(card) => limits(card.limits.as_ref()),
        Command::Authorise(authorise) => amount(authorise.amount_minor),
        Command::Advise(advise) => amount(advise.amount_minor),
        Command::Increment(increment) => positive(increment.amount_minor),
        Command::Reverse(reverse) => reverse.amount_minor.map_or(Ok(()), positive),
        // Card networks do send presentments of nothing: they end a hold.
        Command::Present(present) => {
            amount(present.amount_minor)?;
            sequence(present.sequence_number, present.sequence_count)
        }
        Command::ReversePresentment(reverse) => positive(reverse.amount_minor),
        Command::AuthoriseRefund(refund) => amount(refund.amount_minor),
        Command::Refund(refund) => positive(refund.amount_minor),
        Command::Credit(credit) => positive(credit.amount_minor),
        Command::Debit(debit) => {
            if debit.transfer_to.as_ref().is_some_and(|account| account.is_empty()) {
                return Err(ID_MISSING);
            }
            positive(debit.amount_minor)
        }
        Command::EndDiversion(_) | Command::Tick(_) | Command::ReleaseFuse(_) => Err(NOT_HERE),
    }
}

/// The payment that a command names; absent on those that concern none.
pub(super) fn payment_id(body: &Command) -> Option<&crate::domain::ids::PaymentId> {
    match body {
        Command::Authorise(command) => Some(&command.payment_id),
        Command::Advise(command) => Some(&command.payment_id),
        Command::Increment(command) => Some(&command.payment_id),
        Command::Reverse(command) => Some(&command.payment_id),
        Command::Present(command) => Some(&command.payment_id),
        Command::ReversePresentment(command) => Some(&command.payment_id),
        Command::AuthoriseRefund(command) => Some(&command.payment_id),
        Command::Refund(command) => Some(&command.payment_id),
        Command::OpenAccount(_)
        | Command::ChangeAccount(_)
        | Command::ChangeHolder(_)
        | Command::ChangeCard(_)
        | Command::Credit(_)
        | Command::Debit(_)
        | Command::EndDiversion(_)
        | Command::Tick(_)
        | Command::ReleaseFuse(_) => None,
    }
}

fn amount(amount_minor: i64) -> Result<(), Poison> {
    match amount_minor {
        ..0 => Err(NEGATIVE),
        0..=AMOUNT_MINOR_MAX => Ok(()),
        _ => Err(OVERFLOW),
    }
}

fn positive(amount_minor: i64) -> Result<(), Poison> {
    if amount_minor == 0 { Err(NOT_POSITIVE) } else { amount(amount_minor) }
}

/// `n of m` from 1 of 1 on; 0 of 0 where the source numbers nothing.
fn sequence(number: i32, count: i32) -> Result<(), Poison> {
    let numbered = 1 <= number && number <= count;
    if numbered || (number, count) == (0, 0) { Ok(()) } else { Err(SEQUENCE) }
}

fn limits(limits: Option<&Limits>) -> Result<(), Poison> {
    let Some(limits) = limits else { return Ok(()) };
    for cap_minor in
        [limits.transaction_minor, limits.daily_minor, limits.monthly_minor, limits.lifetime_minor]
    {
        // A cap above every amount is no contradiction.
        if cap_minor.is_some_and(|cap_minor| cap_minor < 0) {
            return Err(NEGATIVE);
        }
    }
    let count = limits.velocity_count.is_some_and(|count| count < 0);
    if count || limits.velocity_window_ms.is_some_and(|window_ms| window_ms <= 0) {
        return Err(Poison { code: "velocity_invalid" });
    }
    Ok(())
}
