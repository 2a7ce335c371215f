//! Commands: what is asked of an account, one record each on `payments.commands.v1`.
//!
//! Owns the shapes only. Field names are the wire names of `schemas/payments.commands.v1`, so a
//! change here is a new schema version. All amounts are minor units of the currency beside them.

use super::{
    account::{AccountStatus, CardStatus, HolderRole, Limits},
    ids::{AccountId, CardToken, CustomerId, MessageId, PaymentId},
    money::Currency,
    time::LogTime,
};
use serde::{Deserialize, Serialize};

/// The key of records that concern a whole partition (ticks, releases of the fuse).
pub const PARTITION_KEY: &str = "tapline.partition";

/// The envelope of every command. `account_id` repeats the record's key: a record under another
/// key is poison, because it would open a second account of the same name elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountCommand {
    pub account_id: AccountId,
    /// Same id and same content: the first answer again. Same id, other content: conflict.
    pub message_id: MessageId,
    /// The network's time of sending (ISO 8583 DE7): part of the message's identity.
    pub sent_at: LogTime,
    pub body: Command,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    OpenAccount(OpenAccount),
    ChangeAccount(ChangeAccount),
    ChangeHolder(ChangeHolder),
    ChangeCard(ChangeCard),
    Authorise(Authorise),
    Advise(Advise),
    Increment(Increment),
    Reverse(Reverse),
    Present(Present),
    ReversePresentment(ReversePresentment),
    AuthoriseRefund(AuthoriseRefund),
    Refund(Refund),
    Credit(Credit),
    Debit(Debit),
    EndDiversion(EndDiversion),
    Tick(Tick),
    ReleaseFuse(ReleaseFuse),
}

/// What is bought, where and with which card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Purchase {
    pub card_token: CardToken,
    pub merchant_name: Box<str>,
    /// The acquirer's merchant id; empty where the source names none.
    pub merchant_id: Box<str>,
    /// ISO 18245 category; absent where the source names none.
    pub merchant_category: Option<i32>,
    /// ISO 3166 alpha-2; empty where unknown.
    pub country: Box<str>,
    pub channel: Channel,
    pub network: Box<str>,
    /// What the merchant charged, in the merchant's currency.
    pub original_minor: i64,
    pub original_currency: Currency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Unknown,
    Chip,
    Contactless,
    MagneticStripe,
    Ecommerce,
    MailOrder,
    Recurring,
    Atm,
}

/// Which hold time applies (payments.md section 5); the days stand in the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldClass {
    Standard,
    PreAuthorisation,
    Lodging,
    VehicleRental,
    CustomerInitiatedNotPresent,
    MerchantInitiated,
    Fuel,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenAccount {
    pub currency: Currency,
    pub overdraft_limit_minor: i64,
    pub limits: Option<Limits>,
}

/// Absent fields stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeAccount {
    pub status: Option<AccountStatus>,
    pub overdraft_limit_minor: Option<i64>,
    pub limits: Option<Limits>,
}

/// Adds a holder, changes the role, or removes the holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeHolder {
    pub customer_id: CustomerId,
    pub role: HolderRole,
    pub removed: bool,
}

/// Adds a card or replaces everything known about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeCard {
    pub card_token: CardToken,
    pub customer_id: CustomerId,
    pub status: CardStatus,
    /// Declined as expired from this log time on.
    pub expires_at: Option<LogTime>,
    pub last_four: Box<str>,
    pub blocked_categories: Vec<i32>,
    pub blocked_channels: Vec<Channel>,
    pub limits: Option<Limits>,
}

/// T1, T2 (`single_message`), T4 (amount 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authorise {
    pub payment_id: PaymentId,
    pub amount_minor: i64,
    pub currency: Currency,
    pub purchase: Purchase,
    pub hold_class: HoldClass,
    pub allow_partial: bool,
    pub single_message: bool,
}

/// T3: a decision made elsewhere that must be accepted. `final_total`: the amount is the whole
/// payment's total, else it is added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advise {
    pub payment_id: PaymentId,
    pub amount_minor: i64,
    pub currency: Currency,
    pub purchase: Purchase,
    pub hold_class: HoldClass,
    pub approved: bool,
    pub final_total: bool,
    pub single_message: bool,
}

