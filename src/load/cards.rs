//! The `cards` scenario, live: synthetic taps at a planned rate, answers measured from the plan.
//!
//! Owns the open loop: every arrival has its time, whatever came back so far. Falling behind shows
//! as schedule lag and marks the run saturated; it never slows the plan. The tally judges the run.

use super::{
    answers::Answers,
    journal::Journal,
    lane::Lane,
    latency::{Latency, Percentiles},
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::{command::AccountCommand, time::LogTime};
use crate::producer::{
    cards::{Cards, Settings},
    oracle::{Judge, OracleLine},
    samples::Samples,
    tally::Tally,
};
use crate::runtime::telemetry::{self, now_us};
use rand::SeedableRng;
use rand_distr::{Distribution, Exp1};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Behind the plan by more than this, a run counts as saturated.
const SATURATED_MS: f64 = 250.0;

#[derive(Clone, Debug)]
pub struct Plan {
    pub settings: Settings,
    pub samples: Samples,
    /// Arrivals per second.
    pub rate: f64,
    pub seconds: f64,
    /// Arrivals of this time are sent and judged but not measured.
    pub warmup_seconds: f64,
    /// Gaps drawn from the exponential distribution instead of equal ones.
    pub is_poisson: bool,
    pub journal: Option<PathBuf>,
    /// How long answers may take after the last command.
    pub patience: Duration,
    pub no_bars: bool,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct Run {
    pub commands: u64,
    pub answered: u64,
    pub seconds: f64,
    pub commands_per_second: f64,
    pub percentiles: Percentiles,
    pub schedule_lag_ms_max: f64,
    pub is_saturated: bool,
    /// Events that were published more than once (a worker was taken over).
    pub repeats: u64,
    #[serde(skip)]
    pub verdict: Vec<OracleLine>,
}

impl Run {
    pub fn is_right(&self) -> bool {
        self.verdict.iter().all(|line| line.ok)
    }
}

struct Shared {
    tally: Mutex<Tally>,
    stop: AtomicBool,
    answered: AtomicU64,
    repeats: AtomicU64,
    /// Planned times below this are not measured.
    measured_from_us: AtomicI64,
}

impl Shared {
    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub fn run(config: &Config, plan: Plan) -> Result<Run, String> {
    let mut lane = Lane::open(&config.kafka).map_err(|error| error.to_string())?;
    let answers = Answers::open(&config.kafka, false).map_err(|error| error.to_string())?;
    let mut journal = match &plan.journal {
        Some(path) => Some(
            Journal::create(path, lane.partitions())
                .map_err(|error| format!("{}: {error}", path.display()))?,
        ),
        None => None,
    };
    let shared = Arc::new(Shared {
        tally: Mutex::new(Tally::new()),
        stop: AtomicBool::new(false),
        answered: AtomicU64::new(0),
        repeats: AtomicU64::new(0),
        measured_from_us: AtomicI64::new(i64::MAX),
    });
    let listener = std::thread::spawn({
        let shared = shared.clone();
        move || listen(answers, &shared)
    });
    let mut cards = Cards::new(plan.settings.clone(), plan.samples.clone());
    let outcome = open_accounts(&mut lane, &cards, &shared, &mut journal, &plan)
        .and_then(|()| tap(&mut lane, &mut cards, &shared, &mut journal, &plan));
    if outcome.is_ok() {
        wait_complete(&shared, plan.patience);
    }
    shared.stop.store(true, Ordering::Release);
    let latency = listener.join().map_err(|_| "the listener ended in a panic".to_owned())??;
    let sent = outcome?;
    if let Some(journal) = journal {
        journal.finish().map_err(|error| error.to_string())?;
    }
    let verdict = shared.tally().verdict();
    Ok(Run {
        commands: sent.commands,
        answered: shared.answered.load(Ordering::Acquire),
        seconds: sent.seconds,
        commands_per_second: sent.commands as f64 / sent.seconds,
        percentiles: latency.percentiles(),
        schedule_lag_ms_max: sent.lag_ms_max,
        is_saturated: sent.lag_ms_max > SATURATED_MS,
        repeats: shared.repeats.load(Ordering::Acquire),
        verdict,
    })
}

/// Sends commands that are due: journal first, then the tally, then the log.
fn send_all(
    lane: &mut Lane,
    shared: &Shared,
    journal: &mut Option<Journal>,
    due: &mut Vec<(AccountCommand, i64)>,
) -> Result<(), String> {
    if let Some(journal) = journal {
        journal.plan(due).map_err(|error| format!("the journal cannot be written: {error}"))?;
    }
    {
        let mut tally = shared.tally();
        due.iter().for_each(|(command, _)| tally.sent(command));
    }
    for (command, planned_us) in due.drain(..) {
        let ticket = match journal {
            Some(journal) => lane.noting(journal.noter(&command, planned_us)),
            None => lane.ticket(1),
        };
        lane.send(&command, Some(planned_us), &ticket).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn open_accounts(
    lane: &mut Lane,
    cards: &Cards,
    shared: &Shared,
    journal: &mut Option<Journal>,
    plan: &Plan,
) -> Result<(), String> {
    let mut progress = Progress::start("open", 0, plan.no_bars);
    let mut due = Vec::new();
    for command in cards.openings() {
        due.push((command, now_us()));
        if due.len() >= 500 {
            send_all(lane, shared, journal, &mut due)?;
        }
    }
    send_all(lane, shared, journal, &mut due)?;
    let deadline_ms = telemetry::steady_ms() + plan.patience.as_millis() as u64;
    loop {
        let unanswered = shared.tally().unanswered();
        progress.at(shared.answered.load(Ordering::Acquire), "openings answered");
        if unanswered == 0 {
            progress.finish();
            return Ok(());
        }
        if telemetry::steady_ms() > deadline_ms {
            return Err(format!(
                "{unanswered} openings have no answer after {} s: does a worker run on these topics?",
                plan.patience.as_secs()
            ));
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

struct Sent {
    commands: u64,
    seconds: f64,
    lag_ms_max: f64,
}

/// The open loop.
fn tap(
    lane: &mut Lane,
    cards: &mut Cards,
    shared: &Shared,
    journal: &mut Option<Journal>,
    plan: &Plan,
) -> Result<Sent, String> {
    let total = (plan.rate * (plan.seconds + plan.warmup_seconds)) as u64;
    let mut gaps = rand_chacha::ChaCha8Rng::seed_from_u64(plan.settings.seed ^ 0x67617073);
    let mut progress = Progress::start("taps", total, plan.no_bars);
    let start_us = now_us() + 20_000;
    shared.measured_from_us.store(start_us + (plan.warmup_seconds * 1e6) as i64, Ordering::Release);
    let begun_ns = telemetry::steady_ns();
    let mut due = Vec::new();
    let (mut planned, mut sent, mut lag_us_max) = (start_us as f64, 0, 0);
    while sent < total {
        let now = now_us();
        while sent + (due.len() as u64) < total && planned <= now as f64 && due.len() < 256 {
            let command = cards.next_at(LogTime(planned as i64 / 1_000));
            due.push((command, planned as i64));
            let gap: f64 = if plan.is_poisson { Exp1.sample(&mut gaps) } else { 1.0 };
            planned += gap * 1e6 / plan.rate;
        }
        if due.is_empty() {
            let ahead_us = (planned - now as f64).clamp(50.0, 10_000.0);
            std::thread::park_timeout(Duration::from_micros(ahead_us as u64));
            continue;
        }
        lag_us_max = lag_us_max.max(now - due[0].1);
        sent += due.len() as u64;
        send_all(lane, shared, journal, &mut due)?;
        let in_flight = lane.sent() - lane.acked();
        progress.at(sent, &format!("{in_flight} in flight"));
    }
    lane.settle();
    progress.finish();
    let seconds = telemetry::seconds_since(begun_ns);
    Ok(Sent { commands: sent, seconds, lag_ms_max: lag_us_max as f64 / 1_000.0 })
}

fn wait_complete(shared: &Shared, patience: Duration) {
    let deadline_ms = telemetry::steady_ms() + patience.as_millis() as u64;
    while !shared.tally().is_complete() && telemetry::steady_ms() < deadline_ms {
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn listen(mut answers: Answers, shared: &Shared) -> Result<Latency, String> {
    let mut latency = Latency::default();
    while !shared.stop.load(Ordering::Acquire) {
        let next = answers.next(Duration::from_millis(20)).map_err(|error| error.to_string())?;
        let Some((raw, event)) = next else { continue };
        if let Some(planned_us) = super::open_loop::planned_of(&raw)
            && event.message_id.is_some()
            && planned_us >= shared.measured_from_us.load(Ordering::Acquire)
        {
            latency.record_us(now_us() - planned_us);
        }
        shared.tally().observe(&event);
        shared.answered.fetch_add(u64::from(event.message_id.is_some()), Ordering::AcqRel);
        shared.repeats.store(answers.repeats(), Ordering::Release);
    }
    Ok(latency)
}
