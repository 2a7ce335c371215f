//! Configuration: what was written, what it means, and where each value came from.
//!
//! Owns the layers built-in defaults < `tapline.toml` < environment `TAPLINE_A__B` < flags, their
//! check, the print-out and the reference. Never touches anything outside but the files that it is
//! told to read. Invariant: components get small checked structs, so a value is judged only once.

mod checked;
mod error;
mod gateways;
mod raw;
mod reader;
mod reference;
mod table;

#[cfg(test)]
mod tests;

pub use checked::{ApiConfig, Config, PushMode, TelemetryConfig, WorkerConfig};
pub use error::{CODE, ConfigError, Problem};
pub use raw::Sources;
pub use reader::parse_duration;
pub use reference::{Effective, reference};

impl Config {
    /// Reads, merges and checks. Errors: every problem found, each with key, value, origin, cure.
    pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
        let raw = raw::RawConfig::read(sources)?;
        let hostname = sources.environment.iter().find(|(name, _)| name == "HOSTNAME");
        let host = hostname.map_or("local", |(_, value)| value.as_str());
        checked::check(&raw, host)
    }

    /// Each key with its value (secrets as `***`) and its origin.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// The same as text, one line a key.
    pub fn print(&self) -> String {
        reference::print(&self.effective)
    }
}
