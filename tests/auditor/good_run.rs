//! A good run: commands of every kind folded by the real stage and codec, as a folder of evidence.
//!
//! Owns a plain single-threaded fold with the same numbering, headers and rows as the runtime, and
//! the script of what is sent. Some events stand twice, as after a takeover. Everything follows
//! from one seed, so the evidence is the same in every run.

pub use super::rec::{Pairs, Rec};
use super::rec::{pairs, record_of};
use std::collections::{BTreeMap, HashMap};
use tapline::{
    codec::{
        StageCodec,
        authorisation::AuthorisationCodec,
        avro::RegistryIds,
        dead_letter::{Origin, TimestampType},
        frame::{OutputId, SourcePos, chain},
        headers::{HeaderList, Provenance, ce_time, headers},
        limits::Sizes,
        partitioner::{bucket_of, partition_of},
        raw::RawRecord,
        snapshot::{Row, Seen},
    },
    domain::{
        account::Account,
        command::{AccountCommand, Command, PARTITION_KEY, Tick},
        rules::Rules,
        time::LogTime,
    },
    stages::{
        Cause, Context, Outgoing, Poison, Scope, Stage,
        authorisation::{self, Authorisation, COMMANDS, Output},
    },
};

pub const PARTITIONS: i32 = 2;
pub const BUCKETS: u32 = 4;
pub const INCARNATION: i32 = 7;
const TIMESTAMP_BASE_US: i64 = 1 << 51;

#[derive(Clone, Debug)]
pub struct StoredRow {
    pub partition: i32,
    pub bucket: u32,
    pub key: String,
    pub item: Option<String>,
    pub pos: i64,
    pub image: Vec<u8>,
}

