//! The world of the feed's and the pushes' cases: workers of three stages, phones, what was told.
//!
//! Owns the gateway in this process with its journal on disk, a phone for each customer, and the
//! reading of items, obligations and outcomes, each once. Judges only what must hold whatever
//! happened: every obligation has an outcome, and every request an obligation.

use super::{
    ground::{Site, until},
    watch,
};
use futures_util::TryStreamExt;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};
use tapline::adapters::cassandra::push_targets::PushTargets;
use tapline::codec::{
    avro::{Avro, RegistryIds},
    raw::RawRecord,
    repeats::Newest,
    schemas::Subject,
    topics::{COMMANDS, EVENTS, FEED_ITEMS, PUSH_OUTCOMES},
};
use tapline::domain::{
    feed::FeedRecord,
    ids::CustomerId,
    push::{Device, Obligation, Outcome, Platform, PushOutcome},
};
use tapline::fake_gateway::{
    Act, Counts, FakeGateway, Keys, Options, Rule, Target, WEBHOOK_SECRET,
};
use tapline::load::workers::{Start, Worker};
use tapline::producer::feed_oracle::FeedOracle;
use tapline::stages::{
    Topic,
    push::{KEY_BYTES_MAX, device_key, obligation},
};
use tokio::runtime::Runtime;

/// The stages, their inputs, and the group's shortest patience with the dead.
pub const SETTINGS: [(&str, &str); 2] =
    [("worker.stages", "authorisation,feed,push"), ("kafka.session_timeout", "6s")];
const INPUTS: [(&str, Topic); 3] =
    [("authorisation", COMMANDS), ("feed", EVENTS), ("push", FEED_ITEMS)];

/// Waits until the workers share all partitions of all three stages and have loaded them.
pub fn await_stages(site: &Site, workers: &mut [Worker], within_s: u64) {
    let wanted = INPUTS.len() * site.partitions() as usize;
    until("the workers take all partitions of all stages", within_s, || {
        let mut owned = 0;
        for worker in workers.iter_mut() {
            assert!(worker.is_running(), "a worker ended:\n{}", worker.last_lines(8));
            match watch::readyz(worker) {
                Some((200, report)) if worker.is_taking() => {
                    owned += report["partitions"].as_array().map_or(0, Vec::len);
                }
                Some((_, report)) => return Err(report.to_string()),
                None => return Err("no health page yet".to_owned()),
            }
        }
        if owned == wanted { Ok(()) } else { Err(format!("{owned} of {wanted} are owned")) }
    });
}

/// Waits until a stage is durable through everything that its input holds now.
pub fn await_stage(site: &Site, workers: &mut [Worker], stage: &str, within_s: u64) {
    let (_, topic) = INPUTS.into_iter().find(|(name, _)| *name == stage).expect("one of ours");
    let ends = watch::spans(site, &site.config.kafka.topic(topic.0));
    until(&format!("{stage} is through"), within_s, || {
        let mut durable: BTreeMap<(String, i32), i64> = BTreeMap::new();
        for worker in workers.iter_mut() {
            assert!(worker.is_running(), "a worker ended:\n{}", worker.last_lines(8));
            durable.extend(worker.durable());
        }
        let reached = |partition| durable.get(&(stage.to_owned(), partition)).copied();
        let behind: Vec<String> = ends
            .iter()
            .filter(|span| reached(span.partition).unwrap_or(0) < span.end)
            .map(|it| format!("{}: {:?} of {}", it.partition, reached(it.partition), it.end))
            .collect();
        if behind.is_empty() { Ok(()) } else { Err(behind.join(", ")) }
    });
}

/// The same of all stages, each after the one before it.
pub fn await_all(site: &Site, workers: &mut [Worker], within_s: u64) {
    INPUTS.iter().for_each(|(stage, _)| await_stage(site, workers, stage, within_s));
}

