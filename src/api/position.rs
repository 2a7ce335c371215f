//! The consistency token: an answer contains everything up to the positions that were asked for.
//!
//! Owns its text (`<incarnation>:<partition>:<offset>` of `payments.events.v1`, several separated by
//! commas), where it may stand, and the waiting. Invariant: an answer names a position only if the
//! read model was known to contain it before the answer's first row was read.

use super::{
    ports::Positions,
    problem::{Answer, Code, Problem},
};
use crate::codec::frame::SourcePos;
use axum::http::HeaderMap;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::Instant;

/// Accepted in questions, given in answers.
pub const HEADER: &str = "tapline-position";

const PARAMETER: &str = "at_least";

/// Positions in one token; more than a log has partitions in any sane set-up.
const POSITIONS_MAX: usize = 256;

/// Between two looks at how far the read model is.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const LOOK_MAX: Duration = Duration::from_secs(1);

/// The furthest offset asked for, by partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(pub BTreeMap<i32, i64>);

impl Asked {
    /// From the parameter and the header; both together mean both.
    pub fn read(
        parameter: Option<&str>,
        headers: &HeaderMap,
        positions: &dyn Positions,
    ) -> Answer<Self> {
        let mut asked = Self::default();
        if let Some(text) = parameter {
            asked.add(PARAMETER, text, positions)?;
        }
        for value in headers.get_all(HEADER) {
            let text = value.to_str().map_err(|_| malformed("Tapline-Position"))?;
            asked.add("Tapline-Position", text, positions)?;
        }
        Ok(asked)
    }

    fn add(&mut self, field: &str, text: &str, positions: &dyn Positions) -> Answer<()> {
        for part in text.split(',').map(str::trim) {
            let position = parse(part).ok_or_else(|| malformed(field))?;
            if position.incarnation != positions.incarnation() {
                let detail = format!(
                    "This log is number {}: a position of another one means nothing here. Read \
                     again without it.",
                    positions.incarnation()
                );
                return Err(Problem::of_field(Code::PositionOfAnotherLog, field, detail));
            }
            if position.partition >= positions.partitions() {
                let detail = format!("The log has {} partitions.", positions.partitions());
                return Err(Problem::of_field(Code::BadParameter, field, detail));
            }
            let furthest = self.0.entry(position.partition).or_default();
            *furthest = position.offset.max(*furthest);
            if self.0.len() > POSITIONS_MAX {
                return Err(malformed(field));
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns when the read model contains all of it. Errors: not within `wait`.
    pub async fn wait(&self, positions: &dyn Positions, wait: Duration) -> Answer<()> {
        if self.is_empty() {
            return Ok(());
        }
        let begin = Instant::now();
        let deadline = begin + wait;
        loop {
            // A look may ask a server: it gets a second even where nobody wants to wait.
            let look = positions.are_reached(self);
            let looked = tokio::time::timeout_at(deadline.max(begin + LOOK_MAX), look).await;
            if looked.unwrap_or(Ok(false))? {
                return Ok(());
            }
            let next = tokio::time::sleep(LOOK_EVERY);
            if tokio::time::timeout_at(deadline, next).await.is_err() {
                let detail = format!(
                    "The feed did not contain the position within {} ms; ask again, with a longer \
                     wait_ms or without it.",
                    wait.as_millis()
                );
                let problem = Problem::of_field(Code::PositionNotReached, PARAMETER, detail);
                return Err(problem.again_after(1));
            }
        }
    }

    /// What an answer may claim: what was asked and waited for, and what was known besides. Text of
    /// the header; empty where nothing is known.
    pub fn shown(&self, incarnation: i32, known: &[SourcePos]) -> String {
        let mut all = self.0.clone();
        for position in known {
            let furthest = all.entry(position.partition).or_insert(position.offset);
            *furthest = position.offset.max(*furthest);
        }
        let texts: Vec<String> = all
            .into_iter()
            .map(|(partition, offset)| SourcePos { incarnation, partition, offset }.to_string())
            .collect();
        texts.join(",")
    }
}

fn malformed(field: &str) -> Problem {
    let detail = "Write <log>:<partition>:<offset> as an answer gave it; several with commas.";
    Problem::of_field(Code::BadParameter, field, detail)
}

fn parse(text: &str) -> Option<SourcePos> {
    let mut parts = text.splitn(3, ':');
    let digits = |part: Option<&str>| {
        part.filter(|part| part.bytes().all(|it| it.is_ascii_digit())).map(str::to_owned)
    };
    Some(SourcePos {
        incarnation: digits(parts.next())?.parse().ok()?,
        partition: digits(parts.next())?.parse().ok()?,
        offset: digits(parts.next())?.parse().ok()?,
    })
}
