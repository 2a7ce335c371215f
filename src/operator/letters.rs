//! `tapline dead-letters`: what could not be applied, by stage and code, and the two records by
//! which an operator lets a partition or an account go on.
//!
//! Owns the grouping and the view of one letter. A fuse's release and the end of a diversion are
//! records in the commands topic like any other, so a replay sees them too.

use super::{
    acting::{self, Acting},
    amounts::count,
    cli::Common,
    connect::block_on,
    logs,
    moments::utc,
    print,
    records::{self, ShownRecord},
    rows::{self, Place, Rows},
};
use crate::adapters::kafka::reader::Span;
use crate::codec::{
    codes,
    dead_letter::{self, ERROR_CODE, FAILED_STAGE},
    json::Show,
    raw::RawRecord,
    topics::{self, COMMANDS, dead_letters_of},
};
use crate::config::Config;
use crate::domain::{
    command::{AccountCommand, Command, EndDiversion, PARTITION_KEY, ReleaseFuse},
    time::LogTime,
};
use crate::runtime::telemetry;
use crate::stages::{Stage, authorisation::Authorisation};
use crate::worker::{EXIT_DONE, EXIT_REFUSED};
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
    /// Says that what an account's dead letter left behind has been dealt with, by a record
    #[command(
        after_help = "Example:\n  tapline dead-letters end-diversion acc-000001 --through 1234 \
                            --execute"
    )]
    EndDiversion {
        /// Account id
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
            release_fuse(common, &config, &stage, partition, through, acting)
        }
        LettersCommand::EndDiversion { account, stage, through, acting } => {
            end_diversion(common, &config, (&stage, &account), through, acting)
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

/// What an operator's record would say, and where it would go.
#[derive(Debug, Serialize)]
struct Plan {
    record: &'static str,
    topic: String,
    partition: i32,
    key: String,
    through_offset: i64,
    log_end: i64,
    /// What is known of the state that it changes.
    now: String,
    /// Offset of the record, once written.
    written_at: Option<i64>,
}

impl Plan {
    fn shown(&self) -> String {
        let done = match self.written_at {
            Some(offset) => format!("written at offset {offset}"),
            None => format!("would be written at the end, {}", self.log_end),
        };
        format!(
            "{} through offset {}\nto {}:{} with key {}: {done}\nnow: {}",
            self.record, self.through_offset, self.topic, self.partition, self.key, self.now
        )
    }

    /// Prints the plan; writes the record and prints where it stands, if told to.
    fn carry_out(
        mut self,
        common: &Common,
        config: &Config,
        acting: Acting,
        body: Command,
    ) -> Result<(), i32> {
        if !acting.execute {
            print::document(common.output, &self, || self.shown());
        }
        let topic = self.topic.clone();
        if !acting.may_act(config, &topic)? {
            return Ok(());
        }
        let now_ms = telemetry::now_ms();
        let command = AccountCommand {
            account_id: self.key.as_str().into(),
            message_id: format!("operator-{}-{}-{now_ms}", self.record, self.through_offset).into(),
            sent_at: LogTime(now_ms),
            body,
        };
        let acked = logs::Writer::open(config)?.write(&topic, &[(self.partition, command)])?;
        self.written_at = acked.first().map(|acked| acked.offset);
        acting::note(self.record, &format!("{}:{} {}", topic, self.partition, self.key));
        print::document(common.output, &self, || self.shown());
        Ok(())
    }
}

/// An operator's records are commands, which only the stage of the commands can read. In another
/// stage's input one would be a dead letter itself. Errors: exit code 4.
fn refuse_without_records(stage: &str) -> Result<(), i32> {
    if logs::input_of(stage)?.1.topic == COMMANDS {
        return Ok(());
    }
    print::say(&format!(
        "refused: the input of {stage} has no record for this yet, so it cannot be done there; \
         correct the cause and start the workers of {stage} with a larger dead_letters.fuse_max"
    ));
    Err(EXIT_REFUSED)
}

fn release_fuse(
    common: &Common,
    config: &Config,
    stage: &str,
    partition: i32,
    through: Option<i64>,
    acting: Acting,
) -> Result<(), i32> {
    let (_, spec) = logs::input_of(stage)?;
    refuse_without_records(stage)?;
    let topic = config.kafka.topic(spec.topic.0);
    let reader = logs::reader(config, stage)?;
    let (span, committed) = logs::committed_spans(config, &reader, &topic, Some(partition))?[0];
    let through_offset = through.unwrap_or(span.end - 1);
    if through_offset < 0 || through_offset >= span.end {
        print::say(&format!(
            "refused: --through {through_offset} is outside the log, which ends before {}; what is \
             not written yet cannot be judged",
            span.end
        ));
        return Err(EXIT_REFUSED);
    }
    let committed =
        committed.map_or("nothing committed".to_owned(), |it| format!("committed {it}"));
    let plan = Plan {
        record: "release-fuse",
        topic,
        partition,
        key: PARTITION_KEY.to_owned(),
        through_offset,
        log_end: span.end,
        now: format!("{committed}; whether the fuse is blown is told by the worker's /readyz"),
        written_at: None,
    };
    plan.carry_out(common, config, acting, Command::ReleaseFuse(ReleaseFuse { through_offset }))
}

fn end_diversion(
    common: &Common,
    config: &Config,
    (stage, account): (&str, &str),
    through_offset: i64,
    acting: Acting,
) -> Result<(), i32> {
    refuse_without_records(stage)?;
    rows::check_account(account)?;
    let (place, head): (Place, _) = block_on(async {
        let rows = Rows::open(config).await?;
        Ok::<_, i32>((rows.place(account), rows.head(account).await?))
    })??;
    let now = match head.and_then(|head| head.row.diverted_through) {
        Some(through) if through <= through_offset => {
            format!("diverted through {through}; the record ends that")
        }
        Some(through) => format!("diverted through {through}: later records stay parked"),
        None => "the account's row has no mark; the record would change nothing".to_owned(),
    };
    let topic = config.kafka.topic(COMMANDS.0);
    let reader = logs::reader(config, "dead-letters")?;
    let span = logs::spans(config, &reader, &topic, Some(place.partition))?[0];
    if !(0..span.end).contains(&through_offset) {
        print::say(&format!(
            "refused: the log of {topic}:{} ends before {}",
            place.partition, span.end
        ));
        return Err(EXIT_REFUSED);
    }
    let plan = Plan {
        record: "end-diversion",
        topic,
        partition: place.partition,
        key: account.to_owned(),
        through_offset,
        log_end: span.end,
        now,
        written_at: None,
    };
    plan.carry_out(common, config, acting, Command::EndDiversion(EndDiversion { through_offset }))
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

    /// Goal: no record is written where it would be a dead letter itself. Method: every stage of
    /// this release, and a name that is none.
    #[test]
    fn stages_with_records() {
        for (stage, found) in [
            ("authorisation", Ok(())),
            ("posting", Err(EXIT_REFUSED)),
            ("windows", Err(EXIT_REFUSED)),
            ("nothing", Err(logs::EXIT_USAGE)),
        ] {
            assert_eq!(refuse_without_records(stage), found, "{stage}");
        }
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
