//! What one command costs inside the worker, without servers: decode, step, encode, chain, headers,
//! row. Backs the per-record figures of docs/benchmarks.md.
//!
//! `cargo bench --bench hot_path`. Each line is the best of seven rounds: noise only adds.

use std::hint::black_box;
use tapline::{
    codec::{
        self, StageCodec,
        authorisation::AuthorisationCodec,
        avro::{Avro, RegistryIds},
        dead_letter::TimestampType,
        frame::{Chain, OutputId, SourcePos, chain},
        headers::{self, HeaderList, Provenance},
        limits::Sizes,
        partitioner::{bucket_of, partition_of},
        raw::RawRecord,
        rules,
        schemas::Subject,
        snapshot::Row,
    },
    domain::{account::Account, command::AccountCommand, money::Currency, time::LogTime},
    operator::apply::FIRST_RULES,
    producer::{
        authorise_only::{AuthoriseOnly, OPENING_MINOR},
        crowd::{Choice, Crowd},
    },
    runtime::telemetry,
    stages::{
        Cause, Context, Stage,
        authorisation::{Authorisation, Output},
    },
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;
const TIMES: u64 = 100_000;

fn main() {
    codec::init();
    let rules = rules::parse(FIRST_RULES).expect("the shipped rules are valid");
    let context = Context::of(LogTime(1_790_000_000_000), &rules);
    let crowd = Crowd {
        run: "bench".into(),
        accounts: 1,
        currency: Currency::parse("CAD").expect("a currency"),
        opening_minor: OPENING_MINOR,
        with_frozen: false,
        start: context.log_time,
    };
    let mut taps = AuthoriseOnly::new(&crowd, Choice::Uniform, 7);
    let mut head = Account::default();
    let mut apply = |command: &AccountCommand| {
        let key = command.account_id.as_str();
        let cause = Cause::Record(command);
        let done = Authorisation::step(&context, key, &head, cause).expect("a valid command");
        if let Some(change) = done.change {
            Authorisation::apply(&mut head, change);
        }
        done.effects
    };
    crowd.openings().for_each(|command| drop(apply(&command)));
    let mut effects = Vec::new();
    for _ in 0..5 {
        effects = apply(&taps.next_at(context.log_time));
    }
    let command = taps.next_at(context.log_time);
    let key = command.account_id.as_str().to_owned();
    let Output::Event(event) = &effects[0].body else { panic!("a tap gives an event") };

    let codec = AuthorisationCodec::new(4, Sizes::default(), RegistryIds::default(), "");
    let (commands, events) = (Avro::of(Subject::Commands), Avro::of(Subject::Events));
    let (mut command_bytes, mut event_bytes, mut row_bytes) = (Vec::new(), Vec::new(), Vec::new());
    commands.encode(&command, &mut command_bytes);
    events.encode(event, &mut event_bytes);
    let row = Row { state: head.clone(), pos: 123_456, ..Row::default() };
    codec.encode_row(&row, &mut row_bytes);
    let raw = RawRecord {
        partition: partition_of(key.as_bytes(), 4),
        offset: 123_456,
        timestamp_ms: context.log_time.0,
        timestamp_type: TimestampType::LogAppendTime,
        key: Some(key.clone().into_bytes()),
        value: Some(command_bytes.clone()),
        headers: HeaderList::new(),
    };
    println!(
        "bytes: command {}, event {}, row with 5 payments {}",
        command_bytes.len(),
        event_bytes.len(),
        row_bytes.len()
    );
    let mut buffer = Vec::with_capacity(4_096);
    time("decode the command, all checks", || {
        black_box(codec.decode(black_box(&raw)).expect("valid"));
    });
    time("step: authorise on 5 payments", || {
        let cause = Cause::Record(black_box(&command));
        black_box(Authorisation::step(&context, &key, &head, cause).expect("valid"));
    });
    time("deadline of 5 payments", || {
        black_box(Authorisation::deadline(&key, black_box(&head), &rules));
    });
    time("encode the event", || {
        buffer.clear();
        events.encode(black_box(event), &mut buffer);
    });
    time("chain", || {
        black_box(chain(&Chain::default(), black_box(&event_bytes)));
    });
    let source = SourcePos { incarnation: 1, partition: 3, offset: 123_456 };
    let id = OutputId { source, key: None, index: 0 };
    let ce_time = headers::ce_time(context.log_time);
    time("headers of the event", || {
        black_box(headers::headers(&Provenance {
            id: &id,
            stage: Authorisation::NAME,
            ce_type: "tapline.payment.authorised.v1",
            ce_time: &ce_time,
            link: Some((12, Chain::default())),
            cause: &raw,
        }));
    });
    time("encode the row", || {
        buffer.clear();
        codec.encode_row(black_box(&row), &mut buffer);
    });
    time("decode the row (takeover)", || {
        black_box(codec.decode_row(black_box(&row_bytes)).expect("valid"));
    });
    time("bucket of the key", || {
        black_box(bucket_of(black_box(key.as_bytes()), 16));
    });
}

fn time(name: &str, mut work: impl FnMut()) {
    (0..TIMES / 5).for_each(|_| work());
    let mut best_ns = u64::MAX;
    for _ in 0..ROUNDS {
        let begun_ns = telemetry::steady_ns();
        (0..TIMES).for_each(|_| work());
        best_ns = best_ns.min(telemetry::steady_ns() - begun_ns);
    }
    println!("{name:<34} {:>7} ns", best_ns / TIMES);
}
