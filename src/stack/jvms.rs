//! Both servers as Java processes of this machine.
//!
//! Owns their start, side by side, and the wait until they answer. A server counts as ready when
//! its own log says that it serves, its port accepts, and one real call succeeds: without the log,
//! another stack's server on a port lost in a race would be taken for ours.

use super::{
    Readiness, Server, StackError, cassandra,
    guard::Guard,
    home::{Home, tail},
    is_listening,
    java::Java,
    kafka, maven,
    ports::is_free,
    process::Signal,
    state::State,
    wait::Deadline,
};
use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, thread, time::Duration};

/// A cold start on a busy machine takes a minute; Cassandra reads its whole commit log first.
const START_LIMIT: Duration = Duration::from_secs(240);
/// Cassandra writes its memtables out when asked to end.
const END_GRACE: Duration = Duration::from_secs(20);
const RACES_MAX: usize = 5;

pub struct Jvms {
    home: Home,
    pub state: State,
    /// Of the servers started here. Empty for a stack that was taken over.
    guards: BTreeMap<Server, Guard>,
}

/// What the servers are started with.
struct Programs {
    java: Java,
    jars: BTreeMap<Server, PathBuf>,
}

impl Programs {
    fn find(progress: &mut dyn FnMut(&str)) -> Result<Programs, StackError> {
        let java =
            Java::find().map_err(|why| super::Missing { java: vec![why], ..Default::default() })?;
        let jars = Server::ALL
            .into_iter()
            .map(|server| Ok((server, maven::jars(server, progress)?)))
            .collect::<Result<_, StackError>>()?;
        Ok(Programs { java, jars })
    }
}

