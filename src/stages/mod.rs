//! The contract of a stage: a pure function folded over one ordered topic.
//!
//! `(context, head of one key, record) -> (change, effects)`. A stage decides and never acts: no
//! clock, no random numbers, no I/O, no iteration over a hash map. The live worker, a replay, the
//! simulation and every test call the same `step`, so the same log prefix gives the same bytes.
//!
//! The runtime owns everything around it: which records a key has already seen, when state is
//! written, how effects are numbered. Time and rules come from the log: the context of a record is
//! the latest fresh tick at or before it.

#![deny(
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm
)]

pub mod authorisation;
pub mod feed;
pub mod push;
pub mod settlement;

use crate::domain::{command::Tick, money::Currency, time::LogTime};

/// A topic's name without the prefix of the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic(pub &'static str);

/// What holds at a record: the latest fresh tick, whole, and where the record stands. Before the
/// first tick, and for ever in a stage without ticks: time 0 and the first versions.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a, R> {
    pub log_time: LogTime,
    pub rules: &'a R,
    pub logic_version: i32,
    /// Of the input topic.
    pub partition: i32,
    pub partitions: i32,
    /// Of the record; of the tick where a deadline has come.
    pub offset: i64,
}

impl<'a, R> Context<'a, R> {
    /// Where nothing but the time and the rules matters: one partition, the first logic.
    pub fn of(log_time: LogTime, rules: &'a R) -> Self {
        Self { log_time, rules, logic_version: 1, partition: 0, partitions: 1, offset: 0 }
    }
}

/// Whom a record concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The record's own key.
    Key,
    /// The record's own key, then this other key of the same partition. Each decides for itself
    /// whether it has seen the record. The other key cannot refuse it: it is stepped also where the
    /// record goes to the dead letters because of its own key.
    KeyAnd(Box<str>),
    /// Nobody: the first record of a topic that has no ticks.
    Nothing,
    /// The whole partition: the context, then every key whose deadline has come, in key order.
    Tick(Tick),
    /// The partition's fuse: dead letters up to and with this offset may pass.
    FuseRelease { through_offset: u64 },
    /// The record's own key: what was parked up to and with this offset is dealt with.
    EndDiversion { through_offset: u64 },
    /// The same for a key that is not the record's own: an operator's word on a record of the
    /// partition, in a topic whose records are all of another stage.
    EndDiversionOf { key: Box<str>, through_offset: u64 },
}

/// Why a key is stepped.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a, I> {
    Record(&'a I),
    /// A tick brought the key's deadline.
    Due,
}

/// One record to publish. `key` absent: the record's own key, to the partition it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing<O> {
    pub topic: Topic,
    pub key: Option<Box<str>>,
    pub body: O,
}

/// What a step wants: the change of the head (absent: untouched) and the records to publish, in
/// order. The runtime numbers them.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition<C, O> {
    pub change: Option<C>,
    pub effects: Vec<Outgoing<O>>,
}

/// What kind of money a head adds to the sums of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flow {
    /// Booked on accounts: by authorisation, and by posting. Their difference is not posted yet.
    Booked,
    /// Net that events have moved towards networks.
    Cleared,
    /// Net of sealed parts that is no longer owed: paid, or moved to suspense.
    Settled,
    /// The open exceptions, with their sign.
    Suspense,
    /// The same without sign by age: less than a day, less than three, older.
    SuspenseFresh,
    SuspenseDay,
    SuspenseLate,
    /// Windows that closed and are not settled, without sign, by the age of their cut-off.
    OwedFresh,
    OwedDay,
    OwedLate,
    /// Of these, windows that are broken.
    OwedBroken,
}

impl Flow {
    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Flow::Booked => "booked",
            Flow::Cleared => "cleared",
            Flow::Settled => "settled",
            Flow::Suspense => "suspense",
            Flow::SuspenseFresh => "suspense_fresh",
            Flow::SuspenseDay => "suspense_day",
            Flow::SuspenseLate => "suspense_late",
            Flow::OwedFresh => "owed_fresh",
            Flow::OwedDay => "owed_day",
            Flow::OwedLate => "owed_late",
            Flow::OwedBroken => "owed_broken",
        }
    }
}

/// A row of a read model that an output also is: the newest version of it, under a key of its own
/// that a reader asks by. Written with the seal, before the heads; its bytes are the output's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadRow {
    /// Cuts the rows of a bucket into partitions of the store, such as a month.
    pub period: i32,
    pub key: Box<str>,
    /// Rows of a key are read by it, highest first.
    pub order: i64,
    pub item: Box<str>,
}

