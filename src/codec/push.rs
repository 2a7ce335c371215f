//! The codec of the push stage: feed records in, outcomes and dead letters out.
//!
//! Owns the order of checks of a feed record as a record, and the headers of an outcome: it goes out
//! under the feed record's own id, which is the id of the obligation. A record that says something
//! must have such an id; without one nobody could recognise a repeat of it.

use super::{
    DecodeError,
    avro::{Avro, RegistryIds},
    dead_letter::{Letter, Origin},
    feed,
    headers::{HeaderList, Provenance, ce_time, headers},
    inlet::Inlet,
    limits::Sizes,
    raw::RawRecord,
    schemas::Subject,
    topics::FEED_ITEMS,
};
use crate::domain::{
    feed::{FeedBody, FeedRecord},
    push::{Outcome, PushOutcome},
    time::LogTime,
};
use crate::stages::{Poison, push::NAME};

#[derive(Clone)]
pub struct PushCodec {
    inlet: Inlet,
    outcomes: &'static Avro,
}

impl PushCodec {
    /// `partitions`: the partition count of the input topic, at least 1. `sizes`: those of commands;
    /// an item repeats what they said, with its history.
    pub fn new(partitions: i32, sizes: Sizes, ids: RegistryIds, topic_prefix: &str) -> Self {
        Self {
            inlet: Inlet::new(partitions, sizes, ids, topic_prefix),
            outcomes: Avro::of(Subject::PushOutcomes),
        }
    }

    /// Errors: those of `feed::decode_record`, `id_missing` where a record has no id of ours.
    pub fn decode(&self, record: &RawRecord) -> Result<FeedRecord, DecodeError> {
        let Inlet { partitions, sizes, ids, .. } = &self.inlet;
        let decoded = feed::decode_record(record, *partitions, sizes, ids)?;
        let is_birth = matches!(decoded.body, FeedBody::Birth(_));
        if !is_birth && record.source().is_none() {
            return Err(DecodeError::poison("id_missing"));
        }
        Ok(decoded)
    }

    pub fn dead_letter(&self, raw: &RawRecord, poison: Poison) -> Letter {
        let origin = Origin { raw, stage: NAME, input: FEED_ITEMS, poison };
        self.inlet.dead_letter(&origin)
    }

    /// Value and headers. `cause`: the feed record; its value is not needed. `log_time`: its own.
    pub fn outcome(
        &self,
        outcome: &PushOutcome,
        cause: &RawRecord,
        log_time: LogTime,
    ) -> (Vec<u8>, HeaderList) {
        let id = cause.source().expect("a record without an id obliges to nothing: see `decode`");
        let mut value = Vec::new();
        self.outcomes.encode(outcome, &mut value);
        let provenance = Provenance {
            id: &id,
            stage: NAME,
            ce_type: ce_type(outcome.outcome),
            ce_time: &ce_time(log_time),
            link: None,
            cause,
        };
        (value, headers(&provenance))
    }
}

fn ce_type(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unknown => "tapline.push.unknown.v1",
        Outcome::Delivered => "tapline.push.delivered.v1",
        Outcome::Rejected => "tapline.push.rejected.v1",
        Outcome::Expired => "tapline.push.expired.v1",
        Outcome::Muted => "tapline.push.muted.v1",
        Outcome::Preference => "tapline.push.preference.v1",
        Outcome::Superseded => "tapline.push.superseded.v1",
    }
}

#[cfg(test)]
mod tests {
    use crate::{domain::money::Currency, stages::push::decimals};

    /// Goal: the stage, which knows no library, writes amounts as ISO 4217 does. Method: all codes
    /// of the library's table.
    #[test]
    fn decimals_are_those_of_the_table() {
        let letters = || (b'A'..=b'Z').map(char::from);
        let mut known = 0;
        for code in letters()
            .flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])))
            .map(|code| code.iter().collect::<String>())
        {
            let Some(theirs) = iso_currency::Currency::from_code(&code) else { continue };
            let Some(places) = theirs.exponent() else { continue };
            let own = Currency::parse(&code).expect("three letters");
            assert_eq!(decimals(own), u32::from(places), "{code}");
            known += 1;
        }
        assert!(known > 150, "{known}");
    }
}
