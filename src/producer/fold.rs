//! A trivially simple ledger in place of the pipeline, for the tests of the oracles.
//!
//! Owns just enough to answer every command the producer sends: one balance an account, seven
//! counters a payment, the first content of every message. No deadlines, no limits beside funds.

use super::{crowd::BLOCKED_CATEGORY, dated::Step};
use crate::domain::{
    account::AccountStatus,
    command::{AccountCommand, Command, Purchase},
    event::*,
    ids::{AccountId, CardToken, MessageId, PaymentId},
    payment::{Counters, PaymentStatus},
    reason::Reason,
    time::LogTime,
};
use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub struct Fold {
    now: LogTime,
    balances: HashMap<AccountId, Balances>,
    payments: HashMap<PaymentId, Counters>,
    cards: HashSet<(AccountId, CardToken)>,
    frozen: HashSet<AccountId>,
    answered: HashMap<MessageId, AccountCommand>,
}

impl Fold {
    pub fn step(&mut self, step: Step) -> Option<AccountEvent> {
        match step {
            Step::Tick(time) => {
                assert!(time > self.now || self.now == LogTime::ZERO, "a clock never runs back");
                self.now = time;
                None
            }
            Step::Command(command) => Some(self.command(command)),
        }
    }

    pub fn command(&mut self, command: AccountCommand) -> AccountEvent {
        let kind = command.body.kind();
        let body = match self.answered.get(&command.message_id) {
            Some(first) if *first == command => Event::MessageRepeated(MessageRepeated {
                kind,
                payment_id: None,
                accepted_minor: 0,
                reason: None,
            }),
            Some(_) => Event::MessageConflicted(MessageConflicted {
                kind,
                payment_id: None,
                field: "content".into(),
            }),
            None => self.decide(&command),
        };
        let account_id = command.account_id.clone();
        let message_id = Some(command.message_id.clone());
        self.answered.entry(command.message_id.clone()).or_insert(command);
        let balances = self.balances.get(&account_id).copied();
        AccountEvent { account_id, message_id, log_time: self.now, balances, body }
    }

    fn decide(&mut self, command: &AccountCommand) -> Event {
        let account = &command.account_id;
        if let Command::OpenAccount(open) = &command.body {
            let (currency, overdraft_limit_minor) = (open.currency, open.overdraft_limit_minor);
            let balances =
                Balances { currency, booked_minor: 0, held_minor: 0, overdraft_limit_minor };
            assert!(self.balances.insert(account.clone(), balances).is_none(), "opened twice");
            return Event::AccountOpened(AccountOpened { currency, overdraft_limit_minor });
        }
        let balances = self.balances.get_mut(account).expect("opened first");
        let cards = &mut self.cards;
        let known = |card: &CardToken| cards.contains(&(account.clone(), card.clone()));
        match &command.body {
            Command::ChangeCard(card) => {
                let event = Event::CardChanged(CardChanged {
                    card_token: card.card_token.clone(),
                    customer_id: card.customer_id.clone(),
                    status: card.status,
                    last_four: card.last_four.clone(),
                });
                cards.insert((account.clone(), card.card_token.clone()));
                event
            }
            Command::ChangeHolder(holder) => Event::HolderChanged(HolderChanged {
                customer_id: holder.customer_id.clone(),
                role: holder.role,
                removed: holder.removed,
            }),
            Command::ChangeAccount(change) => {
                let status = change.status.expect("only the status changes");
                if status == AccountStatus::Frozen {
                    self.frozen.insert(account.clone());
                }
                let overdraft_limit_minor = balances.overdraft_limit_minor;
                Event::AccountChanged(AccountChanged { status, overdraft_limit_minor })
            }
            Command::Credit(credit) => {
                balances.booked_minor += credit.amount_minor;
                Event::AccountCredited(AccountCredited {
                    kind: credit.kind,
                    amount_minor: credit.amount_minor,
                    text: credit.text.clone(),
                })
            }
            Command::Debit(debit) => {
                balances.booked_minor -= debit.amount_minor;
                Event::AccountDebited(AccountDebited {
                    kind: debit.kind,
                    amount_minor: debit.amount_minor,
                    advice: debit.advice,
                    text: debit.text.clone(),
                    transfer_to: None,
                })
            }
            Command::Authorise(ask) => {
                let purchase = &ask.purchase;
                let reasons = [
                    (self.frozen.contains(account), Reason::AccountFrozen),
                    (!known(&purchase.card_token), Reason::CardUnknown),
                    (
                        purchase.merchant_category == Some(BLOCKED_CATEGORY),
                        Reason::MerchantCategoryBlocked,
                    ),
                    (ask.amount_minor > balances.available_minor(), Reason::InsufficientFunds),
                ];
                let reason = reasons.into_iter().find(|(applies, _)| *applies).map(|r| r.1);
                let amount_minor = ask.amount_minor;
                let kind = AuthorisationKind::Request;
                self.authorise(account, &ask.payment_id, kind, amount_minor, reason, &ask.purchase)
            }
            Command::Increment(ask) => {
                let short = ask.amount_minor > balances.available_minor();
                let reason = short.then_some(Reason::InsufficientFunds);
                let amount_minor = ask.amount_minor;
                let kind = AuthorisationKind::Increment;
                self.authorise(account, &ask.payment_id, kind, amount_minor, reason, &ask.purchase)
            }
            Command::Advise(told) => {
                let kind = AuthorisationKind::Advice;
                let (amount_minor, id) = (told.amount_minor, &told.payment_id);
                let event = self.authorise(account, id, kind, amount_minor, None, &told.purchase);
                match (event, told.single_message) {
                    (Event::PaymentAuthorised(event), true) => self.take(account, event),
                    (event, _) => event,
                }
            }
            Command::Reverse(told) => {
                let counters = self.payments.entry(told.payment_id.clone()).or_default();
                let asked_minor = told.amount_minor.unwrap_or(counters.hold_minor());
                let reversed_minor = asked_minor.min(counters.hold_minor());
                counters.reversed_minor += reversed_minor;
                balances.held_minor -= reversed_minor;
                Event::PaymentReversed(PaymentReversed {
                    payment: after(&told.payment_id, *counters),
                    reversed_minor,
                    over_minor: asked_minor - reversed_minor,
                })
            }
            Command::Present(told) => {
                let counters = self.payments.entry(told.payment_id.clone()).or_default();
                let taken_minor = told.amount_minor.min(counters.hold_minor());
                let over_minor = told.amount_minor - taken_minor;
                counters.taken_minor += taken_minor;
                counters.over_minor += over_minor;
                let released_minor = if told.last { counters.hold_minor() } else { 0 };
                counters.released_minor += released_minor;
                balances.held_minor -= taken_minor + released_minor;
                balances.booked_minor -= told.amount_minor;
                Event::PaymentPresented(PaymentPresented {
                    payment: after(&told.payment_id, *counters),
                    presented_minor: told.amount_minor,
                    taken_minor,
                    over_minor,
                    released_minor,
                    match_rule: MatchRule::LifeCycle,
                    reference: told.reference.clone(),
                    purchase: told.purchase.clone(),
                    settlement: None,
                })
            }
            Command::Refund(told) => {
                let counters = self.payments.entry(told.payment_id.clone()).or_default();
                counters.refunded_minor += told.amount_minor;
                balances.booked_minor += told.amount_minor;
                Event::PaymentRefunded(PaymentRefunded {
                    payment: after(&told.payment_id, *counters),
                    refunded_minor: told.amount_minor,
                    match_rule: MatchRule::LifeCycle,
                    reference: told.reference.clone(),
                    purchase: told.purchase.clone(),
                    settlement: None,
                })
            }
            other => panic!("no answer to {other:?}"),
        }
    }

