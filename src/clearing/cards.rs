//! Clearing lines as commands: what the network asks us to pay, take back and give back.
//!
//! Owns which command a line becomes and what sets a line aside. A line that names its money but
//! cannot be given to an account is published all the same, on an account that nobody opens: so the
//! pipeline moves it to suspense (R5), where it is an open exception, and the file's sum is booked
//! in full. Invariant: the commands of a file move exactly its sum.

use super::{
    fields::{amount_minor, currency, day, number},
    header::Header,
    problem::{Problem, shown},
    reading::{Form, Reading},
    row::{FileKind, LineKind, Row},
};
use crate::codec::limits::{self, Sizes};
use crate::domain::{
    command::{AccountCommand, Channel, Command, Present, Purchase, Refund, ReversePresentment},
    ids::{AccountId, MessageId, PaymentId},
    money::Currency,
};
use crate::stages::settlement::posting::PART_PREFIX;
use std::io::BufRead;

/// Begins the accounts on which set-aside lines are published; no line may name one.
pub use crate::codec::reserved::SET_ASIDE;
const RESERVED: [&str; 3] = [SET_ASIDE, "tapline.", PART_PREFIX];

// Places in `row::CLEARING_LINE`.
const ACCOUNT: usize = 4;
const CARD: usize = 5;
const PAYMENT: usize = 6;
const PURCHASE_DATE: usize = 7;
const MERCHANT_NAME: usize = 8;
const MERCHANT_ID: usize = 9;
const CATEGORY: usize = 10;
const COUNTRY: usize = 11;
const CHANNEL: usize = 12;
const ORIGINAL_AMOUNT: usize = 13;
const ORIGINAL_CURRENCY: usize = 14;
const CODE: usize = 15;
const REFERENCE: usize = 16;
const SEQUENCE_NUMBER: usize = 17;
const SEQUENCE_COUNT: usize = 18;
const LAST: usize = 19;

/// A line, ready to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Presented {
    pub record: u64,
    pub kind: LineKind,
    pub amount_minor: i64,
    pub command: AccountCommand,
    /// Why the line is set aside; absent where its own account gets it.
    pub problem: Option<Problem>,
}

/// The lines of a clearing file, one after the other.
pub struct CardLines<R> {
    reading: Reading<R>,
    sizes: Sizes,
}

impl<R: BufRead> CardLines<R> {
    pub fn open(source: R, form: Form) -> Result<Self, Problem> {
        Self::of(Reading::open(source, form)?)
    }

    /// Errors: `file_kind` where the header says another kind of file.
    pub fn of(reading: Reading<R>) -> Result<Self, Problem> {
        match reading.header.kind {
            FileKind::Clearing => Ok(Self { reading, sizes: Sizes::default() }),
            other => {
                let reason = format_args!("a {}, not a clearing file", other.word());
                Err(Problem::new(1, "kind", "file_kind", reason))
            }
        }
    }

    pub fn header(&self) -> &Header {
        &self.reading.header
    }

    pub fn reading(&self) -> &Reading<R> {
        &self.reading
    }

    /// The next line; `None` at the end of a file that ties. Errors refuse the file.
    pub fn advance(&mut self) -> Result<Option<Presented>, Problem> {
        let Some(entry) = self.reading.advance()? else { return Ok(None) };
        let (row, header) = (self.reading.row(), &self.reading.header);
        // Each line of a clearing file has a kind.
        let kind = entry.kind.unwrap_or(LineKind::Present);
        let money = (entry.record, kind, entry.amount_minor);
        let (command, problem) = match command(row, header, money, &self.sizes) {
            Ok(command) => (command, None),
            Err(problem) => (set_aside(header, money, &problem), Some(problem)),
        };
        let (record, amount_minor) = (entry.record, entry.amount_minor);
        Ok(Some(Presented { record, kind, amount_minor, command, problem }))
    }
}

type Money = (u64, LineKind, i64);

