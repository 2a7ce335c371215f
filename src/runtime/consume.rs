//! Consuming: records strictly in order, each key deciding for itself whether it has seen them.
//!
//! Owns what happens to one record: skip, step, park or dead-letter. All keys of a record decide
//! before one of them acts, so a record that cannot be judged yet (a side row, rules or an upgrade
//! are missing) or must not be (an invariant is broken) leaves nothing behind. The queue stops
//! before such a record and never passes over one.

#[cfg(test)]
use super::sabotage::{self, Bug};
use super::{
    context::InForce,
    heads,
    letters::DIVERTED,
    partition::{Halt, Partition, Queued},
    ports::Ports,
    recall::Recall,
};
use crate::codec::{DecodeError, StageCodec, frame::OutputId, headers, raw::RawRecord};
use crate::domain::command::Tick;
#[cfg(test)]
use crate::domain::time::LogTime;
use crate::stages::{Cause, Context, Outgoing, Poison, Refused, Scope, Stage, Transition};
use std::sync::Arc;

/// May the queue go on?
pub(super) enum Progress {
    Applied,
    /// Something outside must answer first; the record stays at the front.
    Blocked,
}

/// What a stage's step gives.
type Step<S> = Transition<<S as Stage>::Change, <S as Stage>::Output>;

/// A key and its step.
type Stepped<S> = (Arc<str>, Step<S>);

/// What a key makes of a record. Nothing of it has happened yet.
enum Decided<S: Stage> {
    /// The row contains the record; `poisoned`: as a dead letter that the fuse counts.
    Seen {
        poisoned: bool,
    },
    /// The key is diverted and the record follows, with an answer for whoever waits.
    Parked(Option<Outgoing<S::Output>>),
    Poison(Poison),
    /// With the head to step from, where items were put back into it.
    Step(Option<S::Head>, Step<S>),
}

impl<S: Stage, C: StageCodec<S>> Partition<S, C> {
    /// Applies queued records until the queue is empty, something is missing or a limit is reached;
    /// then publishes what they decided, in one ticket.
    pub(super) fn consume<P: Ports<S::Rules>>(&mut self, ports: &mut P) {
        if !self.loaded {
            return;
        }
        while self.may_go_on() {
            let Some(queued) = self.queue.pop_front() else { break };
            match self.apply_record(&queued, ports) {
                Progress::Applied => {
                    self.applied = queued.raw.offset;
                    self.applied_broker_ms = Some(queued.raw.timestamp_ms);
                    self.started = true;
                    self.fuse.pass(self.applied);
                }
                Progress::Blocked => {
                    self.queue.push_front(queued);
                    if self.searching_release && self.release_in_queue() {
                        continue;
                    }
                    break;
                }
            }
        }
        self.sides.applied(self.applied);
        self.flush_outbox(ports);
    }

    fn may_go_on(&self) -> bool {
        self.halted.is_none()
            && !self.draining
            && self.acks.records_in_flight() + self.outbox.len() < self.limits.inflight_records_max
            && self.applied - self.durable < self.limits.unsealed_records_max
    }

    fn apply_record<P: Ports<S::Rules>>(
        &mut self,
        queued: &Queued<S::Input>,
        ports: &mut P,
    ) -> Progress {
        let raw = &queued.raw;
        if let Err(DecodeError::UnknownSchema(schema)) = &queued.input {
            return self.halt(Halt::SchemaUnknown { offset: raw.offset, schema: *schema });
        }
        // A takeover starts at a tick, which is its context; only the log's beginning has none.
        if S::TICKS && !self.started && raw.offset > 0 && self.binding.start > 0 {
            let Scope::Tick(tick) = queued.scope else {
                return self.halt(Halt::StartIsNoTick { offset: raw.offset });
            };
            return self.apply_fresh_tick(tick, raw, ports);
        }
        let input = match &queued.input {
            Ok(input) => input,
            Err(DecodeError::Poison(poison)) => return self.dead_letter_undecodable(raw, *poison),
            Err(DecodeError::UnknownSchema(_)) => return Progress::Blocked,
        };
        match &queued.scope {
            Scope::Key => self.apply_keyed(raw, input, None, ports),
            Scope::KeyAnd(other) => self.apply_keyed(raw, input, Some(other), ports),
            Scope::Nothing => Progress::Applied,
            Scope::Tick(tick) if S::TICKS && self.in_force.is_fresh(*tick) => {
                self.apply_fresh_tick(*tick, raw, ports)
            }
            Scope::Tick(_) => {
                #[cfg(test)]
                if sabotage::on(Bug::CommitAtStaleTick) {
                    self.fresh_ticks.push_back(raw.offset);
                }
                Progress::Applied
            }
            Scope::FuseRelease { through_offset } => self.release_fuse(*through_offset),
            Scope::EndDiversion { through_offset } => self.end_diversion(raw, *through_offset),
            Scope::EndDiversionOf { key, through_offset } => {
                self.end_diversion_of(raw, key, *through_offset)
            }
        }
    }

    fn halt(&mut self, halt: Halt) -> Progress {
        self.halted = Some(halt);
        Progress::Blocked
    }

