//! `tapline offsets`: where each partition of a stage starts again, and setting it.
//!
//! Owns what may be set: 0, or an older tick that was fresh (any older record where the topic has no
//! ticks), while nobody is in the group. A start
//! may be too low, for everything after it is skipped or done again alike; too high loses records,
//! so anything above the present commit is refused.

use super::{
    acting::{self, Acting},
    amounts::count,
    cli::Common,
    logs,
    moments::utc,
    print::{self, say},
    records,
    ticks::{self, tick_of},
};
use crate::adapters::kafka::{
    groups,
    reader::{Reader, Span},
};
use crate::codec::avro::RegistryIds;
use crate::config::Config;
use crate::worker::{EXIT_DONE, EXIT_REFUSED};
use clap::Subcommand;
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub enum OffsetsCommand {
    /// Committed offsets, the log around them, and what stands there
    #[command(after_help = "Example:\n  tapline offsets show --stage authorisation")]
    Show {
        #[arg(long, value_name = "STAGE", default_value = "authorisation")]
        stage: String,
    },
    /// Sets one committed offset: 0, or an older tick that was fresh; the group must be empty
    #[command(after_help = "Examples:\n  tapline offsets set --stage authorisation --partition 3 \
        --offset 0\n  tapline offsets set --stage authorisation --partition 3 --offset 1234 \
        --execute\n\n\
        Nothing is lost by an offset that is too low: what rows already contain is skipped.")]
    Set {
        #[arg(long, value_name = "STAGE")]
        stage: String,
        #[arg(long, value_name = "N")]
        partition: i32,
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
        offset: i64,
        #[command(flatten)]
        acting: Acting,
    },
}

