//! The ticks of a partition, folded as a worker folds them: which are fresh, what is in force.
//!
//! Owns the one fold that `rules activate` and `offsets set` judge by. The rule of freshness is the
//! runtime's own; nothing here decides it a second time.

use super::{logs, print::say};
use crate::adapters::kafka::reader::{Reader, Span};
use crate::codec::{
    avro::{Avro, RegistryIds},
    raw::RawRecord,
    schemas::Subject,
};
use crate::config::Config;
use crate::domain::{
    command::{AccountCommand, Command, PARTITION_KEY, Tick},
    event::{AccountEvent, Event},
};
use crate::runtime::context::InForce;
use crate::stages::{Stage, authorisation::Authorisation};
use crate::worker::EXIT_REFUSED;
use std::ops::ControlFlow;

/// The tick that a record is, if it is one: a command, or an event that passes one on.
pub fn tick_of(raw: &RawRecord, ids: &RegistryIds) -> Option<Tick> {
    if raw.key.as_deref() != Some(PARTITION_KEY.as_bytes()) {
        return None;
    }
    let value = raw.value.as_deref()?;
    match Avro::of(Subject::Commands).decode::<AccountCommand>(value, ids) {
        Ok(AccountCommand { body: Command::Tick(tick), .. }) => return Some(tick),
        Ok(_) => return None,
        Err(_) => {}
    }
    match Avro::of(Subject::Events).decode::<AccountEvent>(value, ids).ok()?.body {
        Event::Tick(tick) => Some(tick),
        _ => None,
    }
}

/// What is in force while records go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    pub in_force: InForce,
    /// The latest fresh tick.
    pub fresh_at: Option<i64>,
    /// At a takeover's start the tick becomes the context without a comparison.
    takes_next: bool,
}

/// The record that a takeover would start at is no tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTick;

impl Fold {
    /// `from`: 0, or the offset of a tick that was fresh.
    pub fn starting_at(from: i64) -> Self {
        let in_force = InForce::at_the_beginning(Authorisation::LOGIC_VERSIONS[0]);
        Self { in_force, fresh_at: None, takes_next: from > 0 }
    }

    /// Errors: the record at the start is no tick.
    pub fn take(&mut self, offset: i64, tick: Option<Tick>) -> Result<(), NoTick> {
        let Some(tick) = tick else {
            return if self.takes_next { Err(NoTick) } else { Ok(()) };
        };
        if self.takes_next || self.in_force.is_fresh(tick) {
            self.takes_next = false;
            self.in_force = InForce::of(tick);
            self.fresh_at = Some(offset);
        }
        Ok(())
    }
}

/// Folds a partition from `from` (0, or a fresh tick) up to `end`. Errors: exit code 4 where the
/// record at `from` is no tick.
pub fn fold(
    config: &Config,
    reader: &Reader,
    topic: &str,
    partition: i32,
    (from, end): (i64, i64),
    ids: &RegistryIds,
) -> Result<Fold, i32> {
    let mut fold = Fold::starting_at(from);
    let mut broken = false;
    let span = Span { partition, start: from, end };
    logs::read(config, reader, topic, &[span], |raw| {
        match fold.take(raw.offset, tick_of(&raw, ids)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(NoTick) => {
                broken = true;
                ControlFlow::Break(())
            }
        }
    })?;
    if broken {
        say(&format!(
            "no_start_point: the record at {topic}:{partition}:{from}, the committed offset, is no \
             tick; see `tapline offsets show`"
        ));
        return Err(EXIT_REFUSED);
    }
    Ok(fold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::LogTime;
    use crate::operator::records::tests::{framed, raw};

    fn tick(time: i64, rules_version: i32) -> Tick {
        Tick { time: LogTime(time), rules_version, logic_version: 1 }
    }

    /// Goal: the fold is a worker's: only fresh ticks count, but the first at a takeover does
    /// whatever it says. Method: two logs, one from 0 and one from a commit.
    #[test]
    fn folds() {
        let log = [
            (0, tick(0, 1)),
            (1, tick(10, 1)),
            (2, tick(20, 2)),
            (3, tick(30, 1)),
            (4, tick(20, 2)),
        ];
        let mut from_start = Fold::starting_at(0);
        for (offset, tick) in log {
            assert_eq!(from_start.take(offset, Some(tick)), Ok(()));
        }
        assert_eq!((from_start.fresh_at, from_start.in_force.rules_version), (Some(2), 2));
        let mut taken_over = Fold::starting_at(3);
        assert_eq!(taken_over.take(3, Some(tick(30, 1))), Ok(()));
        assert_eq!(taken_over.take(4, None), Ok(()));
        assert_eq!(taken_over.fresh_at, Some(3));
        assert_eq!(Fold::starting_at(3).take(3, None), Err(NoTick));
    }

    /// Goal: only a partition's own record is a tick. Method: the same value under two keys, and a
    /// broken value.
    #[test]
    fn recognised() {
        let ids = RegistryIds::default();
        let value = framed(PARTITION_KEY, Command::Tick(tick(5, 1)));
        assert_eq!(tick_of(&raw(1, PARTITION_KEY, value.clone()), &ids), Some(tick(5, 1)));
        assert_eq!(tick_of(&raw(1, "acc-1", value), &ids), None);
        assert_eq!(tick_of(&raw(1, PARTITION_KEY, vec![7]), &ids), None);
    }
}
