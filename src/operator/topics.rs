//! `tapline topics`: apply.

use super::{
    apply,
    cli::Common,
    connect::{block_on, cassandra, code_of},
    tables::{say_plan_only, show},
};
use crate::worker::EXIT_DONE;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Creates what is missing and refuses what exists otherwise; acts with --execute
    #[command(after_help = "Example:\n  tapline topics apply --execute")]
    Apply {
        /// Do it
        #[arg(long)]
        execute: bool,
    },
}

pub fn run(common: &Common, command: TopicsCommand) -> i32 {
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let TopicsCommand::Apply { execute } = command;
    let done = block_on(async {
        let plan = apply::plan_topics(&config).await.map_err(|error| code_of(&error))?;
        show(common, &plan);
        if !execute {
            say_plan_only(&plan);
            return Ok(());
        }
        let session = cassandra(&config).await?;
        apply::apply_topics(&config, &session).await.map_err(|error| code_of(&error))
    });
    match done {
        Ok(Ok(())) => EXIT_DONE,
        Ok(Err(code)) | Err(code) => code,
    }
}
