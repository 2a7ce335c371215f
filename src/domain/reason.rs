//! Why something was declined, in the order in which it is checked: the first that applies wins.

use serde::{Deserialize, Serialize};

/// Declaration order is checking order (payments.md section 5); the names are the wire names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A newer release declined for a reason that this one does not know (the enum's default).
    Unknown,
    AccountUnknown,
    CurrencyMismatch,
    AccountClosed,
    AccountFrozen,
    CardUnknown,
    CardInactive,
    CardPaused,
    CardExpired,
    MerchantCategoryBlocked,
    ChannelBlocked,
    TransactionLimit,
    DailyLimit,
    MonthlyLimit,
    LifetimeLimit,
    VelocityLimit,
    InsufficientFunds,
    /// The issuer's stand-in or the merchant declined before us (a declined advice).
    DeclinedElsewhere,
    /// The same message id came with other content.
    Conflict,
    /// The account waits behind a dead letter.
    Diverted,
    /// Another message opened the account before.
    AccountExists,
    /// More was presented back than was cleared; what is beyond stands in suspense.
    ExceedsCleared,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Unknown => "unknown",
            Reason::AccountUnknown => "account_unknown",
            Reason::CurrencyMismatch => "currency_mismatch",
            Reason::AccountClosed => "account_closed",
            Reason::AccountFrozen => "account_frozen",
            Reason::CardUnknown => "card_unknown",
            Reason::CardInactive => "card_inactive",
            Reason::CardPaused => "card_paused",
            Reason::CardExpired => "card_expired",
            Reason::MerchantCategoryBlocked => "merchant_category_blocked",
            Reason::ChannelBlocked => "channel_blocked",
            Reason::TransactionLimit => "transaction_limit",
            Reason::DailyLimit => "daily_limit",
            Reason::MonthlyLimit => "monthly_limit",
            Reason::LifetimeLimit => "lifetime_limit",
            Reason::VelocityLimit => "velocity_limit",
            Reason::InsufficientFunds => "insufficient_funds",
            Reason::DeclinedElsewhere => "declined_elsewhere",
            Reason::Conflict => "conflict",
            Reason::Diverted => "diverted",
            Reason::AccountExists => "account_exists",
            Reason::ExceedsCleared => "exceeds_cleared",
        }
    }
}
