//! A council's purchase-card rows: presentments without authorisation, and refunds.
//!
//! Owns what a row becomes. The files have no ids and no posting date, so a message is named by
//! its file's month and its record number. Rows that look alike are all booked: one payment can be
//! several rows, and repeated purchases are real (R7). Rules: docs/payments.md, "Real data".

use super::{
    card_rows::{self, Columns, DAY, Month},
    dated::{Planned, Play, Rank, Step},
    files,
    table::{Encoding, FileError, Form, Row, Table, file_name},
    tally::Tally,
};
use crate::domain::{
    command::{Command, Purchase},
    ids::AccountId,
    money::Currency,
    time::LogTime,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub const PREFIX: &str = "purchase-card-";

/// The columns up to the card; what follows is the council's own accounting. Some months have a
/// tax column before the merchant, some of those the billing currency a second time.
#[rustfmt::skip]
const FORM: Form = Form {
    delimiter: b',',
    encoding: Encoding::Utf8,
    layouts: &[
        &[
            "transaction date", "VAT code", "original amount", "original currency",
            "billing amount", "billing currency", "merchant name", "card number",
            "code 1", "description 1", "code 2", "description 2", "code 3", "directorate",
        ],
        &[
            "transaction date", "VAT code", "original amount", "original currency",
            "billing amount", "billing currency", "tax amount", "merchant name", "card number",
            "code 1", "description 1", "code 2", "description 2", "code 3", "directorate",
        ],
        &[
            "transaction date", "VAT code", "original amount", "original currency",
            "billing amount", "billing currency", "tax amount", "merchant name", "card number",
            "billing currency", "code 1", "description 1", "code 2", "description 2", "code 3",
            "directorate",
        ],
    ],
};

/// One published row. Amounts in minor units; a refund's `amount_minor` is below 0.
#[derive(Clone, Debug)]
pub struct Payment {
    /// `council-<file month>-<record number>`; records count from 1, the first after the header.
    pub id: String,
    pub day: LogTime,
    pub last_four: Box<str>,
    pub amount_minor: i64,
    pub purchase: Purchase,
}

impl Payment {
    pub fn account(&self) -> AccountId {
        format!("council-{}", self.last_four).into()
    }

    /// The message that moves the money.
    pub fn presentment_or_refund(&self, currency: Currency) -> Command {
        let (id, purchase) = (self.id.as_str().into(), &self.purchase);
        card_rows::presentment_or_refund(id, self.amount_minor, currency, purchase, "")
    }
}

/// The files of one folder.
pub struct Council {
    pub currency: Currency,
    /// In the order of the files, months ascending.
    pub payments: Vec<Payment>,
    pub months: Vec<Month>,
}

impl Council {
    /// Reads every purchase-card-*.csv by name.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        Self::of_files(folder, &files(folder, PREFIX, ".csv")?)
    }

    /// Reads these months' files, in their order.
    pub fn of_files(folder: &Path, paths: &[PathBuf]) -> Result<Self, FileError> {
        // Checked by the tests of `amount`: a currency that ISO lists.
        let currency = Currency::parse("GBP").expect("three letters");
        let (mut payments, mut months) = (Vec::new(), Vec::new());
        for path in paths {
            let name = file_name(path);
            let month = name.trim_start_matches(PREFIX).trim_end_matches(".csv");
            let table = Table::read(path, FORM)?;
            let (first, rows) = (payments.len(), table.rows().len());
            months.push(Month { name: month.into(), first, rows });
            for (record, row) in (1..).zip(table.rows()) {
                let id = format!("council-{month}-{record}");
                payments.push(read_payment(&row, id, table.layout, currency)?);
            }
        }
        if payments.is_empty() {
            return Err(FileError::of_file(folder, "no row in any purchase-card-*.csv"));
        }
        Ok(Self { currency, payments, months })
    }

    pub fn play(&self) -> Play {
        let mut planned = self.openings();
        for (place, payment) in (0..).zip(&self.payments) {
            // A presentment of nothing moves nothing and is no message.
            if payment.amount_minor != 0 {
                let (order, id) = ((Rank::Presentment, place), payment.id.clone());
                let body = payment.presentment_or_refund(self.currency);
                planned.push(Planned::new(payment.day, order, &payment.account(), id, body));
            }
        }
        Play::new(planned)
    }

    /// The council publishes no balances: what was sent must come back, once.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::of_folder();
        for step in self.play() {
            if let Step::Command(command) = step {
                tally.sent(&command);
            }
        }
        tally
    }

    /// Every card is an account with one holder, opened on the day of its first use.
    pub fn openings(&self) -> Vec<Planned> {
        let mut cards: BTreeMap<&str, LogTime> = BTreeMap::new();
        for payment in &self.payments {
            let first = cards.entry(&payment.last_four).or_insert(payment.day);
            *first = payment.day.min(*first);
        }
        let mut planned = Vec::new();
        for (place, (last_four, day)) in (0..).zip(cards) {
            let account = AccountId::from(format!("council-{last_four}"));
            let (on, terms) = ((day, place), (self.currency, 0));
            planned.extend(card_rows::opening(&account, ("council", last_four), on, terms));
            let token = format!("tok_council_{last_four}").into();
            let message_id = format!("council-card-{last_four}");
            planned.push(card_rows::card(message_id, &account, on, token, last_four));
        }
        planned
    }
}

fn read_payment(
    row: &Row,
    id: String,
    layout: &[&str],
    currency: Currency,
) -> Result<Payment, FileError> {
    let merchant = if layout[6] == "tax amount" { 7 } else { 6 };
    let card = merchant + 1;
    let number = row.id(card)?;
    let last_four = number.trim_start_matches('*');
    if last_four.len() != 4 || !last_four.bytes().all(|byte| byte.is_ascii_digit()) {
        // The text is not repeated here: it might be a whole card number.
        return Err(row.error(card, "not stars and the last four digits"));
    }
    let columns =
        Columns { merchant, amount: 4, currency: 5, original_amount: 2, original_currency: 3 };
    let card_token = format!("tok_council_{last_four}").into();
    let (amount_minor, purchase) = card_rows::read(row, columns, currency, "council", card_token)?;
    Ok(Payment { id, day: row.day(0, DAY)?, last_four: last_four.into(), amount_minor, purchase })
}
