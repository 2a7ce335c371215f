//! `tapline exceptions resolve`: a person's decision, planned, published, and its answer.
//!
//! Owns the legs that a kind of decision has and the waiting. Whether the decision holds is the
//! windows stage's: what it answers is told as it is.

use super::{As, ResolveArgs, find};
use crate::adapters::kafka::sender::{Outbound, Sender, Ticket};
use crate::codec::{
    avro::Avro,
    headers::HeaderList,
    schemas::Subject,
    topics::{PARTS, WINDOWS},
};
use crate::config::Config;
use crate::domain::{
    ledger::{Address, Leg},
    settlement::{ResolveException, SettlementInput, SettlementRecord, window_key},
    window::{Exception, WindowBody, WindowEvent},
};
use crate::operator::{
    account::word,
    acting,
    amounts::money,
    books::Book,
    cli::Common,
    logs::{self, EXIT_USAGE},
    outputs::Outputs,
    print::{self, say},
};
use crate::runtime::telemetry;
use crate::worker::{EXIT_BAD, EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE};
use serde::Serialize;
use std::{sync::mpsc, time::Duration};

/// How long the ack, and then the answer, is waited for.
const WAIT: Duration = Duration::from_secs(30);
/// How far rows follow the log where all is well, and more.
const ROWS_FOLLOW: Duration = Duration::from_secs(3);
/// An answer stands in the log before the row that it led to.
const LAST_LOOK: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Plan {
    exception: String,
    network: String,
    currency: crate::domain::money::Currency,
    resolution: String,
    /// Empty where no money stands in suspense.
    legs: Vec<Leg>,
    by: String,
    note: String,
    topic: String,
    key: String,
    /// `partition:offset` of the decision, once it is written.
    written_at: Option<String>,
    /// What the windows stage said: `resolved`, or why it refused.
    answer: Option<String>,
}

impl Plan {
    fn shown(&self) -> String {
        let Self { exception, network, currency, resolution, by, note, .. } = self;
        let mut text =
            format!("{resolution}: {exception} of {network}, {currency}\nby {by}: {note}\n");
        for leg in &self.legs {
            let minor = money(leg.minor, leg.currency);
            text += &format!("  {:20}{minor:>24}\n", word(&leg.address));
        }
        if self.legs.is_empty() {
            text += "  no money stands in suspense\n";
        }
        text += &match &self.written_at {
            None => format!("would be written to {}", self.topic),
            Some(place) => format!("written to {}:{place}", self.topic),
        };
        if let Some(answer) = &self.answer {
            text += &format!("\nanswer: {answer}");
        }
        text
    }
}

/// The legs that take the exception's whole amount out of suspense.
fn legs(args: &ResolveArgs, book: &Book, exception: &Exception) -> Vec<Leg> {
    let minor = exception.suspense_minor;
    if minor == 0 {
        return Vec::new();
    }
    let to = match (args.kind, args.to) {
        (As::Recovered, _) => Address::Nostro,
        (As::Rebooked, _) => Address::Net,
        (As::WriteOff, Some(to)) => to.address(),
        (As::WriteOff, None) if minor > 0 => Address::SchemeFees,
        (As::WriteOff, None) => Address::FeeIncome,
    };
    let leg = |address, minor| Leg { address, currency: book.currency, minor };
    vec![leg(Address::Suspense, minor), leg(to, -minor)]
}

