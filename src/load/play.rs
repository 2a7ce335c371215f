//! Playing folders of real data through live topics, and judging what came back.
//!
//! Owns the player: ticks and commands in the order of the data, a bounded number of them without an
//! answer, and the listener that feeds the judges. The worker's own ticks must be off: the data's
//! days are the clock, and a clock of today would make every day of the data stale.

use super::{
    answers::Answers,
    lane::Lane,
    latency::{Latency, Percentiles},
    patience::Patience,
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::{command::Tick, event::AccountEvent, ids::AccountId};
use crate::producer::{
    Folder,
    dated::{Step, day_text},
    oracle::{Judge, OracleLine},
};
use crate::runtime::telemetry;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long answers may stay away while some are missing.
const STILL_MS_MAX: u64 = 60_000;

#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Days of log time per second; `None`: as fast as answers come.
    pub days_per_second: Option<f64>,
    /// Commands without an answer at most.
    pub unanswered_max: u64,
    pub no_bars: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { days_per_second: None, unanswered_max: 1_000, no_bars: false }
    }
}

/// What became of one folder.
pub struct Played {
    pub name: &'static str,
    pub days: String,
    pub commands: u64,
    pub decisions: u64,
    pub seconds: f64,
    /// From sending to the decision read back.
    pub latency: Percentiles,
    pub verdict: Vec<OracleLine>,
    /// Booked balance of every account in its last event.
    pub booked_minor: BTreeMap<AccountId, i64>,
}

impl Played {
    pub fn is_right(&self) -> bool {
        self.decisions >= self.commands && self.verdict.iter().all(|line| line.ok)
    }
}

/// One folder under judgement, shared by the player and the listener.
struct Trial {
    name: &'static str,
    prefix: String,
    judge: Box<dyn Judge + Send>,
    latency: Latency,
    answered: Arc<AtomicU64>,
}

/// Looked in on while a play goes on: how often workers were started again so far, after which
/// answers are waited for anew. An error ends the play.
pub type Tending<'a> = &'a mut dyn FnMut() -> Result<u32, String>;

/// Plays the folders one after the other through the same topics.
pub fn play(config: &Config, folders: &[Folder], pace: Pace) -> Result<Vec<Played>, String> {
    play_with(config, folders, pace, &mut || Ok(0))
}