    // ------------------------------------------------------------------ ticks

    fn apply_fresh_tick<P: Ports<S::Rules>>(
        &mut self,
        tick: Tick,
        raw: &RawRecord,
        ports: &mut P,
    ) -> Progress {
        if !S::LOGIC_VERSIONS.contains(&tick.logic_version) {
            let (offset, version) = (raw.offset, tick.logic_version);
            return self.halt(Halt::LogicUnknown { offset, version });
        }
        let Some(rules) = self.known_rules.get(&tick.rules_version).cloned() else {
            if self.rules_asked != Some(tick.rules_version) {
                self.rules_asked = Some(tick.rules_version);
                ports.load_rules(tick.rules_version);
            }
            return Progress::Blocked;
        };
        let former = std::mem::replace(&mut self.in_force, InForce::of(tick));
        if former.rules_version != tick.rules_version {
            self.rules = rules;
            self.index_deadlines();
        }
        let due = self.deadlines.due(tick.time);
        #[cfg(test)]
        let due = self.due_wrongly(due, former.time);
        // After a halt the partition is not gone on with, so the context may stay as it is.
        let Some(decided) = self.decide_due(due, raw) else { return Progress::Blocked };
        self.log_time_text = headers::ce_time(tick.time);
        self.fresh_ticks.push_back(raw.offset);
        #[cfg(test)]
        let tick = match sabotage::on(Bug::PassedOnByWorkersClock) {
            true => Tick { time: tick.time.plus_ms(sabotage::worker()), ..tick },
            false => tick,
        };
        let passed_on = S::PASS_ON.map(|pass_on| pass_on(tick));
        #[cfg(test)]
        let (decided, passed_on) = match sabotage::on(Bug::PassedOnLast) {
            true => {
                self.settle_due(decided, raw);
                (Vec::new(), passed_on)
            }
            false => (decided, passed_on),
        };
        if let Some(passed_on) = passed_on {
            self.pass_on(raw, passed_on);
        }
        self.settle_due(decided, raw);
        Progress::Applied
    }

    #[cfg(test)]
    fn due_wrongly(&self, mut due: Vec<Arc<str>>, former: LogTime) -> Vec<Arc<str>> {
        if sabotage::on(Bug::TickOutputsInAnyOrder) && sabotage::worker() % 2 == 1 {
            due.reverse();
        }
        if sabotage::on(Bug::StepSeesFormerClock) {
            due.retain(|key| self.heads.deadline(key) > Some(former));
        }
        due
    }

    /// Steps every due key that has not seen the tick; `None`: one of them must not be stepped.
    fn decide_due(&mut self, due: Vec<Arc<str>>, raw: &RawRecord) -> Option<Vec<Stepped<S>>> {
        let mut decided = Vec::with_capacity(due.len());
        for key in due {
            let context = self.context(&self.rules, raw.offset);
            let Some(entry) = self.heads.get(&key) else { continue };
            if heads::contains(&entry.row, raw.offset, None) {
                self.counts.skipped += 1;
                continue;
            }
            match S::step(&context, &key, &entry.row.state, Cause::Due) {
                Ok(step) if step.change.is_none() && step.effects.is_empty() => {}
                Ok(step) => decided.push((key, step)),
                // Time alone cannot be impossible: no answer beats a wrong balance.
                Err(refused) => {
                    self.disagree(raw.offset, &key, refused);
                    return None;
                }
            }
        }
        Some(decided)
    }

    fn settle_due(&mut self, decided: Vec<Stepped<S>>, raw: &RawRecord) {
        for (key, step) in decided {
            self.settle(&key, raw, None, step, (Some(&key), 0));
        }
    }

    fn disagree(&mut self, offset: i64, key: &str, refused: Refused) {
        let (key, code) = (key.to_owned(), refused.code());
        self.halted = Some(Halt::Disagreement { offset, key, code });
    }

    // ------------------------------------------------------------ keyed records

    /// `other`: a second key that the record concerns.
    fn apply_keyed<P: Ports<S::Rules>>(
        &mut self,
        raw: &RawRecord,
        input: &S::Input,
        other: Option<&str>,
        ports: &mut P,
    ) -> Progress {
        let source = raw.source();
        let Some((name, own)) = self.decide(raw, input, source.as_ref(), ports) else {
            return Progress::Blocked;
        };
        let other = other.filter(|other| *other != &*name);
        #[cfg(test)]
        let other = match sabotage::on(Bug::SkipDecidedByFirstKey) {
            true => other.filter(|_| !matches!(own, Decided::Seen { .. })),
            false => other,
        };
        let beside = match other {
            None => None,
            Some(other) => match self.decide_beside(other, raw, input, source.as_ref()) {
                Ok(beside) => beside,
                Err(Standstill) => return Progress::Blocked,
            },
        };
        let own_source = source.as_ref().filter(|_| !raw.is_redriven());
        match own {
            Decided::Seen { poisoned: true } => {
                if let Progress::Blocked = self.count_again(raw.offset) {
                    return Progress::Blocked;
                }
            }
            Decided::Seen { poisoned: false } => self.counts.skipped += 1,
            Decided::Parked(answer) => self.park(&name, raw, DIVERTED, answer),
            Decided::Poison(poison) => {
                if let Progress::Blocked = self.divert(&name, raw, poison) {
                    return Progress::Blocked;
                }
            }
            Decided::Step(recalled, step) => {
                if let Some(head) = recalled {
                    self.put_back(&name, head);
                }
                self.settle_named(&name, raw, own_source, step, None);
                self.counts.applied += 1;
            }
        }
        if let Some((other, step)) = beside {
            self.settle_named(&other, raw, source.as_ref(), step, Some(&other));
        }
        Progress::Applied
    }

