//! What is accepted: sizes before a value is read, content after.
//!
//! Owns the limits of operations.md section 5 and the order in which they are checked. Never looks
//! at state: a command that is merely refused is a decision of the stage. Invariant: a card number
//! in clear is found whatever else is wrong, because only then is the value kept out of the dead
//! letters.

use super::{
    DecodeError,
    avro::{Avro, RegistryIds},
    partitioner::partition_of,
    raw::RawRecord,
    reserved,
};
use crate::domain::{
    account::Limits,
    command::{AccountCommand, Command, PARTITION_KEY, Purchase},
    ids::CardToken,
    money::{AMOUNT_MINOR_MAX, Currency},
};
use crate::stages::Poison;
use serde::de::DeserializeOwned;
use std::sync::LazyLock;

const RESERVED: &str = "tapline.";

/// Sizes, the section `limits` of the settings; what is larger is poison. They decide which records
/// become dead letters, so a replay needs those of the live run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    pub key_bytes_max: usize,
    pub value_bytes_max: usize,
    pub headers_max: usize,
    pub headers_bytes_max: usize,
    pub string_bytes_max: usize,
    pub list_entries_max: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            key_bytes_max: 64,
            value_bytes_max: 64 * 1024,
            headers_max: 32,
            headers_bytes_max: 8 * 1024,
            string_bytes_max: 1024,
            list_entries_max: 256,
        }
    }
}

pub(super) type Check = Result<(), Poison>;

pub(super) fn refuse(broken: bool, code: &'static str) -> Check {
    if broken { Err(Poison { code }) } else { Ok(()) }
}

/// What a record says, and its `key` or what is wrong with its surroundings, which are then to be
/// refused. The order is that of all stages: the value's size; an unknown schema, which stops the
/// partition before anything else is said about the record; key and headers; then the value itself.
/// A value that can be read is given even where its surroundings are wrong: it may hold a card
/// number.
pub(super) fn decode<'r, T: DeserializeOwned>(
    record: &'r RawRecord,
    key: Result<&'r str, Poison>,
    sizes: &Sizes,
    (avro, ids): (&Avro, &RegistryIds),
) -> Result<(T, Result<&'r str, Poison>), DecodeError> {
    let value = value(record, sizes)?;
    let surroundings = key.and_then(|key| headers(record, sizes).map(|()| key));
    match (avro.decode(value, ids), surroundings) {
        (Ok(input), surroundings) => Ok((input, surroundings)),
        (Err(DecodeError::Poison(_)), Err(poison)) => Err(poison.into()),
        (Err(error), _) => Err(error),
    }
}

/// The value's bytes, if there are any and not too many; checked before anything is decoded.
fn value<'r>(record: &'r RawRecord, sizes: &Sizes) -> Result<&'r [u8], Poison> {
    let value = record.value.as_deref().unwrap_or_default();
    refuse(value.len() > sizes.value_bytes_max, "too_large")?;
    Ok(value)
}

/// The record's key, if it is one and stands where it belongs.
pub fn key<'r>(record: &'r RawRecord, sizes: &Sizes, partitions: i32) -> Result<&'r str, Poison> {
    let key = record.key.as_deref().unwrap_or_default();
    refuse(key.is_empty(), "missing_key")?;
    refuse(key.len() > sizes.key_bytes_max, "key_too_long")?;
    let text = std::str::from_utf8(key).map_err(|_| Poison { code: "key_not_utf8" })?;
    if text == PARTITION_KEY {
        return Ok(text);
    }
    refuse(text.starts_with(RESERVED), "reserved_key")?;
    refuse(partition_of(key, partitions) != record.partition, "wrong_partition")?;
    Ok(text)
}

/// Errors: `headers_too_large`.
fn headers(record: &RawRecord, sizes: &Sizes) -> Check {
    let list = &record.headers;
    let broken = list.len() > sizes.headers_max || list.bytes() > sizes.headers_bytes_max;
    refuse(broken, "headers_too_large")
}

/// Whether a card token is a card number: 13 to 19 digits (spaces and hyphens between them do not
/// hide it) that pass Luhn's check.
pub fn is_card_number(token: &CardToken) -> bool {
    let text = token.as_str().as_bytes();
    if !text.first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let (mut count, mut sum) = (0, 0);
    for byte in text.iter().rev().filter(|byte| !matches!(byte, b' ' | b'-')) {
        if !byte.is_ascii_digit() || count == 19 {
            return false;
        }
        let digit = u32::from(byte - b'0');
        sum += if count % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 };
        count += 1;
    }
    count >= 13 && sum % 10 == 0
}

/// Errors: `pan_in_clear`. Comes before every other check of the record.
pub fn no_card_number(command: &AccountCommand) -> Check {
    let token = match &command.body {
        Command::ChangeCard(card) => Some(&card.card_token),
        other => purchase(other).map(|purchase| &purchase.card_token),
    };
    refuse(token.is_some_and(is_card_number), "pan_in_clear")
}

/// Checks what a command says against its key and the limits.
pub fn command(command: &AccountCommand, key: &str, sizes: &Sizes) -> Check {
    let whole_partition = matches!(command.body, Command::Tick(_) | Command::ReleaseFuse(_));
    refuse(command.account_id.as_str() != key, "wrong_key")?;
    refuse(whole_partition != (key == PARTITION_KEY), "wrong_key")?;
    reserved::check(command)?;
    sizes.text(command.message_id.as_str())?;
    if let Some(purchase) = purchase(&command.body) {
        sizes.purchase(purchase)?;
    }
    sizes.body(&command.body)
}

