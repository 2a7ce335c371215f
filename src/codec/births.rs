//! Birth records: the first record of each partition of a stage's input.
//!
//! Owns their values. A birth record changes nothing for whoever reads the topic: where a topic has
//! ticks it is a tick of time 0, which is stale for everybody; else the topic's schema has a body
//! for it. What it is there for, the name of this life of the topic, stands in a header.

use super::{
    avro::Avro,
    schemas::Subject,
    topics::{COMMANDS, EVENTS, FEED_ITEMS, PARTS},
};
use crate::domain::{
    command::{AccountCommand, Command, PARTITION_KEY, Tick},
    event::{AccountEvent, Event},
    time::LogTime,
};
use crate::stages::Topic;

/// Header of a birth record: the id of this life of the topic.
pub const BIRTH: &str = "tapline-birth";

/// Under which every birth record stands; as a partition's ticks do.
pub const BIRTH_KEY: &str = PARTITION_KEY;

const TICK: Tick = Tick { time: LogTime::ZERO, rules_version: 1, logic_version: 1 };

/// The framed value of a topic's birth record; `None`: the topic is no stage's input.
pub fn birth_value(topic: Topic) -> Option<Vec<u8>> {
    match topic {
        COMMANDS => Some(tick_command(TICK)),
        EVENTS => Some(tick_event(TICK)),
        PARTS => Some(framed(Subject::Parts, &super::windows::birth())),
        FEED_ITEMS => Some(framed(Subject::FeedItems, &super::feed::birth())),
        _ => None,
    }
}

/// A tick as a record of the commands topic.
pub fn tick_command(tick: Tick) -> Vec<u8> {
    let command = AccountCommand {
        account_id: PARTITION_KEY.into(),
        message_id: format!("tick-{}", tick.time.0).into(),
        sent_at: tick.time,
        body: Command::Tick(tick),
    };
    framed(Subject::Commands, &command)
}

/// The same as a record of the events topic.
pub fn tick_event(tick: Tick) -> Vec<u8> {
    let event = AccountEvent {
        account_id: PARTITION_KEY.into(),
        message_id: None,
        log_time: tick.time,
        balances: None,
        body: Event::Tick(tick),
    };
    framed(Subject::Events, &event)
}

fn framed(subject: Subject, value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    Avro::of(subject).encode(value, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{avro::RegistryIds, topics::TOPICS};

    /// Goal: whoever reads a topic can read its birth, which says nothing. Method: every input topic
    /// that is written already; ticks of time 0 come back.
    #[test]
    fn births_are_readable() {
        let ids = RegistryIds::default();
        for spec in TOPICS.iter().filter(|spec| spec.has_ticks) {
            let value = birth_value(spec.topic).expect("inputs with ticks have births");
            let tick = match spec.topic {
                COMMANDS => match Avro::of(Subject::Commands).decode(&value, &ids) {
                    Ok(AccountCommand { body: Command::Tick(tick), .. }) => tick,
                    other => panic!("{other:?}"),
                },
                _ => match Avro::of(Subject::Events).decode(&value, &ids) {
                    Ok(AccountEvent { body: Event::Tick(tick), .. }) => tick,
                    other => panic!("{other:?}"),
                },
            };
            assert_eq!(tick, TICK, "{:?}", spec.topic);
        }
        assert!(
            TOPICS
                .iter()
                .filter(|spec| spec.inputs_of.is_empty())
                .all(|spec| { birth_value(spec.topic).is_none() })
        );
    }
}
