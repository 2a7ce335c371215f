//! What is wrong with a configuration, all of it at once.
//!
//! Owns the refusal `config_invalid`. Never holds a secret's text: whoever makes a `Problem` leaves
//! the value out where the key is secret or unknown (a mistyped key may well carry a password).

use std::fmt;

/// The stable code of every problem here (exit code 4).
pub const CODE: &str = "config_invalid";

/// One thing to mend: which key, what was written, where it came from, what is wrong, the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub key: String,
    /// `None` where it must not be shown.
    pub value: Option<String>,
    pub origin: String,
    pub fault: String,
    pub cure: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CODE}: {}", self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value:?}")?;
        }
        write!(f, " (from {}): {}; {}", self.origin, self.fault, self.cure)
    }
}

/// Every problem found, at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub fn code(&self) -> &'static str {
        CODE
    }
}
