//! Plain taps for measurements: one authorisation after the other, all of them approved.
//!
//! Owns cheap generation: names of accounts and cards are made once, ids are the run and a number.
//! Never sends a duplicate or anything that follows up; for that see `cards`.

use super::crowd::{Choice, Crowd, Picker};
use crate::domain::{
    command::{AccountCommand, Authorise, Channel, Command, HoldClass, Purchase},
    ids::{AccountId, CardToken},
    money::Currency,
    time::LogTime,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The largest amount. An opening of `OPENING_MINOR` pays for ten thousand million taps.
pub const AMOUNT_MINOR_MAX: i64 = 100;
pub const OPENING_MINOR: i64 = 1_000_000_000_000;

/// Unique payment and message ids; amounts of 1 to [`AMOUNT_MINOR_MAX`].
pub struct AuthoriseOnly {
    run: Box<str>,
    currency: Currency,
    accounts: Vec<(AccountId, CardToken)>,
    picker: Picker,
    rng: ChaCha8Rng,
    serial: u64,
}

impl AuthoriseOnly {
    /// The crowd must have been opened, with [`OPENING_MINOR`] each.
    pub fn new(crowd: &Crowd, choice: Choice, seed: u64) -> Self {
        Self {
            run: crowd.run.clone(),
            currency: crowd.currency,
            accounts: (0..crowd.accounts).map(|i| (crowd.account(i), crowd.card(i))).collect(),
            picker: Picker::new(choice, crowd.accounts),
            rng: ChaCha8Rng::seed_from_u64(seed),
            serial: 0,
        }
    }

    /// The next tap, sent at `now`.
    pub fn next_at(&mut self, now: LogTime) -> AccountCommand {
        let (account_id, card_token) = &self.accounts[self.picker.pick(&mut self.rng) as usize];
        let amount_minor = self.rng.random_range(1..=AMOUNT_MINOR_MAX);
        self.serial += 1;
        AccountCommand {
            account_id: account_id.clone(),
            message_id: numbered(&self.run, "-m", self.serial).into(),
            sent_at: now,
            body: Command::Authorise(Authorise {
                payment_id: numbered(&self.run, "-p", self.serial).into(),
                amount_minor,
                currency: self.currency,
                purchase: Purchase {
                    card_token: card_token.clone(),
                    merchant_name: "CORNER BAKERY".into(),
                    merchant_id: "".into(),
                    merchant_category: Some(5_462),
                    country: "".into(),
                    channel: Channel::Contactless,
                    network: "cards".into(),
                    original_minor: amount_minor,
                    original_currency: self.currency,
                },
                hold_class: HoldClass::Standard,
                allow_partial: false,
                single_message: false,
            }),
        }
    }
}

/// `<run><mark><number>` in one allocation that fits exactly.
fn numbered(run: &str, mark: &str, mut number: u64) -> String {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let mut text = String::with_capacity(run.len() + mark.len() + digits.len() - start);
    text.push_str(run);
    text.push_str(mark);
    text.extend(digits[start..].iter().map(|digit| char::from(*digit)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::Event;
    use crate::producer::{fold::Fold, oracle::Judge, tally::Tally};

    /// Goal: ids are unique and no tap is declined. Method: 5,000 taps of 7 accounts, judged by
    /// the tally over a fold.
    #[test]
    fn unique_and_approved() {
        let crowd = Crowd {
            run: "r".into(),
            accounts: 7,
            currency: Currency::parse("CAD").unwrap(),
            opening_minor: OPENING_MINOR,
            with_frozen: false,
            start: LogTime(5),
        };
        let mut taps = AuthoriseOnly::new(&crowd, Choice::Zipf(0.99), 1);
        let taps: Vec<_> = (0..5_000).map(|i| taps.next_at(LogTime(i))).collect();
        assert_eq!(
            (taps[0].message_id.as_str(), taps[4_999].message_id.as_str()),
            ("r-m1", "r-m5000")
        );
        let (mut fold, mut tally) = (Fold::default(), Tally::new());
        let mut approved = 0;
        for command in crowd.openings().chain(taps) {
            tally.sent(&command);
            let event = fold.command(command);
            approved += usize::from(matches!(event.body, Event::PaymentAuthorised(_)));
            tally.observe(&event);
        }
        assert_eq!(approved, 5_000);
        assert!(tally.is_complete() && tally.verdict().iter().all(|line| line.ok));
    }

    /// Goal: numbers are written as they are. Method: both ends and the edges of ten.
    #[test]
    fn numbers() {
        for number in [0, 1, 9, 10, 99, 100, u64::MAX] {
            assert_eq!(numbered("r", "-p", number), format!("r-p{number}"));
        }
    }
}
