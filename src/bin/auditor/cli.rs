//! Flags and exit codes of the auditor.
//!
//! Owns what can be asked and what is answered: 0 clean, 1 breach, 2 not judged. The report
//! goes to stdout, everything else to stderr.

use super::{
    audit::{self, Expected},
    evidence::Evidence,
    folder,
    live::{self, Sources},
    report,
};
use clap::{Parser, ValueEnum};
use std::{path::PathBuf, process::ExitCode};

/// Judges whether the pipeline did exactly what its log says, with a fold of its own.
///
/// Reads the topics from their beginning, the tables, the group's committed offsets and (if given)
/// the producer's journal, and checks money and pipeline invariants at every log position. It reads
/// only. Run it at rest, after the load has drained; workers may go on ticking or be stopped.
///
/// Exit codes: 0 clean, 1 at least one breach, 2 could not be judged (a source is missing, nothing
/// was seen, fewer commands than --expect, commands that wait for the next worker).
#[derive(Parser)]
#[command(
    name = "tapline-auditor",
    version,
    after_long_help = "Examples:\n  \
        tapline-auditor --expect 20000 --journal journal.jsonl\n  \
        tapline-auditor --expect-feed --expect-push --gateway-journal gateway.jsonl\n  \
        tapline-auditor --kafka broker:9092 --cassandra db:9042 --save evidence/\n  \
        tapline-auditor --evidence evidence/ --output json"
)]
pub struct Cli {
    /// Kafka's addresses, separated by commas
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "HOST:PORT")]
    kafka: String,
    /// A property of the Kafka client, such as `security.protocol=sasl_ssl`; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    kafka_property: Vec<(String, String)>,
    /// Cassandra's addresses, separated by commas
    #[arg(long, default_value = "127.0.0.1:9042", value_delimiter = ',', value_name = "HOST:PORT")]
    cassandra: Vec<String>,
    /// Keyspace of the tables
    #[arg(long, default_value = "tapline")]
    keyspace: String,
    /// Ask every replica of each row, not one
    #[arg(long)]
    all_replicas: bool,
    /// What stands before the names of the topics
    #[arg(long, default_value = "", hide_default_value = true)]
    topic_prefix: String,
    /// Group whose committed offsets are judged
    #[arg(long, default_value = "tapline.authorisation")]
    group: String,
    /// Group of the feed, whose committed offsets say which of its rows must be there
    #[arg(long, default_value = "tapline.feed", value_name = "GROUP")]
    feed_group: String,
    /// Group of push, below whose committed offsets everything is told or has another end
    #[arg(long, default_value = "tapline.push", value_name = "GROUP")]
    push_group: String,
    /// The producer's journal, JSON lines
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// The journal of the gateway that pushes went to, JSON lines
    #[arg(long, value_name = "FILE")]
    gateway_journal: Option<PathBuf>,
    /// Fewest commands that make a judgement
    #[arg(long, default_value_t = 1, value_name = "COMMANDS")]
    expect: u64,
    /// Without judgement where a topic of settlement is absent or empty
    #[arg(long)]
    expect_settlement: bool,
    /// Without judgement where the topic of feed items is absent or empty
    #[arg(long)]
    expect_feed: bool,
    /// Without judgement where the topic of push outcomes is absent or empty
    #[arg(long)]
    expect_push: bool,
    /// Judge a folder that was saved before, instead of servers
    #[arg(long, value_name = "FOLDER", conflicts_with = "save")]
    evidence: Option<PathBuf>,
    /// Keep what was read, as JSON lines
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
}

const NOT_JUDGED: u8 = 2;

fn property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let evidence = match gather(&cli) {
        Ok(evidence) => evidence,
        Err(error) => {
            eprintln!("not judged: {error}");
            return ExitCode::from(NOT_JUDGED);
        }
    };
    let expected = Expected {
        commands: cli.expect,
        settlement: cli.expect_settlement,
        feed: cli.expect_feed,
        push: cli.expect_push,
    };
    let verdict = audit::audit(&evidence, expected);
    match cli.output {
        Output::Text => print!("{}", report::text(&verdict)),
        Output::Json => print!("{}", report::json(&verdict)),
    }
    ExitCode::from(verdict.exit_code())
}

fn gather(cli: &Cli) -> Result<Evidence, String> {
    if let Some(path) = &cli.evidence {
        let mut evidence = folder::load(path)?;
        if let Some(path) = &cli.journal {
            evidence.journal = Some(folder::journal(path)?);
        }
        if let Some(path) = &cli.gateway_journal {
            evidence.served.requests = Some(folder::requests(path)?);
        }
        return Ok(evidence);
    }
    let evidence = live::gather(&Sources {
        kafka: cli.kafka.clone(),
        kafka_properties: cli.kafka_property.iter().cloned().collect(),
        cassandra: cli.cassandra.clone(),
        keyspace: cli.keyspace.clone(),
        topic_prefix: cli.topic_prefix.clone(),
        group: cli.group.clone(),
        feed_group: cli.feed_group.clone(),
        push_group: cli.push_group.clone(),
        journal: cli.journal.clone(),
        gateway_journal: cli.gateway_journal.clone(),
        all_replicas: cli.all_replicas,
    })?;
    if let Some(path) = &cli.save {
        folder::save(&evidence, path)?;
    }
    Ok(evidence)
}