impl Jvms {
    /// Starts both on the ports in `state`, or on others where a port is lost; never on others
    /// than `fixed` for a server listed there.
    pub fn start(
        home: Home,
        state: State,
        fixed: &[Server],
        ready: &dyn Readiness,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Jvms, StackError> {
        let programs = Programs::find(progress)?;
        let mut jvms = Jvms { home, state, guards: BTreeMap::new() };
        progress("starting Kafka and Cassandra");
        let deadline = Deadline::after(START_LIMIT);
        let begun = Server::ALL
            .into_iter()
            .try_for_each(|server| jvms.launch(server, &programs))
            .and_then(|()| jvms.wait(&Server::ALL, &deadline, &programs, fixed, ready, progress));
        if let Err(error) = begun {
            // The reason for the failed start is worth more than that of a failed stop.
            let _ = jvms.end();
            return Err(error);
        }
        Ok(jvms)
    }

    pub fn taken_over(home: Home, state: State) -> Jvms {
        Jvms { home, state, guards: BTreeMap::new() }
    }

    /// Lets the servers outlive this process.
    pub fn keep(&mut self) {
        self.guards.values_mut().for_each(Guard::keep);
    }

    pub fn signal(&self, server: Server, signal: Signal) -> bool {
        self.state.process(server).is_some_and(|process| process.signal(signal))
    }

    /// Kills at once, as a power cut would, and returns when the process is gone.
    pub fn kill(&mut self, server: Server) {
        if let Some(process) = self.state.process(server) {
            process.signal(Signal::Kill);
            process.is_gone_within(END_GRACE);
        }
        self.guards.remove(&server);
    }

    /// Starts one server again on its ports and its data, ending it first if it runs.
    pub fn restart(&mut self, server: Server, ready: &dyn Readiness) -> Result<(), StackError> {
        if let Some(process) = self.state.process(server) {
            process.end(END_GRACE);
        }
        self.guards.remove(&server);
        let quiet = &mut |_: &str| {};
        let programs = Programs::find(quiet)?;
        let deadline = Deadline::after(START_LIMIT);
        self.launch(server, &programs)?;
        self.wait(&[server], &deadline, &programs, &Server::ALL, ready, quiet)
    }

    /// Stops both and remembers their ports.
    pub fn end(&mut self) -> Result<(), StackError> {
        end(&self.home, &self.state)?;
        self.guards.clear();
        Ok(())
    }

    fn launch(&mut self, server: Server, programs: &Programs) -> Result<(), StackError> {
        let command = self.prepare(server, programs)?;
        let log = self.home.new_log(server)?;
        let (guard, process) =
            Guard::start(&log, &command).map_err(StackError::io(format!("start {server}")))?;
        self.guards.insert(server, guard);
        self.state.set_process(server, Some(process));
        self.state.save(&self.home)
    }

    fn prepare(&self, server: Server, programs: &Programs) -> Result<Vec<OsString>, StackError> {
        let (home, ports, java) = (&self.home, self.state.ports, &programs.java);
        let jars = &programs.jars[&server];
        match server {
            Server::Kafka => {
                kafka::prepare(home, ports, java, jars)?;
                Ok(kafka::command(home, java, jars))
            }
            Server::Cassandra => {
                cassandra::prepare(home, ports)?;
                cassandra::command(home, ports, java, jars)
            }
        }
    }

    fn wait(
        &mut self,
        servers: &[Server],
        deadline: &Deadline,
        programs: &Programs,
        fixed: &[Server],
        ready: &dyn Readiness,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), StackError> {
        let mut waiting = servers.to_vec();
        let mut races = 0;
        while let Some(&server) = waiting.first() {
            let log = self.home.log(server);
            let reason = match self.answer(server, ready) {
                Ok(()) => {
                    let seconds = deadline.elapsed().as_secs_f32();
                    progress(&format!("{server} answers after {seconds:.1} s"));
                    waiting.remove(0);
                    continue;
                }
                Err(reason) => reason,
            };
            if has_lost_port(server, &log) && races < RACES_MAX {
                races += 1;
                progress(&format!("{server} lost the race for a port, trying again"));
                self.move_away(server, fixed)?;
                self.launch(server, programs)?;
            } else if self.guards.get_mut(&server).is_none_or(Guard::has_ended) {
                return Err(StackError::Died { server, tail: tail(&log), log });
            }
            waiting.rotate_left(1);
            if !deadline.pause() {
                let waited_s = deadline.limit().as_secs();
                return Err(StackError::Slow { server, waited_s, reason, tail: tail(&log), log });
            }
        }
        Ok(())
    }

    /// Ends a server whose port was taken and gives it others; a fixed one can only be complained
    /// about.
    fn move_away(&mut self, server: Server, fixed: &[Server]) -> Result<(), StackError> {
        self.kill(server);
        let port = self.state.ports.client(server);
        let is_fixed = fixed.contains(&server);
        if is_fixed && !is_free(port) {
            return Err(StackError::PortTaken { server, port });
        }
        self.state.ports =
            self.state.ports.renewed(server).map_err(StackError::io("choose a free port"))?;
        if is_fixed {
            self.state.ports.set_client(server, port);
        }
        Ok(())
    }

    fn answer(&self, server: Server, ready: &dyn Readiness) -> Result<(), String> {
        let log = self.home.log(server);
        let has_started = match server {
            Server::Kafka => kafka::has_started(&log),
            Server::Cassandra => cassandra::has_started(&log),
        };
        if !has_started {
            return Err("it was still starting".to_owned());
        }
        call(&self.state, server, ready)
    }
}

/// A connection and one real call.
pub fn call(state: &State, server: Server, ready: &dyn Readiness) -> Result<(), String> {
    let address = state.ports.address(server);
    if !is_listening(&address) {
        return Err(format!("{address} accepted no connection"));
    }
    match server {
        Server::Kafka => ready.kafka(&address),
        Server::Cassandra => ready.cassandra(&address),
    }
}

/// Stops the processes in `state`, both at a time, and writes down that they are stopped.
pub fn end(home: &Home, state: &State) -> Result<(), StackError> {
    thread::scope(|scope| {
        for process in Server::ALL.iter().filter_map(|server| state.process(*server)) {
            scope.spawn(|| process.end(END_GRACE));
        }
    });
    state.stopped().save(home)
}

fn has_lost_port(server: Server, log: &std::path::Path) -> bool {
    match server {
        Server::Kafka => kafka::has_lost_port(log),
        Server::Cassandra => cassandra::has_lost_port(log),
    }
}