/// Which row an output is, if it is one.
pub type RowOf<O> = fn(&O) -> Option<ReadRow>;

/// A tick as an output `O`.
pub type TickOf<O> = fn(Tick) -> Outgoing<O>;

/// What is answered to a diverted record of the key with that head; `None` where nobody waits.
pub type AnswerOf<S> = fn(
    &Context<<S as Stage>::Rules>,
    &str,
    &<S as Stage>::Head,
    &<S as Stage>::Input,
) -> Option<Outgoing<<S as Stage>::Output>>;

/// A record that can never be applied: dead-lettered as raw bytes, the state untouched. The code
/// is stable and known to operators (docs/runbooks).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poison {
    pub code: &'static str,
}

/// Why a step gives no transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The record contradicts itself. Only the record's own key may say so.
    Poison(Poison),
    /// The record is right by itself and does not fit what is known: an invariant is broken. The
    /// partition stops before the record and says so; nothing is corrected in silence.
    Halt { code: &'static str },
}

impl Refused {
    /// Stable, and known to operators.
    pub fn code(self) -> &'static str {
        match self {
            Refused::Poison(poison) => poison.code,
            Refused::Halt { code } => code,
        }
    }
}

impl From<Poison> for Refused {
    fn from(poison: Poison) -> Self {
        Refused::Poison(poison)
    }
}

pub trait Stage: Send + Sync + 'static {
    const NAME: &'static str;
    const INPUT: Topic;
    /// Publishing anywhere else is a programming error and stops the worker.
    const OUTPUTS: &'static [Topic];
    /// Logic versions this build can decide with, ascending; the first is active before any tick.
    const LOGIC_VERSIONS: &'static [i32];
    /// Ticks stand in the input. Without them a stage starts anywhere, commits all that is durable,
    /// and its context never changes.
    const TICKS: bool = true;
    /// The row of the stage's read model that an output also is, if it is one, kept in the table
    /// `<stage>_item`; `None`: the stage has no read model, and no table is opened for it. Without a
    /// default, so that a new stage cannot forget it.
    const READ_ROW: Option<RowOf<Self::Output>>;
    /// The tick as it is passed on to readers that keep the same clock; `None`: this stage's
    /// readers have no ticks.
    const PASS_ON: Option<TickOf<Self::Output>>;
    /// The answer to a record that waits for one while its key is diverted to the dead letters;
    /// `None`: nobody waits for an answer to any record of the input.
    const DIVERTED: Option<AnswerOf<Self>>;

    type Input: Send;
    type Output: Send;
    type Rules: Send + Sync;
    /// The state of a key, always in memory, checkpointed in its bucket.
    /// Cloned only where an item comes back from its side row, which is rare.
    type Head: Clone + Default + Send;
    /// The difference between a head and the next; small, so that nothing is cloned to decide.
    type Change: Send;
    /// Names one thing under a key that can leave the head, such as a closed payment.
    type ItemId: Ord + Clone + Send + AsRef<str>;
    type Item: Clone + Send;

    fn scope(input: &Self::Input) -> Scope;

    /// Items of the record's own key that it names and the head does not have, though they may
    /// exist as side rows. Empty for nearly every record: each costs a read.
    fn items_named(
        context: &Context<Self::Rules>,
        head: &Self::Head,
        input: &Self::Input,
    ) -> Vec<Self::ItemId>;

    /// Puts an item that was read back into the head, before the step that named it.
    fn recall(head: &mut Self::Head, id: Self::ItemId, item: Self::Item);

    /// When the key must be stepped by a tick at the latest; `None`: never.
    fn deadline(key: &str, head: &Self::Head, rules: &Self::Rules) -> Option<LogTime>;

    /// Keys that exist in every partition from the start, with a head that is the default until
    /// something changes it. They have no row before that.
    fn standing_keys(_rules: &Self::Rules) -> Vec<Box<str>> {
        Vec::new()
    }

    /// Decides for one key. Total but for what `Refused` says; a due step is never poison.
    fn step(
        context: &Context<Self::Rules>,
        key: &str,
        head: &Self::Head,
        cause: Cause<Self::Input>,
    ) -> Result<Transition<Self::Change, Self::Output>, Refused>;

    /// Applies a change; returns the items that leave the head with it.
    fn apply(head: &mut Self::Head, change: Self::Change) -> Vec<(Self::ItemId, Self::Item)>;

    /// What the head adds to the running sums of its partition: minor units, by flow and currency.
    /// A function of key and head alone, so the sums are those of the log, whoever counts them.
    fn money(_key: &str, _head: &Self::Head, _add: &mut impl FnMut(Flow, Currency, i64)) {}
}
