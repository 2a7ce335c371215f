//! The tally: what was sent and what must come back.
//!
//! Owns the count of every message id: one final answer, every repeat answered again, every
//! changed repeat in conflict. Amounts are judged by what was *sent*, balances by the producer's
//! own `books`; neither uses the domain's arithmetic. Rule source: docs/payments.md, R1 to R7.

use super::{
    books::Books,
    oracle::{Judge, NAMED_MAX, OracleLine},
};
use crate::domain::{
    command::{AccountCommand, Command, CommandKind},
    event::{AccountEvent, AuthorisationKind, Event, MessageRepeated},
    ids::{AccountId, MessageId},
    money::Currency,
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::{self, Write},
    hash::{DefaultHasher, Hasher},
};

/// One message id: what was first sent under it, and the answers due and seen.
#[derive(Debug)]
struct Sent {
    content: u64,
    kind: CommandKind,
    amount_minor: i64,
    currency: Option<Currency>,
    allow_partial: bool,
    /// R5: refusing it would lose money that moved already.
    must_accept: bool,
    answers: u32,
    repeats: (u32, u32),
    conflicts: (u32, u32),
}

/// What was sent, what came back, and what is wrong with it. The caller reports a command before
/// it sends it, and drops events that were published twice (by source position).
#[derive(Debug, Default)]
pub struct Tally {
    sent: HashMap<MessageId, Sent>,
    books: Books,
    commands: u64,
    /// Messages without their final answer.
    open: u64,
    accepted: u64,
    declined: u64,
    /// Per currency: what the accepted messages must have moved, by what was sent.
    moved_minor: BTreeMap<Currency, i64>,
    wrong: BTreeMap<&'static str, (u64, Vec<String>)>,
    /// Repeats beyond those that were sent here are no fault: an earlier play sent the same ids.
    played_before: bool,
}

impl Tally {
    pub fn new() -> Self {
        Self::default()
    }

    /// For real data, whose ids are the same in every play of a folder.
    pub fn of_folder() -> Self {
        Self { played_before: true, ..Self::default() }
    }

    pub fn sent(&mut self, command: &AccountCommand) {
        self.commands += 1;
        let content = content_of(command);
        if let Some(first) = self.sent.get_mut(&command.message_id) {
            let same = first.content == content;
            let (due, _) = if same { &mut first.repeats } else { &mut first.conflicts };
            *due += 1;
            return;
        }
        let (amount_minor, currency) = amount_of(&command.body);
        let allow_partial = matches!(&command.body, Command::Authorise(ask) if ask.allow_partial);
        self.open += 1;
        self.sent.insert(
            command.message_id.clone(),
            Sent {
                content,
                kind: command.body.kind(),
                amount_minor,
                currency,
                allow_partial,
                must_accept: must_accept(&command.body),
                answers: 0,
                repeats: (0, 0),
                conflicts: (0, 0),
            },
        );
    }

    /// Messages whose final answer has not been observed.
    pub fn unanswered(&self) -> u64 {
        self.open
    }

    /// Nothing that was sent lacks its answer, repeats and changed repeats included.
    pub fn is_complete(&self) -> bool {
        let waits =
            |sent: &Sent| sent.repeats.1 < sent.repeats.0 || sent.conflicts.1 < sent.conflicts.0;
        self.open == 0 && !self.sent.values().any(waits)
    }

    fn note(&mut self, what: &'static str, event: &AccountEvent) {
        let (count, named) = self.wrong.entry(what).or_default();
        *count += 1;
        if named.len() < NAMED_MAX {
            let message = event.message_id.as_ref().map_or("no message", MessageId::as_str);
            named.push(format!("{message} on {}", event.account_id));
        }
    }

    /// The final answer to `message`; what is wrong with it is named.
    fn answer(&mut self, message: &MessageId, event: &Event, wrong: &mut Vec<&'static str>) {
        let Some(sent) = self.sent.get_mut(message) else {
            return;
        };
        sent.answers += 1;
        if sent.answers > 1 {
            wrong.push("a message has two final answers");
            return;
        }
        self.open -= 1;
        if !answers(sent.kind, event) {
            wrong.push("an answer of another kind than its message");
        }
        match event {
            Event::PaymentDeclined(_) | Event::CommandDeclined(_) => {
                self.declined += 1;
                if sent.must_accept {
                    wrong.push("a message that must be accepted was declined");
                }
                return;
            }
            Event::MovedToSuspense(_) => {
                self.accepted += 1;
                return;
            }
            _ => self.accepted += 1,
        }
        if !amount_ties(sent, event) {
            wrong.push("an amount is not the one that was sent");
        }
        if let Some(currency) = sent.currency {
            *self.moved_minor.entry(currency).or_default() += moved_by(sent, event);
        }
    }

