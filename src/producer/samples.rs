//! Samples of real card payments, from which synthetic ones are drawn.
//!
//! Owns the empirical distributions: merchant, category, amount and posting delay together as a
//! city's rows have them, and the amounts and the mix of foreign currencies of a council. A draw
//! is a row, so that what belongs together stays together (a fuel station's category, amounts and
//! delay).

use super::{city::City, council::Council};
use crate::domain::{money::Currency, time::DAY_MS};
use rand::{Rng, seq::IndexedRandom};

/// What one purchase looks like. Minor units.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub merchant_name: Box<str>,
    pub merchant_category: Option<i32>,
    /// Above 0, in the currency that the card is billed in.
    pub amount_minor: i64,
    /// What the merchant charged, where that is another currency.
    pub foreign: Option<(i64, Currency)>,
    /// Days from the purchase to its posting; 0 or more.
    pub delay_days: i64,
}

/// Never empty.
#[derive(Clone, Debug)]
pub struct Samples {
    rows: Vec<Sample>,
    council_minor: Vec<i64>,
    /// Billed, charged and in what, by a council's foreign rows.
    council_foreign: Vec<(i64, i64, Currency)>,
}

impl Samples {
    /// From real files: purchases only, no refunds.
    pub fn of(city: &City, council: &Council) -> Self {
        let bought = city.payments.iter().filter(|payment| payment.amount_minor > 0);
        let rows = bought.map(|payment| Sample {
            merchant_name: payment.purchase.merchant_name.clone(),
            merchant_category: payment.purchase.merchant_category,
            amount_minor: payment.amount_minor,
            foreign: None,
            delay_days: ((payment.posted.0 - payment.bought.0) / DAY_MS).max(0),
        });
        let bought = || council.payments.iter().filter(|payment| payment.amount_minor > 0);
        let is_foreign = |payment: &&super::council::Payment| {
            payment.purchase.original_currency != council.currency
        };
        let foreign = bought().filter(is_foreign).map(|payment| {
            let charged = &payment.purchase;
            (payment.amount_minor, charged.original_minor, charged.original_currency)
        });
        let samples = Self {
            rows: rows.collect(),
            council_minor: bought().map(|payment| payment.amount_minor).collect(),
            council_foreign: foreign.collect(),
        };
        if samples.rows.is_empty() { Self::few() } else { samples }
    }

    /// A handful of everyday purchases, where no real files are at hand.
    pub fn few() -> Self {
        let sample = |name: &str, category, amount_minor, delay_days| Sample {
            merchant_name: name.into(),
            merchant_category: Some(category),
            amount_minor,
            foreign: None,
            delay_days,
        };
        let rows = vec![
            sample("CORNER BAKERY", 5462, 450, 1),
            sample("GROCER 0042", 5411, 3_215, 1),
            sample("FILLING STATION 7", 5541, 5_890, 2),
            sample("BOOK SHOP", 5942, 1_999, 3),
            sample("HOTEL BY THE LAKE", 7011, 18_400, 4),
        ];
        Self { rows, council_minor: Vec::new(), council_foreign: Vec::new() }
    }

    /// A row of the city; its amount as likely a council's as the numbers of rows say, and then
    /// foreign as often as the council's are.
    pub fn draw(&self, rng: &mut impl Rng) -> Sample {
        let all = self.rows.len() + self.council_minor.len();
        let place = rng.random_range(0..all);
        if let Some(row) = self.rows.get(place) {
            return row.clone();
        }
        let mut sample = self.rows[rng.random_range(0..self.rows.len())].clone();
        sample.amount_minor = self.council_minor[place - self.rows.len()];
        let foreign = rng.random_range(0..self.council_minor.len()) < self.council_foreign.len();
        if let Some((billed_minor, charged_minor, currency)) =
            self.council_foreign.choose(rng).filter(|_| foreign)
        {
            sample.amount_minor = *billed_minor;
            sample.foreign = Some((*charged_minor, *currency));
        }
        sample
    }
}
