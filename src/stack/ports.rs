//! TCP ports on 127.0.0.1 for one stack.
//!
//! Owns the choice: what the user fixed, else what this home used before, else free ones. A port
//! is free when it could be bound a moment ago; somebody may take it before the server does, so
//! the launcher chooses again when a server reports a lost race.

use super::Server;
use serde::{Deserialize, Serialize};
use std::{io, net::TcpListener};

/// True if nobody listens there now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Every port that the two servers listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub kafka: u16,
    pub controller: u16,
    pub cql: u16,
    pub storage: u16,
    pub jmx: u16,
}

impl Ports {
    /// `wish` holds earlier ports, zero where there is none. All five differ.
    pub fn choose(wish: Ports) -> io::Result<Ports> {
        // Held together until all are chosen: a port read and closed could be given out again.
        let mut held = Vec::with_capacity(5);
        let mut choose = |wished: u16| {
            let listener = TcpListener::bind(("127.0.0.1", wished))
                .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))?;
            let port = listener.local_addr()?.port();
            held.push(listener);
            io::Result::Ok(port)
        };
        Ok(Ports {
            kafka: choose(wish.kafka)?,
            controller: choose(wish.controller)?,
            cql: choose(wish.cql)?,
            storage: choose(wish.storage)?,
            jmx: choose(wish.jmx)?,
        })
    }

    /// Other ports for one server, after it lost a race; the other server's stay.
    pub fn renewed(self, server: Server) -> io::Result<Ports> {
        let fresh = Ports::choose(Ports::NONE)?;
        Ok(match server {
            Server::Kafka => Ports { kafka: fresh.kafka, controller: fresh.controller, ..self },
            Server::Cassandra => {
                Ports { cql: fresh.cql, storage: fresh.storage, jmx: fresh.jmx, ..self }
            }
        })
    }

    /// The port that clients of this server connect to.
    pub fn client(self, server: Server) -> u16 {
        match server {
            Server::Kafka => self.kafka,
            Server::Cassandra => self.cql,
        }
    }

    pub fn set_client(&mut self, server: Server, port: u16) {
        match server {
            Server::Kafka => self.kafka = port,
            Server::Cassandra => self.cql = port,
        }
    }

    /// `host:port` for clients of this server.
    pub fn address(self, server: Server) -> String {
        format!("127.0.0.1:{}", self.client(server))
    }

    pub const NONE: Ports = Ports { kafka: 0, controller: 0, cql: 0, storage: 0, jmx: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: earlier ports are kept where they are free, a taken one is replaced, none is given
    /// twice. Method: choose, hold one of them, choose again.
    #[test]
    fn taken_port_is_replaced() {
        let first = Ports::choose(Ports::NONE).expect("free ports");
        let _thief = TcpListener::bind(("127.0.0.1", first.cql)).expect("it was free");
        let second = Ports::choose(first).expect("free ports");
        assert_ne!(second.cql, first.cql);
        let mut all = [second.kafka, second.controller, second.cql, second.storage, second.jmx];
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
    }
}
