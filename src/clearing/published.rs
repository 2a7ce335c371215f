//! Clearing batches of the real card data: a city's posting days, a council's months.
//!
//! Owns which rows are one batch. The rows' own ids name the messages, exactly as when the folder
//! is played (docs/payments.md, "Real data"): a row that comes a second time, in another batch or
//! after a play, is the same message, and its repeat has no second effect. The publishers write no
//! trailers; what ties their months are their own control totals.

use super::{
    cards::Presented,
    checked::Checked,
    header::Header,
    row::{FileKind, LineKind},
};
use crate::domain::{
    command::AccountCommand, cycle::Day, ids::AccountId, money::Currency, settlement::ContentHash,
    time::LogTime,
};
use crate::producer::{city::City, council::Council, dated::day_text};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One batch, checked, with its commands in the order of the file.
#[derive(Clone, Debug)]
pub struct Batch {
    pub checked: Checked,
    pub commands: Vec<AccountCommand>,
}

/// One batch for each month's file and posting day in it, days ascending, earlier months first:
/// the order in which the city's bank delivered them. File id: `<month>-posted-<day>`.
pub fn city(city: &City) -> Vec<Batch> {
    let mut batches: BTreeMap<(LogTime, usize), Batch> = BTreeMap::new();
    for (place, month) in city.months.iter().enumerate() {
        for payment in &city.payments[month.first..month.first + month.rows] {
            let day = payment.posted;
            let file_id = || format!("{}-posted-{}", month.name, day_text(day));
            let batch = batches
                .entry((day, place))
                .or_insert_with(|| Batch::empty("city", file_id(), day, city.currency));
            let body = payment.presentment_or_refund(city.currency);
            let message_id = payment.message_id();
            let account_id = payment.account.clone();
            batch.add(
                AccountCommand { account_id, message_id, sent_at: day, body },
                payment.amount_minor,
            );
        }
    }
    batches.into_values().filter_map(Batch::finished).collect()
}

/// One batch for each month's file; its business date is the last day in it. File id: the month.
pub fn council(council: &Council) -> Vec<Batch> {
    let mut batches = Vec::new();
    for month in &council.months {
        let rows = &council.payments[month.first..month.first + month.rows];
        let last = rows.iter().map(|payment| payment.day).max().unwrap_or_default();
        let mut batch = Batch::empty("council", month.name.to_string(), last, council.currency);
        for payment in rows {
            let account_id: AccountId = payment.account();
            let (message_id, sent_at) = (payment.id.as_str().into(), payment.day);
            let body = payment.presentment_or_refund(council.currency);
            batch.add(
                AccountCommand { account_id, message_id, sent_at, body },
                payment.amount_minor,
            );
        }
        batches.extend(batch.finished());
    }
    batches
}

impl Batch {
    fn empty(network: &str, file_id: String, day: LogTime, currency: Currency) -> Self {
        let header = Header {
            kind: FileKind::Clearing,
            network: network.into(),
            file_id: file_id.into(),
            // Days of log time fit: they were read as four-digit years.
            business_date: Day(i32::try_from(day.day()).unwrap_or(0)),
            currency,
            cycle: None,
        };
        Self { checked: Checked::new(header), commands: Vec::new() }
    }

    /// A presentment of nothing moves nothing and is no message.
    fn add(&mut self, command: AccountCommand, owed_minor: i64) {
        let (kind, amount_minor) = match owed_minor {
            0 => return,
            1.. => (LineKind::Present, owed_minor),
            _ => (LineKind::Refund, -owed_minor),
        };
        let record = self.commands.len() as u64 + 1;
        let presented = Presented { record, kind, amount_minor, command, problem: None };
        self.checked.take(&presented);
        self.commands.push(presented.command);
    }

    /// With its content hash, over the commands as JSON; `None` where it has none.
    fn finished(mut self) -> Option<Self> {
        let mut hash = Sha256::new();
        for command in &self.commands {
            // Every command is plain: texts, numbers, lists.
            hash.update(serde_json::to_vec(command).unwrap_or_default());
            hash.update(b"\n");
        }
        self.checked.content = ContentHash(hash.finalize().into());
        (!self.commands.is_empty()).then_some(self)
    }
}
