//! The command line of `tapline-producer`.

use super::bench;
use crate::adapters::kafka::client;
use crate::console::{common::Common, print::{self, say}};
use crate::operator::stacks;
use crate::stack::{Lifetime, Options};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Sends load through tapline and proves what became of it.
#[derive(Debug, Parser)]
#[command(name = "tapline-producer", version)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measures drain, reply latency, takeover and memory on a stack of its own
    #[command(after_help = "Example:\n  tapline-producer bench --output json > bench.json")]
    Bench(BenchArgs),
    /// Runs stages (for the benchmark's own workers)
    #[command(hide = true)]
    Worker(crate::operator::worker::WorkerArgs),
}

#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    #[arg(long, default_value_t = 100_000)]
    accounts: u32,
    /// Commands of one drain
    #[arg(long, default_value_t = 500_000)]
    commands: u64,
    /// Commands a second of the latency run
    #[arg(long, default_value_t = 5_000)]
    rate: u64,
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    #[arg(long, default_value_t = 10)]
    warmup: u64,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Folder of the benchmark's own stack
    #[arg(long, value_name = "FOLDER", default_value = ".tapline/bench")]
    home: PathBuf,
}

pub fn run(cli: Cli) -> i32 {
    match cli.command {
        Command::Bench(args) => run_bench(&cli.common, &args),
        Command::Worker(args) => crate::operator::worker::run(&cli.common, args),
    }
}

fn run_bench(common: &Common, args: &BenchArgs) -> i32 {
    let _ = client::library_version();
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let options = Options {
        home: args.home.clone(),
        platform: None,
        lifetime: Lifetime::WithParent,
        kafka_port: None,
        cassandra_port: None,
    };
    let stack = match stacks::start(&options, &config) {
        Ok(stack) => stack,
        Err(code) => return code,
    };
    let endpoints = stack.endpoints().clone();
    let run = format!("bench{}", crate::runtime::telemetry::now_ms() / 1_000);
    let mut own = common.clone();
    own.settings.extend([
        ("kafka.topic_prefix".to_owned(), format!("{run}.")),
        ("kafka.group_prefix".to_owned(), format!("{run}.")),
        ("cassandra.keyspace".to_owned(), run),
    ]);
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
        rounds: args.rounds,
        no_bars: common.no_progress,
        stack_pids: pids.into_iter().filter_map(|(name, pid)| Some((name, pid?))).collect(),
    };
    let measured = bench::run(&config, &settings, &args.home);
    if let Err(error) = stack.down() {
        say(&error.to_string());
    }
    match measured {
        Ok(report) => {
            print::document(common.output, &report, || format!("{report:#?}"));
            0
        }
        Err(reason) => {
            say(&reason);
            crate::worker::EXIT_FAILED
        }
    }
}
