//! A whole worker in one thread: every partition of a stage over the memory log and store.
//!
//! Owns the partitions and answers their requests at once. The same state machine as live, without
//! faults and without time passing: used where neither Docker nor a JDK is there, and to see a
//! stage work in a test.

use super::{MemoryLog, MemoryStore};
use crate::codec::{StageCodec, partitioner::partition_of, topics};
use crate::runtime::{
    partition::{Binding, Limits, Partition},
    ports::{Arrival, Batch, Destination, Ports, Publish, PublishTopic, SideRead},
};
use crate::stages::{Stage, Topic};
use std::{collections::BTreeMap, sync::Arc};

const FETCH_RECORDS_MAX: usize = 500;

/// What the worker is bound to.
#[derive(Clone, Debug)]
pub struct MemoryBinding {
    pub topic_prefix: String,
    /// Number of the input log's incarnation.
    pub incarnation: i32,
    pub buckets: u32,
    pub limits: Limits,
}

pub struct MemoryWorker<S: Stage, C: StageCodec<S>> {
    pub log: MemoryLog,
    pub store: MemoryStore,
    names: Names,
    incarnation: i32,
    rules: BTreeMap<i32, Arc<S::Rules>>,
    owned: Vec<Owned<S, C>>,
}

struct Owned<S: Stage, C: StageCodec<S>> {
    partition: Partition<S, C>,
    /// The next offset to fetch.
    position: i64,
}

struct Names {
    prefix: String,
    input: String,
    dead_letters: String,
    group: String,
}

impl<S: Stage, C: StageCodec<S>> MemoryWorker<S, C> {
    /// Takes over every partition of the stage's input from the group's committed offset (0 where
    /// there is none). `log` holds the input topic; the others are created. `rules`: the versions
    /// that ticks may name, 1 among them. `codec`: a codec for each partition.
    pub fn new(
        binding: &MemoryBinding,
        mut log: MemoryLog,
        store: MemoryStore,
        rules: BTreeMap<i32, Arc<S::Rules>>,
        codec: impl Fn() -> C,
    ) -> Self {
        let prefix = binding.topic_prefix.clone();
        let names = Names {
            input: format!("{prefix}{}", S::INPUT.0),
            dead_letters: format!("{prefix}{}", topics::dead_letters_of(S::NAME)),
            group: format!("{prefix}tapline.{}", S::NAME),
            prefix,
        };
        let partitions = log.partitions(&names.input);
        log.create(&names.dead_letters, partitions);
        for topic in S::OUTPUTS {
            log.create(&names.of(*topic), partitions);
        }
        let first_rules = rules[&1].clone();
        let mut worker =
            Self { log, store, names, incarnation: binding.incarnation, rules, owned: Vec::new() };
        for number in 0..partitions {
            let start = worker.log.committed(&worker.names.group, &worker.names.input, number);
            let bound = Binding {
                incarnation: binding.incarnation,
                partition: number,
                partitions,
                buckets: binding.buckets,
                read_buckets: binding.buckets,
                start: start.unwrap_or(0),
            };
            let partition = Partition::new(bound, binding.limits, codec(), first_rules.clone());
            worker.owned.push(Owned { position: bound.start, partition });
            worker.load(number, binding.buckets);
        }
        worker
    }

    /// Runs until nothing is left to read, to write or to commit.
    pub fn run_until_idle(&mut self) {
        while (0..self.owned.len()).any(|number| self.run(number)) {}
    }

    pub fn partitions(&self) -> impl Iterator<Item = &Partition<S, C>> {
        self.owned.iter().map(|owned| &owned.partition)
    }

    fn load(&mut self, number: i32, buckets: u32) {
        for bucket in 0..buckets {
            let rows = self.store.heads((self.incarnation, number, bucket));
            let rows = rows.map(|(key, cell)| (Box::from(key), cell.bytes.clone())).collect();
            self.deliver(number as usize, Arrival::Heads(rows));
        }
        let end = self.log.end(&self.names.input, number);
        self.deliver(number as usize, Arrival::LogEnd(end));
        self.deliver(number as usize, Arrival::Loaded);
    }

    /// One round of a partition; `false`: there was nothing to do.
    fn run(&mut self, number: usize) -> bool {
        let position = self.owned[number].position;
        let input = &self.names.input;
        let records = self.log.read(input, number as i32, position, FETCH_RECORDS_MAX).to_vec();
        let Some(last) = records.last() else { return false };
        self.owned[number].position = last.offset + 1;
        self.deliver(number, Arrival::Fetched(records));
        self.deliver(number, Arrival::SealDue);
        true
    }

    /// Hands an arrival over and answers everything that the partition asks for because of it.
    fn deliver(&mut self, number: usize, arrival: Arrival<S::Rules>) {
        let mut arrivals = vec![arrival];
        while let Some(arrival) = arrivals.pop() {
            let mut requests = Requests(Vec::new());
            self.owned[number].partition.handle(arrival, &mut requests);
            for request in requests.0 {
                arrivals.extend(self.answer(number, request));
            }
        }
    }

