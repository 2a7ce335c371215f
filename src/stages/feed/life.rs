//! One payment as its customers see it: what a later event does not repeat, and what is shown.
//!
//! Owns the shown amounts and states, which follow from the payment's counters and from what was
//! asked (domain::feed says what each field means). Never learns who looks at it.

use crate::domain::{
    event::PaymentAfter,
    feed::{ItemKind, ItemStatus, TIMELINE_STEPS_MAX, TimelineStep},
    ids::CardToken,
    money::Currency,
    payment::{Counters, Flag, PaymentStatus},
    reason::Reason,
    time::LogTime,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Life {
    pub about: About,
    pub state: State,
    pub flags: Vec<Flag>,
    /// At most `TIMELINE_STEPS_MAX`: the first, and the newest of the others.
    pub timeline: Vec<TimelineStep>,
}

/// What hardly ever changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    pub created_at: LogTime,
    pub card_token: CardToken,
    /// Cleaned.
    pub merchant_name: Box<str>,
    pub merchant_category: Option<i32>,
    pub country: Box<str>,
}

/// What an event changes. Minor units of `currency` unless they are `original`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Of the newest item.
    pub version: i32,
    pub kind: ItemKind,
    pub status: ItemStatus,
    /// Of the latest event that named it.
    pub changed_at: LogTime,
    pub currency: Currency,
    pub counters: Counters,
    /// What the latest decline refused, or the latest announcement of a refund named.
    pub asked_minor: i64,
    /// Of the latest decline, while nothing else is shown.
    pub reason: Option<Reason>,
    pub original_currency: Currency,
    /// What the merchant charged of what was approved, asked or announced.
    pub promised_original_minor: i64,
    /// And of what was presented.
    pub presented_original_minor: i64,
    /// When the open hold ends.
    pub release_at: Option<LogTime>,
    pub possible_duplicate: bool,
}

impl State {
    /// Before the first event.
    pub fn blank(currency: Currency, original_currency: Currency) -> Self {
        Self {
            version: 0,
            kind: ItemKind::Unknown,
            status: ItemStatus::Unknown,
            changed_at: LogTime::ZERO,
            currency,
            counters: Counters::default(),
            asked_minor: 0,
            reason: None,
            original_currency,
            promised_original_minor: 0,
            presented_original_minor: 0,
            release_at: None,
            possible_duplicate: false,
        }
    }

    /// Nothing is held for it, so time alone changes it no more.
    pub fn is_closed(&self) -> bool {
        self.counters.hold_minor() == 0
    }

    /// Nothing was ever approved, presented or refunded.
    pub fn is_empty(&self) -> bool {
        let counters = &self.counters;
        counters.approved_minor == 0
            && counters.presented_minor() == 0
            && counters.refunded_minor == 0
    }

    /// Cleared and still promised together; what was promised where all was given back (less what
    /// the merchant itself gave back, unless that was all); what was asked where it was declined or
    /// announced.
    pub fn shown_minor(&self) -> i64 {
        let counters = &self.counters;
        let standing_minor = counters.hold_minor() + counters.cleared_minor();
        match self.status {
            ItemStatus::Declined | ItemStatus::Announced => self.asked_minor,
            ItemStatus::Unknown
            | ItemStatus::Pending
            | ItemStatus::PartlyCleared
            | ItemStatus::Cleared
            | ItemStatus::Reversed
            | ItemStatus::Expired
            | ItemStatus::PartlyRefunded
            | ItemStatus::Refunded
            | ItemStatus::Booked
            | ItemStatus::Verified => {
                let shown = [
                    standing_minor,
                    counters.approved_minor - counters.reversed_minor,
                    counters.approved_minor,
                    counters.presented_minor(),
                    counters.refunded_minor,
                ];
                shown.into_iter().find(|minor| *minor != 0).unwrap_or(0)
            }
        }
    }

    /// What the merchant charged of it, in its currency.
    pub fn original_minor(&self) -> i64 {
        if self.original_currency == self.currency {
            self.shown_minor()
        } else if self.counters.presented_minor() == 0 {
            self.promised_original_minor
        } else if self.is_closed() {
            self.presented_original_minor
        } else {
            self.promised_original_minor.max(self.presented_original_minor)
        }
    }
}

/// Adds a step; where there is no more room the oldest but the first goes.
pub fn extend(timeline: &mut Vec<TimelineStep>, step: TimelineStep) {
    if timeline.len() >= TIMELINE_STEPS_MAX {
        timeline.remove(1);
    }
    timeline.push(step);
}

/// Where an item stands whose payment stands so. A refund is told apart only where all is cleared:
/// before that, what is still promised matters more.
pub fn status(after: &PaymentAfter) -> ItemStatus {
    let (cleared_minor, refunded_minor) =
        (after.counters.cleared_minor(), after.counters.refunded_minor);
    match after.status {
        PaymentStatus::Unknown => ItemStatus::Unknown,
        PaymentStatus::Declined => ItemStatus::Declined,
        PaymentStatus::Pending => ItemStatus::Pending,
        PaymentStatus::PartiallyCleared => ItemStatus::PartlyCleared,
        PaymentStatus::Cleared if refunded_minor >= cleared_minor => ItemStatus::Refunded,
        PaymentStatus::Cleared if refunded_minor > 0 => ItemStatus::PartlyRefunded,
        PaymentStatus::Cleared => ItemStatus::Cleared,
        PaymentStatus::ClearingReversed | PaymentStatus::Reversed => ItemStatus::Reversed,
        PaymentStatus::Expired => ItemStatus::Expired,
        PaymentStatus::CreditOnly if refunded_minor > 0 => ItemStatus::Booked,
        PaymentStatus::CreditOnly => ItemStatus::Announced,
        PaymentStatus::Verified => ItemStatus::Verified,
    }
}
