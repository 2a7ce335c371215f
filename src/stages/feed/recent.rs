//! Approvals of the last minutes: the hint that a charge may be a duplicate.
//!
//! Same card, same merchant, same amount within ten minutes of log time. A hint on the item and
//! nothing else: two genuine purchases can look like that (payments.md R7), so nothing is ever left
//! out or refused because of it. Bounded: where more is approved than fits, a hint may be missing.

use crate::domain::{command::Purchase, fingerprint::Fingerprint, time::LogTime};
use serde::{Deserialize, Serialize};

/// How far back a duplicate is looked for.
const WINDOW_MS: i64 = 600_000;

/// How many approvals an account remembers.
const RECENT_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    pub log_time: LogTime,
    /// Fingerprint of card, merchant and amount.
    pub charge: i64,
}

impl Recent {
    pub fn of(log_time: LogTime, purchase: &Purchase, amount_minor: i64) -> Self {
        // The merchant's id, or its name where the source gives none.
        let merchant = if purchase.merchant_id.is_empty() {
            &purchase.merchant_name
        } else {
            &purchase.merchant_id
        };
        let charge = Fingerprint::default()
            .text(purchase.card_token.as_str())
            .text(merchant)
            .number(amount_minor)
            .value();
        Self { log_time, charge: charge.cast_signed() }
    }

    pub fn is_in(&self, recent: &[Recent]) -> bool {
        recent.iter().any(|known| known.charge == self.charge && !self.is_past(known))
    }

    fn is_past(&self, known: &Recent) -> bool {
        known.log_time.plus_ms(WINDOW_MS) < self.log_time
    }
}

/// Adds one and forgets what is too old.
pub fn remember(recent: &mut Vec<Recent>, one: Recent) {
    recent.retain(|known| !one.is_past(known));
    if recent.len() >= RECENT_MAX {
        recent.remove(0);
    }
    recent.push(one);
}