/// T5: raises a hold by `amount_minor`; an unknown payment is authorised (T1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Increment {
    pub payment_id: PaymentId,
    pub amount_minor: i64,
    pub currency: Currency,
    pub purchase: Purchase,
    pub hold_class: HoldClass,
}

/// T6, T7: gives back `amount_minor`, or the whole hold where absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reverse {
    pub payment_id: PaymentId,
    pub amount_minor: Option<i64>,
    pub currency: Currency,
}

/// T9, T10, T11: the network asks us to pay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Present {
    pub payment_id: PaymentId,
    pub amount_minor: i64,
    pub currency: Currency,
    pub purchase: Purchase,
    /// Our authorisation code as the acquirer repeats it; empty where there was none.
    pub authorisation_code: Box<str>,
    /// Acquirer reference number; empty where the source names none.
    pub reference: Box<str>,
    pub sequence_number: i32,
    pub sequence_count: i32,
    /// No further presentment follows, whatever the sequence says.
    pub last: bool,
}

/// T12.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReversePresentment {
    pub payment_id: PaymentId,
    pub amount_minor: i64,
    pub currency: Currency,
    pub reference: Box<str>,
}

/// T13: announces a refund; no money moves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuthoriseRefund {
    pub payment_id: PaymentId,
    pub amount_minor: i64,
    pub currency: Currency,
    pub purchase: Purchase,
}

/// T14: money back for a purchase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refund {
    pub payment_id: PaymentId,
    pub amount_minor: i64,
    pub currency: Currency,
    pub purchase: Purchase,
    pub reference: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditKind {
    Other,
    CashIn,
    TransferIn,
    Interest,
    Opening,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DebitKind {
    Other,
    CashOut,
    TransferOut,
    StandingOrder,
    Fee,
}

/// Other money in; always accepted (R5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Credit {
    pub amount_minor: i64,
    pub currency: Currency,
    pub kind: CreditKind,
    pub text: Box<str>,
}

/// Other money out; checked like an authorisation unless it is an advice. `transfer_to` makes the
/// same amount a credit of another account, by a command in the same topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Debit {
    pub amount_minor: i64,
    pub currency: Currency,
    pub kind: DebitKind,
    pub advice: bool,
    pub text: Box<str>,
    pub transfer_to: Option<AccountId>,
}

/// An operator's word that everything parked behind a dead letter of this account, up to and with
/// the record at `through_offset`, has been dealt with. Later parked records keep the mark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndDiversion {
    pub through_offset: i64,
}

/// The partition's clock and header (pipeline.md section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    pub time: LogTime,
    pub rules_version: i32,
    pub logic_version: i32,
}

/// An operator's word that dead letters up to and with `through_offset` may pass the fuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFuse {
    pub through_offset: i64,
}

/// The kind of a command, for answers and labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    Unknown,
    OpenAccount,
    ChangeAccount,
    ChangeHolder,
    ChangeCard,
    Authorise,
    Advise,
    Increment,
    Reverse,
    Present,
    ReversePresentment,
    AuthoriseRefund,
    Refund,
    Credit,
    Debit,
}

impl Command {
    /// `Unknown` for records that concern the partition or the diversion, not the account's money.
    pub fn kind(&self) -> CommandKind {
        match self {
            Command::OpenAccount(_) => CommandKind::OpenAccount,
            Command::ChangeAccount(_) => CommandKind::ChangeAccount,
            Command::ChangeHolder(_) => CommandKind::ChangeHolder,
            Command::ChangeCard(_) => CommandKind::ChangeCard,
            Command::Authorise(_) => CommandKind::Authorise,
            Command::Advise(_) => CommandKind::Advise,
            Command::Increment(_) => CommandKind::Increment,
            Command::Reverse(_) => CommandKind::Reverse,
            Command::Present(_) => CommandKind::Present,
            Command::ReversePresentment(_) => CommandKind::ReversePresentment,
            Command::AuthoriseRefund(_) => CommandKind::AuthoriseRefund,
            Command::Refund(_) => CommandKind::Refund,
            Command::Credit(_) => CommandKind::Credit,
            Command::Debit(_) => CommandKind::Debit,
            Command::EndDiversion(_) | Command::Tick(_) | Command::ReleaseFuse(_) => {
                CommandKind::Unknown
            }
        }
    }
}
