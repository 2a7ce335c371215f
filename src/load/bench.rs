//! `tapline-producer bench`: the first figures, by one command, on demand.
//!
//! Owns the measurements behind docs/benchmarks.md: drain, reply latency, takeover, memory. Always
//! on real servers, everything durable, servers and load on the same machine. Each figure is printed
//! with the machine, the versions and the settings it was measured with.

use super::{
    lane::Lane,
    machine::{Machine, Usage},
    open_loop::{LatencyRun, measure_latency},
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
use crate::stages::Topic;
use crate::stages::{Stage, authorisation::Authorisation};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path, time::Duration};

#[derive(Clone, Debug)]
pub struct Settings {
    pub accounts: u32,
    pub drain_commands: u64,
    pub latency_rate: u64,
    pub latency_seconds: u64,
    /// At least this long, and until the servers have stopped compiling.
    pub warmup_seconds: u64,
    pub warmup_seconds_max: u64,
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
                "latency at {}/s over {} s after {} s: {}; schedule lag {:.1} ms; cores: {}",
                run.rate,
                run.seconds,
                run.warmup_seconds,
                run.percentiles,
                run.schedule_lag_ms_max,
                named(&run.cpu_cores)
            ));
        }
        lines.push(format!("memory of the worker at its highest: {} MiB", self.worker_peak_mib));
        lines.join("\n")
    }
}

pub(super) fn named(figures: &[(String, f64)]) -> String {
    let shown = figures.iter().map(|(name, figure)| format!("{name} {figure:.2}"));
    shown.collect::<Vec<_>>().join(", ")
}

pub(super) type Outcome<T> = Result<T, String>;

pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Accounts of a run of their own.
pub(super) fn crowd(accounts: u32) -> Outcome<Crowd> {
    Ok(Crowd {
        run: format!("bench{}", telemetry::now_ms() / 1_000).into(),
        accounts,
        currency: Currency::parse("CAD").ok_or("CAD is a currency")?,
        opening_minor: OPENING_MINOR,
        with_frozen: false,
        start: now(),
    })
}

pub(super) fn now() -> LogTime {
    LogTime(telemetry::now_ms())
}

/// Runs everything; the installation must be fresh.
pub fn run(config: &Config, settings: &Settings, folder: &Path) -> Outcome<Report> {
    let start = Start::of(config, &folder.join("worker.log")).map_err(text)?;
    let crowd = crowd(settings.accounts)?;
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
        let commands = (0..total).map(|_| taps.next_at(now()));
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
            "latency {round} of {}: {} commands/s for {} s after {} to {} s of warm-up",
            settings.rounds,
            settings.latency_rate,
            settings.latency_seconds,
            settings.warmup_seconds,
            settings.warmup_seconds_max
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

pub(super) fn stop(worker: &mut Worker) -> Outcome<()> {
    match worker.stop(Duration::from_secs(40)) {
        Some(status) if status.success() => Ok(()),
        _ => Err(format!("the worker did not stop well:\n{}", worker.last_lines(10))),
    }
}

/// Writes commands as fast as Kafka takes them.
pub(super) fn prefill(
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

/// Ends of a topic by partition.
pub(super) fn ends_of(config: &Config, topic: Topic) -> Outcome<BTreeMap<i32, i64>> {
    let reader = Reader::open(&config.kafka, "tapline.producer").map_err(text)?;
    let spans = reader.spans(&config.kafka.topic(topic.0)).map_err(text)?;
    Ok(spans.iter().map(|span| (span.partition, span.end)).collect())
}

/// Waits until the worker's health page says that everything written so far is durable.
pub(super) fn wait_durable(config: &Config, worker: &mut Worker, no_bars: bool) -> Outcome<()> {
    let ends = ends_of(config, COMMANDS)?;
    let total: i64 = ends.values().sum();
    let mut progress = Progress::start("apply", total as u64, no_bars);
    loop {
        if !worker.is_running() {
            return Err(format!("the worker ended:\n{}", worker.last_lines(10)));
        }
        let durable = worker.durable();
        let reached = |partition: i32| {
            let place = (Authorisation::NAME.to_owned(), partition);
            durable.get(&place).copied().unwrap_or(0)
        };
        let done: i64 = ends.iter().map(|(partition, end)| reached(*partition).min(*end)).sum();
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

pub(super) fn cpu_of(settings: &Settings, worker: Option<u32>) -> Vec<(String, f64)> {
    let servers = settings.stack_pids.iter().copied();
    let worker = worker.map(|pid| ("worker", pid));
    servers
        .chain(worker)
        .chain([("producer", std::process::id())])
        .map(|(name, pid)| (name.to_owned(), Usage::of(pid).cpu_seconds))
        .collect()
}

pub(super) fn difference(after: &[(String, f64)], before: &[(String, f64)]) -> Vec<(String, f64)> {
    let was = |name: &str| before.iter().find(|(known, _)| known == name).map_or(0.0, |it| it.1);
    after.iter().map(|(name, seconds)| (name.clone(), seconds - was(name))).collect()
}
