//! A city's card payments: an authorisation, a presentment or a refund for every published row.
//!
//! Owns what a row becomes and which rows of a control total stand for which message. The
//! publisher delivers some clearing days twice: a repeated row is sent again under its id, and
//! must not move money again. Rules: docs/payments.md, "Real data".

use super::{
    card_rows::{self, Columns, DAY},
    dated::{Planned, Play, Rank},
    files,
    oracle::CityOracle,
    table::{Encoding, FileError, Form, Row, Table, file_name},
};
use crate::domain::{
    command::{Authorise, Command, HoldClass, Purchase},
    ids::{AccountId, CardToken, MessageId, PaymentId},
    money::Currency,
    time::LogTime,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

pub use super::card_rows::Month;

pub const PREFIX: &str = "pcard-";
const TOTALS: &str = "control-totals.csv";
/// Credit line of every division: ten million dollars.
const CREDIT_LINE_MINOR: i64 = 1_000_000_000;

#[rustfmt::skip]
const ROW_FORM: Form = form(&[&[
    "division", "batch transaction id", "transaction date", "card posting date", "merchant name",
    "transaction amount", "transaction currency", "original amount", "original currency",
    "g/l account", "cost centre", "merchant type", "merchant type description",
]]);
const COLUMNS: Columns =
    Columns { merchant: 4, amount: 5, currency: 6, original_amount: 7, original_currency: 8 };
const TOTAL_FORM: Form =
    form(&[&["file month", "first row", "last row", "division", "publisher total"]]);

const fn form(layouts: &'static [&'static [&'static str]]) -> Form {
    Form { delimiter: b',', encoding: Encoding::Utf8, layouts }
}

/// One published row. Amounts in minor units; a refund's `amount_minor` is below 0.
#[derive(Clone, Debug)]
pub struct Payment {
    pub account: AccountId,
    /// The publisher's batch and sequence: the identity of the payment.
    pub row_id: Box<str>,
    pub bought: LogTime,
    pub posted: LogTime,
    pub amount_minor: i64,
    /// What the merchant charged, the card and the merchant; never below 0.
    pub purchase: Purchase,
}

impl Payment {
    pub fn payment_id(&self) -> PaymentId {
        format!("city-{}", self.row_id).into()
    }

    /// Of the message that moves the money.
    pub fn message_id(&self) -> MessageId {
        match self.amount_minor {
            0.. => format!("city-present-{}", self.row_id).into(),
            _ => format!("city-refund-{}", self.row_id).into(),
        }
    }

    fn authorisation(&self, currency: Currency) -> Command {
        Command::Authorise(Authorise {
            payment_id: self.payment_id(),
            amount_minor: self.amount_minor,
            currency,
            purchase: self.purchase.clone(),
            hold_class: HoldClass::Standard,
            allow_partial: false,
            single_message: false,
        })
    }

    /// The message that moves the money.
    pub fn presentment_or_refund(&self, currency: Currency) -> Command {
        let (id, purchase) = (self.payment_id(), &self.purchase);
        card_rows::presentment_or_refund(id, self.amount_minor, currency, purchase, &self.row_id)
    }
}

/// A subtotal of the publisher: rows `first..=last` of a month's file, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlTotal {
    pub month: Box<str>,
    pub first: usize,
    pub last: usize,
    pub division: Box<str>,
    pub total_minor: i64,
}

impl ControlTotal {
    /// The whole month.
    pub fn is_grand(&self) -> bool {
        &*self.division == "ALL"
    }
}

/// The files of one folder.
pub struct City {
    pub currency: Currency,
    /// In the order of the files, months ascending.
    pub payments: Vec<Payment>,
    pub months: Vec<Month>,
    /// Of the months that are here; empty where the publisher gives none.
    pub totals: Vec<ControlTotal>,
    /// Places in `payments` in the order in which they are posted.
    posting: Vec<usize>,
    /// Of each payment in the order of posting: the first with its message id is not repeated.
    repeated: Vec<bool>,
}

impl City {
    /// Reads every pcard-*.csv by name, and control-totals.csv if it is there.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        Self::of_files(folder, &files(folder, PREFIX, ".csv")?)
    }

    /// Reads these months' files, in their order, and control-totals.csv of `folder`.
    pub fn of_files(folder: &Path, paths: &[PathBuf]) -> Result<Self, FileError> {
        // Checked by the tests of `amount`: a currency that ISO lists.
        let currency = Currency::parse("CAD").expect("three letters");
        let (mut payments, mut months) = (Vec::new(), Vec::new());
        for path in paths {
            let table = Table::read(path, ROW_FORM)?;
            let name = file_name(path);
            let name = name.trim_start_matches(PREFIX).trim_end_matches(".csv").into();
            months.push(Month { name, first: payments.len(), rows: table.rows().len() });
            for row in table.rows() {
                payments.push(read_payment(&row, currency)?);
            }
        }
        if payments.is_empty() {
            return Err(FileError::of_file(folder, "no row in any pcard-*.csv"));
        }
        let totals = read_totals(folder, &months, currency)?;
        let mut posting: Vec<usize> = (0..payments.len()).collect();
        posting.sort_by_key(|place| payments[*place].posted); // stable: file order within a day
        let mut seen = HashSet::new();
        let repeated = posting.iter().map(|p| !seen.insert(payments[*p].message_id())).collect();
        Ok(Self { currency, payments, months, totals, posting, repeated })
    }

    /// The payments in the order of posting: place in the files, payment, and whether an earlier
    /// one has the same message id.
    pub fn deliveries(&self) -> impl Iterator<Item = (usize, &Payment, bool)> {
        let places = self.posting.iter().zip(&self.repeated);
        places.map(|(place, repeated)| (*place, &self.payments[*place], *repeated))
    }

    pub fn play(&self) -> Play {
        let mut planned = self.openings();
        for (place, payment, repeated) in self.deliveries() {
            let mut plan = |day, rank, message_id: MessageId, body| {
                let (order, message_id) = ((rank, place as u64), message_id.to_string());
                planned.push(Planned::new(day, order, &payment.account, message_id, body));
            };
            if payment.amount_minor >= 0 && !repeated {
                let message_id = format!("city-auth-{}", payment.row_id).into();
                let body = payment.authorisation(self.currency);
                plan(payment.bought, Rank::Authorisation, message_id, body);
            }
            // A presentment of nothing moves nothing and is no message.
            if payment.amount_minor != 0 {
                let body = payment.presentment_or_refund(self.currency);
                plan(payment.posted, Rank::Presentment, payment.message_id(), body);
            }
        }
        Play::new(planned)
    }

    pub fn oracle(&self) -> CityOracle {
        CityOracle::new(self)
    }

    /// Whether a repeated delivery says what the first said; if not it is a conflict.
    pub fn says_the_same(&self, a: &Payment, b: &Payment) -> bool {
        a.posted == b.posted
            && a.account == b.account
            && a.presentment_or_refund(self.currency) == b.presentment_or_refund(self.currency)
    }

    /// Accounts, their holders and cards, each on the day of its first use.
    pub fn openings(&self) -> Vec<Planned> {
        let mut accounts: BTreeMap<&AccountId, LogTime> = BTreeMap::new();
        let mut cards: BTreeMap<(&AccountId, &CardToken), LogTime> = BTreeMap::new();
        for payment in &self.payments {
            let first = match payment.amount_minor {
                0.. => payment.bought.min(payment.posted),
                _ => payment.posted,
            };
            let card = (&payment.account, &payment.purchase.card_token);
            accounts
                .entry(&payment.account)
                .and_modify(|day| *day = first.min(*day))
                .or_insert(first);
            cards.entry(card).and_modify(|day| *day = first.min(*day)).or_insert(first);
        }
        let mut planned = Vec::new();
        for (place, (account, day)) in (0..).zip(accounts) {
            let division = account.as_str().trim_start_matches("city-");
            let terms = (self.currency, CREDIT_LINE_MINOR);
            planned.extend(card_rows::opening(account, ("city", division), (day, place), terms));
        }
        for (place, ((account, token), day)) in (0..).zip(cards) {
            let name = token.as_str().trim_start_matches("tok_city_");
            let message_id = format!("city-card-{name}");
            planned.push(card_rows::card(message_id, account, (day, place), token.clone(), ""));
        }
        planned
    }
}

