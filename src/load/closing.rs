//! `tapline-producer bench --what clearing`: a clearing file end to end, and its window's close.
//!
//! Owns two figures: lines a second from the file to the ledger, through the import that people run,
//! and how long a window of so many items takes to close while presentments go on, with what that
//! costs them. Counts what it wrote: every line and presentment must stand in one of the two windows
//! of the day, or there is no figure.

use super::{
    bench::{Outcome, text},
    beside::{Watch, command, per_second, presentments, records_in, samples},
    lane::Lane,
    machine::{Machine, Usage},
    workers::{Start, Worker},
};
use crate::adapters::kafka::{client, reader::Reader};
use crate::clearing::{header::Header, reading::Form, row::FileKind, synthetic::Synthetic};
use crate::codec::topics::POSTINGS;
use crate::config::Config;
use crate::console::print::say;
use crate::domain::{
    command::{Command, Credit, CreditKind, OpenAccount, Tick},
    cycle::Day,
    money::Currency,
    time::{DAY_MS, LogTime},
};
use crate::runtime::telemetry;
use serde::Serialize;
use std::{
    fs::File,
    io::BufWriter,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread::park_timeout,
    time::Duration,
};

/// A network and day of the rules that every installation starts with, and its cut-offs.
pub(super) const NETWORK: &str = "visa";
/// 23 November 2026.
const DAY: Day = Day(20_780);
pub(super) const MORNING: LogTime = at(540);
const NOON: LogTime = at(720);
const END: LogTime = at(1_440);
pub(super) const PREFIX: &str = "load-a";
/// The least stretch that a rate during the close is taken over.
const DURING_MS_MIN: u64 = 2_000;

/// That minute of the day.
const fn at(minute: i64) -> LogTime {
    LogTime(DAY.0 as i64 * DAY_MS + minute * 60_000)
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub lines: u64,
    pub accounts: u64,
    /// Presentments a second beside the close.
    pub rate: u64,
    /// Seconds of them before the cut-off, and again after the close.
    pub around_seconds: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub version: &'static str,
    pub librdkafka: String,
    pub partitions: u32,
    pub accounts: u64,
    pub lines: u64,
    /// Checked, published, acknowledged and entered in the register; no worker runs.
    pub import_seconds: f64,
    pub import_lines_per_second: f64,
    /// From the import's beginning to the last posting set, by a worker started after it.
    pub posted_seconds: f64,
    pub posted_lines_per_second: f64,
    /// Of the window that was closed.
    pub window_items: i64,
    /// From before the ticks of the cut-off are sent until `Closed` was read.
    pub close_seconds: f64,
    pub rate: u64,
    /// Posting sets a second.
    pub cleared_before_per_second: f64,
    pub cleared_during_per_second: f64,
    pub cleared_after_per_second: f64,
    /// During against before; below 0: it rose.
    pub drop_percent: f64,
    pub worker_peak_mib: u64,
}

impl Report {
    /// For people; the JSON form holds everything.
    pub fn shown(&self) -> String {
        format!(
            "{} cores ({}), {} GiB, Linux {}; tapline {}, librdkafka {}; {} partitions, {} accounts\n\
             import: {} lines in {:.1} s = {:.0}/s; posted after {:.1} s = {:.0}/s\n\
             close: a window of {} items in {:.2} s beside {} presentments/s\n\
             cleared per second: {:.0} before, {:.0} during, {:.0} after; drop {:.1} %\n\
             memory of the worker at its highest: {} MiB",
            self.machine.cores,
            self.machine.cpu,
            self.machine.memory_gib,
            self.machine.kernel,
            self.version,
            self.librdkafka,
            self.partitions,
            self.accounts,
            self.lines,
            self.import_seconds,
            self.import_lines_per_second,
            self.posted_seconds,
            self.posted_lines_per_second,
            self.window_items,
            self.close_seconds,
            self.rate,
            self.cleared_before_per_second,
            self.cleared_during_per_second,
            self.cleared_after_per_second,
            self.drop_percent,
            self.worker_peak_mib
        )
    }
}

