//! Transfers between accounts (P3 across partitions): a debit's other half is one credit command.
//!
//! Owns matching the credits that the pipeline itself put into the commands topic with the debits
//! that name them as their output. Both sides are gathered while partitions are folded and judged
//! at the end.

use super::{
    commands::Command,
    evidence::Rec,
    outputs::same,
    verdict::{Invariant, Place, Verdict},
};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Half {
    to: Box<str>,
    amount_minor: Option<i64>,
    currency: Option<Box<str>>,
}

#[derive(Default)]
pub struct Transfers<'a> {
    /// By id of the output; whether the other half may still be to come.
    debits: BTreeMap<String, (Place, Half, bool)>,
    credits: BTreeMap<String, (Place, Half, &'a Rec)>,
}

impl<'a> Transfers<'a> {
    /// `is_owed`: the next owner may still have to send the credit.
    pub fn debited(
        &mut self,
        (id, place): (String, Place),
        to: Box<str>,
        command: &Command,
        is_owed: bool,
    ) {
        let half =
            Half { to, amount_minor: command.amount_minor, currency: command.currency.clone() };
        self.debits.insert(id, (place, half, is_owed));
    }

    /// A command that names an output as its source.
    pub fn credited(
        &mut self,
        id: &str,
        place: Place,
        command: &Command,
        record: &'a Rec,
        verdict: &mut Verdict,
    ) {
        if let Some((_, _, first)) = self.credits.get(id) {
            if !same(first, record) {
                verdict.breach(Invariant::P3, place, id, "a byte-equal copy", "another record");
            }
            return;
        }
        let half = Half {
            to: record.key_text().unwrap_or("").into(),
            amount_minor: command.amount_minor.filter(|_| command.kind == "Credit"),
            currency: command.currency.clone(),
        };
        self.credits.insert(id.to_owned(), (place, half, record));
    }

    /// `owed`: gets a line for each credit that is still to come.
    pub fn judge(self, owed: &mut Vec<String>, verdict: &mut Verdict) {
        for (id, (place, half, is_owed)) in &self.debits {
            verdict.checked(Invariant::P3);
            let found = self.credits.get(id).map(|(_, credit, _)| credit);
            if found.is_none() && *is_owed {
                owed.push(format!("the credit {id}, which the next owner makes"));
            } else if found != Some(half) {
                let expected = format!("a credit command {half:?}");
                verdict.breach(Invariant::P3, *place, &**id, expected, format!("{found:?}"));
            }
        }
        for (id, (place, ..)) in &self.credits {
            if !self.debits.contains_key(id) {
                let found = "no debit made it";
                verdict.breach(Invariant::P3, *place, &**id, "a debit as its source", found);
            }
        }
    }
}
