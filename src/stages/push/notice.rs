//! Which versions of an item are told, and in which sentence.
//!
//! Owns one rule per change of an item. A clearing for the amount that was shown says nothing new
//! and is silent; one that nobody was shown before, or that takes what was given back, is told.

use super::words::{amount, clean, reason, sum};
use crate::domain::{
    feed::{FeedItem, ItemChange, ItemKind},
    payment::Flag,
    push::NoticeKind,
};

pub(super) struct Notice {
    pub kind: NoticeKind,
    /// What the smallest amount of the customer's preferences is held against.
    pub amount_minor: i64,
    pub title: String,
    pub body: String,
}

pub(super) fn notice(item: &FeedItem) -> Option<Notice> {
    match item.change {
        ItemChange::Unknown | ItemChange::Verified => None,
        ItemChange::Authorised => authorised(item),
        ItemChange::Incremented => changed(item, "It is now"),
        ItemChange::Declined => Some(declined(item)),
        ItemChange::Reversed => released(item, "the merchant gave it back"),
        ItemChange::Expired => released(item, "nobody took it in time"),
        ItemChange::Presented => presented(item),
        ItemChange::PresentmentReversed => refund(item, "taken back by the merchant"),
        ItemChange::RefundAnnounced => refund(item, "announced, on its way to you"),
        ItemChange::Refunded => refund(item, "arrived on your account"),
        ItemChange::Booked => booked(item),
    }
}

/// Something was promised, or paid in one step. An authorisation that comes after its presentment
/// promises nothing and is no first version.
fn authorised(item: &FeedItem) -> Option<Notice> {
    let is_told = item.pending_minor > 0 || item.version <= 1 && item.amount_minor > 0;
    is_told.then(|| paid(item))
}

fn paid(item: &FeedItem) -> Notice {
    let verb = match item.kind {
        ItemKind::CashWithdrawal => "withdrawn",
        ItemKind::Unknown
        | ItemKind::Purchase
        | ItemKind::Refund
        | ItemKind::Verification
        | ItemKind::Credit
        | ItemKind::Interest
        | ItemKind::Debit
        | ItemKind::Fee => "paid",
    };
    let again = if item.possible_duplicate { " It looks like one a few minutes ago." } else { "" };
    Notice {
        kind: NoticeKind::Purchase,
        amount_minor: item.amount_minor,
        title: title(item),
        body: format!("{} {verb}{}.{again}", sum(item), card(item)),
    }
}

/// Another amount than was shown before; silent where it is the same.
fn changed(item: &FeedItem, begin: &str) -> Option<Notice> {
    let former_minor = item.former_amount_minor.filter(|former| *former != item.amount_minor)?;
    Some(Notice {
        kind: NoticeKind::AmountChanged,
        amount_minor: item.amount_minor,
        title: title(item),
        body: format!("{begin} {} instead of {}.", sum(item), amount(former_minor, item.currency)),
    })
}

fn presented(item: &FeedItem) -> Option<Notice> {
    let former = item.timeline.iter().rev().nth(1).map(|step| step.change);
    let takes_what_was_given_back = [
        (ItemChange::Expired, Flag::Late),
        (ItemChange::Reversed, Flag::AfterReversal),
        (ItemChange::Declined, Flag::AfterDecline),
    ]
    .into_iter()
    .any(|(change, flag)| former == Some(change) && item.flags.contains(&flag));
    if item.version <= 1 || takes_what_was_given_back {
        return Some(paid(item));
    }
    changed(item, "It came to")
}

fn declined(item: &FeedItem) -> Notice {
    let asked_minor = moved(item, ItemChange::Declined).unwrap_or(item.amount_minor);
    let asked = match asked_minor {
        0 => "A check of your card".to_owned(),
        asked if asked == item.amount_minor => sum(item),
        asked => amount(asked, item.currency),
    };
    let why = item.reason.map_or("", reason);
    let because = if why.is_empty() { String::new() } else { format!(": {why}") };
    Notice {
        kind: NoticeKind::Decline,
        amount_minor: asked_minor,
        title: title(item),
        body: format!("{asked} declined{}{because}.", card(item)),
    }
}

/// What was promised came back, or a part of it.
fn released(item: &FeedItem, why: &str) -> Option<Notice> {
    let back_minor = moved(item, item.change).unwrap_or(item.amount_minor);
    if back_minor == 0 {
        return None;
    }
    Some(Notice {
        kind: NoticeKind::Released,
        amount_minor: back_minor,
        title: title(item),
        body: format!("{} is free again: {why}.", amount(back_minor, item.currency)),
    })
}

fn refund(item: &FeedItem, how: &str) -> Option<Notice> {
    let back_minor = moved(item, item.change).unwrap_or(item.amount_minor);
    if back_minor == 0 {
        return None;
    }
    Some(Notice {
        kind: NoticeKind::Refund,
        amount_minor: back_minor,
        title: title(item),
        body: format!("Refund of {} {how}.", amount(back_minor, item.currency)),
    })
}

fn booked(item: &FeedItem) -> Option<Notice> {
    if item.amount_minor == 0 {
        return None;
    }
    let text = clean(&item.text);
    let about = if text.is_empty() { String::new() } else { format!(": {text}") };
    let incoming = item.kind.is_incoming();
    let (kind, way) = match incoming {
        true => (NoticeKind::MoneyIn, "came in"),
        false => (NoticeKind::MoneyOut, "went out"),
    };
    Some(Notice {
        kind,
        amount_minor: item.amount_minor,
        title: title(item),
        body: format!("{} {way}{about}.", sum(item)),
    })
}

/// What the newest step moved, if it is of that change.
fn moved(item: &FeedItem, change: ItemChange) -> Option<i64> {
    item.timeline.last().filter(|step| step.change == change).map(|step| step.amount_minor)
}

/// The merchant, or else what kind of thing it is.
fn title(item: &FeedItem) -> String {
    for text in [clean(&item.merchant_name), clean(&item.category_text)] {
        if !text.is_empty() {
            return text;
        }
    }
    match item.kind {
        ItemKind::Unknown => "Your account",
        ItemKind::Purchase => "Card payment",
        ItemKind::CashWithdrawal => "Cash withdrawal",
        ItemKind::Refund => "Refund",
        ItemKind::Verification => "Card check",
        ItemKind::Credit => "Money in",
        ItemKind::Interest => "Interest",
        ItemKind::Debit => "Money out",
        ItemKind::Fee => "Fee",
    }
    .to_owned()
}

fn card(item: &FeedItem) -> String {
    let digits = clean(&item.card_last_four);
    if digits.is_empty() { digits } else { format!(" with card {digits}") }
}
