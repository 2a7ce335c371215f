//! What every command that acts shares: plan first, `--execute` acts, production asks once more.
//!
//! Owns the two flags and the question, and the line that says who was shown what is usually
//! masked. Never acts itself.

use super::{moments::utc, print::say};
use crate::config::Config;
use crate::runtime::{settings::Profile, telemetry};
use crate::worker::EXIT_REFUSED;
use clap::Args;
use std::io::{IsTerminal, Write};

#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Acting {
    /// Do it; without this flag only the plan is printed
    #[arg(long)]
    pub execute: bool,
    /// Do not ask, even where worker.profile is production
    #[arg(long)]
    pub yes: bool,
}

impl Acting {
    /// `Ok(false)`: a plan only. Errors: exit code 4, where production's question was not answered
    /// with `name` (the topic or stage that is about to change).
    pub fn may_act(&self, config: &Config, name: &str) -> Result<bool, i32> {
        if !self.execute {
            say("this is the plan; add --execute to act");
            return Ok(false);
        }
        if self.yes || config.worker.profile != Profile::Production {
            return Ok(true);
        }
        if !std::io::stdin().is_terminal() {
            say("refused: worker.profile is production and nobody can be asked; add --yes");
            return Err(EXIT_REFUSED);
        }
        let _ = write!(std::io::stderr(), "This is production. Type {name} to go on: ");
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        if read.is_ok() && answer.trim() == name {
            return Ok(true);
        }
        say("refused: the name does not match; nothing was changed");
        Err(EXIT_REFUSED)
    }
}

/// Leaves a line on standard error about an act that must be on record.
pub fn note(act: &str, what: &str) {
    let of = |name| std::env::var(name).unwrap_or_else(|_| "unknown".to_owned());
    let line = serde_json::json!({
        "audit": act,
        "what": what,
        "who": of("USER"),
        "host": of("HOSTNAME"),
        "at": utc(telemetry::now_ms()),
    });
    say(&line.to_string());
}
