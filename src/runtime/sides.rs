//! Side rows: items that left the head, and how a record gets one back.
//!
//! Owns the reads that were asked for and the partition's own versions that the store may not have
//! yet. The newest of the store's answer and our own version counts. An own version is kept until it
//! is acknowledged *and* every record whose read was asked for before that is applied: such a read
//! may have looked before the write landed.

use crate::runtime::ports::RowWrite;
#[cfg(test)]
use crate::runtime::sabotage::{self, Bug};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Asked, not yet answered.
    Awaited,
    /// The newest version, if there is any.
    Version(Option<(i64, Vec<u8>)>),
}

struct OwnVersion {
    pos: i64,
    bytes: Vec<u8>,
    /// Acknowledged when all records below this offset are applied, it may go.
    expendable_after: Option<i64>,
}

#[derive(Default)]
pub struct Sides {
    /// (record, item) -> answer
    asked: BTreeMap<(i64, Box<str>), Answer>,
    own: HashMap<(Arc<str>, Box<str>), OwnVersion>,
    /// Versions that no seal has taken yet.
    unsealed: Vec<RowWrite>,
    /// Versions of the open seal.
    sealed: Vec<(Arc<str>, Box<str>, i64)>,
}

impl Sides {
    /// Notes that a read is asked for; `false` where it already is.
    pub fn ask(&mut self, below: i64, item: &str) -> bool {
        let place = (below, Box::from(item));
        if self.asked.contains_key(&place) {
            return false;
        }
        self.asked.insert(place, Answer::Awaited);
        true
    }

    pub fn answer(&mut self, below: i64, item: Box<str>, version: Option<(i64, Vec<u8>)>) {
        if let Some(answer) = self.asked.get_mut(&(below, item)) {
            *answer = Answer::Version(version);
        }
    }

    /// `None`: not asked yet. The newest of answer and own version otherwise; an own version does
    /// not make an awaited answer unnecessary, because it may be older than what is stored.
    pub fn look_up(&self, key: &Arc<str>, item: &str, below: i64) -> Option<Answer> {
        let answer = self.asked.get(&(below, Box::from(item)))?;
        let Answer::Version(stored) = answer else { return Some(Answer::Awaited) };
        let own = self.own.get(&(key.clone(), Box::from(item)));
        #[cfg(test)]
        let own = own.filter(|_| stored.is_none() || !sabotage::on(Bug::AnswerPreferredToOwn));
        let newest = match (stored, own) {
            (Some((pos, _)), Some(own)) if own.pos >= *pos => Some((own.pos, own.bytes.clone())),
            (None, Some(own)) => Some((own.pos, own.bytes.clone())),
            (stored, _) => stored.clone(),
        };
        Some(Answer::Version(newest))
    }

    /// An item leaves the head at `pos`.
    pub fn leave(&mut self, key: &Arc<str>, item: &str, pos: i64, bytes: Vec<u8>) {
        self.own.insert(
            (key.clone(), item.into()),
            OwnVersion { pos, bytes: bytes.clone(), expendable_after: None },
        );
        self.unsealed.push(RowWrite::side(key.clone(), item.into(), pos, bytes.into()));
    }

    /// Hands the new versions to a seal.
    pub fn take_unsealed(&mut self) -> Vec<RowWrite> {
        let rows = std::mem::take(&mut self.unsealed);
        self.sealed = rows
            .iter()
            .filter_map(|row| Some((row.key.clone(), row.item.clone()?, row.pos)))
            .collect();
        rows
    }

    /// The open seal's versions are stored; reads of records up to `asked_through` may predate it.
    pub fn stored(&mut self, asked_through: i64) {
        for (key, item, pos) in std::mem::take(&mut self.sealed) {
            if let Some(own) = self.own.get_mut(&(key, item))
                && own.pos == pos
            {
                own.expendable_after = Some(asked_through);
                #[cfg(test)]
                if sabotage::on(Bug::OwnDroppedAtAck) {
                    own.expendable_after = Some(-1);
                }
            }
        }
    }

    /// Everything up to `offset` is applied.
    pub fn applied(&mut self, offset: i64) {
        while self.asked.first_key_value().is_some_and(|((below, _), _)| *below <= offset) {
            self.asked.pop_first();
        }
        if !self.own.is_empty() {
            self.own.retain(|_, own| own.expendable_after.is_none_or(|after| after > offset));
        }
    }

    pub fn is_clean(&self) -> bool {
        self.unsealed.is_empty() && self.sealed.is_empty()
    }
}