    /// The first answer again; of a message of an earlier run it is the only one seen here.
    fn repeat(
        &mut self,
        message: &MessageId,
        repeated: &MessageRepeated,
        wrong: &mut Vec<&'static str>,
    ) {
        let Some(sent) = self.sent.get_mut(message) else { return };
        if sent.answers == 0 {
            sent.answers = 1;
            self.open -= 1;
            let count =
                if repeated.reason.is_none() { &mut self.accepted } else { &mut self.declined };
            *count += 1;
        } else if sent.repeats.1 < sent.repeats.0 {
            sent.repeats.1 += 1;
        } else if !self.played_before {
            wrong.push("a repeated answer for a message that was sent once");
        }
    }

    fn conflict(&mut self, message: &MessageId, wrong: &mut Vec<&'static str>) {
        let Some(sent) = self.sent.get_mut(message) else { return };
        if sent.conflicts.1 < sent.conflicts.0 {
            sent.conflicts.1 += 1;
        } else if !self.played_before {
            wrong.push("a conflict for a message that was never changed");
        }
    }
}

impl Judge for Tally {
    fn observe(&mut self, event: &AccountEvent) {
        let mut wrong = Vec::new();
        let effect = self.books.book(event, &mut wrong);
        if let Event::PaymentAuthorised(authorised) = &event.body {
            let checked = matches!(
                authorised.kind,
                AuthorisationKind::Request
                    | AuthorisationKind::SingleMessage
                    | AuthorisationKind::Increment
            );
            let after = event.balances;
            let below = after.is_some_and(|b| {
                b.booked_minor + b.overdraft_limit_minor < b.held_minor && effect.held_minor > 0
            });
            if checked && below {
                wrong.push("approved above what was available");
            }
        }
        if let Some(message) = &event.message_id {
            match &event.body {
                Event::MessageRepeated(repeated) => self.repeat(message, repeated, &mut wrong),
                Event::MessageConflicted(_) => self.conflict(message, &mut wrong),
                Event::HoldExpired(_) | Event::OriginalNotFound(_) | Event::Tick(_) => {}
                body => self.answer(message, body, &mut wrong),
            }
            if !self.sent.contains_key(message)
                && let Some(balances) = event.balances
            {
                // Somebody else's message moves its account too.
                *self.moved_minor.entry(balances.currency).or_default() += effect.booked_minor;
            }
        }
        for what in wrong {
            self.note(what, event);
        }
    }

    fn last_booked_minor(&self) -> BTreeMap<AccountId, i64> {
        self.books.booked_minor()
    }

    fn verdict(&self) -> Vec<OracleLine> {
        let messages = self.sent.len() as u64;
        let total = |of: fn(&Sent) -> (u32, u32)| {
            let pairs = self.sent.values().map(of);
            pairs
                .fold((0, 0), |sum: (u64, u64), p| (sum.0 + u64::from(p.0), sum.1 + u64::from(p.1)))
        };
        let (repeats, conflicts) = (total(|sent| sent.repeats), total(|sent| sent.conflicts));
        let answered = self.accepted + self.declined;
        let mut lines = vec![
            OracleLine::equal("messages with one final answer", messages, answered),
            OracleLine::equal("repeats answered again", repeats.0, repeats.1),
            OracleLine::equal("changed repeats in conflict", conflicts.0, conflicts.1),
            OracleLine::equal(
                "commands with an answer",
                self.commands,
                answered + repeats.1 + conflicts.1,
            ),
            OracleLine::equal("answers that are wrong", 0, self.wrong.values().map(|w| w.0).sum()),
        ];
        let found = self.books.moved_minor();
        for currency in
            self.moved_minor.keys().chain(found.keys()).collect::<std::collections::BTreeSet<_>>()
        {
            let of = |sums: &BTreeMap<_, i64>| sums.get(currency).copied().unwrap_or(0);
            let name = "booked by all messages";
            lines.push(OracleLine::money(name, of(&self.moved_minor), of(&found), *currency));
        }
        let open = self.sent.iter().filter(|(_, sent)| sent.answers == 0);
        for (message, _) in open.take(NAMED_MAX) {
            let (expected, found) = ("an answer".to_owned(), "none".to_owned());
            lines.push(OracleLine { name: message.to_string(), expected, found, ok: false });
        }
        for (what, (count, named)) in &self.wrong {
            let found = format!("{count}: {}", named.join(", "));
            lines.push(OracleLine {
                name: (*what).to_owned(),
                expected: "0".to_owned(),
                found,
                ok: false,
            });
        }
        lines
    }
}

