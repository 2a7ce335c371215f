//! What the outside world sends: commands that belong together, repeats, contradictions, rubbish.
//!
//! Owns the generator. It remembers what it sent, so that increments, reversals, presentments and
//! repeats name real payments, also long after they left the head. Everything follows from the
//! world's random numbers.

use super::simulated::record_of;
use super::world::{Chance, KEYS, RULES_VERSIONS};
use crate::codec::{headers::HeaderList, schemas::Subject};
use crate::domain::account::{AccountStatus, CardStatus};
use crate::domain::command::*;
use crate::domain::rules::{Fee, InterchangeRule, Rules, SettlementRule};
use crate::domain::{cycle::ALL_WEEKDAYS, ids::PaymentId, money::Currency, time::LogTime};
use std::collections::VecDeque;

/// A record to append: key, value, headers.
pub type Record = (Option<Vec<u8>>, Option<Vec<u8>>, HeaderList);

pub struct Script {
    /// Commands left to send.
    pub left: usize,
    accounts: usize,
    opened: usize,
    sent: Vec<AccountCommand>,
    payments: Vec<(usize, PaymentId, LogTime)>,
    next_id: u64,
    /// Out of 1000.
    pub poison: u64,
    pub old: u64,
    /// Names payments about when they leave the head.
    pub names_what_leaves: bool,
    transfers: u64,
    /// Instead of all that: records by partition, each partition's in order.
    feed: Option<Vec<VecDeque<Record>>>,
}

impl Script {
    pub fn new(chance: &mut Chance, accounts: usize, left: usize) -> Self {
        Self {
            left,
            accounts,
            opened: 0,
            sent: Vec::new(),
            payments: Vec::new(),
            next_id: 0,
            poison: if chance.one_in(3) { chance.below(80) } else { 0 },
            old: if chance.one_in(2) { chance.below(500) } else { 50 },
            names_what_leaves: false,
            transfers: if chance.one_in(2) { 500 } else { 100 },
            feed: None,
        }
    }

    /// Passes on what another world has published.
    pub fn fed(chance: &mut Chance, feed: Vec<VecDeque<Record>>) -> Self {
        let left = feed.iter().map(VecDeque::len).sum();
        Self { feed: Some(feed), ..Self::new(chance, 1, left) }
    }

    /// The next that another world has published, in that order, and its partition; before some of
    /// it rubbish under its key. `None` where nothing was ever fed.
    pub fn fed_next(&mut self, chance: &mut Chance) -> Option<(i32, Record)> {
        let feed = self.feed.as_mut()?;
        let waiting: Vec<usize> =
            (0..feed.len()).filter(|number| !feed[*number].is_empty()).collect();
        let number = waiting[chance.place(waiting.len())];
        let is_accounts = |(key, ..): &&Record| key.as_deref() != Some(PARTITION_KEY.as_bytes());
        if chance.below(1000) < self.poison
            && let Some((key, ..)) = feed[number].front().filter(is_accounts)
        {
            let rubbish = (key.clone(), Some(b"rubbish".to_vec()), HeaderList::new());
            return Some((number as i32, rubbish));
        }
        self.left -= 1;
        Some((number as i32, feed[number].pop_front()?))
    }

    pub fn is_fed(&self) -> bool {
        self.feed.is_some()
    }

    /// The next record at the world's time.
    pub fn next(&mut self, chance: &mut Chance, now: LogTime) -> Record {
        self.left -= 1;
        if self.opened < 2 * self.accounts && !chance.one_in(8) {
            return self.open(now);
        }
        if chance.below(1000) < self.poison {
            return self.rubbish(chance, now);
        }
        if !self.sent.is_empty() && chance.one_in(9) {
            return self.again(chance);
        }
        let body = self.body(chance, now);
        let sent_at = match chance.one_in(4) {
            true => LogTime(now.0 - chance.below(3_000) as i64),
            false => now,
        };
        let account = match &body {
            (Some(account), _) => *account,
            (None, _) => chance.below(self.accounts as u64) as usize,
        };
        self.send(account, sent_at, body.1)
    }

    fn open(&mut self, now: LogTime) -> Record {
        let account = self.opened / 2;
        self.opened += 1;
        let body = match self.opened % 2 {
            1 => Command::OpenAccount(OpenAccount {
                currency: eur(),
                overdraft_limit_minor: 500 * (account as i64 % 3),
                limits: None,
            }),
            _ => Command::ChangeCard(ChangeCard {
                card_token: card(account),
                customer_id: "customer".into(),
                status: CardStatus::Active,
                expires_at: None,
                last_four: "0000".into(),
                blocked_categories: Vec::new(),
                blocked_channels: Vec::new(),
                limits: None,
            }),
        };
        self.send(account, now, body)
    }

