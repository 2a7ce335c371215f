//! `tapline rules`: versions of the payment rules, and activating one by a record in every
//! partition.
//!
//! Owns the activation: the document is stored, then a tick that names its version is written to
//! every partition, again and again until each log holds a fresh one. Workers switch at that
//! record, never at a deploy. A version never goes down.

use super::{
    acting::{self, Acting},
    apply,
    cli::Common,
    connect::{block_on, cassandra, code_of},
    logs,
    moments::{parse_time, utc},
    print::{self, say},
    records,
    rows::not_found,
    ticks::{self, Fold},
};
use crate::adapters::{cassandra::rules, kafka::reader::Reader};
use crate::codec::{self, topics::COMMANDS};
use crate::config::Config;
use crate::domain::{
    command::{AccountCommand, Command, PARTITION_KEY, Tick},
    time::LogTime,
};
use crate::runtime::{context::InForce, telemetry};
use crate::stages::{Stage, authorisation::Authorisation};
use crate::worker::{EXIT_DONE, EXIT_FAILED, EXIT_REFUSED};
use clap::Subcommand;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// How long fresh ticks are tried for.
const DEADLINE_MS: u64 = 60_000;

/// `list` looks at numbers from 1 until this many in a row are not stored.
const GAP_MAX: i32 = 32;

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Stores a rules file and activates its version by a tick in every partition
    #[command(after_help = "Examples:\n  tapline rules activate rules/2.toml\n  \
                            tapline rules activate rules/2.toml --execute")]
    Activate {
        file: PathBuf,
        /// Log time of the tick, RFC 3339, where nobody else writes ticks [default: now]
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        time: Option<i64>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Stored versions, and which is in force where
    #[command(after_help = "Example:\n  tapline rules list")]
    List,
    /// The text of a version as it was stored
    #[command(after_help = "Example:\n  tapline rules show 1 > rules/1.toml")]
    Show {
        // `version` is the name of the flag that every command has.
        #[arg(id = "number", value_name = "VERSION")]
        version: i32,
    },
}

pub fn run(common: &Common, command: RulesCommand) -> i32 {
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let done = match command {
        RulesCommand::Activate { file, time, acting } => {
            activate(common, &config, &file, time, acting)
        }
        RulesCommand::List => list(common, &config),
        RulesCommand::Show { version } => show(common, &config, version),
    };
    done.err().unwrap_or(EXIT_DONE)
}

/// One partition before, and after, the activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Line {
    partition: i32,
    clock: String,
    in_force: i32,
    /// `activate`, `in force`, or empty while unknown.
    action: &'static str,
    /// Offset of the latest fresh tick.
    fresh_tick_at: Option<i64>,
}

impl Line {
    fn of(partition: i32, fold: &Fold, version: i32) -> Self {
        Self {
            partition,
            clock: utc(fold.in_force.time.0),
            in_force: fold.in_force.rules_version,
            action: if fold.in_force.rules_version >= version { "in force" } else { "activate" },
            fresh_tick_at: fold.fresh_at,
        }
    }
}

/// The time of a tick that can be fresh: the given one, or now, but later than the clock.
fn tick_time(given: Option<i64>, now_ms: i64, in_force: &InForce) -> i64 {
    given.unwrap_or_else(|| now_ms.max(in_force.time.0.saturating_add(1)))
}

fn activate(
    common: &Common,
    config: &Config,
    file: &Path,
    time: Option<i64>,
    acting: Acting,
) -> Result<(), i32> {
    let document = std::fs::read_to_string(file).map_err(|error| {
        say(&format!("{} cannot be read: {error}", file.display()));
        logs::EXIT_USAGE
    })?;
    let parsed = codec::rules::parse(&document).map_err(|error| {
        say(&format!("config_invalid: {}: {error}", file.display()));
        EXIT_REFUSED
    })?;
    let version = parsed.version;
    let log = Commands::open(config)?;
    let folds = log.folds()?;
    judge(&folds, version, time)?;
    if !acting.execute {
        print_lines(common, &folds, version);
    }
    let topic = log.topic.clone();
    if !acting.may_act(config, &topic)? {
        return Ok(());
    }
    block_on(async {
        let session = cassandra(config).await?;
        let stored = apply::store_rules(config, &session, &document).await;
        stored.map(|_| ()).map_err(|error| code_of(&error))
    })??;
    let folds = log.write_until_fresh(version, time)?;
    acting::note("rules activate", &format!("version {version} in {topic}"));
    print_lines(common, &folds, version);
    Ok(())
}

