//! The checks of a request, in their fixed order: the first that applies is the answer.
//!
//! Owns account, card, merchant-category and channel checks; `limits` and `funds` follow them. Asks
//! only and changes nothing. What R5 says must be accepted never comes here, except for
//! `unreachable`: money cannot be booked on an account that is unknown or of another currency.

use super::draft::Draft;
use crate::domain::{
    account::{AccountStatus, Card, CardStatus, Standing},
    command::Purchase,
    money::Currency,
    reason::Reason,
    time::LogTime,
};

/// Why nothing can be booked here, whatever it is.
pub(super) fn unreachable(standing: &Standing, currency: Currency) -> Option<Reason> {
    match standing.currency {
        None => Some(Reason::AccountUnknown),
        Some(known) if known != currency => Some(Reason::CurrencyMismatch),
        Some(_) => None,
    }
}

/// State of the account: requests on closed and frozen ones are refused.
pub(super) fn account(standing: &Standing) -> Option<Reason> {
    match standing.status {
        AccountStatus::Unopened => Some(Reason::AccountUnknown),
        AccountStatus::Closed => Some(Reason::AccountClosed),
        AccountStatus::Frozen => Some(Reason::AccountFrozen),
        AccountStatus::Open => None,
    }
}

/// Account and card state, then merchant category and channel.
pub(super) fn purchase(draft: &Draft, purchase: &Purchase) -> Option<Reason> {
    account(draft.standing()).or_else(|| match draft.head.card(&purchase.card_token) {
        None => Some(Reason::CardUnknown),
        Some(card) => card_state(card, draft.clock).or_else(|| blocked(card, purchase)),
    })
}

/// A closed card is an inactive one.
fn card_state(card: &Card, clock: LogTime) -> Option<Reason> {
    match card.status {
        CardStatus::Inactive | CardStatus::Closed => Some(Reason::CardInactive),
        CardStatus::Paused => Some(Reason::CardPaused),
        CardStatus::Active => {
            card.expires_at.is_some_and(|end| end <= clock).then_some(Reason::CardExpired)
        }
    }
}

fn blocked(card: &Card, purchase: &Purchase) -> Option<Reason> {
    let category = purchase.merchant_category;
    if category.is_some_and(|category| card.blocked_categories.contains(&category)) {
        Some(Reason::MerchantCategoryBlocked)
    } else if card.blocked_channels.contains(&purchase.channel) {
        Some(Reason::ChannelBlocked)
    } else {
        None
    }
}

/// I6: a request may use what is available and no more. Nothing asked is always there.
pub(super) fn funds(standing: &Standing, amount_minor: i64) -> Option<Reason> {
    let short = amount_minor > 0 && amount_minor > standing.available_minor();
    short.then_some(Reason::InsufficientFunds)
}
