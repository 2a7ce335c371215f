//! One key of the windows stage, driven as the runtime drives it, and judged after each record.
//!
//! The judge knows parts and legs, not the stage: net and suspense of its ledger must be what the
//! head says, a settled window must stay as it was, and a head must keep within its bounds.

use crate::records::NETWORK;
use std::collections::BTreeMap;
use tapline::{
    codec::{
        StageCodec,
        avro::{Avro, RegistryIds},
        headers::HeaderList,
        limits::Sizes,
        raw::RawRecord,
        schemas::Subject,
        snapshot::Row,
        windows::WindowsCodec,
    },
    domain::{
        ledger::{Address, Leg},
        settlement::{SettlementInput, SettlementRecord, window_key},
        time::LogTime,
        window::{Exception, WindowBody, WindowEvent},
    },
    stages::{
        Cause, Context, Outgoing, Refused, Stage,
        settlement::windows::{
            EXCEPTIONS_KEPT, Item, Status, WINDOWS_KEPT, Window, Windows, WindowsStage,
        },
    },
};

pub struct Driver {
    pub head: Windows,
    pub events: Vec<WindowEvent>,
    codec: WindowsCodec,
    rules: tapline::domain::rules::Rules,
    /// Saves and loads the head after each record, and every item that leaves.
    reloads: bool,
    sides: BTreeMap<String, Item>,
    ledger: BTreeMap<Address, i64>,
    /// Net of all parts so far.
    sealed_minor: i64,
    open: BTreeMap<Box<str>, Exception>,
    settled: BTreeMap<LogTime, Window>,
}

impl Driver {
    pub fn new() -> Self {
        Self::with_reloads(true)
    }

