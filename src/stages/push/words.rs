//! Words and amounts of notifications: plain, short, and harmless on any screen.
//!
//! Owns how an amount is written (minor units of ISO 4217; a test compares the table with the whole
//! list), how foreign text is cleaned and what a decline's reason is called. Never longer than a
//! gateway takes: foreign text is cut at `TEXT_CHARS_MAX`.

use crate::domain::{feed::FeedItem, money::Currency, reason::Reason};

/// Of one foreign text, such as a merchant's name.
const TEXT_CHARS_MAX: usize = 64;

/// Decimal places of a currency in ISO 4217; 2 where the code says nothing else.
pub fn decimals(currency: Currency) -> u32 {
    match currency.as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX"
        | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// `1234.50 EUR`, `1234 JPY`, `1.234 KWD`.
pub(super) fn amount(minor: i64, currency: Currency) -> String {
    let places = decimals(currency);
    if places == 0 {
        return format!("{minor} {currency}");
    }
    let unit = 10_i64.pow(places);
    let (whole, part) = (minor / unit, (minor % unit).unsigned_abs());
    let sign = if minor < 0 && whole == 0 { "-" } else { "" };
    format!("{sign}{whole}.{part:0width$} {currency}", width = places as usize)
}

/// The line's amount, and what the merchant charged where that was another currency.
pub(super) fn sum(item: &FeedItem) -> String {
    let own = amount(item.amount_minor, item.currency);
    if item.original_currency == item.currency || item.original_minor == 0 {
        return own;
    }
    format!("{own} ({})", amount(item.original_minor, item.original_currency))
}

/// One line without control characters and without marks that turn the direction of writing; runs
/// of spaces become one, and what is too long ends in an ellipsis.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::new();
    let mut count = 0;
    for word in text.split(|letter: char| letter.is_whitespace() || letter.is_control()) {
        let mut letters = word.chars().filter(|letter| !is_invisible(*letter)).peekable();
        if letters.peek().is_none() {
            continue;
        }
        if count > 0 {
            out.push(' ');
            count += 1;
        }
        for letter in letters {
            if count >= TEXT_CHARS_MAX {
                out.push('…');
                return out;
            }
            out.push(letter);
            count += 1;
        }
    }
    out
}

/// Marks of direction, joiners, the byte order mark and tags: nothing that is seen itself.
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Why something was declined, as its customer would say it; empty where they need not know.
pub(super) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Unknown | Reason::Conflict | Reason::Diverted | Reason::AccountExists => "",
        Reason::AccountUnknown => "the account is not known",
        Reason::CurrencyMismatch => "the account is in another currency",
        Reason::AccountClosed => "the account is closed",
        Reason::AccountFrozen => "the account is frozen",
        Reason::CardUnknown => "the card is not known",
        Reason::CardInactive => "the card is not active yet",
        Reason::CardPaused => "the card is paused",
        Reason::CardExpired => "the card has expired",
        Reason::MerchantCategoryBlocked => "the card is blocked for this kind of merchant",
        Reason::ChannelBlocked => "the card is blocked for this way to pay",
        Reason::TransactionLimit => "it is above the limit for one payment",
        Reason::DailyLimit => "the limit of the day is reached",
        Reason::MonthlyLimit => "the limit of the month is reached",
        Reason::LifetimeLimit => "the limit of the card is reached",
        Reason::VelocityLimit => "too many payments in a short time",
        Reason::InsufficientFunds => "there is not enough money on the account",
        Reason::DeclinedElsewhere => "the merchant's side declined it",
        Reason::ExceedsCleared => "it is more than was paid",
    }
}
