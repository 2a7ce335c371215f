//! The judge: a plain fold of one input partition, from offset 0, one record after the other.
//!
//! Owns what must be: every row at every position, every output in order, every fresh tick. Shares
//! the pure step and the bytes (codec) with the runtime and none of its bookkeeping. The checks
//! compare what the twins hold with that, at every write, every publish and every commit.

use super::simulated::Simulated;
use super::world::INCARNATION;
use crate::codec::dead_letter::{self, Letter};
use crate::codec::frame::{self, OutputId, Provenance, SourcePos};
use crate::codec::headers::{self, HeaderList};
use crate::codec::snapshot::{Row, Seen};
use crate::codec::{DecodeError, StageCodec, partitioner::partition_of, raw::RawRecord};
use crate::domain::command::{PARTITION_KEY, Tick};
use crate::domain::{rules::Rules, time::LogTime};
use crate::stages::{Cause, Context, Outgoing, Poison, ReadRow, Refused, Scope, Transition};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Where an output goes: topic (`world::TOPICS`) and partition.
pub type Target = (usize, i32);

/// One output that the log must hold, in order.
pub struct Expected {
    pub offset: i64,
    pub target: Target,
    /// Place among the outputs of this partition to that target.
    pub place: usize,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: HeaderList,
    pub present: bool,
}

pub struct Judge<S: Simulated> {
    partition: i32,
    partitions: i32,
    codec: S::Codec,
    rules: Vec<Rules>,
    context: Tick,
    heads: BTreeMap<String, Row<S::Head>>,
    /// Newest version of what left a head.
    sides: BTreeMap<(String, Box<str>), S::Item>,
    /// Everything below is folded.
    pub next: i64,
    pub expected: Vec<Expected>,
    pub by_id: HashMap<String, usize>,
    pub fresh_ticks: Vec<i64>,
    /// (key, position) -> row; (key and item, position) -> version
    pub rows: HashMap<(String, i64), Vec<u8>>,
    /// Positions of each key's row, ascending.
    pub touched: BTreeMap<String, Vec<i64>>,
    /// Side versions by key: (position, item, bytes).
    pub left: BTreeMap<String, Vec<(i64, Box<str>, Vec<u8>)>>,
    /// Rows of the read model by the key whose outputs they are: (position, row, bytes).
    pub reads: BTreeMap<String, Vec<(i64, ReadRow, Vec<u8>)>>,
    places: BTreeMap<Target, usize>,
    /// First output that is not in the log.
    missing: usize,
    /// Items read back from their side rows; for the count of what a run saw.
    pub recalled: u64,
    pub letters: u64,
}

impl<S: Simulated> Judge<S> {
    pub fn new(partition: i32, partitions: i32, rules: Vec<Rules>) -> Self {
        Self {
            partition,
            partitions,
            codec: S::codec(partitions),
            rules,
            context: Tick { time: LogTime::ZERO, rules_version: 1, logic_version: 1 },
            heads: BTreeMap::new(),
            sides: BTreeMap::new(),
            next: 0,
            expected: Vec::new(),
            by_id: HashMap::new(),
            fresh_ticks: Vec::new(),
            rows: HashMap::new(),
            touched: BTreeMap::new(),
            left: BTreeMap::new(),
            reads: BTreeMap::new(),
            places: BTreeMap::new(),
            missing: 0,
            recalled: 0,
            letters: 0,
        }
    }

    pub fn codec(&self) -> &S::Codec {
        &self.codec
    }

    /// Everything at or below has all its outputs in the log.
    pub fn complete_through(&mut self) -> i64 {
        while self.expected.get(self.missing).is_some_and(|output| output.present) {
            self.missing += 1;
        }
        self.expected.get(self.missing).map_or(self.next - 1, |output| output.offset - 1)
    }

    /// The newest fresh tick.
    pub fn context(&self) -> Tick {
        self.context
    }

    pub fn is_diverted(&self, key: &str) -> bool {
        self.heads.get(key).is_some_and(|row| row.diverted_through.is_some())
    }

