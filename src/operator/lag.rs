//! `tapline lag`: how far behind each partition is, in records, seconds and money.
//!
//! Owns the reckoning from committed offsets and the log alone, so it works with all workers down.
//! Ticks are told apart: commits stand at ticks, so a partition at rest still has a few records
//! behind its commit, and only commands wait. Never adds money across currencies.

use super::{
    amounts::{Sums, count},
    cli::Common,
    connect::block_on,
    logs,
    moments::{duration, utc},
    print, records,
    rows::Rows,
};
use crate::adapters::kafka::{groups, reader::Span};
use crate::codec::{
    avro::{Avro, RegistryIds},
    raw::RawRecord,
    schemas::Subject,
    topics::{self, COMMANDS},
};
use crate::config::Config;
use crate::domain::{
    command::{AccountCommand, Command, PARTITION_KEY},
    money::Currency,
};
use crate::runtime::telemetry;
use crate::worker::EXIT_DONE;
use clap::Args;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    time::Duration,
};

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tapline lag\n  tapline lag --watch 5\n  \
    tapline lag --output json | jq .total\n\n\
    How it is reckoned: everything below the committed offset is durable. Commits stand at ticks \
    (the partitions' clocks), and a dead letter holds them back while the fuse counts it. So a \
    partition at rest has some records behind its commit, ticks among them, and 0 commands waiting. \
    Which commands above the commit are decided and stored is told by the rows of their accounts: \
    one read per account that waits. Without Cassandra, with --log-only, or with more than 50,000 \
    such accounts every command above the commit counts as waiting. Money is the sum of the amounts \
    in waiting commands, whatever their direction. Which worker owns a partition is not asked; the \
    members of the group are counted. Works with all workers down.")]
pub struct LagArgs {
    /// One stage only
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<String>,
    /// Repeat every so many seconds, until stopped
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub watch: Option<u64>,
    /// Read at most this many records per partition; beyond it figures are lower bounds
    #[arg(long, value_name = "RECORDS", default_value_t = 200_000,
          value_parser = clap::value_parser!(i64).range(1..))]
    pub records_max: i64,
    /// Do not ask Cassandra: every command above the commit counts as waiting
    #[arg(long)]
    pub log_only: bool,
}

pub fn run(common: &Common, args: &LagArgs) -> i32 {
    let shown = || -> Result<(), i32> {
        let config = common.load()?;
        loop {
            let lag = look(&config, args)?;
            print::document(common.output, &lag, || lag.shown());
            let Some(seconds) = args.watch else { return Ok(()) };
            std::thread::park_timeout(Duration::from_secs(seconds));
        }
    };
    shown().err().unwrap_or(EXIT_DONE)
}

/// Most accounts whose rows are read.
const ACCOUNTS_MAX: usize = 50_000;

/// A command that no commit covers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting {
    offset: i64,
    appended_ms: i64,
    /// Empty where nobody will ask for the row.
    account: Box<str>,
    /// Absent where the command moves no money.
    amount: Option<(i64, Currency)>,
}

/// What was read of one partition above its committed offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Above {
    waiting: Vec<Waiting>,
    ticks: i64,
    undecodable: i64,
}

impl Above {
    fn take(&mut self, raw: &RawRecord, ids: &RegistryIds, of_commands: bool, keep_account: bool) {
        let command = match &raw.value {
            Some(value) if of_commands => {
                Avro::of(Subject::Commands).decode::<AccountCommand>(value, ids).ok()
            }
            _ => None,
        };
        if raw.key.as_deref() == Some(PARTITION_KEY.as_bytes()) {
            self.ticks += 1;
            return;
        }
        if command.is_none() && of_commands {
            self.undecodable += 1;
        }
        let account = raw.key_text().filter(|_| keep_account).unwrap_or_default();
        self.waiting.push(Waiting {
            offset: raw.offset,
            appended_ms: raw.timestamp_ms,
            account: account.into(),
            amount: command.and_then(|command| amount_of(&command.body)),
        });
    }
}