/// Errors: the codes of [`super::problem::Scope::Line`].
fn command(
    row: &Row,
    header: &Header,
    (record, kind, amount_minor): Money,
    sizes: &Sizes,
) -> Result<AccountCommand, Problem> {
    let account = row.text(ACCOUNT);
    if account.is_empty() || account.len() > sizes.key_bytes_max {
        let reason =
            format_args!("{} bytes, 1 to {} are allowed", account.len(), sizes.key_bytes_max);
        return Err(row.problem(ACCOUNT, "account_invalid", reason));
    }
    if RESERVED.iter().any(|begin| account.starts_with(begin)) {
        return Err(row.problem(ACCOUNT, "account_invalid", "a reserved name"));
    }
    day(row, PURCHASE_DATE)?;
    if amount_minor == 0 && kind != LineKind::Present {
        let reason = format_args!("a {} of nothing", kind.word());
        return Err(row.problem(2, "amount_not_positive", reason));
    }
    let message_id = header.message_id(record);
    let payment_id = match row.text(PAYMENT) {
        // Unknown to every account, so the matching goes on to its next rules.
        "" => PaymentId::from(message_id.as_str()),
        named => named.into(),
    };
    let (currency, reference) = (header.currency, row.text(REFERENCE).into());
    let body = match kind {
        LineKind::Present => {
            let (sequence_number, sequence_count) = sequence(row)?;
            Command::Present(Present {
                payment_id,
                amount_minor,
                currency,
                purchase: purchase(row, header, amount_minor)?,
                authorisation_code: row.text(CODE).into(),
                reference,
                sequence_number,
                sequence_count,
                last: last(row)?,
            })
        }
        LineKind::Refund => {
            let purchase = purchase(row, header, amount_minor)?;
            Command::Refund(Refund { payment_id, amount_minor, currency, purchase, reference })
        }
        // What was bought is known from the presentment.
        LineKind::Reverse => Command::ReversePresentment(ReversePresentment {
            payment_id,
            amount_minor,
            currency,
            reference,
        }),
    };
    let account_id = AccountId::from(account);
    let command = AccountCommand { account_id, message_id, sent_at: header.day_start(), body };
    // What would be a dead letter must not be published. Only lengths are left to be found here.
    limits::command(&command, account, sizes).map_err(|poison| {
        let reason = format_args!("refused by the limits of records: {}", poison.code);
        Problem::new(row.line, "line", "text_too_long", reason)
    })?;
    Ok(command)
}

fn purchase(row: &Row, header: &Header, amount_minor_billed: i64) -> Result<Purchase, Problem> {
    let card_token = row.text(CARD);
    if card_token.is_empty() {
        return Err(row.problem(CARD, "card_missing", "the field is empty"));
    }
    let card_token = card_token.into();
    if limits::is_card_number(&card_token) {
        return Err(row.problem(CARD, "pan_in_clear", "a card number in place of its token"));
    }
    let merchant_category = match row.text(CATEGORY) {
        "" => None,
        code if code.len() == 4 => Some(number(row, CATEGORY, "category_invalid")?),
        other => {
            let reason = format_args!("{} has not four digits", shown(other));
            return Err(row.problem(CATEGORY, "category_invalid", reason));
        }
    };
    let country = row.text(COUNTRY);
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    if !country.is_empty() && !is_country {
        let reason = format_args!("{} is no country of two letters", shown(country));
        return Err(row.problem(COUNTRY, "country_invalid", reason));
    }
    let (original_minor, original_currency) = original(row, header, amount_minor_billed)?;
    Ok(Purchase {
        card_token,
        merchant_name: row.text(MERCHANT_NAME).into(),
        merchant_id: row.text(MERCHANT_ID).into(),
        merchant_category,
        country: country.into(),
        channel: channel(row)?,
        network: header.network.clone(),
        original_minor,
        original_currency,
    })
}

