//! The table of postings: which legs an event has (payments.md section 4).
//!
//! Owns one function per row. Pure on the event and the rules; never sees a balance. Rows are
//! written out whole, a hold that is made and given back by one event too: the sum over a ledger's
//! legs is then also what was ever approved. Invariant: legs come in pairs of one currency that sum
//! to 0, so every set does.

use super::clearing::Clearing;
use crate::domain::{
    command::{CreditKind, DebitKind},
    event::{
        AccountCredited, AccountDebited, AccountEvent, Event, PaymentAuthorised, PaymentPresented,
        PaymentRefunded, PresentmentReversed, SettlementAmount,
    },
    ids::PaymentId,
    ledger::{Address, Leg, PostingKind},
    money::Currency,
    rules::Rules,
};
use Address::{
    Cust, FeeIncome, FxPosition, Held, Interchange, InterestExpense, Net, Nostro, SchemeFees,
    Suspense,
};

/// What an event moves, and what it is called.
pub(super) struct Movement<'e> {
    pub kind: PostingKind,
    pub payment_id: Option<&'e PaymentId>,
    pub text: &'e str,
    pub legs: Vec<Leg>,
}

/// Legs in the making, in one account's currency.
struct Sheet {
    currency: Currency,
    legs: Vec<Leg>,
}

impl Sheet {
    /// The one way to make legs. An amount below 0 goes the other way; of 0 there are none.
    fn shift(&mut self, debit: Address, credit: Address, currency: Currency, minor: i64) {
        if minor != 0 {
            self.legs.push(Leg { address: debit, currency, minor: -minor });
            self.legs.push(Leg { address: credit, currency, minor });
        }
    }

    fn approve(&mut self, minor: i64) {
        self.shift(Cust, Held, self.currency, minor);
    }

    fn release(&mut self, minor: i64) {
        self.shift(Held, Cust, self.currency, minor);
    }

    /// Out of the hold; `payable` is `net`, or the position where another currency is settled.
    fn clear_held(&mut self, payable: Address, minor: i64) {
        self.shift(Held, payable, self.currency, minor);
    }

    /// Over, late, forced, or by a single message.
    fn clear_over(&mut self, payable: Address, minor: i64) {
        self.shift(Cust, payable, self.currency, minor);
    }

    /// Clearing reversals and refunds.
    fn give_back(&mut self, payable: Address, minor: i64) {
        self.shift(payable, Cust, self.currency, minor);
    }

    /// The settlement currency's half of an exchange; the position holds both.
    fn exchange(&mut self, settlement: Option<SettlementAmount>, pays: bool) {
        if let Some(SettlementAmount { minor, currency }) = settlement {
            let (debit, credit) = if pays { (FxPosition, Net) } else { (Net, FxPosition) };
            self.shift(debit, credit, currency, minor);
        }
    }

    fn suspense(&mut self, currency: Currency, owed_minor: i64) {
        self.shift(Suspense, Net, currency, owed_minor);
    }

    fn interchange(&mut self, currency: Currency, earned_minor: i64) {
        self.shift(Net, Interchange, currency, earned_minor);
    }

    fn scheme_fee(&mut self, currency: Currency, minor: i64) {
        self.shift(SchemeFees, Net, currency, minor);
    }

    fn money_in(&mut self, minor: i64) {
        self.shift(Nostro, Cust, self.currency, minor);
    }

    fn money_out(&mut self, minor: i64) {
        self.shift(Cust, Nostro, self.currency, minor);
    }

    fn interest(&mut self, minor: i64) {
        self.shift(InterestExpense, Cust, self.currency, minor);
    }

    fn fee(&mut self, minor: i64) {
        self.shift(Cust, FeeIncome, self.currency, minor);
    }
}

/// The position takes the network's place where it is paid in another currency.
fn payable(settlement: Option<SettlementAmount>) -> Address {
    if settlement.is_some() { FxPosition } else { Net }
}