    /// Folds one more record.
    pub fn fold(&mut self, raw: &RawRecord) {
        self.next = raw.offset + 1;
        match self.codec.decode(raw) {
            Ok(command) => match S::scope(&command) {
                Scope::Tick(tick) => self.tick(raw, tick),
                Scope::Key => self.keyed(raw, &command),
                Scope::KeyAnd(other) => {
                    self.keyed(raw, &command);
                    self.beside(&other, raw, &command);
                }
                Scope::EndDiversion { through_offset } => self.end_diversion(raw, through_offset),
                Scope::FuseRelease { .. } | Scope::EndDiversionOf { .. } | Scope::Nothing => {}
            },
            Err(DecodeError::Poison(poison)) => match self.codec.divertible_key(raw) {
                Some(key) if self.own_is_seen(key, raw) => {}
                Some(key) if self.is_diverted(key) && !raw.is_redriven() => {
                    // A card number must not reach the dead letters either way.
                    let why = if poison.code == "pan_in_clear" { poison } else { DIVERTED };
                    self.park(&key.to_owned(), raw, why, None);
                }
                Some(key) => self.divert(&key.to_owned(), raw, poison),
                None => self.letter(raw, poison),
            },
            Err(DecodeError::UnknownSchema(schema)) => panic!("unknown schema {schema}"),
        }
    }

    fn tick(&mut self, raw: &RawRecord, tick: Tick) {
        let now = self.context;
        let lower =
            tick.rules_version < now.rules_version || tick.logic_version < now.logic_version;
        if tick.time <= now.time || lower {
            return;
        }
        self.context = tick;
        self.fresh_ticks.push(raw.offset);
        if let Some(passed_on) = S::PASS_ON.map(|pass_on| pass_on(tick)) {
            self.output(raw, Some(""), 0, passed_on, None);
        }
        let rules = self.rules[tick.rules_version as usize - 1].clone();
        let mut keys: BTreeSet<String> = self.heads.keys().cloned().collect();
        keys.extend(S::standing_keys(&rules).into_iter().map(String::from));
        for key in keys {
            let context = self.context_at(&rules, raw.offset);
            let row = self.heads.entry(key.clone()).or_default();
            let deadline = S::deadline(&key, &row.state, &rules);
            if row.diverted_through.is_some() || deadline.is_none_or(|time| time > tick.time) {
                continue;
            }
            let transition = S::step(&context, &key, &row.state, Cause::Due)
                .expect("time alone is never a contradiction");
            if transition.change.is_some() || !transition.effects.is_empty() {
                self.take(&key, raw, None, transition, (Some(&key.clone()), 0));
            }
        }
    }

    fn keyed(&mut self, raw: &RawRecord, command: &S::Input) {
        let key = raw.key_text().unwrap_or_default().to_owned();
        if self.own_is_seen(&key, raw) {
            return;
        }
        let rules = self.rules[self.context.rules_version as usize - 1].clone();
        let context = self.context_at(&rules, raw.offset);
        let row = self.heads.entry(key.clone()).or_default();
        if row.diverted_through.is_some() && !raw.is_redriven() {
            let state = &row.state;
            let answer = S::DIVERTED.and_then(|answer| answer(&context, &key, state, command));
            return self.park(&key, raw, DIVERTED, answer);
        }
        // What is put back may name another item, until nothing named can be found.
        let mut head = row.state.clone();
        loop {
            let found: Vec<_> = S::items_named(&context, &head, command)
                .into_iter()
                .filter_map(|id| {
                    let version = self.sides.get(&(key.clone(), id.as_ref().into()))?;
                    Some((id, version.clone()))
                })
                .collect();
            if found.is_empty() {
                break;
            }
            self.recalled += found.len() as u64;
            for (id, version) in found {
                S::recall(&mut head, id, version);
            }
        }
        match S::step(&context, &key, &head, Cause::Record(command)) {
            Ok(transition) => {
                row.state = head;
                self.take(&key, raw, own_source(raw), transition, (None, 0));
            }
            Err(Refused::Poison(poison)) => self.divert(&key, raw, poison),
            Err(Refused::Halt { code }) => panic!("{code}"),
        }
    }

