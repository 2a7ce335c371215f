//! `tapline-worker`, and the hidden `tapline worker` that is the same: demo and tests start their
//! workers as children of one binary.

use super::cli::Common;
use crate::{logging, worker};
use clap::Args;

#[derive(Clone, Debug, Default, Args)]
pub struct WorkerArgs {
    /// Stage to run (repeatable): authorisation, ...; `all`: every one of this release
    #[arg(long = "stage", value_name = "STAGE")]
    pub stages: Vec<String>,
    /// Stops when standard input closes: for workers that must not outlive who started them
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

pub fn run(common: &Common, args: WorkerArgs) -> i32 {
    let mut common = common.clone();
    if !args.stages.is_empty() {
        common.settings.push(("worker.stages".to_owned(), args.stages.join(",")));
    }
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(reason) = logging::init(&config.log) {
        super::print::say(&reason);
        return worker::EXIT_REFUSED;
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "starting");
    for line in config.print().lines() {
        tracing::debug!(setting = line, "configuration");
    }
    if args.with_parent {
        stop_with_parent();
    }
    worker::run(&config)
}

/// A parent that dies closes our standard input, however it dies.
fn stop_with_parent() {
    let watch = || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tracing::warn!("the parent process is gone; ending");
        std::process::exit(worker::EXIT_FAILED);
    };
    if let Err(error) = std::thread::Builder::new().name("parent-watch".to_owned()).spawn(watch) {
        tracing::error!(%error, "no thread to watch the parent with");
        std::process::exit(worker::EXIT_FAILED);
    }
}
