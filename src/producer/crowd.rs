//! The crowd: synthetic accounts, how they are opened, and which one taps next.
//!
//! Owns names and openings of the accounts of one run, and the choice among them. Names carry the
//! run, so two runs through the same topics never share an account.

use crate::domain::{
    account::{AccountStatus, CardStatus, HolderRole},
    command::{
        AccountCommand, ChangeAccount, ChangeCard, ChangeHolder, Command, Credit, CreditKind,
        OpenAccount,
    },
    ids::{AccountId, CardToken, CustomerId},
    money::Currency,
    time::LogTime,
};
use rand::Rng;
use rand_distr::{Distribution, Zipf};

/// Betting: blocked on every card of the crowd, so that a tap there is declined.
pub const BLOCKED_CATEGORY: i32 = 7_995;

/// Who taps next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    Uniform,
    /// The first account most often, falling by this exponent (0 or more).
    Zipf(f64),
    /// As Zipf with exponent 0.99, from the account that was opened last.
    Latest,
}

/// What the accounts of a run are like.
#[derive(Clone, Debug, PartialEq)]
pub struct Crowd {
    /// Begins every id of the run; ids of another run must not begin like it.
    pub run: Box<str>,
    /// Above 0.
    pub accounts: u32,
    pub currency: Currency,
    /// Credited to each account at its opening.
    pub opening_minor: i64,
    /// One account more, which is frozen before the first tap.
    pub with_frozen: bool,
    /// Time of sending of the openings.
    pub start: LogTime,
}

impl Crowd {
    pub fn account(&self, index: u32) -> AccountId {
        format!("{}-a{index}", self.run).into()
    }

    /// Who holds an account, and its card.
    pub fn customer(&self, index: u32) -> CustomerId {
        format!("{}-c{index}", self.run).into()
    }

    /// Behind the accounts that taps are drawn from.
    pub fn frozen(&self) -> AccountId {
        self.account(self.accounts)
    }

    pub fn card(&self, index: u32) -> CardToken {
        format!("tok_{}_{index}", self.run).into()
    }

    /// Four commands for each account, and a fifth for the frozen one.
    pub fn openings(&self) -> impl Iterator<Item = AccountCommand> + '_ {
        let all = self.accounts + u32::from(self.with_frozen);
        (0..all).flat_map(|index| self.opening(index))
    }

    fn opening(&self, index: u32) -> impl Iterator<Item = AccountCommand> + '_ {
        let open = OpenAccount { currency: self.currency, overdraft_limit_minor: 0, limits: None };
        let customer_id = self.customer(index);
        let holder = ChangeHolder {
            customer_id: customer_id.clone(),
            role: HolderRole::Owner,
            removed: false,
        };
        let card = ChangeCard {
            card_token: self.card(index),
            customer_id,
            status: CardStatus::Active,
            expires_at: None,
            last_four: format!("{:04}", index % 10_000).into(),
            blocked_categories: vec![BLOCKED_CATEGORY],
            blocked_channels: Vec::new(),
            limits: None,
        };
        let credit = Credit {
            amount_minor: self.opening_minor,
            currency: self.currency,
            kind: CreditKind::Opening,
            text: "".into(),
        };
        let freeze = ChangeAccount {
            status: Some(AccountStatus::Frozen),
            overdraft_limit_minor: None,
            limits: None,
        };
        let freeze = (index == self.accounts).then_some(Command::ChangeAccount(freeze));
        [
            ("open", Some(Command::OpenAccount(open))),
            ("holder", Some(Command::ChangeHolder(holder))),
            ("card", Some(Command::ChangeCard(card))),
            ("credit", Some(Command::Credit(credit))),
            ("freeze", freeze),
        ]
        .into_iter()
        .filter_map(move |(what, body)| {
            Some(AccountCommand {
                account_id: self.account(index),
                message_id: format!("{}-{what}-{index}", self.run).into(),
                sent_at: self.start,
                body: body?,
            })
        })
    }
}

/// The choice, ready to be drawn from; gives `0..accounts`.
#[derive(Clone, Copy, Debug)]
pub struct Picker {
    accounts: u32,
    zipf: Option<Zipf<f64>>,
    from_last: bool,
}

impl Picker {
    /// `accounts` above 0. An exponent that is no number or below 0 counts as uniform.
    pub fn new(choice: Choice, accounts: u32) -> Self {
        let zipf = |exponent| Zipf::new(f64::from(accounts), exponent).ok();
        let (zipf, from_last) = match choice {
            Choice::Uniform => (None, false),
            Choice::Zipf(exponent) => (zipf(exponent), false),
            Choice::Latest => (zipf(0.99), true),
        };
        Self { accounts, zipf, from_last }
    }

    pub fn pick(&self, rng: &mut impl Rng) -> u32 {
        let Some(zipf) = &self.zipf else {
            return rng.random_range(0..self.accounts);
        };
        // Draws are whole numbers from 1 to the number of accounts.
        let rank = (zipf.sample(rng) as u32).clamp(1, self.accounts) - 1;
        if self.from_last { self.accounts - 1 - rank } else { rank }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Goal: each choice favours whom it says. Method: 20,000 draws among 10 accounts; the share
    /// of the first and of the last account, in percent.
    #[test]
    fn choices() {
        for (choice, first, last) in [
            (Choice::Uniform, 8..12, 8..12),
            (Choice::Zipf(0.99), 31..37, 2..5),
            (Choice::Zipf(0.0), 8..12, 8..12),
            (Choice::Latest, 2..5, 31..37),
        ] {
            let picker = Picker::new(choice, 10);
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            let mut counts = [0; 10];
            for _ in 0..20_000 {
                counts[picker.pick(&mut rng) as usize] += 1;
            }
            let percent = |count: i32| count / 200;
            assert!(first.contains(&percent(counts[0])), "{choice:?} {counts:?}");
            assert!(last.contains(&percent(counts[9])), "{choice:?} {counts:?}");
        }
    }
}
