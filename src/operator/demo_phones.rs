//! The demo's phones: some of the data's customers, with a device each at a fake gateway of our own.
//!
//! Owns who has one, the gateway in this process, and what leads the workers to it. The keys are
//! worthless: only this gateway trusts them. Nothing is sent to anybody else.

use super::{connect, print::say};
use crate::adapters::cassandra::{failure::StoreError, push_targets::PushTargets};
use crate::config::Config;
use crate::domain::{command::Command, ids::CustomerId, push::Platform};
use crate::fake_gateway::{FakeGateway, Keys, Options, WEBHOOK_SECRET};
use crate::load::workers::Start;
use crate::producer::{Folder, dated::Step};
use crate::worker::EXIT_FAILED;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};
use tokio::runtime::Runtime;

/// Phones among each folder's customers.
const PHONES: usize = 24;

/// Where the secret of webhooks stands: it must not be an argument.
const SECRETS_VARIABLE: &str = "TAPLINE_PUSH__WEBHOOK_SECRETS";

pub struct Phones {
    gateway: FakeGateway,
    keys: Keys,
    owners: BTreeMap<CustomerId, Platform>,
    /// Runs the gateway until the phones are dropped.
    runtime: Runtime,
}

impl Phones {
    /// Starts the gateway and chooses who has a phone. `folder`: for its keys.
    pub fn start(folder: &Path, folders: &[Folder]) -> Result<Self, i32> {
        let failed = |error: std::io::Error| {
            say(&format!("the demo's gateway cannot be started: {error}"));
            EXIT_FAILED
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(failed)?;
        let keys = Keys::write(folder).map_err(failed)?;
        let options = Options {
            keys: Some(keys.clone()),
            webhook_secrets: vec![WEBHOOK_SECRET.to_owned()],
            ..Options::default()
        };
        let gateway = runtime.block_on(FakeGateway::start(options)).map_err(failed)?;
        let owners = folders.iter().flat_map(owners_of).zip(Platform::ALL.into_iter().cycle());
        Ok(Self { gateway, keys, owners: owners.collect(), runtime })
    }

    /// Gives each of them a device, as the API would.
    pub fn register(&self, config: &Config) -> Result<(), i32> {
        let failed = |error: StoreError| {
            say(&format!("a phone cannot be registered: {error}"));
            EXIT_FAILED
        };
        let registered = connect::block_on(async {
            let session = Arc::new(connect::cassandra(config).await?);
            let keyspace = &config.cassandra.keyspace;
            let targets = PushTargets::open(session, keyspace).await.map_err(failed)?;
            for (customer, platform) in &self.owners {
                let device = self.gateway.device(*platform, customer.as_str());
                targets.put_device(customer, &device).await.map_err(failed)?;
            }
            Ok(())
        });
        registered?
    }

    /// Leads a worker's pushes to the gateway.
    pub fn lead(&self, start: Start) -> Start {
        let settings = self.keys.config(self.gateway.address);
        let (secret, settings): (Vec<_>, Vec<_>) =
            settings.into_iter().partition(|(key, _)| *key == "push.webhook_secrets");
        let start = start.with("push.mode", "live");
        let start = settings.into_iter().fold(start, |start, (key, value)| start.with(key, value));
        secret
            .into_iter()
            .fold(start, |start, (_, value)| start.in_environment(SECRETS_VARIABLE, value))
    }

    pub fn is_of(&self, customer: &CustomerId) -> bool {
        self.owners.contains_key(customer)
    }

    pub fn count(&self) -> usize {
        self.owners.len()
    }

    /// Obligations of which the gateway took at least one request.
    pub fn accepted(&self) -> BTreeSet<String> {
        let taken = self.gateway.journal().into_iter().filter(|entry| entry.answer == "accepted");
        taken.filter_map(|entry| Some(entry.key.rsplit_once(':')?.0.to_owned())).collect()
    }

    /// Requests whose body differs from an earlier one under the same key; never right.
    pub fn bodies_changed(&self) -> u64 {
        self.gateway.counts().bodies_changed
    }

    /// What the gateway was sent last, oldest first: title and body.
    pub fn last(&self, count: usize) -> Vec<(String, String)> {
        let journal = self.gateway.journal();
        let last = &journal[journal.len().saturating_sub(count)..];
        last.iter().map(|entry| (entry.title.clone(), entry.body.clone())).collect()
    }

    /// Stops the gateway.
    pub fn stop(self) {
        let Self { gateway, runtime, .. } = self;
        drop(gateway);
        runtime.shutdown_background();
    }
}

/// Some of the customers whom the data names as holders, evenly over all of them.
fn owners_of(folder: &Folder) -> Vec<CustomerId> {
    let holders: BTreeSet<CustomerId> = folder
        .play()
        .filter_map(|step| match step {
            Step::Command(command) => match command.body {
                Command::ChangeHolder(holder) => Some(holder.customer_id),
                _ => None,
            },
            Step::Tick(_) => None,
        })
        .collect();
    let every = (holders.len() / PHONES).max(1);
    holders.into_iter().step_by(every).take(PHONES).collect()
}
