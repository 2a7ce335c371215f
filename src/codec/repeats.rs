//! Repeats: what a worker publishes again after a takeover has an id that was there before.
//!
//! Owns how a reader tells them from what is new. Outputs of one partition are published in the
//! order of its input and a next worker begins at or before what is undone, so one id for each
//! source partition is enough to know a repeat by. Never looks at what a record says.

use super::frame::OutputId;
use std::collections::BTreeMap;

/// Within one source partition ids ascend by offset, key and index.
type Place = (i64, Box<str>, i32);

/// The newest output of each source partition, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Newest(BTreeMap<(i32, i32, i32), Place>);

impl Newest {
    /// Whether a record of this partition is none that was there before; remembers it. Records of
    /// the outside have no id and are always new.
    pub fn is_new(&mut self, partition: i32, source: Option<&OutputId>) -> bool {
        let Some(id) = source else { return true };
        let place = (id.source.offset, id.key.clone().unwrap_or_default(), id.index);
        let log = (partition, id.source.incarnation, id.source.partition);
        let is_new = self.0.get(&log).is_none_or(|newest| *newest < place);
        if is_new {
            self.0.insert(log, place);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what a takeover published again counts once, whoever else writes. Method: ids as a log
    /// holds them after a worker lost its partition in the middle; outside records have none.
    #[test]
    fn repeats_are_left_out() {
        let mut newest = Newest::default();
        for (partition, id, is_new) in [
            (0, Some("1:0:10:0"), true),
            (0, Some("1:0:10:1"), true),
            (0, Some("1:0:11:0:"), true),
            (0, Some("1:0:11:0:acc-1"), true),
            (0, Some("1:0:11:1:acc-1"), true),
            (0, Some("1:0:11:0:acc-2"), true),
            (0, None, true),
            (0, Some("1:0:10:1"), false),
            (0, Some("1:0:11:0:acc-1"), false),
            (0, Some("1:0:11:0:acc-2"), false),
            (0, Some("1:0:12:0"), true),
            (0, None, true),
            // Another source partition, another life of the log, another partition.
            (0, Some("1:3:4:0"), true),
            (0, Some("2:0:4:0"), true),
            (1, Some("1:0:10:0"), true),
            (0, Some("1:3:4:0"), false),
        ] {
            let id: Option<OutputId> = id.map(|text| text.parse().expect("an id"));
            assert_eq!(newest.is_new(partition, id.as_ref()), is_new, "{partition} {id:?}");
        }
    }
}
