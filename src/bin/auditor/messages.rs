//! Messages and their answers (I10, I11, I12): what a command may lead to, what its repeat gets.
//!
//! Owns the memory of first answers and the table of which event may answer which command. A
//! message is known by its payment and its id; its content is everything else that it says. Whether
//! a request was rightly declined is the pipeline's business: the auditor asks that the answer
//! stays, and that what must be accepted was.

use super::{
    accounts::{Account, First, Minor},
    avro::{long, text},
    commands::Command,
    money::Judged,
    verdict::{Invariant, Verdict},
};

/// Judges the answer to a command. Returns whether it is a decision, not a repeat or a conflict.
pub fn answer(
    account: &mut Account,
    command: &Command,
    event: &Judged<'_>,
    verdict: &mut Verdict,
) -> bool {
    let name = (command.payment_id.clone(), command.message_id.clone());
    verdict.checked(Invariant::I10);
    match account.messages.get(&name) {
        Some(first) if first.content == command.content => {
            repeated(&first.clone(), event, verdict);
            false
        }
        Some(first) => {
            if event.doc.kind != "MessageConflicted" {
                let expected = format!("a conflict: other content than at offset {}", first.offset);
                let found = format!("{} {}", event.doc.kind, command.message_id);
                verdict.breach(Invariant::I10, event.place, event.id, expected, found);
            }
            false
        }
        None => {
            first_answer(account, command, event, verdict);
            let first = First {
                content: command.content,
                accepted: accepted(command, event),
                reason: reason(event).map(Box::from),
                offset: event.place.offset,
            };
            account.messages.insert(name, first);
            true
        }
    }
}

/// Same id, same content: the first answer again.
fn repeated(first: &First, event: &Judged<'_>, verdict: &mut Verdict) {
    let body = event.doc.body();
    let again = (Minor::from(long(body, "accepted_minor").unwrap_or(-1)), text(body, "reason"));
    let expected = (first.accepted, first.reason.as_deref());
    let is_repeat = event.doc.kind == "MessageRepeated";
    if first.reason.is_some() {
        verdict.checked(Invariant::I11);
        if !is_repeat || again.1.is_none() {
            let expected =
                format!("declined again, as at offset {}: {:?}", first.offset, first.reason);
            let found = event.doc.kind.to_owned();
            verdict.breach(Invariant::I11, event.place, event.id, expected, found);
        }
    }
    if !is_repeat || again != expected {
        let expected =
            format!("the first answer again, as at offset {}: {expected:?}", first.offset);
        let found = format!("{} {again:?}", event.doc.kind);
        verdict.breach(Invariant::I10, event.place, event.id, expected, found);
    }
}

/// Events that may answer a command that was never seen, apart from suspense.
fn answers(kind: &str) -> &'static [&'static str] {
    match kind {
        "OpenAccount" => &["AccountOpened", "CommandDeclined"],
        "ChangeAccount" => &["AccountChanged", "CommandDeclined"],
        "ChangeHolder" => &["HolderChanged", "CommandDeclined"],
        "ChangeCard" => &["CardChanged", "CommandDeclined"],
        "Authorise" | "Increment" | "Advise" => &["PaymentAuthorised", "PaymentDeclined"],
        "Reverse" => &["PaymentReversed"],
        "Present" => &["PaymentPresented"],
        "ReversePresentment" => &["PresentmentReversed"],
        "AuthoriseRefund" => &["RefundAuthorised"],
        "Refund" => &["PaymentRefunded"],
        "Credit" => &["AccountCredited"],
        "Debit" => &["AccountDebited", "CommandDeclined"],
        _ => &[],
    }
}

fn first_answer(account: &Account, command: &Command, event: &Judged<'_>, verdict: &mut Verdict) {
    let kind = event.doc.kind;
    let mut broken = |invariant, expected: String, found: String| {
        verdict.breach(invariant, event.place, event.id, expected, found);
    };
    if kind.starts_with("Message") {
        broken(Invariant::I10, "a first answer: no such message came before".into(), kind.into());
    } else if kind == "MovedToSuspense" {
        if let Some(expected) = wrong_suspense(account, command, event) {
            broken(Invariant::I12, expected, format!("{kind} {:?}", reason(event)));
        }
    } else if command.must_be_accepted() && matches!(kind, "PaymentDeclined" | "CommandDeclined") {
        let expected = format!("{} {} is accepted", command.kind, command.message_id);
        broken(Invariant::I12, expected, format!("{kind} {:?}", reason(event)));
    } else if !answers(command.kind).contains(&kind) {
        let expected = format!("{} answered by {:?}", command.kind, answers(command.kind));
        broken(Invariant::I10, expected, kind.to_owned());
    } else if let Some((expected, found)) = wrong_amount(command, event) {
        broken(Invariant::I3, expected, found);
    }
    if command.must_be_accepted() {
        verdict.checked(Invariant::I12);
    }
    verdict.checked(Invariant::I3);
}

