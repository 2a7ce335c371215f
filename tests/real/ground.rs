//! The ground that the cases stand on: one stack for the run, and a site of its own for each case.
//!
//! Owns starting and stopping of the servers, the names of each case (topics, groups, keyspace) and
//! its workers. Nothing of a case is seen by another. Processes end with the run, however it ends:
//! a worker's input is a pipe from here, the servers have a guard.

use std::{
    cell::RefCell,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tapline::adapters::cassandra::session::{self, Session};
use tapline::codec::topics::COMMANDS;
use tapline::config::Config;
use tapline::console::{common::Common, print::Output};
use tapline::load::workers::{Start, Worker};
use tapline::operator::{connect, demo, stacks};
use tapline::stack::{self, Endpoints, Lifetime, Options, Platform, Server, Stack};

/// How much is done: `TAPTEST_SIZE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    Quick,
    Ci,
    Night,
}

impl Size {
    pub fn of_environment() -> Result<Self, String> {
        match std::env::var("TAPTEST_SIZE").as_deref() {
            Err(_) | Ok("" | "quick") => Ok(Size::Quick),
            Ok("ci") => Ok(Size::Ci),
            Ok("night") => Ok(Size::Night),
            Ok(other) => Err(format!("TAPTEST_SIZE={other}: write quick, ci or night")),
        }
    }

    pub fn pick<T>(self, quick: T, ci: T, night: T) -> T {
        match self {
            Size::Quick => quick,
            Size::Ci => ci,
            Size::Night => night,
        }
    }
}

pub struct Ground {
    pub size: Size,
    pub seed: u64,
    home: PathBuf,
    endpoints: Endpoints,
    /// `None`: servers that run already and are not ours to kill.
    stack: RefCell<Option<Stack>>,
    ready: connect::RealCalls,
}

impl Ground {
    /// Errors: a sentence for people; nothing runs on after one.
    pub fn prepare(size: Size, seed: u64) -> Result<Self, String> {
        let home = std::env::temp_dir().join(format!("tapline-real-{}", std::process::id()));
        std::fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let config = flags()
            .load()
            .map_err(|_| "the environment's TAPLINE_ settings are wrong".to_owned())?;
        let ready = connect::RealCalls { config };
        let given = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let (endpoints, stack) = match (given("TAPTEST_KAFKA"), given("TAPTEST_CASSANDRA")) {
            (Some(kafka), Some(cassandra)) => {
                let platform = Platform::Java;
                let home = home.clone();
                let (kafka_pid, cassandra_pid) = (None, None);
                let endpoints =
                    Endpoints { kafka, cassandra, platform, home, kafka_pid, cassandra_pid };
                (endpoints, None)
            }
            (None, None) => {
                let stack = start_stack(&home, &ready)?;
                (stack.endpoints().clone(), Some(stack))
            }
            _ => return Err("TAPTEST_KAFKA and TAPTEST_CASSANDRA go together".to_owned()),
        };
        Ok(Self { size, seed, home, endpoints, stack: RefCell::new(stack), ready })
    }

    pub fn owns_servers(&self) -> bool {
        self.stack.borrow().is_some()
    }

    /// Kills a server as a power cut would and starts it again on the same data.
    pub fn kill_and_restart(&self, server: Server) {
        let mut stack = self.stack.borrow_mut();
        let stack = stack.as_mut().expect("asked for only where the servers are ours");
        stack.kill(server).unwrap_or_else(|error| panic!("{server} not killed: {error}"));
        stack
            .restart(server, &self.ready)
            .unwrap_or_else(|error| panic!("{server} did not come back: {error}"));
    }

    /// The names of one case, with nothing made yet.
    pub fn named(&self, case: &str, more: &[(&str, &str)]) -> Site {
        let mut own = demo::own_names(&flags(), case);
        own.settings
            .extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let config = stacks::local_config(&own, &self.endpoints)
            .unwrap_or_else(|_| panic!("the settings of {case} are wrong"));
        let folder = self.home.join(case);
        std::fs::create_dir_all(&folder).expect("a folder below the run's own");
        Site { config, folder }
    }