/// Runs everything; the installation must be fresh. `start`: how a worker of it is started; it gets
/// every stage of settlement, and no clock but this run's. `import`: the import that people run, to
/// the file's last ack; errors are its exit codes.
pub fn run(
    config: &Config,
    settings: &Settings,
    start: Start,
    folder: &Path,
    import: impl FnOnce(&Path) -> Result<(), i32>,
) -> Outcome<Report> {
    let start = start.with("worker.stages", "authorisation,settlement");
    let start = start.with("runtime.ticks", "off");
    let mut run = Run {
        config,
        settings,
        currency: Currency::parse("EUR").ok_or("EUR is a currency")?,
        lane: Lane::open(&config.kafka).map_err(text)?,
        reader: Reader::open(&config.kafka, "tapline.producer").map_err(text)?,
        worker: start.spawn().map_err(text)?,
    };
    run.tick(MORNING)?;
    say(&format!("opening {} accounts", settings.accounts));
    run.accounts()?;
    let path = folder.join("clearing.csv");
    say(&format!("writing {} lines to {}", settings.lines, path.display()));
    run.file(&path)?;

    let before = settings.accounts as i64;
    // A worker beside it would be measured with it: the machine's cores are few.
    super::bench::stop(&mut run.worker)?;
    let begun_ns = telemetry::steady_ns();
    import(&path).map_err(|code| format!("the import ended with {code}"))?;
    let import_seconds = telemetry::seconds_since(begun_ns);
    run.worker = start.spawn().map_err(text)?;
    run.await_posted(before + settings.lines as i64)?;
    let posted_seconds = telemetry::seconds_since(begun_ns);
    let _ = std::fs::remove_file(&path);

    let closing = run.close()?;
    let second = Watch::open(config)?;
    run.tick(END)?;
    let rest = second.closed(END, &mut run.worker)?;
    let (found, sent) = (closing.items + rest, settings.lines + closing.streamed);
    if found != sent as i64 {
        return Err(format!("{sent} items were sent and {found} stand in the day's windows"));
    }
    let worker_peak_mib = Usage::of(run.worker.pid()).resident_peak_bytes >> 20;
    super::bench::stop(&mut run.worker)?;
    let lines = settings.lines as f64;
    let [before, during, after] = closing.rates;
    Ok(Report {
        machine: Machine::here(),
        version: env!("CARGO_PKG_VERSION"),
        librdkafka: client::library_version(),
        partitions: config.kafka.partitions,
        accounts: settings.accounts,
        lines: settings.lines,
        import_seconds,
        import_lines_per_second: lines / import_seconds,
        posted_seconds,
        posted_lines_per_second: lines / posted_seconds,
        window_items: closing.items,
        close_seconds: closing.seconds,
        rate: settings.rate,
        cleared_before_per_second: before,
        cleared_during_per_second: during,
        cleared_after_per_second: after,
        drop_percent: (before - during) / before.max(1.0) * 100.0,
        worker_peak_mib,
    })
}

struct Run<'a> {
    config: &'a Config,
    settings: &'a Settings,
    currency: Currency,
    lane: Lane,
    reader: Reader,
    worker: Worker,
}

struct Closing {
    items: i64,
    seconds: f64,
    /// Posting sets a second before, during and after.
    rates: [f64; 3],
    /// Presentments that were sent beside it.
    streamed: u64,
}

