//! Marks: the first answer again for a repeat, `conflict` for a changed duplicate (R1 to R4).
//!
//! Owns what of each command is its content, in groups of fields with a name each (at most eight,
//! one byte of a mark's `fields`). Content is what the business sees and the time of sending; the
//! payment id is not part of it, because marks are kept under it. The order of groups and of enum
//! variants is part of the checkpointed state: add at the end only.

use super::contradiction;
use crate::domain::{
    account::{Account, Item, Limits},
    command::{AccountCommand, Channel, Command, Purchase},
    event::{Event, MessageConflicted, MessageRepeated},
    fingerprint::Fingerprint,
    mark::{Answer, Mark},
    payment::ItemId,
};

const PURCHASE: &[&str] =
    &["kind", "sent_at", "amount_minor", "currency", "card_token", "merchant", "original", "terms"];
const PRESENTMENT: &[&str] = &[
    "kind",
    "sent_at",
    "amount_minor",
    "currency",
    "card_token",
    "purchase",
    "reference",
    "sequence",
];
const REVERSAL: &[&str] = &["kind", "sent_at", "amount_minor", "currency", "reference"];
const OPENING: &[&str] = &["kind", "sent_at", "currency", "overdraft_limit_minor", "limits"];
const CHANGE: &[&str] = &["kind", "sent_at", "status", "overdraft_limit_minor", "limits"];
const HOLDER: &[&str] = &["kind", "sent_at", "customer_id", "role", "removed"];
const CARD: &[&str] = &[
    "kind",
    "sent_at",
    "card_token",
    "customer_id",
    "status",
    "expires_at",
    "last_four",
    "restrictions",
];
const CREDIT: &[&str] = &["kind", "sent_at", "amount_minor", "currency", "credit_kind", "text"];
const DEBIT: &[&str] =
    &["kind", "sent_at", "amount_minor", "currency", "debit_kind", "advice", "text", "transfer_to"];

/// Names of the groups, in the order of a mark's bytes (lowest first).
fn names(body: &Command) -> &'static [&'static str] {
    match body {
        Command::OpenAccount(_) => OPENING,
        Command::ChangeAccount(_) => CHANGE,
        Command::ChangeHolder(_) => HOLDER,
        Command::ChangeCard(_) => CARD,
        Command::Authorise(_)
        | Command::Advise(_)
        | Command::Increment(_)
        | Command::AuthoriseRefund(_) => PURCHASE,
        Command::Present(_) | Command::Refund(_) => PRESENTMENT,
        Command::Reverse(_) | Command::ReversePresentment(_) => REVERSAL,
        Command::Credit(_) => CREDIT,
        Command::Debit(_) => DEBIT,
        Command::EndDiversion(_) | Command::Tick(_) | Command::ReleaseFuse(_) => &[],
    }
}

/// The item under which a repeat of the message would find its mark.
pub(super) fn place(message: &AccountCommand) -> ItemId {
    match contradiction::payment_id(&message.body) {
        Some(payment_id) => ItemId::payment(payment_id),
        None => ItemId::message(&message.message_id),
    }
}

/// The answer to a message that the head remembers; `None`: it is new.
pub(super) fn answer(head: &Account, place: &ItemId, mark: &Mark, body: &Command) -> Option<Event> {
    let first = match head.items.get(place)? {
        Item::Payment(payment) => find(&payment.marks, mark)?,
        Item::Alias(alias) => find(&alias.marks, mark)?,
        Item::Booking(booking) => &booking.mark,
    };
    let (kind, payment_id) = (body.kind(), contradiction::payment_id(body).cloned());
    Some(if first.content == mark.content {
        let Answer { accepted_minor, reason } = first.answer;
        Event::MessageRepeated(MessageRepeated { kind, payment_id, accepted_minor, reason })
    } else {
        let field = difference(first, mark, names(body)).into();
        Event::MessageConflicted(MessageConflicted { kind, payment_id, field })
    })
}

/// From the newest on: a repeat follows soon, if at all.
fn find<'a>(marks: &'a [Mark], mark: &Mark) -> Option<&'a Mark> {
    marks.iter().rev().find(|known| known.message_id == mark.message_id)
}

