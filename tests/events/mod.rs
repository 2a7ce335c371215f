//! Authorisation's events as the stages after it read them: feed and posting.
//!
//! Owns what the tests of both need: ticks and events, whole and as records; the place where such a
//! stage stands; what its codec takes and refuses; heads through bytes; the events of a random
//! history. Knows no stage but authorisation.

use crate::{
    moves::{KEY, Move},
    player::Player,
};
use tapline::{
    codec::{
        DecodeError, StageCodec, avro::Avro, dead_letter::TimestampType, headers::HeaderList,
        partitioner::partition_of, raw::RawRecord, schemas::Subject, snapshot::Row,
    },
    domain::{
        command::{PARTITION_KEY, Tick},
        event::{AccountEvent, Event, OriginalNotFound},
        rules::Rules,
        time::LogTime,
    },
    stages::{Context, Poison, Stage, authorisation::Output},
};

pub const PARTITION: i32 = 2;
pub const PARTITIONS: i32 = 3;

/// What holds at a record of the partition.
pub fn context(clock: LogTime, rules: &Rules, offset: i64) -> Context<'_, Rules> {
    let (partition, partitions) = (PARTITION, PARTITIONS);
    Context { partition, partitions, offset, ..Context::of(clock, rules) }
}

pub fn tick_event(time: LogTime) -> AccountEvent {
    let tick = Tick { time, rules_version: 1, logic_version: 1 };
    AccountEvent {
        account_id: PARTITION_KEY.into(),
        message_id: None,
        log_time: time,
        balances: None,
        body: Event::Tick(tick),
    }
}

/// An event that moves nothing.
pub fn plain_event(account: &str) -> AccountEvent {
    AccountEvent {
        account_id: account.into(),
        message_id: None,
        log_time: LogTime(1),
        balances: None,
        body: Event::OriginalNotFound(OriginalNotFound { payment_id: "p1".into() }),
    }
}

/// The events among what was published, in order.
pub fn events(outputs: &[Output]) -> impl Iterator<Item = &AccountEvent> {
    outputs.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event),
        Output::Command(_) => None,
    })
}

/// A record where its key belongs.
pub fn raw(key: &str, value: Vec<u8>) -> RawRecord {
    RawRecord {
        partition: partition_of(key.as_bytes(), PARTITIONS),
        offset: 7,
        timestamp_ms: 1,
        timestamp_type: TimestampType::LogAppendTime,
        key: Some(key.as_bytes().to_vec()),
        value: Some(value),
        headers: HeaderList::default(),
    }
}

pub fn event_record(key: &str, event: &AccountEvent) -> RawRecord {
    let mut value = Vec::new();
    Avro::of(Subject::Events).encode(event, &mut value);
    raw(key, value)
}

pub fn poison<T>(code: &'static str) -> Result<T, DecodeError> {
    Err(DecodeError::Poison(Poison { code }))
}

/// An event is taken only where it belongs: a good record, and it with one thing changed.
pub fn check_what_is_taken<S: Stage<Input = AccountEvent>>(codec: &impl StageCodec<S>) {
    let good = event_record("acc-1", &plain_event("acc-1"));
    assert_eq!(codec.decode(&good), Ok(plain_event("acc-1")));
    assert_eq!(codec.divertible_key(&good), Some("acc-1"));
    let tick = event_record(PARTITION_KEY, &tick_event(LogTime(5)));
    assert_eq!(codec.decode(&tick), Ok(tick_event(LogTime(5))));
    assert_eq!(codec.divertible_key(&tick), None);
    let elsewhere = RawRecord { partition: (good.partition + 1) % PARTITIONS, ..good.clone() };
    assert_eq!(codec.decode(&elsewhere), poison("wrong_partition"));
    assert_eq!(codec.decode(&event_record("acc-1", &plain_event("acc-2"))), poison("wrong_key"));
    let tick_elsewhere = event_record("acc-1", &tick_event(LogTime(5)));
    assert_eq!(codec.decode(&tick_elsewhere), poison("wrong_key"));
    let mut value = good.value.clone().expect("a value");
    value[3] ^= 1;
    let newer = RawRecord { value: Some(value), ..good };
    assert!(matches!(codec.decode(&newer), Err(DecodeError::UnknownSchema(_))));
}

/// Written to checkpoint bytes and read again.
pub fn reloaded<S: Stage>(codec: &impl StageCodec<S>, head: &S::Head) -> S::Head {
    let row = Row { state: head.clone(), ..Row::default() };
    let mut bytes = Vec::new();
    codec.encode_row(&row, &mut bytes);
    let read = codec.decode_row(&bytes).expect("our own row");
    let mut again = Vec::new();
    codec.encode_row(&read, &mut again);
    assert_eq!(bytes, again, "the same row, other bytes");
    read.state
}

/// A random history as it leaves authorisation, move by move.
#[derive(Default)]
pub struct Upstream {
    player: Player,
    moves: usize,
    read: usize,
}

impl Upstream {
    /// What a move brings: a tick, but in the first moves, and its events.
    pub fn play(&mut self, one: &Move) -> Result<Vec<AccountEvent>, String> {
        self.player.play(one)?;
        // The first records come before the first tick.
        let tick = (self.moves > 5).then(|| tick_event(self.player.clock));
        let fresh = events(&self.player.outputs[self.read..]);
        let fresh = fresh.inspect(|event| assert_eq!(event.account_id.as_str(), KEY)).cloned();
        let records = tick.into_iter().chain(fresh).collect();
        (self.moves, self.read) = (self.moves + 1, self.player.outputs.len());
        Ok(records)
    }
}
