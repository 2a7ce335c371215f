//! Reply latency in an open loop: each command at its planned time, whatever came back so far.
//!
//! Owns pacing, the warm-up and the listener of the benchmark. A sender that falls behind shows it:
//! latency counts from the planned time. The warm-up lasts until the servers have stopped compiling
//! their own code, or the figure would be that of their compilers.

use super::{
    answers::Answers,
    bench::{Outcome, Settings, cpu_of, difference, text},
    lane::Lane,
    latency::{Latency, Percentiles},
    machine::compiler_seconds,
    workers::Worker,
};
use crate::codec::{headers::PLANNED_US, raw::RawRecord};
use crate::config::Config;
use crate::domain::time::LogTime;
use crate::producer::authorise_only::AuthoriseOnly;
use crate::runtime::telemetry::{self, now_us};
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

#[derive(Clone, Debug, Serialize)]
pub struct LatencyRun {
    pub rate: u64,
    pub seconds: u64,
    /// Sent at the same rate before, until the servers had stopped compiling their code.
    pub warmup_seconds: u64,
    pub percentiles: Percentiles,
    /// How far the sender fell behind its plan at worst.
    pub schedule_lag_ms_max: f64,
    pub cpu_cores: Vec<(String, f64)>,
}

/// Open loop: each command at its planned time, whatever came back so far.
pub(super) fn measure_latency(
    config: &Config,
    settings: &Settings,
    lane: &mut Lane,
    taps: &mut AuthoriseOnly,
    worker: &Worker,
) -> Outcome<LatencyRun> {
    let answers = Answers::open(&config.kafka, false).map_err(text)?;
    let stop = Arc::new(AtomicBool::new(false));
    let warm = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(AtomicU64::new(0));
    let listener = std::thread::spawn({
        let (stop, warm, seen) = (stop.clone(), warm.clone(), seen.clone());
        move || listen(answers, &stop, &warm, &seen)
    });
    let mut pace = Pace::start(settings.latency_rate);
    let warmup_seconds = warm_up(settings, &mut pace, lane, taps)?;
    warm.store(true, Ordering::Release);
    pace.lag_us_max = 0;
    let before = cpu_of(settings, Some(worker.pid()));
    let begun_ns = telemetry::steady_ns();
    for _ in 0..settings.latency_rate * settings.latency_seconds {
        pace.send(lane, taps)?;
    }
    let seconds = telemetry::seconds_since(begun_ns);
    let after = cpu_of(settings, Some(worker.pid()));
    lane.settle();
    let deadline_ms = telemetry::steady_ms() + 30_000;
    while seen.load(Ordering::Acquire) < pace.sent && telemetry::steady_ms() < deadline_ms {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Release);
    let latency = listener.join().map_err(|_| "the listener ended in a panic")??;
    if seen.load(Ordering::Acquire) < pace.sent {
        return Err(format!("{} of {} answers came", seen.load(Ordering::Acquire), pace.sent));
    }
    Ok(LatencyRun {
        rate: settings.latency_rate,
        seconds: settings.latency_seconds,
        warmup_seconds,
        percentiles: latency.percentiles(),
        schedule_lag_ms_max: pace.lag_us_max as f64 / 1_000.0,
        cpu_cores: difference(&after, &before)
            .into_iter()
            .map(|(name, used)| (name, used / seconds))
            .collect(),
    })
}

/// Commands at their planned times.
pub(super) struct Pace {
    start_us: i64,
    every_us: f64,
    sent: u64,
    /// How far it fell behind the plan at worst.
    pub lag_us_max: i64,
}

impl Pace {
    pub fn start(rate: u64) -> Self {
        let every_us = 1_000_000.0 / rate as f64;
        Self { start_us: now_us() + 10_000, every_us, sent: 0, lag_us_max: 0 }
    }

    /// When the next command is planned, however late it is sent.
    pub fn next_us(&self) -> i64 {
        self.start_us + (self.sent as f64 * self.every_us) as i64
    }

    pub fn send(&mut self, lane: &mut Lane, taps: &mut AuthoriseOnly) -> Outcome<()> {
        let planned_us = self.next_us();
        let ahead_us = planned_us - now_us();
        if ahead_us > 0 {
            std::thread::park_timeout(Duration::from_micros(ahead_us as u64));
        }
        self.lag_us_max = self.lag_us_max.max(now_us() - planned_us);
        self.sent += 1;
        let command = taps.next_at(LogTime(planned_us / 1_000));
        let ticket = lane.ticket(1);
        lane.send(&command, Some(planned_us), &ticket).map_err(text)
    }
}

/// Below this share of a core a server's compilers count as finished.
const COMPILING_CORES: f64 = 0.02;

/// Sends at the measured rate until the servers have stopped compiling; returns how long that took.
pub(super) fn warm_up(
    settings: &Settings,
    pace: &mut Pace,
    lane: &mut Lane,
    taps: &mut AuthoriseOnly,
) -> Outcome<u64> {
    let compiled =
        || settings.stack_pids.iter().map(|(_, pid)| compiler_seconds(*pid)).sum::<f64>();
    let mut seconds = 0;
    let mut before = compiled();
    while seconds < settings.warmup_seconds_max {
        for _ in 0..settings.latency_rate * WARMUP_STEP_SECONDS {
            pace.send(lane, taps)?;
        }
        seconds += WARMUP_STEP_SECONDS;
        let now = compiled();
        let is_quiet = (now - before) / (WARMUP_STEP_SECONDS as f64) < COMPILING_CORES;
        before = now;
        if is_quiet && seconds >= settings.warmup_seconds {
            break;
        }
    }
    Ok(seconds)
}

const WARMUP_STEP_SECONDS: u64 = 5;

/// Measures answers that carry a planned time; those planned before the warm-up's end are kept out.
fn listen(
    mut answers: Answers,
    stop: &AtomicBool,
    warm: &AtomicBool,
    seen: &AtomicU64,
) -> Outcome<Latency> {
    let mut latency = Latency::default();
    let mut warm_from_us = i64::MAX;
    while !stop.load(Ordering::Acquire) {
        let next = answers.next(Duration::from_millis(50)).map_err(text)?;
        if warm_from_us == i64::MAX && warm.load(Ordering::Acquire) {
            warm_from_us = now_us();
        }
        let Some((raw, _)) = next else { continue };
        let Some(planned_us) = planned_of(&raw) else { continue };
        seen.fetch_add(1, Ordering::AcqRel);
        if planned_us >= warm_from_us {
            latency.record_us(now_us() - planned_us);
        }
    }
    Ok(latency)
}

/// When a record was meant to be sent.
pub(super) fn planned_of(raw: &RawRecord) -> Option<i64> {
    raw.headers.text(PLANNED_US)?.parse().ok()
}