/// Everything but the id, hashed from its debug text: two contents that differ anywhere differ.
fn content_of(command: &AccountCommand) -> u64 {
    struct Into(DefaultHasher);
    impl Write for Into {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut hasher = Into(DefaultHasher::new());
    // Writing into a hasher cannot fail.
    let _ = write!(hasher, "{:?}{:?}{:?}", command.account_id, command.sent_at, command.body);
    hasher.0.finish()
}

fn amount_of(body: &Command) -> (i64, Option<Currency>) {
    match body {
        Command::Authorise(ask) => (ask.amount_minor, Some(ask.currency)),
        Command::Advise(told) => (told.amount_minor, Some(told.currency)),
        Command::Increment(ask) => (ask.amount_minor, Some(ask.currency)),
        Command::Reverse(told) => (told.amount_minor.unwrap_or(0), Some(told.currency)),
        Command::Present(told) => (told.amount_minor, Some(told.currency)),
        Command::ReversePresentment(told) => (told.amount_minor, Some(told.currency)),
        Command::AuthoriseRefund(told) => (told.amount_minor, Some(told.currency)),
        Command::Refund(told) => (told.amount_minor, Some(told.currency)),
        Command::Credit(told) => (told.amount_minor, Some(told.currency)),
        Command::Debit(ask) => (ask.amount_minor, Some(ask.currency)),
        _ => (0, None),
    }
}

/// R5. An advice that says "declined" is recorded as a decline (T3).
fn must_accept(body: &Command) -> bool {
    match body {
        Command::Advise(told) => told.approved,
        Command::Debit(told) => told.advice,
        Command::Reverse(_)
        | Command::Present(_)
        | Command::ReversePresentment(_)
        | Command::AuthoriseRefund(_)
        | Command::Refund(_)
        | Command::Credit(_) => true,
        _ => false,
    }
}

fn answers(kind: CommandKind, event: &Event) -> bool {
    use CommandKind::*;
    match event {
        Event::AccountOpened(_) => kind == OpenAccount,
        Event::AccountChanged(_) => kind == ChangeAccount,
        Event::HolderChanged(_) => kind == ChangeHolder,
        Event::CardChanged(_) => kind == ChangeCard,
        Event::PaymentAuthorised(_) => matches!(kind, Authorise | Advise | Increment),
        Event::PaymentDeclined(_) => matches!(kind, Authorise | Advise | Increment),
        Event::PaymentReversed(_) => kind == Reverse,
        Event::PaymentPresented(_) => kind == Present,
        Event::PresentmentReversed(_) => kind == ReversePresentment,
        Event::RefundAuthorised(_) => kind == AuthoriseRefund,
        Event::PaymentRefunded(_) => kind == Refund,
        Event::AccountCredited(_) => kind == Credit,
        Event::AccountDebited(_) => kind == Debit,
        Event::CommandDeclined(_) | Event::MovedToSuspense(_) => true,
        _ => false,
    }
}

fn amount_ties(sent: &Sent, event: &Event) -> bool {
    let amount_minor = sent.amount_minor;
    match event {
        Event::PaymentAuthorised(event) if sent.kind == CommandKind::Advise => {
            event.approved_minor <= amount_minor
        }
        Event::PaymentAuthorised(event) if sent.allow_partial => {
            (1..=amount_minor).contains(&event.approved_minor)
        }
        Event::PaymentAuthorised(event) => event.approved_minor == amount_minor,
        Event::PaymentReversed(event) => {
            // A reversal of the whole hold names no amount.
            amount_minor == 0 || event.reversed_minor + event.over_minor == amount_minor
        }
        Event::PaymentPresented(event) => {
            event.presented_minor == amount_minor
                && event.taken_minor + event.over_minor == amount_minor
        }
        Event::PresentmentReversed(event) => {
            event.presentment_reversed_minor + event.excess_minor == amount_minor
        }
        Event::RefundAuthorised(event) => event.announced_minor == amount_minor,
        Event::PaymentRefunded(event) => event.refunded_minor == amount_minor,
        Event::AccountCredited(event) => event.amount_minor == amount_minor,
        Event::AccountDebited(event) => event.amount_minor == amount_minor,
        _ => true,
    }
}

/// What an accepted message must have moved on the booked balance.
fn moved_by(sent: &Sent, event: &Event) -> i64 {
    match event {
        Event::PaymentAuthorised(event) => -event.taken_minor,
        Event::PaymentPresented(_) | Event::AccountDebited(_) => -sent.amount_minor,
        Event::PresentmentReversed(event) => sent.amount_minor - event.excess_minor,
        Event::PaymentRefunded(_) | Event::AccountCredited(_) => sent.amount_minor,
        _ => 0,
    }
}
