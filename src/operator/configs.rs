//! `tapline config`: is it right, what is in force, what can be set.
//!
//! Touches nothing outside but the files that the configuration names. Never prints a secret.

use super::{cli::Common, print};
use crate::config::{self, Effective};
use crate::worker::EXIT_DONE;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Reads and checks the configuration; exit code 4 with every problem
    #[command(after_help = "Example:\n  tapline config check --config tapline.toml")]
    Check,
    /// Each setting with its value, secrets as ***, and where the value comes from
    #[command(after_help = "Example:\n  tapline config print --set kafka.partitions=4")]
    Print,
    /// Every setting: key, environment variable, default, meaning; as Markdown
    #[command(after_help = "Example:\n  tapline config reference")]
    Reference,
}

pub fn run(common: &Common, command: ConfigCommand) -> i32 {
    if let ConfigCommand::Reference = command {
        let page = config::reference();
        print::document(common.output, &page, || page.trim_end().to_owned());
        return EXIT_DONE;
    }
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let ConfigCommand::Print = command {
        let columns = [
            print::text("setting", &|it: &Effective| it.key.clone()),
            print::text("value", &|it: &Effective| it.value.clone().unwrap_or("-".to_owned())),
            print::text("from", &|it: &Effective| it.origin.clone()),
        ];
        print::rows(common.output, config.effective(), &columns);
        return EXIT_DONE;
    }
    print::document(common.output, &"ok", || "the configuration is right".to_owned());
    EXIT_DONE
}
