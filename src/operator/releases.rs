//! The two records by which an operator lets a partition or a key go on.
//!
//! Owns the plan and where the record goes: into the stage's own input, so that a replay sees it
//! too. Where the input is the commands' it is a command; elsewhere a word in a header of a record
//! that says nothing else (`codec::control`). Writes nothing without `--execute`.

use super::{
    acting::{self, Acting},
    cli::Common,
    connect::block_on,
    logs, print,
    rows::{self, Place, Rows},
};
use crate::codec::{
    births, control, headers::HeaderList, partitioner::partition_of, topics::COMMANDS,
};
use crate::config::Config;
use crate::domain::{
    command::{AccountCommand, Command, EndDiversion, PARTITION_KEY, ReleaseFuse},
    time::LogTime,
};
use crate::runtime::telemetry;
use crate::stages::{Scope, Topic, push};
use crate::worker::EXIT_REFUSED;
use serde::Serialize;

/// What an operator's record would say, and where it would go.
#[derive(Debug, Serialize)]
struct Plan {
    record: &'static str,
    stage: String,
    topic: String,
    partition: i32,
    /// Whom it concerns; the partition's own for a fuse.
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
        written: Written,
    ) -> Result<(), i32> {
        if !acting.execute {
            print::document(common.output, &self, || self.shown());
        }
        if !acting.may_act(config, &self.topic)? {
            return Ok(());
        }
        let writer = logs::Writer::open(config)?;
        let acked = match written {
            Written::Command(body) => {
                let now_ms = telemetry::now_ms();
                let id = format!("operator-{}-{}-{now_ms}", self.record, self.through_offset);
                let command = AccountCommand {
                    account_id: self.key.as_str().into(),
                    message_id: id.into(),
                    sent_at: LogTime(now_ms),
                    body,
                };
                writer.write(&self.topic, &[(self.partition, command)])?.first().copied()
            }
            Written::Word { value, headers } => {
                Some(writer.write_silent(&self.topic, self.partition, &value, &headers)?)
            }
        };
        self.written_at = acked.map(|acked| acked.offset);
        let what = format!("{} {}:{} {}", self.stage, self.topic, self.partition, self.key);
        acting::note(self.record, &what);
        print::document(common.output, &self, || self.shown());
        Ok(())
    }
}

/// How an operator's word is written into a stage's input.
#[derive(Debug, PartialEq)]
enum Written {
    Command(Command),
    /// A record that says nothing itself, and the header that does.
    Word {
        value: Vec<u8>,
        headers: HeaderList,
    },
}

impl Written {
    /// `input`: the stage's. `scope`: a fuse's release, or the end of a key's diversion.
    fn of(stage: &str, input: Topic, scope: &Scope) -> Option<Self> {
        let offset = |through: u64| i64::try_from(through).ok();
        if input == COMMANDS {
            return Some(Written::Command(match scope {
                Scope::FuseRelease { through_offset } => {
                    Command::ReleaseFuse(ReleaseFuse { through_offset: offset(*through_offset)? })
                }
                Scope::EndDiversionOf { through_offset, .. } => {
                    Command::EndDiversion(EndDiversion { through_offset: offset(*through_offset)? })
                }
                _ => return None,
            }));
        }
        let (name, text) = control::header(stage, scope)?;
        let mut headers = HeaderList::new();
        headers.push_text(name, &text);
        Some(Written::Word { value: births::birth_value(input)?, headers })
    }
}

/// The record, or the refusal of a stage that has none. Errors: exit code 4.
fn written(stage: &str, input: Topic, scope: &Scope) -> Result<Written, i32> {
    // Push keeps no state: a restarted worker counts its dead letters anew and diverts nobody.
    let is_heard = stage != push::NAME;
    Written::of(stage, input, scope).filter(|_| is_heard).ok_or_else(|| {
        print::say(&format!("refused: {stage} reads no record for this; restart its workers"));
        EXIT_REFUSED
    })
}

