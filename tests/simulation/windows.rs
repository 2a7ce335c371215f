//! The windows stage, as it is, in the simulation: it reads what the posting stage sealed there,
//! with what a network and a bank say beside it.
//!
//! A re-keyed stage without ticks: its records come from every partition of the ledger, each with
//! repeats, and are told apart by their source alone. Owns the second opinion: windows are the sums
//! of the parts, closed once and in order, and suspense is the sum of the open exceptions.

use super::money::Breach;
use super::posting::read;
use super::script::Record;
use super::simulated::{Audited, Simulated, Topics, first_copies, record_of};
use super::world::{Chance, Feed};
use crate::codec::{
    avro::Avro, headers::SRC, partitioner::partition_of, schemas::Subject, windows::WindowsCodec,
};
use crate::domain::command::Tick;
use crate::domain::ledger::{Address, Leg};
use crate::domain::settlement::{
    BankStatementLine, Class, CycleTotals, Direction, NetworkReport, PartSealed, ReportDifference,
    ResolutionKind, ResolveException, SettlementInput, SettlementRecord, instruction_reference,
    window_key,
};
use crate::domain::time::LogTime;
use crate::domain::window::{WindowBody, WindowEvent};
use crate::domain::{cycle::Cycle, money::Currency};
use crate::stages::Topic;
use crate::stages::settlement::windows::WindowsStage;
use std::collections::{BTreeMap, BTreeSet};

impl Simulated for WindowsStage {
    type Codec = WindowsCodec;

    fn codec(partitions: i32) -> WindowsCodec {
        WindowsCodec::new(partitions, Default::default(), Default::default(), "")
    }

    fn topic_number(_: Topic) -> usize {
        0
    }

    fn tick(tick: Tick) -> Record {
        panic!("no tick belongs there: {tick:?}")
    }

    fn release_fuse(through_offset: i64) -> Record {
        panic!("nothing can be refused there, also not at {through_offset}")
    }

    fn audit(topics: &Topics<'_>, _: &BTreeSet<String>) -> Result<Audited, Breach> {
        let mut parts = Parts::default();
        for records in topics.of(1) {
            for record in first_copies(records) {
                parts.take(read(Subject::Parts, record)?)?;
            }
        }
        let mut audited = Audited::default();
        let mut books: BTreeMap<Box<str>, Book> = BTreeMap::new();
        for records in topics.of(0) {
            for record in first_copies(records) {
                let event: WindowEvent = read(Subject::Windows, record)?;
                let key = window_key(&event.network, event.currency);
                books.entry(key.clone()).or_default().take(&event, &parts, &key)?;
                audited.events += 1;
            }
        }
        for (key, of_key) in &parts.0 {
            let closed = books.get(key).map(|book| &book.closed[..]).unwrap_or_default();
            if closed != of_key.complete() {
                let found = format!("{key}: closed {closed:?}, not {:?}", of_key.complete());
                return Err(("S3 every complete cycle closes", found));
            }
        }
        Ok(audited)
    }

    fn told(value: Option<&[u8]>) -> String {
        let value = value.unwrap_or_default();
        let event = Avro::of(Subject::Windows).decode::<WindowEvent>(value, &Default::default());
        format!("{event:?}")
    }
}

/// The parts of all partitions, by key.
#[derive(Default)]
struct Parts(BTreeMap<Box<str>, KeyParts>);

#[derive(Default)]
struct KeyParts {
    partitions: i32,
    totals: BTreeMap<LogTime, CycleTotals>,
    last: BTreeMap<i32, LogTime>,
}

impl Parts {
    fn take(&mut self, record: SettlementRecord) -> Result<(), Breach> {
        let SettlementInput::Part(part) = record.body else { return Ok(()) };
        let key = window_key(&record.network, record.currency);
        let of_key = self.0.entry(key).or_default();
        of_key.partitions = part.partitions;
        let totals = of_key.totals.entry(part.cycle.cutoff).or_default();
        *totals = totals.plus(&part.totals).ok_or(("S3 sums", format!("{part:?}")))?;
        let last = of_key.last.entry(part.partition).or_default();
        *last = part.cycle.cutoff.max(*last);
        Ok(())
    }
}

impl KeyParts {
    /// The cut-offs that all partitions have passed, ascending.
    fn complete(&self) -> Vec<LogTime> {
        let is_whole = self.last.len() as i32 == self.partitions;
        let through = self.last.values().min().copied().filter(|_| is_whole);
        self.totals.keys().copied().filter(|cutoff| Some(*cutoff) <= through).collect()
    }
}

/// The decisions about one key, so far.
#[derive(Default)]
struct Book {
    closed: Vec<LogTime>,
    /// Open exceptions and what each has in suspense.
    open: BTreeMap<Box<str>, i64>,
}

