//! What the histories contained, so that an empty pass cannot look like a good one.

use std::{collections::BTreeMap, fmt};

#[derive(Default)]
pub struct Seen(BTreeMap<String, u64>);

/// Each of these must be seen at least this often in a hundred histories.
const WANTED: &[(&str, u64)] = &[
    ("authorised request", 500),
    ("authorised single_message", 50),
    ("authorised advice", 500),
    ("authorised increment", 100),
    ("authorised verification", 20),
    ("authorised late", 50),
    ("authorised partly", 20),
    ("declined", 500),
    ("reversed", 500),
    ("reversed over", 100),
    ("tombstone", 100),
    ("tombstone met", 20),
    ("original not found", 20),
    ("expired", 100),
    ("presented", 1000),
    ("presented over", 100),
    ("presented rest released", 50),
    ("presentment reversed", 200),
    ("presentment reversed excess", 50),
    ("refund announced", 50),
    ("refunded", 200),
    ("credited", 200),
    ("debited", 100),
    ("transferred", 20),
    ("suspense", 100),
    ("repeated", 1000),
    ("conflict", 300),
    ("poison amount_negative", 50),
    ("poison amount_not_positive", 50),
    ("poison amount_overflow", 50),
    ("poison sequence_invalid", 50),
    ("poison key_mismatch", 50),
    ("left", 500),
    ("recalled", 50),
    ("match life_cycle", 500),
    ("match none", 200),
    ("match authorisation_code", 20),
    ("match card_merchant_amount", 50),
    ("match ambiguous", 5),
    ("reason account_unknown", 20),
    ("reason currency_mismatch", 20),
    ("reason account_closed", 20),
    ("reason account_frozen", 20),
    ("reason card_unknown", 20),
    ("reason card_inactive", 20),
    ("reason card_paused", 20),
    ("reason card_expired", 5),
    ("reason merchant_category_blocked", 20),
    ("reason channel_blocked", 20),
    ("reason transaction_limit", 20),
    ("reason daily_limit", 20),
    ("reason monthly_limit", 5),
    ("reason lifetime_limit", 5),
    ("reason velocity_limit", 5),
    ("reason insufficient_funds", 100),
    ("reason declined_elsewhere", 20),
    ("reason account_exists", 5),
    ("status declined", 50),
    ("status pending", 100),
    ("status partially_cleared", 50),
    ("status cleared", 100),
    ("status clearing_reversed", 20),
    ("status expired", 20),
    ("status reversed", 50),
    ("status credit_only", 20),
    ("status verified", 5),
    ("flag over", 50),
    ("flag late", 20),
    ("flag forced", 50),
    ("flag after_reversal", 20),
    ("flag after_decline", 20),
    ("flag over_refunded", 20),
];

impl Seen {
    pub fn count(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(what.into(), 1)),
        }
    }

    pub fn add(&mut self, other: &Seen) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
    }

    pub fn demand_enough(&self, histories: u64) {
        for (what, least) in WANTED {
            let least = least * histories / 100;
            let count = self.0.get(*what).copied().unwrap_or(0);
            assert!(count >= least, "too little seen: {what} {count} times, wanted {least}");
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, count)| writeln!(f, "{count:>9} {what}"))
    }
}
