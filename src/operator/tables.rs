//! `tapline tables`: the store's keyspace and tables.

use super::{
    apply::{self, Planned},
    cli::Common,
    connect::{block_on, cassandra, code_of},
    print::{self, say},
};
use crate::worker::EXIT_DONE;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum TablesCommand {
    /// Creates what is missing; prints the plan, acts with --execute
    #[command(after_help = "Example:\n  tapline tables apply --execute")]
    Apply {
        /// Do it
        #[arg(long)]
        execute: bool,
    },
}

pub fn run(common: &Common, command: TablesCommand) -> i32 {
    let TablesCommand::Apply { execute } = command;
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let done = block_on(async {
        let session = cassandra(&config).await?;
        let plan = apply::plan_tables(&config, &session).await.map_err(|error| code_of(&error))?;
        show(common, &plan);
        if !execute {
            say_plan_only(&plan);
            return Ok(());
        }
        apply::apply_tables(&config, &session).await.map_err(|error| code_of(&error))
    });
    match done {
        Ok(Ok(())) => EXIT_DONE,
        Ok(Err(code)) | Err(code) => code,
    }
}

/// Prints a plan as a table.
pub fn show(common: &Common, plan: &[Planned]) {
    let columns = [
        print::text("what", &|line: &Planned| line.what.clone()),
        print::text("state", &|line: &Planned| line.state.clone()),
        print::text("action", &|line: &Planned| match line.action.is_empty() {
            true => "-".to_owned(),
            false => line.action.clone(),
        }),
    ];
    print::rows(common.output, plan, &columns);
}

pub fn say_plan_only(plan: &[Planned]) {
    match plan.iter().all(|line| line.action.is_empty()) {
        true => say("nothing to do"),
        false => say("this is the plan; add --execute to act"),
    }
}
