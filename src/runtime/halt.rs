//! Why a partition stands still: the reasons, each with its stable code.
//!
//! Owns the list. None of these loses anything: the record stays where it is, nothing of it has
//! happened, and what was applied before it is sealed as always. What an operator is told about each
//! is the shell's business.

use crate::codec::avro::Schema;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The record was written with a schema this build does not know: we are older than its writer.
    SchemaUnknown { offset: i64, schema: Schema },
    /// A tick activates logic this build does not have.
    LogicUnknown { offset: i64, version: i32 },
    /// Too many dead letters; waits for an operator's release.
    FuseBlown { offset: i64 },
    /// The committed offset does not stand at a tick (pipeline.md section 6).
    StartIsNoTick { offset: i64 },
    /// A row of the store cannot be read.
    StateUnreadable { key: String, reason: String },
    /// A stored position lies at or above the end of the log.
    StateAhead { key: String, pos: i64 },
    /// The record does not fit what the stage knows of the key: an invariant is broken.
    Disagreement { offset: i64, key: String, code: &'static str },
}

impl Halt {
    /// Stable code for logs, metrics and runbooks.
    pub fn code(&self) -> &'static str {
        match self {
            Halt::SchemaUnknown { .. } => "schema_unknown",
            Halt::LogicUnknown { .. } => "logic_unknown",
            Halt::FuseBlown { .. } => "fuse_blown",
            Halt::StartIsNoTick { .. } => "no_start_point",
            Halt::StateUnreadable { .. } => "state_unreadable",
            Halt::StateAhead { .. } => "offset_outside_log",
            Halt::Disagreement { code, .. } => code,
        }
    }
}
