//! The command line of `tapline-producer`.

use super::{
    bench,
    cards::{self, Plan},
    closing, fitted,
    play::{self, Pace},
    told,
    workers::Start,
};
use crate::config::Config;
use crate::console::{
    common::Common,
    print::{self, say},
};
use crate::domain::{money::Currency, time::LogTime};
use crate::operator::{
    clearing,
    demo::{self, Speed},
    demo_table, stacks,
};
use crate::producer::{
    Folder,
    cards::Settings,
    crowd::{Choice, Crowd},
    life::Mix,
    samples::Samples,
};
use crate::runtime::telemetry;
use crate::stack::{Lifetime, Options};
use crate::worker::{EXIT_BAD, EXIT_DONE, EXIT_FAILED, EXIT_REFUSED};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Sends load through tapline, measures from the planned time, and proves what became of it.
#[derive(Debug, Parser)]
#[command(
    name = "tapline-producer",
    version,
    after_help = "The servers are those of the configuration: `eval \"$(tapline stack env)\"` for a local stack.\n\
                  Exit code 1: an answer is missing or wrong."
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plays a bank's year, judged by the bank's own balances
    #[command(
        after_help = "The workers' own ticks must be off (runtime.ticks=off): the data's days are the clock."
    )]
    Bank(PlayArgs),
    /// Plays a city's card payments, judged by the city's control totals
    City(PlayArgs),
    /// Plays a council's card statements, judged by the tally of what was sent
    Council(PlayArgs),
    /// Synthetic taps, presentments, reversals, repeats and declines at a planned rate
    #[command(
        after_help = "Example:\n  tapline-producer cards --rate 1000 --seconds 30 --distribution zipf:0.99"
    )]
    Cards(CardsArgs),
    /// Measures drain, reply latency, takeover and memory, or clearing, on a stack of its own
    #[command(after_help = "Examples:\n  tapline-producer bench --output json > bench.json\n  \
                            tapline-producer bench --what clearing --lines 1000000")]
    Bench(BenchArgs),
    /// Runs stages (for the benchmark's own workers)
    #[command(hide = true)]
    Worker(crate::operator::worker::WorkerArgs),
}

#[derive(Clone, Debug, Args)]
pub struct PlayArgs {
    /// Folder of the data files
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Days of the data per second, or `max`
    #[arg(long, default_value = "max", value_parser = demo::parse_speed)]
    speed: Speed,
}

#[derive(Clone, Debug, Args)]
pub struct CardsArgs {
    /// Commands a second
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Seconds that are sent and judged but not measured
    #[arg(long, default_value_t = 5.0)]
    warmup: f64,
    #[arg(long, default_value_t = 10_000)]
    accounts: u32,
    /// Who taps: uniform, zipf:EXPONENT, latest
    #[arg(long, default_value = "zipf:0.99", value_parser = parse_choice)]
    distribution: Choice,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Gaps between arrivals
    #[arg(long, default_value = "poisson", value_parser = ["even", "poisson"])]
    arrival: String,
    /// How long a day between tap and posting takes here, in milliseconds
    #[arg(long, default_value_t = 500)]
    day_ms: i64,
    /// One JSON line per command, on disk before it is sent; for tapline-auditor
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Seconds to wait for the last answers
    #[arg(long, default_value_t = 60)]
    patience: u64,
}

fn parse_choice(text: &str) -> Result<Choice, String> {
    match text.split_once(':') {
        None if text == "uniform" => Ok(Choice::Uniform),
        None if text == "latest" => Ok(Choice::Latest),
        Some(("zipf", exponent)) => match exponent.parse::<f64>() {
            Ok(exponent) if exponent >= 0.0 && exponent.is_finite() => Ok(Choice::Zipf(exponent)),
            _ => Err(format!("{exponent:?} is no exponent; write zipf:0.99")),
        },
        _ => Err("write uniform, latest or zipf:0.99".to_owned()),
    }
}