/// The amount that a command names, minor units.
fn amount_of(command: &Command) -> Option<(i64, Currency)> {
    match command {
        Command::Authorise(c) => Some((c.amount_minor, c.currency)),
        Command::Advise(c) => Some((c.amount_minor, c.currency)),
        Command::Increment(c) => Some((c.amount_minor, c.currency)),
        Command::Reverse(c) => Some((c.amount_minor?, c.currency)),
        Command::Present(c) => Some((c.amount_minor, c.currency)),
        Command::ReversePresentment(c) => Some((c.amount_minor, c.currency)),
        Command::AuthoriseRefund(c) => Some((c.amount_minor, c.currency)),
        Command::Refund(c) => Some((c.amount_minor, c.currency)),
        Command::Credit(c) => Some((c.amount_minor, c.currency)),
        Command::Debit(c) => Some((c.amount_minor, c.currency)),
        Command::OpenAccount(_)
        | Command::ChangeAccount(_)
        | Command::ChangeHolder(_)
        | Command::ChangeCard(_)
        | Command::EndDiversion(_)
        | Command::Tick(_)
        | Command::ReleaseFuse(_) => None,
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct PartitionLag {
    partition: i32,
    /// Absent: nothing was ever committed; counted from the start of the log.
    committed: Option<i64>,
    /// Every command up to here is known to be in its row: below the commit, or as rows say.
    durable_through: Option<i64>,
    log_end: i64,
    records_behind: i64,
    ticks_behind: i64,
    commands_waiting: i64,
    undecodable: i64,
    /// Age of the oldest waiting command by the broker's time, milliseconds; 0 where none waits.
    behind_ms: i64,
    oldest_waiting_at: Option<String>,
    money_waiting_minor: Sums,
    /// More records wait than were read: counts and money are lower bounds.
    capped: bool,
}

impl PartitionLag {
    /// `positions`: what rows say, per account; empty where they were not read.
    fn of(
        span: Span,
        committed: Option<i64>,
        above: &Above,
        positions: &BTreeMap<Box<str>, i64>,
        read_to: i64,
        now_ms: i64,
    ) -> Self {
        let is_stored = |it: &&Waiting| {
            positions.get(&it.account).is_some_and(|position| *position >= it.offset)
        };
        let waiting: Vec<&Waiting> =
            above.waiting.iter().filter(|waiting| !is_stored(waiting)).collect();
        let from = committed.unwrap_or(span.start).max(span.start);
        let oldest = waiting.iter().map(|it| it.appended_ms).min();
        let mut money = Sums::default();
        for (minor, currency) in waiting.iter().filter_map(|it| it.amount) {
            money.add(minor, currency);
        }
        let first_waiting = waiting.first().map_or(i64::MAX, |it| it.offset);
        let stored = above.waiting.iter().filter(is_stored).map(|it| it.offset);
        let stored = stored.filter(|offset| *offset < first_waiting).max();
        Self {
            partition: span.partition,
            committed,
            durable_through: stored.max(committed.map(|committed| committed - 1)),
            log_end: span.end,
            records_behind: span.end - from,
            ticks_behind: above.ticks,
            commands_waiting: waiting.len() as i64,
            undecodable: above.undecodable,
            behind_ms: oldest.map_or(0, |oldest| (now_ms - oldest).max(0)),
            oldest_waiting_at: oldest.map(utc),
            money_waiting_minor: money,
            capped: read_to < span.end,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Total {
    records_behind: i64,
    commands_waiting: i64,
    /// Of the partition that is furthest behind.
    behind_ms: i64,
    money_waiting_minor: Sums,
    capped: bool,
}

impl Total {
    fn of<'a>(partitions: impl Iterator<Item = &'a PartitionLag>) -> Self {
        let mut total = Total::default();
        for lag in partitions {
            total.records_behind += lag.records_behind;
            total.commands_waiting += lag.commands_waiting;
            total.behind_ms = total.behind_ms.max(lag.behind_ms);
            total.money_waiting_minor.add_all(&lag.money_waiting_minor);
            total.capped |= lag.capped;
        }
        total
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct StageLag {
    stage: String,
    topic: String,
    group: String,
    /// Kafka's word; empty where the group does not exist.
    group_state: String,
    members: usize,
    /// Rows were asked, so what they contain does not count as waiting.
    by_rows: bool,
    partitions: Vec<PartitionLag>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Lag {
    at: String,
    stages: Vec<StageLag>,
    total: Total,
}

fn look(config: &Config, args: &LagArgs) -> Result<Lag, i32> {
    let stages: Vec<&str> = match &args.stage {
        Some(stage) => vec![logs::input_of(stage)?.0],
        None => topics::inputs().map(|(stage, _)| stage).collect(),
    };
    let mut lags = Vec::new();
    for stage in stages {
        lags.push(look_at(config, args, stage)?);
    }
    let total = Total::of(lags.iter().flat_map(|stage| &stage.partitions));
    Ok(Lag { at: utc(telemetry::now_ms()), stages: lags, total })
}

fn look_at(config: &Config, args: &LagArgs, stage: &str) -> Result<StageLag, i32> {
    let (_, spec) = logs::input_of(stage)?;
    let topic = config.kafka.topic(spec.topic.0);
    let ids = records::registry_ids(config)?;
    let reader = logs::reader(config, stage)?;
    let unreachable = |error| logs::unreachable(config, error);
    let (spans, committed): (Vec<Span>, Vec<Option<i64>>) =
        logs::committed_spans(config, &reader, &topic, None)?.into_iter().unzip();
    let numbers: Vec<i32> = spans.iter().map(|span| span.partition).collect();
    let name = config.kafka.group(stage);
    let group = groups::group(&config.kafka, &name).map_err(unreachable)?;
    let part = |(span, committed): (&Span, &Option<i64>)| {
        let start = committed.unwrap_or(span.start).max(span.start);
        Span { start, end: span.end.min(start.saturating_add(args.records_max)), ..*span }
    };
    let parts: Vec<Span> = spans.iter().zip(&committed).map(part).collect();
    let mut above = vec![Above::default(); parts.len()];
    let of_commands = spec.topic == COMMANDS;
    logs::read(config, &reader, &topic, &parts, |raw| {
        if let Some(place) = numbers.iter().position(|number| *number == raw.partition) {
            above[place].take(&raw, &ids, of_commands, !args.log_only);
        }
        ControlFlow::Continue(())
    })?;
    let positions = match of_commands && !args.log_only {
        true => positions(config, &above),
        false => None,
    };
    let by_rows = positions.is_some();
    let positions = positions.unwrap_or_default();
    let now_ms = telemetry::now_ms();
    let lag = |place: usize| {
        let read_to = parts[place].end;
        let (span, committed) = (spans[place], committed[place]);
        PartitionLag::of(span, committed, &above[place], &positions, read_to, now_ms)
    };
    let partitions = (0..parts.len()).map(lag).collect();
    let (group_state, members) = (group.state, group.members.len());
    let (stage, group) = (stage.to_owned(), name);
    Ok(StageLag { stage, topic, group, group_state, members, by_rows, partitions })
}

/// The log position of each waiting account's row; `None`, with a word, where rows cannot tell.
fn positions(config: &Config, above: &[Above]) -> Option<BTreeMap<Box<str>, i64>> {
    let accounts: BTreeSet<&str> =
        above.iter().flat_map(|it| &it.waiting).map(|it| &*it.account).collect();
    if accounts.is_empty() {
        return Some(BTreeMap::new());
    }
    if accounts.len() > ACCOUNTS_MAX {
        print::say("very many accounts wait: counted from the log alone, without their rows");
        return None;
    }
    let read = block_on(async {
        let rows = Rows::open(config).await?;
        let reads = accounts.into_iter().map(|account| {
            let rows = &rows;
            async move { (account, rows.head(account).await) }
        });
        let mut reads = stream::iter(reads).buffer_unordered(32);
        let mut positions = BTreeMap::new();
        while let Some((account, head)) = reads.next().await {
            positions.insert(account.into(), head?.map_or(-1, |head| head.row.pos));
        }
        Ok::<_, i32>(positions)
    });
    if let Ok(Ok(positions)) = read {
        return Some(positions);
    }
    print::say("rows cannot be read: counted from the log alone");
    None
}

impl Lag {
    fn shown(&self) -> String {
        let mut text = String::new();
        for stage in &self.stages {
            let state = if stage.group_state.is_empty() { "none" } else { &stage.group_state };
            text += &format!(
                "{}  reads {}  group {}: {}, members {}  at {}\n",
                stage.stage, stage.topic, stage.group, state, stage.members, self.at
            );
            text += &stage.table();
            text += "\n";
        }
        let total = &self.total;
        let bound = if total.capped { "at least " } else { "" };
        text += &format!(
            "total: {} records behind, {bound}{} commands waiting, {} behind, money waiting: {bound}{}",
            count(total.records_behind),
            count(total.commands_waiting),
            duration(total.behind_ms),
            total.money_waiting_minor.shown().replace('\n', ", ")
        );
        if total.capped {
            text += "\nnot everything was read; raise --records-max for the whole";
        }
        text
    }
}

impl StageLag {
    fn table(&self) -> String {
        let at_least = |lag: &PartitionLag, text: String| match lag.capped {
            true => format!(">= {text}"),
            false => text,
        };
        let optional = |number: Option<i64>| number.map_or("-".to_owned(), count);
        print::table(
            &self.partitions,
            &[
                print::number("partition", &|it: &PartitionLag| it.partition.to_string()),
                print::number("committed", &|it: &PartitionLag| optional(it.committed)),
                print::number("durable to", &|it: &PartitionLag| optional(it.durable_through)),
                print::number("log end", &|it: &PartitionLag| count(it.log_end)),
                print::number("records", &|it: &PartitionLag| count(it.records_behind)),
                print::number("ticks", &|it: &PartitionLag| at_least(it, count(it.ticks_behind))),
                print::number("waiting", &|it: &PartitionLag| {
                    at_least(it, count(it.commands_waiting))
                }),
                print::number("behind", &|it: &PartitionLag| duration(it.behind_ms)),
                print::number("money waiting", &|it: &PartitionLag| {
                    at_least(it, it.money_waiting_minor.shown())
                }),
            ],
        )
    }
}

#[cfg(test)]
#[path = "lag_tests.rs"]
mod tests;
