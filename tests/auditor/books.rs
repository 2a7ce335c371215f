//! The settlement topics of the good run, made by the real stages from its events.
//!
//! Owns a plain single-threaded fold of posting and windows with the runtime's ids, and what
//! operators send: a report and a statement line for each window that owes, a resolution. Some
//! records stand twice. The events get a birth record before them, as on a real topic.

use super::good_run::{INCARNATION, PARTITIONS, Pairs, Rec, Run, rules};
use std::collections::BTreeMap;
use tapline::{
    codec::{
        avro::{Avro, RegistryIds},
        births::{BIRTH, BIRTH_KEY, birth_value},
        frame::{OutputId, SourcePos},
        partitioner::partition_of,
        schemas::Subject,
    },
    domain::{
        event::AccountEvent,
        ledger::{Address, Leg},
        rules::Rules,
        settlement::*,
        time::LogTime,
        window::{WindowBody, WindowEvent},
    },
    stages::{
        Cause, Context, Scope, Stage,
        authorisation::EVENTS,
        settlement::{
            posting::{Head, Output, Posting},
            windows::{Windows, WindowsStage},
        },
    },
};

#[derive(Clone, Default)]
pub struct Books {
    pub postings: Vec<Rec>,
    pub parts: Vec<Rec>,
    pub windows: Vec<Rec>,
}

/// The same run with births before its events.
pub fn born(run: &Run) -> Run {
    let mut run = run.clone();
    run.events.iter_mut().for_each(|record| record.offset += 1);
    let births = (0..PARTITIONS).map(|partition| Rec {
        partition,
        offset: 0,
        key: Some(BIRTH_KEY.into()),
        value: birth_value(EVENTS),
        headers: vec![(BIRTH.into(), Some(b"birth-2".to_vec()))],
        timestamp_ms: 0,
    });
    run.events.splice(0..0, births);
    run
}

pub fn read<T: serde::de::DeserializeOwned>(subject: Subject, record: &Rec) -> T {
    let value = record.value.as_deref().expect("a value");
    Avro::of(subject).decode(value, &RegistryIds::default()).expect("a value of ours")
}

pub fn written(subject: Subject, value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    Avro::of(subject).encode(value, &mut bytes);
    bytes
}

pub fn append(
    topic: &mut Vec<Rec>,
    partition: i32,
    key: &str,
    value: Vec<u8>,
    id: Option<OutputId>,
) {
    let mut headers = Pairs::new();
    headers.extend(id.map(|id| ("tapline-src".to_owned(), Some(id.to_string().into_bytes()))));
    let offset = topic.iter().filter(|record| record.partition == partition).count() as i64;
    let key = Some(key.as_bytes().to_vec());
    let record = Rec { partition, offset, key, value: Some(value), headers, timestamp_ms: 0 };
    if offset % 19 == 7 && record.header("tapline-src").is_some() {
        topic.push(record.clone());
        topic.push(Rec { offset: offset + 1, ..record });
    } else {
        topic.push(record);
    }
}

fn id(partition: i32, offset: i64, index: usize, key: Option<&str>) -> OutputId {
    let source = SourcePos { incarnation: INCARNATION + 1, partition, offset };
    OutputId { source, key: key.map(Box::from), index: index as i32 }
}

/// `run`: with births.
pub fn books(run: &Run) -> Books {
    let mut rules = rules();
    rules.settlement.retain(|rule| ["visa", "interbank"].contains(&&*rule.network));
    let mut books = Books::default();
    for partition in 0..PARTITIONS {
        post(run, partition, &rules, &mut books);
    }
    let mut desk = Desk { heads: BTreeMap::new(), rules, read: 0 };
    desk.fold(&mut books);
    desk.operate(&mut books);
    desk.fold(&mut books);
    books
}

