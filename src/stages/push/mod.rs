//! The push stage's pure part: from a feed record to what its customer shall be told.
//!
//! Owns which items notify (`notice`), what they say (`words`), what a customer wants (`wants`) and
//! what goes to a device (`notification`). Never sends: the executor (`runtime::dispatch`) does.
//! Invariant: everything said follows from the record alone, so every repeat says the same (F4).

mod notice;
mod notification;
mod wants;
mod words;

#[cfg(test)]
mod tests;

use crate::domain::{
    feed::{FeedBody, FeedRecord},
    push::Obligation,
};

pub use notification::{KEEP_SECONDS, KEY_BYTES_MAX, device_key, notification};
pub use wants::wanted;
pub use words::decimals;

pub const NAME: &str = "push";

/// What the record obliges us to tell, if anything.
///
/// `id`: text of the record's own id (`tapline-src`). `origin_ms`: broker's time of the command that
/// began the chain; the age of what is said counts from it.
pub fn obligation(record: &FeedRecord, id: &str, origin_ms: i64) -> Option<Obligation> {
    let item = match &record.body {
        FeedBody::Item(item) => item,
        FeedBody::Holding(_) | FeedBody::Birth(_) => return None,
    };
    let notice = notice::notice(item)?;
    Some(Obligation {
        id: id.into(),
        customer_id: record.customer_id.clone(),
        line: format!("{}/{}", record.account_id, item.item_id).into(),
        version: item.version,
        kind: notice.kind,
        amount_minor: notice.amount_minor,
        currency_code: item.currency.as_str().into(),
        title: notice.title.into(),
        body: notice.body.into(),
        origin_ms,
        item_kind: item.kind,
        item_status: item.status,
    })
}
