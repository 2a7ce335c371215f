//! A load of synthetic cards on a case's own topics, and the auditor behind it.
//!
//! Owns the load's settings, its start in a thread, the tally's verdict, and the auditor as a child
//! process. Decides nothing about faults: cases do.

use super::{
    ground::{Site, until},
    watch,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    thread::JoinHandle,
    time::Duration,
};
use tapline::domain::{money::Currency, time::LogTime};
use tapline::load::cards::{self, Plan, Run};
use tapline::producer::{
    cards::Settings,
    crowd::{Choice, Crowd},
    life::Mix,
    samples::Samples,
};
use tapline::runtime::telemetry;

const ACCOUNTS: u32 = 500;

/// Accounts under names that no other load has.
pub fn crowd(accounts: u32) -> Crowd {
    Crowd {
        run: format!("k{}", telemetry::now_ms()).into(),
        accounts,
        currency: Currency::parse("CAD").expect("CAD is a currency"),
        opening_minor: 5_000_000,
        with_frozen: true,
        start: LogTime(telemetry::now_ms()),
    }
}

pub struct Load {
    run: JoinHandle<Result<Run, String>>,
    pub journal: PathBuf,
    commands_before: i64,
}

impl Load {
    /// Starts the scenario `cards`; returns once its accounts are opened and it taps.
    pub fn start(site: &Site, seed: u64, rate: f64, seconds: f64) -> Self {
        Self::of(crowd(ACCOUNTS), site, seed, rate, seconds)
    }

    pub fn of(crowd: Crowd, site: &Site, seed: u64, rate: f64, seconds: f64) -> Self {
        let journal = site.folder.join("journal.jsonl");
        let openings = crowd.openings().count() as i64;
        let plan = Plan {
            settings: Settings {
                crowd,
                choice: Choice::Zipf(0.99),
                mix: Mix::default(),
                seed,
                day_ms: 500,
                spacing_us: 0,
            },
            samples: Samples::few(),
            rate,
            seconds,
            warmup_seconds: 0.0,
            is_poisson: true,
            journal: Some(journal.clone()),
            patience: Duration::from_secs(120),
            no_bars: true,
        };
        let commands_before = ends(site);
        let config = site.config.clone();
        let run = std::thread::spawn(move || cards::run(&config, plan));
        let load = Self { run, journal, commands_before };
        until("the load begins", 120, || {
            let written = ends(site) - load.commands_before;
            match written > openings + 500 || load.run.is_finished() {
                true => Ok(()),
                false => Err(format!("{written} records written, {openings} of them openings")),
            }
        });
        load
    }

    pub fn is_finished(&self) -> bool {
        self.run.is_finished()
    }

    /// Waits for the end; every line of the verdict must be right.
    pub fn judge(self) -> Run {
        let run = self.run.join().expect("the load does not panic");
        let run = run.unwrap_or_else(|reason| panic!("the load failed: {reason}"));
        for line in &run.verdict {
            assert!(line.ok, "{}: {} not {}", line.name, line.found, line.expected);
        }
        assert!(run.verdict.len() > 5, "the verdict has only {} lines", run.verdict.len());
        run
    }
}

fn ends(site: &Site) -> i64 {
    watch::spans(site, &site.commands()).iter().map(|span| span.end).sum()
}

/// The auditor's exit code must be 0; `more`: further flags. Prints its summary.
pub fn audit(site: &Site, journal: Option<&Path>, expect: u64, more: &[&str]) {
    let kafka = &site.config.kafka;
    let audited = Command::new(env!("CARGO_BIN_EXE_tapline-auditor"))
        .args(["--kafka", &kafka.bootstrap])
        .args(["--cassandra", &site.config.cassandra.contact.join(",")])
        .args(["--keyspace", &site.config.cassandra.keyspace])
        .args(["--topic-prefix", &kafka.topic_prefix])
        .args(["--group", &kafka.group("authorisation")])
        .args(["--feed-group", &kafka.group("feed")])
        .args(["--push-group", &kafka.group("push")])
        .args(["--expect", &expect.to_string()])
        .args(journal.into_iter().flat_map(|path| [Path::new("--journal"), path]))
        .args(more)
        .output()
        .expect("the auditor can be started");
    let report = String::from_utf8_lossy(&audited.stdout);
    assert_eq!(
        audited.status.code(),
        Some(0),
        "the auditor found:\n{report}\n{}",
        String::from_utf8_lossy(&audited.stderr)
    );
    println!("  auditor: {}", report.lines().last().unwrap_or_default());
}
