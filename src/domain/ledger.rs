//! The ledger: addresses, legs, and the balanced sets that events become.
//!
//! Owns the shapes of `ledger.postings.v1` and the balances of one account by address. Never
//! decides which legs an event has (`stages::settlement` does). Invariant: a set sums to 0 per
//! currency and is never changed; a correction is another set (I2, I3).

use super::{
    cycle::Cycle,
    ids::{AccountId, MessageId, PaymentId},
    money::Currency,
    time::LogTime,
};
use serde::{Deserialize, Serialize};

/// Longest name of a network; with a currency it must fit into a record's key.
const NETWORK_BYTES_MAX: usize = 48;

/// Where money stands that no card network brought: credits and advised debits without an account.
pub const INTERBANK: &str = "interbank";

/// A network's name as the ledger and the windows use it. What names no network (a message of an
/// unknown payment) or cannot be part of a key is `unknown`, a network like any other.
pub fn network_name(text: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    let fits = (1..=NETWORK_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain);
    if fits { text } else { "unknown" }
}

/// Whose money a leg moves; credit-normal, so what the bank owes is positive. Declaration order is
/// the order of an account's balances; the names are the wire names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// Of a newer release (the enum's default).
    Unknown,
    /// What the customer has: booked - held.
    Cust,
    /// Promised to merchants and not yet taken.
    Held,
    /// Owed to a network, not yet settled; one per network.
    Net,
    /// Income: interchange earned.
    Interchange,
    /// Expense: what networks charge.
    SchemeFees,
    /// The bank's money elsewhere; negative while there is some.
    Nostro,
    /// Expense: interest credited to customers.
    InterestExpense,
    /// Income: fees charged to customers.
    FeeIncome,
    /// What nobody is known for yet: the sum of the open exceptions.
    Suspense,
    /// Between two currencies of one event.
    FxPosition,
}

/// One line of a set. Minor units of its currency: credit positive, debit negative, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub address: Address,
    pub currency: Currency,
    pub minor: i64,
}

/// One balance of an account, after a set or as its head keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceAfter {
    pub address: Address,
    /// Of `net`; empty elsewhere.
    pub network: Box<str>,
    pub currency: Currency,
    pub minor: i64,
}

/// What kind of movement a set is; one per event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostingKind {
    /// Of a newer release (the enum's default).
    Unknown,
    Approve,
    /// Reversal, expiry, or an advice that lowers a hold.
    Release,
    Present,
    /// Approved and paid in one step.
    SingleMessage,
    ReversePresentment,
    Refund,
    Credit,
    Debit,
    /// Accepted, but nobody is known for it.
    Suspense,
}

impl PostingKind {
    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            PostingKind::Unknown => "unknown",
            PostingKind::Approve => "approve",
            PostingKind::Release => "release",
            PostingKind::Present => "present",
            PostingKind::SingleMessage => "single_message",
            PostingKind::ReversePresentment => "reverse_presentment",
            PostingKind::Refund => "refund",
            PostingKind::Credit => "credit",
            PostingKind::Debit => "debit",
            PostingKind::Suspense => "suspense",
        }
    }
}

/// All that one event moves, balanced per currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PostingSet {
    pub account_id: AccountId,
    pub log_time: LogTime,
    pub kind: PostingKind,
    pub payment_id: Option<PaymentId>,
    /// Absent where time moved the money.
    pub message_id: Option<MessageId>,
    /// Of the `net` legs; empty where there is none.
    pub network: Box<str>,
    /// Of the `net` legs, by the calendar in force; absent without such a leg, and before the first
    /// tick. In the one cycle during which the calendar itself changes, the item may be counted in
    /// the former calendar's cycle: the part of its partition has the say.
    pub cycle: Option<Cycle>,
    /// In the order of payments.md section 4: holds, then the network, then its fees.
    pub legs: Vec<Leg>,
    /// Every balance of the account that the legs name, after them.
    pub after: Vec<BalanceAfter>,
    /// What the booking is for: the merchant, or the text of a credit or debit.
    pub text: Box<str>,
    /// The rules that the fees follow.
    pub rules_version: i32,
}

/// The balances of one account by address, network and currency: ascending, none of them 0.
///
/// Its size follows from the networks and currencies in use, never from the number of payments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerAccount {
    pub balances: Vec<BalanceAfter>,
}

impl LedgerAccount {
    /// 0 where nothing was posted.
    pub fn minor(&self, address: Address, network: &str, currency: Currency) -> i64 {
        match self.place(address, network, currency) {
            Ok(place) => self.balances.get(place).map_or(0, |balance| balance.minor),
            Err(_) => 0,
        }
    }

    /// Puts a balance in its place; one of 0 is kept no longer.
    pub fn set(&mut self, after: BalanceAfter) {
        match (self.place(after.address, &after.network, after.currency), after.minor) {
            (Ok(place), 0) => drop(self.balances.remove(place)),
            (Ok(place), minor) => {
                if let Some(balance) = self.balances.get_mut(place) {
                    balance.minor = minor;
                }
            }
            (Err(_), 0) => {}
            (Err(place), _) => self.balances.insert(place, after),
        }
    }

    fn place(&self, address: Address, network: &str, currency: Currency) -> Result<usize, usize> {
        self.balances.binary_search_by(|balance| {
            (balance.address, balance.currency, &*balance.network)
                .cmp(&(address, currency, network))
        })
    }

    /// What the legs leave behind, in the order in which they first name a balance; `None` where a
    /// sum would leave an `i64`.
    pub fn after(&self, legs: &[Leg], network: &str) -> Option<Vec<BalanceAfter>> {
        let mut after: Vec<BalanceAfter> = Vec::with_capacity(legs.len().min(8));
        for leg in legs {
            let network = if leg.address == Address::Net { network } else { "" };
            let known = after
                .iter_mut()
                .find(|balance| balance.address == leg.address && balance.currency == leg.currency);
            match known {
                Some(balance) => balance.minor = balance.minor.checked_add(leg.minor)?,
                None => after.push(BalanceAfter {
                    address: leg.address,
                    network: network.into(),
                    currency: leg.currency,
                    minor: self.minor(leg.address, network, leg.currency).checked_add(leg.minor)?,
                }),
            }
        }
        Some(after)
    }
}
