//! `tapline stack`: a Kafka and a Cassandra on this machine.

use super::{
    apply,
    cli::Common,
    connect::{self, RealCalls},
    print::{self, say},
};
use crate::config::Config;
use crate::stack::{self, Endpoints, Lifetime, Options, Platform, Stack};
use crate::worker::{EXIT_DONE, EXIT_FAILED, EXIT_REFUSED};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

/// Partitions of every topic on a local stack.
pub const LOCAL_PARTITIONS: u32 = 4;
/// Rows over which a month of the feed spreads on the local stack.
const LOCAL_FEED_BUCKETS: u32 = 16;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum On {
    Docker,
    Java,
}

#[derive(Clone, Debug, Args)]
pub struct Home {
    /// Folder of the stack's data, logs and state
    #[arg(long, value_name = "FOLDER", default_value = ".tapline/stack")]
    pub home: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum StackCommand {
    /// Starts the servers (or finds them running) and makes tables, topics and rules
    #[command(
        after_help = "Example:\n  tapline stack up && eval \"$(tapline stack env)\" && tapline-worker"
    )]
    Up {
        #[command(flatten)]
        home: Home,
        /// What to run them on [default: Docker where an engine answers, else Java]
        #[arg(long, value_enum)]
        on: Option<On>,
        /// Servers only: no tables, topics and rules
        #[arg(long)]
        bare: bool,
    },
    /// Stops the servers; the data stays
    Down {
        #[command(flatten)]
        home: Home,
    },
    /// Says whether the servers run and answer
    Status {
        #[command(flatten)]
        home: Home,
    },
    /// Prints the environment that points tapline at the stack
    Env {
        #[command(flatten)]
        home: Home,
    },
}

pub fn run(common: &Common, command: StackCommand) -> i32 {
    match command {
        StackCommand::Up { home, on, bare } => {
            let options = Options {
                home: home.home,
                platform: on.map(|on| match on {
                    On::Docker => Platform::Docker,
                    On::Java => Platform::Java,
                }),
                lifetime: Lifetime::Detached,
                kafka_port: None,
                cassandra_port: None,
            };
            up(common, &options, bare)
        }
        StackCommand::Down { home } => match stack::down(&home.home) {
            Ok(true) => said("stopped", EXIT_DONE),
            Ok(false) => said("nothing was running", EXIT_DONE),
            Err(error) => said(&error.to_string(), EXIT_FAILED),
        },
        StackCommand::Status { home } => match stack::status(&home.home) {
            Ok(status) => {
                #[derive(Serialize)]
                struct Line {
                    server: &'static str,
                    health: stack::Health,
                    address: String,
                }
                let address = |of: fn(&Endpoints) -> &String| {
                    status.endpoints.as_ref().map_or(String::new(), |it| of(it).clone())
                };
                let lines = [
                    Line {
                        server: "kafka",
                        health: status.kafka,
                        address: address(|it| &it.kafka),
                    },
                    Line {
                        server: "cassandra",
                        health: status.cassandra,
                        address: address(|it| &it.cassandra),
                    },
                ];
                let columns = [
                    print::text("server", &|line: &Line| line.server.to_owned()),
                    print::text("health", &|line: &Line| {
                        format!("{:?}", line.health).to_lowercase()
                    }),
                    print::text("address", &|line: &Line| line.address.clone()),
                ];
                print::rows(common.output, &lines, &columns);
                EXIT_DONE
            }
            Err(error) => said(&error.to_string(), EXIT_FAILED),
        },
        StackCommand::Env { home } => match stack::env(&home.home) {
            Ok(lines) => {
                for line in lines {
                    println!("export {line}");
                }
                println!("export TAPLINE_KAFKA__PARTITIONS={LOCAL_PARTITIONS}");
                println!("export TAPLINE_FEED__BUCKETS={LOCAL_FEED_BUCKETS}");
                EXIT_DONE
            }
            Err(error) => said(&error.to_string(), EXIT_FAILED),
        },
    }
}

fn said(text: &str, code: i32) -> i32 {
    say(text);
    code
}

fn up(common: &Common, options: &Options, bare: bool) -> i32 {
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let stack = match start(options, &config) {
        Ok(stack) => stack,
        Err(code) => return code,
    };
    let endpoints = stack.endpoints().clone();
    if !bare {
        let config = match local_config(common, &endpoints) {
            Ok(config) => config,
            Err(code) => return code,
        };
        if let Err(code) = make_installation(&config) {
            return code;
        }
    }
    print::document(common.output, &endpoints, || {
        format!(
            "Kafka {}  Cassandra {}  on {:?}\nPoint a shell at it: eval \"$(tapline stack env --home {})\"",
            endpoints.kafka,
            endpoints.cassandra,
            endpoints.platform,
            options.home.display()
        )
    });
    EXIT_DONE
}

/// Starts the servers, saying what happens.
pub fn start(options: &Options, config: &Config) -> Result<Stack, i32> {
    let ready = RealCalls { config: config.clone() };
    stack::up(options, &ready, &mut |line| say(line)).map_err(|error| {
        say(&error.to_string());
        EXIT_REFUSED
    })
}

/// The configuration with a local stack's addresses and partition count.
pub fn local_config(common: &Common, endpoints: &Endpoints) -> Result<Config, i32> {
    let mut common = common.clone();
    common.settings.splice(
        0..0,
        [
            ("kafka.bootstrap".to_owned(), endpoints.kafka.clone()),
            ("cassandra.contact".to_owned(), endpoints.cassandra.clone()),
            ("kafka.partitions".to_owned(), LOCAL_PARTITIONS.to_string()),
            ("feed.buckets".to_owned(), LOCAL_FEED_BUCKETS.to_string()),
        ],
    );
    common.load()
}

/// Tables, rules and topics; says nothing when all is well.
pub fn make_installation(config: &Config) -> Result<(), i32> {
    let made = connect::block_on(async {
        let session = connect::cassandra(config).await?;
        apply::apply_all(config, &session).await.map_err(|error| connect::code_of(&error))
    });
    made?
}