/// A request as the gateway's journal on disk has it.
#[derive(Deserialize)]
struct Request {
    platform: String,
    key: String,
    answer: String,
}

pub struct Phones {
    gateway: FakeGateway,
    keys: Keys,
    pub journal: PathBuf,
    /// Runs the gateway.
    _runtime: Runtime,
}

impl Phones {
    pub fn start(site: &Site) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let keys = Keys::write(&site.folder.join("keys")).expect("a folder of keys");
        let journal = site.folder.join("gateway.jsonl");
        let options = Options {
            keys: Some(keys.clone()),
            webhook_secrets: vec![WEBHOOK_SECRET.to_owned()],
            journal: Some(journal.clone()),
            ..Options::default()
        };
        let gateway = runtime.block_on(FakeGateway::start(options)).expect("a free port");
        Self { gateway, keys, journal, _runtime: runtime }
    }

    /// A worker that knows the gateway. `mode`: mute or live.
    pub fn lead(&self, start: Start, mode: &str) -> Start {
        let start = start.with("push.mode", mode);
        self.keys.config(self.gateway.address).into_iter().fold(start, |start, (key, value)| {
            match key == "push.webhook_secrets" {
                true => start.in_environment("TAPLINE_PUSH__WEBHOOK_SECRETS", value),
                false => start.with(key, value),
            }
        })
    }

    /// Of the `number`-th customer; platforms by turns.
    pub fn device(&self, number: u32) -> Device {
        let platform = Platform::ALL[number as usize % Platform::ALL.len()];
        self.gateway.device(platform, &format!("phone-{number}"))
    }

    /// Gives each a phone, as the API would.
    pub fn give(&self, site: &Site, customers: &[CustomerId]) {
        let keyspace = &site.config.cassandra.keyspace;
        site.ask(|session| async move {
            let targets = PushTargets::open(session, keyspace).await.expect("the tables are there");
            for (number, customer) in (0..).zip(customers) {
                let put = targets.put_device(customer, &self.device(number)).await;
                put.unwrap_or_else(|error| panic!("no phone for {customer}: {error}"));
            }
        });
    }

    pub fn behave(&self, target: Target, act: Act) {
        self.gateway.behave(target, Rule::from(act));
    }

    pub fn counts(&self) -> Counts {
        self.gateway.counts()
    }

    fn requests(&self) -> Vec<Request> {
        let text = std::fs::read_to_string(&self.journal).expect("the gateway's journal");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// What the topics and the read model say, each record once.
pub struct Told {
    pub items: Vec<FeedRecord>,
    pub obligations: BTreeMap<Box<str>, Obligation>,
    /// The first of each obligation.
    pub outcomes: BTreeMap<Box<str>, PushOutcome>,
    /// Outcomes that came again.
    pub repeats: usize,
    /// Of the read model, by the customer in the row's key.
    pub rows: Vec<(String, FeedRecord)>,
}

fn decoded<T: serde::de::DeserializeOwned>(subject: Subject, value: &[u8]) -> T {
    let value = Avro::of(subject).decode(value, &RegistryIds::default());
    value.unwrap_or_else(|error| panic!("a record of ours: {error}"))
}

impl Told {
    pub fn read(site: &Site) -> Self {
        let topic = |topic: Topic| watch::everything(site, &site.config.kafka.topic(topic.0));
        let value = |raw: &RawRecord| raw.value.clone().unwrap_or_default();
        let (mut items, mut obligations, mut seen) = (vec![], BTreeMap::new(), Newest::default());
        for raw in topic(FEED_ITEMS) {
            let Some(id) = raw.source() else { continue };
            if seen.is_new(raw.partition, Some(&id)) {
                let record: FeedRecord = decoded(Subject::FeedItems, &value(&raw));
                let due = obligation(&record, &id.to_string(), 0);
                obligations.extend(due.map(|due| (due.id.clone(), due)));
                items.push(record);
            }
        }
        let (mut outcomes, mut repeats) = (BTreeMap::new(), 0);
        for raw in topic(PUSH_OUTCOMES) {
            let outcome: PushOutcome = decoded(Subject::PushOutcomes, &value(&raw));
            match outcomes.contains_key(&outcome.obligation_id) {
                true => repeats += 1,
                false => drop(outcomes.insert(outcome.obligation_id.clone(), outcome)),
            }
        }
        Self { items, obligations, outcomes, repeats, rows: rows(site) }
    }

    /// Exactly the audience of accounts that begin with `run`, in order, with the events' balances;
    /// and the newest versions as rows.
    pub fn judge_feed(&self, site: &Site, run: &str) {
        let mut oracle = FeedOracle::new(run);
        for (raw, event) in watch::events(site, &[]) {
            oracle.observe(raw.partition, raw.offset, &event);
        }
        self.items.iter().for_each(|record| oracle.take(record));
        self.rows.iter().for_each(|(customer, record)| oracle.take_row(customer, record));
        for line in oracle.verdict() {
            assert!(line.ok, "{}: {} not {}", line.name, line.found, line.expected);
        }
    }

    /// One outcome for each obligation and for nothing else.
    pub fn judge_ends(&self) {
        let due: BTreeSet<&str> = self.obligations.keys().map(|id| &**id).collect();
        let ended: BTreeSet<&str> = self.outcomes.keys().map(|id| &**id).collect();
        let missing: Vec<_> = due.difference(&ended).take(5).collect();
        let idle: Vec<_> = ended.difference(&due).take(5).collect();
        assert!(missing.is_empty(), "obligations without an outcome, such as {missing:?}");
        assert!(idle.is_empty(), "outcomes of nothing, such as {idle:?}");
        assert!(!due.is_empty(), "nobody had to be told anything");
    }

    /// Requests against outcomes, where everybody has one phone: what was delivered was taken, and
    /// each key is of one obligation and its customer's phone.
    pub fn judge_requests(&self, phones: &Phones, customers: &[CustomerId]) {
        let devices: BTreeMap<&CustomerId, Device> =
            customers.iter().zip((0..).map(|number| phones.device(number))).collect();
        let keys: BTreeMap<Box<str>, (&Obligation, Platform)> = self
            .obligations
            .values()
            .map(|due| {
                let device = &devices[&due.customer_id];
                (device_key(&due.id, device), (due, device.platform))
            })
            .collect();
        assert_eq!(keys.len(), self.obligations.len(), "two obligations under one key");
        let mut taken = BTreeSet::new();
        for request in phones.requests() {
            assert!(request.key.len() <= KEY_BYTES_MAX, "{} is too long", request.key);
            let Some((due, platform)) = keys.get(&*request.key) else {
                panic!("a request of no obligation: {}", request.key);
            };
            assert_eq!(request.platform, platform.name(), "{}", request.key);
            if request.answer == "accepted" {
                taken.insert(&due.id);
            }
        }
        for (id, outcome) in &self.outcomes {
            let is_taken = outcome.outcome != Outcome::Delivered || taken.contains(id);
            assert!(is_taken, "said to be delivered, never taken: {outcome:?}");
        }
        assert_eq!(phones.counts().bodies_changed, 0, "bodies that changed under one key");
    }

    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes.values().filter(|it| it.outcome == outcome).count()
    }
}

fn rows(site: &Site) -> Vec<(String, FeedRecord)> {
    let statement = format!("SELECT key, image FROM {}.feed_item", site.config.cassandra.keyspace);
    let rows = site.ask(|session: Arc<_>| async move {
        let pager = session.query_iter(statement, &[]).await.expect("the table can be read");
        let rows = pager.rows_stream::<(String, Vec<u8>)>().expect("two columns");
        rows.try_collect::<Vec<_>>().await.expect("the rows can be read")
    });
    rows.into_iter().map(|(key, image)| (key, decoded(Subject::FeedItems, &image))).collect()
}