    fn end_diversion(&mut self, raw: &RawRecord, through_offset: u64) {
        let key = raw.key_text().unwrap_or_default().to_owned();
        if self.own_is_seen(&key, raw) {
            return;
        }
        let row = self.heads.entry(key.clone()).or_default();
        row.diverted_through = row.diverted_through.filter(|at| *at > through_offset as i64);
        let nothing = Transition { change: None, effects: Vec::new() };
        self.take(&key, raw, own_source(raw), nothing, (None, 0));
    }

    fn divert(&mut self, key: &str, raw: &RawRecord, poison: Poison) {
        self.heads.entry(key.to_owned()).or_default().poisoned_at = Some(raw.offset);
        self.park(key, raw, poison, None);
    }

    /// A record of the key goes to the dead letters, and what follows goes with it.
    fn park(
        &mut self,
        key: &str,
        raw: &RawRecord,
        why: Poison,
        answer: Option<Outgoing<S::Output>>,
    ) {
        self.heads.entry(key.to_owned()).or_default().diverted_through = Some(raw.offset);
        self.letter(raw, why);
        let transition = Transition { change: None, effects: answer.into_iter().collect() };
        self.take(key, raw, own_source(raw), transition, (None, 1));
    }

    fn letter(&mut self, raw: &RawRecord, poison: Poison) {
        let (stage, input) = (S::NAME, S::INPUT);
        let origin = dead_letter::Origin { raw, stage, input, poison };
        let Letter { key, value, headers } = self.codec.dead_letter(&origin);
        self.letters += 1;
        let id = letter_id(&headers);
        self.expect(raw.offset, (2, self.partition), id, (key, value, headers));
    }

    /// The other key of a record: in its own state, whatever became of the record's own key.
    fn beside(&mut self, other: &str, raw: &RawRecord, command: &S::Input) {
        if raw.key_text() == Some(other) || self.is_seen(other, raw) {
            return;
        }
        let rules = self.rules[self.context.rules_version as usize - 1].clone();
        let context = self.context_at(&rules, raw.offset);
        let row = self.heads.entry(other.to_owned()).or_default();
        match S::step(&context, other, &row.state, Cause::Record(command)) {
            Ok(transition) => {
                self.take(other, raw, raw.source(), transition, (Some(other), 0));
            }
            Err(refused) => panic!("{}", refused.code()),
        }
    }

