//! Consuming: records strictly in order, each key deciding for itself whether it has seen them.
//!
//! Owns what happens to one record: skip, step, park or dead-letter, and the numbering of its
//! outputs. Stops before a record that cannot be judged yet (a side row, rules or an upgrade are
//! missing); never passes over one.

#[cfg(test)]
use super::sabotage::{self, Bug};
use super::{
    context::InForce,
    heads,
    partition::{Halt, Partition, Queued, deadline_of},
    ports::{Destination, Ports, Publish, PublishTopic, SideRead},
    sides::Answer,
};
use crate::codec::{
    DecodeError, StageCodec, dead_letter,
    frame::{self, OutputId},
    headers::{self, Provenance},
    partitioner::bucket_of,
    raw::RawRecord,
};
use crate::domain::command::{PARTITION_KEY, Tick};
#[cfg(test)]
use crate::domain::time::LogTime;
use crate::stages::{Cause, Context, Outgoing, Poison, Scope, Stage};
use std::sync::Arc;

/// May the queue go on?
enum Progress {
    Applied,
    /// Something outside must answer first; the record stays at the front.
    Blocked,
}

/// What became of the items that a record names.
enum Recall<H> {
    Awaited,
    /// None of them exists, or none was named.
    Nothing,
    /// The head with them in it.
    Head(H),
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

