//! The producer's journal (P12): what it knows of its sends, against what was decided.
//!
//! Owns counting decisions per message. A journal line says what the producer knew at that time;
//! the strongest word on a message counts. Messages that became dead letters are decided too, and
//! are found by the position that the broker acknowledged.

use super::{
    evidence::{JournalLine, SendState},
    verdict::{Invariant, Place, Verdict},
};
use std::collections::HashMap;

struct Send {
    state: SendState,
    decisions: u32,
    /// Offset of the first record that bore the message, for the order of findings.
    place: Option<Place>,
}

/// Absent journal: nothing is counted.
pub struct Sends<'a> {
    by_message: HashMap<&'a str, Send>,
    acked_at: HashMap<Place, &'a str>,
}

impl<'a> Sends<'a> {
    pub fn of(journal: &'a [JournalLine]) -> Self {
        let mut sends = Self { by_message: HashMap::new(), acked_at: HashMap::new() };
        for line in journal {
            let new = Send { state: line.state, decisions: 0, place: None };
            let send = sends.by_message.entry(&line.message_id).or_insert(new);
            send.state = send.state.max(line.state);
            if let (SendState::Acked, Some(partition), Some(offset)) =
                (line.state, line.partition, line.offset)
            {
                let place = Place { offset, partition };
                send.place = send.place.or(Some(place));
                sends.acked_at.insert(place, &line.message_id);
            }
        }
        sends
    }

    /// A command that could be read stands here.
    pub fn stands(&mut self, place: Place, message_id: &str, verdict: &mut Verdict) {
        if let Some(expected) = self.acked_at.get(&place) {
            let at = (place, *expected);
            verdict.same(
                Invariant::P12,
                at,
                "message at its acked position",
                (expected, &message_id),
            );
        }
        if let Some(send) = self.by_message.get_mut(message_id) {
            send.place = send.place.or(Some(place));
        }
    }

    pub fn decided(&mut self, message_id: &str) {
        if let Some(send) = self.by_message.get_mut(message_id) {
            send.decisions += 1;
        }
    }

    /// The record waits for the next owner, who decides it: at most one decision until then.
    pub fn owed(&mut self, message_id: &str) {
        if let Some(send) = self.by_message.get_mut(message_id) {
            send.state = send.state.min(SendState::Unknown);
        }
    }

    /// The record became a dead letter: that decides its message, unless it was decided before.
    pub fn refused(&mut self, place: Place, message_id: Option<&str>) {
        let acked = self.acked_at.get(&place).copied();
        let Some(message_id) = acked.or(message_id) else { return };
        if let Some(send) = self.by_message.get_mut(message_id) {
            send.decisions = send.decisions.max(1);
        }
    }

    pub fn judge(self, verdict: &mut Verdict) {
        for (message_id, send) in self.by_message {
            verdict.checked(Invariant::P12);
            let (right, expected) = match send.state {
                SendState::Acked => (send.decisions == 1, "acked: exactly one decision"),
                SendState::Unknown | SendState::Planned => {
                    (send.decisions <= 1, "unknown: at most one decision")
                }
                SendState::NeverSent => (send.decisions == 0, "never sent: no decision"),
            };
            if !right {
                let place = send.place.unwrap_or(Place { offset: i64::MAX, partition: i32::MAX });
                let found = format!("{} decisions", send.decisions);
                verdict.breach(Invariant::P12, place, message_id, expected, found);
            }
        }
    }
}
