//! Credits and debits that are no card payments.
//!
//! A credit is always accepted. A debit is checked like a request, unless it is an advice. A debit
//! to another account makes a credit command for that account, in the same topic: so each account
//! keeps one order of its own, and no step ever sees two accounts.

use super::{
    Output, Step, checks,
    draft::Draft,
    limits::{self, Spending},
    suspense,
};
use crate::domain::{
    command::{AccountCommand, Command, CommandKind, Credit, CreditKind, Debit},
    event::{AccountCredited, AccountDebited, CommandDeclined, Event},
    ids::MessageId,
    mark::{Answer, Mark},
    reason::Reason,
};

pub(super) fn credit(mut draft: Draft, mark: Mark, command: &Credit) -> Step {
    let (kind, amount_minor) = (CommandKind::Credit, command.amount_minor);
    if let Some(reason) = checks::unreachable(draft.standing(), command.currency) {
        return suspense::booking(draft, mark, kind, -amount_minor, command.currency, reason);
    }
    let answer = Answer { accepted_minor: amount_minor, reason: None };
    draft.keep_booking(kind, amount_minor, mark, answer)?;
    draft.emit(Event::AccountCredited(AccountCredited {
        kind: command.kind,
        amount_minor,
        text: command.text.clone(),
    }));
    draft.finish()
}

pub(super) fn debit(mut draft: Draft, mark: Mark, command: &Debit) -> Step {
    let (kind, amount_minor) = (CommandKind::Debit, command.amount_minor);
    let unreachable = checks::unreachable(draft.standing(), command.currency);
    if let (true, Some(reason)) = (command.advice, unreachable) {
        return suspense::booking(draft, mark, kind, amount_minor, command.currency, reason);
    }
    let refused =
        if command.advice { None } else { unreachable.or_else(|| refusal(&draft, command)) };
    if let Some(reason) = refused {
        draft.keep_booking(kind, 0, mark, Answer { accepted_minor: 0, reason: Some(reason) })?;
        draft.emit(declined(command, reason));
        return draft.finish();
    }
    limits::count(&mut draft, Spending::WITHOUT_CARD, amount_minor);
    let transfer = transfer(&mark, command);
    let answer = Answer { accepted_minor: amount_minor, reason: None };
    draft.keep_booking(kind, -amount_minor, mark, answer)?;
    draft.emit(Event::AccountDebited(AccountDebited {
        kind: command.kind,
        amount_minor,
        advice: command.advice,
        text: command.text.clone(),
        transfer_to: command.transfer_to.clone(),
    }));
    if let Some(credit) = transfer {
        let key = credit.account_id.as_str().into();
        draft.send(super::COMMANDS, Some(key), Output::Command(credit));
    }
    draft.finish()
}

fn refusal(draft: &Draft, command: &Debit) -> Option<Reason> {
    let amount_minor = command.amount_minor;
    checks::account(draft.standing())
        .or_else(|| limits::refusal(draft, Spending::WITHOUT_CARD, amount_minor))
        .or_else(|| checks::funds(draft.standing(), amount_minor))
}

pub(super) fn declined(command: &Debit, reason: Reason) -> Event {
    let amount_minor = command.amount_minor;
    Event::CommandDeclined(CommandDeclined { kind: CommandKind::Debit, amount_minor, reason })
}

/// The other account's half. Its id and time follow from the debit's, so a repeat makes the same.
fn transfer(mark: &Mark, command: &Debit) -> Option<AccountCommand> {
    let account_id = command.transfer_to.clone()?;
    Some(AccountCommand {
        account_id,
        message_id: MessageId::from(format!("transfer:{}", mark.message_id)),
        sent_at: mark.sent_at,
        body: Command::Credit(Credit {
            amount_minor: command.amount_minor,
            currency: command.currency,
            kind: CreditKind::TransferIn,
            text: command.text.clone(),
        }),
    })
}