    fn context_at<'r>(&self, rules: &'r Rules, offset: i64) -> Context<'r, Rules> {
        let log_time = if S::TICKS { self.context.time } else { LogTime::ZERO };
        let (partition, partitions) = (self.partition, self.partitions);
        Context { log_time, rules, logic_version: 1, partition, partitions, offset }
    }

    /// A record that was sent again is new to its own key, which has seen it as a dead letter.
    fn own_is_seen(&self, key: &str, raw: &RawRecord) -> bool {
        !raw.is_redriven() && self.is_seen(key, raw)
    }

    fn is_seen(&self, key: &str, raw: &RawRecord) -> bool {
        let (Some(row), Some(id)) = (self.heads.get(key), raw.source()) else { return false };
        let of = |seen: &&Seen| {
            (seen.incarnation, seen.partition) == (id.source.incarnation, id.source.partition)
        };
        row.seen.iter().find(of).is_some_and(|seen| {
            let key = id.key.as_deref().unwrap_or("");
            (seen.offset, seen.key.as_ref(), seen.index) >= (id.source.offset, key, id.index)
        })
    }

    /// Makes a transition part of the key's row and notes row, side rows and outputs.
    fn take(
        &mut self,
        key: &str,
        raw: &RawRecord,
        source: Option<OutputId>,
        transition: Transition<S::Change, S::Output>,
        (id_key, first_index): (Option<&str>, i32),
    ) {
        let row = self.heads.entry(key.to_owned()).or_default();
        row.pos = raw.offset;
        if let Some(id) = source {
            row.seen.retain(|seen| {
                (seen.incarnation, seen.partition) != (id.source.incarnation, id.source.partition)
            });
            row.seen.push(Seen {
                incarnation: id.source.incarnation,
                partition: id.source.partition,
                offset: id.source.offset,
                key: id.key.unwrap_or_default(),
                index: id.index,
            });
            row.seen.sort_by_key(|seen| (seen.incarnation, seen.partition));
        }
        if let Some(change) = transition.change {
            for (id, item) in S::apply(&mut row.state, change) {
                let mut bytes = Vec::new();
                self.codec.encode_side(&item, &mut bytes);
                let id: Box<str> = id.as_ref().into();
                let versions = self.left.entry(key.to_owned()).or_default();
                versions.push((raw.offset, id.clone(), bytes));
                self.sides.insert((key.to_owned(), id), item);
            }
        }
        for (index, effect) in (first_index..).zip(transition.effects) {
            self.output(raw, id_key, index, effect, Some(key));
        }
        let mut bytes = Vec::new();
        self.codec.encode_row(&self.heads[key], &mut bytes);
        self.rows.insert((key.to_owned(), raw.offset), bytes);
        self.touched.entry(key.to_owned()).or_default().push(raw.offset);
    }

    fn output(
        &mut self,
        raw: &RawRecord,
        id_key: Option<&str>,
        index: i32,
        effect: Outgoing<S::Output>,
        name: Option<&str>,
    ) {
        let mut value = Vec::new();
        self.codec.encode_output(&effect.body, &mut value);
        let row = S::READ_ROW.and_then(|row| row(&effect.body));
        if let (Some(row), Some(name)) = (row, name) {
            let rows = self.reads.entry(name.to_owned()).or_default();
            rows.push((raw.offset, row, value.clone()));
        }
        let topic = S::topic_number(effect.topic);
        let (partition, key, link) = match (effect.key.as_deref(), name) {
            (Some(other), _) => (partition_of(other.as_bytes(), self.partitions), other, None),
            (None, Some(name)) => {
                let row = self.heads.entry(name.to_owned()).or_default();
                row.seq += 1;
                row.chain = frame::chain(&row.chain, &value);
                (self.partition, name, Some((row.seq, row.chain)))
            }
            (None, None) => (self.partition, PARTITION_KEY, None),
        };
        let source =
            SourcePos { incarnation: INCARNATION, partition: self.partition, offset: raw.offset };
        let id = OutputId { source, key: id_key.map(Box::from), index };
        let time = if S::TICKS { self.context.time } else { LogTime(raw.timestamp_ms) };
        let headers = headers::headers(&Provenance {
            id: &id,
            stage: S::NAME,
            ce_type: self.codec.ce_type(&effect.body),
            ce_time: &headers::ce_time(time),
            link,
            cause: raw,
        });
        let record = (Some(key.as_bytes().to_vec()), Some(value), headers);
        self.expect(raw.offset, (topic, partition), id.to_string(), record);
    }

    fn expect(&mut self, offset: i64, target: Target, id: String, record: super::script::Record) {
        let place = self.places.entry(target).or_default();
        self.by_id.insert(id, self.expected.len());
        let (key, value, headers) = record;
        let place = std::mem::replace(place, *place + 1);
        let present = false;
        self.expected.push(Expected { offset, target, place, key, value, headers, present });
    }
}

/// The identity of a dead letter: where its record stood.
pub fn letter_id(headers: &HeaderList) -> String {
    format!("letter:{:?}", (headers.get(dead_letter::PARTITION), headers.get(dead_letter::OFFSET)))
}

fn own_source(raw: &RawRecord) -> Option<OutputId> {
    raw.source().filter(|_| !raw.is_redriven())
}

const DIVERTED: Poison = Poison { code: "diverted" };
