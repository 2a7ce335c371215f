//! Feed and push under load: how fast the feed drains, and how long a tap takes to a phone.
//!
//! Owns both measurements. The drain: events written before, then a worker that runs the feed alone,
//! until the last row of a customer is acknowledged. The way to the phone: every stage running, taps
//! at their planned times, and the time at which a fake gateway of this process holds the request.

use super::{
    bench::{self, Drain, Outcome, Settings, cpu_of, difference, text},
    lane::Lane,
    latency::{Latency, Percentiles},
    machine::Machine,
    open_loop::{Pace, planned_of, warm_up},
    workers::{Start, Worker},
};
use crate::adapters::{
    cassandra::{push_targets::PushTargets, session},
    kafka::reader::Reader,
};
use crate::codec::topics::{EVENTS, FEED_ITEMS};
use crate::config::Config;
use crate::console::print::say;
use crate::domain::{ids::CustomerId, push::Platform};
use crate::fake_gateway::{FakeGateway, Keys, Options, WEBHOOK_SECRET};
use crate::producer::{
    authorise_only::AuthoriseOnly,
    crowd::{Choice, Crowd},
};
use crate::runtime::telemetry;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Duration,
};

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub version: &'static str,
    pub partitions: u32,
    pub accounts: u32,
    /// Events of the feed's input a second.
    pub feed: Vec<Drain>,
    pub push: Vec<PushRun>,
}

/// From the planned time of a tap to the request at the gateway.
#[derive(Clone, Debug, Serialize)]
pub struct PushRun {
    pub rate: u64,
    pub seconds: u64,
    pub warmup_seconds: u64,
    pub taps: u64,
    pub pushes: u64,
    pub percentiles: Percentiles,
    pub schedule_lag_ms_max: f64,
    pub cpu_cores: Vec<(String, f64)>,
    pub worker_peak_mib: u64,
}

impl Report {
    /// For people; the JSON form holds everything.
    pub fn shown(&self) -> String {
        let machine = &self.machine;
        let mut lines = vec![format!(
            "{} cores ({}), {} GiB, Linux {}; tapline {}; {} partitions, {} accounts",
            machine.cores,
            machine.cpu,
            machine.memory_gib,
            machine.kernel,
            self.version,
            self.partitions,
            self.accounts
        )];
        lines.extend(self.feed.iter().map(|drain| {
            format!(
                "feed alone: {} events in {:.1} s = {:.0}/s; CPU seconds: {}",
                drain.commands,
                drain.seconds,
                drain.commands_per_second,
                bench::named(&drain.cpu_seconds)
            )
        }));
        lines.extend(self.push.iter().map(|run| {
            format!(
                "tap to push request at {}/s over {} s after {} s, every stage running: {}; {} of {} \
                 taps pushed; schedule lag {:.1} ms; cores: {}; worker {} MiB",
                run.rate,
                run.seconds,
                run.warmup_seconds,
                run.percentiles,
                run.pushes,
                run.taps,
                run.schedule_lag_ms_max,
                bench::named(&run.cpu_cores),
                run.worker_peak_mib
            )
        }));
        lines.join("\n")
    }
}

/// Runs both; the installation must be fresh.
pub fn run(config: &Config, settings: &Settings, folder: &Path) -> Outcome<Report> {
    let crowd = bench::crowd(settings.accounts)?;
    let mut lane = Lane::open(&config.kafka).map_err(text)?;
    let mut taps = AuthoriseOnly::new(&crowd, Choice::Uniform, 7);
    let start = Start::of(config, &folder.join("worker.log")).map_err(text)?;
    let mut feed = Vec::new();
    say(&format!("opening {} accounts", settings.accounts));
    bench::prefill(
        &mut lane,
        crowd.openings(),
        u64::from(settings.accounts) * 4,
        settings.no_bars,
    )?;
    for round in 1..=settings.rounds {
        let total = settings.drain_commands;
        say(&format!("feed {round} of {}: writing events of {total} taps", settings.rounds));
        let commands = (0..total).map(|_| taps.next_at(bench::now()));
        bench::prefill(&mut lane, commands, total, settings.no_bars)?;
        let mut worker =
            start.clone().with("worker.stages", "authorisation").spawn().map_err(text)?;
        bench::wait_durable(config, &mut worker, settings.no_bars)?;
        bench::stop(&mut worker)?;
        let drain = drain_feed(config, settings, &start)?;
        say(&format!("  {:.0} events/s", drain.commands_per_second));
        feed.push(drain);
    }
    let push = measure_pushes(config, settings, folder, (&crowd, &mut taps, &mut lane), start)?;
    Ok(Report {
        machine: Machine::here(),
        version: env!("CARGO_PKG_VERSION"),
        partitions: config.kafka.partitions,
        accounts: settings.accounts,
        feed,
        push,
    })
}

