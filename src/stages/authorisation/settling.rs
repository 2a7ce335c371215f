//! In which currency the network asks us for a purchase, where the rules know.
//!
//! The network's own amount is what is settled, never one of ours: a purchase in a currency that
//! the rules list settles in it at what the merchant charged, every other in the account's currency
//! (I7). Decided here, once: settlement books what the event says.

use super::draft::Draft;
use crate::domain::{command::Purchase, event::SettlementAmount};

/// `None`: `amount_minor` itself, in the account's currency.
pub(super) fn amount(
    draft: &Draft,
    purchase: &Purchase,
    amount_minor: i64,
) -> Option<SettlementAmount> {
    let billing = draft.standing().currency?;
    let (minor, currency) = (purchase.original_minor, purchase.original_currency);
    if currency == billing || minor == 0 || amount_minor == 0 {
        return None;
    }
    let rule = draft.rules.settlement_of(&purchase.network, billing)?;
    rule.settles_original.contains(&currency).then_some(SettlementAmount { minor, currency })
}