/// What the benchmark measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Drain, reply latency, takeover, memory
    Figures,
    /// A clearing file from its first line to the ledger, and the close of its window
    Clearing,
    /// The feed's drain, and the time from a tap to the push request with every stage running
    Feed,
}

#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    #[arg(long, value_enum, default_value_t = What::Figures)]
    what: What,
    /// With --what clearing: lines of the file, all in one window
    #[arg(long, default_value_t = 1_000_000)]
    lines: u64,
    #[arg(long, default_value_t = 100_000)]
    accounts: u32,
    /// Commands of one drain
    #[arg(long, default_value_t = 500_000)]
    commands: u64,
    /// Commands a second of the latency run; presentments beside the close
    #[arg(long, default_value_t = 5_000)]
    rate: u64,
    /// Of the latency run; of the presentments before the cut-off, and again after the close
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Least seconds of load before each latency round; it goes on until the servers have stopped
    /// compiling their own code
    #[arg(long, default_value_t = 10)]
    warmup: u64,
    /// Most seconds of it
    #[arg(long, default_value_t = 240)]
    warmup_max: u64,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Folder of the benchmark's own stack
    #[arg(long, value_name = "FOLDER", default_value = ".tapline/bench")]
    home: PathBuf,
}

pub fn run(cli: Cli) -> i32 {
    let mut common = cli.common;
    if let Command::Worker(args) = cli.command {
        return crate::operator::worker::run(&common, args);
    }
    let config = match common.load_quietly() {
        Ok(config) => config,
        Err(code) => return code,
    };
    match cli.command {
        Command::Bank(args) => run_play(&common, &config, args, "berka"),
        Command::City(args) => run_play(&common, &config, args, "toronto-pcard"),
        Command::Council(args) => run_play(&common, &config, args, "birmingham-pcard"),
        Command::Cards(args) => run_cards(&common, &config, args),
        Command::Bench(args) => run_bench(&common, &config, &args),
        Command::Worker(_) => EXIT_FAILED,
    }
}

fn run_play(common: &Common, config: &Config, args: PlayArgs, usual: &str) -> i32 {
    let path = args.data.unwrap_or_else(|| demo::data_root().join(usual));
    let folder = match Folder::read(&path) {
        Ok(folder) => folder,
        Err(error) => {
            say(&error.to_string());
            return EXIT_REFUSED;
        }
    };
    let pace =
        Pace { days_per_second: args.speed.0, no_bars: common.no_progress, ..Pace::default() };
    match play::play(config, &[folder], pace) {
        Ok(played) => demo_table::conclude(common, &played, demo_table::Place::SERVERS),
        Err(reason) => {
            say(&reason);
            EXIT_FAILED
        }
    }
}

/// Shapes of the real data that the project brings, or a handful of purchases without it.
fn samples() -> Samples {
    let root = demo::data_root();
    let read = |name: &str| Folder::read(&root.join(name));
    match (read("toronto-pcard"), read("birmingham-pcard")) {
        (Ok(Folder::City(city)), Ok(Folder::Council(council))) => Samples::of(&city, &council),
        _ => {
            say("no real card data beside the program: drawing from a handful of purchases");
            Samples::few()
        }
    }
}

fn run_cards(common: &Common, config: &Config, args: CardsArgs) -> i32 {
    let Some(currency) = Currency::parse("CAD") else { return EXIT_FAILED };
    let crowd = Crowd {
        run: format!("cards{}", telemetry::now_ms()).into(),
        accounts: args.accounts.max(1),
        currency,
        opening_minor: 5_000_000,
        with_frozen: true,
        start: LogTime(telemetry::now_ms()),
    };
    let plan = Plan {
        settings: Settings {
            crowd,
            choice: args.distribution,
            mix: Mix::default(),
            seed: args.seed,
            day_ms: args.day_ms.max(1),
            spacing_us: 0,
        },
        samples: samples(),
        rate: args.rate,
        seconds: args.seconds,
        warmup_seconds: args.warmup,
        is_poisson: args.arrival == "poisson",
        journal: args.journal,
        patience: Duration::from_secs(args.patience),
        no_bars: common.no_progress,
    };
    let run = match cards::run(config, plan) {
        Ok(run) => run,
        Err(reason) => {
            say(&reason);
            return EXIT_FAILED;
        }
    };
    show_cards(common, &run);
    if run.is_right() { EXIT_DONE } else { EXIT_BAD }
}