    /// The site of one case: topics, tables and rules made.
    pub fn site(&self, case: &str) -> Site {
        let site = self.named(case, &[]);
        site.install();
        site
    }

    /// The ends of all worker logs of a case, for whoever looks for a failure's cause.
    pub fn last_words(&self, case: &str) -> String {
        let mut words = String::new();
        for entry in std::fs::read_dir(&self.home).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().starts_with(case) {
                continue;
            }
            for log in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                let path = log.path();
                if path.extension().is_some_and(|kind| kind == "log") {
                    let text = std::fs::read_to_string(&path).unwrap_or_default();
                    let lines: Vec<&str> = text.lines().collect();
                    let last = lines[lines.len().saturating_sub(8)..].join("\n    ");
                    words.push_str(&format!("  {}:\n    {last}\n", path.display()));
                }
            }
        }
        words
    }

    /// Stops the servers and removes what the run left on disk.
    pub fn leave(self) {
        if let Some(stack) = self.stack.into_inner()
            && let Err(error) = stack.down()
        {
            eprintln!("the servers did not stop well: {error}");
        }
        if let Err(error) = std::fs::remove_dir_all(&self.home) {
            eprintln!("{} was not removed: {error}", self.home.display());
        }
    }
}

fn start_stack(home: &Path, ready: &connect::RealCalls) -> Result<Stack, String> {
    let options = Options {
        home: home.join("stack"),
        platform: None,
        lifetime: Lifetime::WithParent,
        kafka_port: None,
        cassandra_port: None,
    };
    let begun = Instant::now();
    let stack = stack::up(&options, ready, &mut |_| {}).map_err(|error| {
        format!(
            "no servers to test with: {error}\n(TAPTEST_REAL=0 leaves these tests out; \
             TAPTEST_KAFKA and TAPTEST_CASSANDRA name servers that run already)"
        )
    })?;
    let endpoints = stack.endpoints();
    println!(
        "Kafka {} and Cassandra {} on {:?} after {:.1} s",
        endpoints.kafka,
        endpoints.cassandra,
        endpoints.platform,
        begun.elapsed().as_secs_f64()
    );
    Ok(stack)
}

fn flags() -> Common {
    Common { config: None, settings: Vec::new(), output: Output::Text, no_progress: true }
}

/// What one case has to itself.
pub struct Site {
    pub config: Config,
    pub folder: PathBuf,
}

impl Site {
    pub fn install(&self) {
        stacks::make_installation(&self.config)
            .unwrap_or_else(|code| panic!("no installation, exit code {code}: see above"));
    }

    pub fn commands(&self) -> String {
        self.config.kafka.topic(COMMANDS.0)
    }

    pub fn partitions(&self) -> i32 {
        self.config.kafka.partitions as i32
    }

    /// How worker `number` is started.
    pub fn start(&self, number: usize, more: &[(&str, &str)]) -> Start {
        let log = self.folder.join(format!("worker-{number}.log"));
        let start = Start::of(&self.config, &log).expect("this program has a path");
        let start = Start { program: env!("CARGO_BIN_EXE_tapline").into(), ..start };
        more.iter().fold(start, |start, (key, value)| start.with(key, value))
    }

    pub fn worker(&self, number: usize, more: &[(&str, &str)]) -> Worker {
        self.start(number, more).spawn().expect("a worker can be started")
    }

    /// Asks Cassandra, in this case's name.
    pub fn ask<T, F: Future<Output = T>>(&self, work: impl FnOnce(Arc<Session>) -> F) -> T {
        let asked = connect::block_on(async {
            let session = session::connect(&self.config.cassandra).await;
            work(Arc::new(session.expect("Cassandra answers"))).await
        });
        asked.expect("a runtime can be made")
    }
}

/// Looks again and again until there is something; past the deadline, fails with what was missing.
pub fn until<T>(what: &str, within_s: u64, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + Duration::from_secs(within_s);
    loop {
        match look() {
            Ok(found) => return found,
            Err(missing) if Instant::now() > deadline => {
                panic!("{what}: not within {within_s} s; missing: {missing}")
            }
            Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
}
