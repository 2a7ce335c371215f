//! Records as bytes: what is taken, what is refused, and what comes out.

use crate::{
    desk::{Desk, codec},
    driver::{World, rules},
    events::{
        PARTITIONS, check_what_is_taken, event_record, events, plain_event, poison, tick_event,
    },
};
use serde_json::Value as Json;
use tapline::{
    codec::{
        StageCodec,
        avro::{Avro, RegistryIds},
        raw::RawRecord,
        schemas::{self, Subject},
    },
    domain::{
        event::{AccountEvent, Balances},
        ledger::{Address, PostingKind, PostingSet},
        money::Currency,
        reason::Reason,
        time::LogTime,
    },
    stages::{
        Cause, Context, Poison, Refused, Stage,
        settlement::posting::{Head, Output, Posting},
    },
};

/// Goal: an event is taken only where it belongs, and a key that is a part's diverts nobody.
/// Method: a table of good records with one thing changed.
#[test]
fn what_is_taken() {
    let codec = codec();
    check_what_is_taken(&codec);
    let good = event_record("acc-1", &plain_event("acc-1"));
    let elsewhere = RawRecord { partition: (good.partition + 1) % PARTITIONS, ..good.clone() };
    assert_eq!(codec.divertible_key(&elsewhere), None);
    let of_nobody = event_record("tapline.partition", &plain_event("acc-1"));
    assert_eq!(codec.decode(&of_nobody), poison("wrong_key"));
    let part = event_record("part:visa/EUR", &plain_event("part:visa/EUR"));
    assert_eq!(codec.decode(&part), poison("key_reserved"));
    assert_eq!(codec.divertible_key(&part), None);
    let cut = RawRecord { value: Some(vec![0xC3, 0x01, 0]), ..good };
    assert_eq!(codec.decode(&cut), poison("wrong_magic"));
}

/// Goal: the stage itself refuses an account that is named like a part. Method: its step.
#[test]
fn a_reserved_account() {
    let rules = rules();
    let event = AccountEvent {
        balances: Some(Balances {
            currency: Currency::parse("EUR").expect("three letters"),
            booked_minor: 0,
            held_minor: 0,
            overdraft_limit_minor: 0,
        }),
        ..plain_event("part:visa/EUR")
    };
    let context = Context::of(LogTime(5), &rules);
    let refused = Posting::step(&context, "part:visa/EUR", &Head::default(), Cause::Record(&event));
    assert_eq!(refused, Err(Refused::Poison(Poison { code: "key_reserved" })));
}

/// Goal: sets and parts survive their bytes. Method: those of a short history, read back.
#[test]
fn outputs_as_bytes() {
    let mut desk = Desk::new(rules());
    let mut world = World::funded(10_000);
    world.run("auth p1 500");
    world.run("present p1 500 last");
    world.run("credit 5 cur=USD");
    desk.take(&tick_event(world.clock)).expect("a tick");
    for event in events(&world.outputs) {
        desk.take(event).expect("an event");
    }
    desk.take(&tick_event(world.clock.plus_ms(86_400_000))).expect("a tick");
    let (codec, ids) = (codec(), RegistryIds::default());
    assert!(desk.sets.len() == 4 && desk.parts.len() > 9);
    for set in &desk.sets {
        let mut bytes = Vec::new();
        let output = Output::Posting(set.clone());
        codec.encode_output(&output, &mut bytes);
        assert_eq!(codec.ce_type(&output), "tapline.ledger.posted.v1");
        let read: PostingSet = Avro::of(Subject::Postings).decode(&bytes, &ids).expect("ours");
        assert_eq!(read, *set);
    }
}

/// Goal: a variant that no schema knows can never be written: what is written by its number would
/// be read as nothing. Method: the symbols of each enum, in every schema that has it, are the
/// variants in order, down to the last.
#[test]
fn symbols_are_variants() {
    fn check<T: serde::de::DeserializeOwned>(name: &str, number: fn(&T) -> usize, count: usize) {
        let mut seen = 0;
        for version in schemas::versions() {
            let json = serde_json::from_str(version.text).expect("a schema is JSON");
            let Some(symbols) = symbols(&json, name) else { continue };
            seen += 1;
            let at = format!("{name} in {} {}", version.subject.name(), version.number);
            assert_eq!(symbols.len(), count, "{at}");
            for (place, symbol) in symbols.iter().enumerate() {
                let variant: T = serde_json::from_value(symbol.clone()).expect(&at);
                assert_eq!(number(&variant), place, "{at}: {symbol}");
            }
        }
        assert!(seen > 0, "no schema has {name}");
    }
    check("Reason", |reason: &Reason| *reason as usize, Reason::ExceedsCleared as usize + 1);
    check("Address", |at: &Address| *at as usize, Address::FxPosition as usize + 1);
    let last = PostingKind::Suspense as usize + 1;
    check("PostingKind", |kind: &PostingKind| *kind as usize, last);
}

/// Of the enum of that name, wherever it is written out.
fn symbols<'j>(json: &'j Json, name: &str) -> Option<&'j Vec<Json>> {
    match json {
        Json::Object(fields) if fields.get("name").is_some_and(|own| own == name) => {
            fields.get("symbols").and_then(Json::as_array)
        }
        Json::Object(fields) => fields.values().find_map(|json| symbols(json, name)),
        Json::Array(items) => items.iter().find_map(|json| symbols(json, name)),
        _ => None,
    }
}
