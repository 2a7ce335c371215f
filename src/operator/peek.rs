//! `tapline topics peek`: records of any topic of ours as JSON, masked by their schemas.
//!
//! Owns which records are picked and in what order they are shown: by append time where an end is
//! known, as they come with `--follow`. Reads from the side; moves no offset of anybody.

use super::{
    acting,
    cli::Common,
    logs,
    moments::StartAt,
    print::{self, Output},
    records::{self, ShownRecord},
};
use crate::adapters::kafka::{groups, reader::Span};
use crate::codec::json::Show;
use crate::config::Config;
use clap::Args;
use std::{ops::ControlFlow, time::Duration};

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    tapline topics peek payments.events.v1                      the last 10 of each partition\n  \
    tapline topics peek events --key acc-000001 --from earliest one account's events\n  \
    tapline topics peek commands --from 2026-11-22T10:00:00Z --limit 5 --without-ticks\n  \
    tapline topics peek authorisation.dead-letters.v1 --from earliest --output jsonl\n  \
    tapline topics peek events --follow --without-ticks --output jsonl | jq .value")]
pub struct PeekArgs {
    /// Topic, with or without prefix, or a part of its name that no other has
    pub topic: String,
    /// One partition only
    #[arg(long, value_name = "N")]
    pub partition: Option<i32>,
    /// Where to begin: earliest, latest, offset:N, an RFC 3339 time (no zone: UTC), or -N for the
    /// last N records of each partition
    #[arg(long, value_name = "PLACE", default_value = "-10", allow_hyphen_values = true)]
    pub from: StartAt,
    /// Show at most this many records [default: 100; without end with --follow]
    #[arg(long, value_name = "RECORDS")]
    pub limit: Option<usize>,
    /// Only records of this key
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Leave out ticks, the partitions' clocks
    #[arg(long)]
    pub without_ticks: bool,
    /// Go on with what comes, until stopped
    #[arg(long)]
    pub follow: bool,
    /// Show sensitive fields too; leaves an audit line on standard error
    #[arg(long)]
    pub unmask: bool,
}

pub fn run(common: &Common, config: &Config, args: &PeekArgs) -> Result<(), i32> {
    let spec = logs::topic_named(config, &args.topic)?;
    let topic = config.kafka.topic(spec.topic.0);
    let ids = records::registry_ids(config)?;
    let reader = logs::reader(config, "peek")?;
    let spans =
        places(config, args, &topic, &logs::spans(config, &reader, &topic, args.partition)?)?;
    let show = match args.unmask {
        true => {
            acting::note("unmask", &format!("topics peek {topic}"));
            Show::Everything
        }
        false => Show::Masked,
    };
    let wanted = |record: &ShownRecord| {
        args.key.as_ref().is_none_or(|key| record.key.as_ref() == Some(key))
            && !(args.without_ticks && record.is_tick())
    };
    if args.follow {
        let from: Vec<(i32, i64)> = spans.iter().map(|span| (span.partition, span.start)).collect();
        reader.assign(&topic, &from).map_err(|error| logs::unreachable(config, error))?;
        let mut left = args.limit.unwrap_or(usize::MAX);
        while left > 0 {
            let next = reader.next(Duration::from_millis(500));
            let Some((_, raw)) = next.map_err(|error| logs::unreachable(config, error))? else {
                continue;
            };
            let record = ShownRecord::of(&topic, &raw, &ids, show);
            if wanted(&record) {
                left -= 1;
                // One document would never end: with --follow both JSON forms are lines.
                let form = if common.output == Output::Text { Output::Text } else { Output::Jsonl };
                print::document(form, &record, || record.shown());
            }
        }
        return Ok(());
    }
    // Of the last records the newest are wanted, of all partitions: so every one is looked at.
    let newest = matches!(args.from, StartAt::Last(_));
    let limit = args.limit.unwrap_or(100);
    let mut picked = Vec::new();
    logs::read(config, &reader, &topic, &spans, |raw| {
        let record = ShownRecord::of(&topic, &raw, &ids, show);
        if wanted(&record) {
            picked.push(record);
        }
        if newest && picked.len() > 2 * limit + 1_000 {
            keep_newest(&mut picked, limit);
        }
        let enough = picked.len() >= limit && !newest;
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    keep_newest(&mut picked, limit);
    match common.output {
        Output::Text => {
            picked
                .iter()
                .for_each(|record| print::document(Output::Text, record, || record.shown()));
        }
        form => print::rows(form, &picked, &[]),
    }
    if picked.is_empty() {
        print::say("no records there; look further back with --from earliest");
    }
    Ok(())
}

/// By append time, and no more than `limit`: the newest.
fn keep_newest(picked: &mut Vec<ShownRecord>, limit: usize) {
    picked.sort_by_key(|record| (record.appended_ms, record.partition, record.offset));
    picked.drain(..picked.len().saturating_sub(limit));
}

/// From where to where each partition is read.
fn places(config: &Config, args: &PeekArgs, topic: &str, spans: &[Span]) -> Result<Vec<Span>, i32> {
    let numbers: Vec<i32> = spans.iter().map(|span| span.partition).collect();
    let at_time = match args.from {
        StartAt::Time(ms) => groups::offsets_at(&config.kafka, topic, &numbers, ms)
            .map_err(|error| logs::unreachable(config, error))?,
        _ => vec![None; numbers.len()],
    };
    let place = |(span, at_time): (&Span, Option<i64>)| Span {
        partition: span.partition,
        start: args.from.offset(span.start, span.end, at_time),
        end: span.end,
    };
    Ok(spans.iter().zip(at_time).map(place).collect())
}
