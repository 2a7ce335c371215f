//! What is known on disk about a stack that runs, or ran.
//!
//! Owns `stack.json` in the stack's home: ports, process identities, and whose end ends the stack.
//! Written by renaming, so a reader never sees half of it. It is a claim, not a fact: processes in
//! it may have ended since, which is why they are stored with their start times.

use super::{Platform, Server, StackError, home::Home, ports::Ports, process::Process};
use serde::{Deserialize, Serialize};
use std::{fs, io};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub platform: Platform,
    pub ports: Ports,
    /// The process that stops this stack when it ends; none for one that outlives its starter.
    pub owner: Option<Process>,
    /// The servers on Java; none while not started, and on Docker.
    pub kafka: Option<Process>,
    pub cassandra: Option<Process>,
}

impl State {
    pub fn load(home: &Home) -> Result<Option<State>, StackError> {
        let path = home.state_file();
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|cause| StackError::State { path, cause }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(StackError::io(format!("read {}", path.display()))(cause)),
        }
    }

    pub fn save(&self, home: &Home) -> Result<(), StackError> {
        let path = home.state_file();
        let text = serde_json::to_string_pretty(self)
            .map_err(|cause| StackError::State { path: path.clone(), cause })?;
        let partial = path.with_extension("json.partial");
        home.write(&partial, &text)?;
        fs::rename(&partial, &path).map_err(StackError::io(format!("write {}", path.display())))
    }

    pub fn process(&self, server: Server) -> Option<&Process> {
        match server {
            Server::Kafka => self.kafka.as_ref(),
            Server::Cassandra => self.cassandra.as_ref(),
        }
    }

    pub fn set_process(&mut self, server: Server, process: Option<Process>) {
        match server {
            Server::Kafka => self.kafka = process,
            Server::Cassandra => self.cassandra = process,
        }
    }

    /// True while the process that stops this stack still runs, and is not this one.
    pub fn foreign_owner(&self) -> Option<&Process> {
        let owner = self.owner.as_ref()?;
        (owner.pid != std::process::id() && owner.is_alive()).then_some(owner)
    }

    /// The same stack with nothing running: what is kept are its ports, so that clients that know
    /// them find the next start.
    pub fn stopped(&self) -> State {
        State { owner: None, kafka: None, cassandra: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            platform: Platform::Java,
            ports: Ports { kafka: 1, controller: 2, cql: 3, storage: 4, jmx: 5 },
            owner: Process::current(),
            kafka: Some(Process { pid: 4_000_000, started: "1".to_owned() }),
            cassandra: None,
        }
    }

    /// Goal: what is saved is loaded, a missing file is no stack, a strange one is refused by name.
    /// Method: one home through all three.
    #[test]
    fn state_survives_the_disk() {
        let folder = std::env::temp_dir().join(format!("tapline-state-{}", std::process::id()));
        let home = Home::open(&folder).expect("a folder");
        assert_eq!(State::load(&home).expect("no file is fine"), None);
        state().save(&home).expect("saved");
        assert_eq!(State::load(&home).expect("loads"), Some(state()));
        fs::write(home.state_file(), "{\"platform\":\"java\"}").expect("written");
        let refused = State::load(&home).expect_err("it lacks the ports").to_string();
        assert!(refused.contains("stack.json"), "{refused}");
        fs::remove_dir_all(&folder).expect("removed");
    }

    /// Goal: a stack is another's only while that other one lives. Method: one owner per case.
    #[test]
    fn dead_owner_owns_nothing() {
        let stale = Process { pid: 1, started: "never".to_owned() };
        for (name, owner, then) in [
            ("nobody", None, false),
            ("this process", Process::current(), false),
            ("a process that lives", Process::with_pid(1), true),
            ("its id, given out again", Some(stale), false),
        ] {
            let state = State { owner, ..state() };
            assert_eq!(state.foreign_owner().is_some(), then, "{name}");
        }
    }
}
