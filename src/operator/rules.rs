//! `tapline rules`: activating a version of the payment rules by a record in every partition.

use super::{cli::Common, print::say};
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Stores a rules file and activates its version by a tick in every partition
    #[command(after_help = "Example:\n  tapline rules activate rules/2.toml --execute")]
    Activate {
        file: PathBuf,
        /// Do it
        #[arg(long)]
        execute: bool,
    },
}

pub fn run(_common: &Common, command: RulesCommand) -> i32 {
    let RulesCommand::Activate { .. } = command;
    say("being built");
    3
}
