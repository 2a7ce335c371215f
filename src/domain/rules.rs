//! The rules in force: hold times, limits and ages, by version.
//!
//! Owns the shape of one rules version (`rules/<version>.toml`). A version is immutable and is
//! activated by a tick, never by a deploy, so every worker decides the same for the same record.

use super::{
    account::Limits,
    command::{Channel, HoldClass},
    money::Currency,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub version: i32,
    /// One sentence for people: why this version exists.
    pub description: String,
    /// A closed item leaves the head when its newest message was sent longer ago than this.
    pub closing_age_ms: i64,
    /// How long a reversal without original waits for it (T7).
    pub tombstone_ms: i64,
    /// How long after its hold's end a payment can still be matched without its life-cycle id.
    pub match_late_ms: i64,
    /// Tolerance when matching by card, merchant and amount: parts per thousand of the hold.
    pub match_tolerance_permille: i64,
    /// Hold time where no line of `holds` fits.
    pub hold_ms: i64,
    /// First fit wins.
    #[serde(default)]
    pub holds: Vec<HoldRule>,
    #[serde(default)]
    pub limits: Vec<LimitRule>,
}

/// A hold time; absent conditions fit everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRule {
    #[serde(default)]
    pub network: Option<Box<str>>,
    #[serde(default)]
    pub class: Option<HoldClass>,
    pub hold_ms: i64,
    /// An increment starts the hold time anew (Mastercard: yes; Visa: no).
    #[serde(default)]
    pub increment_restarts: bool,
}

/// A limit for every card of the currency; absent conditions fit everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRule {
    /// Names the counter; never reused for another meaning.
    pub name: Box<str>,
    pub currency: Currency,
    #[serde(default)]
    pub channel: Option<Channel>,
    #[serde(default)]
    pub merchant_category: Option<i32>,
    pub limits: Limits,
}