/// Suspense is for what must be accepted and cannot be booked: unknown account, other currency.
fn wrong_suspense(account: &Account, command: &Command, event: &Judged<'_>) -> Option<String> {
    let why = match &account.currency {
        None => Some("account_unknown"),
        Some(known) if command.currency.as_deref() != Some(known) => Some("currency_mismatch"),
        Some(_) => None,
    };
    let Some(why) = why.filter(|_| command.must_be_accepted()) else {
        return Some(format!("{} {} on the account", command.kind, command.message_id));
    };
    let amount = Minor::from(command.amount_minor.unwrap_or(0));
    let owed = match command.kind {
        "Present" | "Debit" => amount,
        "Advise" if command.single_message => amount,
        "ReversePresentment" | "Refund" | "Credit" => -amount,
        _ => 0,
    };
    let stated = Minor::from(long(event.doc.body(), "owed_minor").unwrap_or(0));
    let right = reason(event) == Some(why) && owed == stated;
    (!right).then(|| format!("suspense of {owed} because of {why}"))
}

/// What the event moves is what the command asked.
fn wrong_amount(command: &Command, event: &Judged<'_>) -> Option<(String, String)> {
    let body = event.doc.body();
    let minor = |name| Minor::from(long(body, name).unwrap_or(0));
    let asked = Minor::from(command.amount_minor.unwrap_or(0));
    let (name, expected) = match event.doc.kind {
        "PaymentPresented" => ("presented_minor", asked),
        "PaymentRefunded" => ("refunded_minor", asked),
        "RefundAuthorised" => ("announced_minor", asked),
        "AccountCredited" | "AccountDebited" => ("amount_minor", asked),
        "PresentmentReversed" => ("presentment_reversed_minor", asked - minor("excess_minor")),
        "PaymentReversed" if command.amount_minor.is_some() => {
            ("reversed_minor", asked - minor("over_minor"))
        }
        "PaymentAuthorised" | "PaymentDeclined" => ("requested_minor", asked),
        _ => return None,
    };
    if minor(name) != expected {
        return Some((format!("{name} {expected}"), minor(name).to_string()));
    }
    if event.doc.kind != "PaymentAuthorised" || command.kind == "Advise" {
        return None;
    }
    let approved = minor("approved_minor");
    let right = approved == asked || (command.allow_partial && 0 < approved && approved < asked);
    (!right).then(|| (format!("approved {asked}, or a part if allowed"), approved.to_string()))
}

/// What the first answer accepted, in the words of a repeat.
fn accepted(command: &Command, event: &Judged<'_>) -> Minor {
    let body = event.doc.body();
    let minor = |name| Minor::from(long(body, name).unwrap_or(0));
    match event.doc.kind {
        "PaymentAuthorised" => minor("approved_minor"),
        "PaymentReversed" => minor("reversed_minor"),
        "PaymentPresented"
        | "PresentmentReversed"
        | "RefundAuthorised"
        | "PaymentRefunded"
        | "AccountCredited"
        | "AccountDebited" => command.amount_minor.unwrap_or(0).into(),
        _ => 0,
    }
}

fn reason<'a>(event: &Judged<'a>) -> Option<&'a str> {
    match event.doc.kind {
        "PaymentDeclined" | "CommandDeclined" | "MovedToSuspense" => {
            text(event.doc.body(), "reason")
        }
        _ => None,
    }
}

/// The debit's other half: a credit command to the account named.
pub fn transfer(event: &Judged<'_>) -> Option<Box<str>> {
    let to = text(event.doc.body(), "transfer_to").filter(|_| event.doc.kind == "AccountDebited");
    to.map(Box::from)
}