pub fn run(common: &Common, config: &Config, args: &ResolveArgs) -> Result<(), i32> {
    let text_max = config.limits.string_bytes_max;
    let by = args.by.clone().or_else(|| std::env::var("USER").ok());
    let by = by.unwrap_or_else(|| "operator".to_owned());
    if args.note.trim().is_empty() || args.note.len() > text_max || by.len() > text_max {
        say(&format!("--note must say why, in at most {text_max} bytes"));
        return Err(EXIT_USAGE);
    }
    if args.to.is_some() && args.kind != As::WriteOff {
        say("--to belongs to --as write_off; the other kinds have their address");
        return Err(EXIT_USAGE);
    }
    let (book, exception) = find(config, &args.id, &args.filter)?;
    if let Some(known) = &exception.resolution {
        let (kind, by) = (word(&known.kind), &known.by);
        say(&format!("refused: it is resolved already, {kind} by {by}: {}", known.text));
        return Err(EXIT_REFUSED);
    }
    let mut plan = Plan {
        exception: exception.id.to_string(),
        network: book.network.to_string(),
        currency: book.currency,
        resolution: word(&args.kind.kind()),
        legs: legs(args, &book, &exception),
        by,
        note: args.note.clone(),
        topic: config.kafka.topic(PARTS.0),
        key: window_key(&book.network, book.currency).into(),
        written_at: None,
        answer: None,
    };
    if !args.acting.execute {
        print::document(common.output, &plan, || plan.shown());
    }
    let topic = plan.topic.clone();
    if !args.acting.may_act(config, &topic)? {
        return Ok(());
    }
    let resolve = ResolveException {
        exception_id: exception.id.clone(),
        // The book's own time: data of a past year keeps its ages.
        at: book.head.now,
        kind: args.kind.kind(),
        legs: plan.legs.clone(),
        by: plan.by.as_str().into(),
        text: plan.note.as_str().into(),
    };
    let record = SettlementRecord {
        network: book.network.clone(),
        currency: book.currency,
        body: SettlementInput::Resolve(resolve),
    };
    let answers = Answers::from_now_on(config, &plan.key)?;
    let offset = publish(config, &plan, &record)?;
    plan.written_at = Some(format!("{}:{offset}", answers.partition));
    acting::note("exceptions resolve", &format!("{} {}", plan.key, plan.exception));
    let answer = answered(config, args, &answers, offset);
    if let Ok(body) = &answer {
        plan.answer = Some(match body {
            WindowBody::ResolutionRefused(refused) => word(&refused.refusal),
            _ => "resolved".to_owned(),
        });
    }
    print::document(common.output, &plan, || plan.shown());
    match answer? {
        WindowBody::ResolutionRefused(_) => Err(EXIT_BAD),
        _ => Ok(()),
    }
}

/// What the windows stage says to the decision at this offset.
///
/// To the same decision once more it says nothing. Rows follow the log by a moment, so one that was
/// given just before is seen here at the latest. Errors: exit code 4 then, 5 without an answer.
fn answered(
    config: &Config,
    args: &ResolveArgs,
    answers: &Answers,
    offset: i64,
) -> Result<WindowBody, i32> {
    if let Some(body) = answers.of(offset, &args.id, ROWS_FOLLOW)? {
        return Ok(body);
    }
    let (_, exception) = find(config, &args.id, &args.filter)?;
    let is_resolved = exception.resolution.is_some();
    let rest = if is_resolved { LAST_LOOK } else { WAIT };
    if let Some(body) = answers.of(offset, &args.id, rest)? {
        return Ok(body);
    }
    if is_resolved {
        say("refused: it was resolved in the same way a moment ago; this decision changed nothing");
        return Err(EXIT_REFUSED);
    }
    say("no answer within 30 s: the decision is written and takes effect when the windows stage \
         reads it (`tapline lag --stage windows`)");
    Err(EXIT_UNREACHABLE)
}

/// Writes the decision under its key; its offset. Errors: exit code 5 without an ack.
fn publish(config: &Config, plan: &Plan, record: &SettlementRecord) -> Result<i64, i32> {
    let sender = Sender::open(&config.kafka, "operator").map_err(|error| {
        say(&format!("no producer: {error}"));
        EXIT_FAILED
    })?;
    let mut value = Vec::new();
    Avro::of(Subject::Parts).encode(record, &mut value);
    let (done, acked) = mpsc::channel();
    let tell = move |acked| {
        let _ = done.send(acked);
    };
    let ticket = Ticket::new(1, Box::new(tell));
    let outbound = Outbound {
        topic: &plan.topic,
        partition: None,
        key: Some(plan.key.as_bytes()),
        value: Some(&value),
        headers: &HeaderList::new(),
    };
    sender.send(outbound, &ticket).map_err(|error| logs::unreachable(config, error))?;
    acked.recv_timeout(WAIT).map(|acked| acked.offset).map_err(|_| {
        sender.stopping();
        logs::unreachable(config, "no ack within 30 s; the decision may or may not be written")
    })
}

/// The windows stage's answers from a moment on.
struct Answers<'a> {
    outputs: Outputs<'a>,
    topic: String,
    partition: i32,
}

impl<'a> Answers<'a> {
    fn from_now_on(config: &'a Config, key: &str) -> Result<Self, i32> {
        let outputs = Outputs::open(config)?;
        let partition = crate::codec::partitioner::partition_of(
            key.as_bytes(),
            config.kafka.partitions.cast_signed(),
        );
        let end = outputs.spans(WINDOWS, Some(partition))?[0].end;
        let topic = config.kafka.topic(WINDOWS.0);
        let assigned = outputs.reader.assign(&topic, &[(partition, end)]);
        assigned.map_err(|error| logs::unreachable(config, error))?;
        Ok(Self { outputs, topic, partition })
    }