impl Book {
    fn take(&mut self, event: &WindowEvent, parts: &Parts, key: &str) -> Result<(), Breach> {
        let told = || format!("{event:?}");
        let legs: &[Leg] = match &event.body {
            WindowBody::Closed(closed) => {
                let cutoff = event.cycle.ok_or(("S3 a window's cycle", told()))?.cutoff;
                if self.closed.last().is_some_and(|last| *last >= cutoff) {
                    return Err(("S3 windows close once and in order", told()));
                }
                self.closed.push(cutoff);
                let sums = parts.0.get(key).and_then(|of_key| of_key.totals.get(&cutoff));
                if sums != Some(&closed.totals) {
                    return Err(("S3 a window is its parts", format!("{sums:?}: {}", told())));
                }
                &[]
            }
            WindowBody::Settled(settled) => &settled.legs,
            WindowBody::ExceptionOpened(opened) => {
                let exception = &opened.exception;
                if self.open.insert(exception.id.clone(), exception.suspense_minor).is_some() {
                    return Err(("S6 an exception opens once", told()));
                }
                &opened.legs
            }
            WindowBody::ExceptionResolved(resolved) => {
                if self.open.remove(&resolved.exception_id).is_none() {
                    return Err(("S6 only what is open is resolved", told()));
                }
                &resolved.legs
            }
            WindowBody::Reconciled(_)
            | WindowBody::Broken(_)
            | WindowBody::Instructed(_)
            | WindowBody::Carried(_)
            | WindowBody::ResolutionRefused(_) => &[],
        };
        if legs.iter().map(|leg| leg.minor).sum::<i64>() != 0 {
            return Err(("S1 legs are balanced", told()));
        }
        if self.open.values().sum::<i64>() != event.suspense_minor {
            return Err(("S6 suspense is the open exceptions", told()));
        }
        Ok(())
    }
}

/// Puts beside the parts what a network and a bank say of them: reports that fit or do not,
/// differences, payments, and a person's resolutions; now and then twice.
pub fn with_the_network(seed: u64, mut feed: Feed) -> Feed {
    let mut chance = Chance::of(seed ^ 0x5e77_1e00);
    let mut cycles: BTreeMap<(Box<str>, LogTime), (Cycle, CycleTotals)> = BTreeMap::new();
    let mut items: Vec<(Box<str>, i64)> = Vec::new();
    let mut ids = BTreeSet::new();
    for (key, value, headers) in feed.iter().flatten() {
        let id = headers.text(SRC).unwrap_or_default().to_owned();
        let raw = value.as_deref().unwrap_or_default();
        let read = Avro::of(Subject::Parts).decode::<SettlementRecord>(raw, &Default::default());
        let Ok(SettlementRecord { network, body: SettlementInput::Part(part), .. }) = read else {
            panic!("a part under {key:?}")
        };
        if !ids.insert(id) {
            continue;
        }
        let PartSealed { cycle, totals, suspense, .. } = part;
        let of_cycle = cycles.entry((network, cycle.cutoff));
        let sum = &mut of_cycle.or_insert((cycle, CycleTotals::default())).1;
        *sum = sum.plus(&totals).expect("small sums");
        items.extend(suspense.into_iter().map(|item| (item.id, item.owed_minor)));
    }
    let mut said = Vec::new();
    for (number, ((network, _), (cycle, totals))) in cycles.into_iter().enumerate() {
        if chance.one_in(2) {
            of_cycle(&mut chance, number, &network, cycle, totals, &mut said);
        }
    }
    for (id, owed_minor) in items {
        if chance.one_in(2) {
            let id = format!("item:{id}");
            said.push(("visa".into(), resolution(&mut chance, &id, owed_minor)));
        }
    }
    for (network, body) in said {
        let currency = super::script::eur();
        let key = window_key(&network, currency);
        let record = record_of(Subject::Parts, &key, &SettlementRecord { network, currency, body });
        for _ in 0..=u64::from(chance.one_in(5)) {
            let partition = partition_of(key.as_bytes(), feed.len() as i32) as usize;
            let place = chance.place(feed[partition].len() + 1);
            feed[partition].insert(place, record.clone());
        }
    }
    feed
}

type Said = (Box<str>, SettlementInput);

fn of_cycle(
    chance: &mut Chance,
    number: usize,
    network: &str,
    cycle: Cycle,
    totals: CycleTotals,
    said: &mut Vec<Said>,
) {
    let at = cycle.cutoff;
    let mut say = |body| said.push((network.into(), body));
    let mut reported = CycleTotals { suspense_minor: 0, ..totals };
    if chance.one_in(3) {
        reported.purchases_minor += 1 + chance.below(50) as i64;
        if chance.one_in(2) {
            say(SettlementInput::Difference(ReportDifference {
                difference_id: format!("d{number}").into(),
                at,
                cycle,
                class: [Class::Missing, Class::Extra, Class::Mismatch][chance.place(3)],
                reported_minor: reported.purchases_minor,
                booked_minor: totals.purchases_minor,
                payment_id: None,
                reference: "".into(),
                text: "".into(),
            }));
        }
    }
    let report_id = format!("r{number}").into();
    say(SettlementInput::Report(NetworkReport { report_id, at, cycle, totals: reported }));
    if chance.one_in(3) {
        say(resolution(chance, &format!("report:r{number}"), 0));
    }
    let owed_minor = reported.net_minor() + i64::from(chance.one_in(4));
    let line_id = format!("l{number}").into();
    let reference = match chance.one_in(6) {
        true => "".into(),
        false => instruction_reference(network, super::script::eur(), cycle.cutoff),
    };
    say(SettlementInput::Statement(BankStatementLine {
        line_id,
        at,
        amount_minor: owed_minor.abs().max(1),
        direction: Direction::of(owed_minor),
        reference,
        text: "".into(),
    }));
}

/// Often of the right amount; where it is not, the stage says no.
fn resolution(chance: &mut Chance, exception_id: &str, suspense_minor: i64) -> SettlementInput {
    let minor = suspense_minor + i64::from(chance.one_in(4));
    let currency: Currency = super::script::eur();
    let leg = |address, minor| Leg { address, currency, minor };
    let legs = match minor {
        0 => Vec::new(),
        _ => vec![leg(Address::Suspense, minor), leg(Address::FeeIncome, -minor)],
    };
    SettlementInput::Resolve(ResolveException {
        exception_id: exception_id.into(),
        at: LogTime(1),
        kind: ResolutionKind::WriteOff,
        legs,
        by: "operator".into(),
        text: "".into(),
    })
}