/// The same, with workers that are tended meanwhile.
pub fn play_with(
    config: &Config,
    folders: &[Folder],
    pace: Pace,
    tend: Tending<'_>,
) -> Result<Vec<Played>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut lane = Lane::open(&config.kafka).map_err(|error| text(&error))?;
    let answers = Answers::open(&config.kafka, true).map_err(|error| text(&error))?;
    let trials: Vec<Trial> = folders.iter().map(Trial::of).collect();
    let answered: Vec<Arc<AtomicU64>> = trials.iter().map(|trial| trial.answered.clone()).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let listener = std::thread::spawn({
        let stop = stop.clone();
        move || listen(answers, trials, &stop)
    });
    let mut sent = Vec::new();
    let mut failure = None;
    for (folder, answered) in folders.iter().zip(&answered) {
        match send(&mut lane, folder, answered, pace, &listener, tend) {
            Ok(one) => sent.push(one),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    stop.store(true, Ordering::Release);
    let trials = listener.join().map_err(|_| "the listener ended in a panic".to_owned())??;
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(trials
        .into_iter()
        .zip(sent)
        .map(|(trial, sent)| Played {
            name: trial.name,
            days: sent.days,
            commands: sent.commands,
            decisions: trial.answered.load(Ordering::Acquire),
            seconds: sent.seconds,
            latency: trial.latency.percentiles(),
            verdict: trial.judge.verdict(),
            booked_minor: trial.judge.last_booked_minor(),
        })
        .collect())
}

struct Sent {
    days: String,
    commands: u64,
    seconds: f64,
}

type Listener = std::thread::JoinHandle<Result<Vec<Trial>, String>>;

/// Sends a folder's plan and waits for its answers.
fn send(
    lane: &mut Lane,
    folder: &Folder,
    answered: &AtomicU64,
    pace: Pace,
    listener: &Listener,
    tend: Tending<'_>,
) -> Result<Sent, String> {
    let plan = folder.play();
    let (first, last) = plan.days();
    let days = format!("{} to {}", day_text(first), day_text(last));
    let total = plan.commands_left() as u64;
    let mut progress = Progress::start(folder.name(), total, pace.no_bars);
    let begun_ns = telemetry::steady_ns();
    let mut commands = 0;
    let mut day = String::new();
    let mut days_played = 0_u32;
    for step in plan {
        match step {
            Step::Tick(time) => {
                day = day_text(time);
                lane.tick(Tick { time, rules_version: 1, logic_version: 1 })
                    .map_err(|error| error.to_string())?;
                if let Some(rate) = pace.days_per_second {
                    wait_until(begun_ns, f64::from(days_played) / rate, tend)?;
                }
                days_played += 1;
            }
            Step::Command(command) => {
                let ticket = lane.ticket(1);
                lane.send(&command, Some(telemetry::now_us()), &ticket)
                    .map_err(|error| error.to_string())?;
                commands += 1;
            }
        }
        wait_for(answered, commands, pace.unanswered_max, listener, &mut progress, &day, tend)?;
    }
    // Answers of an earlier play of the same data count too: they must not end this one unsent.
    lane.settle();
    let note = "waiting for the last answers";
    wait_for(answered, commands, 1, listener, &mut progress, note, tend)?;
    let seconds = telemetry::seconds_since(begun_ns);
    progress.finish();
    Ok(Sent { days, commands, seconds })
}

fn wait_until(begun_ns: u64, seconds: f64, tend: Tending<'_>) -> Result<(), String> {
    loop {
        let ahead = seconds - telemetry::seconds_since(begun_ns);
        if ahead <= 0.0 {
            return Ok(());
        }
        tend()?;
        std::thread::park_timeout(Duration::from_secs_f64(ahead.min(0.1)));
    }
}

/// Waits while too many commands have no answer; gives up when none comes for a minute.
fn wait_for(
    answered: &AtomicU64,
    sent: u64,
    unanswered_max: u64,
    listener: &Listener,
    progress: &mut Progress,
    note: &str,
    tend: Tending<'_>,
) -> Result<(), String> {
    let mut patience = Patience::new();
    loop {
        let now = answered.load(Ordering::Acquire);
        progress.at(now, note);
        if sent < now + unanswered_max {
            return Ok(());
        }
        // Not before each command: a worker that is missed lets answers stay away.
        let restarts = tend()?;
        let still_ms = patience.still_ms((now, restarts), telemetry::steady_ms());
        if listener.is_finished() || still_ms > STILL_MS_MAX {
            return Err(format!(
                "{now} of {sent} commands are answered and none for a minute: does a worker run on \
                 these topics, with runtime.ticks=off?"
            ));
        }
        std::thread::park_timeout(Duration::from_micros(500));
    }
}

impl Trial {
    fn of(folder: &Folder) -> Self {
        Self {
            name: folder.name(),
            prefix: format!("{}-", folder.name()),
            judge: folder.judge(),
            latency: Latency::default(),
            answered: Arc::default(),
        }
    }

    fn take(&mut self, event: &AccountEvent, planned_us: Option<i64>) {
        self.judge.observe(event);
        if event.message_id.is_some() {
            if let Some(planned_us) = planned_us {
                self.latency.record_us(telemetry::now_us() - planned_us);
            }
            self.answered.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Gives each event to the trial whose accounts it concerns.
fn listen(
    mut answers: Answers,
    mut trials: Vec<Trial>,
    stop: &AtomicBool,
) -> Result<Vec<Trial>, String> {
    while !stop.load(Ordering::Acquire) {
        let next = answers.next(Duration::from_millis(20)).map_err(|error| error.to_string())?;
        let Some((raw, event)) = next else { continue };
        let of = |trial: &&mut Trial| event.account_id.as_str().starts_with(&trial.prefix);
        if let Some(trial) = trials.iter_mut().find(of) {
            trial.take(&event, super::open_loop::planned_of(&raw));
        }
    }
    Ok(trials)
}
