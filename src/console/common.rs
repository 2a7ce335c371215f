//! Flags that every command has, and the configuration they lead to.

use super::print::{Output, say};
use crate::config::{Config, Sources};
use crate::logging;
use clap::Args;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Configuration file [default: tapline.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, such as kafka.partitions=4 (repeatable; see `config reference`)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = Sources::parse_flag)]
    pub settings: Vec<(String, String)>,
    /// Form of what is printed
    #[arg(long, global = true, value_enum, default_value_t)]
    pub output: Output,
    /// No progress bars, whatever the terminal
    #[arg(long, global = true)]
    pub no_progress: bool,
}

impl Common {
    /// The configuration, or exit code 4 with every problem said.
    pub fn load(&self) -> Result<Config, i32> {
        let sources = Sources::of_process(self.config.clone(), self.settings.clone());
        Config::load(&sources).map_err(|error| {
            say(&error.to_string());
            crate::worker::EXIT_REFUSED
        })
    }

    /// The same for commands that talk to people: logs only errors, unless a level was asked for,
    /// and starts the log.
    pub fn load_quietly(&mut self) -> Result<Config, i32> {
        if !self.settings.iter().any(|(key, _)| key == "log.level") {
            self.settings.push(("log.level".to_owned(), "error".to_owned()));
        }
        let config = self.load()?;
        logging::init(&config.log).map_err(|reason| {
            say(&reason);
            crate::worker::EXIT_REFUSED
        })?;
        Ok(config)
    }
}