pub fn run(common: &Common, command: OffsetsCommand) -> i32 {
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let done = match command {
        OffsetsCommand::Show { stage } => show(common, &config, &stage),
        OffsetsCommand::Set { stage, partition, offset, acting } => {
            set(common, &config, &stage, partition, offset, acting)
        }
    };
    done.err().unwrap_or(EXIT_DONE)
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Shown {
    stage: String,
    topic: String,
    partition: i32,
    committed: Option<i64>,
    log_start: i64,
    log_end: i64,
    /// What a takeover would find there.
    stands_there: String,
    /// The stable code of the refusal that a worker would end with; absent: it can start.
    refused: Option<&'static str>,
}

/// What stands at an offset that a worker would start from, and the code if it could not. Without
/// ticks in the topic a worker starts anywhere.
fn judge(
    span: Span,
    committed: Option<i64>,
    has_ticks: bool,
    tick: impl FnOnce(i64) -> Result<Option<String>, i32>,
) -> Result<(String, Option<&'static str>), i32> {
    Ok(match committed {
        None => ("nothing was ever committed".to_owned(), Some("no_start_point")),
        Some(at) if at < span.start || at > span.end => {
            ("outside the log".to_owned(), Some("offset_outside_log"))
        }
        Some(0) => ("the beginning".to_owned(), None),
        Some(at) if at == span.end && !has_ticks => ("the end of the log".to_owned(), None),
        Some(_) if !has_ticks => ("a record; the topic has no ticks".to_owned(), None),
        Some(at) if at == span.end => {
            ("the end of the log; the next record must be a tick".to_owned(), None)
        }
        Some(at) => match tick(at)? {
            Some(tick) => (tick, None),
            None => ("no tick".to_owned(), Some("no_start_point")),
        },
    })
}

/// The tick at an offset, as text.
fn tick_text(
    config: &Config,
    reader: &Reader,
    topic: &str,
    span: Span,
    offset: i64,
    ids: &RegistryIds,
) -> Result<Option<String>, i32> {
    let raw = logs::record_at(config, reader, topic, span, offset)?;
    Ok(raw.and_then(|raw| tick_of(&raw, ids)).map(|tick| {
        format!(
            "tick {}, rules {}, logic {}",
            utc(tick.time.0),
            tick.rules_version,
            tick.logic_version
        )
    }))
}

fn show(common: &Common, config: &Config, stage: &str) -> Result<(), i32> {
    let shown = rows(config, stage)?;
    let columns = [
        print::number("partition", &|it: &Shown| it.partition.to_string()),
        print::number("committed", &|it: &Shown| it.committed.map_or("-".to_owned(), count)),
        print::number("log start", &|it: &Shown| count(it.log_start)),
        print::number("log end", &|it: &Shown| count(it.log_end)),
        print::text("stands there", &|it: &Shown| it.stands_there.clone()),
        print::text("refused", &|it: &Shown| it.refused.unwrap_or("-").to_owned()),
    ];
    print::rows(common.output, &shown, &columns);
    Ok(())
}

/// For `check`: code and sentence of each partition that a worker could not start from.
pub fn refusals(config: &Config, stage: &str) -> Result<Vec<(&'static str, String)>, i32> {
    let refusal = |it: Shown| {
        let cure = "set 0 or an older tick with `tapline offsets set`";
        let sentence = format!("{}:{}: {}; {cure}", it.topic, it.partition, it.stands_there);
        Some((it.refused?, sentence))
    };
    Ok(rows(config, stage)?.into_iter().filter_map(refusal).collect())
}

fn rows(config: &Config, stage: &str) -> Result<Vec<Shown>, i32> {
    let (stage, spec) = logs::input_of(stage)?;
    let topic = config.kafka.topic(spec.topic.0);
    let ids = records::registry_ids(config)?;
    let reader = logs::reader(config, stage)?;
    let mut shown = Vec::new();
    for (span, committed) in logs::committed_spans(config, &reader, &topic, None)? {
        let (stands_there, refused) = judge(span, committed, spec.has_ticks, |at| {
            tick_text(config, &reader, &topic, span, at, &ids)
        })?;
        shown.push(Shown {
            stage: stage.to_owned(),
            topic: topic.clone(),
            partition: span.partition,
            committed,
            log_start: span.start,
            log_end: span.end,
            stands_there,
            refused,
        });
    }
    Ok(shown)
}

#[derive(Debug, Serialize)]
struct Plan {
    stage: String,
    group: String,
    topic: String,
    partition: i32,
    committed: Option<i64>,
    offset: i64,
    stands_there: String,
    /// Records that would be read again.
    again: Option<i64>,
    done: bool,
}

impl Plan {
    fn shown(&self) -> String {
        format!(
            "{} {}:{}: {} -> {} ({}), {} records would be read again{}",
            self.group,
            self.topic,
            self.partition,
            self.committed.map_or("nothing".to_owned(), |it| it.to_string()),
            self.offset,
            self.stands_there,
            self.again.map_or("unknown".to_owned(), count),
            if self.done { "; set" } else { "" }
        )
    }
}

fn refuse(sentence: &str) -> i32 {
    say(&format!("refused: {sentence}"));
    EXIT_REFUSED
}

fn set(
    common: &Common,
    config: &Config,
    stage: &str,
    partition: i32,
    offset: i64,
    acting: Acting,
) -> Result<(), i32> {
    let (stage, spec) = logs::input_of(stage)?;
    let topic = config.kafka.topic(spec.topic.0);
    let ids = records::registry_ids(config)?;
    let reader = logs::reader(config, stage)?;
    let unreachable = |error| logs::unreachable(config, error);
    let (span, committed) = logs::committed_spans(config, &reader, &topic, Some(partition))?[0];
    may_be_set(span, committed, offset).map_err(|sentence| refuse(&sentence))?;
    let stands_there = match offset {
        0 => "the beginning".to_owned(),
        _ if !spec.has_ticks => "a record; the topic has no ticks".to_owned(),
        offset => {
            // Freshness follows from all ticks before, so all are read.
            let fold = ticks::fold(config, &reader, &topic, partition, (0, offset + 1), &ids)?;
            if fold.fresh_at != Some(offset) {
                return Err(refuse(&format!(
                    "the record at {offset} is no tick that was fresh, so no worker may start there; \
                     the latest below it stands at {}",
                    fold.fresh_at.unwrap_or(0)
                )));
            }
            format!(
                "fresh tick {}, rules {}",
                utc(fold.in_force.time.0),
                fold.in_force.rules_version
            )
        }
    };
    let group = config.kafka.group(stage);
    let members = groups::group(&config.kafka, &group).map_err(unreachable)?.members;
    let mut plan = Plan {
        stage: stage.to_owned(),
        group,
        topic: topic.clone(),
        partition,
        committed,
        offset,
        stands_there,
        again: committed.map(|committed| committed - offset),
        done: false,
    };
    if !acting.execute {
        print::document(common.output, &plan, || plan.shown());
    }
    if !members.is_empty() {
        return Err(refuse(&format!(
            "group {} has {} members ({}); stop the stage's workers first",
            plan.group,
            members.len(),
            members.join(", ")
        )));
    }
    if !acting.may_act(config, stage)? {
        return Ok(());
    }
    reader.commit(&topic, partition, offset).map_err(unreachable)?;
    acting::note("offsets set", &plan.shown());
    plan.done = true;
    print::document(common.output, &plan, || plan.shown());
    Ok(())
}

/// The rule, apart from what stands at the offset. Errors: a sentence.
fn may_be_set(span: Span, committed: Option<i64>, offset: i64) -> Result<(), String> {
    if span.start > 0 {
        // Neither 0 nor the freshness of a tick can be known from a log without its beginning.
        return Err(format!(
            "the log begins at {}: without its beginning no start can be proven; restore it, or \
             start from a snapshot",
            span.start
        ));
    }
    if offset >= span.end && offset > 0 {
        return Err(format!("offset {offset} is not in the log, which ends before {}", span.end));
    }
    match committed {
        Some(committed) if offset > committed => Err(format!(
            "offset {offset} is above the committed {committed}: records between would be lost"
        )),
        None if offset > 0 => Err(format!(
            "nothing is committed, so nothing tells that all below {offset} is durable; set 0: what \
             rows contain is skipped"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: only what can lose nothing may be set. Method: a table of logs and commits.
    #[test]
    fn what_may_be_set() {
        for (start, committed, offset, allowed) in [
            (0, Some(50), 0, true),
            (0, Some(50), 40, true),
            (0, Some(50), 50, true),
            (0, Some(50), 51, false),
            (0, None, 0, true),
            (0, None, 10, false),
            (0, Some(500), 100, false),
            (5, Some(50), 0, false),
        ] {
            let span = Span { partition: 0, start, end: 100 };
            let judged = may_be_set(span, committed, offset);
            assert_eq!(judged.is_ok(), allowed, "{start} {committed:?} {offset}: {judged:?}");
        }
    }

    /// Goal: what a worker would refuse is shown as its code. Method: a log from 10 to 100.
    #[test]
    fn codes() {
        for (start, committed, has_ticks, tick, code) in [
            (0, None, true, None, Some("no_start_point")),
            (10, Some(9), true, None, Some("offset_outside_log")),
            (0, Some(101), true, None, Some("offset_outside_log")),
            (0, Some(101), false, None, Some("offset_outside_log")),
            (0, Some(0), true, None, None),
            (10, Some(100), true, None, None),
            (10, Some(50), true, Some("tick"), None),
            (10, Some(50), true, None, Some("no_start_point")),
            (10, Some(50), false, None, None),
        ] {
            let span = Span { partition: 0, start, end: 100 };
            let judged = judge(span, committed, has_ticks, |_| Ok(tick.map(str::to_owned)));
            assert_eq!(judged.map(|it| it.1), Ok(code), "{committed:?}");
        }
    }
}
