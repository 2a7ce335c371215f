//! Events: what was decided, one record each on `payments.events.v1`.
//!
//! Owns the shapes only; the names are the wire names of `schemas/payments.events.v1`. Every event
//! carries the account's balances after it, so a reader needs no state to show them and settlement
//! can check its own against ours. All amounts are minor units, never negative, of the account's
//! currency unless a currency stands beside them.

use super::{
    account::{AccountStatus, CardStatus, HolderRole},
    command::{CommandKind, CreditKind, DebitKind, Purchase, Tick},
    ids::{AccountId, CardToken, CustomerId, MessageId, PaymentId},
    money::Currency,
    payment::{Counters, Flag, Payment, PaymentStatus},
    reason::Reason,
    time::LogTime,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountEvent {
    pub account_id: AccountId,
    /// The message that caused it; absent where time did (an expiry) and on ticks.
    pub message_id: Option<MessageId>,
    pub log_time: LogTime,
    /// Absent on ticks and while the account is unknown.
    pub balances: Option<Balances>,
    pub body: Event,
}

/// After the event. available = booked - held + overdraft limit; cust of the ledger = booked - held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances {
    pub currency: Currency,
    pub booked_minor: i64,
    pub held_minor: i64,
    pub overdraft_limit_minor: i64,
}

impl Balances {
    pub fn available_minor(&self) -> i64 {
        self.booked_minor - self.held_minor + self.overdraft_limit_minor
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    AccountOpened(AccountOpened),
    AccountChanged(AccountChanged),
    HolderChanged(HolderChanged),
    CardChanged(CardChanged),
    PaymentAuthorised(PaymentAuthorised),
    PaymentDeclined(PaymentDeclined),
    PaymentReversed(PaymentReversed),
    HoldExpired(HoldExpired),
    PaymentPresented(PaymentPresented),
    PresentmentReversed(PresentmentReversed),
    RefundAuthorised(RefundAuthorised),
    PaymentRefunded(PaymentRefunded),
    OriginalNotFound(OriginalNotFound),
    AccountCredited(AccountCredited),
    AccountDebited(AccountDebited),
    CommandDeclined(CommandDeclined),
    MovedToSuspense(MovedToSuspense),
    MessageRepeated(MessageRepeated),
    MessageConflicted(MessageConflicted),
    Tick(Tick),
}

/// A payment after the event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentAfter {
    pub payment_id: PaymentId,
    pub card_token: CardToken,
    pub counters: Counters,
    pub status: PaymentStatus,
    pub flags: Vec<Flag>,
    /// When the open hold ends; absent without one.
    pub deadline: Option<LogTime>,
}

