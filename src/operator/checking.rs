//! `tapline check`: every reason not to start, judged before a worker is.
//!
//! Owns the table of codes (operations.md 1.6) that is printed; the checks are the worker's own,
//! with the committed offsets, which a worker judges when it takes a partition over.

use super::{
    cli::Common,
    connect::{self, block_on},
    logs, offsets, print, schemas,
};
use crate::codec::topics::{self, TopicSpec};
use crate::config::Config;
use crate::worker::{EXIT_DONE, EXIT_REFUSED, checks};
use clap::Args;
use serde::Serialize;

/// Stable codes of the checks, in the order in which they are made.
const CODES: &[(&str, &str)] = &[
    ("config_invalid", "the configuration is right"),
    ("schema_unknown", "the compiled-in schemas hold together"),
    ("store_schema", "keyspace, tables and the server's commit log"),
    ("topic_missing", "every declared topic exists"),
    ("partition_count", "partition counts are those of the settings and of the first start"),
    ("cleanup_policy", "no topic is compacted"),
    ("retention_short", "topics keep everything"),
    ("timestamp_type", "topics carry the broker's time"),
    ("message_size", "topics take our largest record"),
    ("durability_low", "replicas and leader elections lose nothing"),
    ("cluster_changed", "the log is the one that the state was made from"),
    ("rules_missing", "rules version 1 is stored"),
    ("no_start_point", "each partition has a committed offset at 0 or a tick"),
    ("offset_outside_log", "committed offsets lie inside the log"),
];

/// Judged only where nothing before it is wrong: they look into topics and tables.
const LATER: &[&str] = &["cluster_changed", "rules_missing"];

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tapline check --stage all\n  tapline check --output json\n\n\
    Exit codes: 0 a worker would start, 4 it would refuse, 5 a server does not answer")]
pub struct CheckArgs {
    /// Stage to check, or all
    #[arg(long, value_name = "STAGE", default_value = "all")]
    pub stage: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Checked {
    stage: String,
    code: &'static str,
    checks: &'static str,
    /// `ok`, `refused`, `not judged`.
    verdict: &'static str,
    /// What is wrong and what to do.
    sentence: String,
}

/// One line per code, and one more for each further refusal of the same code.
fn table(stage: &str, refusals: &[(&'static str, String)]) -> Vec<Checked> {
    let line = |code, checks, verdict, sentence: &str| Checked {
        stage: stage.to_owned(),
        code,
        checks,
        verdict,
        sentence: sentence.to_owned(),
    };
    let stopped = refusals.iter().any(|(code, _)| !LATER.contains(code) && !is_offset(code));
    let mut lines = Vec::new();
    for (code, checks) in CODES {
        let before = lines.len();
        let of_code = refusals.iter().filter(|(refused, _)| refused == code);
        lines.extend(of_code.map(|(_, sentence)| line(code, checks, "refused", sentence)));
        if lines.len() == before {
            let judged = !(stopped && LATER.contains(code));
            lines.push(line(code, checks, if judged { "ok" } else { "not judged" }, ""));
        }
    }
    for (code, sentence) in refusals {
        if !CODES.iter().any(|(known, _)| known == code) {
            lines.push(line(code, "", "refused", sentence));
        }
    }
    lines
}

fn is_offset(code: &str) -> bool {
    code == "no_start_point" || code == "offset_outside_log"
}

pub fn run(common: &Common, args: &CheckArgs) -> i32 {
    let checked = || -> Result<Vec<Checked>, i32> {
        let config = common.load()?;
        let stages: Vec<(&str, &TopicSpec)> = match &*args.stage {
            "all" => topics::inputs().collect(),
            stage => vec![logs::input_of(stage)?],
        };
        let mut lines = Vec::new();
        for (stage, refusals) in refusals(&config, &stages)? {
            lines.extend(table(stage, &refusals));
        }
        Ok(lines)
    };
    let lines = match checked() {
        Ok(lines) => lines,
        Err(code) => return code,
    };
    let columns = [
        print::text("stage", &|it: &Checked| it.stage.clone()),
        print::text("code", &|it: &Checked| it.code.to_owned()),
        print::text("verdict", &|it: &Checked| it.verdict.to_owned()),
        print::text("what", &|it: &Checked| match it.sentence.is_empty() {
            true => it.checks.to_owned(),
            false => it.sentence.clone(),
        }),
    ];
    print::rows(common.output, &lines, &columns);
    match lines.iter().any(|it| it.verdict == "refused") {
        true => EXIT_REFUSED,
        false => EXIT_DONE,
    }
}

/// Refusals as code and sentence.
type Refusals = Vec<(&'static str, String)>;

/// Of each stage, in order; what all stages stand on is looked at once.
fn refusals<'s>(
    config: &Config,
    stages: &[(&'s str, &TopicSpec)],
) -> Result<Vec<(&'s str, Refusals)>, i32> {
    let schemas: Refusals =
        schemas::faults().into_iter().map(|fault| ("schema_unknown", fault)).collect();
    let judged = block_on(async {
        let session = connect::cassandra(config).await?;
        let unreachable = |error| logs::unreachable(config, error);
        let ground = checks::ground(config, &session).await.map_err(unreachable)?;
        let mut judged = Vec::new();
        for (stage, input) in stages {
            let found =
                checks::stage(config, &session, &ground, input).await.map_err(unreachable)?;
            let all = ground.refusals.iter().cloned().chain(found.refusals);
            let all = all.map(|it| (it.code, it.sentence));
            judged.push((*stage, schemas.iter().cloned().chain(all).collect::<Refusals>()));
        }
        Ok::<_, i32>(judged)
    });
    let mut judged = judged??;
    for (stage, refusals) in &mut judged {
        if !refusals.iter().any(|(code, _)| *code == "topic_missing") {
            refusals.extend(offsets::refusals(config, stage)?);
        }
    }
    Ok(judged)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every code has a line, a refusal takes its place, and what was not looked at is not
    /// called ok. Method: no refusal, one early, one late, one unknown.
    #[test]
    fn verdicts() {
        let verdict =
            |lines: &[Checked], code| lines.iter().find(|it| it.code == code).map(|it| it.verdict);
        let clean = table("s", &[]);
        assert_eq!(clean.len(), CODES.len());
        assert!(clean.iter().all(|it| it.verdict == "ok"));
        let early = table("s", &[("topic_missing", "a".into()), ("topic_missing", "b".into())]);
        assert_eq!(early.len(), CODES.len() + 1);
        assert_eq!(verdict(&early, "topic_missing"), Some("refused"));
        assert_eq!(verdict(&early, "cluster_changed"), Some("not judged"));
        let late = table("s", &[("no_start_point", "a".into())]);
        assert_eq!(verdict(&late, "cluster_changed"), Some("ok"));
        assert_eq!(verdict(&late, "no_start_point"), Some("refused"));
        let unknown = table("s", &[("invented", "b".into())]);
        assert_eq!(verdict(&unknown, "invented"), Some("refused"));
    }
}
