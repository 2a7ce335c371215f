//! One card payment: seven counters that only grow, and what follows from them.
//!
//! Owns the arithmetic of hold and cleared amount and the derived status. Never decides whether a
//! payment may happen (`stages::authorisation` does). Counters only grow and everything else is
//! derived from them, so the two cannot disagree (payments.md section 2).

use super::{
    command::{Channel, HoldClass},
    ids::{CardToken, PaymentId},
    mark::Mark,
    reason::Reason,
    time::LogTime,
};
use serde::{Deserialize, Serialize};

/// Minor units of the account's currency, each >= 0, each only ever growing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// A: approved.
    pub approved_minor: i64,
    /// V: reversed by the merchant's side.
    pub reversed_minor: i64,
    /// E: released by the issuer (expiry, rest at the last presentment).
    pub released_minor: i64,
    /// M: presentments out of the hold.
    pub taken_minor: i64,
    /// O: presentments over the hold or without one.
    pub over_minor: i64,
    /// K: presentments reversed.
    pub presentment_reversed_minor: i64,
    /// F: refunded.
    pub refunded_minor: i64,
}

impl Counters {
    /// H = A - V - E - M, never negative (I4).
    pub fn hold_minor(&self) -> i64 {
        self.approved_minor - self.reversed_minor - self.released_minor - self.taken_minor
    }

    /// M + O: all that was ever presented.
    pub fn presented_minor(&self) -> i64 {
        self.taken_minor + self.over_minor
    }

    /// C = M + O - K, never negative.
    pub fn cleared_minor(&self) -> i64 {
        self.presented_minor() - self.presentment_reversed_minor
    }

    /// F - C: what the payment did to the booked balance.
    pub fn booked_effect_minor(&self) -> i64 {
        self.refunded_minor - self.cleared_minor()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Of a newer release (the enum's default).
    Unknown,
    Declined,
    Pending,
    PartiallyCleared,
    Cleared,
    ClearingReversed,
    Expired,
    Reversed,
    CreditOnly,
    Verified,
}

/// What happened out of the ordinary, in the order it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    Unknown,
    /// Presented above the hold.
    Over,
    /// Presented after the hold ended by time.
    Late,
    /// Presented without an authorisation.
    Forced,
    AfterReversal,
    AfterDecline,
    /// More was reversed than was held.
    OverReversal,
    /// A reversal of what was already presented.
    AfterPresentment,
    /// The reversal came before its original (T7).
    Tombstone,
    /// A refund was announced (T13).
    RefundAnnounced,
    /// More refunded than cleared.
    OverRefunded,
    PartlyRefunded,
    Refunded,
    /// The authorisation was read after its presentment (T11b).
    AuthorisedLate,
    /// More was presented back than was cleared.
    OverPresentmentReversal,
    /// Nothing further will be presented.
    Complete,
}

/// One payment as the account's head (or a side row, once closed) keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    pub card_token: CardToken,
    pub merchant_name: Box<str>,
    /// Fingerprint of the merchant's identity, for matching without a life-cycle id.
    pub merchant: i64,
    pub merchant_category: Option<i32>,
    /// Says which limits of the rules counted it.
    pub channel: Channel,
    pub network: Box<str>,
    pub hold_class: HoldClass,
    pub counters: Counters,
    /// Of the latest decline of a request, if nothing was approved.
    pub declined: Option<Reason>,
    /// Flags that cannot be derived from the counters, ascending, each once.
    pub flags: Vec<Flag>,
    pub opened_at: LogTime,
    /// When the open hold ends; for a tombstone, when its original is given up. Absent: neither.
    pub deadline: Option<LogTime>,
    /// Our code for the acquirer; empty unless approved.
    pub authorisation_code: Box<str>,
    /// Every message of the payment, in order.
    pub marks: Vec<Mark>,
}

impl Payment {
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.binary_search(&flag).is_ok()
    }

    /// Adds the flag once, keeping the order.
    pub fn flag(&mut self, flag: Flag) {
        if let Err(place) = self.flags.binary_search(&flag) {
            self.flags.insert(place, flag);
        }
    }

    /// The stored flags and those that follow from the counters, ascending, each once.
    pub fn all_flags(&self) -> Vec<Flag> {
        let (refunded, cleared) = (self.counters.refunded_minor, self.counters.cleared_minor());
        let mut flags = self.flags.clone();
        let mut add = |flag| {
            if let Err(place) = flags.binary_search(&flag) {
                flags.insert(place, flag);
            }
        };
        if refunded > cleared && self.counters.presented_minor() > 0 {
            add(Flag::OverRefunded);
        }
        if 0 < refunded && refunded < cleared {
            add(Flag::PartlyRefunded);
        }
        if refunded >= cleared && cleared > 0 {
            add(Flag::Refunded);
        }
        flags
    }

    /// First match wins (payments.md section 2).
    pub fn status(&self) -> PaymentStatus {
        let counters = &self.counters;
        let (hold, presented) = (counters.hold_minor(), counters.presented_minor());
        let cleared = counters.cleared_minor();
        if self.declined.is_some() && presented == 0 && counters.refunded_minor == 0 && hold == 0 {
            PaymentStatus::Declined
        } else if hold > 0 && presented == 0 {
            PaymentStatus::Pending
        } else if hold > 0 {
            PaymentStatus::PartiallyCleared
        } else if cleared > 0 {
            PaymentStatus::Cleared
        } else if presented > 0 {
            PaymentStatus::ClearingReversed
        } else if counters.released_minor > 0 {
            PaymentStatus::Expired
        } else if counters.reversed_minor > 0 || self.has(Flag::Tombstone) {
            PaymentStatus::Reversed
        } else if counters.refunded_minor > 0 || self.has(Flag::RefundAnnounced) {
            PaymentStatus::CreditOnly
        } else {
            PaymentStatus::Verified
        }
    }
}

/// Where an account keeps one thing that messages name: a payment by its life-cycle id, anything
/// else by its message id. The first letter keeps the two apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(pub Box<str>);

impl ItemId {
    pub fn payment(id: &PaymentId) -> Self {
        Self::of("p:", id.as_str())
    }

    pub fn message(id: &super::ids::MessageId) -> Self {
        Self::of("m:", id.as_str())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The life-cycle id of a payment's (or alias's) name; `None` for a message's.
    pub fn payment_id(&self) -> Option<PaymentId> {
        self.0.strip_prefix("p:").map(PaymentId::from)
    }

    /// Built at its exact length, so that nothing is allocated twice.
    fn of(prefix: &str, id: &str) -> Self {
        let mut text = String::with_capacity(prefix.len() + id.len());
        text.push_str(prefix);
        text.push_str(id);
        Self(text.into_boxed_str())
    }
}

impl AsRef<str> for ItemId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ItemId {
    fn borrow(&self) -> &str {
        &self.0
    }
}