impl PaymentAfter {
    pub fn of(payment_id: &PaymentId, payment: &Payment) -> Self {
        Self {
            payment_id: payment_id.clone(),
            card_token: payment.card_token.clone(),
            counters: payment.counters,
            status: payment.status(),
            flags: payment.all_flags(),
            // A tombstone's deadline is not the end of a hold.
            deadline: payment.deadline.filter(|_| payment.counters.hold_minor() > 0),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountOpened {
    pub currency: Currency,
    pub overdraft_limit_minor: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountChanged {
    pub status: AccountStatus,
    pub overdraft_limit_minor: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HolderChanged {
    pub customer_id: CustomerId,
    pub role: HolderRole,
    pub removed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardChanged {
    pub card_token: CardToken,
    pub customer_id: CustomerId,
    pub status: CardStatus,
    pub last_four: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorisationKind {
    Request,
    SingleMessage,
    Advice,
    Increment,
    Verification,
}

/// T1 to T5 approved, and T11b. The four amounts are what the counters of that name grew by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentAuthorised {
    pub payment: PaymentAfter,
    pub kind: AuthorisationKind,
    pub approved_minor: i64,
    /// By an advice whose final total is below the hold.
    pub reversed_minor: i64,
    /// What a presentment had already taken when the authorisation was read (T11b).
    pub released_minor: i64,
    /// Single messages are paid in the same step.
    pub taken_minor: i64,
    /// What was asked; more than approved on a partial approval.
    pub requested_minor: i64,
    pub authorisation_code: Box<str>,
    pub purchase: Purchase,
    /// Of what was taken; absent where it settles in the account's currency.
    pub settlement: Option<SettlementAmount>,
}

/// What the network asks for in another currency than the account's (I7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementAmount {
    pub minor: i64,
    pub currency: Currency,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentDeclined {
    pub payment_id: PaymentId,
    pub kind: AuthorisationKind,
    pub requested_minor: i64,
    pub currency: Currency,
    pub reason: Reason,
    pub purchase: Purchase,
}

/// T6, T7. `over_minor`: asked beyond the open hold, without effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentReversed {
    pub payment: PaymentAfter,
    pub reversed_minor: i64,
    pub over_minor: i64,
}

/// T8.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HoldExpired {
    pub payment: PaymentAfter,
    pub released_minor: i64,
}

/// How a presentment or a refund found its payment; the first unique hit wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchRule {
    /// None matched: the payment was made by this very message.
    None,
    LifeCycle,
    AuthorisationCode,
    CardMerchantAmount,
    /// More than one payment matched; none was taken.
    Ambiguous,
}

/// T9 to T11.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentPresented {
    pub payment: PaymentAfter,
    pub presented_minor: i64,
    /// Out of the hold.
    pub taken_minor: i64,
    /// Over the hold, late or without one: `presented = taken + over`.
    pub over_minor: i64,
    /// Rest of the hold, given back because no further presentment follows.
    pub released_minor: i64,
    pub match_rule: MatchRule,
    pub reference: Box<str>,
    pub purchase: Purchase,
    /// Of what was presented; absent where it settles in the account's currency.
    pub settlement: Option<SettlementAmount>,
}

/// T12. `excess_minor`: beyond what was cleared, booked to suspense. The message names no purchase,
/// so network and category are the payment's, and it settles in the account's currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PresentmentReversed {
    pub payment: PaymentAfter,
    pub presentment_reversed_minor: i64,
    pub excess_minor: i64,
    pub reference: Box<str>,
    /// Empty where the payment is unknown.
    pub network: Box<str>,
    pub merchant_category: Option<i32>,
}

/// T13.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefundAuthorised {
    pub payment: PaymentAfter,
    pub announced_minor: i64,
    pub purchase: Purchase,
}

/// T14.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentRefunded {
    pub payment: PaymentAfter,
    pub refunded_minor: i64,
    pub match_rule: MatchRule,
    pub reference: Box<str>,
    pub purchase: Purchase,
    /// Of what was refunded; absent where it settles in the account's currency.
    pub settlement: Option<SettlementAmount>,
}

/// T7: a reversal's original never came within the tombstone's time to live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OriginalNotFound {
    pub payment_id: PaymentId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountCredited {
    pub kind: CreditKind,
    pub amount_minor: i64,
    pub text: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountDebited {
    pub kind: DebitKind,
    pub amount_minor: i64,
    pub advice: bool,
    pub text: Box<str>,
    pub transfer_to: Option<AccountId>,
}

/// A command other than an authorisation was refused: a checked debit, or a change of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandDeclined {
    pub kind: CommandKind,
    pub amount_minor: i64,
    pub reason: Reason,
}

/// Must be accepted (R5) but cannot be booked on the account: unknown, or another currency.
/// `minor` is what the customer would owe (positive) or get (negative).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MovedToSuspense {
    pub kind: CommandKind,
    pub payment_id: Option<PaymentId>,
    pub owed_minor: i64,
    pub currency: Currency,
    pub reason: Reason,
    /// Empty where the command concerns no card network, or an unknown payment.
    pub network: Box<str>,
}

/// R2: the first answer again; nothing moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageRepeated {
    pub kind: CommandKind,
    pub payment_id: Option<PaymentId>,
    /// What the first answer accepted.
    pub accepted_minor: i64,
    /// Absent where the first answer was yes.
    pub reason: Option<Reason>,
}

/// R2: same id, other content; nothing moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageConflicted {
    pub kind: CommandKind,
    pub payment_id: Option<PaymentId>,
    /// The first field that differs from the first message.
    pub field: Box<str>,
}