impl Run<'_> {
    fn tick(&mut self, time: LogTime) -> Outcome<()> {
        let tick = Tick { time, rules_version: 1, logic_version: 1 };
        self.lane.tick(tick).map_err(text)?;
        self.lane.settle();
        Ok(())
    }

    fn accounts(&mut self) -> Outcome<()> {
        let currency = self.currency;
        for number in 0..self.settings.accounts {
            let open = OpenAccount { currency, overdraft_limit_minor: 0, limits: None };
            let money = Credit {
                amount_minor: 5_000_000,
                currency,
                kind: CreditKind::Opening,
                text: "opening".into(),
            };
            for (what, body) in
                [("open", Command::OpenAccount(open)), ("in", Command::Credit(money))]
            {
                let ticket = self.lane.ticket(1);
                let command = command(&format!("{PREFIX}{number}"), what, body);
                self.lane.send(&command, None, &ticket).map_err(text)?;
            }
        }
        self.lane.settle();
        self.await_posted(self.settings.accounts as i64)
    }

    fn file(&self, path: &Path) -> Outcome<()> {
        let header = Header {
            kind: FileKind::Clearing,
            network: NETWORK.into(),
            file_id: "bench".into(),
            business_date: DAY,
            currency: self.currency,
            cycle: None,
        };
        let synthetic = Synthetic {
            header,
            lines: self.settings.lines,
            accounts: self.settings.accounts,
            account_prefix: PREFIX.into(),
            card_prefix: "tok_load_".into(),
            seed: 7,
        };
        let file = File::create(path).map_err(text)?;
        synthetic.write(BufWriter::new(file), Form::Csv).map_err(text)
    }

    /// Waits until there are so many posting sets: one for each line, presentment and opening.
    fn await_posted(&mut self, count: i64) -> Outcome<()> {
        let patience_s = 120 + count as u64 / 1_000;
        let begun_ns = telemetry::steady_ns();
        loop {
            let found = records_in(&self.reader, self.config, POSTINGS.0)?;
            if found >= count {
                return Ok(());
            }
            if !self.worker.is_running() || telemetry::seconds_since(begun_ns) > patience_s as f64 {
                let last = self.worker.last_lines(10);
                return Err(format!("{found} of {count} sets are posted:\n{last}"));
            }
            park_timeout(Duration::from_millis(20));
        }
    }

    /// Closes the noon window beside a steady stream of presentments.
    fn close(&mut self) -> Outcome<Closing> {
        let Settings { rate, around_seconds, accounts, .. } = *self.settings;
        say(&format!("closing the window beside {rate} presentments/s"));
        let watch = Watch::open(self.config)?;
        let stream = Lane::open(&self.config.kafka).map_err(text)?;
        let sampler = Reader::open(&self.config.kafka, "tapline.producer").map_err(text)?;
        let (config, currency, over) = (self.config, self.currency, AtomicBool::new(false));
        let over = &over;
        std::thread::scope(|scope| {
            let streamed =
                scope.spawn(move || presentments(stream, currency, accounts, rate, over));
            let samples = scope.spawn(move || samples(&sampler, config, over));
            let around = Duration::from_secs(around_seconds);
            let measured = (|| {
                sleep(around);
                let tick_ns = telemetry::steady_ns();
                self.tick(NOON)?;
                let items = watch.closed(NOON, &mut self.worker)?;
                let closed_ns = telemetry::steady_ns();
                sleep(around.max(Duration::from_millis(DURING_MS_MIN)));
                Ok::<_, String>((tick_ns, closed_ns, items))
            })();
            over.store(true, Ordering::Release);
            let streamed = streamed.join().map_err(|_| "the stream panicked")??;
            let samples = samples.join().map_err(|_| "the sampler panicked")??;
            let (tick_ns, closed_ns, items) = measured?;
            let seconds = closed_ns.saturating_sub(tick_ns) as f64 / 1e9;
            let during_ns = closed_ns.max(tick_ns + DURING_MS_MIN * 1_000_000);
            // The first second of the stream is its start, not its course.
            let first_ns = samples.first().map_or(0, |it| it.0) + 1_000_000_000;
            let rates = [
                per_second(&samples, first_ns, tick_ns),
                per_second(&samples, tick_ns, during_ns),
                per_second(&samples, during_ns, u64::MAX),
            ];
            Ok(Closing { items, seconds, rates, streamed })
        })
    }
}

fn sleep(time: Duration) {
    let end_ns = telemetry::steady_ns() + time.as_nanos() as u64;
    while telemetry::steady_ns() < end_ns {
        park_timeout(Duration::from_millis(10));
    }
}
