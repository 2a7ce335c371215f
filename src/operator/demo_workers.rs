//! The demo's workers: how they are started, and when they are ready to be played to.
//!
//! Owns what they run and where the first of them serves the feed's page. Never whether one that
//! ended is started again: `load::crew` decides that.

use super::{demo::DemoArgs, demo_phones::Phones, print::say};
use crate::config::Config;
use crate::load::{
    crew::Crew,
    workers::{Start, Worker},
};
use crate::runtime::telemetry;
use crate::worker::EXIT_FAILED;
use std::time::Duration;

/// What they run.
const STAGES: [&str; 5] = ["authorisation", "posting", "windows", "feed", "push"];

/// Where the first worker serves the feed's page, if nobody else does.
const PAGE: &str = "127.0.0.1:8080";

/// Errors: exit code.
pub fn start(config: &Config, args: &DemoArgs, phones: &Phones) -> Result<Crew, i32> {
    let failed = |error: std::io::Error| {
        say(&format!("a worker could not be started: {error}"));
        EXIT_FAILED
    };
    let mut starts = Vec::new();
    for number in 1..=args.workers {
        let log = args.home.join(format!("worker-{number}.log"));
        let start = Start::of(config, &log).map_err(failed)?.with("runtime.ticks", "off");
        let start = phones.lead(start.with("worker.stages", STAGES.join(",")));
        starts.push(if number == 1 { start.with("api.listen", page()) } else { start });
    }
    Crew::start(starts).map_err(failed)
}

/// The usual address of the page, or a free one where that is taken.
fn page() -> &'static str {
    if std::net::TcpListener::bind(PAGE).is_ok() { PAGE } else { "127.0.0.1:0" }
}

/// Waits until every partition of every stage has an owner that has loaded it, so that the figures
/// are not those of the start. What is slow to come shows itself when the play gets no answers.
/// Errors: a worker ended for good.
pub fn await_owners(config: &Config, crew: &mut Crew) -> Result<(), String> {
    let deadline_ms = telemetry::steady_ms() + 60_000;
    let partitions = config.kafka.partitions as usize * STAGES.len();
    while telemetry::steady_ms() < deadline_ms {
        crew.tend()?;
        if crew.taken() >= partitions && crew.workers.iter_mut().all(Worker::is_taking) {
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Ok(())
}