fn show_cards(common: &Common, run: &cards::Run) {
    print::document(common.output, run, || {
        let verdict: Vec<demo_table::Verdict> =
            run.verdict.iter().map(demo_table::Verdict::from).collect();
        let columns = [
            print::text("check", &|it: &demo_table::Verdict| it.check.clone()),
            print::number("expected", &|it: &demo_table::Verdict| it.expected.clone()),
            print::number("found", &|it: &demo_table::Verdict| it.found.clone()),
            print::text("ok", &|it: &demo_table::Verdict| demo_table::yes(it.ok)),
        ];
        format!(
            "{} commands in {:.1} s ({:.0}/s), {} answers, {} published twice\n\
             latency from the planned time: {}\nschedule lag at worst {:.1} ms{}\n{}",
            run.commands,
            run.seconds,
            run.commands_per_second,
            run.answered,
            run.repeats,
            run.percentiles,
            run.schedule_lag_ms_max,
            if run.is_saturated { ": SATURATED" } else { "" },
            print::table(&verdict, &columns)
        )
    });
}

fn run_bench(common: &Common, config: &Config, args: &BenchArgs) -> i32 {
    let options = Options {
        home: args.home.clone(),
        platform: None,
        lifetime: Lifetime::WithParent,
        kafka_port: None,
        cassandra_port: None,
    };
    let stack = match stacks::start(&options, config) {
        Ok(stack) => stack,
        Err(code) => return code,
    };
    let endpoints = stack.endpoints().clone();
    let mut own = demo::own_names(common, "bench");
    let fitted = fitted::fitted(config, args.what);
    for (key, value) in &fitted {
        say(&format!("{key}={value}, to fit this machine"));
    }
    own.settings.splice(0..0, fitted);
    let config = match stacks::local_config(&own, &endpoints) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(code) = stacks::make_installation(&config) {
        return code;
    }
    let pids = [("kafka", endpoints.kafka_pid), ("cassandra", endpoints.cassandra_pid)];
    let settings = bench::Settings {
        accounts: args.accounts,
        drain_commands: args.commands,
        latency_rate: args.rate,
        latency_seconds: args.seconds,
        warmup_seconds: args.warmup,
        warmup_seconds_max: args.warmup_max.max(args.warmup),
        rounds: args.rounds,
        no_bars: common.no_progress,
        stack_pids: pids.into_iter().filter_map(|(name, pid)| Some((name, pid?))).collect(),
    };
    let shown = match args.what {
        What::Figures => bench::run(&config, &settings, Path::new(&args.home))
            .map(|report| print::document(common.output, &report, || report.shown())),
        What::Clearing => measure_clearing(common, &config, args)
            .map(|report| print::document(common.output, &report, || report.shown())),
        What::Feed => told::run(&config, &settings, Path::new(&args.home))
            .map(|report| print::document(common.output, &report, || report.shown())),
    };
    if let Err(error) = stack.down() {
        say(&error.to_string());
    }
    match shown {
        Ok(()) => EXIT_DONE,
        Err(reason) => {
            say(&reason);
            EXIT_FAILED
        }
    }
}

/// The import prints its plan, too: in JSON the figures are the last document.
fn measure_clearing(
    common: &Common,
    config: &Config,
    args: &BenchArgs,
) -> Result<closing::Report, String> {
    let settings = closing::Settings {
        lines: args.lines,
        accounts: u64::from(args.accounts.max(1)),
        rate: args.rate,
        around_seconds: args.seconds,
    };
    let start = Start::of(config, &args.home.join("worker.log"));
    let start = start.map_err(|error| error.to_string())?;
    closing::run(config, &settings, start, &args.home, |file| {
        clearing::import_now(common, config, file)
    })
}
