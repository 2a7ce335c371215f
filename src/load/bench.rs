//! `tapline-producer bench`: the first figures, by one command, on demand.
//!
//! Owns the measurements behind docs/benchmarks.md: drain, reply latency, takeover, memory. Always
//! on real servers, everything durable, servers and load on the same machine. Each figure is printed
//! with the machine, the versions and the settings it was measured with.

use super::{
    answers::Answers,
    lane::Lane,
    latency::{Latency, Percentiles},
    machine::{Machine, Usage},
    workers::{Start, Worker},
};
use crate::adapters::kafka::{client, reader::Reader};
use crate::codec::topics::COMMANDS;
use crate::config::Config;
use crate::console::{print::say, progress::Progress};
use crate::domain::{command::AccountCommand, money::Currency, time::LogTime};
use crate::producer::{
    authorise_only::{AuthoriseOnly, OPENING_MINOR},
    crowd::{Choice, Crowd},
};
use crate::runtime::telemetry;
use serde::Serialize;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

#[derive(Clone, Debug)]
pub struct Settings {
    pub accounts: u32,
    pub drain_commands: u64,
    pub latency_rate: u64,
    pub latency_seconds: u64,
    pub warmup_seconds: u64,
    pub rounds: u32,
    pub no_bars: bool,
    pub stack_pids: Vec<(&'static str, u32)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub version: &'static str,
    pub librdkafka: String,
    pub partitions: u32,
    pub accounts: u32,
    pub settings: Vec<(String, String)>,
    pub drain: Vec<Drain>,
    pub takeover: Option<Takeover>,
    pub latency: Vec<LatencyRun>,
    pub worker_peak_mib: u64,
}

/// From the start of a worker on a full topic to the last durable effect.
#[derive(Clone, Debug, Serialize)]
pub struct Drain {
    pub commands: u64,
    /// From the first decision to the last row acknowledged.
    pub seconds: f64,
    pub commands_per_second: f64,
    /// From the start of the process, heads loaded and group joined.
    pub seconds_with_start: f64,
    pub cpu_seconds: Vec<(String, f64)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Takeover {
    pub heads: u64,
    /// From the assignment to the last head loaded, over all partitions.
    pub seconds: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct LatencyRun {
    pub rate: u64,
    pub seconds: u64,
    pub percentiles: Percentiles,
    /// How far the sender fell behind its plan at worst.
    pub schedule_lag_ms_max: f64,
    pub cpu_cores: Vec<(String, f64)>,
}

impl Report {
    /// For people; the JSON form holds everything.
    pub fn shown(&self) -> String {
        let mut lines = vec![format!(
            "{} cores ({}), {} GiB, Linux {}; tapline {}, librdkafka {}; {} partitions, {} accounts",
            self.machine.cores,
            self.machine.cpu,
            self.machine.memory_gib,
            self.machine.kernel,
            self.version,
            self.librdkafka,
            self.partitions,
            self.accounts
        )];
        for drain in &self.drain {
            lines.push(format!(
                "drain: {} commands in {:.1} s = {:.0}/s ({:.1} s with the start); CPU seconds: {}",
                drain.commands,
                drain.seconds,
                drain.commands_per_second,
                drain.seconds_with_start,
                named(&drain.cpu_seconds)
            ));
        }
        if let Some(takeover) = &self.takeover {
            lines.push(format!("takeover: {} heads in {:.2} s", takeover.heads, takeover.seconds));
        }
        for run in &self.latency {
            lines.push(format!(
                "latency at {}/s over {} s: {}; schedule lag {:.1} ms; cores: {}",
                run.rate,
                run.seconds,
                run.percentiles,
                run.schedule_lag_ms_max,
                named(&run.cpu_cores)
            ));
        }
        lines.push(format!("memory of the worker at its highest: {} MiB", self.worker_peak_mib));
        lines.join("\n")
    }
}

fn named(figures: &[(String, f64)]) -> String {
    let shown = figures.iter().map(|(name, figure)| format!("{name} {figure:.2}"));
    shown.collect::<Vec<_>>().join(", ")
}

type Outcome<T> = Result<T, String>;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Runs everything; the installation must be fresh.
pub fn run(config: &Config, settings: &Settings, folder: &Path) -> Outcome<Report> {
    let start = Start::of(config, &folder.join("worker.log")).map_err(text)?;
    let crowd = Crowd {
        run: format!("bench{}", telemetry::now_ms() / 1_000).into(),
        accounts: settings.accounts,
        currency: Currency::parse("CAD").ok_or("CAD is a currency")?,
        opening_minor: OPENING_MINOR,
        with_frozen: false,
        start: LogTime(telemetry::now_ms()),
    };
    let mut lane = Lane::open(&config.kafka).map_err(text)?;
    let mut taps = AuthoriseOnly::new(&crowd, Choice::Uniform, 7);
    say(&format!("opening {} accounts", settings.accounts));
    let mut worker = start.spawn().map_err(text)?;
    prefill(&mut lane, crowd.openings(), u64::from(settings.accounts) * 3, settings.no_bars)?;
    wait_durable(config, &mut worker, settings.no_bars)?;
    stop(&mut worker)?;

    let mut drain = Vec::new();
    let mut takeover = None;
    for round in 1..=settings.rounds {
        let total = settings.drain_commands;
        say(&format!("drain {round} of {}: writing {total} commands", settings.rounds));
        let commands = (0..total).map(|_| taps.next_at(LogTime(telemetry::now_ms())));
        prefill(&mut lane, commands, total, settings.no_bars)?;
        let (measured, loaded) = measure_drain(config, settings, &start)?;
        say(&format!("  {:.0} commands/s", measured.commands_per_second));
        drain.push(measured);
        takeover = loaded.or(takeover);
    }

    let mut latency = Vec::new();
    let mut worker = start.spawn().map_err(text)?;
    wait_durable(config, &mut worker, settings.no_bars)?;
    for round in 1..=settings.rounds {
        say(&format!(
            "latency {round} of {}: {} commands/s for {} s after {} s of warm-up",
            settings.rounds,
            settings.latency_rate,
            settings.latency_seconds,
            settings.warmup_seconds
        ));
        let run = measure_latency(config, settings, &mut lane, &mut taps, &worker)?;
        say(&format!("  {}", run.percentiles));
        latency.push(run);
    }
    let worker_peak_mib = Usage::of(worker.pid()).resident_peak_bytes >> 20;
    stop(&mut worker)?;
    Ok(Report {
        machine: Machine::here(),
        version: env!("CARGO_PKG_VERSION"),
        librdkafka: client::library_version(),
        partitions: config.kafka.partitions,
        accounts: settings.accounts,
        settings: config
            .effective()
            .iter()
            .filter(|it| it.key.starts_with("runtime.") || it.key.starts_with("kafka.linger"))
            .filter_map(|it| Some((it.key.clone(), it.value.clone()?)))
            .collect(),
        drain,
        takeover,
        latency,
        worker_peak_mib,
    })
}

fn stop(worker: &mut Worker) -> Outcome<()> {
    match worker.stop(Duration::from_secs(40)) {
        Some(status) if status.success() => Ok(()),
        _ => Err(format!("the worker did not stop well:\n{}", worker.last_lines(10))),
    }
}

/// Writes commands as fast as Kafka takes them.
fn prefill(
    lane: &mut Lane,
    commands: impl Iterator<Item = AccountCommand>,
    total: u64,
    no_bars: bool,
) -> Outcome<()> {
    let mut progress = Progress::start("write", total, no_bars);
    let before = lane.sent();
    for command in commands {
        let ticket = lane.ticket(1);
        lane.send(&command, None, &ticket).map_err(text)?;
        progress.at(lane.sent() - before, "");
    }
    lane.settle();
    progress.finish();
    Ok(())
}

/// Positions of the commands topic: (partition, end).
fn ends(config: &Config) -> Outcome<Vec<(i32, i64)>> {
    let reader = Reader::open(&config.kafka, "tapline.producer").map_err(text)?;
    let spans = reader.spans(&config.kafka.topic(COMMANDS.0)).map_err(text)?;
    Ok(spans.iter().map(|span| (span.partition, span.end)).collect())
}

/// Waits until the worker's health page says that everything written so far is durable.
fn wait_durable(config: &Config, worker: &mut Worker, no_bars: bool) -> Outcome<()> {
    let ends = ends(config)?;
    let total: i64 = ends.iter().map(|(_, end)| end).sum();
    let mut progress = Progress::start("apply", total as u64, no_bars);
    loop {
        if !worker.is_running() {
            return Err(format!("the worker ended:\n{}", worker.last_lines(10)));
        }
        let durable = worker.durable();
        let done: i64 = ends
            .iter()
            .map(|(partition, end)| durable.get(partition).copied().unwrap_or(0).min(*end))
            .sum();
        progress.at(done as u64, "durable");
        if done >= total {
            progress.finish();
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn measure_drain(
    config: &Config,
    settings: &Settings,
    start: &Start,
) -> Outcome<(Drain, Option<Takeover>)> {
    let before = cpu_of(settings, None);
    let begun_ns = telemetry::steady_ns();
    let mut worker = start.spawn().map_err(text)?;
    // The drain begins when the first head is loaded and records are taken.
    while worker.is_running() && !worker.is_taking() {
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let taking_ns = telemetry::steady_ns();
    wait_durable(config, &mut worker, settings.no_bars)?;
    let seconds = telemetry::seconds_since(taking_ns);
    let seconds_with_start = telemetry::seconds_since(begun_ns);
    let cpu_seconds = difference(&cpu_of(settings, Some(worker.pid())), &before);
    let takeover = worker.takeover().map(|(heads, seconds)| Takeover { heads, seconds });
    stop(&mut worker)?;
    let commands = settings.drain_commands;
    let drain = Drain {
        commands,
        seconds,
        commands_per_second: commands as f64 / seconds,
        seconds_with_start,
        cpu_seconds,
    };
    Ok((drain, takeover))
}

fn cpu_of(settings: &Settings, worker: Option<u32>) -> Vec<(String, f64)> {
    let servers = settings.stack_pids.iter().copied();
    let worker = worker.map(|pid| ("worker", pid));
    servers
        .chain(worker)
        .chain([("producer", std::process::id())])
        .map(|(name, pid)| (name.to_owned(), Usage::of(pid).cpu_seconds))
        .collect()
}

fn difference(after: &[(String, f64)], before: &[(String, f64)]) -> Vec<(String, f64)> {
    let was = |name: &str| before.iter().find(|(known, _)| known == name).map_or(0.0, |it| it.1);
    after.iter().map(|(name, seconds)| (name.clone(), seconds - was(name))).collect()
}

/// Open loop: each command at its planned time, whatever came back so far.
fn measure_latency(
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
    let every_us = 1_000_000.0 / settings.latency_rate as f64;
    let total = settings.latency_rate * (settings.warmup_seconds + settings.latency_seconds);
    let warmup = settings.latency_rate * settings.warmup_seconds;
    let start_us = now_us() + 10_000;
    let mut lag_us_max = 0;
    let mut before = Vec::new();
    let mut begun_ns = 0;
    for number in 0..total {
        let planned_us = start_us + (number as f64 * every_us) as i64;
        let ahead_us = planned_us - now_us();
        if ahead_us > 0 {
            std::thread::park_timeout(Duration::from_micros(ahead_us as u64));
        }
        if number == warmup {
            warm.store(true, Ordering::Release);
            lag_us_max = 0;
            before = cpu_of(settings, Some(worker.pid()));
            begun_ns = telemetry::steady_ns();
        }
        lag_us_max = lag_us_max.max(now_us() - planned_us);
        let command = taps.next_at(LogTime(planned_us / 1_000));
        let ticket = lane.ticket(1);
        lane.send(&command, Some(planned_us), &ticket).map_err(text)?;
    }
    let seconds = telemetry::seconds_since(begun_ns);
    let after = cpu_of(settings, Some(worker.pid()));
    lane.settle();
    let deadline_ms = telemetry::steady_ms() + 30_000;
    while seen.load(Ordering::Acquire) < total && telemetry::steady_ms() < deadline_ms {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Release);
    let latency = listener.join().map_err(|_| "the listener ended in a panic")??;
    if seen.load(Ordering::Acquire) < total {
        return Err(format!("{} of {total} answers came", seen.load(Ordering::Acquire)));
    }
    Ok(LatencyRun {
        rate: settings.latency_rate,
        seconds: settings.latency_seconds,
        percentiles: latency.percentiles(),
        schedule_lag_ms_max: lag_us_max as f64 / 1_000.0,
        cpu_cores: difference(&after, &before)
            .into_iter()
            .map(|(name, used)| (name, used / seconds))
            .collect(),
    })
}

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

pub(super) fn planned_of(raw: &crate::codec::raw::RawRecord) -> Option<i64> {
    raw.headers.text(crate::codec::headers::PLANNED_US)?.parse().ok()
}

/// The wall clock in microseconds: planned times cross processes.
pub(super) fn now_us() -> i64 {
    telemetry::now_us()
}