    /// What was decided about the record at this offset, if it was told within that time. Errors:
    /// exit code 5 where Kafka does not answer.
    fn of(&self, offset: i64, exception: &str, wait: Duration) -> Result<Option<WindowBody>, i32> {
        let config = self.outputs.config;
        let until_ms = telemetry::steady_ms() + wait.as_millis() as u64;
        while telemetry::steady_ms() < until_ms {
            let next = self.outputs.reader.next(Duration::from_millis(200));
            let Some((_, raw)) = next.map_err(|error| logs::unreachable(config, error))? else {
                continue;
            };
            let is_answer = raw.source().is_some_and(|id| {
                (id.source.partition, id.source.offset) == (self.partition, offset)
            });
            if !is_answer {
                continue;
            }
            let value = raw.value.as_deref().unwrap_or_default();
            let event = Avro::of(Subject::Windows).decode::<WindowEvent>(value, &self.outputs.ids);
            let event = event.map_err(|error| {
                say(&format!("{}:{}:{}: {error}", self.topic, raw.partition, raw.offset));
                EXIT_FAILED
            })?;
            if is_about(&event.body, exception) {
                return Ok(Some(event.body));
            }
        }
        Ok(None)
    }
}

fn is_about(body: &WindowBody, exception: &str) -> bool {
    match body {
        WindowBody::ExceptionResolved(resolved) => *resolved.exception_id == *exception,
        WindowBody::ResolutionRefused(refused) => *refused.exception_id == *exception,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{money::Currency, settlement::Class, time::LogTime, window::Source};
    use crate::operator::{acting::Acting, exceptions::WriteOffTo, window::Filter};
    use crate::stages::{
        Cause, Context, Stage,
        settlement::windows::{Windows, WindowsStage},
    };

    fn exception(suspense_minor: i64) -> Exception {
        Exception {
            id: "line:l-1".into(),
            source: Source::Statement,
            class: Class::Extra,
            cycle: None,
            suspense_minor,
            claimed_minor: suspense_minor,
            booked_minor: 0,
            account_id: None,
            payment_id: None,
            reason: None,
            reference: "".into(),
            owner: "treasury".into(),
            opened_at: LogTime(5),
            resolution: None,
        }
    }

    /// Goal: every kind's legs are those that the windows stage takes. Method: each kind of
    /// decision, of a loss, a gain and nothing, is given to the stage itself.
    #[test]
    fn the_stage_takes_the_legs() {
        let text = include_str!("../../../rules/1.toml");
        let rules = crate::codec::rules::parse(text).expect("the shipped rules");
        let currency = Currency::parse("EUR").expect("a code");
        let kinds = [
            (As::WriteOff, None),
            (As::WriteOff, Some(WriteOffTo::Interchange)),
            (As::Recovered, None),
            (As::Rebooked, None),
        ];
        for (kind, to) in kinds {
            for minor in [900, -40, 0] {
                let exception = exception(minor);
                let head = Windows {
                    suspense_minor: minor,
                    exceptions_open: 1,
                    exceptions: vec![exception.clone()],
                    ..Windows::default()
                };
                let book = Book {
                    network: "visa".into(),
                    currency,
                    head: head.clone(),
                    windows: Vec::new(),
                    exceptions: vec![exception.clone()],
                };
                let args = ResolveArgs {
                    id: "line:l-1".to_owned(),
                    filter: Filter::default(),
                    kind,
                    note: "why".to_owned(),
                    by: None,
                    to,
                    acting: Acting::default(),
                };
                let resolve = ResolveException {
                    exception_id: exception.id.clone(),
                    at: LogTime(9),
                    kind: kind.kind(),
                    legs: legs(&args, &book, &exception),
                    by: "ann".into(),
                    text: "why".into(),
                };
                let body = SettlementInput::Resolve(resolve);
                let record = SettlementRecord { network: "visa".into(), currency, body };
                let context = Context::of(LogTime::ZERO, &rules);
                let cause = Cause::Record(&record);
                let step = WindowsStage::step(&context, "visa/EUR", &head, cause).expect("a step");
                let bodies: Vec<&WindowBody> =
                    step.effects.iter().map(|effect| &effect.body.body).collect();
                let is_taken = matches!(bodies.as_slice(), [WindowBody::ExceptionResolved(_)]);
                assert!(
                    is_taken && is_about(bodies[0], "line:l-1"),
                    "{kind:?} {minor}: {bodies:?}"
                );
                let after = step.effects.last().map(|effect| effect.body.suspense_minor);
                assert_eq!(after, Some(0), "{kind:?} {minor}");
            }
        }
    }
}