pub fn release_fuse(
    common: &Common,
    config: &Config,
    (stage, partition): (&str, i32),
    through: Option<i64>,
    acting: Acting,
) -> Result<(), i32> {
    let (_, spec) = logs::input_of(stage)?;
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
        stage: stage.to_owned(),
        topic,
        partition,
        key: PARTITION_KEY.to_owned(),
        through_offset,
        log_end: span.end,
        now: format!("{committed}; whether the fuse is blown is told by the worker's /readyz"),
        written_at: None,
    };
    let scope = Scope::FuseRelease { through_offset: through_offset.unsigned_abs() };
    plan.carry_out(common, config, acting, written(stage, spec.topic, &scope)?)
}

pub fn end_diversion(
    common: &Common,
    config: &Config,
    (stage, key): (&str, &str),
    through_offset: i64,
    acting: Acting,
) -> Result<(), i32> {
    let (_, spec) = logs::input_of(stage)?;
    rows::check_account(key)?;
    let topic = config.kafka.topic(spec.topic.0);
    let reader = logs::reader(config, "dead-letters")?;
    let (partition, now) = match spec.topic == COMMANDS {
        true => diverted_account(config, key, through_offset)?,
        false => {
            let spans = logs::spans(config, &reader, &topic, None)?;
            let now = format!(
                "rows of {stage} are not looked at; where {key} is not diverted, or by a later \
                 record, the record changes nothing"
            );
            (partition_of(key.as_bytes(), spans.len() as i32), now)
        }
    };
    let span = logs::spans(config, &reader, &topic, Some(partition))?[0];
    if !(0..span.end).contains(&through_offset) {
        print::say(&format!("refused: the log of {topic}:{partition} ends before {}", span.end));
        return Err(EXIT_REFUSED);
    }
    let plan = Plan {
        record: "end-diversion",
        stage: stage.to_owned(),
        topic,
        partition,
        key: key.to_owned(),
        through_offset,
        log_end: span.end,
        now,
        written_at: None,
    };
    let through_offset = through_offset.unsigned_abs();
    let scope = Scope::EndDiversionOf { key: key.into(), through_offset };
    plan.carry_out(common, config, acting, written(stage, spec.topic, &scope)?)
}

/// The partition of an account, and what its row says.
fn diverted_account(
    config: &Config,
    account: &str,
    through_offset: i64,
) -> Result<(i32, String), i32> {
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
    Ok((place.partition, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::{dead_letter::TimestampType, raw::RawRecord},
        operator::records::tests::raw,
    };

    /// Goal: an operator's word reaches exactly the stage it is for. Method: both words to every
    /// stage whose input has a birth; a command where commands are read, else a record of the partition
    /// from which the stage, and no other, reads the word again.
    #[test]
    fn words_by_stage() {
        let (key, through_offset) = (Box::from("acc-1"), 7);
        let scopes =
            [Scope::FuseRelease { through_offset }, Scope::EndDiversionOf { key, through_offset }];
        let mut words = 0;
        let is_read =
            |stage: &&str| ["authorisation", "posting", "windows", "feed"].contains(stage);
        let inputs = crate::codec::topics::inputs();
        for (stage, spec) in inputs.filter(|(stage, _)| is_read(stage)) {
            for scope in &scopes {
                match Written::of(stage, spec.topic, scope).expect("every stage has a record") {
                    Written::Command(command) => {
                        assert_eq!(stage, "authorisation", "{command:?}");
                    }
                    Written::Word { value, headers } => {
                        let timestamp_type = TimestampType::LogAppendTime;
                        let record = raw(9, PARTITION_KEY, value);
                        let record = RawRecord { headers, timestamp_type, ..record };
                        assert_eq!(control::scope(stage, &record).as_ref(), Some(scope));
                        assert_eq!(control::scope("another", &record), None, "{stage}");
                        words += 1;
                    }
                }
            }
        }
        assert!(words >= 6, "posting, windows and feed read words: {words}");
        assert_eq!(Written::of("posting", Topic("none.v1"), &scopes[0]), None);
    }
}