/// Lower case, every other character `-`: two divisions that differ only there would be one.
fn slug(text: &str) -> String {
    text.trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect()
}

fn read_payment(row: &Row, currency: Currency) -> Result<Payment, FileError> {
    let division = slug(&row.id(0)?);
    let cost_centre = row.text(10)?;
    // A cost centre may pay in several divisions, each time with a card of that division.
    let card_token = match cost_centre.trim() {
        "" => format!("tok_city_{division}_none").into(),
        other => format!("tok_city_{division}_{other}").into(),
    };
    let (amount_minor, mut purchase) = card_rows::read(row, COLUMNS, currency, "city", card_token)?;
    purchase.merchant_category = match row.text(11)?.as_ref() {
        "" => None,
        code if code.len() == 4 => Some(row.number::<u16>(11)?.into()),
        code => return Err(row.error(11, format_args!("'{code}' has not four digits"))),
    };
    Ok(Payment {
        account: format!("city-{division}").into(),
        row_id: row.id(1)?.into(),
        bought: row.day(2, DAY)?,
        posted: row.day(3, DAY)?,
        amount_minor,
        purchase,
    })
}

fn read_totals(
    folder: &Path,
    months: &[Month],
    currency: Currency,
) -> Result<Vec<ControlTotal>, FileError> {
    let path = folder.join(TOTALS);
    let mut totals = Vec::new();
    if !path.is_file() {
        return Ok(totals);
    }
    let months: HashMap<&str, &Month> = months.iter().map(|m| (&*m.name, m)).collect();
    for row in Table::read(&path, TOTAL_FORM)?.rows() {
        let month = row.id(0)?;
        let Some(Month { rows, .. }) = months.get(month.as_ref()) else {
            continue; // totals of a month that is not played
        };
        let (first, last): (usize, usize) = (row.number(1)?, row.number(2)?);
        if first == 0 || first > last || last > *rows {
            let problem = format!("rows {first} to {last} of a file of {rows}");
            return Err(row.error(2, problem));
        }
        totals.push(ControlTotal {
            month: month.into(),
            first,
            last,
            division: row.id(3)?.into(),
            total_minor: row.amount_minor(4, currency)?,
        });
    }
    Ok(totals)
}
