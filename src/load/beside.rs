//! What goes on beside the close of a window: presentments, their count, and who watches the close.
//!
//! Owns the steady stream, sent by its plan whatever becomes of it, the samples of how many posting
//! sets there are, and the wait for a window's close. Judges nothing; each runs in a thread of its own
//! with its own connection.

use super::{
    bench::{Outcome, text},
    closing::{MORNING, NETWORK, PREFIX},
    lane::Lane,
    workers::Worker,
};
use crate::adapters::kafka::reader::Reader;
use crate::codec::{
    avro::{Avro, RegistryIds},
    schemas::Subject,
    topics::{POSTINGS, WINDOWS},
};
use crate::config::Config;
use crate::domain::{
    command::{AccountCommand, Channel, Command, Present, Purchase},
    money::Currency,
    time::LogTime,
    window::{WindowBody, WindowEvent},
};
use crate::runtime::telemetry;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread::park_timeout,
    time::Duration,
};

const SAMPLE_MS: u64 = 50;

/// Sends presentments by their plan, whatever becomes of them; how many, all acknowledged.
pub fn presentments(
    mut lane: Lane,
    currency: Currency,
    accounts: u64,
    rate: u64,
    over: &AtomicBool,
) -> Outcome<u64> {
    let (begun_ns, mut sent) = (telemetry::steady_ns(), 0_u64);
    while !over.load(Ordering::Acquire) {
        let elapsed_ns = u128::from(telemetry::steady_ns() - begun_ns);
        let due = (elapsed_ns * u128::from(rate) / 1_000_000_000) as u64;
        for number in sent..due {
            let account = format!("{PREFIX}{}", number % accounts.max(1));
            let ticket = lane.ticket(1);
            let command = presentment(&account, number, currency);
            lane.send(&command, None, &ticket).map_err(text)?;
        }
        sent = due.max(sent);
        park_timeout(Duration::from_millis(1));
    }
    lane.settle();
    Ok(sent)
}

fn presentment(account: &str, number: u64, currency: Currency) -> AccountCommand {
    let payment = format!("beside-{number}");
    let amount_minor = 100 + (number % 900) as i64;
    let body = Command::Present(Present {
        payment_id: payment.as_str().into(),
        amount_minor,
        currency,
        purchase: Purchase {
            card_token: format!("tok_{account}").into(),
            merchant_name: "CORNER BAKERY".into(),
            merchant_id: "m-1".into(),
            merchant_category: Some(5_462),
            country: "NL".into(),
            channel: Channel::Contactless,
            network: NETWORK.into(),
            original_minor: amount_minor,
            original_currency: currency,
        },
        authorisation_code: "".into(),
        reference: payment.as_str().into(),
        sequence_number: 1,
        sequence_count: 1,
        last: true,
    });
    command(account, &payment, body)
}

pub fn records_in(reader: &Reader, config: &Config, topic: &str) -> Outcome<i64> {
    let spans = reader.spans(&config.kafka.topic(topic)).map_err(text)?;
    Ok(spans.iter().map(|span| span.end).sum())
}

/// Posting sets by time: nanoseconds of the steady clock, records so far.
pub fn samples(reader: &Reader, config: &Config, over: &AtomicBool) -> Outcome<Vec<(u64, i64)>> {
    let mut samples = Vec::new();
    while !over.load(Ordering::Acquire) {
        let found = records_in(reader, config, POSTINGS.0)?;
        samples.push((telemetry::steady_ns(), found));
        park_timeout(Duration::from_millis(SAMPLE_MS));
    }
    Ok(samples)
}

/// Between the first sample from `from_ns` on and the last up to `to_ns`.
pub fn per_second(samples: &[(u64, i64)], from_ns: u64, to_ns: u64) -> f64 {
    let mut within = samples.iter().filter(|(at_ns, _)| (from_ns..=to_ns).contains(at_ns));
    let Some(first) = within.next() else { return 0.0 };
    let last = within.next_back().unwrap_or(first);
    let seconds = last.0.saturating_sub(first.0) as f64 / 1e9;
    if seconds > 0.0 { (last.1 - first.1) as f64 / seconds } else { 0.0 }
}

/// Reads what the windows stage decides from now on.
pub struct Watch {
    reader: Reader,
}

impl Watch {
    pub fn open(config: &Config) -> Outcome<Self> {
        let reader = Reader::open(&config.kafka, "tapline.producer").map_err(text)?;
        let topic = config.kafka.topic(WINDOWS.0);
        let spans = reader.spans(&topic).map_err(text)?;
        let ends: Vec<(i32, i64)> = spans.iter().map(|span| (span.partition, span.end)).collect();
        reader.assign(&topic, &ends).map_err(text)?;
        Ok(Self { reader })
    }

    /// Waits for the close of the network's window at that cut-off; its items.
    pub fn closed(&self, cutoff: LogTime, worker: &mut Worker) -> Outcome<i64> {
        let ids = RegistryIds::default();
        let begun_ns = telemetry::steady_ns();
        while worker.is_running() && telemetry::seconds_since(begun_ns) < 120.0 {
            let next = self.reader.next(Duration::from_millis(100)).map_err(text)?;
            let Some((_, record)) = next else { continue };
            let value = record.value.as_deref().unwrap_or_default();
            let event: WindowEvent =
                Avro::of(Subject::Windows).decode(value, &ids).map_err(text)?;
            if let (WindowBody::Closed(closed), Some(cycle)) = (&event.body, event.cycle)
                && (&*event.network, cycle.cutoff) == (NETWORK, cutoff)
            {
                return Ok(closed.totals.items);
            }
        }
        Err(format!("the window did not close:\n{}", worker.last_lines(10)))
    }
}

/// Sent on the morning of the day: what was sent long before would leave its account at the next
/// tick, and a close would be measured beside that.
pub fn command(account: &str, message: &str, body: Command) -> AccountCommand {
    let message_id = format!("{account}-{message}").into();
    AccountCommand { account_id: account.into(), message_id, sent_at: MORNING, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a rate is that of its stretch alone. Method: a course that halves in its middle.
    #[test]
    fn rates_by_stretch() {
        let second = 1_000_000_000;
        let course =
            [(0, 0), (second, 100), (2 * second, 150), (3 * second, 200), (9 * second, 800)];
        for (from, to, found) in [
            (0, second, 100.0),
            (second, 3 * second, 50.0),
            (3 * second, u64::MAX, 100.0),
            (4 * second, 5 * second, 0.0),
        ] {
            assert_eq!(per_second(&course, from, to), found, "{from} to {to}");
        }
    }
}
