//! Both servers as containers, by the project's own compose file.
//!
//! Owns the calls to `docker compose`. The file is compiled in and written to the stack's home, so
//! it works without a checkout; only the two servers of it are started, and the caller makes
//! tables and topics. Each home is a compose project of its own, with its own volumes.

use super::{
    Lifetime, Readiness, Server, StackError, guard::Guard, home::Home, java::answer, jvms::call,
    maven::mark, process::Signal, state::State, wait::Deadline,
};
use std::{
    ffi::OsString,
    process::{Command, Stdio},
    time::Duration,
};

const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const CALL_LIMIT: Duration = Duration::from_secs(60);
const RACES_MAX: usize = 5;

/// Whether an engine answers and has compose; else a sentence for the user.
pub fn answers() -> Result<(), String> {
    let engine = answer(
        Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]),
        ANSWER_LIMIT,
    );
    match engine {
        None => return Err("there is no `docker` program, or it does not answer".to_owned()),
        Some(output) if !output.status.success() => {
            return Err("no Docker engine answers: start Docker".to_owned());
        }
        Some(_) => {}
    }
    let compose = answer(Command::new("docker").args(["compose", "version"]), ANSWER_LIMIT);
    if compose.is_some_and(|output| output.status.success()) {
        Ok(())
    } else {
        Err("`docker compose` is missing: install the compose plug-in".to_owned())
    }
}

pub struct Containers {
    home: Home,
    pub state: State,
    guard: Option<Guard>,
}

impl Containers {
    pub fn start(
        home: Home,
        state: State,
        lifetime: Lifetime,
        fixed: &[Server],
        ready: &dyn Readiness,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Containers, StackError> {
        let folder = home.path().join("docker");
        for (name, text) in [
            ("docker-compose.yml", include_str!("../../docker-compose.yml")),
            (
                "deploy/stack/cassandra.docker.yaml",
                include_str!("../../deploy/stack/cassandra.docker.yaml"),
            ),
        ] {
            home.write(&folder.join(name), text)?;
        }
        let mut containers = Containers { home, state, guard: None };
        // Until all is up it is guarded in any case, so that a broken start leaves nothing.
        let mut clean_up = vec![OsString::from("docker")];
        clean_up.extend(containers.arguments(&["down"]));
        containers.guard = Some(
            Guard::clean_up_with(&clean_up).map_err(StackError::io("start the guard's shell"))?,
        );
        progress("starting Kafka and Cassandra as containers");
        let begun = containers
            .bring_up(fixed, progress)
            .and_then(|()| containers.wait(&Server::ALL, ready));
        if let Err(error) = begun {
            // The reason for the failed start is worth more than that of a failed stop.
            let _ = containers.end();
            return Err(error);
        }
        if lifetime == Lifetime::Detached {
            containers.guard.iter_mut().for_each(Guard::keep);
        }
        Ok(containers)
    }

    pub fn taken_over(home: Home, state: State) -> Containers {
        Containers { home, state, guard: None }
    }

    pub fn end(&mut self) -> Result<(), StackError> {
        self.guard.iter_mut().for_each(Guard::keep); // what it would do is done here, heard of here
        self.compose(&["down"])?;
        self.state.stopped().save(&self.home)
    }

    pub fn kill(&self, server: Server) -> Result<(), StackError> {
        self.compose(&["kill", service(server)]).map(drop)
    }

    pub fn signal(&self, server: Server, signal: Signal) -> Result<(), StackError> {
        let act = match signal {
            Signal::Stop => "pause",
            Signal::Continue => "unpause",
            Signal::Terminate => "stop",
            Signal::Kill => "kill",
        };
        self.compose(&[act, service(server)]).map(drop)
    }

    pub fn restart(&self, server: Server, ready: &dyn Readiness) -> Result<(), StackError> {
        self.compose(&["restart", service(server)])?;
        self.wait(&[server], ready)
    }

    pub fn is_running(&self, server: Server) -> bool {
        self.compose(&["ps", "--services", "--status", "running"])
            .is_ok_and(|services| services.lines().any(|line| line.trim() == service(server)))
    }

    /// Starts both; chooses other ports while the ones chosen turn out to be taken.
    fn bring_up(
        &mut self,
        fixed: &[Server],
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), StackError> {
        let mut races = 0;
        loop {
            self.state.save(&self.home)?;
            let up = ["up", "--detach", "--wait", "--wait-timeout", "300", "broker", "cassandra"];
            match self.compose(&up) {
                Err(StackError::Compose { output, .. })
                    if races < RACES_MAX && fixed.is_empty() && is_lost_port(&output) =>
                {
                    races += 1;
                    progress("a port was taken by somebody else, trying others");
                    for server in Server::ALL {
                        self.state.ports = self
                            .state
                            .ports
                            .renewed(server)
                            .map_err(StackError::io("choose a free port"))?;
                    }
                }
                other => return other.map(drop),
            }
        }
    }

    fn wait(&self, servers: &[Server], ready: &dyn Readiness) -> Result<(), StackError> {
        let deadline = Deadline::after(CALL_LIMIT);
        for &server in servers {
            while let Err(reason) = call(&self.state, server, ready) {
                if !deadline.pause() {
                    let logs = self.compose(&["logs", "--tail", "20", service(server)]);
                    return Err(StackError::Slow {
                        server,
                        waited_s: deadline.limit().as_secs(),
                        reason,
                        log: format!("docker compose logs {}", service(server)).into(),
                        tail: logs.unwrap_or_default(),
                    });
                }
            }
        }
        Ok(())
    }

    fn arguments(&self, act: &[&str]) -> Vec<OsString> {
        let project = format!("tapline-{:08x}", mark(self.home.text()));
        let file = self.home.path().join("docker/docker-compose.yml").into_os_string();
        let mut arguments: Vec<OsString> =
            vec!["compose".into(), "--project-name".into(), project.into(), "--file".into(), file];
        arguments.extend(act.iter().map(OsString::from));
        arguments
    }

    fn compose(&self, act: &[&str]) -> Result<String, StackError> {
        let output = Command::new("docker")
            .args(self.arguments(act))
            .env("TAPLINE_KAFKA_PORT", self.state.ports.kafka.to_string())
            .env("TAPLINE_CASSANDRA_PORT", self.state.ports.cql.to_string())
            .stdin(Stdio::null())
            .output()
            .map_err(StackError::io("run docker compose"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(StackError::Compose {
            command: format!("docker compose {}", act.join(" ")),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

fn service(server: Server) -> &'static str {
    match server {
        Server::Kafka => "broker",
        Server::Cassandra => "cassandra",
    }
}

fn is_lost_port(output: &str) -> bool {
    ["port is already allocated", "address already in use", "ports are not available"]
        .iter()
        .any(|sign| output.contains(sign))
}