/// May this version follow what is in force? Errors: exit code 4.
fn judge(folds: &[(i32, Fold)], version: i32, time: Option<i64>) -> Result<(), i32> {
    for (partition, fold) in folds {
        let in_force = fold.in_force;
        if in_force.rules_version > version {
            say(&format!(
                "refused: partition {partition} already has rules version {}; versions never go \
                 down: give the rules the next number",
                in_force.rules_version
            ));
            return Err(EXIT_REFUSED);
        }
        if let Some(time) = time.filter(|time| *time <= in_force.time.0)
            && in_force.rules_version < version
        {
            say(&format!(
                "refused: partition {partition} stands at {}, a tick of {} would be stale; give a \
                 later --time",
                utc(in_force.time.0),
                utc(time)
            ));
            return Err(EXIT_REFUSED);
        }
    }
    Ok(())
}

/// The log of commands and what is needed to fold its ticks.
struct Commands<'a> {
    config: &'a Config,
    topic: String,
    reader: Reader,
    ids: codec::avro::RegistryIds,
}

impl<'a> Commands<'a> {
    fn open(config: &'a Config) -> Result<Self, i32> {
        Ok(Self {
            config,
            topic: config.kafka.topic(COMMANDS.0),
            reader: logs::reader(config, Authorisation::NAME)?,
            ids: records::registry_ids(config)?,
        })
    }

    /// Each partition's ticks from its committed offset to its end.
    fn folds(&self) -> Result<Vec<(i32, Fold)>, i32> {
        let places = logs::committed_spans(self.config, &self.reader, &self.topic, None)?;
        let mut folds = Vec::new();
        for (span, committed) in places {
            let from = match committed {
                Some(from) if (span.start..=span.end).contains(&from) => from,
                // Nobody has started yet: the whole log is the truth, if it is whole.
                None if span.start == 0 => 0,
                _ => {
                    say(&format!(
                        "no_start_point: {}:{} has no committed offset inside its log; see \
                         `tapline offsets show`",
                        self.topic, span.partition
                    ));
                    return Err(EXIT_REFUSED);
                }
            };
            let place = (from, span.end);
            let (config, reader) = (self.config, &self.reader);
            let fold = ticks::fold(config, reader, &self.topic, span.partition, place, &self.ids)?;
            folds.push((span.partition, fold));
        }
        Ok(folds)
    }

    /// Writes ticks that name the version until every partition has read a fresh one.
    fn write_until_fresh(&self, version: i32, time: Option<i64>) -> Result<Vec<(i32, Fold)>, i32> {
        let writer = logs::Writer::open(self.config)?;
        let deadline_ms = telemetry::steady_ms() + DEADLINE_MS;
        loop {
            let folds = self.folds()?;
            let behind: Vec<&(i32, Fold)> =
                folds.iter().filter(|(_, fold)| fold.in_force.rules_version < version).collect();
            if behind.is_empty() {
                return Ok(folds);
            }
            if telemetry::steady_ms() >= deadline_ms {
                let numbers: Vec<String> =
                    behind.iter().map(|(partition, _)| partition.to_string()).collect();
                say(&format!(
                    "after 60 s no tick with rules version {version} was fresh in partitions {}: \
                     somebody writes ticks with later times; run the command again",
                    numbers.join(", ")
                ));
                return Err(EXIT_FAILED);
            }
            judge(&folds, version, time)?;
            // Read at the last moment: the workers' own ticks pass it otherwise. The first round
            // may be late all the same, because it connects.
            let now_ms = telemetry::now_ms();
            let ticks: Vec<(i32, AccountCommand)> = behind
                .iter()
                .map(|(partition, fold)| {
                    let time = tick_time(time, now_ms, &fold.in_force);
                    (*partition, tick(time, version, fold.in_force.logic_version))
                })
                .collect();
            writer.write(&self.topic, &ticks)?;
        }
    }
}

/// The same record that a worker's ticker writes.
fn tick(time_ms: i64, rules_version: i32, logic_version: i32) -> AccountCommand {
    let time = LogTime(time_ms);
    AccountCommand {
        account_id: PARTITION_KEY.into(),
        message_id: format!("tick-{time_ms}").into(),
        sent_at: time,
        body: Command::Tick(Tick { time, rules_version, logic_version }),
    }
}

fn print_lines(common: &Common, folds: &[(i32, Fold)], version: i32) {
    let lines: Vec<Line> =
        folds.iter().map(|(partition, fold)| Line::of(*partition, fold, version)).collect();
    let heading = format!("version {version}");
    let columns = [
        print::number("partition", &|it: &Line| it.partition.to_string()),
        print::text("clock", &|it: &Line| it.clock.clone()),
        print::number("rules in force", &|it: &Line| it.in_force.to_string()),
        print::number("by the tick at", &|it: &Line| {
            it.fresh_tick_at.map_or("-".to_owned(), |offset| offset.to_string())
        }),
        print::text(&heading, &|it: &Line| it.action.to_owned()),
    ];
    print::rows(common.output, &lines, &columns);
}

