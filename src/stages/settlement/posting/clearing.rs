//! What one event does between us and a network: an item of a cycle.
//!
//! Owns which events have a leg at `net`, in which network and currency, and what an item adds to
//! the totals of its cycle. Pure on the event and the rules: the account's set, the part of the
//! cycle and whoever counts again later all ask here, so they cannot differ.

use crate::domain::{
    command::CommandKind,
    event::{AccountEvent, Event, SettlementAmount},
    ledger::{INTERBANK, network_name},
    money::Currency,
    reason::Reason,
    rules::Rules,
    settlement::CycleTotals,
};

/// One item. Minor units of `currency`; of the first three at most one is above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clearing<'e> {
    pub network: &'e str,
    /// Of settlement: the account's, unless the event says another.
    pub currency: Currency,
    pub merchant_category: Option<i32>,
    pub purchase_minor: i64,
    pub reversal_minor: i64,
    pub refund_minor: i64,
    /// What cannot be booked on the account: owed by whoever is to be found, or to them (below 0).
    pub suspense_minor: i64,
    /// Why there is something in suspense.
    pub reason: Option<Reason>,
}

/// `None`: the event has no leg at `net`.
pub fn clearing(event: &AccountEvent) -> Option<Clearing<'_>> {
    let billing = event.balances.map(|balances| balances.currency);
    let item = match &event.body {
        Event::PaymentAuthorised(e) => {
            let (minor, currency) = settled(e.taken_minor, billing?, e.settlement);
            let item = Clearing::of(&e.purchase.network, currency, e.purchase.merchant_category);
            Clearing { purchase_minor: minor, ..item }
        }
        Event::PaymentPresented(e) => {
            let (minor, currency) = settled(e.presented_minor, billing?, e.settlement);
            let item = Clearing::of(&e.purchase.network, currency, e.purchase.merchant_category);
            Clearing { purchase_minor: minor, ..item }
        }
        Event::PaymentRefunded(e) => {
            let (minor, currency) = settled(e.refunded_minor, billing?, e.settlement);
            let item = Clearing::of(&e.purchase.network, currency, e.purchase.merchant_category);
            Clearing { refund_minor: minor, ..item }
        }
        Event::PresentmentReversed(e) => Clearing {
            reversal_minor: e.presentment_reversed_minor,
            suspense_minor: -e.excess_minor,
            reason: (e.excess_minor > 0).then_some(Reason::ExceedsCleared),
            ..Clearing::of(&e.network, billing?, e.merchant_category)
        },
        Event::MovedToSuspense(e) => {
            // Money that no card network brought waits as the other banks'.
            let network = match e.kind {
                CommandKind::Credit | CommandKind::Debit => INTERBANK,
                CommandKind::Unknown
                | CommandKind::OpenAccount
                | CommandKind::ChangeAccount
                | CommandKind::ChangeHolder
                | CommandKind::ChangeCard
                | CommandKind::Authorise
                | CommandKind::Advise
                | CommandKind::Increment
                | CommandKind::Reverse
                | CommandKind::Present
                | CommandKind::ReversePresentment
                | CommandKind::AuthoriseRefund
                | CommandKind::Refund => &e.network,
            };
            Clearing {
                suspense_minor: e.owed_minor,
                reason: Some(e.reason),
                ..Clearing::of(network, e.currency, None)
            }
        }
        Event::AccountOpened(_)
        | Event::AccountChanged(_)
        | Event::HolderChanged(_)
        | Event::CardChanged(_)
        | Event::PaymentDeclined(_)
        | Event::PaymentReversed(_)
        | Event::HoldExpired(_)
        | Event::RefundAuthorised(_)
        | Event::OriginalNotFound(_)
        | Event::AccountCredited(_)
        | Event::AccountDebited(_)
        | Event::CommandDeclined(_)
        | Event::MessageRepeated(_)
        | Event::MessageConflicted(_)
        | Event::Tick(_) => return None,
    };
    item.moves().then_some(item)
}

fn settled(minor: i64, billing: Currency, settlement: Option<SettlementAmount>) -> (i64, Currency) {
    match settlement {
        Some(settlement) if minor != 0 => (settlement.minor, settlement.currency),
        Some(_) | None => (minor, billing),
    }
}

impl<'e> Clearing<'e> {
    fn of(network: &'e str, currency: Currency, merchant_category: Option<i32>) -> Self {
        Self {
            network: network_name(network),
            currency,
            merchant_category,
            purchase_minor: 0,
            reversal_minor: 0,
            refund_minor: 0,
            suspense_minor: 0,
            reason: None,
        }
    }

    fn moves(&self) -> bool {
        let Self { purchase_minor, reversal_minor, refund_minor, suspense_minor, .. } = *self;
        [purchase_minor, reversal_minor, refund_minor, suspense_minor] != [0; 4]
    }

    /// What we earn of it; below 0 where we give back. Full and partial reversals and refunds give
    /// back by the rule of a purchase of their own amount, so that a full one leaves nothing.
    pub fn interchange_minor(&self, rules: &Rules) -> i64 {
        let Some(rule) = rules.settlement_of(self.network, self.currency) else { return 0 };
        let of = |minor| rule.interchange_minor(self.merchant_category, minor);
        of(self.purchase_minor) - of(self.reversal_minor) - of(self.refund_minor)
    }

    /// What the network charges: for purchases alone, and it keeps it.
    pub fn scheme_fee_minor(&self, rules: &Rules) -> i64 {
        let rule = rules.settlement_of(self.network, self.currency);
        rule.map_or(0, |rule| rule.scheme_fee_minor(self.purchase_minor))
    }

    /// What it adds to its cycle.
    pub fn totals(&self, rules: &Rules) -> CycleTotals {
        CycleTotals {
            items: 1,
            purchases_minor: self.purchase_minor,
            purchase_reversals_minor: self.reversal_minor,
            refunds_minor: self.refund_minor,
            interchange_minor: self.interchange_minor(rules),
            fees_minor: self.scheme_fee_minor(rules),
            suspense_minor: self.suspense_minor,
        }
    }
}