/// From the first record taken to the last row and offset durable.
fn drain_feed(config: &Config, settings: &Settings, start: &Start) -> Outcome<Drain> {
    let group = config.kafka.group("feed");
    let begun: i64 = committed(config, &group)?;
    let ends = bench::ends_of(config, EVENTS)?;
    let before = cpu_of(settings, None);
    let begun_ns = telemetry::steady_ns();
    let mut worker = start.clone().with("worker.stages", "feed").spawn().map_err(text)?;
    while worker.is_running() && !worker.is_taking() {
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let taking_ns = telemetry::steady_ns();
    await_stage(&mut worker, "feed", &ends)?;
    let seconds = telemetry::seconds_since(taking_ns);
    let seconds_with_start = telemetry::seconds_since(begun_ns);
    let cpu_seconds = difference(&cpu_of(settings, Some(worker.pid())), &before);
    bench::stop(&mut worker)?;
    let events = ends.values().sum::<i64>() - begun;
    let commands = events.unsigned_abs();
    let commands_per_second = commands as f64 / seconds;
    Ok(Drain { commands, seconds, commands_per_second, seconds_with_start, cpu_seconds })
}

/// Sum of a group's offsets on the events topic.
fn committed(config: &Config, group: &str) -> Outcome<i64> {
    let reader = Reader::open(&config.kafka, group).map_err(text)?;
    let topic = config.kafka.topic(EVENTS.0);
    let partitions: Vec<i32> = (0..config.kafka.partitions as i32).collect();
    let offsets = reader.committed(&topic, &partitions).map_err(text)?;
    Ok(offsets.into_iter().flatten().sum())
}

/// Waits until a stage's rows and outputs are durable through the ends.
fn await_stage(worker: &mut Worker, stage: &str, ends: &BTreeMap<i32, i64>) -> Outcome<()> {
    loop {
        if !worker.is_running() {
            return Err(format!("the worker ended:\n{}", worker.last_lines(10)));
        }
        let durable = worker.durable();
        let is_through = |(partition, end): (&i32, &i64)| {
            durable.get(&(stage.to_owned(), *partition)).is_some_and(|offset| offset >= end)
        };
        if ends.iter().all(is_through) {
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Puts the push stage at the end of the feed: nobody is told of what the drain wrote.
fn pass_over_items(config: &Config) -> Outcome<()> {
    let reader = Reader::open(&config.kafka, &config.kafka.group("push")).map_err(text)?;
    let topic = config.kafka.topic(FEED_ITEMS.0);
    for (partition, end) in bench::ends_of(config, FEED_ITEMS)? {
        reader.commit(&topic, partition, end).map_err(text)?;
    }
    Ok(())
}

type Source<'a> = (&'a Crowd, &'a mut AuthoriseOnly, &'a mut Lane);

fn measure_pushes(
    config: &Config,
    settings: &Settings,
    folder: &Path,
    (crowd, taps, lane): Source,
    start: Start,
) -> Outcome<Vec<PushRun>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(text)?;
    let keys = Keys::write(&folder.join("gateway")).map_err(text)?;
    let webhook_secrets = vec![WEBHOOK_SECRET.to_owned()];
    let options = Options { keys: Some(keys.clone()), webhook_secrets, ..Options::default() };
    let gateway = runtime.block_on(FakeGateway::start(options)).map_err(text)?;
    say(&format!("giving {} customers a phone", crowd.accounts));
    runtime.block_on(give_phones(config, crowd, &gateway))?;
    let mut start = start.with("worker.stages", "all").with("push.mode", "live");
    for (key, value) in keys.config(gateway.address) {
        start = match key == "push.webhook_secrets" {
            true => start.in_environment("TAPLINE_PUSH__WEBHOOK_SECRETS", &value),
            false => start.with(key, value),
        };
    }
    pass_over_items(config)?;
    let mut worker = start.spawn().map_err(text)?;
    bench::wait_durable(config, &mut worker, settings.no_bars)?;
    await_stage(&mut worker, "feed", &bench::ends_of(config, EVENTS)?)?;
    await_stage(&mut worker, "posting", &bench::ends_of(config, EVENTS)?)?;
    let mut runs = Vec::new();
    for round in 1..=settings.rounds {
        say(&format!("push {round} of {}: {} taps/s", settings.rounds, settings.latency_rate));
        let run = measure_one(config, settings, (&gateway, &mut worker), (taps, lane))?;
        say(&format!("  {}", run.percentiles));
        runs.push(run);
    }
    bench::stop(&mut worker)?;
    Ok(runs)
}

fn measure_one(
    config: &Config,
    settings: &Settings,
    (gateway, worker): (&FakeGateway, &mut Worker),
    (taps, lane): (&mut AuthoriseOnly, &mut Lane),
) -> Outcome<PushRun> {
    let items_before = bench::ends_of(config, FEED_ITEMS)?;
    let mut pace = Pace::start(settings.latency_rate);
    let warmup_seconds = warm_up(settings, &mut pace, lane, taps)?;
    // A backlog of a machine that was still compiling is not the rate's.
    lane.settle();
    await_stage(worker, "feed", &bench::ends_of(config, EVENTS)?)?;
    await_stage(worker, "push", &bench::ends_of(config, FEED_ITEMS)?)?;
    let mut pace = Pace::start(settings.latency_rate);
    let first_us = pace.next_us();
    let before = cpu_of(settings, Some(worker.pid()));
    let begun_ns = telemetry::steady_ns();
    let taps_measured = settings.latency_rate * settings.latency_seconds;
    for _ in 0..taps_measured {
        pace.send(lane, taps)?;
    }
    let seconds = telemetry::seconds_since(begun_ns);
    let after = cpu_of(settings, Some(worker.pid()));
    lane.settle();
    let planned = planned_times(config, &items_before, taps_measured, first_us)?;
    let (mut latency, mut pushes) = (Latency::default(), 0);
    let deadline_ms = telemetry::steady_ms() + 30_000;
    let mut first: HashMap<String, i64> = HashMap::new();
    while first.len() < planned.len() && telemetry::steady_ms() < deadline_ms {
        first.clear();
        for entry in gateway.journal() {
            let id = entry.key.rsplit_once(':').map_or("", |(id, _)| id);
            if planned.contains_key(id) {
                let at_us = first.entry(id.to_owned()).or_insert(entry.received_us);
                *at_us = entry.received_us.min(*at_us);
            }
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
    for (id, received_us) in &first {
        latency.record_us(received_us - planned[id]);
        pushes += 1;
    }
    if pushes < planned.len() as u64 {
        return Err(format!("{pushes} of {} pushes came to the gateway", planned.len()));
    }
    let worker_peak_mib = super::machine::Usage::of(worker.pid()).resident_peak_bytes >> 20;
    Ok(PushRun {
        rate: settings.latency_rate,
        seconds: settings.latency_seconds,
        warmup_seconds,
        taps: taps_measured,
        pushes,
        percentiles: latency.percentiles(),
        schedule_lag_ms_max: pace.lag_us_max as f64 / 1_000.0,
        cpu_cores: difference(&after, &before)
            .into_iter()
            .map(|(name, used)| (name, used / seconds))
            .collect(),
        worker_peak_mib,
    })
}

/// Planned time by obligation, of the items that came of taps planned from `first_us` on; waits until
/// all are there.
fn planned_times(
    config: &Config,
    from: &BTreeMap<i32, i64>,
    taps: u64,
    first_us: i64,
) -> Outcome<HashMap<String, i64>> {
    let reader = Reader::open(&config.kafka, "tapline.producer").map_err(text)?;
    let starts: Vec<(i32, i64)> = from.iter().map(|(partition, at)| (*partition, *at)).collect();
    reader.assign(&config.kafka.topic(FEED_ITEMS.0), &starts).map_err(text)?;
    let mut planned = HashMap::new();
    let deadline_ms = telemetry::steady_ms() + 60_000;
    while (planned.len() as u64) < taps {
        if telemetry::steady_ms() > deadline_ms {
            return Err(format!("{} of {taps} taps came to the feed", planned.len()));
        }
        let Some((_, raw)) = reader.next(Duration::from_millis(200)).map_err(text)? else {
            continue;
        };
        let (Some(at_us), Some(id)) = (planned_of(&raw), raw.source()) else { continue };
        if at_us >= first_us {
            planned.insert(id.to_string(), at_us);
        }
    }
    Ok(planned)
}

/// A device for each customer, on the four platforms by turns.
async fn give_phones(config: &Config, crowd: &Crowd, gateway: &FakeGateway) -> Outcome<()> {
    let session = session::connect(&config.cassandra).await.map_err(text)?;
    let targets =
        PushTargets::open(session.into(), &config.cassandra.keyspace).await.map_err(text)?;
    let puts = stream::iter(0..crowd.accounts).map(|index| {
        let platform = Platform::ALL[index as usize % Platform::ALL.len()];
        let device = gateway.device(platform, &format!("phone-{index}"));
        let (customer, targets): (CustomerId, _) = (crowd.customer(index), &targets);
        async move { targets.put_device(&customer, &device).await }
    });
    let mut puts = puts.buffer_unordered(64);
    while let Some(put) = puts.next().await {
        put.map_err(text)?;
    }
    Ok(())
}
