//! One stack that runs: what its starter holds, and what a test does to it.
//!
//! Owns the decision who ends it. A stack that lives with its parent ends when this value is
//! dropped; a detached one, and one that was found running, does not.

use super::{
    Endpoints, Lifetime, Options, Platform, Readiness, Server, StackError,
    compose::Containers,
    home::Home,
    jvms::{self, Jvms},
    ports::Ports,
    process::{Process, Signal},
    state::State,
    wait::Deadline,
};
use std::time::Duration;

/// A stack found running gets this long to answer before it counts as hung.
const TAKE_OVER_LIMIT: Duration = Duration::from_secs(20);

pub struct Stack {
    home: Home,
    servers: Servers,
    endpoints: Endpoints,
    ends_with_us: bool,
}

enum Servers {
    Java(Jvms),
    Docker(Containers),
}

impl Servers {
    fn taken_over(home: &Home, state: &State) -> Servers {
        let (home, state) = (home.clone(), state.clone());
        match state.platform {
            Platform::Java => Servers::Java(Jvms::taken_over(home, state)),
            Platform::Docker => Servers::Docker(Containers::taken_over(home, state)),
        }
    }

    fn state(&self) -> &State {
        match self {
            Servers::Java(jvms) => &jvms.state,
            Servers::Docker(containers) => &containers.state,
        }
    }

    fn end(&mut self) -> Result<(), StackError> {
        match self {
            Servers::Java(jvms) => jvms.end(),
            Servers::Docker(containers) => containers.end(),
        }
    }
}

impl Stack {
    pub(super) fn start(
        options: &Options,
        platform: Platform,
        home: Home,
        earlier: Option<State>,
        ready: &dyn Readiness,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Stack, StackError> {
        let (ports, fixed) = choose_ports(options, earlier.map(|state| state.ports))?;
        let owner = match options.lifetime {
            Lifetime::WithParent => Process::current(),
            Lifetime::Detached => None,
        };
        let state = State { platform, ports, owner, kafka: None, cassandra: None };
        let (at, lifetime) = (home.clone(), options.lifetime);
        let servers = match platform {
            Platform::Java => {
                let mut jvms = Jvms::start(at, state, &fixed, ready, progress)?;
                if lifetime == Lifetime::Detached {
                    jvms.keep();
                }
                Servers::Java(jvms)
            }
            Platform::Docker => {
                Servers::Docker(Containers::start(at, state, lifetime, &fixed, ready, progress)?)
            }
        };
        let endpoints = endpoints(&home, servers.state());
        let ends_with_us = lifetime == Lifetime::WithParent;
        Ok(Stack { home, servers, endpoints, ends_with_us })
    }

    /// The stack in `state`, if both of its servers run and answer.
    ///
    /// Errors: `InUse` while another process holds it for its own life time.
    pub(super) fn take_over(
        home: &Home,
        state: &State,
        ready: &dyn Readiness,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Option<Stack>, StackError> {
        if let Some(owner) = state.foreign_owner() {
            return Err(StackError::InUse { home: home.path().to_owned(), pid: owner.pid });
        }
        if !Server::ALL.iter().all(|server| is_running(home, state, *server)) {
            return Ok(None);
        }
        let deadline = Deadline::after(TAKE_OVER_LIMIT);
        for server in Server::ALL {
            while let Err(reason) = jvms::call(state, server, ready) {
                if !deadline.pause() {
                    progress(&format!("{server} runs but hangs ({reason}): starting anew"));
                    return Ok(None);
                }
            }
        }
        progress("already up");
        Ok(Some(Stack {
            home: home.clone(),
            servers: Servers::taken_over(home, state),
            endpoints: endpoints(home, state),
            ends_with_us: false,
        }))
    }

    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Stops both servers, also those of a detached stack; data stays.
    pub fn down(mut self) -> Result<(), StackError> {
        self.ends_with_us = false; // done here, where an error can be heard
        self.servers.end()
    }

    /// Kills a server at once, as a power cut would.
    pub fn kill(&mut self, server: Server) -> Result<(), StackError> {
        match &mut self.servers {
            Servers::Java(jvms) => jvms.kill(server),
            Servers::Docker(containers) => containers.kill(server)?,
        }
        Ok(())
    }

    /// Starts a server again on the same port and data, ending it first if it runs. Returns when
    /// it answers.
    pub fn restart(&mut self, server: Server, ready: &dyn Readiness) -> Result<(), StackError> {
        match &mut self.servers {
            Servers::Java(jvms) => {
                jvms.restart(server, ready)?;
                if !self.ends_with_us {
                    jvms.keep();
                }
            }
            Servers::Docker(containers) => containers.restart(server, ready)?,
        }
        self.endpoints = endpoints(&self.home, self.servers.state());
        Ok(())
    }

    /// Stops a server's time: connections stay open, nothing is answered.
    pub fn pause(&self, server: Server) -> Result<(), StackError> {
        self.signal(server, Signal::Stop)
    }

    pub fn resume(&self, server: Server) -> Result<(), StackError> {
        self.signal(server, Signal::Continue)
    }

    fn signal(&self, server: Server, signal: Signal) -> Result<(), StackError> {
        match &self.servers {
            Servers::Java(jvms) if jvms.signal(server, signal) => Ok(()),
            Servers::Java(_) => Err(StackError::NotUp(self.home.path().to_owned())),
            Servers::Docker(containers) => containers.signal(server, signal),
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.ends_with_us {
            // Nobody is left to tell; what could not be stopped is found by the next start.
            let _ = self.servers.end();
        }
    }
}

pub(super) fn endpoints(home: &Home, state: &State) -> Endpoints {
    Endpoints {
        kafka: state.ports.address(Server::Kafka),
        cassandra: state.ports.address(Server::Cassandra),
        platform: state.platform,
        home: home.path().to_owned(),
        kafka_pid: state.kafka.as_ref().map(|process| process.pid),
        cassandra_pid: state.cassandra.as_ref().map(|process| process.pid),
    }
}

pub(super) fn is_running(home: &Home, state: &State, server: Server) -> bool {
    match state.platform {
        Platform::Java => state.process(server).is_some_and(Process::is_alive),
        Platform::Docker => Containers::taken_over(home.clone(), state.clone()).is_running(server),
    }
}

/// Stops whatever of `state` still runs.
pub(super) fn end_leftovers(home: &Home, state: &State) -> Result<(), StackError> {
    Servers::taken_over(home, state).end()
}

/// The ports to try, and the servers whose client port the user fixed.
fn choose_ports(
    options: &Options,
    earlier: Option<Ports>,
) -> Result<(Ports, Vec<Server>), StackError> {
    let mut wish = earlier.unwrap_or(Ports::NONE);
    let mut fixed = Vec::new();
    for (server, port) in
        [(Server::Kafka, options.kafka_port), (Server::Cassandra, options.cassandra_port)]
    {
        if let Some(port) = port {
            wish.set_client(server, port);
            fixed.push(server);
        }
    }
    let ports = Ports::choose(wish).map_err(StackError::io("choose a free port"))?;
    for &server in &fixed {
        if ports.client(server) != wish.client(server) {
            return Err(StackError::PortTaken { server, port: wish.client(server) });
        }
    }
    Ok((ports, fixed))
}
