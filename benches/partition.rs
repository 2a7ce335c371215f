//! What one record costs the thread that decides: a whole partition, without servers and clients.
//!
//! Taps of many accounts go through authorisation, and what it publishes through the feed; the ports
//! answer everything at once. Besides the steps of `hot_path` this has the queue, the ids, heads
//! that thaw and freeze, and the building of batches.
//!
//! `cargo bench --bench partition -- [ACCOUNTS] [TAPS] [RECORDS A SEAL]`; best and
//! median of the seals.

use std::sync::Arc;
use tapline::{
    codec::{
        self, StageCodec,
        authorisation::AuthorisationCodec,
        avro::{Avro, RegistryIds},
        dead_letter::TimestampType,
        feed::FeedCodec,
        headers::{HeaderList, ORIGIN_MS},
        limits::Sizes,
        raw::RawRecord,
        rules,
        schemas::Subject,
    },
    domain::{command::AccountCommand, money::Currency, rules::Rules, time::LogTime},
    operator::apply::FIRST_RULES,
    producer::{
        authorise_only::{AuthoriseOnly, OPENING_MINOR},
        crowd::{Choice, Crowd},
    },
    runtime::{
        partition::{Binding, Limits, Partition},
        ports::{Arrival, Batch, Ports, Publish, SideRead},
        telemetry,
    },
    stages::{Stage, authorisation::Authorisation, feed::Feed},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Log time of everything.
const NOW: LogTime = LogTime(1_790_000_000_000);

/// Records handed on at once, as a worker's thread does.
const FETCHED_RECORDS: usize = 64;

/// Ports that note what they were asked.
#[derive(Default)]
struct Noted {
    tickets: Vec<u64>,
    published: Vec<Publish>,
    batches: Vec<Arc<Batch>>,
}

impl Ports<Rules> for Noted {
    fn publish(&mut self, ticket: u64, records: Vec<Publish>) {
        self.tickets.push(ticket);
        self.published.extend(records);
    }

    fn write(&mut self, batch: Arc<Batch>) {
        self.batches.push(batch);
    }

    fn read(&mut self, _: SideRead) {
        unreachable!("taps name nothing that left its head");
    }

    fn commit(&mut self, _: i64) {}

    fn load_rules(&mut self, _: i32) {
        unreachable!("no tick raises the rules");
    }

    fn seek(&mut self, _: i64) {
        unreachable!("nothing is sought");
    }
}

fn main() {
    codec::init();
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let number = |place: usize, usual| numbers.get(place).copied().unwrap_or(usual);
    let (accounts, taps, a_seal) = (number(0, 100_000), number(1, 300_000), number(2, 5_000));
    let crowd = Crowd {
        run: "bench".into(),
        accounts: accounts as u32,
        currency: Currency::parse("CAD").expect("a currency"),
        opening_minor: OPENING_MINOR,
        with_frozen: false,
        start: NOW,
    };
    let commands = || {
        let mut source = AuthoriseOnly::new(&crowd, Choice::Uniform, 7);
        let taps = (0..taps).map(move |_| source.next_at(NOW));
        crowd.openings().chain(taps).enumerate().map(|(offset, it)| sent(offset, &it))
    };
    let authorisation = || AuthorisationCodec::new(1, Sizes::default(), RegistryIds::default(), "");
    let plan = Plan { from: accounts * 4, a_seal };
    plan.run::<Authorisation, _>(authorisation(), commands(), drop).print(Authorisation::NAME);
    // Once more, because what is kept lies in the way of what is measured.
    let mut events: Vec<RawRecord> = Vec::new();
    plan.run::<Authorisation, _>(authorisation(), commands(), |record| {
        let offset = events.len();
        events.push(read(offset, &record));
    });
    let feed = FeedCodec::new(1, Sizes::default(), RegistryIds::default(), "");
    plan.run::<Feed, _>(feed, events.into_iter(), drop).print(Feed::NAME);
}

struct Plan {
    /// Number of the first record that is measured.
    from: usize,
    /// Records between two seals.
    a_seal: usize,
}

struct Costs {
    /// Of a record, by seal, ascending.
    ns: Vec<u64>,
    records: usize,
    published: usize,
    rows: usize,
}

impl Costs {
    fn print(&self, stage: &str) {
        let Self { ns, records, published, rows } = self;
        let (best, median) = (ns[0], ns[ns.len() / 2]);
        println!(
            "{stage:<14} {records} records, {published} published, {rows} rows; a record: best {best}, median {median} ns"
        );
    }
}

impl Plan {
    /// Making the records and taking what was published is not counted.
    fn run<S: Stage<Rules = Rules>, C: StageCodec<S>>(
        &self,
        codec: C,
        mut records: impl Iterator<Item = RawRecord>,
        mut take: impl FnMut(Publish),
    ) -> Costs {
        let rules = Arc::new(rules::parse(FIRST_RULES).expect("the shipped rules are valid"));
        let binding = Binding {
            incarnation: 1,
            partition: 0,
            partitions: 1,
            buckets: 4,
            read_buckets: 8,
            start: 0,
        };
        let mut partition = Partition::<S, C>::new(binding, Limits::default(), codec, rules);
        let mut ports = Noted::default();
        partition.handle(Arrival::Loaded, &mut ports);
        let mut costs = Costs { ns: Vec::new(), records: 0, published: 0, rows: 0 };
        loop {
            let some: Vec<Vec<RawRecord>> = (0..self.a_seal.div_ceil(FETCHED_RECORDS))
                .map(|_| records.by_ref().take(FETCHED_RECORDS).collect())
                .collect();
            let count: usize = some.iter().map(Vec::len).sum();
            if count == 0 {
                break;
            }
            let mut spent_ns = 0;
            for records in some {
                let begun_ns = telemetry::steady_ns();
                partition.handle(Arrival::Fetched(records), &mut ports);
                for ticket in std::mem::take(&mut ports.tickets) {
                    partition.handle(Arrival::Acknowledged { ticket }, &mut ports);
                }
                spent_ns += telemetry::steady_ns() - begun_ns;
                costs.published += ports.published.len();
                ports.published.drain(..).for_each(&mut take);
            }
            let begun_ns = telemetry::steady_ns();
            partition.handle(Arrival::SealDue, &mut ports);
            while !ports.batches.is_empty() {
                for batch in std::mem::take(&mut ports.batches) {
                    costs.rows += batch.rows.len();
                    let Batch { seal, index, .. } = *batch;
                    partition.handle(Arrival::Written { seal, index }, &mut ports);
                }
            }
            spent_ns += telemetry::steady_ns() - begun_ns;
            if costs.records >= self.from {
                costs.ns.push(spent_ns / count as u64);
            }
            costs.records += count;
        }
        assert_eq!(partition.durable() + 1, costs.records as i64, "everything is durable");
        costs.ns.sort_unstable();
        costs
    }
}

/// A command as the consumer hands it on.
fn sent(offset: usize, command: &AccountCommand) -> RawRecord {
    let mut value = Vec::new();
    Avro::of(Subject::Commands).encode(command, &mut value);
    let mut headers = HeaderList::new();
    headers.push_text(ORIGIN_MS, &NOW.0.to_string());
    raw(offset, Some(command.account_id.as_str().into()), Some(value), headers)
}

/// What was published, as the next stage's consumer reads it; copied, which leaves the spare room
/// of its buffers behind.
fn read(offset: usize, record: &Publish) -> RawRecord {
    raw(offset, record.key.clone(), record.value.clone(), record.headers.clone())
}

fn raw(
    offset: usize,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: HeaderList,
) -> RawRecord {
    RawRecord {
        partition: 0,
        offset: offset as i64,
        timestamp_ms: NOW.0,
        timestamp_type: TimestampType::LogAppendTime,
        key,
        value,
        headers,
    }
}
