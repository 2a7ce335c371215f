//! What can go wrong with the local stack, each with its cause and its cure.
//!
//! Owns the sentences a user reads. They end in what to do next, and where a server's own log
//! knows more, in its last lines. Never a stack trace.

use super::Server;
use std::{fmt, io, path::PathBuf};

/// Why a stack could not be started, reached or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    #[error("{0}")]
    Missing(#[from] Missing),
    #[error("{doing}: {cause}")]
    Io { doing: String, cause: io::Error },
    /// Java class paths and property files give these characters a meaning of their own.
    #[error(
        "{0} cannot hold a stack: choose a folder whose path has no colon, comma, quote, percent \
         sign, number sign, backslash or line break"
    )]
    Home(PathBuf),
    #[error(
        "port {port} for {server} is taken on 127.0.0.1: stop what listens there, or leave the \
         port out and a free one is chosen"
    )]
    PortTaken { server: Server, port: u16 },
    #[error(
        "{home} holds the stack of process {pid}, which stops it when it ends: choose another \
         home, or end that process"
    )]
    InUse { home: PathBuf, pid: u32 },
    #[error(
        "Maven could not fetch the jars of {server}: it needs Maven Central, or a mirror in \
         ~/.m2/settings.xml. It said:\n{output}"
    )]
    Fetch { server: Server, output: String },
    #[error("{server} ended while it started. The end of {log}:\n{tail}")]
    Died { server: Server, log: PathBuf, tail: String },
    #[error(
        "{server} did not answer within {waited_s} s ({reason}): is the machine short of memory \
         or cores? The end of {log}:\n{tail}"
    )]
    Slow { server: Server, waited_s: u64, reason: String, log: PathBuf, tail: String },
    #[error("`{command}` failed: {output}")]
    Compose { command: String, output: String },
    #[error("no stack is up in {0}: start one with `tapline stack up`")]
    NotUp(PathBuf),
    #[error("{path} is not a state file of this version ({cause}): delete it and start anew")]
    State { path: PathBuf, cause: serde_json::Error },
}

impl StackError {
    /// Names what was being done, for `map_err`.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> StackError {
        let doing = doing.into();
        move |cause| StackError::Io { doing, cause }
    }
}

/// What this machine lacks for a stack; each line is one way to get there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Why Docker cannot carry the stack; `None` where it was not asked for.
    pub docker: Option<String>,
    /// Why Java cannot carry it: no suitable Java, no Maven. Empty where it was not asked for.
    pub java: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "no local Kafka and Cassandra can be started here")?;
        if let Some(why) = &self.docker {
            write!(out, "\n  with Docker: {why}")?;
        }
        for why in &self.java {
            write!(out, "\n  with Java: {why}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Missing {}