    /// A key that a record names is always marked, or a repeat under a later clock could act.
    fn settle_named(
        &mut self,
        name: &Arc<str>,
        raw: &RawRecord,
        source: Option<&OutputId>,
        step: Step<S>,
        id_key: Option<&str>,
    ) {
        #[cfg(test)]
        if step.change.is_none()
            && (sabotage::on(Bug::NamedKeyLeftUnmarked) && id_key.is_none()
                || sabotage::on(Bug::OtherKeyLeftUnmarked) && id_key.is_some())
        {
            let pos = self.heads.entry(name).1.row.pos;
            let seen = self.heads.entry(name).1.row.seen.clone();
            self.settle(name, raw, source, step, (id_key, 0));
            let (_, entry) = self.heads.entry(name);
            (entry.row.pos, entry.row.seen) = (pos, seen);
            return;
        }
        self.settle(name, raw, source, step, (id_key, 0));
    }

    /// What the record's own key makes of it; `None`: something must be answered first.
    fn decide<P: Ports<S::Rules>>(
        &mut self,
        raw: &RawRecord,
        input: &S::Input,
        source: Option<&OutputId>,
        ports: &mut P,
    ) -> Option<(Arc<str>, Decided<S>)> {
        let key = raw.key_text().unwrap_or_default();
        let context = wrong_clock(self.context(&self.rules, raw.offset));
        let (name, entry) = self.heads.entry(key);
        let source = source.filter(|_| !raw.is_redriven());
        if heads::contains(&entry.row, raw.offset, source) {
            let poisoned = entry.row.poisoned_at == Some(raw.offset);
            return Some((name, Decided::Seen { poisoned }));
        }
        if entry.row.diverted_through.is_some() && !raw.is_redriven() {
            let state = &entry.row.state;
            let answer = S::DIVERTED.and_then(|answer| answer(&context, key, state, input));
            return Some((name, Decided::Parked(answer)));
        }
        // Nothing is named by nearly every record, and then the head is not looked up again.
        let stepped = match S::items_named(&context, &entry.row.state, input).is_empty() {
            true => (None, S::step(&context, key, &entry.row.state, Cause::Record(input))),
            false => {
                let rules = self.rules.clone();
                let context = wrong_clock(self.context(&rules, raw.offset));
                let recalled = match self.recall(&name, input, &context, ports) {
                    Recall::Awaited => return None,
                    Recall::Nothing => None,
                    Recall::Head(head) => Some(head),
                };
                let (_, entry) = self.heads.entry(key);
                let head = recalled.as_ref().unwrap_or(&entry.row.state);
                let step = S::step(&context, key, head, Cause::Record(input));
                (recalled, step)
            }
        };
        match stepped {
            (recalled, Ok(step)) => Some((name, Decided::Step(recalled, step))),
            (_, Err(Refused::Poison(poison))) => Some((name, Decided::Poison(poison))),
            (_, Err(refused @ Refused::Halt { .. })) => {
                self.disagree(raw.offset, key, refused);
                None
            }
        }
    }

    /// What the other key makes of it; nothing where its row contains the record. It is stepped
    /// whatever became of the own key: after a takeover that key's row may no longer tell. Errors:
    /// the partition stands still.
    fn decide_beside(
        &mut self,
        other: &str,
        raw: &RawRecord,
        input: &S::Input,
        source: Option<&OutputId>,
    ) -> Result<Option<Stepped<S>>, Standstill> {
        let context = wrong_clock(self.context(&self.rules, raw.offset));
        let (name, entry) = self.heads.entry(other);
        let is_seen = heads::contains(&entry.row, raw.offset, source);
        #[cfg(test)]
        let is_seen = is_seen && !sabotage::on(Bug::SkipDecidedByFirstKey);
        if is_seen {
            return Ok(None);
        }
        match S::step(&context, other, &entry.row.state, Cause::Record(input)) {
            Ok(step) => Ok(Some((name, step))),
            Err(refused) => {
                self.disagree(raw.offset, other, refused);
                Err(Standstill)
            }
        }
    }
}

/// An invariant is broken: `halted` says which.
struct Standstill;

/// The bug of a step that reads a clock of its own.
fn wrong_clock<R>(context: Context<R>) -> Context<R> {
    #[cfg(test)]
    if sabotage::on(Bug::ClockReadInStep) {
        let log_time = context.log_time.plus_ms(sabotage::worker());
        return Context { log_time, ..context };
    }
    context
}
