//! An operator's word to one stage, on a record that says nothing else.
//!
//! Both stages of settlement run in the memory worker, which is the live state machine over the
//! live codecs. What a takeover finds must be what was there before it.

use std::{collections::BTreeMap, sync::Arc};
use tapline::{
    adapters::memory::{
        MemoryLog, MemoryStore,
        worker::{MemoryBinding, MemoryWorker},
    },
    codec::{
        StageCodec,
        avro::{Avro, RegistryIds},
        births, control,
        headers::HeaderList,
        limits::Sizes,
        posting::PostingCodec,
        schemas::Subject,
        snapshot::Row,
        windows::WindowsCodec,
    },
    domain::{
        command::PARTITION_KEY,
        event::{AccountEvent, Event, OriginalNotFound},
        money::Currency,
        rules::Rules,
        settlement::{ResolutionKind, ResolveException, SettlementInput, SettlementRecord},
        time::LogTime,
    },
    runtime::{
        fuse::FuseSettings,
        partition::{Halt, Limits},
    },
    stages::{
        Scope, Stage,
        settlement::{posting::Posting, windows::WindowsStage},
    },
};

/// One partition whose fuse blows on the third dead letter.
struct Place<S: Stage<Rules = Rules>, C: StageCodec<S>> {
    worker: MemoryWorker<S, C>,
    codec: fn() -> C,
}

fn taken_over<S: Stage<Rules = Rules>, C: StageCodec<S>>(
    log: MemoryLog,
    store: MemoryStore,
    codec: fn() -> C,
) -> MemoryWorker<S, C> {
    let fuse = FuseSettings { letters_max: 2, window_records: 100 };
    let binding = MemoryBinding {
        topic_prefix: String::new(),
        incarnation: 1,
        buckets: 4,
        limits: Limits { fuse, ..Limits::default() },
    };
    let rules = BTreeMap::from([(1, Arc::new(crate::driver::rules()))]);
    MemoryWorker::new(&binding, log, store, rules, codec)
}

impl<S: Stage<Rules = Rules>, C: StageCodec<S>> Place<S, C> {
    fn new(codec: fn() -> C) -> Self {
        let mut log = MemoryLog::default();
        log.create(S::INPUT.0, 1);
        Self { worker: taken_over(log, MemoryStore::default(), codec), codec }
    }

    /// Appends a record, runs until nothing is left; its offset.
    fn send(&mut self, key: &str, value: Vec<u8>, headers: HeaderList) -> i64 {
        let contents = (Some(key.as_bytes().to_vec()), Some(value), headers);
        let offset = self.worker.log.append(S::INPUT.0, 0, 1, contents);
        self.worker.run_until_idle();
        offset
    }

    fn garbage(&mut self, key: &str) -> i64 {
        self.send(key, vec![7], HeaderList::new())
    }

    /// As `tapline dead-letters` writes it.
    fn word(&mut self, stage: &str, scope: &Scope) -> i64 {
        let (name, text) = control::header(stage, scope).expect("a word");
        let mut headers = HeaderList::new();
        headers.push_text(name, &text);
        let value = births::birth_value(S::INPUT).expect("an input has a birth");
        self.send(PARTITION_KEY, value, headers)
    }

    fn blown_at(&self) -> Option<i64> {
        match self.worker.partitions().next().expect("one").halted() {
            Some(Halt::FuseBlown { offset }) => Some(*offset),
            Some(other) => panic!("{other:?}"),
            None => None,
        }
    }

    fn row(&self, key: &str) -> Option<Row<S::Head>> {
        self.worker.partitions().next().expect("one").heads().row(key)
    }

    /// Position and diversion of a key.
    fn at(&self, key: &str) -> Option<(i64, Option<i64>)> {
        self.row(key).map(|row| (row.pos, row.diverted_through))
    }

    fn letters(&self) -> i64 {
        self.worker.log.end(&tapline::codec::topics::dead_letters_of(S::NAME), 0)
    }

    /// Another worker takes over from what is durable.
    fn take_over(self) -> Self {
        let Place { worker, codec } = self;
        let mut worker = taken_over(worker.log, worker.store, codec);
        worker.run_until_idle();
        Self { worker, codec }
    }
}