/// `None`: the event moves nothing. `clearing`: the event's own.
pub(super) fn movement<'e>(
    event: &'e AccountEvent,
    clearing: Option<&Clearing>,
    rules: &Rules,
) -> Option<Movement<'e>> {
    // Only an event of suspense may come without a known account, and it names its own currency.
    let currency = event.balances.map(|balances| balances.currency);
    let currency = currency.or(clearing.map(|item| item.currency))?;
    let mut sheet = Sheet { currency, legs: Vec::with_capacity(8) };
    let (kind, payment_id, text) = match &event.body {
        Event::PaymentAuthorised(e) => {
            (authorised(&mut sheet, e), Some(&e.payment.payment_id), &*e.purchase.merchant_name)
        }
        Event::PaymentReversed(e) => {
            sheet.release(e.reversed_minor);
            (PostingKind::Release, Some(&e.payment.payment_id), "")
        }
        Event::HoldExpired(e) => {
            sheet.release(e.released_minor);
            (PostingKind::Release, Some(&e.payment.payment_id), "")
        }
        Event::PaymentPresented(e) => {
            presented(&mut sheet, e);
            (PostingKind::Present, Some(&e.payment.payment_id), &*e.purchase.merchant_name)
        }
        Event::PresentmentReversed(e) => {
            presentment_reversed(&mut sheet, e);
            (PostingKind::ReversePresentment, Some(&e.payment.payment_id), "")
        }
        Event::PaymentRefunded(e) => {
            refunded(&mut sheet, e);
            (PostingKind::Refund, Some(&e.payment.payment_id), &*e.purchase.merchant_name)
        }
        Event::AccountCredited(e) => {
            credited(&mut sheet, e);
            (PostingKind::Credit, None, &*e.text)
        }
        Event::AccountDebited(e) => {
            debited(&mut sheet, e);
            (PostingKind::Debit, None, &*e.text)
        }
        Event::MovedToSuspense(e) => {
            sheet.suspense(e.currency, e.owed_minor);
            (PostingKind::Suspense, e.payment_id.as_ref(), "")
        }
        // Refused, repeated, announced, or no money: nothing moves (I5, R2).
        Event::AccountOpened(_)
        | Event::AccountChanged(_)
        | Event::HolderChanged(_)
        | Event::CardChanged(_)
        | Event::PaymentDeclined(_)
        | Event::RefundAuthorised(_)
        | Event::OriginalNotFound(_)
        | Event::CommandDeclined(_)
        | Event::MessageRepeated(_)
        | Event::MessageConflicted(_)
        | Event::Tick(_) => return None,
    };
    if let Some(item) = clearing {
        sheet.interchange(item.currency, item.interchange_minor(rules));
        sheet.scheme_fee(item.currency, item.scheme_fee_minor(rules));
    }
    let legs = sheet.legs;
    (!legs.is_empty()).then_some(Movement { kind, payment_id, text, legs })
}

/// T1 to T5, T11b. What a single message approves and takes never was held.
fn authorised(sheet: &mut Sheet, event: &PaymentAuthorised) -> PostingKind {
    let given_back_minor = event.reversed_minor + event.released_minor;
    let new_minor = (event.approved_minor - given_back_minor).max(0);
    let direct_minor = event.taken_minor.min(new_minor);
    sheet.approve(event.approved_minor - direct_minor);
    sheet.release(given_back_minor);
    sheet.clear_held(payable(event.settlement), event.taken_minor - direct_minor);
    sheet.clear_over(payable(event.settlement), direct_minor);
    sheet.exchange(event.settlement, true);
    if event.taken_minor > 0 {
        PostingKind::SingleMessage
    } else if event.approved_minor > 0 {
        PostingKind::Approve
    } else {
        PostingKind::Release
    }
}

/// T9 to T11.
fn presented(sheet: &mut Sheet, event: &PaymentPresented) {
    sheet.clear_held(payable(event.settlement), event.taken_minor);
    sheet.clear_over(payable(event.settlement), event.over_minor);
    sheet.release(event.released_minor);
    sheet.exchange(event.settlement, true);
}

/// T12: in the account's currency, whatever the presentment was settled in: the message says no
/// other amount, and no rate is invented.
fn presentment_reversed(sheet: &mut Sheet, event: &PresentmentReversed) {
    sheet.give_back(Net, event.presentment_reversed_minor);
    sheet.suspense(sheet.currency, -event.excess_minor);
}

/// T14.
fn refunded(sheet: &mut Sheet, event: &PaymentRefunded) {
    sheet.give_back(payable(event.settlement), event.refunded_minor);
    sheet.exchange(event.settlement, false);
}

/// A transfer between two of our accounts goes out and comes in through nostro: once both halves
/// are posted it stands as before, and until then what is under way is seen there.
fn credited(sheet: &mut Sheet, event: &AccountCredited) {
    match event.kind {
        CreditKind::Interest => sheet.interest(event.amount_minor),
        CreditKind::Other | CreditKind::CashIn | CreditKind::TransferIn | CreditKind::Opening => {
            sheet.money_in(event.amount_minor);
        }
    }
}

fn debited(sheet: &mut Sheet, event: &AccountDebited) {
    match event.kind {
        // What another account gets is no income of ours.
        DebitKind::Fee if event.transfer_to.is_none() => sheet.fee(event.amount_minor),
        DebitKind::Fee
        | DebitKind::Other
        | DebitKind::CashOut
        | DebitKind::TransferOut
        | DebitKind::StandingOrder => sheet.money_out(event.amount_minor),
    }
}