    fn flush_outbox<P: Ports<S::Rules>>(&mut self, ports: &mut P) {
        if self.outbox.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.outbox);
        self.counts.published += records.len() as u64;
        let ticket = self.acks.open(self.outbox_first, records.len());
        #[cfg(test)]
        if sabotage::on(Bug::PassedOnNotWaitedFor)
            && records.iter().all(|record| record.key.as_deref() == Some(PARTITION_KEY.as_bytes()))
        {
            self.acks.acknowledge(ticket);
        }
        ports.publish(ticket, records);
    }

    fn apply_record<P: Ports<S::Rules>>(
        &mut self,
        queued: &Queued<S::Input>,
        ports: &mut P,
    ) -> Progress {
        let offset = queued.raw.offset;
        let scope = match &queued.input {
            Ok(input) => Ok(S::scope(input)),
            Err(DecodeError::Poison(poison)) => Err(*poison),
            Err(DecodeError::UnknownSchema(schema)) => {
                self.halted = Some(Halt::SchemaUnknown { offset, schema: *schema });
                return Progress::Blocked;
            }
        };
        // A takeover starts at a tick, which is its context; only the log's beginning has none.
        if !self.started && offset > 0 && self.binding.start > 0 {
            let Ok(Scope::Tick(tick)) = scope else {
                self.halted = Some(Halt::StartIsNoTick { offset });
                return Progress::Blocked;
            };
            return self.apply_fresh_tick(tick, &queued.raw, ports);
        }
        match scope {
            Ok(Scope::Key) => self.apply_keyed(queued, ports),
            Ok(Scope::Tick(tick)) if self.in_force.is_fresh(tick) => {
                self.apply_fresh_tick(tick, &queued.raw, ports)
            }
            Ok(Scope::Tick(_)) => {
                #[cfg(test)]
                if sabotage::on(Bug::CommitAtStaleTick) {
                    self.fresh_ticks.push_back(offset);
                }
                Progress::Applied
            }
            Ok(Scope::FuseRelease { through_offset }) => {
                self.fuse.release(i64::try_from(through_offset).unwrap_or(i64::MAX));
                Progress::Applied
            }
            Ok(Scope::EndDiversion { through_offset }) => {
                self.end_diversion(&queued.raw, through_offset)
            }
            Err(poison) => self.dead_letter_undecodable(queued, poison),
        }
    }

    // ------------------------------------------------------------------ ticks

    fn apply_fresh_tick<P: Ports<S::Rules>>(
        &mut self,
        tick: Tick,
        raw: &RawRecord,
        ports: &mut P,
    ) -> Progress {
        if !S::LOGIC_VERSIONS.contains(&tick.logic_version) {
            self.halted =
                Some(Halt::LogicUnknown { offset: raw.offset, version: tick.logic_version });
            return Progress::Blocked;
        }
        let Some(rules) = self.rules.get(&tick.rules_version).cloned() else {
            if self.rules_asked != Some(tick.rules_version) {
                self.rules_asked = Some(tick.rules_version);
                ports.load_rules(tick.rules_version);
            }
            return Progress::Blocked;
        };
        let other_rules = self.in_force.rules_version != tick.rules_version;
        #[cfg(test)]
        let former = self.in_force.time;
        self.in_force = InForce::of(tick);
        self.log_time_text = headers::ce_time(tick.time);
        self.fresh_ticks.push_back(raw.offset);
        if other_rules {
            self.index_deadlines();
        }
        let passed_on = S::pass_on(tick);
        #[cfg(test)]
        let passed_on = match sabotage::on(Bug::PassedOnByWorkersClock) {
            true => S::pass_on(Tick { time: tick.time.plus_ms(sabotage::worker()), ..tick }),
            false => passed_on,
        };
        #[cfg(test)]
        if sabotage::on(Bug::PassedOnLast) {
            for key in self.deadlines.due(tick.time) {
                self.step_due(&key, raw, &rules);
            }
        }
        if let Some(passed_on) = passed_on {
            // The key is empty in the id: a tick has no row to skip by, and its readers judge
            // repeats by freshness, as we do.
            self.output(raw, Some(""), 0, passed_on, None);
        }
        let due = self.deadlines.due(tick.time);
        #[cfg(test)]
        let due = self.due_wrongly(due, former);
        for key in due {
            self.step_due(&key, raw, &rules);
        }
        Progress::Applied
    }

    #[cfg(test)]
    fn due_wrongly(&self, mut due: Vec<Arc<str>>, former: LogTime) -> Vec<Arc<str>> {
        if sabotage::on(Bug::TickOutputsInAnyOrder) && sabotage::worker() % 2 == 1 {
            due.reverse();
        }
        if sabotage::on(Bug::StepSeesFormerClock) {
            due.retain(|key| self.heads.get(key).is_some_and(|e| e.deadline > Some(former)));
        }
        due
    }

    fn step_due(&mut self, key: &Arc<str>, raw: &RawRecord, rules: &Arc<S::Rules>) {
        let context = Context {
            log_time: self.in_force.time,
            rules: rules.as_ref(),
            logic_version: self.in_force.logic_version,
        };
        let (_, entry) = self.heads.entry(key);
        if heads::contains(&entry.row, raw.offset, None) {
            self.counts.skipped += 1;
            return;
        }
        let transition = match S::step(&context, key, &entry.row.state, Cause::Due) {
            Ok(transition) => transition,
            // Time alone cannot be impossible: that would be a broken invariant, and no answer
            // beats a wrong balance.
            Err(poison) => {
                panic!("a due step of {key} at {} is poison: {}", raw.offset, poison.code)
            }
        };
        if transition.change.is_none() && transition.effects.is_empty() {
            return;
        }
        let (change, effects) = (transition.change, transition.effects);
        self.settle(key, raw, None, change, effects, rules, Some(key.as_ref()));
    }

    // ------------------------------------------------------------ keyed records

    fn apply_keyed<P: Ports<S::Rules>>(
        &mut self,
        queued: &Queued<S::Input>,
        ports: &mut P,
    ) -> Progress {
        let Ok(input) = &queued.input else { return Progress::Applied };
        let raw = &queued.raw;
        let key = raw.key_text().unwrap_or_default();
        let source = raw.source();
        let rules = self.rules[&self.in_force.rules_version].clone();
        let context = Context {
            log_time: self.in_force.time,
            rules: rules.as_ref(),
            logic_version: self.in_force.logic_version,
        };
        #[cfg(test)]
        let context = match sabotage::on(Bug::ClockReadInStep) {
            true => Context { log_time: context.log_time.plus_ms(sabotage::worker()), ..context },
            false => context,
        };
        let (name, entry) = self.heads.entry(key);
        if heads::contains(&entry.row, raw.offset, source.as_ref()) {
            if entry.row.poisoned_at == Some(raw.offset) {
                return self.count_again(raw.offset);
            }
            self.counts.skipped += 1;
            return Progress::Applied;
        }
        if entry.row.diverted_through.is_some() && !raw.is_redriven() {
            let answer = S::diverted(&context, key, &entry.row.state, input);
            return self.park(&name, raw, source, DIVERTED, answer, &rules);
        }
        let recalled = match self.recall(&name, raw.offset, input, &context, ports) {
            Recall::Awaited => return Progress::Blocked,
            Recall::Nothing => None,
            Recall::Head(head) => Some(head),
        };
        let (_, entry) = self.heads.entry(key);
        let head = recalled.as_ref().unwrap_or(&entry.row.state);
        match S::step(&context, key, head, Cause::Record(input)) {
            Ok(transition) => {
                let (change, effects) = (transition.change, transition.effects);
                #[cfg(test)]
                if sabotage::on(Bug::NamedKeyLeftUnmarked) && change.is_none() {
                    for (index, effect) in effects.into_iter().enumerate() {
                        self.output(raw, None, index as i32, effect, Some(&name));
                    }
                    return Progress::Applied;
                }
                if let Some(head) = recalled {
                    entry.row.state = head;
                }
                self.settle(&name, raw, source.as_ref(), change, effects, &rules, None);
                self.counts.applied += 1;
                Progress::Applied
            }
            Err(poison) => self.divert(&name, raw, source, poison, &rules),
        }
    }

    /// The head with the named items put back into it, once every answer is there. A copy: while an
    /// answer is awaited, or if the record is poison, the row must stay as its position says.
    fn recall<P: Ports<S::Rules>>(
        &mut self,
        name: &Arc<str>,
        offset: i64,
        input: &S::Input,
        context: &Context<S::Rules>,
        ports: &mut P,
    ) -> Recall<S::Head> {
        let mut recalled: Option<S::Head> = None;
        // What is put back may name another item (an alias its payment), so the stage is asked
        // until it names nothing that can still be found.
        loop {
            let (_, entry) = self.heads.entry(name);
            let head = recalled.as_ref().unwrap_or(&entry.row.state);
            let named = S::items_named(context, head, input);
            #[cfg(test)]
            let named = if sabotage::on(Bug::SideRowNotLoaded) { Vec::new() } else { named };
            let Some(found) = self.find(name, offset, named, ports) else {
                #[cfg(test)]
                if let (Some(head), true) = (recalled, sabotage::on(Bug::RecalledWhileAwaited)) {
                    self.heads.entry(name).1.row.state = head;
                }
                return Recall::Awaited;
            };
            if found.is_empty() {
                return recalled.map_or(Recall::Nothing, Recall::Head);
            }
            for (item, bytes) in found {
                let version = self.codec.decode_side(&bytes);
                let Some(version) = self.readable(name, version) else { return Recall::Awaited };
                let copied = || self.heads.entry(name).1.row.state.clone();
                S::recall(recalled.get_or_insert_with(copied), item, version);
            }
        }
    }

    /// The newest versions of the named items that exist; `None`: an answer is still awaited.
    fn find<P: Ports<S::Rules>>(
        &mut self,
        name: &Arc<str>,
        offset: i64,
        named: Vec<S::ItemId>,
        ports: &mut P,
    ) -> Option<Vec<(S::ItemId, Vec<u8>)>> {
        let mut is_complete = true;
        let mut found = Vec::new();
        for item in named {
            match self.sides.look_up(name, item.as_ref(), offset) {
                Some(Answer::Version(Some((_, bytes)))) => found.push((item, bytes)),
                Some(Answer::Version(None)) => {}
                Some(Answer::Awaited) => is_complete = false,
                None => {
                    is_complete = false;
                    self.ask(name, item.as_ref(), offset, ports);
                }
            }
        }
        is_complete.then_some(found)
    }

    fn readable<T>(&mut self, name: &Arc<str>, read: Result<T, DecodeError>) -> Option<T> {
        read.map_err(|error| {
            let (key, reason) = (name.to_string(), error.to_string());
            self.halted = Some(Halt::StateUnreadable { key, reason });
        })
        .ok()
    }

    fn ask<P: Ports<S::Rules>>(&mut self, key: &Arc<str>, item: &str, below: i64, ports: &mut P) {
        if self.sides.ask(below, item) {
            self.counts.side_reads += 1;
            let bucket = bucket_of(key.as_bytes(), self.binding.buckets);
            ports.read(SideRead { below, bucket, key: key.clone(), item: item.into() });
        }
    }

    /// Asks for side rows while the record still waits in the queue. The head must be loaded: a
    /// read before that could miss an item that the head still holds.
    pub(super) fn ask_ahead<P: Ports<S::Rules>>(
        &mut self,
        queued: &Queued<S::Input>,
        ports: &mut P,
    ) {
        let Ok(input) = &queued.input else { return };
        if S::scope(input) != Scope::Key {
            return;
        }
        let Some(key) = queued.raw.key_text() else { return };
        let rules = self.rules[&self.in_force.rules_version].clone();
        let context = Context {
            log_time: self.in_force.time,
            rules: rules.as_ref(),
            logic_version: self.in_force.logic_version,
        };
        let empty = S::Head::default();
        let (head, done) = match self.heads.get(key) {
            Some(entry) => (&entry.row.state, heads::contains(&entry.row, queued.raw.offset, None)),
            None => (&empty, false),
        };
        if done {
            return;
        }
        let named = S::items_named(&context, head, input);
        if named.is_empty() {
            return;
        }
        let (name, _) = self.heads.entry(key);
        for item in named {
            self.ask(&name, item.as_ref(), queued.raw.offset, ports);
        }
    }

    /// Makes a decision part of the state and queues its outputs.
    #[expect(clippy::too_many_arguments, reason = "the parts of one decision, each used once")]
    fn settle(
        &mut self,
        name: &Arc<str>,
        raw: &RawRecord,
        source: Option<&OutputId>,
        change: Option<S::Change>,
        effects: Vec<Outgoing<S::Output>>,
        rules: &Arc<S::Rules>,
        id_key: Option<&str>,
    ) {
        let offset = raw.offset;
        let (_, entry) = self.heads.entry(name);
        heads::note(&mut entry.row, offset, source);
        #[cfg(test)]
        if sabotage::on(Bug::RandomStep) {
            entry.row.seq += sabotage::worker() % 2;
        }
        if let Some(change) = change {
            for (item, value) in S::apply(&mut entry.row.state, change) {
                let mut bytes = Vec::new();
                self.codec.encode_side(&value, &mut bytes);
                self.sides.leave(name, item.as_ref(), offset, bytes);
            }
        }
        let former = entry.deadline;
        entry.deadline = deadline_of::<S>(&entry.row, rules);
        let next = entry.deadline;
        self.deadlines.update(name, former, next);
        self.heads.mark_dirty(name);
        for (index, effect) in effects.into_iter().enumerate() {
            self.output(raw, id_key, index as i32, effect, Some(name));
        }
    }

    /// Encodes one output and queues it. `id_key`: the key in the id, where it is not the record's
    /// own. `name`: the key whose step made it; absent for a passed-on tick.
    fn output(
        &mut self,
        raw: &RawRecord,
        id_key: Option<&str>,
        index: i32,
        effect: Outgoing<S::Output>,
        name: Option<&Arc<str>>,
    ) {
        #[cfg(test)]
        let index = match id_key {
            Some("") if sabotage::on(Bug::PassedOnUnderNewId) => sabotage::worker() as i32,
            Some(key) if sabotage::on(Bug::TickIndexOverKeys) && !key.is_empty() => {
                sabotage::next_index(raw.offset)
            }
            _ => index,
        };
        let topic = effect.topic;
        assert!(S::OUTPUTS.contains(&topic), "{} may not publish to {topic:?}", S::NAME);
        let mut value = Vec::with_capacity(OUTPUT_BYTES_USUAL);
        self.codec.encode_output(&effect.body, &mut value);
        let (destination, key, link) = match (&effect.key, name) {
            (Some(other), _) => (Destination::ByKey, other.as_bytes().to_vec(), None),
            (None, Some(name)) => {
                let (_, entry) = self.heads.entry(name);
                entry.row.seq += 1;
                entry.row.chain = frame::chain(&entry.row.chain, &value);
                let link = Some((entry.row.seq, entry.row.chain));
                let destination = Destination::Partition(self.binding.partition);
                (destination, name.as_bytes().to_vec(), link)
            }
            (None, None) => {
                let destination = Destination::Partition(self.binding.partition);
                (destination, PARTITION_KEY.as_bytes().to_vec(), None)
            }
        };
        let id = OutputId { source: self.source(raw.offset), key: id_key.map(Box::from), index };
        let headers = headers::headers(&Provenance {
            id: &id,
            stage: S::NAME,
            ce_type: self.codec.ce_type(&effect.body),
            ce_time: &self.log_time_text,
            link,
            cause: raw,
        });
        let topic = PublishTopic::Output(topic);
        let (key, value) = (Some(key), Some(value));
        self.queue_output(raw.offset, Publish { topic, destination, key, value, headers });
    }

    fn queue_output(&mut self, offset: i64, record: Publish) {
        if self.outbox.is_empty() {
            self.outbox_first = offset;
        }
        self.outbox.push(record);
    }

    // ------------------------------------------------------------ dead letters

    /// A record that could not be decoded. Its key is diverted where it can be read and belongs
    /// to this partition.
    fn dead_letter_undecodable(&mut self, queued: &Queued<S::Input>, poison: Poison) -> Progress {
        let raw = &queued.raw;
        let Some(key) = self.codec.divertible_key(raw) else {
            if !self.allow_letter(raw.offset) {
                return Progress::Blocked;
            }
            self.fuse.count(raw.offset);
            self.dead_letter(raw, poison);
            return Progress::Applied;
        };
        let (name, entry) = self.heads.entry(key);
        let source = raw.source();
        if heads::contains(&entry.row, raw.offset, source.as_ref()) {
            return self.count_again(raw.offset);
        }
        let rules = self.rules[&self.in_force.rules_version].clone();
        if entry.row.diverted_through.is_some() && !raw.is_redriven() {
            // What follows is never counted as a failure of its own, but a card number must not
            // reach the dead letters either way.
            let poison = if poison.code == PAN_IN_CLEAR { poison } else { DIVERTED };
            return self.park(&name, raw, source, poison, None, &rules);
        }
        self.divert(&name, raw, source, poison, &rules)
    }

    /// A dead letter that the row already contains counts all the same: the fuse counts by
    /// position, also after a restart.
    fn count_again(&mut self, offset: i64) -> Progress {
        if !self.allow_letter(offset) {
            return Progress::Blocked;
        }
        self.fuse.count(offset);
        self.counts.skipped += 1;
        Progress::Applied
    }

    /// The record is poison: it goes to the dead letters and the key's later records will follow.
    fn divert(
        &mut self,
        name: &Arc<str>,
        raw: &RawRecord,
        source: Option<OutputId>,
        poison: Poison,
        rules: &Arc<S::Rules>,
    ) -> Progress {
        if !self.allow_letter(raw.offset) {
            return Progress::Blocked;
        }
        self.fuse.count(raw.offset);
        self.mark_diverted(name, raw.offset);
        self.heads.entry(name).1.row.poisoned_at = Some(raw.offset);
        self.settle(name, raw, source.as_ref(), None, Vec::new(), rules, None);
        self.dead_letter(raw, poison);
        Progress::Applied
    }

    /// A record of a diverted key follows it, in order; whoever waits for an answer gets one.
    fn park(
        &mut self,
        name: &Arc<str>,
        raw: &RawRecord,
        source: Option<OutputId>,
        poison: Poison,
        answer: Option<Outgoing<S::Output>>,
        rules: &Arc<S::Rules>,
    ) -> Progress {
        self.mark_diverted(name, raw.offset);
        self.settle(name, raw, source.as_ref(), None, Vec::new(), rules, None);
        self.dead_letter(raw, poison);
        if let Some(answer) = answer {
            self.output(raw, None, 1, answer, Some(name));
        }
        Progress::Applied
    }

    fn mark_diverted(&mut self, name: &Arc<str>, offset: i64) {
        #[cfg(test)]
        if sabotage::on(Bug::RecordDivertedNotKey) {
            return;
        }
        let (_, entry) = self.heads.entry(name);
        entry.row.diverted_through = Some(offset);
    }

    fn end_diversion(&mut self, raw: &RawRecord, through_offset: u64) -> Progress {
        let key = raw.key_text().unwrap_or_default();
        let source = raw.source();
        let rules = self.rules[&self.in_force.rules_version].clone();
        let (name, entry) = self.heads.entry(key);
        if heads::contains(&entry.row, raw.offset, source.as_ref()) {
            return Progress::Applied;
        }
        if entry.row.diverted_through.is_some_and(|at| at <= through_offset as i64) {
            entry.row.diverted_through = None;
        }
        self.settle(&name, raw, source.as_ref(), None, Vec::new(), &rules, None);
        Progress::Applied
    }

    fn allow_letter(&mut self, offset: i64) -> bool {
        if self.fuse.allows(offset) {
            return true;
        }
        self.halted = Some(Halt::FuseBlown { offset });
        self.searching_release = true;
        false
    }

    /// Queues the record as it was for the dead letters; always the first output of its record.
    fn dead_letter(&mut self, raw: &RawRecord, poison: Poison) {
        self.letter_codes.push(poison.code);
        match poison == DIVERTED {
            true => self.counts.diverted += 1,
            false => self.counts.dead_letters += 1,
        }
        let origin = dead_letter::Origin { raw, stage: S::NAME, input: S::INPUT, poison };
        let letter = self.codec.dead_letter(&origin);
        let letter = Publish {
            topic: PublishTopic::DeadLetters,
            destination: Destination::Partition(self.binding.partition),
            key: letter.key,
            value: letter.value,
            headers: letter.headers,
        };
        self.queue_output(raw.offset, letter);
    }

    /// Has the release of the blown fuse been fetched already? If not, what is queued is dropped
    /// (it will be fetched again) so that a stopped partition holds no memory.
    fn release_in_queue(&mut self) -> bool {
        let Some(Halt::FuseBlown { offset: blown_at }) = self.halted else { return false };
        let through = |queued: &Queued<S::Input>| match queued.input.as_ref().map(S::scope) {
            Ok(Scope::FuseRelease { through_offset }) => i64::try_from(through_offset).ok(),
            _ => None,
        };
        let release = self.queue.iter().filter_map(through).max();
        match release {
            Some(through) if through >= blown_at => {
                self.fuse.release(through);
                self.halted = None;
                self.searching_release = false;
                true
            }
            _ => {
                self.queue.clear();
                false
            }
        }
    }

    /// While the fuse is blown, later records are only searched for its release; then the partition
    /// fetches again from where it stopped.
    pub(super) fn search_release<P: Ports<S::Rules>>(
        &mut self,
        offset: i64,
        input: &Result<S::Input, DecodeError>,
        ports: &mut P,
    ) {
        let Ok(input) = input else { return };
        let Scope::FuseRelease { through_offset } = S::scope(input) else { return };
        let Some(Halt::FuseBlown { offset: blown_at }) = self.halted else { return };
        let through = i64::try_from(through_offset).unwrap_or(i64::MAX);
        if through < blown_at || offset < blown_at {
            return;
        }
        self.fuse.release(through);
        self.halted = None;
        self.searching_release = false;
        self.queue.clear();
        self.fetched = self.applied;
        self.resume_at = Some(blown_at);
        ports.seek(blown_at);
    }
}

/// Most outputs fit; larger ones grow.
const OUTPUT_BYTES_USUAL: usize = 384;

/// The one code under which a dead letter loses its value.
const PAN_IN_CLEAR: &str = "pan_in_clear";

/// What follows a diverted key is no failure of its own.
const DIVERTED: Poison = Poison { code: "diverted" };
