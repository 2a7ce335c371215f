//! The command line of `tapline`: names, flags and help.
//!
//! Owns the shape only; each command's work lies in its own file. What changes topics, offsets,
//! tables or records prints a plan and does nothing; `--execute` acts.

pub use crate::console::common::Common;
use clap::{Parser, Subcommand};

/// Card taps into settled money, a customer's feed and a push, on Kafka and Cassandra.
#[derive(Debug, Parser)]
#[command(
    name = "tapline",
    version,
    propagate_version = true,
    after_help = "First steps:\n  tapline demo                 the whole pipeline on real servers and real data\n  \
                  tapline stack up             a Kafka and a Cassandra on this machine\n  \
                  tapline lag                  how far behind each partition is, in records, seconds and money\n\n\
                  Exit codes: 0 done · 1 ran, but the verdict is bad · 2 wrong usage · 3 failed while running ·\n  \
                  4 refused · 5 a server stayed unreachable"
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plays real data through the pipeline on real servers and checks it to the cent
    Demo(super::demo::DemoArgs),
    /// A Kafka and a Cassandra on this machine, on Docker or Java
    #[command(subcommand)]
    Stack(super::stacks::StackCommand),
    /// Topics: list, create and check, look into
    #[command(subcommand)]
    Topics(super::topics::TopicsCommand),
    /// Tables of the store
    #[command(subcommand)]
    Tables(super::tables::TablesCommand),
    /// Versions of the payment rules
    #[command(subcommand)]
    Rules(super::rules::RulesCommand),
    /// One account: balances, holds, cards, latest payments
    #[command(subcommand)]
    Account(super::account::AccountCommand),
    /// One payment: counters, status, messages
    #[command(subcommand)]
    Payment(super::payment::PaymentCommand),
    /// What one customer sees: accounts and lines
    #[command(subcommand)]
    Feed(super::feed::FeedCommand),
    /// How far behind each partition is, in records, seconds and money
    Lag(super::lag::LagArgs),
    /// Files of the networks and the bank: check, import, list
    #[command(subcommand)]
    Clearing(super::clearing::ClearingCommand),
    /// Settlement windows: list, show, count again, prove
    #[command(subcommand)]
    Window(super::window::WindowCommand),
    /// What nobody has explained or paid yet
    #[command(subcommand)]
    Exceptions(super::exceptions::ExceptionsCommand),
    /// One account's month: opening, lines, closing, and what is pending
    Statement(super::statement::StatementArgs),
    /// All addresses of the ledger; each currency sums to 0
    TrialBalance(super::trial_balance::TrialBalanceArgs),
    /// Postings and events as Parquet files by day
    #[cfg(feature = "export")]
    Export(super::export::ExportArgs),
    /// Records that could not be applied
    #[command(subcommand)]
    DeadLetters(super::letters::LettersCommand),
    /// Where each partition of a stage starts again
    #[command(subcommand)]
    Offsets(super::offsets::OffsetsCommand),
    /// Schemas that this release knows
    #[command(subcommand)]
    Schemas(super::schemas::SchemasCommand),
    /// The configuration: check, print, reference
    #[command(subcommand)]
    Config(super::configs::ConfigCommand),
    /// Every reason for which a worker would refuse to start
    Check(super::checking::CheckArgs),
    /// Prints a script that completes commands in a shell
    Completions(super::reference::CompletionsArgs),
    /// Prints a generated page of the documentation
    #[command(hide = true)]
    Reference(super::reference::ReferenceArgs),
    /// Runs stages as a pod would (the same as `tapline-worker`)
    #[command(hide = true)]
    Worker(super::worker::WorkerArgs),
}

/// Runs a parsed command line; returns the exit code.
pub fn run(cli: Cli) -> i32 {
    let common = &cli.common;
    match cli.command {
        Command::Demo(args) => super::demo::run(common, args),
        Command::Stack(command) => super::stacks::run(common, command),
        Command::Topics(command) => super::topics::run(common, command),
        Command::Tables(command) => super::tables::run(common, command),
        Command::Rules(command) => super::rules::run(common, command),
        Command::Account(command) => super::account::run(common, command),
        Command::Payment(command) => super::payment::run(common, command),
        Command::Feed(command) => super::feed::run(common, command),
        Command::Lag(args) => super::lag::run(common, &args),
        Command::Clearing(command) => super::clearing::run(common, command),
        Command::Window(command) => super::window::run(common, command),
        Command::Exceptions(command) => super::exceptions::run(common, command),
        Command::Statement(args) => super::statement::run(common, &args),
        Command::TrialBalance(args) => super::trial_balance::run(common, &args),
        #[cfg(feature = "export")]
        Command::Export(args) => super::export::run(common, &args),
        Command::DeadLetters(command) => super::letters::run(common, command),
        Command::Offsets(command) => super::offsets::run(common, command),
        Command::Schemas(command) => super::schemas::run(common, command),
        Command::Config(command) => super::configs::run(common, command),
        Command::Check(args) => super::checking::run(common, &args),
        Command::Completions(args) => super::reference::completions(&args),
        Command::Reference(args) => super::reference::reference(&args),
        Command::Worker(args) => super::worker::run(common, args),
    }
}
