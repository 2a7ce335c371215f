//! Marks: what is remembered of a message so that its repeat has no effect (R1 to R4).
//!
//! Owns the memory of one message: its id, fingerprints of what it said, and the first answer. A
//! mark lives in the item that the message concerns and is written with its effect in one step.

use super::{ids::MessageId, reason::Reason, time::LogTime};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub message_id: MessageId,
    pub sent_at: LogTime,
    /// Fingerprint of all canonical business fields: equal means the same message.
    pub content: i64,
    /// One byte of fingerprint per field, in the order the stage names them: says which differs.
    pub fields: i64,
    pub answer: Answer,
}

/// The first answer, given again to every repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub accepted_minor: i64,
    pub reason: Option<Reason>,
}
