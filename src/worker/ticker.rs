//! The ticker of one partition: its owner writes the clock into the log.
//!
//! Owns when a tick is written and when it must not be: one at a time, and none while our clock and
//! the broker's append times differ by more than a limit, because a tick from the future would stop
//! the partition's clock for as long.

use crate::adapters::kafka::sender::{Outbound, Sender, Ticket};
use crate::codec::headers::HeaderList;
use crate::domain::{
    command::{PARTITION_KEY, Tick},
    time::LogTime,
};
use crate::runtime::{context::InForce, telemetry};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

/// Encodes a tick as a record of the stage's input topic.
pub type EncodeTick = fn(Tick) -> Vec<u8>;

pub struct Ticker {
    sender: Sender,
    topic: String,
    partition: i32,
    encode: EncodeTick,
    every_ms: u64,
    skew_ms_max: i64,
    next_ms: u64,
    in_flight: Arc<AtomicBool>,
    /// Broker's time minus ours, of the latest tick.
    skew_ms: Arc<AtomicI64>,
}

impl Ticker {
    pub fn new(
        sender: Sender,
        topic: String,
        partition: i32,
        encode: EncodeTick,
        every: Duration,
        skew_max: Duration,
    ) -> Self {
        Self {
            sender,
            topic,
            partition,
            encode,
            every_ms: every.as_millis() as u64,
            skew_ms_max: skew_max.as_millis() as i64,
            next_ms: 0,
            in_flight: Arc::default(),
            skew_ms: Arc::default(),
        }
    }

    /// Until when the ticker need not be asked again.
    pub fn next_ms(&self) -> u64 {
        self.next_ms
    }

    /// Writes a tick if one is due. It names the versions that are active in the partition.
    pub fn turn(&mut self, steady_ms: u64, in_force: InForce) {
        if steady_ms < self.next_ms {
            return;
        }
        self.next_ms = steady_ms + self.every_ms;
        if self.in_flight.load(Ordering::Acquire) {
            return;
        }
        let skew_ms = self.skew_ms.load(Ordering::Acquire);
        if skew_ms.abs() > self.skew_ms_max {
            tracing::error!(
                partition = self.partition,
                skew_ms,
                code = "clock_skew",
                "this machine's clock and the broker's differ too much; no ticks are written"
            );
            // Look again from time to time: the clock may have been set right.
            self.next_ms = steady_ms + 10_000;
            self.skew_ms.store(0, Ordering::Release);
            return;
        }
        let now_ms = telemetry::now_ms();
        let tick = Tick {
            time: LogTime(now_ms),
            rules_version: in_force.rules_version,
            logic_version: in_force.logic_version,
        };
        let value = (self.encode)(tick);
        self.in_flight.store(true, Ordering::Release);
        let (in_flight, skew) = (self.in_flight.clone(), self.skew_ms.clone());
        let acks = Ticket::new(
            1,
            Box::new(move |acked| {
                skew.store(acked.append_ms - now_ms, Ordering::Release);
                in_flight.store(false, Ordering::Release);
            }),
        );
        let headers = HeaderList::new();
        let outbound = Outbound {
            topic: &self.topic,
            partition: Some(self.partition),
            key: Some(PARTITION_KEY.as_bytes()),
            value: Some(&value),
            headers: &headers,
        };
        if let Err(error) = self.sender.send(outbound, &acks) {
            super::end_process(&error.to_string());
        }
    }
}
