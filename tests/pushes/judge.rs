//! What must hold: invariant P10 of the design, said of logs and journals alone.
//!
//! Knows nothing of the executor. What was owed is worked out anew from the log by the stage's pure
//! part; what happened is in the gateways' journal and on the topics.

use super::records::PARTITIONS;
use super::world::World;
use crate::codec::{avro::Avro, avro::RegistryIds, headers::SRC, schemas::Subject};
use crate::domain::{
    feed::FeedRecord,
    push::{Obligation, Outcome, PushOutcome},
};
use crate::runtime::sabotage::{self, Bug};
use crate::stages::push;
use std::collections::{BTreeMap, BTreeSet};

/// Which invariant, and what was found.
pub type Violation = (&'static str, String);

pub struct Owed {
    pub partition: i32,
    /// Of the first record that says it.
    pub offset: i64,
    pub obligation: Obligation,
    pub replayed: bool,
    /// More than one record says it. After a crash a copy may be met alone, at its later place.
    pub copied: bool,
}

/// Every obligation of the log, by id.
pub fn obligations(world: &World) -> BTreeMap<String, Owed> {
    let mut owed: BTreeMap<String, Owed> = BTreeMap::new();
    for (partition, records) in &world.log {
        for raw in records {
            let value = raw.value.as_deref().unwrap_or_default();
            let decoded =
                Avro::of(Subject::FeedItems).decode::<FeedRecord>(value, &RegistryIds::default());
            let Ok(record) = decoded else { continue };
            let id = raw.headers.text(SRC).expect("records of the world have ids");
            let origin_ms = raw.headers.text("tapline-origin-ms").and_then(|it| it.parse().ok());
            let origin_ms = origin_ms.expect("records of the world have an origin");
            let Some(obligation) = push::obligation(&record, id, origin_ms) else { continue };
            let (partition, offset) = (*partition, raw.offset);
            let replayed = raw.is_redriven();
            let one = Owed { partition, offset, obligation, replayed, copied: false };
            owed.entry(id.to_owned()).and_modify(|first| first.copied = true).or_insert(one);
        }
    }
    owed
}

/// The outcomes as a reader takes them: the first of an id counts.
pub fn outcomes(world: &World) -> Vec<PushOutcome> {
    let mut known = BTreeSet::new();
    let mut highest: BTreeMap<(i32, i32), i64> = BTreeMap::new();
    let mut found = Vec::new();
    for stored in &world.outcomes {
        let value = stored.record.value.as_deref().unwrap_or_default();
        let outcome = Avro::of(Subject::PushOutcomes)
            .decode::<PushOutcome>(value, &RegistryIds::default())
            .expect("outcomes decode");
        if sabotage::on(Bug::PushOutcomesReadByWatermark) {
            let text = stored.record.headers.text(SRC).unwrap_or_default();
            let id: crate::codec::frame::OutputId = text.parse().expect("an id");
            let mark = highest.entry((id.source.incarnation, id.source.partition)).or_insert(-1);
            if id.source.offset <= *mark {
                continue;
            }
            *mark = id.source.offset;
        }
        if known.insert(outcome.obligation_id.clone()) {
            found.push(outcome);
        }
    }
    found
}

/// At a commit: everything below has its outcome or dead letter stored.
pub fn at_commit(world: &World, partition: i32, next: i64) -> Option<Violation> {
    let stored: BTreeSet<&str> =
        world.outcomes.iter().filter_map(|it| it.record.headers.text(SRC)).collect();
    let letters: BTreeSet<&str> =
        world.letters.iter().filter_map(|it| it.record.headers.text(SRC)).collect();
    for raw in world.log[&partition].iter().filter(|raw| raw.offset < next) {
        let id = raw.headers.text(SRC).expect("records of the world have ids");
        let is_letter = raw.value.as_deref() == Some(b"no frame");
        let is_silent = || !obligations_of(raw);
        let done = if is_letter { letters.contains(id) } else { stored.contains(id) };
        if !done && (is_letter || !is_silent()) {
            let at = raw.offset;
            let found = format!("{partition} committed {next}, but {id} at {at} is open");
            return Some(("P1 no hole below the committed offset", found));
        }
    }
    (next > world.log_end(partition))
        .then(|| ("P5 offsets true", format!("{partition} committed {next} beyond the end")))
}

fn obligations_of(raw: &crate::codec::raw::RawRecord) -> bool {
    let value = raw.value.as_deref().unwrap_or_default();
    Avro::of(Subject::FeedItems)
        .decode::<FeedRecord>(value, &RegistryIds::default())
        .is_ok_and(|record| push::obligation(&record, "0:0:0:0", 0).is_some())
}

pub fn at_the_end(world: &World) -> Option<Violation> {
    let owed = obligations(world);
    drained(world)
        .or_else(|| ends(world, &owed))
        .or_else(|| delivered(world))
        .or_else(|| reasons(world, &owed))
        .or_else(|| keys(world))
        .or_else(|| order(world, &owed))
        .or_else(|| hushed(world, &owed))
}

fn drained(world: &World) -> Option<Violation> {
    (0..PARTITIONS).find_map(|partition| {
        let (committed, end) = (world.committed[&partition], world.log_end(partition));
        (committed != end).then(|| ("P12 drains", format!("{partition}: {committed} of {end}")))
    })
}

fn ends(world: &World, owed: &BTreeMap<String, Owed>) -> Option<Violation> {
    let found: BTreeMap<String, PushOutcome> =
        outcomes(world).into_iter().map(|it| (it.obligation_id.to_string(), it)).collect();
    for stored in &world.outcomes {
        let source = stored.record.headers.text(SRC).unwrap_or_default();
        if !owed.contains_key(source) {
            return Some(("P10 outcomes have the record's id", source.to_owned()));
        }
    }
    for (id, outcome) in &found {
        let Some(owed) = owed.get(id) else {
            return Some(("P10 outcomes have the record's id", id.clone()));
        };
        if (&outcome.title, &outcome.body) != (&owed.obligation.title, &owed.obligation.body) {
            return Some(("P10 outcomes say what was owed", id.clone()));
        }
    }
    let open = owed.keys().find(|id| !found.contains_key(*id));
    open.map(|id| ("P10 each obligation ends", id.clone()))
}

/// Every outcome that says so, also a second one of its id.
fn delivered(world: &World) -> Option<Violation> {
    for stored in &world.outcomes {
        let value = stored.record.value.as_deref().unwrap_or_default();
        let outcome = Avro::of(Subject::PushOutcomes)
            .decode::<PushOutcome>(value, &RegistryIds::default())
            .expect("outcomes decode");
        let is_delivered = outcome.outcome == Outcome::Delivered;
        let sent = outcome.sends.iter().filter(|send| send.outcome == Outcome::Delivered);
        if is_delivered != (sent.clone().count() > 0) {
            let found = format!("{}: {:?}", outcome.obligation_id, outcome.sends);
            return Some(("P10 delivered means accepted", found));
        }
        for send in sent {
            let accepted = world.journal.iter().any(|request| {
                request.accepted
                    && request.notification.key == send.key
                    && request.at_ms <= stored.at_ms
            });
            if !accepted {
                return Some(("P10 delivered means accepted", send.key.to_string()));
            }
        }
    }
    None
}

/// An outcome without a send has a reason that is true.
fn reasons(world: &World, owed: &BTreeMap<String, Owed>) -> Option<Violation> {
    let age_max_ms = world.settings.age_max.as_millis() as i64;
    let times: BTreeMap<&str, i64> = world
        .outcomes
        .iter()
        .rev()
        .filter_map(|it| Some((it.record.headers.text(SRC)?, it.at_ms)))
        .collect();
    for outcome in outcomes(world) {
        let Some(owed_one) = owed.get(&*outcome.obligation_id) else { continue };
        let obligation = &owed_one.obligation;
        let newer = || {
            owed.values().any(|other| {
                other.obligation.line == obligation.line
                    && other.obligation.version > obligation.version
            })
        };
        let is_right = match outcome.outcome {
            Outcome::Expired => {
                times.get(&*outcome.obligation_id).copied().unwrap_or(0)
                    >= obligation.origin_ms + age_max_ms
            }
            Outcome::Superseded => newer(),
            Outcome::Muted => world.mute || owed_one.replayed,
            Outcome::Rejected => outcome.sends.iter().all(|send| send.outcome == Outcome::Rejected),
            Outcome::Delivered | Outcome::Preference => !world.mute && !owed_one.replayed,
            Outcome::Unknown => false,
        };
        if !is_right {
            let found = format!("{} {:?}", outcome.obligation_id, outcome.outcome);
            return Some(("P10 the reason is true", found));
        }
    }
    None
}

fn keys(world: &World) -> Option<Violation> {
    let mut said = BTreeMap::new();
    let mut of_device = BTreeMap::new();
    for request in &world.journal {
        let key = &request.notification.key;
        if key.len() > 64 || !key.is_ascii() {
            return Some(("P10 keys fit a collapse id", key.to_string()));
        }
        let first = said.entry(key).or_insert(&request.notification);
        if *first != &request.notification {
            return Some(("P10 one body per key", key.to_string()));
        }
        let device = (&request.id, request.platform, &request.token);
        if *of_device.entry(device).or_insert(key) != key {
            return Some(("P10 one key per obligation and device", key.to_string()));
        }
    }
    None
}

/// In each life of a worker a customer's first sends stand in the order of the log; and so they do
/// at each gateway by itself.
fn order(world: &World, owed: &BTreeMap<String, Owed>) -> Option<Violation> {
    let mut seen = BTreeSet::new();
    let mut newest: BTreeMap<(u64, i32, &str, Option<_>), i64> = BTreeMap::new();
    for request in &world.journal {
        let Some(owed) = owed.get(&*request.id) else {
            return Some(("P10 only what is owed is sent", request.id.to_string()));
        };
        if owed.copied {
            continue;
        }
        for gateway in [None, Some(request.platform)] {
            if !seen.insert((request.life, &request.id, gateway)) {
                continue;
            }
            let customer = owed.obligation.customer_id.as_str();
            let place = (request.life, owed.partition, customer, gateway);
            let newest = newest.entry(place).or_insert(-1);
            if owed.offset < *newest {
                let found = format!("{} of {customer} after {newest}", request.id);
                return Some(("order of a customer", found));
            }
            *newest = owed.offset;
        }
    }
    None
}

fn hushed(world: &World, owed: &BTreeMap<String, Owed>) -> Option<Violation> {
    let is_hushed = |id: &str| world.mute || owed.get(id).is_some_and(|owed| owed.replayed);
    let sent = world.journal.iter().find(|request| is_hushed(&request.id));
    sent.map(|request| ("P10 nothing is sent when mute or replayed", request.id.to_string()))
}
