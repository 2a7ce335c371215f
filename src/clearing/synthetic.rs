//! Synthetic clearing files for load: any number of lines, the same for the same seed.
//!
//! Owns names and shares: 97 of 100 lines are presentments, two are refunds of the line before, one
//! takes the line before back. Numbers come from a hash of seed and line, so a file can be written
//! as a stream and begun anywhere.

use super::{
    header::Header,
    reading::Form,
    row::{CLEARING_LINE, LineKind},
    writing::Writer,
};
use crate::domain::fingerprint::Fingerprint;
use crate::producer::amount;
use std::io::{self, Write};

#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    pub header: Header,
    pub lines: u64,
    /// Accounts are `<account prefix><n>` for n from 0 below this; their cards
    /// `<card prefix><n>`. At least 1.
    pub accounts: u64,
    pub account_prefix: Box<str>,
    pub card_prefix: Box<str>,
    pub seed: u64,
}

/// What a line draws: of a line that follows up on the one before, that one's.
struct Drawn {
    place: u64,
    kind: LineKind,
    account: u64,
    amount_minor: i64,
}

impl Synthetic {
    pub fn write(&self, out: impl Write, form: Form) -> io::Result<()> {
        let mut writer = Writer::begin(out, form, self.header.clone())?;
        for record in 1..=self.lines {
            self.line(&mut writer, record)?;
        }
        writer.finish().map(drop)
    }

    fn draw(&self, record: u64) -> Drawn {
        let hash = |what: &str, record: u64| {
            let hash = Fingerprint::default().text(what).number(self.seed.cast_signed());
            // Multiplying spreads the last byte over the low digits, of which the rest is taken.
            hash.number(record.cast_signed()).value().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
        };
        let kind_of = |record: u64| match hash("kind", record) % 100 {
            0 => LineKind::Reverse,
            1 | 2 => LineKind::Refund,
            _ => LineKind::Present,
        };
        let follows = record > 1 && kind_of(record - 1) == LineKind::Present;
        let (kind, place) = match kind_of(record) {
            LineKind::Present => (LineKind::Present, record),
            kind if follows => (kind, record - 1),
            _ => (LineKind::Present, record),
        };
        let account = hash("account", place) % self.accounts.max(1);
        let amount_minor = 100 + (hash("amount", place) % 20_000).cast_signed();
        Drawn { place, kind, account, amount_minor }
    }

    fn line(&self, writer: &mut Writer<impl Write>, record: u64) -> io::Result<()> {
        let Drawn { place, kind, account, amount_minor } = self.draw(record);
        let (currency, file_id) = (self.header.currency.to_string(), &self.header.file_id);
        let amount = amount::decimal(amount_minor, self.header.currency);
        let record = record.to_string();
        let account_id = format!("{}{account}", self.account_prefix);
        let card = format!("{}{account}", self.card_prefix);
        let payment = format!("{}-{file_id}-{place}", self.header.network);
        let reference = format!("7{place:022}");
        let day = self.header.business_date.to_string();
        let shop = account % 997;
        let (merchant, merchant_id) = (format!("Shop {shop}, Main Street"), format!("m-{shop}"));
        let texts: [&str; CLEARING_LINE.len()] = [
            &record,
            kind.word(),
            &amount,
            &currency,
            &account_id,
            &card,
            &payment,
            &day,
            &merchant,
            &merchant_id,
            "5411",
            "CA",
            "contactless",
            "",
            "",
            "",
            &reference,
            "1",
            "1",
            "true",
        ];
        writer.line(kind.owed_minor(amount_minor), &texts)
    }
}