/// Message id, state, place.
pub type JournalLine = (String, &'static str, Option<(i32, i64)>);

/// Everything that a run leaves behind.
#[derive(Clone)]
pub struct Run {
    pub commands: Vec<Rec>,
    pub events: Vec<Rec>,
    pub letters: Vec<Rec>,
    pub heads: BTreeMap<String, StoredRow>,
    /// The version of each head before its latest.
    pub former_heads: BTreeMap<String, StoredRow>,
    pub sides: Vec<StoredRow>,
    pub committed: Vec<(i32, i64)>,
    pub journal: Vec<JournalLine>,
}

pub fn codec() -> AuthorisationCodec {
    AuthorisationCodec::new(PARTITIONS, Sizes::default(), RegistryIds::default(), "")
}

pub fn rules() -> Rules {
    tapline::codec::rules::parse(include_str!("../../rules/1.toml")).expect("the shipped rules")
}

pub struct World {
    pub run: Run,
    codec: AuthorisationCodec,
    rules: Rules,
    clock: Vec<Tick>,
    rows: HashMap<String, Row<Account>>,
    waiting: Vec<RawRecord>,
    broker_ms: i64,
}

const NOTHING: Tick = Tick { time: LogTime(0), rules_version: 1, logic_version: 1 };

impl World {
    pub fn new() -> Self {
        let run = Run {
            commands: Vec::new(),
            events: Vec::new(),
            letters: Vec::new(),
            heads: BTreeMap::new(),
            former_heads: BTreeMap::new(),
            sides: Vec::new(),
            committed: (0..PARTITIONS).map(|partition| (partition, 0)).collect(),
            journal: Vec::new(),
        };
        let mut world = Self {
            run,
            codec: codec(),
            rules: rules(),
            clock: vec![NOTHING; PARTITIONS as usize],
            rows: HashMap::new(),
            waiting: Vec::new(),
            broker_ms: 1_790_000_000_000,
        };
        for partition in 0..PARTITIONS {
            let mut headers = HeaderList::new();
            headers.push_text("tapline-birth", "birth-1");
            world.append(partition, PARTITION_KEY, world.bytes(&tick_command(NOTHING)), headers);
        }
        world
    }

    pub fn bytes(&self, command: &AccountCommand) -> Vec<u8> {
        let mut value = Vec::new();
        self.codec.encode_output(&Output::Command(command.clone()), &mut value);
        value
    }

    /// A tick into every partition; it is committed, because everything before it is durable.
    pub fn tick(&mut self, time: LogTime) {
        for partition in 0..PARTITIONS {
            let tick = Tick { time, ..NOTHING };
            let value = self.bytes(&tick_command(tick));
            let is_fresh = time > self.clock[partition as usize].time;
            let offset = self.append(partition, PARTITION_KEY, value, HeaderList::new());
            if is_fresh {
                self.run.committed.push((partition, offset));
            }
        }
    }

    pub fn now(&self) -> LogTime {
        self.clock[0].time
    }

    /// Sends a client's command and notes it in the journal.
    pub fn send(&mut self, command: &AccountCommand) {
        let key = command.account_id.as_str().to_owned();
        let id = command.message_id.as_str().to_owned();
        self.run.journal.push((id.clone(), "planned", None));
        let partition = partition_of(key.as_bytes(), PARTITIONS);
        let offset = self.append(partition, &key, self.bytes(command), HeaderList::new());
        let acked = offset % 11 != 0;
        let place = acked.then_some((partition, offset));
        self.run.journal.push((id, if acked { "acked" } else { "unknown" }, place));
        for raw in std::mem::take(&mut self.waiting) {
            let key = raw.key_text().expect("an account").to_owned();
            let partition = partition_of(key.as_bytes(), PARTITIONS);
            let value = raw.value.expect("a command");
            // Twice, as after a takeover: the second is a copy.
            self.append(partition, &key, value.clone(), raw.headers.clone());
            self.append(partition, &key, value, raw.headers);
        }
    }

    /// Sends bytes as they are; returns their place.
    pub fn append(
        &mut self,
        partition: i32,
        key: &str,
        value: Vec<u8>,
        headers: HeaderList,
    ) -> i64 {
        let offset =
            self.run.commands.iter().filter(|record| record.partition == partition).count() as i64;
        self.broker_ms += 1;
        let raw = RawRecord {
            partition,
            offset,
            timestamp_ms: self.broker_ms,
            timestamp_type: TimestampType::LogAppendTime,
            key: Some(key.as_bytes().to_vec()),
            value: Some(value),
            headers,
        };
        self.run.commands.push(record_of(&raw));
        self.fold(&raw);
        offset
    }

    // ----------------------------------------------------------------- the fold

    fn fold(&mut self, raw: &RawRecord) {
        let (key, partition) = (raw.key_text().expect("a key").to_owned(), raw.partition);
        let input = match self.codec.decode(raw) {
            Ok(input) => input,
            Err(_) if self.row(&key).diverted_through.is_some() => {
                return self.refuse(&key, raw, "diverted");
            }
            Err(_) => return self.refuse(&key, raw, "undecodable_value"),
        };
        let place = partition as usize;
        match Authorisation::scope(&input) {
            Scope::Tick(tick) if tick.time > self.clock[place].time => {
                self.clock[place] = tick;
                let passed_on = authorisation::pass_on(tick);
                self.publish(raw, Some(""), 0, passed_on, None);
                self.due(raw);
            }
            Scope::EndDiversion { .. } => {
                self.row(&key).diverted_through = None;
                self.keep(&key, raw, Vec::new());
            }
            Scope::Key | Scope::KeyAnd(_) => self.step(&key, raw, &input),
            _ => {}
        }
    }

    fn row(&mut self, key: &str) -> &mut Row<Account> {
        self.rows.entry(key.to_owned()).or_default()
    }

    fn refuse(&mut self, key: &str, raw: &RawRecord, code: &'static str) {
        self.row(key).diverted_through = Some(raw.offset);
        self.keep(key, raw, Vec::new());
        let poison = Poison { code };
        let origin = Origin { raw, stage: "authorisation", input: COMMANDS, poison };
        let letter = self.codec.dead_letter(&origin);
        let offset = count(&self.run.letters, raw.partition);
        let headers = pairs(&letter.headers);
        let (key, value, partition) = (letter.key, letter.value, raw.partition);
        self.run.letters.push(Rec { partition, offset, key, value, headers, timestamp_ms: 0 });
    }

    fn step(&mut self, key: &str, raw: &RawRecord, input: &AccountCommand) {
        let source = raw.source();
        if let Some(id) = &source {
            let this = (id.source.offset, id.key.as_deref().unwrap_or(""), id.index);
            let from = (id.source.incarnation, id.source.partition);
            let taken = self.row(key).seen.iter().any(|seen| {
                (seen.incarnation, seen.partition) == from
                    && this <= (seen.offset, &*seen.key, seen.index)
            });
            if taken {
                return;
            }
        }
        let rules = self.rules.clone();
        let context = context(&rules, self.clock[raw.partition as usize]);
        if self.row(key).diverted_through.is_some() {
            let answer = authorisation::diverted(&context, key, &self.row(key).state, input);
            self.refuse(key, raw, "diverted");
            if let Some(answer) = answer {
                self.publish(raw, None, 1, answer, Some(key));
                self.store(key, raw);
            }
            return;
        }
        for id in Authorisation::items_named(&context, &self.row(key).state, input) {
            let newest = self
                .run
                .sides
                .iter()
                .rfind(|row| row.key == key && row.item.as_deref() == Some(id.as_str()));
            if let Some(row) = newest {
                let item = self.codec.decode_side(&row.image).expect("a side row of ours");
                Authorisation::recall(&mut self.row(key).state, id, item);
            }
        }
        let before = self.row(key).state.clone();
        let step = Authorisation::step(&context, key, &before, Cause::Record(input));
        let transition = match step {
            Ok(transition) => transition,
            Err(poison) => return self.refuse(key, raw, poison.code()),
        };
        if let Some(id) = source {
            let row = self.row(key);
            row.seen = vec![Seen {
                incarnation: id.source.incarnation,
                partition: id.source.partition,
                offset: id.source.offset,
                key: id.key.unwrap_or_default(),
                index: id.index,
            }];
        }
        let mut left = Vec::new();
        if let Some(change) = transition.change {
            left = Authorisation::apply(&mut self.row(key).state, change);
        }
        for (index, effect) in transition.effects.into_iter().enumerate() {
            self.publish(raw, None, index as i32, effect, Some(key));
        }
        self.keep(key, raw, left);
    }

    fn due(&mut self, raw: &RawRecord) {
        let rules = self.rules.clone();
        let tick = self.clock[raw.partition as usize];
        let context = context(&rules, tick);
        let mut keys: Vec<String> = self.rows.keys().cloned().collect();
        keys.sort();
        keys.retain(|key| partition_of(key.as_bytes(), PARTITIONS) == raw.partition);
        for key in keys {
            let state = self.row(&key).state.clone();
            if Authorisation::deadline(&key, &state, &rules).is_none_or(|end| end > tick.time) {
                continue;
            }
            let step = Authorisation::step(&context, &key, &state, Cause::Due);
            let transition = step.expect("time alone is never poison");
            let change = transition.change.expect("something was due");
            let left = Authorisation::apply(&mut self.row(&key).state, change);
            for (index, effect) in transition.effects.into_iter().enumerate() {
                self.publish(raw, Some(&key), index as i32, effect, Some(&key));
            }
            self.keep(&key, raw, left);
        }
    }

    /// `id_key`: in the id, where it is not the record's own. `name`: whose chain goes on.
    fn publish(
        &mut self,
        raw: &RawRecord,
        id_key: Option<&str>,
        index: i32,
        effect: Outgoing<Output>,
        name: Option<&str>,
    ) {
        let mut value = Vec::new();
        self.codec.encode_output(&effect.body, &mut value);
        let mut link = None;
        if let (None, Some(name)) = (&effect.key, name) {
            let row = self.row(name);
            row.seq += 1;
            row.chain = chain(&row.chain, &value);
            link = Some((row.seq, row.chain));
        }
        let (partition, offset) = (raw.partition, raw.offset);
        let source = SourcePos { incarnation: INCARNATION, partition, offset };
        let id = OutputId { source, key: id_key.map(Box::from), index };
        let list = headers(&Provenance {
            id: &id,
            stage: "authorisation",
            ce_type: self.codec.ce_type(&effect.body),
            ce_time: &ce_time(self.clock[partition as usize].time),
            link,
            cause: raw,
        });
        let own = name.unwrap_or(PARTITION_KEY);
        let key = effect.key.as_deref().unwrap_or(own).as_bytes().to_vec();
        if effect.topic == COMMANDS {
            self.waiting.push(RawRecord {
                key: Some(key),
                value: Some(value),
                headers: list,
                ..raw.clone()
            });
            return;
        }
        let offset = count(&self.run.events, partition);
        let (key, value, headers) = (Some(key), Some(value), pairs(&list));
        let mut record = Rec { partition, offset, key, value, headers, timestamp_ms: 0 };
        let twice = record.offset % 17 == 5;
        self.run.events.push(record.clone());
        if twice {
            record.offset += 1;
            record.headers.push(("traceparent".into(), Some(b"00-another-trace".to_vec())));
            self.run.events.push(record);
        }
    }

    /// Position and rows after a record.
    fn keep(
        &mut self,
        key: &str,
        raw: &RawRecord,
        left: Vec<(<Authorisation as Stage>::ItemId, <Authorisation as Stage>::Item)>,
    ) {
        for (id, item) in left {
            let mut image = Vec::new();
            self.codec.encode_side(&item, &mut image);
            let row = stored(key, raw, image);
            self.run.sides.push(StoredRow { item: Some(id.as_str().to_owned()), ..row });
        }
        self.row(key).pos = raw.offset;
        if let Some(former) = self.run.heads.get(key).filter(|row| row.pos < raw.offset) {
            self.run.former_heads.insert(key.to_owned(), former.clone());
        }
        self.store(key, raw);
    }

    fn store(&mut self, key: &str, raw: &RawRecord) {
        let mut image = Vec::new();
        self.codec.encode_row(&self.rows[key], &mut image);
        self.run.heads.insert(key.to_owned(), stored(key, raw, image));
    }
}

fn context(rules: &Rules, tick: Tick) -> Context<'_, Rules> {
    Context::of(tick.time, rules)
}

fn stored(key: &str, raw: &RawRecord, image: Vec<u8>) -> StoredRow {
    let (partition, pos) = (raw.partition, raw.offset);
    let bucket = bucket_of(key.as_bytes(), BUCKETS);
    StoredRow { partition, bucket, key: key.to_owned(), item: None, pos, image }
}

pub fn tick_command(tick: Tick) -> AccountCommand {
    AccountCommand {
        account_id: PARTITION_KEY.into(),
        message_id: "tick".into(),
        sent_at: tick.time,
        body: Command::Tick(tick),
    }
}

fn count(records: &[Rec], partition: i32) -> i64 {
    records.iter().filter(|record| record.partition == partition).count() as i64
}

impl StoredRow {
    pub fn written_at_us(&self) -> i64 {
        TIMESTAMP_BASE_US + self.pos
    }
}