    pub fn with_reloads(reloads: bool) -> Self {
        Self {
            head: Windows::default(),
            events: Vec::new(),
            codec: WindowsCodec::new(1, Sizes::default(), RegistryIds::default(), ""),
            rules: no_rules(),
            reloads,
            sides: BTreeMap::new(),
            ledger: BTreeMap::new(),
            sealed_minor: 0,
            open: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    /// What the codec makes of a record's bytes.
    pub fn decode(&self, record: &SettlementRecord) -> Result<SettlementRecord, String> {
        let key = window_key(&record.network, record.currency);
        decode(&self.codec, record, &key)
    }

    /// Applies a record; the events it made, or the code of its refusal.
    pub fn send(&mut self, record: SettlementRecord) -> Result<Vec<WindowEvent>, String> {
        let record = self.decode(&record)?;
        let before = self.head.clone();
        let recalled = self.recalled(&record);
        let context = Context::of(LogTime::ZERO, &self.rules);
        let step = WindowsStage::step(&context, NETWORK, &recalled, Cause::Record(&record));
        let transition = match step {
            Ok(transition) => transition,
            Err(refused) => {
                assert_eq!(self.head, before, "a refusal changes nothing");
                let kind = match refused {
                    Refused::Poison(_) => "poison",
                    Refused::Halt { .. } => "halt",
                };
                return Err(format!("{kind} {}", refused.code()));
            }
        };
        self.head = recalled;
        if let Some(change) = transition.change {
            for (id, item) in WindowsStage::apply(&mut self.head, change) {
                let item = if self.reloads { self.side_reloaded(&item) } else { item };
                self.sides.insert(id.as_ref().to_owned(), item);
            }
        }
        let events: Vec<WindowEvent> = transition.effects.into_iter().map(body).collect();
        self.judge(&before, &record, &events);
        if self.reloads {
            self.head = self.head_reloaded();
        }
        self.events.extend(events.iter().cloned());
        Ok(events)
    }

    /// Sends what must be taken.
    pub fn take(&mut self, record: SettlementRecord) -> Vec<WindowEvent> {
        self.send(record).expect("the record is taken")
    }

    /// The newest version of a window, wherever it is.
    pub fn window(&self, cutoff: LogTime) -> Option<&Window> {
        self.head.window(cutoff).or_else(|| match self.sides.get(&format!("w:{}", cutoff.0))? {
            Item::Window(window) => Some(window),
            Item::Exception(_) => None,
        })
    }

    /// Open exceptions, by id.
    pub fn open(&self) -> impl Iterator<Item = &Exception> {
        self.open.values()
    }

    /// Every window, wherever it is, ascending.
    pub fn windows(&self) -> Vec<&Window> {
        let gone = self.sides.values().filter_map(|item| match item {
            Item::Window(window) => Some(&**window),
            Item::Exception(_) => None,
        });
        let gone = gone.filter(|window| self.head.window(window.cycle.cutoff).is_none());
        let mut all: Vec<&Window> = gone.chain(&self.head.windows).collect();
        all.sort_by_key(|window| window.cycle.cutoff);
        all
    }

    pub fn head_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let row = Row { state: self.head.clone(), ..Row::default() };
        self.codec.encode_row(&row, &mut bytes);
        bytes
    }

    fn head_reloaded(&self) -> Windows {
        let bytes = self.head_bytes();
        let row = self.codec.decode_row(&bytes).expect("we wrote it");
        let mut again = Vec::new();
        self.codec.encode_row(&row, &mut again);
        assert_eq!(bytes, again, "the same head, other bytes");
        row.state
    }

    fn side_reloaded(&self, item: &Item) -> Item {
        let mut bytes = Vec::new();
        self.codec.encode_side(item, &mut bytes);
        self.codec.decode_side(&bytes).expect("we wrote it")
    }

    /// The head with everything that the record names, as often as something is found.
    fn recalled(&self, record: &SettlementRecord) -> Windows {
        let mut head = self.head.clone();
        let context = Context::of(LogTime::ZERO, &self.rules);
        loop {
            let named = WindowsStage::items_named(&context, &head, record);
            let found: Vec<_> = named
                .into_iter()
                .filter_map(|id| Some((id.clone(), self.sides.get(id.as_ref())?.clone())))
                .collect();
            if found.is_empty() {
                return head;
            }
            found.into_iter().for_each(|(id, item)| WindowsStage::recall(&mut head, id, item));
        }
    }

    fn judge(&mut self, before: &Windows, record: &SettlementRecord, events: &[WindowEvent]) {
        if let SettlementInput::Part(part) = &record.body
            && before.sealed != self.head.sealed
        {
            // What its postings did to these two.
            *self.ledger.entry(Address::Net).or_default() += part.totals.net_minor();
            self.sealed_minor += part.totals.net_minor();
            *self.ledger.entry(Address::Suspense).or_default() -= part.totals.suspense_minor;
        }
        for event in events {
            self.follow(event);
            let open_minor: i64 = self.open.values().map(|it| it.suspense_minor).sum();
            assert_eq!(event.suspense_minor, open_minor, "suspense in {event:?}");
        }
        let balance = |address| self.ledger.get(&address).copied().unwrap_or(0);
        let open_minor: i64 = self.open.values().map(|it| it.suspense_minor).sum();
        assert_eq!(self.head.suspense_minor, open_minor, "suspense is the open exceptions");
        assert_eq!(self.head.exceptions_open, self.open.len() as i64);
        assert_eq!(-balance(Address::Suspense), open_minor, "suspense in the ledger");
        let windows = self.windows();
        let owed_minor: i64 = windows.iter().map(|window| window.outstanding_minor()).sum();
        assert_eq!(balance(Address::Net), owed_minor + self.head.carry_minor, "net in the ledger");
        let unsettled_minor = self.sealed_minor - self.head.settled_minor;
        assert_eq!(balance(Address::Net), unsettled_minor, "what metrics call settled");
        for window in windows.iter().filter(|window| window.status == Status::Settled) {
            assert_eq!(window.outstanding_minor(), 0, "settled and not 0");
            let known = self.settled.get(&window.cycle.cutoff);
            assert!(known.is_none_or(|known| known == *window), "a settled window changed");
        }
        let settled = windows.into_iter().filter(|window| window.status == Status::Settled);
        let settled: Vec<Window> = settled.cloned().collect();
        self.settled.extend(settled.into_iter().map(|window| (window.cycle.cutoff, window)));
        let closed = |window: &&Window| window.status != Status::Open;
        assert!(self.head.windows.iter().filter(closed).count() <= WINDOWS_KEPT);
        assert!(self.head.exceptions.len() <= EXCEPTIONS_KEPT);
    }

    fn follow(&mut self, event: &WindowEvent) {
        let legs: &[Leg] = match &event.body {
            WindowBody::Settled(settled) => &settled.legs,
            WindowBody::ExceptionOpened(opened) => {
                let exception = opened.exception.clone();
                assert!(self.open.insert(exception.id.clone(), exception).is_none());
                &opened.legs
            }
            WindowBody::ExceptionResolved(resolved) => {
                self.open.remove(&resolved.exception_id).expect("it was open");
                &resolved.legs
            }
            _ => &[],
        };
        assert_eq!(legs.iter().map(|leg| leg.minor).sum::<i64>(), 0, "balanced: {event:?}");
        for leg in legs {
            *self.ledger.entry(leg.address).or_default() += leg.minor;
        }
    }
}

/// Reads a record from its bytes, under a key.
pub fn decode(
    codec: &WindowsCodec,
    record: &SettlementRecord,
    key: &str,
) -> Result<SettlementRecord, String> {
    let mut value = Vec::new();
    Avro::of(Subject::Parts).encode(record, &mut value);
    let raw = RawRecord {
        partition: 0,
        offset: 0,
        timestamp_ms: 0,
        timestamp_type: tapline::codec::dead_letter::TimestampType::LogAppendTime,
        key: Some(key.into()),
        value: Some(value),
        headers: HeaderList::new(),
    };
    StageCodec::<WindowsStage>::decode(codec, &raw).map_err(|error| error.to_string())
}

fn body(outgoing: Outgoing<WindowEvent>) -> WindowEvent {
    assert_eq!((outgoing.topic.0, outgoing.key), ("settlement.windows.v1", None));
    outgoing.body
}

/// The stage asks them nothing.
fn no_rules() -> tapline::domain::rules::Rules {
    tapline::domain::rules::Rules {
        version: 1,
        description: String::new(),
        closing_age_ms: 0,
        tombstone_ms: 0,
        match_late_ms: 0,
        match_tolerance_permille: 0,
        hold_ms: 0,
        holds: Vec::new(),
        limits: Vec::new(),
        settlement: Vec::new(),
    }
}

/// Events in a word each, for tables.
pub fn words(events: &[WindowEvent]) -> String {
    let word = |event: &WindowEvent| match &event.body {
        WindowBody::Closed(closed) => format!("closed {}", closed.net_minor),
        WindowBody::Reconciled(it) => format!("reconciled {}", it.reconciliation.net_minor),
        WindowBody::Broken(it) => format!("broken by {}", it.reconciliation.unexplained_minor),
        WindowBody::Instructed(it) => format!("{:?} {}", it.direction, it.amount_minor),
        WindowBody::Settled(_) => "settled".to_owned(),
        WindowBody::Carried(it) => format!("carried {}", it.minor),
        WindowBody::ExceptionOpened(it) => {
            format!("{:?} {}", it.exception.class, it.exception.suspense_minor)
        }
        WindowBody::ExceptionResolved(it) => format!("{:?}", it.resolution.kind),
        WindowBody::ResolutionRefused(it) => format!("refused {:?}", it.refusal),
    };
    events.iter().map(word).collect::<Vec<_>>().join(", ").to_lowercase()
}
