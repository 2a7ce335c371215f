//! `tapline dead-letters`: what could not be applied, by stage and code.
//!
//! Owns the words of the command, the grouping and the view of one letter. Changes nothing: the two
//! records by which an operator lets a partition or a key go on are in `releases`.

use super::{
    acting::{self, Acting},
    amounts::count,
    cli::Common,
    logs,
    moments::utc,
    print,
    records::{self, ShownRecord},
    releases, rows,
};
use crate::adapters::kafka::reader::Span;
use crate::codec::{
    codes,
    dead_letter::{self, ERROR_CODE, FAILED_STAGE},
    json::Show,
    raw::RawRecord,
    topics::{self, dead_letters_of},
};
use crate::config::Config;
use crate::stages::{Stage, authorisation::Authorisation};
use crate::worker::EXIT_DONE;
use clap::Subcommand;
use serde::Serialize;
use std::{collections::BTreeMap, ops::ControlFlow};

#[derive(Debug, Subcommand)]
pub enum LettersCommand {
    /// Counts dead letters by stage and code
    #[command(after_help = "Example:\n  tapline dead-letters list --output json")]
    List {
        /// Look at most this many records back in each partition
        #[arg(long, value_name = "RECORDS", default_value_t = 200_000,
              value_parser = clap::value_parser!(i64).range(1..))]
        records_max: i64,
    },
    /// One dead letter: why, where it stood, and its value, masked
    #[command(
        after_help = "Example:\n  tapline dead-letters show authorisation.dead-letters.v1:3:17"
    )]
    Show {
        /// Its place: topic:partition:offset, as `list` prints it
        place: String,
        /// Show sensitive fields too; leaves an audit line on standard error
        #[arg(long)]
        unmask: bool,
    },
    /// Lets a partition that the fuse stopped go on, by a record
    #[command(after_help = "Example:\n  tapline dead-letters release-fuse --stage authorisation \
                            --partition 3 --execute")]
    ReleaseFuse {
        #[arg(long, value_name = "STAGE")]
        stage: String,
        #[arg(long, value_name = "N")]
        partition: i32,
        /// Dead letters up to and with this offset may pass [default: the end of the log now]
        #[arg(long, value_name = "OFFSET")]
        through: Option<i64>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Says that what a key's dead letter left behind has been dealt with, by a record
    #[command(
        after_help = "Example:\n  tapline dead-letters end-diversion acc-000001 --through 1234 \
                            --execute"
    )]
    EndDiversion {
        /// Account id; for the stage windows the network and currency, such as visa/EUR
        account: String,
        /// Where it is diverted
        #[arg(long, value_name = "STAGE", default_value = Authorisation::NAME)]
        stage: String,
        /// Everything parked up to and with this offset has been dealt with
        #[arg(long, value_name = "OFFSET")]
        through: i64,
        #[command(flatten)]
        acting: Acting,
    },
}

pub fn run(common: &Common, command: LettersCommand) -> i32 {
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let done = match command {
        LettersCommand::List { records_max } => list(common, &config, records_max),
        LettersCommand::Show { place, unmask } => show(common, &config, &place, unmask),
        LettersCommand::ReleaseFuse { stage, partition, through, acting } => {
            releases::release_fuse(common, &config, (&stage, partition), through, acting)
        }
        LettersCommand::EndDiversion { account, stage, through, acting } => {
            releases::end_diversion(common, &config, (&stage, &account), through, acting)
        }
    };
    done.err().unwrap_or(EXIT_DONE)
}

/// Dead letters of one stage with one code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Group {
    stage: String,
    code: String,
    count: i64,
    oldest_at: String,
    newest_at: String,
    /// Places, for `dead-letters show`.
    oldest: String,
    newest: String,
    sentence: &'static str,
}

/// Groups letters as they come; within a group by append time.
#[derive(Default)]
struct Groups(BTreeMap<(String, String), (i64, Stamp, Stamp)>);

/// Append time and place of a letter.
type Stamp = (i64, String);

