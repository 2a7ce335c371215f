//! The second simulated stage: windows, read from what the parts of the first one said.
//!
//! A re-keyed stage without ticks: its records come from every partition of the first stage, each
//! with repeats, and are told apart by their source alone. It keeps, for each key, how far each
//! partition has sealed, and closes a cycle when all have. A part that comes out of order halts.

use super::part::PartRecord;
use super::simulated::{Audited, Simulated};
use super::stage::framed;
use crate::codec::dead_letter::{self, Letter, Origin};
use crate::codec::{DecodeError, StageCodec, avro::FRAME_BYTES, raw::RawRecord, snapshot::Row};
use crate::domain::command::Tick;
use crate::domain::{payment::ItemId, rules::Rules, time::LogTime};
use crate::stages::{
    AnswerOf, Cause, Context, Outgoing, Refused, RowOf, Scope, Stage, TickOf, Topic, Transition,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub struct SimWindows;

const CLOSED: Topic = Topic("windows");

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Partition -> last cycle sealed.
    sealed: BTreeMap<i32, i64>,
    closed: i64,
    items: i64,
    sum_minor: i64,
}

/// A decision: the cycle that all partitions have sealed by now, and the sums so far.
#[derive(Clone, Debug, Serialize)]
pub struct Closed {
    cycle: i64,
    items: i64,
    sum_minor: i64,
}

impl Stage for SimWindows {
    const NAME: &'static str = "windows";
    const INPUT: Topic = Topic("parts");
    const OUTPUTS: &'static [Topic] = &[CLOSED];
    const LOGIC_VERSIONS: &'static [i32] = &[1];
    const TICKS: bool = false;
    const READ_ROW: Option<RowOf<Closed>> = None;
    const PASS_ON: Option<TickOf<Closed>> = None;
    const DIVERTED: Option<AnswerOf<Self>> = None;

    type Input = PartRecord;
    type Output = Closed;
    type Rules = Rules;
    type Head = Window;
    type Change = Window;
    type ItemId = ItemId;
    type Item = ();

    fn scope(_: &PartRecord) -> Scope {
        Scope::Key
    }

    fn items_named(_: &Context<Rules>, _: &Window, _: &PartRecord) -> Vec<ItemId> {
        Vec::new()
    }

    fn recall(_: &mut Window, _: ItemId, (): ()) {}

    fn deadline(_: &str, _: &Window, _: &Rules) -> Option<LogTime> {
        None
    }

    fn step(
        context: &Context<Rules>,
        _: &str,
        head: &Window,
        cause: Cause<PartRecord>,
    ) -> Result<Transition<Window, Closed>, Refused> {
        let Cause::Record(part) = cause else { return Err(Refused::Halt { code: "due" }) };
        if context.log_time != LogTime::ZERO {
            return Err(Refused::Halt { code: "clock" });
        }
        let mut next = head.clone();
        let last = next.sealed.insert(part.partition, part.cycle).unwrap_or(0);
        if last >= part.cycle {
            return Err(Refused::Halt { code: "part_again" });
        }
        next.items += part.items;
        next.sum_minor += part.sum_minor;
        let mut effects = Vec::new();
        if next.sealed.len() as i32 == part.partitions {
            let through = next.sealed.values().min().copied().unwrap_or(0);
            for cycle in next.closed.max(through - 3) + 1..=through {
                let body = Closed { cycle, items: next.items, sum_minor: next.sum_minor };
                effects.push(Outgoing { topic: CLOSED, key: None, body });
            }
            next.closed = next.closed.max(through);
        }
        Ok(Transition { change: Some(next), effects })
    }

    fn apply(head: &mut Window, change: Window) -> Vec<(ItemId, ())> {
        *head = change;
        Vec::new()
    }
}

impl Simulated for SimWindows {
    type Codec = WindowsCodec;

    fn codec(_: i32) -> WindowsCodec {
        WindowsCodec
    }

    fn topic_number(_: Topic) -> usize {
        0
    }

    fn audit(
        events: &[&[RawRecord]],
        _: &BTreeSet<String>,
    ) -> Result<Audited, (&'static str, String)> {
        let events = events.iter().map(|partition| partition.len() as u64).sum();
        Ok(Audited { events, expired: 0 })
    }

    fn told(value: Option<&[u8]>) -> String {
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    }
}

pub struct WindowsCodec;

#[derive(Serialize, Deserialize)]
struct Stored {
    pos: i64,
    seen: Vec<crate::codec::snapshot::Seen>,
    seq: i64,
    chain: [u8; 8],
    diverted_through: Option<i64>,
    poisoned_at: Option<i64>,
    state: Window,
}

impl StageCodec<SimWindows> for WindowsCodec {
    fn decode(&self, record: &RawRecord) -> Result<PartRecord, DecodeError> {
        let value = record.value.as_deref().unwrap_or_default();
        let json = value.get(FRAME_BYTES..).unwrap_or_default();
        serde_json::from_slice(json).map_err(|_| DecodeError::poison("undecodable_value"))
    }
    fn divertible_key<'r>(&self, record: &'r RawRecord) -> Option<&'r str> {
        record.key_text()
    }
    fn dead_letter(&self, origin: &Origin<'_>) -> Letter {
        dead_letter::letter(origin, "")
    }
    fn encode_output(&self, output: &Closed, value: &mut Vec<u8>) {
        framed(output, value);
    }
    fn ce_type(&self, _: &Closed) -> &'static str {
        "closed"
    }
    fn encode_row(&self, row: &Row<Window>, row_bytes: &mut Vec<u8>) {
        let Row { pos, seen, seq, chain, diverted_through, poisoned_at, state } = row.clone();
        let chain = chain.0;
        let stored = Stored { pos, seen, seq, chain, diverted_through, poisoned_at, state };
        row_bytes.extend(serde_json::to_vec(&stored).expect("a row is JSON"));
    }
    fn decode_row(&self, row_bytes: &[u8]) -> Result<Row<Window>, DecodeError> {
        let stored: Stored = serde_json::from_slice(row_bytes).expect("a row of ours");
        let Stored { pos, seen, seq, chain, diverted_through, poisoned_at, state } = stored;
        let chain = crate::codec::frame::Chain(chain);
        Ok(Row { pos, seen, seq, chain, diverted_through, poisoned_at, state })
    }
    fn encode_side(&self, (): &(), _: &mut Vec<u8>) {}
    fn decode_side(&self, _: &[u8]) -> Result<(), DecodeError> {
        Ok(())
    }
}
