//! The rules in force: hold times, limits and ages, by version.
//!
//! Owns the shape of one rules version (`rules/<version>.toml`). A version is immutable and is
//! activated by a tick, never by a deploy, so every worker decides the same for the same record.

use super::{
    account::Limits,
    command::{Channel, HoldClass},
    cycle::{Calendar, Day, Weekday},
    money::{Currency, basis_points_of},
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
    /// Calendars and fees, one line per network and currency; the first fit is the only one.
    #[serde(default)]
    pub settlement: Vec<SettlementRule>,
}

impl Rules {
    pub fn settlement_of(&self, network: &str, currency: Currency) -> Option<&SettlementRule> {
        self.settlement
            .iter()
            .find(|rule| &*rule.network == network && rule.currencies.contains(&currency))
    }

    /// One cycle a day at midnight UTC where the rules say nothing.
    pub fn calendar_of(&self, network: &str, currency: Currency) -> Calendar<'_> {
        self.settlement_of(network, currency).map_or(Calendar::DAILY, SettlementRule::calendar)
    }
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

/// How a network settles in some currencies: its cut-offs and what passes between it and us.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementRule {
    pub network: Box<str>,
    /// Each has parts, cycles and a net position of its own.
    pub currencies: Vec<Currency>,
    /// Minutes after midnight UTC, ascending, 1 to 1440 (the end of the day).
    pub cutoff_minutes: Vec<i32>,
    pub weekdays: Vec<Weekday>,
    /// Days without a cut-off, ascending.
    #[serde(default)]
    pub holidays: Vec<Day>,
    /// Earned of a purchase, given back of a reversal or refund; first fit wins, none: nothing.
    #[serde(default)]
    pub interchange: Vec<InterchangeRule>,
    /// Charged for each purchase and never given back; absent: nothing.
    #[serde(default)]
    pub scheme_fee: Option<Fee>,
    /// A purchase made in one of these settles in it, at the merchant's own amount, where the
    /// account is in one of `currencies`. All else settles in the account's currency: no rate is
    /// ever invented (I7).
    #[serde(default)]
    pub settles_original: Vec<Currency>,
}

/// Interchange of some merchants; no categories: of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterchangeRule {
    #[serde(default)]
    pub merchant_categories: Vec<i32>,
    pub fee: Fee,
}

/// A rate and an amount per item, minor units of the settlement currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    /// Hundredths of a percent.
    pub basis_points: i64,
    #[serde(default)]
    pub fixed_minor: i64,
}

impl Fee {
    /// Half a unit goes to the even one; an item of nothing costs nothing.
    pub fn of_minor(self, amount_minor: i64) -> i64 {
        if amount_minor == 0 {
            return 0;
        }
        basis_points_of(amount_minor, self.basis_points) + self.fixed_minor
    }
}

impl SettlementRule {
    pub fn calendar(&self) -> Calendar<'_> {
        Calendar {
            cutoff_minutes: &self.cutoff_minutes,
            weekdays: &self.weekdays,
            holidays: &self.holidays,
        }
    }

    pub fn interchange_minor(&self, category: Option<i32>, amount_minor: i64) -> i64 {
        let fits = |rule: &&InterchangeRule| {
            rule.merchant_categories.is_empty()
                || category.is_some_and(|category| rule.merchant_categories.contains(&category))
        };
        self.interchange.iter().find(fits).map_or(0, |rule| rule.fee.of_minor(amount_minor))
    }

    pub fn scheme_fee_minor(&self, amount_minor: i64) -> i64 {
        self.scheme_fee.map_or(0, |fee| fee.of_minor(amount_minor))
    }
}
