//! Connections for commands: a runtime, a session, and words for what went wrong.

use super::{apply::ApplyError, print::say};
use crate::adapters::{
    cassandra::session::{self, Session},
    kafka::client,
};
use crate::config::Config;
use crate::stack::Readiness;
use crate::worker::{EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE};
use std::{future::Future, time::Duration};

/// Runs asynchronous work of a command to its end.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, i32> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let value = runtime.block_on(work);
            runtime.shutdown_timeout(Duration::from_millis(200));
            Ok(value)
        }
        Err(error) => {
            say(&format!("no runtime: {error}"));
            Err(EXIT_FAILED)
        }
    }
}

/// A session, or exit code 5 with the address that does not answer.
pub async fn cassandra(config: &Config) -> Result<Session, i32> {
    session::connect(&config.cassandra).await.map_err(|error| {
        say(&format!("{error}\nIs the address right (cassandra.contact)? `tapline stack status` tells about a local one."));
        EXIT_UNREACHABLE
    })
}

/// Says what went wrong and gives the exit code for it.
pub fn code_of(error: &ApplyError) -> i32 {
    say(&error.to_string());
    match error {
        ApplyError::Refused { .. } => EXIT_REFUSED,
        ApplyError::Unreachable(_) => EXIT_UNREACHABLE,
    }
}

/// The real calls by which a stack is known to be ready.
pub struct RealCalls {
    pub config: Config,
}

impl Readiness for RealCalls {
    fn kafka(&self, bootstrap: &str) -> Result<(), String> {
        let mut settings = self.config.kafka.clone();
        settings.bootstrap = bootstrap.to_owned();
        let properties = settings.connection_properties("stack");
        client::cluster_id(&properties, Duration::from_secs(3))
            .map(|_| ())
            .ok_or_else(|| format!("Kafka at {bootstrap} does not answer"))
    }

    fn cassandra(&self, contact: &str) -> Result<(), String> {
        let mut settings = self.config.cassandra.clone();
        settings.contact = vec![contact.to_owned()];
        block_on(session::is_answering(&settings))
            .map_err(|_| "no runtime".to_owned())?
            .map_err(|error| error.to_string())
    }
}
