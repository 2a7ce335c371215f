//! The gateways' twin for tests and the demo: FCM, APNs, push services and webhooks in one server.
//!
//! Owns what the real ones would check and answer, and how they misbehave when told to. Trusts only
//! its own worthless keys and must never be given real ones. Invariant: whatever a gateway sent is
//! in the journal, once for each request, with the answer it was given.

mod behaviour;
mod checks;
pub mod cli;
mod journal;
mod jwt;
mod keys;
mod opened;
mod page;
mod routes;

pub use behaviour::{Act, Rule, Target};
pub use journal::{Counts, Entry};
pub use keys::{Keys, WEBHOOK_SECRET, device};

use crate::domain::push::{Device, Platform};
use behaviour::Behaviours;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use journal::Journal;
use jwt::Verified;
use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
};

/// Requests at once on one HTTP/2 connection: as many as Apple's servers allow.
const STREAMS_MAX: u32 = 1_000;

pub struct Options {
    /// Port 0 is any free one.
    pub listen: SocketAddr,
    /// Whose signatures are right. Without: tokens need only be well formed.
    pub keys: Option<Keys>,
    /// A webhook is refused that none of these verifies. Empty: it needs only be well formed.
    pub webhook_secrets: Vec<String>,
    /// One JSON line for each request. Without: in memory alone.
    pub journal: Option<PathBuf>,
    pub behaviours: Vec<(Target, Rule)>,
    /// What access tokens say of their life.
    pub token_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            keys: None,
            webhook_secrets: Vec::new(),
            journal: None,
            behaviours: Vec::new(),
            token_seconds: 3_600,
        }
    }
}

/// What all connections share.
struct Twin {
    address: SocketAddr,
    keys: Option<Keys>,
    webhook_secrets: Vec<String>,
    token_seconds: u64,
    tokens_granted: AtomicU64,
    verified: Verified,
    connections: AtomicU64,
    behaviours: Mutex<Behaviours>,
    journal: Mutex<Journal>,
}

impl Twin {
    /// Errors: the journal cannot be written.
    fn new(address: SocketAddr, options: Options) -> io::Result<Self> {
        let mut behaviours = Behaviours::default();
        for (target, rule) in options.behaviours {
            behaviours.set(target, rule);
        }
        Ok(Twin {
            address,
            keys: options.keys,
            webhook_secrets: options.webhook_secrets,
            token_seconds: options.token_seconds,
            tokens_granted: AtomicU64::new(0),
            verified: Verified::default(),
            connections: AtomicU64::new(0),
            behaviours: Mutex::new(behaviours),
            journal: Mutex::new(Journal::open(options.journal.as_deref())?),
        })
    }

    fn counts(&self) -> Counts {
        let tokens = self.tokens_granted.load(Ordering::Relaxed);
        let connections = self.connections.load(Ordering::Relaxed);
        let journal = self.journal.lock().expect("no panic while journaling");
        journal.counts(tokens, connections)
    }
}

/// A twin that runs until it is dropped.
pub struct FakeGateway {
    pub address: SocketAddr,
    twin: Arc<Twin>,
    task: JoinHandle<()>,
}

impl Drop for FakeGateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeGateway {
    /// Binds and serves in the background. Errors: the address is taken, the journal cannot be
    /// written.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let twin = Arc::new(Twin::new(address, options)?);
        let task = tokio::spawn(serve(listener, Arc::clone(&twin)));
        Ok(FakeGateway { address, twin, task })
    }

    pub fn counts(&self) -> Counts {
        self.twin.counts()
    }

    /// The last entries, oldest first.
    pub fn journal(&self) -> Vec<Entry> {
        self.twin.journal.lock().expect("no panic while journaling").since(0, usize::MAX).1
    }

    pub fn behave(&self, target: Target, rule: Rule) {
        self.twin.behaviours.lock().expect("no panic while choosing").set(target, rule);
    }

    /// A device whose pushes come here. A name that begins with `gone-` is one that left.
    pub fn device(&self, platform: Platform, name: &str) -> Device {
        keys::device(platform, name, self.address)
    }

    /// Runs for as long as the process does.
    pub async fn wait(mut self) {
        // It ends by a panic or never.
        let _ = (&mut self.task).await;
    }
}

/// Lets a request cut the connection that it came by.
#[derive(Clone, Default)]
struct Scissors(Arc<Notify>);

async fn serve(listener: TcpListener, twin: Arc<Twin>) {
    // Its tasks end with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    twin.connections.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(connection(stream, Arc::clone(&twin)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, twin: Arc<Twin>) {
    let scissors = Scissors::default();
    let service = TowerToHyperService::new(routes::routes(twin, scissors.clone()));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let _ = stream.set_nodelay(true);
    tokio::select! {
        // Its error is the client's: it went away, or spoke something else.
        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
        () = scissors.0.notified() => {}
    }
}