    fn send(&mut self, account: usize, sent_at: LogTime, body: Command) -> Record {
        self.next_id += 1;
        let command = AccountCommand {
            account_id: KEYS[account].into(),
            message_id: format!("m{}", self.next_id).into(),
            sent_at,
            body,
        };
        let record = record(&command);
        self.sent.push(command);
        record
    }

    /// A repeat, or the same id with other content; sometimes of something long forgotten.
    fn again(&self, chance: &mut Chance) -> Record {
        let old = chance.one_in(2);
        let from = if old { 0 } else { self.sent.len().saturating_sub(8) };
        let place = from + chance.below((self.sent.len() - from) as u64) as usize;
        let mut command = self.sent[place].clone();
        if chance.one_in(3) {
            match &mut command.body {
                Command::Authorise(c) => c.amount_minor += 1,
                Command::Credit(c) => c.amount_minor += 1,
                Command::Debit(c) => c.amount_minor += 1,
                Command::Present(c) => c.amount_minor += 1,
                _ => {}
            }
        }
        record(&command)
    }

    fn rubbish(&mut self, chance: &mut Chance, now: LogTime) -> Record {
        let account = chance.below(self.accounts as u64) as usize;
        let (mut key, mut value, headers) = self.send(account, now, credit(0));
        self.sent.pop();
        match chance.below(5) {
            0 => value = Some(b"rubbish".to_vec()),
            1 => value = None,
            2 => key = None,
            3 => key = Some(b"tapline.mine".to_vec()),
            // A credit of nothing contradicts itself only when it is stepped.
            _ => {}
        }
        (key, value, headers)
    }

    fn body(&mut self, chance: &mut Chance, now: LogTime) -> (Option<usize>, Command) {
        let amount_minor = 1 + chance.below(400) as i64;
        match chance.below(12) {
            0 | 1 => (None, credit(amount_minor * 3)),
            2 | 3 => (None, self.debit(chance, amount_minor)),
            4 if chance.one_in(3) => (None, change(chance)),
            5..=11 if !self.payments.is_empty() && !chance.one_in(3) => {
                self.follow_up(chance, amount_minor, now)
            }
            _ => {
                let account = chance.below(self.accounts as u64) as usize;
                self.next_id += 1;
                let payment_id = PaymentId::from(format!("p{}", self.next_id));
                self.payments.push((account, payment_id.clone(), now));
                let ask = Authorise {
                    payment_id,
                    amount_minor,
                    currency: eur(),
                    purchase: purchase(account, chance.below(2)),
                    hold_class: HoldClass::Standard,
                    allow_partial: chance.one_in(3),
                    single_message: chance.one_in(5),
                };
                (Some(account), Command::Authorise(ask))
            }
        }
    }

    fn debit(&self, chance: &mut Chance, amount_minor: i64) -> Command {
        let transfer = chance.below(1000) < self.transfers;
        let to = KEYS[chance.below(self.accounts as u64) as usize];
        Command::Debit(Debit {
            amount_minor,
            currency: eur(),
            kind: DebitKind::TransferOut,
            advice: chance.one_in(4),
            text: "".into(),
            transfer_to: transfer.then(|| to.into()),
        })
    }

    fn follow_up(
        &mut self,
        chance: &mut Chance,
        amount_minor: i64,
        now: LogTime,
    ) -> (Option<usize>, Command) {
        let old = chance.below(1000) < self.old;
        let from = if old { 0 } else { self.payments.len().saturating_sub(4) };
        let mut place = from + chance.place(self.payments.len() - from);
        if self.names_what_leaves && !chance.one_in(4) {
            let leaves = |(_, _, at): &(usize, PaymentId, LogTime)| at.0 + CLOSING_AGE_MS <= now.0;
            place = self.payments.iter().rposition(leaves).unwrap_or(place);
        }
        self.payments[place].2 = now;
        let (account, payment_id, _) = self.payments[place].clone();
        let currency = eur();
        let purchase = purchase(account, chance.below(2));
        let command = match chance.below(9) {
            0 => Command::Increment(Increment {
                payment_id,
                amount_minor,
                currency,
                purchase,
                hold_class: HoldClass::Standard,
            }),
            1 | 2 => Command::Reverse(Reverse {
                payment_id,
                amount_minor: chance.one_in(2).then_some(amount_minor),
                currency,
            }),
            3..=5 => Command::Present(Present {
                payment_id: if chance.one_in(6) { "unknown".into() } else { payment_id },
                amount_minor,
                currency,
                purchase,
                authorisation_code: "".into(),
                reference: "".into(),
                sequence_number: 0,
                sequence_count: 0,
                last: chance.one_in(2),
            }),
            6 => Command::ReversePresentment(ReversePresentment {
                payment_id,
                amount_minor,
                currency,
                reference: "".into(),
            }),
            7 => Command::Refund(Refund {
                payment_id,
                amount_minor,
                currency,
                purchase,
                reference: "".into(),
            }),
            _ => Command::Advise(Advise {
                payment_id,
                amount_minor,
                currency,
                purchase,
                hold_class: HoldClass::Standard,
                approved: !chance.one_in(4),
                final_total: chance.one_in(3),
                single_message: false,
            }),
        };
        (Some(account), command)
    }
}