    fn answer(&mut self, number: usize, request: Request) -> Option<Arrival<S::Rules>> {
        let partition = number as i32;
        match request {
            Request::Publish(ticket, records) => {
                for record in records {
                    self.publish(partition, record);
                }
                Some(Arrival::Acknowledged { ticket })
            }
            Request::Write(batch) => {
                self.store.write(self.incarnation, partition, &batch);
                Some(Arrival::Written { seal: batch.seal, index: batch.index })
            }
            Request::Read(read) => {
                let place = (self.incarnation, partition, read.bucket);
                let found = self.store.side(place, &read.key, &read.item, read.below);
                let version = found.map(|(pos, cell)| (pos, cell.bytes.clone()));
                Some(Arrival::SideRow { below: read.below, item: read.item, version })
            }
            Request::Commit(offset) => {
                self.log.commit(&self.names.group, &self.names.input, partition, offset);
                None
            }
            // An unknown version halts the partition, as live.
            Request::LoadRules(version) => {
                let rules = self.rules.get(&version)?.clone();
                Some(Arrival::Rules { version, rules })
            }
            Request::Seek(offset) => {
                self.owned[number].position = offset;
                None
            }
        }
    }

    fn publish(&mut self, from: i32, record: Publish) {
        let topic = match record.topic {
            PublishTopic::Output(topic) => self.names.of(topic),
            PublishTopic::DeadLetters => self.names.dead_letters.clone(),
        };
        let key = record.key.as_deref().unwrap_or_default();
        let partition = match record.destination {
            Destination::Partition(partition) => partition,
            Destination::ByKey => partition_of(key, self.log.partitions(&topic)),
        };
        // The append time of an output is that of the newest input: nothing here has a clock.
        let last = self.owned[from as usize].position - 1;
        let newest = self.log.read(&self.names.input, from, last, 1);
        let timestamp_ms = newest.first().map_or(0, |record| record.timestamp_ms);
        let contents = (record.key, record.value, record.headers);
        self.log.append(&topic, partition, timestamp_ms, contents);
    }
}

impl Names {
    fn of(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.0)
    }
}

enum Request {
    Publish(u64, Vec<Publish>),
    Write(Arc<Batch>),
    Read(SideRead),
    Commit(i64),
    LoadRules(i32),
    Seek(i64),
}

/// Collects what a partition asks for, in order.
struct Requests(Vec<Request>);

impl<R> Ports<R> for Requests {
    fn publish(&mut self, ticket: u64, records: Vec<Publish>) {
        self.0.push(Request::Publish(ticket, records));
    }
    fn write(&mut self, batch: Arc<Batch>) {
        self.0.push(Request::Write(batch));
    }
    fn read(&mut self, read: SideRead) {
        self.0.push(Request::Read(read));
    }
    fn commit(&mut self, next_offset: i64) {
        self.0.push(Request::Commit(next_offset));
    }
    fn load_rules(&mut self, version: i32) {
        self.0.push(Request::LoadRules(version));
    }
    fn seek(&mut self, offset: i64) {
        self.0.push(Request::Seek(offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{authorisation::AuthorisationCodec, avro::Avro, rules, schemas::Subject};
    use crate::codec::{headers::HeaderList, topics::COMMANDS, topics::EVENTS};
    use crate::domain::command::{AccountCommand, Command, OpenAccount, PARTITION_KEY, Tick};
    use crate::domain::{money::Currency, time::LogTime};
    use crate::stages::authorisation::Authorisation;

    fn send(log: &mut MemoryLog, key: &str, partition: i32, body: Command) {
        let (account_id, message_id) = (key.into(), "m".into());
        let command = AccountCommand { account_id, message_id, sent_at: LogTime(1), body };
        let mut value = Vec::new();
        Avro::of(Subject::Commands).encode(&command, &mut value);
        let key = Some(key.as_bytes().to_vec());
        log.append(COMMANDS.0, partition, 1, (key, Some(value), HeaderList::new()));
    }

    fn worker(
        log: MemoryLog,
        store: MemoryStore,
    ) -> MemoryWorker<Authorisation, AuthorisationCodec> {
        let text = include_str!("../../../rules/1.toml");
        let first = rules::parse(text).expect("rules/1.toml is shipped and checked");
        let binding = MemoryBinding {
            topic_prefix: String::new(),
            incarnation: 1,
            buckets: 4,
            limits: Limits::default(),
        };
        let codec = || AuthorisationCodec::new(2, Default::default(), Default::default(), "");
        MemoryWorker::new(&binding, log, store, BTreeMap::from([(1, Arc::new(first))]), codec)
    }

    /// Goal: the worker runs a stage to its end, and its successor finds everything done. Method:
    /// an account opened between ticks in each of two partitions; then a new worker over the same
    /// log and store, which sends the tick it starts at again and nothing else.
    #[test]
    fn runs_and_is_taken_over() {
        let mut log = MemoryLog::default();
        log.create(COMMANDS.0, 2);
        let tick =
            |time| Command::Tick(Tick { time: LogTime(time), rules_version: 1, logic_version: 1 });
        let currency = Currency::parse("EUR").expect("a code of three letters");
        let open = OpenAccount { currency, overdraft_limit_minor: 0, limits: None };
        for key in ["a", "b", "c", "d"] {
            let partition = partition_of(key.as_bytes(), 2);
            send(&mut log, key, partition, Command::OpenAccount(open.clone()));
        }
        for partition in 0..2 {
            send(&mut log, PARTITION_KEY, partition, tick(5));
        }
        let mut first = worker(log, MemoryStore::default());
        first.run_until_idle();
        let events = |log: &MemoryLog| log.end(EVENTS.0, 0) + log.end(EVENTS.0, 1);
        assert_eq!(events(&first.log), 4 + 2);
        let mut second = worker(first.log, first.store);
        second.run_until_idle();
        assert_eq!(events(&second.log), 4 + 2 + 2);
        assert!(second.partitions().all(|partition| partition.counts().applied == 0));
    }
}