/// What the merchant charged; the billed amount where the line gives neither field.
fn original(row: &Row, header: &Header, billed_minor: i64) -> Result<(i64, Currency), Problem> {
    const INVALID: &str = "original_invalid";
    if row.text(ORIGINAL_AMOUNT).is_empty() && row.text(ORIGINAL_CURRENCY).is_empty() {
        return Ok((billed_minor, header.currency));
    }
    let original_currency = currency(row, ORIGINAL_CURRENCY, INVALID)?;
    match amount_minor(row, ORIGINAL_AMOUNT, original_currency, INVALID)? {
        minor @ 0.. => Ok((minor, original_currency)),
        _ => Err(row.problem(ORIGINAL_AMOUNT, INVALID, "below zero; the kind tells the direction")),
    }
}

fn channel(row: &Row) -> Result<Channel, Problem> {
    Ok(match row.text(CHANNEL) {
        "" | "unknown" => Channel::Unknown,
        "chip" => Channel::Chip,
        "contactless" => Channel::Contactless,
        "magnetic_stripe" => Channel::MagneticStripe,
        "ecommerce" => Channel::Ecommerce,
        "mail_order" => Channel::MailOrder,
        "recurring" => Channel::Recurring,
        "atm" => Channel::Atm,
        other => return Err(row.problem(CHANNEL, "channel_unknown", shown(other))),
    })
}

/// n of m; 1 of 1 where the line gives neither.
fn sequence(row: &Row) -> Result<(i32, i32), Problem> {
    const INVALID: &str = "sequence_invalid";
    if row.text(SEQUENCE_NUMBER).is_empty() && row.text(SEQUENCE_COUNT).is_empty() {
        return Ok((1, 1));
    }
    let place: i32 = number(row, SEQUENCE_NUMBER, INVALID)?;
    let count: i32 = number(row, SEQUENCE_COUNT, INVALID)?;
    if place < 1 || place > count {
        let reason = format_args!("{place} of {count}");
        return Err(row.problem(SEQUENCE_NUMBER, INVALID, reason));
    }
    Ok((place, count))
}

/// Whether nothing follows for this payment; by the sequence alone where the field is empty.
fn last(row: &Row) -> Result<bool, Problem> {
    match row.text(LAST) {
        "" | "false" => Ok(false),
        "true" => Ok(true),
        other => Err(row.problem(LAST, "last_invalid", shown(other))),
    }
}

/// The money of a line that no account can be given, for suspense. Its text names the line and the
/// code, so that whoever finds it there finds the line.
fn set_aside(
    header: &Header,
    (record, kind, amount_minor): Money,
    problem: &Problem,
) -> AccountCommand {
    let message_id: MessageId = header.message_id(record);
    let payment_id = PaymentId::from(message_id.as_str());
    let currency = header.currency;
    let reference: Box<str> = format!("line {}: {}", problem.line, problem.code).into();
    let purchase = Purchase {
        card_token: "".into(),
        merchant_name: reference.clone(),
        merchant_id: "".into(),
        merchant_category: None,
        country: "".into(),
        channel: Channel::Unknown,
        network: header.network.clone(),
        original_minor: amount_minor,
        original_currency: currency,
    };
    let body = match kind {
        // A reversal of a purchase that cannot be named gives us the money back as a refund does.
        LineKind::Reverse | LineKind::Refund if amount_minor > 0 => {
            Command::Refund(Refund { payment_id, amount_minor, currency, purchase, reference })
        }
        LineKind::Present | LineKind::Reverse | LineKind::Refund => Command::Present(Present {
            payment_id,
            amount_minor,
            currency,
            purchase,
            authorisation_code: "".into(),
            reference,
            sequence_number: 1,
            sequence_count: 1,
            last: true,
        }),
    };
    let account_id = format!("{SET_ASIDE}{}", header.network).into();
    AccountCommand { account_id, message_id, sent_at: header.day_start(), body }
}