/// The first group that differs. "content" where their bytes happen to agree (1 in 256).
fn difference(first: &Mark, second: &Mark, names: &[&'static str]) -> &'static str {
    let (first, second) = (first.fields.to_le_bytes(), second.fields.to_le_bytes());
    let differs = first.iter().zip(second.iter()).position(|(a, b)| a != b);
    differs.and_then(|place| names.get(place)).copied().unwrap_or("content")
}

/// The groups of one message: a byte each, and all of them together.
struct Groups {
    content: Fingerprint,
    bytes: [u8; 8],
    count: usize,
}

impl Groups {
    fn add(mut self, group: Fingerprint) -> Self {
        let value = group.value();
        self.content = self.content.bytes(&value.to_be_bytes());
        if let Some(byte) = self.bytes.get_mut(self.count) {
            // FNV mixes upwards, so the high bits know of every byte.
            *byte = value.to_le_bytes().iter().fold(0, |folded, part| folded ^ part);
        }
        self.count += 1;
        self
    }

    fn number(self, number: i64) -> Self {
        self.add(Fingerprint::default().number(number))
    }

    fn text(self, text: &str) -> Self {
        self.add(Fingerprint::default().text(text))
    }

    /// Card, merchant, original amount, and `terms` with channel and network.
    fn purchase(self, purchase: &Purchase, terms: Fingerprint) -> Self {
        self.text(purchase.card_token.as_str())
            .add(merchant(Fingerprint::default(), purchase))
            .add(original(Fingerprint::default(), purchase))
            .add(channel(terms, purchase))
    }
}

fn merchant(group: Fingerprint, purchase: &Purchase) -> Fingerprint {
    group
        .text(&purchase.merchant_name)
        .text(&purchase.merchant_id)
        .text(&purchase.country)
        .number(optional(purchase.merchant_category.map(i64::from)))
}

fn original(group: Fingerprint, purchase: &Purchase) -> Fingerprint {
    group.number(purchase.original_minor).text(purchase.original_currency.as_str())
}

fn channel(group: Fingerprint, purchase: &Purchase) -> Fingerprint {
    group.bytes(&[purchase.channel as u8]).text(&purchase.network)
}

/// Absent is no value that a field can have.
fn optional(number: Option<i64>) -> i64 {
    number.unwrap_or(i64::MIN)
}

fn caps(group: Fingerprint, limits: Option<&Limits>) -> Fingerprint {
    let Some(limits) = limits else { return group.bytes(&[0]) };
    group
        .number(optional(limits.transaction_minor))
        .number(optional(limits.daily_minor))
        .number(optional(limits.monthly_minor))
        .number(optional(limits.lifetime_minor))
        .number(optional(limits.velocity_count.map(i64::from)))
        .number(optional(limits.velocity_window_ms))
}

/// What is to be remembered of a message; its answer is filled in when it is known.
pub(super) fn mark(message: &AccountCommand) -> Mark {
    let kind = message.body.kind() as u8;
    let start = Groups { content: Fingerprint::default().bytes(&[kind]), bytes: [0; 8], count: 1 };
    let groups = content(start.number(message.sent_at.0), &message.body);
    let mut fields = groups.bytes;
    // The kind itself, not a fingerprint of it: two kinds never look alike.
    fields[0] = kind;
    Mark {
        message_id: message.message_id.clone(),
        sent_at: message.sent_at,
        content: groups.content.value().cast_signed(),
        fields: i64::from_le_bytes(fields),
        answer: Answer { accepted_minor: 0, reason: None },
    }
}

/// Adds the groups after `kind` and `sent_at`, as `names` lists them.
fn content(groups: Groups, body: &Command) -> Groups {
    let none = Fingerprint::default();
    match body {
        Command::OpenAccount(c) => groups
            .text(c.currency.as_str())
            .number(c.overdraft_limit_minor)
            .add(caps(none, c.limits.as_ref())),
        Command::ChangeAccount(c) => groups
            .number(optional(c.status.map(|status| status as i64)))
            .number(optional(c.overdraft_limit_minor))
            .add(caps(none, c.limits.as_ref())),
        Command::ChangeHolder(c) => {
            groups.text(c.customer_id.as_str()).number(c.role as i64).number(i64::from(c.removed))
        }
        Command::ChangeCard(c) => {
            let categories =
                c.blocked_categories.iter().fold(none, |group, code| group.number((*code).into()));
            let channels = c.blocked_channels.iter().map(|channel: &Channel| *channel as u8);
            let restrictions = categories.bytes(&channels.collect::<Vec<u8>>());
            groups
                .text(c.card_token.as_str())
                .text(c.customer_id.as_str())
                .number(c.status as i64)
                .number(optional(c.expires_at.map(|time| time.0)))
                .text(&c.last_four)
                .add(caps(restrictions, c.limits.as_ref()))
        }
        Command::Authorise(c) => {
            let terms = [c.hold_class as u8, c.allow_partial.into(), c.single_message.into()];
            groups
                .number(c.amount_minor)
                .text(c.currency.as_str())
                .purchase(&c.purchase, none.bytes(&terms))
        }
        Command::Advise(c) => {
            let terms = [
                c.hold_class as u8,
                c.approved.into(),
                c.final_total.into(),
                c.single_message.into(),
            ];
            groups
                .number(c.amount_minor)
                .text(c.currency.as_str())
                .purchase(&c.purchase, none.bytes(&terms))
        }
        Command::Increment(c) => groups
            .number(c.amount_minor)
            .text(c.currency.as_str())
            .purchase(&c.purchase, none.bytes(&[c.hold_class as u8])),
        Command::AuthoriseRefund(c) => {
            groups.number(c.amount_minor).text(c.currency.as_str()).purchase(&c.purchase, none)
        }
        Command::Present(c) => groups
            .number(c.amount_minor)
            .text(c.currency.as_str())
            .text(c.purchase.card_token.as_str())
            .add(channel(original(merchant(none, &c.purchase), &c.purchase), &c.purchase))
            .add(none.text(&c.authorisation_code).text(&c.reference))
            .add(
                none.number(c.sequence_number.into())
                    .number(c.sequence_count.into())
                    .bytes(&[c.last.into()]),
            ),
        Command::Refund(c) => groups
            .number(c.amount_minor)
            .text(c.currency.as_str())
            .text(c.purchase.card_token.as_str())
            .add(channel(original(merchant(none, &c.purchase), &c.purchase), &c.purchase))
            .text(&c.reference),
        Command::Reverse(c) => groups.number(optional(c.amount_minor)).text(c.currency.as_str()),
        Command::ReversePresentment(c) => {
            groups.number(c.amount_minor).text(c.currency.as_str()).text(&c.reference)
        }
        Command::Credit(c) => groups
            .number(c.amount_minor)
            .text(c.currency.as_str())
            .number(c.kind as i64)
            .text(&c.text),
        Command::Debit(c) => groups
            .number(c.amount_minor)
            .text(c.currency.as_str())
            .number(c.kind as i64)
            .number(c.advice.into())
            .text(&c.text)
            .add(c.transfer_to.as_ref().map_or(none, |account| none.text(account.as_str()))),
        Command::EndDiversion(_) | Command::Tick(_) | Command::ReleaseFuse(_) => groups,
    }
}