    /// Paid in the same step.
    fn take(&mut self, account: &AccountId, mut event: PaymentAuthorised) -> Event {
        let balances = self.balances.get_mut(account).expect("opened first");
        let counters = self.payments.get_mut(&event.payment.payment_id).expect("just authorised");
        event.taken_minor = event.approved_minor;
        counters.taken_minor += event.taken_minor;
        balances.held_minor -= event.taken_minor;
        balances.booked_minor -= event.taken_minor;
        event.payment.counters = *counters;
        Event::PaymentAuthorised(event)
    }

    fn authorise(
        &mut self,
        account: &AccountId,
        payment: &PaymentId,
        kind: AuthorisationKind,
        amount_minor: i64,
        reason: Option<Reason>,
        purchase: &Purchase,
    ) -> Event {
        let balances = self.balances.get_mut(account).expect("opened first");
        if let Some(reason) = reason {
            return Event::PaymentDeclined(PaymentDeclined {
                payment_id: payment.clone(),
                kind,
                requested_minor: amount_minor,
                currency: balances.currency,
                reason,
                purchase: purchase.clone(),
            });
        }
        let counters = self.payments.entry(payment.clone()).or_default();
        // T11b: what was presented before is not held a second time.
        let released_minor = if counters.presented_minor() > 0 { amount_minor } else { 0 };
        counters.approved_minor += amount_minor;
        counters.released_minor += released_minor;
        balances.held_minor += amount_minor - released_minor;
        Event::PaymentAuthorised(PaymentAuthorised {
            payment: after(payment, *counters),
            kind,
            approved_minor: amount_minor,
            reversed_minor: 0,
            released_minor,
            taken_minor: 0,
            requested_minor: amount_minor,
            authorisation_code: "".into(),
            purchase: purchase.clone(),
            settlement: None,
        })
    }
}

fn after(payment: &PaymentId, counters: Counters) -> PaymentAfter {
    PaymentAfter {
        payment_id: payment.clone(),
        card_token: "tok_x".into(),
        counters,
        status: PaymentStatus::Unknown,
        flags: Vec::new(),
        deadline: None,
    }
}