/// `keys`: four of the stage's; `good`: a record under a key that changes nothing but its row.
fn goes_on<S: Stage<Rules = Rules>, C: StageCodec<S>>(
    codec: fn() -> C,
    keys: [&str; 4],
    good: impl Fn(&str) -> Vec<u8>,
) {
    let [one, two, three, four] = keys;
    let mut place = Place::<S, C>::new(codec);
    let birth = births::birth_value(S::INPUT).expect("an input has a birth");
    place.send(PARTITION_KEY, birth, HeaderList::new());
    let first = place.garbage(one);
    place.garbage(two);
    let third = place.garbage(three);
    let after = place.send(four, good(four), HeaderList::new());
    assert_eq!((place.blown_at(), place.at(four), place.letters()), (Some(third), None, 2));
    // Not for this stage, and not far enough.
    let through_offset = third.unsigned_abs();
    place.word("another", &Scope::FuseRelease { through_offset });
    place.word(S::NAME, &Scope::FuseRelease { through_offset: through_offset - 1 });
    assert_eq!(place.blown_at(), Some(third));
    place.word(S::NAME, &Scope::FuseRelease { through_offset });
    assert_eq!((place.blown_at(), place.letters()), (None, 3));
    assert_eq!(place.at(four), Some((after, None)), "what waited behind the fuse is applied");

    let parked = place.send(one, good(one), HeaderList::new());
    assert_eq!(place.at(one), Some((parked, Some(parked))), "it follows its dead letter");
    let end = |through: i64| Scope::EndDiversionOf {
        key: one.into(),
        through_offset: through.unsigned_abs(),
    };
    place.word(S::NAME, &end(first));
    place.word("another", &end(parked));
    assert_eq!(place.at(one), Some((parked, Some(parked))), "only what was dealt with ends");
    let ended = place.word(S::NAME, &end(parked));
    assert_eq!(place.at(one), Some((ended, None)));
    let nobody = Scope::EndDiversionOf { key: "nobody/EUR".into(), through_offset: 1 };
    place.word(S::NAME, &nobody);
    assert_eq!(place.at("nobody/EUR"), None, "a wrong name makes no row");
    let last = place.send(one, good(one), HeaderList::new());
    assert_eq!((place.at(one), place.letters()), (Some((last, None)), 4));

    let rows = |place: &Place<S, C>| keys.map(|key| place.at(key));
    let before = rows(&place);
    let place = place.take_over();
    assert_eq!((rows(&place), place.blown_at()), (before, None), "after a takeover");
}

/// Goal: a blown fuse is released and a diversion ended in the stages whose input has no record for
/// it, by a word that only the named stage hears; a takeover agrees. Method: both stages live in
/// memory, with words for others and words that do not reach far enough between.
#[test]
fn settlement_hears_its_operator() {
    let posting = || PostingCodec::new(1, Sizes::default(), RegistryIds::default(), "");
    goes_on::<Posting, _>(posting, ["acc-1", "acc-2", "acc-3", "acc-4"], |key| {
        let payment_id = "p1".into();
        let event = AccountEvent {
            account_id: key.into(),
            message_id: None,
            log_time: LogTime(1),
            balances: None,
            body: Event::OriginalNotFound(OriginalNotFound { payment_id }),
        };
        let mut value = Vec::new();
        Avro::of(Subject::Events).encode(&event, &mut value);
        value
    });
    let windows = || WindowsCodec::new(1, Sizes::default(), RegistryIds::default(), "");
    goes_on::<WindowsStage, _>(windows, ["a/EUR", "b/EUR", "c/EUR", "d/EUR"], |key| {
        let (network, currency) = key.split_once('/').expect("network and currency");
        let currency = Currency::parse(currency).expect("three letters");
        let body = SettlementInput::Resolve(ResolveException {
            exception_id: "nothing".into(),
            at: LogTime(1),
            kind: ResolutionKind::WriteOff,
            legs: Vec::new(),
            by: "".into(),
            text: "".into(),
        });
        let mut value = Vec::new();
        let record = SettlementRecord { network: network.into(), currency, body };
        Avro::of(Subject::Parts).encode(&record, &mut value);
        value
    });
}
