//! Opening and changing an account, its holders and its cards.
//!
//! Such a command moves no money; it is kept as a booking of 0, so that its repeat is known. A
//! lowered limit may leave available below zero (I6).

use super::{Step, draft::Draft};
use crate::domain::{
    account::{AccountStatus, Card, Holder},
    command::{ChangeAccount, ChangeCard, ChangeHolder, CommandKind, OpenAccount},
    event::{AccountChanged, AccountOpened, CardChanged, CommandDeclined, Event, HolderChanged},
    mark::{Answer, Mark},
    reason::Reason,
};

const ACCEPTED: Answer = Answer { accepted_minor: 0, reason: None };

pub(super) fn open(mut draft: Draft, mark: Mark, command: &OpenAccount) -> Step {
    if draft.standing().status != AccountStatus::Unopened {
        return declined(draft, mark, CommandKind::OpenAccount, Reason::AccountExists);
    }
    let standing = &mut draft.change.standing;
    standing.status = AccountStatus::Open;
    standing.currency = Some(command.currency);
    standing.overdraft_limit_minor = command.overdraft_limit_minor;
    draft.change.limits = command.limits.clone();
    let body = Event::AccountOpened(AccountOpened {
        currency: command.currency,
        overdraft_limit_minor: command.overdraft_limit_minor,
    });
    accepted(draft, mark, CommandKind::OpenAccount, body)
}

pub(super) fn change(mut draft: Draft, mark: Mark, command: &ChangeAccount) -> Step {
    if draft.standing().status == AccountStatus::Unopened {
        return declined(draft, mark, CommandKind::ChangeAccount, Reason::AccountUnknown);
    }
    let standing = &mut draft.change.standing;
    standing.status = command.status.unwrap_or(standing.status);
    standing.overdraft_limit_minor =
        command.overdraft_limit_minor.unwrap_or(standing.overdraft_limit_minor);
    let body = Event::AccountChanged(AccountChanged {
        status: standing.status,
        overdraft_limit_minor: standing.overdraft_limit_minor,
    });
    draft.change.limits = command.limits.clone();
    accepted(draft, mark, CommandKind::ChangeAccount, body)
}

pub(super) fn holder(mut draft: Draft, mark: Mark, command: &ChangeHolder) -> Step {
    if draft.standing().status == AccountStatus::Unopened {
        return declined(draft, mark, CommandKind::ChangeHolder, Reason::AccountUnknown);
    }
    let mut holders = draft.head.holders.clone();
    let place = holders.iter().position(|holder| holder.customer_id == command.customer_id);
    match (place, command.removed) {
        (Some(place), true) => {
            holders.remove(place);
        }
        (Some(place), false) => holders[place].role = command.role,
        (None, true) => {}
        (None, false) => {
            holders.reserve_exact(1); // a head stays in memory: no room for what rarely comes
            holders.push(Holder { customer_id: command.customer_id.clone(), role: command.role });
        }
    }
    draft.change.holders = Some(holders);
    let body = Event::HolderChanged(HolderChanged {
        customer_id: command.customer_id.clone(),
        role: command.role,
        removed: command.removed,
    });
    accepted(draft, mark, CommandKind::ChangeHolder, body)
}

pub(super) fn card(mut draft: Draft, mark: Mark, command: &ChangeCard) -> Step {
    if draft.standing().status == AccountStatus::Unopened {
        return declined(draft, mark, CommandKind::ChangeCard, Reason::AccountUnknown);
    }
    let card = Card {
        card_token: command.card_token.clone(),
        customer_id: command.customer_id.clone(),
        status: command.status,
        expires_at: command.expires_at,
        last_four: command.last_four.clone(),
        blocked_categories: command.blocked_categories.clone(),
        blocked_channels: command.blocked_channels.clone(),
        limits: command.limits.clone(),
    };
    let mut cards = draft.head.cards.clone();
    match cards.iter_mut().find(|known| known.card_token == card.card_token) {
        Some(known) => *known = card,
        None => {
            cards.reserve_exact(1);
            cards.push(card);
        }
    }
    draft.change.cards = Some(cards);
    let body = Event::CardChanged(CardChanged {
        card_token: command.card_token.clone(),
        customer_id: command.customer_id.clone(),
        status: command.status,
        last_four: command.last_four.clone(),
    });
    accepted(draft, mark, CommandKind::ChangeCard, body)
}

fn accepted(mut draft: Draft, mark: Mark, kind: CommandKind, body: Event) -> Step {
    draft.keep_booking(kind, 0, mark, ACCEPTED)?;
    draft.emit(body);
    draft.finish()
}

fn declined(mut draft: Draft, mark: Mark, kind: CommandKind, reason: Reason) -> Step {
    draft.keep_booking(kind, 0, mark, Answer { accepted_minor: 0, reason: Some(reason) })?;
    draft.emit(Event::CommandDeclined(CommandDeclined { kind, amount_minor: 0, reason }));
    draft.finish()
}