fn post(run: &Run, partition: i32, rules: &Rules, books: &mut Books) {
    let standing = Posting::standing_keys(rules).into_iter().map(|key| (key, Head::default()));
    let mut heads: BTreeMap<Box<str>, Head> = standing.collect();
    let (mut clock, mut known) = (LogTime::ZERO, Vec::new());
    for record in run.events.iter().filter(|record| record.partition == partition) {
        let source = record.header("tapline-src");
        if source.is_some() && known.contains(&source) {
            continue;
        }
        known.push(source);
        let event: AccountEvent = read(Subject::Events, record);
        let own: Box<str> = event.account_id.as_str().into();
        let (keys, is_due) = match Posting::scope(&event) {
            Scope::Tick(tick) if tick.time > clock => {
                clock = tick.time;
                let is_due = |(key, head): &(&Box<str>, &Head)| {
                    Posting::deadline(key, head, rules).is_some_and(|due| due <= clock)
                };
                (heads.iter().filter(is_due).map(|(key, _)| key.clone()).collect(), true)
            }
            Scope::Key => (vec![own.clone()], false),
            Scope::KeyAnd(other) => (vec![own.clone(), other], false),
            _ => (Vec::new(), false),
        };
        let (offset, partitions) = (record.offset, PARTITIONS);
        let context = Context { partition, partitions, offset, ..Context::of(clock, rules) };
        for key in keys {
            let head = heads.entry(key.clone()).or_default();
            let cause = if is_due { Cause::Due } else { Cause::Record(&event) };
            let transition = Posting::step(&context, &key, head, cause).expect("a good run");
            if let Some(change) = transition.change {
                Posting::apply(head, change);
            }
            let other = (is_due || key != own).then_some(&*key);
            for (index, effect) in transition.effects.into_iter().enumerate() {
                let id = Some(id(partition, offset, index, other));
                let to = effect.key.as_deref().unwrap_or(&own);
                match &effect.body {
                    Output::Posting(set) => {
                        let value = written(Subject::Postings, set);
                        append(&mut books.postings, partition, to, value, id);
                    }
                    Output::Part(part) => {
                        let home = partition_of(to.as_bytes(), PARTITIONS);
                        let value = written(Subject::Parts, part);
                        append(&mut books.parts, home, to, value, id);
                    }
                }
            }
        }
    }
}

struct Desk {
    heads: BTreeMap<String, (Windows, Vec<OutputId>)>,
    rules: Rules,
    /// Of the parts, how many.
    read: usize,
}

impl Desk {
    fn fold(&mut self, books: &mut Books) {
        for record in &books.parts[self.read..] {
            let key = String::from_utf8(record.key.clone().expect("a key")).expect("text");
            let body: SettlementRecord = read(Subject::Parts, record);
            let (head, seen) = self.heads.entry(key.clone()).or_default();
            if record.header("tapline-src").is_some() {
                if seen.contains(&record.source()) {
                    continue;
                }
                seen.push(record.source());
            }
            let context = Context::of(LogTime::ZERO, &self.rules);
            let cause = Cause::Record(&body);
            let transition = WindowsStage::step(&context, &key, head, cause).expect("taken");
            if let Some(change) = transition.change {
                WindowsStage::apply(head, change);
            }
            for (index, effect) in transition.effects.into_iter().enumerate() {
                let id = Some(id(record.partition, record.offset, index, None));
                let value = written(Subject::Windows, &effect.body);
                append(&mut books.windows, record.partition, &key, value, id);
            }
        }
        self.read = books.parts.len();
    }

    /// Reports, statement lines and resolutions for the newest windows and exceptions.
    fn operate(&self, books: &mut Books) {
        let said: Vec<WindowEvent> =
            books.windows.iter().map(|it| read(Subject::Windows, it)).collect();
        let mut sent = Vec::new();
        for event in said.iter().rev() {
            let (network, currency, at) = (event.network.clone(), event.currency, event.at);
            let mut send = |body| {
                let record = SettlementRecord { network: network.clone(), currency, body };
                if !sent.contains(&record) {
                    sent.push(record);
                }
            };
            match (&event.body, event.cycle) {
                (WindowBody::Closed(closed), Some(cycle)) if closed.totals.items > 0 => {
                    let totals = CycleTotals {
                        purchases_minor: closed.totals.purchases_minor
                            + closed.totals.suspense_minor,
                        suspense_minor: 0,
                        ..closed.totals
                    };
                    let report_id = format!("report-{}", cycle.cutoff.0).into();
                    send(SettlementInput::Report(NetworkReport { report_id, at, cycle, totals }));
                    send(SettlementInput::Statement(BankStatementLine {
                        line_id: format!("line-{}", cycle.cutoff.0).into(),
                        at,
                        amount_minor: closed.net_minor.abs(),
                        direction: Direction::of(closed.net_minor),
                        reference: instruction_reference(&network, currency, cycle.cutoff),
                        text: "".into(),
                    }));
                }
                (WindowBody::ExceptionOpened(opened), _) => {
                    let minor = opened.exception.suspense_minor;
                    let leg = |address, minor| Leg { address, currency, minor };
                    let legs = vec![leg(Address::Suspense, minor), leg(Address::Nostro, -minor)];
                    send(SettlementInput::Resolve(ResolveException {
                        exception_id: opened.exception.id.clone(),
                        at,
                        kind: ResolutionKind::Recovered,
                        legs,
                        by: "ops-1".into(),
                        text: "".into(),
                    }));
                }
                _ => {}
            }
        }
        for record in sent {
            let key = window_key(&record.network, record.currency);
            let home = partition_of(key.as_bytes(), PARTITIONS);
            append(&mut books.parts, home, &key, written(Subject::Parts, &record), None);
        }
    }
}
