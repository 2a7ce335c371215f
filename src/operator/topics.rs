//! `tapline topics`: list, apply, peek.
//!
//! Owns the list of topics as declared and as they are, and its Markdown for the README. Looking
//! into a topic lies in `peek`.

use super::{
    acting::Acting,
    amounts::count,
    apply,
    cli::Common,
    connect::{block_on, cassandra, code_of},
    logs,
    peek::{self, PeekArgs},
    print,
    tables::{say_plan_only, show},
};
use crate::adapters::kafka::topics::{TopicState, Topics};
use crate::codec::topics::{TOPICS, TopicSpec};
use crate::config::Config;
use crate::worker::EXIT_DONE;
use clap::Subcommand;
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// The declared topics and what the cluster has
    #[command(after_help = "Example:\n  tapline topics list --output json")]
    List,
    /// Creates what is missing and refuses what exists otherwise; acts with --execute
    #[command(after_help = "Example:\n  tapline topics apply --execute")]
    Apply {
        #[command(flatten)]
        acting: Acting,
    },
    /// Shows records of a topic as JSON, sensitive fields masked
    Peek(PeekArgs),
}

pub fn run(common: &Common, command: TopicsCommand) -> i32 {
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let done = match command {
        TopicsCommand::List => list(common, &config),
        TopicsCommand::Apply { acting } => apply_topics(common, &config, acting),
        TopicsCommand::Peek(args) => peek::run(common, &config, &args),
    };
    match done {
        Ok(()) => EXIT_DONE,
        Err(code) => code,
    }
}

fn apply_topics(common: &Common, config: &Config, acting: Acting) -> Result<(), i32> {
    let plan = block_on(apply::plan_topics(config))?.map_err(|error| code_of(&error))?;
    show(common, &plan);
    if !acting.execute {
        say_plan_only(&plan);
        return Ok(());
    }
    if !acting.may_act(config, "topics")? {
        return Ok(());
    }
    block_on(async {
        let session = cassandra(config).await?;
        apply::apply_topics(config, &session).await.map_err(|error| code_of(&error))
    })?
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listed {
    topic: String,
    key: &'static str,
    schema: Option<&'static str>,
    written_by: Vec<&'static str>,
    read_by: Vec<&'static str>,
    exists: bool,
    partitions: usize,
    replicas: usize,
    /// In the log now, all partitions together.
    records: i64,
    /// `as_declared`, `missing`, or the code of the first difference.
    state: &'static str,
    differences: Vec<String>,
}

impl Listed {
    fn of(spec: &TopicSpec, state: TopicState, records: i64) -> Self {
        Self {
            topic: state.name,
            key: spec.key,
            schema: spec.schema,
            written_by: spec.written_by.to_vec(),
            read_by: spec.read_by.to_vec(),
            exists: state.exists,
            partitions: state.partitions,
            replicas: state.replication_factor,
            records,
            state: match (state.exists, state.differences.first()) {
                (false, _) => "missing",
                (true, None) => "as_declared",
                (true, Some(difference)) => difference.code,
            },
            differences: state.differences.into_iter().map(|it| it.sentence).collect(),
        }
    }
}

fn list(common: &Common, config: &Config) -> Result<(), i32> {
    let states = block_on(async {
        let topics = Topics::open(&config.kafka)?;
        topics.states().await
    })?
    .map_err(|error| logs::unreachable(config, error))?;
    let reader = logs::reader(config, "list")?;
    let mut listed = Vec::new();
    for (spec, state) in states {
        let records = match state.exists {
            false => 0,
            true => {
                let spans = logs::spans(config, &reader, &state.name, None)?;
                spans.iter().map(|span| span.end - span.start).sum()
            }
        };
        listed.push(Listed::of(spec, state, records));
    }
    let columns = [
        print::text("topic", &|it: &Listed| it.topic.clone()),
        print::text("key", &|it: &Listed| it.key.to_owned()),
        print::number("partitions", &|it: &Listed| it.partitions.to_string()),
        print::number("replicas", &|it: &Listed| it.replicas.to_string()),
        print::number("records", &|it: &Listed| count(it.records)),
        print::text("written by", &|it: &Listed| it.written_by.join(", ")),
        print::text("read by", &|it: &Listed| it.read_by.join(", ")),
        print::text("state", &|it: &Listed| it.state.to_owned()),
    ];
    print::rows(common.output, &listed, &columns);
    for sentence in listed.iter().flat_map(|it| &it.differences) {
        print::say(sentence);
    }
    Ok(())
}

/// The README's table of topics.
pub fn markdown() -> String {
    let mut page =
        String::from("| topic | key | value | written by | read by |\n|---|---|---|---|---|\n");
    for spec in TOPICS {
        let value = match spec.schema {
            Some(subject) => format!("`schemas/{subject}`"),
            None => "the source record's bytes".to_owned(),
        };
        page += &format!(
            "| `{}` | {} | {value} | {} | {} |\n",
            spec.topic.0,
            spec.key,
            spec.written_by.join(", "),
            spec.read_by.join(", ")
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::kafka::topics::Difference;

    /// Goal: the README's table has every topic, one line each. Method: count and look.
    #[test]
    fn markdown_has_every_topic() {
        let page = markdown();
        assert_eq!(page.lines().count(), 2 + TOPICS.len());
        assert!(page.lines().all(|line| line.starts_with('|') && line.ends_with('|')));
        assert!(
            page.contains("| `payments.commands.v1` | account | `schemas/payments.commands.v1` |")
        );
    }

    /// Goal: the state says in one word what is wrong. Method: three states of one topic.
    #[test]
    fn states() {
        let difference =
            Difference { code: "cleanup_policy", sentence: "topic t is compacted".to_owned() };
        for (exists, differences, word) in [
            (false, vec![], "missing"),
            (true, vec![], "as_declared"),
            (true, vec![difference], "cleanup_policy"),
        ] {
            let state = TopicState {
                name: "t".to_owned(),
                exists,
                partitions: 4,
                replication_factor: 1,
                differences,
            };
            assert_eq!(Listed::of(&TOPICS[0], state, 9).state, word);
        }
    }
}
