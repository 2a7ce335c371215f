//! A real Kafka and a real Cassandra on this machine: for a first try, the demo, and tests.
//!
//! Owns their life: start side by side on free ports of 127.0.0.1, wait until both answer, stop,
//! kill and start again in recovery tests. They run on Docker where an engine answers, else as
//! plain Java processes. Knows no client library: whoever starts a stack brings the one real call
//! that shows a server is ready. Never touches a process that it did not start, and leaves none
//! behind, however the starter ends. Synchronous; Linux and macOS.

mod cassandra;
mod compose;
mod error;
mod guard;
mod home;
mod java;
mod jvms;
mod kafka;
mod maven;
mod ports;
mod process;
mod running;
mod state;
mod template;
mod wait;

pub use error::{Missing, StackError};
pub use running::Stack;

use home::Home;
use serde::{Deserialize, Serialize};
use state::State;
use std::{fmt, net::TcpStream, path::PathBuf, time::Duration};

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    Kafka,
    Cassandra,
}

impl Server {
    /// In the order they are started: Cassandra takes longer.
    pub const ALL: [Server; 2] = [Server::Cassandra, Server::Kafka];

    fn folder(self) -> &'static str {
        match self {
            Server::Kafka => "kafka",
            Server::Cassandra => "cassandra",
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Server::Kafka => "Kafka",
            Server::Cassandra => "Cassandra",
        })
    }
}

/// What the servers run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    Docker,
    Java,
}

/// How long a stack lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until `down`; it outlives the process that started it.
    Detached,
    /// At most as long as the process that started it, even if that one is killed.
    WithParent,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of configuration, logs and, on Java, data; made if need be. One stack a folder.
    pub home: PathBuf,
    /// `None`: Docker where an engine answers, else Java.
    pub platform: Option<Platform>,
    pub lifetime: Lifetime,
    /// `None`: the port this home had before, or any free one. Of no effect on a stack that runs.
    pub kafka_port: Option<u16>,
    pub cassandra_port: Option<u16>,
}

/// Where clients find the servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    /// `host:port`.
    pub kafka: String,
    /// `host:port`. The data centre is `datacenter1`.
    pub cassandra: String,
    pub platform: Platform,
    pub home: PathBuf,
    /// Process ids on this machine; none on Docker.
    pub kafka_pid: Option<u32>,
    pub cassandra_pid: Option<u32>,
}

impl Endpoints {
    /// The environment that points tapline at this stack, one `NAME=value` a line.
    pub fn environment(&self) -> [String; 2] {
        [
            format!("TAPLINE_KAFKA__BOOTSTRAP={}", self.kafka),
            format!("TAPLINE_CASSANDRA__CONTACT={}", self.cassandra),
        ]
    }
}

/// One real call to each server: list topics; `SELECT now() FROM system.local`.
///
/// Called again and again until it succeeds, so it should give up within about 5 s. `Err` is a
/// reason for people; only the last one is ever shown.
pub trait Readiness: Send + Sync {
    fn kafka(&self, bootstrap: &str) -> Result<(), String>;
    fn cassandra(&self, contact: &str) -> Result<(), String>;
}

/// Starts a stack and returns once both servers answer.
///
/// Shapes: a stack of this home that runs and answers is taken over as it is; what a crash left is
/// ended first. Data of earlier runs is kept. `progress` gets short lines for people.
/// Errors: nothing that was started here runs on after an error.
pub fn up(
    options: &Options,
    ready: &dyn Readiness,
    progress: &mut dyn FnMut(&str),
) -> Result<Stack, StackError> {
    let home = Home::open(&options.home)?;
    let _lock = home.lock()?;
    let earlier = State::load(&home)?;
    if let Some(state) = &earlier {
        if let Some(stack) = Stack::take_over(&home, state, ready, progress)? {
            return Ok(stack);
        }
        running::end_leftovers(&home, state)?;
    }
    // Data lies with the platform that wrote it, so a home stays with its first one.
    let platform = match options.platform.or(earlier.as_ref().map(|state| state.platform)) {
        Some(platform) => check(platform)?,
        None => possible()?,
    };
    Stack::start(options, platform, home, earlier, ready, progress)
}

/// What a stack could run on here, else all that is missing.
pub fn possible() -> Result<Platform, Missing> {
    check(Platform::Docker).or_else(|docker| {
        check(Platform::Java).map_err(|java| Missing { docker: docker.docker, ..java })
    })
}

fn check(platform: Platform) -> Result<Platform, Missing> {
    let missing = match platform {
        Platform::Docker => Missing { docker: compose::answers().err(), ..Missing::default() },
        Platform::Java => {
            let have_jars = Server::ALL.iter().all(|server| maven::cached(*server).is_some());
            let maven = if have_jars { None } else { maven::find().err() };
            Missing {
                java: java::Java::find().err().into_iter().chain(maven).collect(),
                ..Missing::default()
            }
        }
    };
    if missing == Missing::default() { Ok(platform) } else { Err(missing) }
}

/// How one server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Runs, and its port accepts connections.
    Listening,
    /// Runs, but accepts none: it starts, hangs or is paused.
    Silent,
    Stopped,
}

/// How a stack is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    pub kafka: Health,
    pub cassandra: Health,
    /// None where no stack was ever started in this home. The ports stay the same while stopped.
    pub endpoints: Option<Endpoints>,
}

/// How the stack of this home is, without asking it anything but a connection.
pub fn status(home: &std::path::Path) -> Result<Status, StackError> {
    let never = Status { kafka: Health::Stopped, cassandra: Health::Stopped, endpoints: None };
    let Ok(home) = Home::existing(home) else {
        return Ok(never);
    };
    let Some(state) = State::load(&home)? else {
        return Ok(never);
    };
    let health = |server| {
        if !running::is_running(&home, &state, server) {
            Health::Stopped
        } else if is_listening(&state.ports.address(server)) {
            Health::Listening
        } else {
            Health::Silent
        }
    };
    Ok(Status {
        kafka: health(Server::Kafka),
        cassandra: health(Server::Cassandra),
        endpoints: Some(running::endpoints(&home, &state)),
    })
}

/// Stops the stack of this home; its data stays. True if something ran.
pub fn down(home: &std::path::Path) -> Result<bool, StackError> {
    let Ok(home) = Home::existing(home) else {
        return Ok(false);
    };
    let _lock = home.lock()?;
    let Some(state) = State::load(&home)? else {
        return Ok(false);
    };
    let ran = Server::ALL.iter().any(|server| running::is_running(&home, &state, *server));
    running::end_leftovers(&home, &state)?;
    Ok(ran)
}

/// The environment that points tapline at the stack of this home, one `NAME=value` a line.
pub fn env(home: &std::path::Path) -> Result<[String; 2], StackError> {
    match status(home)? {
        Status {
            kafka: Health::Listening,
            cassandra: Health::Listening,
            endpoints: Some(endpoints),
        } => Ok(endpoints.environment()),
        _ => Err(StackError::NotUp(home.to_owned())),
    }
}

fn is_listening(address: &str) -> bool {
    address.parse().is_ok_and(|address| {
        TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
    })
}
