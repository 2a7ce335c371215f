//! What a fresh tick leads to (P3, I14): it is passed on first, then holds end that are due.
//!
//! Owns the walk over a tick's outputs. The last ticks of a log may lack them: whoever owns the
//! partition next begins with such a tick. What time does to a payment is in `money`.

use super::Fold;
use crate::auditor::{
    avro::{self, text},
    commands::Tick,
    evidence::PARTITION_KEY,
    money::{self, Judged},
    outputs::Output,
    verdict::{Invariant, Place, Verdict},
};

impl Fold<'_> {
    pub(super) fn tick(
        &mut self,
        tick: Tick,
        place: Place,
        outputs: &[Output],
        verdict: &mut Verdict,
    ) {
        self.clock = tick;
        self.fresh_ticks.insert(place.offset);
        verdict.seen.fresh_ticks += 1;
        let may_lack = self.tail.owes_events(place.offset);
        let is_passed_on = |output: &Output| output.source.key.as_deref() == Some("");
        let expired = match outputs {
            [first, expired @ ..] if is_passed_on(first) => {
                let doc = self.event(first, PARTITION_KEY, None, verdict);
                let said =
                    doc.filter(|doc| doc.kind == "Tick").and_then(|doc| Tick::of(doc.body()));
                verdict.same(Invariant::P3, (place, &first.id), "tick", (Some(tick), said));
                expired
            }
            [] if may_lack => {
                self.owed.ticks.note(place.offset);
                &[]
            }
            others => {
                let id = format!("{}:", self.output_id(place.offset, 0));
                verdict.breach(Invariant::P3, place, id, "the tick passed on", "no output");
                others
            }
        };
        let mut former: Option<(&str, i32)> = None;
        for output in expired {
            let Some(key) = output.source.key.as_deref().filter(|key| !key.is_empty()) else {
                self.no_outputs(std::slice::from_ref(output), "a tick", verdict);
                continue;
            };
            let index = match former {
                Some((name, index)) if name == key => index + 1,
                _ => 0,
            };
            former = Some((key, output.source.index));
            let at = (place, &*output.id);
            verdict.same(Invariant::P3, at, "index", (index, output.source.index));
            self.expired(output, key, verdict);
        }
        if !may_lack {
            self.overdue(place, verdict);
        }
    }

    /// What time did to one account.
    fn expired(&mut self, output: &Output, key: &str, verdict: &mut Verdict) {
        let place = output.place();
        let Some(doc) = self.event(output, key, None, verdict) else { return };
        let payment_id = match avro::record(doc.body(), "payment") {
            Some(after) => text(after, "payment_id"),
            None => text(doc.body(), "payment_id"),
        };
        let clock = self.clock.time;
        let account = self.account(key);
        account.touch(place.offset);
        let payment = payment_id.and_then(|id| account.payments.get(id));
        let right = match (doc.kind, payment) {
            ("HoldExpired", Some(payment)) => payment.deadline.is_some_and(|end| end <= clock),
            ("OriginalNotFound", Some(payment)) => payment.is_tombstone,
            _ => false,
        };
        verdict.checked(Invariant::I14);
        if !right {
            let found = format!("{} of {payment_id:?} at log time {clock}", doc.kind);
            let expected = "the end of a hold whose deadline has come";
            verdict.breach(Invariant::I14, place, &*output.id, expected, found);
        }
        let event = Judged { doc: &doc, id: &output.id, place, account: key, clock };
        if let Some(account) = self.accounts.get_mut(key) {
            money::apply(account, &mut self.deadlines, &event, verdict);
        }
    }

    /// I14: no hold is open past its deadline.
    fn overdue(&mut self, place: Place, verdict: &mut Verdict) {
        while let Some(first) = self.deadlines.first().filter(|first| first.0 <= self.clock.time) {
            let (end, key, payment_id) = first.clone();
            let id = format!("{}:{key}", self.output_id(place.offset, 0));
            let expected = format!("the hold of {payment_id} to end, its deadline {end} has come");
            verdict.breach(Invariant::I14, place, id, expected, "it is still open");
            self.deadlines.pop_first();
        }
    }
}