fn change(chance: &mut Chance) -> Command {
    Command::ChangeAccount(ChangeAccount {
        status: chance.one_in(2).then_some(AccountStatus::Open),
        overdraft_limit_minor: Some(chance.below(3) as i64 * 400),
        limits: None,
    })
}

fn credit(amount_minor: i64) -> Command {
    let (currency, kind) = (eur(), CreditKind::Other);
    Command::Credit(Credit { amount_minor, currency, kind, text: "".into() })
}

/// An approved advice on the first account's card.
pub fn advice(payment: &str, amount_minor: i64) -> Command {
    Command::Advise(Advise {
        payment_id: payment.into(),
        amount_minor,
        currency: eur(),
        purchase: purchase(0, 0),
        hold_class: HoldClass::Standard,
        approved: true,
        final_total: false,
        single_message: false,
    })
}

pub fn tick(time: LogTime, rules_version: i32, logic_version: i32) -> Record {
    operators(PARTITION_KEY, Command::Tick(Tick { time, rules_version, logic_version }))
}

pub fn release_fuse(through_offset: i64) -> Record {
    operators(PARTITION_KEY, Command::ReleaseFuse(ReleaseFuse { through_offset }))
}

pub fn end_diversion(key: &str, through_offset: i64) -> Record {
    operators(key, Command::EndDiversion(EndDiversion { through_offset }))
}

fn operators(key: &str, body: Command) -> Record {
    let (message_id, sent_at) = ("operator".into(), LogTime::ZERO);
    record(&AccountCommand { account_id: key.into(), message_id, sent_at, body })
}

pub fn record(command: &AccountCommand) -> Record {
    record_of(Subject::Commands, command.account_id.as_str(), command)
}

pub fn eur() -> Currency {
    Currency::parse("EUR").expect("a code of three letters")
}

fn card(account: usize) -> crate::domain::ids::CardToken {
    format!("tok_{account}").into()
}

fn purchase(account: usize, merchant: u64) -> Purchase {
    Purchase {
        card_token: card(account),
        merchant_name: format!("shop {merchant}").into(),
        merchant_id: "".into(),
        merchant_category: None,
        country: "".into(),
        channel: Channel::Chip,
        network: "visa".into(),
        original_minor: 1,
        original_currency: eur(),
    }
}

const CLOSING_AGE_MS: i64 = 9_000;

/// Short times, so that a world of minutes sees holds end and payments leave the head. The closing
/// age is the same in every version: raising it is not allowed.
pub fn rules(version: i32) -> Rules {
    assert!((1..=RULES_VERSIONS).contains(&version), "rules {version} do not exist");
    Rules {
        version,
        description: "simulation".into(),
        closing_age_ms: CLOSING_AGE_MS,
        tombstone_ms: 4_000,
        match_late_ms: 3_000,
        match_tolerance_permille: 200,
        hold_ms: [6_000, 3_000, 8_000][version as usize - 1],
        holds: Vec::new(),
        limits: Vec::new(),
        settlement: settlement(version),
    }
}

/// A cut-off each minute; later versions charge, the last one settles a second network, which
/// nobody uses.
fn settlement(version: i32) -> Vec<SettlementRule> {
    let of = |network: &str| SettlementRule {
        network: network.into(),
        currencies: vec![eur()],
        cutoff_minutes: (1..=1440).collect(),
        weekdays: ALL_WEEKDAYS.to_vec(),
        holidays: Vec::new(),
        interchange: match version {
            1 => Vec::new(),
            _ => vec![InterchangeRule {
                merchant_categories: Vec::new(),
                fee: Fee { basis_points: 150, fixed_minor: 0 },
            }],
        },
        scheme_fee: (version > 1).then_some(Fee { basis_points: 10, fixed_minor: 1 }),
        settles_original: Vec::new(),
    };
    ["visa", "idle"].into_iter().take(version as usize).map(of).collect()
}
