//! Our books of one cycle, item by item, for comparison with a network's report.
//!
//! Owns the reading of `ledger.postings.v1` up to its present end, after a look whether the cycle's
//! window is closed. The cycle in the posting sets is the cut: what came later is in a later cycle,
//! so both sides are compared as of the same point.

use crate::clearing::{header::Header, settlement_files::Booked};
use crate::codec::{
    schemas::Subject,
    topics::{POSTINGS, WINDOWS},
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::{
    cycle::Cycle,
    ids::MessageId,
    ledger::{Address, PostingSet},
    money::Currency,
    window::{WindowBody, WindowEvent},
};
use crate::operator::outputs::{Outputs, records_of};
use crate::stages::Topic;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Whether the window of the cycle has been closed: every partition has sealed its part.
pub fn is_closed(config: &Config, header: &Header, cycle: Cycle) -> Result<bool, i32> {
    let mut is_closed = false;
    each(config, (WINDOWS, Subject::Windows), |event: WindowEvent| {
        let is_ours = event.network == header.network && event.currency == header.currency;
        is_closed |=
            is_ours && event.cycle == Some(cycle) && matches!(event.body, WindowBody::Closed(_));
    })?;
    Ok(is_closed)
}

/// Every item of the network, currency and cycle, by its message.
pub fn of_cycle(
    config: &Config,
    header: &Header,
    cycle: Cycle,
) -> Result<BTreeMap<MessageId, Booked>, i32> {
    let mut booked = BTreeMap::new();
    each(config, (POSTINGS, Subject::Postings), |set| take(&mut booked, header, cycle, set))?;
    Ok(booked)
}

/// Gives every record of a topic, up to its present end. Errors: exit code 3 where one cannot be
/// read: a comparison without it would be wrong.
fn each<T: DeserializeOwned>(
    config: &Config,
    from: (Topic, Subject),
    mut take: impl FnMut(T),
) -> Result<(), i32> {
    let outputs = Outputs::open(config)?;
    let spans = outputs.spans(from.0, None)?;
    let mut progress = Progress::start("reading our books", records_of(&spans), true);
    outputs.each(from, &spans, &mut progress, |output| take(output.value))
}

fn take(booked: &mut BTreeMap<MessageId, Booked>, header: &Header, cycle: Cycle, set: PostingSet) {
    let is_ours = set.network == header.network && set.cycle == Some(cycle);
    let owed_minor = owed_minor(&set, header.currency);
    if let (true, Some(message_id), true) = (is_ours, set.message_id, owed_minor != 0) {
        let (payment_id, reference) = (set.payment_id, set.text);
        booked.insert(message_id, Booked { owed_minor, payment_id, reference });
    }
}

/// What the item came to, without interchange and fees: they are reported as totals. It is what
/// left the customer's and the held money, or suspense where no customer could be found.
fn owed_minor(set: &PostingSet, currency: Currency) -> i64 {
    let is_item =
        |address: Address| matches!(address, Address::Cust | Address::Held | Address::Suspense);
    let legs = set.legs.iter().filter(|leg| leg.currency == currency && is_item(leg.address));
    -legs.map(|leg| leg.minor).sum::<i64>()
}