impl Groups {
    fn add(&mut self, topic: &str, raw: &RawRecord) {
        let text = |name| raw.headers.text(name).unwrap_or("unknown").to_owned();
        let this = (raw.timestamp_ms, format!("{topic}:{}:{}", raw.partition, raw.offset));
        let group = (text(FAILED_STAGE), text(ERROR_CODE));
        let (count, oldest, newest) =
            self.0.entry(group).or_insert_with(|| (0, this.clone(), this.clone()));
        *count += 1;
        if this.0 < oldest.0 {
            *oldest = this;
        } else if this.0 >= newest.0 {
            *newest = this;
        }
    }

    fn into_groups(self) -> Vec<Group> {
        let group = |((stage, code), (count, oldest, newest)): (_, (i64, (i64, String), _))| {
            let (newest_ms, newest): (i64, String) = newest;
            let code: String = code;
            Group {
                sentence: codes::sentence(&code),
                stage,
                code,
                count,
                oldest_at: utc(oldest.0),
                newest_at: utc(newest_ms),
                oldest: oldest.1,
                newest,
            }
        };
        self.0.into_iter().map(group).collect()
    }
}

fn list(common: &Common, config: &Config, records_max: i64) -> Result<(), i32> {
    let reader = logs::reader(config, "dead-letters")?;
    let mut groups = Groups::default();
    let mut capped = false;
    for (stage, _) in topics::inputs() {
        let topic = config.kafka.topic(&dead_letters_of(stage));
        let mut spans = logs::spans(config, &reader, &topic, None)?;
        for span in &mut spans {
            capped |= span.end - span.start > records_max;
            span.start = span.start.max(span.end - records_max);
        }
        logs::read(config, &reader, &topic, &spans, |raw| {
            groups.add(&topic, &raw);
            ControlFlow::Continue(())
        })?;
    }
    let groups = groups.into_groups();
    let columns = [
        print::text("stage", &|it: &Group| it.stage.clone()),
        print::text("code", &|it: &Group| it.code.clone()),
        print::number("count", &|it: &Group| count(it.count)),
        print::text("oldest", &|it: &Group| it.oldest_at.clone()),
        print::text("newest", &|it: &Group| it.newest_at.clone()),
        print::text("newest at", &|it: &Group| it.newest.clone()),
    ];
    print::rows(common.output, &groups, &columns);
    if capped {
        print::say("not everything was read; raise --records-max for the whole");
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct Shown {
    stage: String,
    code: String,
    sentence: &'static str,
    /// Where the record stood, `topic:partition:offset`.
    original: String,
    original_appended_at: Option<String>,
    record: ShownRecord,
}

impl Shown {
    fn of(record: ShownRecord) -> Self {
        let header = |name: &str| {
            let found = record.headers.iter().rfind(|header| header.name == name);
            found.and_then(|header| header.value.clone())
        };
        let text = |name| header(name).unwrap_or("unknown".to_owned());
        let at = header(dead_letter::TIMESTAMP).and_then(|ms| ms.parse().ok());
        let code = text(ERROR_CODE);
        Self {
            stage: text(FAILED_STAGE),
            sentence: codes::sentence(&code),
            code,
            original: [dead_letter::TOPIC, dead_letter::PARTITION, dead_letter::OFFSET]
                .map(text)
                .join(":"),
            original_appended_at: at.map(utc),
            record,
        }
    }
}

fn show(common: &Common, config: &Config, place: &str, unmask: bool) -> Result<(), i32> {
    let Some((topic, partition, offset)) = parse_place(place) else {
        print::say(&format!("`{place}` is no place; write topic:partition:offset"));
        return Err(logs::EXIT_USAGE);
    };
    let topic = config.kafka.topic(logs::topic_named(config, topic)?.topic.0);
    let ids = records::registry_ids(config)?;
    let reader = logs::reader(config, "dead-letters")?;
    let spans = logs::spans(config, &reader, &topic, Some(partition))?;
    let Some(raw) = logs::record_at(config, &reader, &topic, spans[0], offset)? else {
        let Span { start, end, .. } = spans[0];
        return Err(rows::not_found(&format!(
            "{topic}:{partition} has no record at {offset}; it holds {start} up to, not including, {end}"
        )));
    };
    let form = match unmask {
        true => {
            acting::note("unmask", &format!("dead-letters show {place}"));
            Show::Everything
        }
        false => Show::Masked,
    };
    let shown = Shown::of(ShownRecord::of(&topic, &raw, &ids, form));
    print::document(common.output, &shown, || {
        let at = shown.original_appended_at.as_deref().unwrap_or("unknown");
        format!(
            "{}: {}\nstage {}, stood at {}, appended {at}\n\n{}",
            shown.code,
            shown.sentence,
            shown.stage,
            shown.original,
            shown.record.shown().trim_end()
        )
    });
    Ok(())
}

fn parse_place(text: &str) -> Option<(&str, i32, i64)> {
    let (rest, offset) = text.rsplit_once(':')?;
    let (topic, partition) = rest.rsplit_once(':')?;
    Some((topic, partition.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::records::tests::raw;

    fn letter(offset: i64, code: &str) -> RawRecord {
        let mut raw = raw(offset, "acc-1", vec![1]);
        raw.headers.push_text(ERROR_CODE, code);
        raw.headers.push_text(FAILED_STAGE, "authorisation");
        raw
    }

    /// Goal: letters are counted by stage and code with the oldest and newest. Method: four letters
    /// of two codes in no order, and one without our headers.
    #[test]
    fn grouping() {
        let mut groups = Groups::default();
        for (offset, code) in
            [(5, "wrong_magic"), (3, "wrong_magic"), (4, "missing_key"), (9, "wrong_magic")]
        {
            groups.add("t", &letter(offset, code));
        }
        groups.add("t", &raw(1, "k", vec![]));
        let found = groups.into_groups();
        let short: Vec<_> = found
            .iter()
            .map(|it| (&*it.stage, &*it.code, it.count, &*it.oldest, &*it.newest))
            .collect();
        assert_eq!(
            short,
            [
                ("authorisation", "missing_key", 1, "t:3:4", "t:3:4"),
                ("authorisation", "wrong_magic", 3, "t:3:3", "t:3:9"),
                ("unknown", "unknown", 1, "t:3:1", "t:3:1"),
            ]
        );
        assert_eq!(found[1].oldest_at, "2023-11-14T22:13:20.003Z");
        assert_eq!(found[0].sentence, codes::sentence("missing_key"));
    }

    /// Goal: a place is what `list` prints. Method: a table.
    #[test]
    fn places() {
        assert_eq!(parse_place("a.b-c.v1:3:17"), Some(("a.b-c.v1", 3, 17)));
        for wrong in ["", "a:1", "a:x:1", "a:1:x"] {
            assert_eq!(parse_place(wrong), None, "{wrong}");
        }
    }

    /// Goal: the origin is read from the headers. Method: binary headers as the worker writes them.
    #[test]
    fn origin() {
        let mut raw = letter(2, "wrong_magic");
        raw.headers.push_text(dead_letter::TOPIC, "payments.commands.v1");
        raw.headers.push(dead_letter::PARTITION, Some(&3_i32.to_be_bytes()));
        raw.headers.push(dead_letter::OFFSET, Some(&77_i64.to_be_bytes()));
        raw.headers.push(dead_letter::TIMESTAMP, Some(&1_000_i64.to_be_bytes()));
        let record = ShownRecord::of("t", &raw, &Default::default(), Show::Masked);
        let shown = Shown::of(record);
        assert_eq!(shown.original, "payments.commands.v1:3:77");
        assert_eq!(shown.original_appended_at.as_deref(), Some("1970-01-01T00:00:01.000Z"));
        assert_eq!((&*shown.stage, &*shown.code), ("authorisation", "wrong_magic"));
    }
}