#[derive(Debug, Serialize)]
struct Stored {
    version: i32,
    description: String,
    bytes: usize,
    /// Partitions where it is in force.
    in_force_in: Vec<i32>,
}

fn list(common: &Common, config: &Config) -> Result<(), i32> {
    let folds = Commands::open(config)?.folds()?;
    let stored = block_on(async {
        let session = cassandra(config).await?;
        let (mut stored, mut number, mut missing) = (Vec::new(), 1, 0);
        while missing < GAP_MAX {
            let document = rules::load(&session, &config.cassandra.keyspace, number).await;
            match document.map_err(|error| store_failed(&error.to_string()))? {
                None => missing += 1,
                Some(document) => {
                    missing = 0;
                    stored.push((number, document));
                }
            }
            number += 1;
        }
        Ok::<_, i32>(stored)
    })??;
    let line = |(version, document): (i32, String)| Stored {
        version,
        description: codec::rules::parse(&document)
            .map_or_else(|error| format!("unreadable: {error}"), |rules| rules.description),
        bytes: document.len(),
        in_force_in: folds
            .iter()
            .filter(|(_, fold)| fold.in_force.rules_version == version)
            .map(|(partition, _)| *partition)
            .collect(),
    };
    let lines: Vec<Stored> = stored.into_iter().map(line).collect();
    let columns = [
        print::number("version", &|it: &Stored| it.version.to_string()),
        print::text("in force in partitions", &|it: &Stored| {
            let numbers: Vec<String> = it.in_force_in.iter().map(i32::to_string).collect();
            if numbers.is_empty() { "-".to_owned() } else { numbers.join(", ") }
        }),
        print::text("description", &|it: &Stored| it.description.clone()),
    ];
    print::rows(common.output, &lines, &columns);
    Ok(())
}

fn store_failed(error: &str) -> i32 {
    say(&format!("{error}\nIs the keyspace made? `tapline tables apply --execute` makes it."));
    EXIT_FAILED
}

fn show(common: &Common, config: &Config, version: i32) -> Result<(), i32> {
    let document = block_on(async {
        let session = cassandra(config).await?;
        let document = rules::load(&session, &config.cassandra.keyspace, version).await;
        document.map_err(|error| store_failed(&error.to_string()))
    })??;
    let Some(document) = document else {
        return Err(not_found(&format!(
            "rules version {version} is not stored; `tapline rules list` shows those that are"
        )));
    };
    #[derive(Serialize)]
    struct Shown<'a> {
        version: i32,
        document: &'a str,
    }
    let shown = Shown { version, document: &document };
    print::document(common.output, &shown, || document.trim_end().to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::stages::encode_tick;

    fn at(time: i64, rules_version: i32) -> Fold {
        let mut fold = Fold::starting_at(0);
        fold.in_force = InForce { time: LogTime(time), rules_version, logic_version: 1 };
        fold
    }

    /// Goal: an operator's tick is byte for byte a ticker's. Method: both encoders.
    #[test]
    fn the_tick_is_a_tickers() {
        let mut ours = Vec::new();
        codec::avro::Avro::of(codec::schemas::Subject::Commands).encode(&tick(99, 2, 1), &mut ours);
        let theirs = Tick { time: LogTime(99), rules_version: 2, logic_version: 1 };
        assert_eq!(ours, encode_tick(theirs));
    }

    /// Goal: versions never go down and a given time must be able to be fresh. Method: a table.
    #[test]
    fn what_may_be_activated() {
        for (clock, in_force, version, time, allowed) in [
            (100, 1, 2, None, true),
            (100, 2, 2, None, true),
            (100, 3, 2, None, false),
            (100, 1, 2, Some(101), true),
            (100, 1, 2, Some(100), false),
            (100, 2, 2, Some(50), true),
        ] {
            let judged = judge(&[(0, at(clock, in_force))], version, time);
            assert_eq!(judged.is_ok(), allowed, "{in_force} {version} {time:?}");
        }
    }

    /// Goal: without a given time the tick is fresh even where the clock runs ahead. Method: both
    /// sides of now.
    #[test]
    fn times() {
        for (given, now, clock, expected) in
            [(None, 500, 100, 500), (None, 50, 100, 101), (Some(7), 500, 100, 7)]
        {
            assert_eq!(tick_time(given, now, &at(clock, 1).in_force), expected);
        }
    }
}
