//! Rows of published card payments: what a city's and a council's have in common.
//!
//! Owns the reading of a row's amount, day and purchase, and the commands that a row or an account
//! becomes. Knows no column by itself: the publisher's module names them, and the ids. Invariant: a
//! row at or above 0 is one final presentment, one below 0 a refund.

use super::{
    dated::{Planned, Rank},
    table::{FileError, Row},
};
use crate::domain::{
    account::{CardStatus, HolderRole},
    command::{ChangeCard, ChangeHolder, Channel, Command, OpenAccount, Present, Purchase, Refund},
    ids::{AccountId, CardToken, PaymentId},
    money::Currency,
    time::LogTime,
};

/// How both publishers write days.
pub const DAY: &str = "%Y-%m-%d";

/// One month's file: its rows are `payments[first..first + rows]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    pub name: Box<str>,
    pub first: usize,
    pub rows: usize,
}

/// Which column is what.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    pub merchant: usize,
    pub amount: usize,
    pub currency: usize,
    pub original_amount: usize,
    pub original_currency: usize,
}

/// Reads the billed amount (minor units of `currency`, below 0 for money back) and the purchase,
/// whose category is still absent.
///
/// Errors: the field that cannot be read, or another billing currency than `currency`.
pub fn read(
    row: &Row,
    columns: Columns,
    currency: Currency,
    network: &str,
    card_token: CardToken,
) -> Result<(i64, Purchase), FileError> {
    row.currency_is(columns.currency, currency)?;
    let original_currency = row.currency(columns.original_currency)?;
    let amount_minor = row.amount_minor(columns.amount, currency)?;
    let purchase = Purchase {
        card_token,
        merchant_name: row.text(columns.merchant)?.into(),
        merchant_id: "".into(),
        merchant_category: None,
        country: "".into(),
        channel: Channel::Unknown,
        network: network.into(),
        original_minor: row.amount_minor(columns.original_amount, original_currency)?.abs(),
        original_currency,
    };
    Ok((amount_minor, purchase))
}

/// The message that moves a row's money.
pub fn presentment_or_refund(
    payment_id: PaymentId,
    amount_minor: i64,
    currency: Currency,
    purchase: &Purchase,
    reference: &str,
) -> Command {
    let (purchase, reference) = (purchase.clone(), reference.into());
    match amount_minor {
        0.. => Command::Present(Present {
            payment_id,
            amount_minor,
            currency,
            purchase,
            authorisation_code: "".into(),
            reference,
            sequence_number: 1,
            sequence_count: 1,
            last: true,
        }),
        _ => Command::Refund(Refund {
            payment_id,
            amount_minor: -amount_minor,
            currency,
            purchase,
            reference,
        }),
    }
}

/// An account and its one holder, who has the account's name. The pair of names: the publisher, and what the
/// ids of these messages end with.
pub fn opening(
    account: &AccountId,
    (publisher, name): (&str, &str),
    (day, place): (LogTime, u64),
    (currency, overdraft_limit_minor): (Currency, i64),
) -> [Planned; 2] {
    let open = OpenAccount { currency, overdraft_limit_minor, limits: None };
    let holder = ChangeHolder {
        customer_id: account.as_str().into(),
        role: HolderRole::Owner,
        removed: false,
    };
    [
        (Rank::Opening, "open", Command::OpenAccount(open)),
        (Rank::Holder, "holder", Command::ChangeHolder(holder)),
    ]
    .map(|(rank, what, body)| {
        Planned::new(day, (rank, place), account, format!("{publisher}-{what}-{name}"), body)
    })
}

/// A card of the account's holder.
pub fn card(
    message_id: String,
    account: &AccountId,
    (day, place): (LogTime, u64),
    card_token: CardToken,
    last_four: &str,
) -> Planned {
    let change = ChangeCard {
        card_token,
        customer_id: account.as_str().into(),
        status: CardStatus::Active,
        expires_at: None,
        last_four: last_four.into(),
        blocked_categories: Vec::new(),
        blocked_channels: Vec::new(),
        limits: None,
    };
    let body = Command::ChangeCard(change);
    Planned::new(day, (Rank::Card, place), account, message_id, body)
}