fn purchase(command: &Command) -> Option<&Purchase> {
    match command {
        Command::Authorise(c) => Some(&c.purchase),
        Command::Advise(c) => Some(&c.purchase),
        Command::Increment(c) => Some(&c.purchase),
        Command::Present(c) => Some(&c.purchase),
        Command::AuthoriseRefund(c) => Some(&c.purchase),
        Command::Refund(c) => Some(&c.purchase),
        Command::OpenAccount(_)
        | Command::ChangeAccount(_)
        | Command::ChangeHolder(_)
        | Command::ChangeCard(_)
        | Command::Reverse(_)
        | Command::ReversePresentment(_)
        | Command::Credit(_)
        | Command::Debit(_)
        | Command::EndDiversion(_)
        | Command::Tick(_)
        | Command::ReleaseFuse(_) => None,
    }
}

impl Sizes {
    fn body(&self, command: &Command) -> Check {
        match command {
            Command::OpenAccount(c) => {
                money(c.overdraft_limit_minor, c.currency)?;
                caps(c.limits.as_ref())
            }
            Command::ChangeAccount(c) => {
                amount(c.overdraft_limit_minor.unwrap_or(0))?;
                caps(c.limits.as_ref())
            }
            Command::ChangeHolder(c) => self.text(c.customer_id.as_str()),
            Command::ChangeCard(c) => {
                self.text(c.card_token.as_str())?;
                self.text(c.customer_id.as_str())?;
                self.text(&c.last_four)?;
                self.list(c.blocked_categories.len())?;
                self.list(c.blocked_channels.len())?;
                caps(c.limits.as_ref())
            }
            Command::Authorise(c) => {
                self.payment(c.payment_id.as_str(), c.amount_minor, c.currency)
            }
            Command::Advise(c) => self.payment(c.payment_id.as_str(), c.amount_minor, c.currency),
            Command::Increment(c) => {
                self.payment(c.payment_id.as_str(), c.amount_minor, c.currency)
            }
            Command::Reverse(c) => {
                self.payment(c.payment_id.as_str(), c.amount_minor.unwrap_or(0), c.currency)
            }
            Command::Present(c) => {
                self.text(&c.authorisation_code)?;
                self.text(&c.reference)?;
                self.payment(c.payment_id.as_str(), c.amount_minor, c.currency)
            }
            Command::ReversePresentment(c) => {
                self.text(&c.reference)?;
                self.payment(c.payment_id.as_str(), c.amount_minor, c.currency)
            }
            Command::AuthoriseRefund(c) => {
                self.payment(c.payment_id.as_str(), c.amount_minor, c.currency)
            }
            Command::Refund(c) => {
                self.text(&c.reference)?;
                self.payment(c.payment_id.as_str(), c.amount_minor, c.currency)
            }
            Command::Credit(c) => {
                self.text(&c.text)?;
                money(c.amount_minor, c.currency)
            }
            Command::Debit(c) => {
                self.text(&c.text)?;
                let to = c.transfer_to.as_ref().map_or("", |to| to.as_str());
                // It becomes the key of a record of ours.
                refuse(to.len() > self.key_bytes_max, "text_too_long")?;
                refuse(to.starts_with(RESERVED), "reserved_key")?;
                money(c.amount_minor, c.currency)
            }
            Command::EndDiversion(_) | Command::Tick(_) | Command::ReleaseFuse(_) => Ok(()),
        }
    }

    fn payment(&self, id: &str, amount_minor: i64, currency: Currency) -> Check {
        self.text(id)?;
        money(amount_minor, currency)
    }

    fn purchase(&self, purchase: &Purchase) -> Check {
        self.text(purchase.card_token.as_str())?;
        self.text(&purchase.merchant_name)?;
        self.text(&purchase.merchant_id)?;
        self.text(&purchase.country)?;
        self.text(&purchase.network)?;
        money(purchase.original_minor, purchase.original_currency)
    }

    pub(super) fn text(&self, text: &str) -> Check {
        refuse(text.len() > self.string_bytes_max, "text_too_long")
    }

    fn list(&self, entries: usize) -> Check {
        refuse(entries > self.list_entries_max, "list_too_long")
    }
}

fn caps(limits: Option<&Limits>) -> Check {
    let Some(limits) = limits else { return Ok(()) };
    let money =
        [limits.transaction_minor, limits.daily_minor, limits.monthly_minor, limits.lifetime_minor];
    money.into_iter().flatten().try_for_each(amount)?;
    let window_ms = limits.velocity_window_ms.unwrap_or(0);
    refuse(window_ms < 0 || limits.velocity_count.unwrap_or(0) < 0, "amount_negative")
}

fn money(amount_minor: i64, currency: Currency) -> Check {
    amount(amount_minor)?;
    refuse(!is_iso_currency(currency), "unknown_currency")
}

fn amount(amount_minor: i64) -> Check {
    refuse(amount_minor < 0, "amount_negative")?;
    refuse(amount_minor > AMOUNT_MINOR_MAX, "amount_too_large")
}

/// Whether ISO 4217 knows the code.
pub fn is_iso_currency(currency: Currency) -> bool {
    CURRENCIES.binary_search(&currency).is_ok()
}

/// Every code of the ISO table, ascending: looked up twice per command.
static CURRENCIES: LazyLock<Vec<Currency>> = LazyLock::new(|| {
    let letters = || (b'A'..=b'Z').map(char::from);
    letters()
        .flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])))
        .map(|code| code.iter().collect::<String>())
        .filter(|code| iso_currency::Currency::from_code(code).is_some())
        .filter_map(|code| Currency::parse(&code))
        .collect()
});
