//! The context of a record: what the latest fresh tick said.
//!
//! Owns the rule of freshness (pipeline.md section 2). A tick is fresh iff its time is later than
//! the clock and neither of its versions is lower than the active one; then it becomes the context,
//! whole. Anything else is stale and does nothing, so repeated, late and doubled tickers are
//! harmless. The record a takeover starts at is the context without a comparison: it was fresh.

#[cfg(test)]
use super::sabotage::{self, Bug};
use crate::domain::{command::Tick, time::LogTime};

/// Clock and versions in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    pub time: LogTime,
    pub rules_version: i32,
    pub logic_version: i32,
}

impl InForce {
    /// Before the first tick: time 0 and the first versions.
    pub fn at_the_beginning(first_logic_version: i32) -> Self {
        Self { time: LogTime::ZERO, rules_version: 1, logic_version: first_logic_version }
    }

    pub fn of(tick: Tick) -> Self {
        Self {
            time: tick.time,
            rules_version: tick.rules_version,
            logic_version: tick.logic_version,
        }
    }

    pub fn is_fresh(&self, tick: Tick) -> bool {
        #[cfg(test)]
        if sabotage::on(Bug::OlderVersionMovesClock) {
            return tick.time > self.time;
        }
        tick.time > self.time
            && tick.rules_version >= self.rules_version
            && tick.logic_version >= self.logic_version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: only a later tick that lowers no version becomes the context. Method: a table.
    #[test]
    fn freshness() {
        let now = InForce { time: LogTime(100), rules_version: 2, logic_version: 1 };
        for (name, time, rules_version, logic_version, fresh) in [
            ("later", 101, 2, 1, true),
            ("same time", 100, 2, 1, false),
            ("same time, newer rules", 100, 3, 1, false),
            ("earlier", 99, 2, 1, false),
            ("later, newer rules", 101, 3, 1, true),
            ("later, older rules", 101, 1, 1, false),
            ("later, newer logic", 101, 2, 2, true),
            ("later, older logic", 101, 3, 0, false),
        ] {
            let tick = Tick { time: LogTime(time), rules_version, logic_version };
            assert_eq!(now.is_fresh(tick), fresh, "{name}");
        }
    }
}
