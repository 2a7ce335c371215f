//! The fold of one partition: commands in log order, each with what it led to.
//!
//! Owns the walk: clock, diversion, which outputs a record must have, and at which position stored
//! rows are compared. The sums are in `accounts`, their judgement in `money` and `messages`; what
//! ticks lead to is in `ticks`, which outputs may still be missing in `tail`. Partitions share only
//! transfers and the producer's journal, so they are folded one by one.

mod ticks;

use super::{
    accounts::{Account, Deadlines},
    audit::Shared,
    avro::{self, Doc, long, text},
    clear_text,
    commands::{self, Asked, Command, Tick},
    evidence::{EVENTS, Evidence, PARTITION_KEY, Rec},
    identity::{Source, chain, partition_of},
    letters::{self, Letters},
    messages,
    money::{self, Judged},
    outputs::{Output, Outputs},
    rows::Rows,
    tail::{Owed, Tail},
    verdict::{Invariant, Place, Verdict},
};
use std::collections::{BTreeSet, HashMap};

pub struct Fold<'a> {
    evidence: &'a Evidence,
    partition: i32,
    partitions: i32,
    incarnation: Option<i32>,
    clock: Tick,
    accounts: HashMap<Box<str>, Account>,
    deadlines: Deadlines,
    rows: Rows<'a>,
    letters: Letters<'a>,
    fresh_ticks: BTreeSet<i64>,
    tail: Tail,
    owed: Owed,
}

/// Whose row may stand at the record that was just folded.
enum Touched<'r> {
    Nobody,
    Key(&'r str),
    /// A fresh tick may have changed anyone, even without an output.
    Anybody,
}

impl<'a> Fold<'a> {
    /// `events`: the outputs of the partition.
    fn new(
        evidence: &'a Evidence,
        partition: i32,
        events: &Outputs,
        verdict: &mut Verdict,
    ) -> Self {
        let letters = evidence.dead_letters.get(&partition).map_or(&[][..], Vec::as_slice);
        let rows = Rows::of(partition, &evidence.heads, &evidence.sides, verdict);
        Self {
            evidence,
            partition,
            partitions: evidence.partitions(),
            incarnation: evidence.incarnation.as_ref().map(|known| known.incarnation),
            clock: Tick { time: 0, rules_version: 1, logic_version: 1 },
            accounts: HashMap::new(),
            deadlines: Deadlines::new(),
            tail: Tail::of(partition, evidence, &rows, events),
            rows,
            letters: Letters::of(partition, letters, verdict),
            fresh_ticks: BTreeSet::new(),
            owed: Owed::default(),
        }
    }

    pub fn run(evidence: &'a Evidence, partition: i32, shared: &mut Shared<'a>) {
        let slice = |topic: &'a super::evidence::Topic| {
            topic.get(&partition).map_or(&[][..], Vec::as_slice)
        };
        let (commands, events) = (slice(&evidence.commands), slice(&evidence.events));
        let incarnation = evidence.incarnation.as_ref().map(|known| known.incarnation);
        let mut outputs = Outputs::of(partition, incarnation, events, &mut shared.verdict);
        let mut fold = Self::new(evidence, partition, &outputs, &mut shared.verdict);
        for record in commands {
            let range = outputs.take(record.offset, &mut shared.verdict);
            let touched = fold.record(record, outputs.get(range), shared);
            let may_stand = |key: &str| match touched {
                Touched::Nobody => false,
                Touched::Key(name) => name == key,
                Touched::Anybody => true,
            };
            fold.rows.compare(record.offset, &fold.accounts, may_stand, &mut shared.verdict);
        }
        outputs.rest(&evidence.came_later(partition), &mut shared.verdict);
        fold.finish(commands, shared);
    }

    fn place(&self, offset: i64) -> Place {
        Place { offset, partition: self.partition }
    }

    fn record<'r>(
        &mut self,
        record: &'a Rec,
        outputs: &[Output<'r>],
        shared: &mut Shared<'a>,
    ) -> Touched<'a> {
        let place = self.place(record.offset);
        let (asked, doc) = commands::read(record, self.partition, self.partitions);
        clear_text::command(record, place, &asked, doc.as_ref(), &mut shared.verdict);
        match asked {
            Asked::UnknownSchema => {
                let offset = record.offset;
                shared.verdict.unjudged.push(format!(
                    "the command at {}:{offset} has a schema that this auditor does not know",
                    self.partition
                ));
                Touched::Nobody
            }
            Asked::Tick(tick) if self.is_fresh(tick) => {
                self.tick(tick, place, outputs, &mut shared.verdict);
                Touched::Anybody
            }
            Asked::Tick(_) | Asked::FuseRelease => {
                self.no_outputs(outputs, "a record without effect", &mut shared.verdict);
                Touched::Nobody
            }
            Asked::EndDiversion { through } => {
                self.no_outputs(outputs, "the end of a diversion", &mut shared.verdict);
                let Some(key) = self.own_key(record) else { return Touched::Nobody };
                if self.is_taken(key, record) {
                    return Touched::Nobody;
                }
                let account = self.account(key);
                account.touch(record.offset);
                if account.diverted_through.is_some_and(|at| at <= through) {
                    account.diverted_through = None;
                }
                Touched::Key(key)
            }
            Asked::Poison(code) => self.poison(record, code, doc.as_ref(), outputs, shared),
            Asked::Command(command) => self.command(record, &command, outputs, shared),
        }
    }

    fn is_fresh(&self, tick: Tick) -> bool {
        tick.time > self.clock.time
            && tick.rules_version >= self.clock.rules_version
            && tick.logic_version >= self.clock.logic_version
    }

    /// The account that the record belongs to, where it can be told.
    fn own_key(&self, record: &'a Rec) -> Option<&'a str> {
        commands::account_key(record, self.partition, self.partitions).ok()
    }

    fn account(&mut self, key: &str) -> &mut Account {
        let row_pos = self.rows.positions.get(key).copied();
        let fresh = || Account { row_pos, ..Account::default() };
        self.accounts.entry(key.into()).or_insert_with(fresh)
    }

    /// The record is the copy of an output that this key has taken already.
    fn is_taken(&mut self, key: &str, record: &Rec) -> bool {
        let Some(source) = record.headers.text("tapline-src").and_then(Source::parse) else {
            return false;
        };
        let (offset, name, index) = source.order();
        let this = (offset, name.to_owned(), index);
        let taken = &mut self.account(key).taken;
        let from = (source.incarnation, source.partition);
        if taken.get(&from).is_some_and(|latest| this <= *latest) {
            return true;
        }
        taken.insert(from, this);
        false
    }

    // ------------------------------------------------------------- bad records

    fn poison(
        &mut self,
        record: &'a Rec,
        code: &str,
        doc: Option<&Doc>,
        outputs: &[Output],
        shared: &mut Shared<'a>,
    ) -> Touched<'a> {
        let (place, verdict) = (self.place(record.offset), &mut shared.verdict);
        let key = self.own_key(record).filter(|key| !commands::is_reserved(key));
        if key.is_some_and(|key| self.is_taken(key, record)) {
            self.no_outputs(outputs, "a copy", verdict);
            return Touched::Nobody;
        }
        self.no_effect(outputs, &format!("a record that cannot be applied ({code})"), verdict);
        if !self.owes_letter(record) {
            self.letters.claim(record, code != "pan_in_clear", verdict);
        }
        let message_id = doc.and_then(|doc| text(&doc.fields, "message_id"));
        shared.sends.refused(place, message_id);
        match key {
            Some(key) => {
                self.divert(key, record.offset);
                Touched::Key(key)
            }
            None => Touched::Nobody,
        }
    }

    /// Its letter is still to be written.
    fn owes_letter(&mut self, record: &Rec) -> bool {
        let is_owed = self.tail.owes(record.offset) && !self.letters.has(record);
        if is_owed {
            self.owed.commands.note(record.offset);
        }
        is_owed
    }

    fn divert(&mut self, key: &str, offset: i64) {
        let account = self.account(key);
        account.touch(offset);
        account.diverted_through = Some(offset);
    }

    /// A record that waits behind a dead letter: it follows it, and whoever waits is told.
    fn parked(
        &mut self,
        (record, key): (&'a Rec, &str),
        command: &Command,
        outputs: &[Output],
        verdict: &mut Verdict,
    ) {
        if !self.owes_letter(record) {
            self.letters.claim(record, true, verdict);
        }
        self.divert(key, record.offset);
        let is_told = match command.kind {
            "Authorise" | "Increment" => true,
            "Debit" => !command.advice,
            _ => false,
        };
        let told = outputs.split_at(usize::from(is_told).min(outputs.len()));
        self.no_effect(told.1, "a record that waits behind a dead letter", verdict);
        let place = self.place(record.offset);
        match told.0 {
            [output] => {
                let Some(doc) = self.event(output, key, Some(&command.message_id), verdict) else {
                    return;
                };
                let declined = matches!(doc.kind, "PaymentDeclined" | "CommandDeclined")
                    && text(doc.body(), "reason") == Some("diverted");
                let stated = avro::record(&doc.fields, "balances");
                let stated = stated.map(super::accounts::Balances::read);
                let account = self.account(key);
                let same = stated == account.stated;
                if !declined || !same || output.source.index != 1 {
                    let found = format!("{} at index {}", doc.kind, output.source.index);
                    let expected = "declined as diverted, nothing moved, index 1";
                    verdict.breach(Invariant::P11, place, &*output.id, expected, found);
                }
            }
            _ if is_told && self.tail.owes_events(record.offset) => {
                self.owed.commands.note(record.offset);
            }
            _ if is_told => {
                let id = self.output_id(record.offset, 1);
                verdict.breach(Invariant::P3, place, id, "declined as diverted", "no output");
            }
            _ => {}
        }
    }

    /// P11: nothing of a bad or diverted record takes effect.
    fn no_effect(&self, outputs: &[Output], of: &str, verdict: &mut Verdict) {
        for output in outputs {
            let expected = format!("no output of {of}");
            verdict.breach(Invariant::P11, output.place(), &*output.id, expected, "an output");
        }
    }

    fn no_outputs(&self, outputs: &[Output], of: &str, verdict: &mut Verdict) {
        for output in outputs {
            let expected = format!("no output of {of}");
            verdict.breach(Invariant::P3, output.place(), &*output.id, expected, "an output");
        }
    }

    fn output_id(&self, offset: i64, index: i32) -> String {
        let incarnation = self.incarnation.unwrap_or(1);
        let partition = self.partition;
        Source { incarnation, partition, offset, index, key: None }.to_string()
    }

    // ---------------------------------------------------------------- commands

    fn command(
        &mut self,
        record: &'a Rec,
        command: &Command,
        outputs: &[Output],
        shared: &mut Shared<'a>,
    ) -> Touched<'a> {
        let place = self.place(record.offset);
        let Some(key) = self.own_key(record) else { return Touched::Nobody };
        shared.verdict.seen.commands += 1;
        if let Some(id) = record.headers.text("tapline-src") {
            shared.transfers.credited(id, place, command, record, &mut shared.verdict);
        }
        if self.is_taken(key, record) {
            self.no_outputs(outputs, "a copy", &mut shared.verdict);
            return Touched::Nobody;
        }
        shared.sends.stands(place, &command.message_id, &mut shared.verdict);
        let waits = self.account(key).diverted_through.is_some() && !letters::is_redriven(record);
        if waits {
            self.parked((record, key), command, outputs, &mut shared.verdict);
            shared.sends.refused(place, Some(&command.message_id));
            return Touched::Key(key);
        }
        // Only the stage can tell whether a sum would leave its range; any other letter of a record
        // that can be applied stays unclaimed, which is a breach.
        if let Some(code) = self.letters.code(record).filter(|_| outputs.is_empty()) {
            if code == "amount_overflow" {
                self.letters.claim(record, true, &mut shared.verdict);
            }
            self.divert(key, record.offset);
            shared.sends.refused(place, Some(&command.message_id));
            return Touched::Key(key);
        }
        self.account(key).touch(record.offset);
        self.answer((record, key), command, outputs, shared);
        Touched::Key(key)
    }

    fn answer(
        &mut self,
        (record, key): (&Rec, &str),
        command: &Command,
        outputs: &[Output],
        shared: &mut Shared<'a>,
    ) {
        let place = self.place(record.offset);
        let is_answer = |output: &Output| output.source.index == 0 && output.source.key.is_none();
        let (own, others) = match outputs {
            [first, others @ ..] if is_answer(first) => (Some(first), others),
            others => (None, others),
        };
        let of = format!("{} {}", command.kind, command.message_id);
        self.no_outputs(others, &of, &mut shared.verdict);
        let Some(output) = own else {
            if self.tail.owes_events(record.offset) && others.is_empty() {
                self.owed.commands.note(record.offset);
                shared.sends.owed(&command.message_id);
                return;
            }
            let id = self.output_id(record.offset, 0);
            let expected = format!("one event that answers {of}");
            shared.verdict.breach(Invariant::P3, place, id, expected, "none");
            return;
        };
        let message_id = Some(&*command.message_id);
        let Some(doc) = self.event(output, key, message_id, &mut shared.verdict) else { return };
        let clock = self.clock.time;
        let event = Judged { doc: &doc, id: &output.id, place, account: key, clock };
        self.account(key);
        let Some(account) = self.accounts.get_mut(key) else { return };
        if messages::answer(account, command, &event, &mut shared.verdict) {
            shared.sends.decided(&command.message_id);
        }
        money::apply(account, &mut self.deadlines, &event, &mut shared.verdict);
        if let Some(to) = messages::transfer(&event) {
            let Source { incarnation, partition, offset, .. } = output.source;
            let half = Source { incarnation, partition, offset, index: 1, key: None };
            let is_owed = self.tail.owes(place.offset);
            shared.transfers.debited((half.to_string(), place), to, command, is_owed);
        }
    }

    /// Reads an event and checks its surroundings: key, time, message, running number and chain.
    fn event(
        &mut self,
        output: &Output,
        key: &str,
        message_id: Option<&str>,
        verdict: &mut Verdict,
    ) -> Option<Doc> {
        let (place, id) = (output.place(), &*output.id);
        let value = output.record.value.as_deref().unwrap_or_default();
        let Ok(doc) = avro::read(EVENTS, value) else {
            verdict.breach(Invariant::P3, place, id, "a readable event", "other bytes");
            return None;
        };
        clear_text::event(output.record, place, id, &doc, verdict);
        let at = (place, id);
        verdict.same(Invariant::P3, at, "key", (Some(key), output.record.key_text()));
        verdict.same(Invariant::P3, at, "account", (Some(key), text(&doc.fields, "account_id")));
        verdict.same(Invariant::P3, at, "message", (message_id, text(&doc.fields, "message_id")));
        let log_time = long(&doc.fields, "log_time");
        verdict.same(Invariant::I14, at, "log time", (Some(self.clock.time), log_time));
        let headers = &output.record.headers;
        if key == PARTITION_KEY {
            return Some(doc);
        }
        let home = partition_of(key.as_bytes(), self.partitions);
        verdict.same(Invariant::P7, at, "partition", (home, self.partition));
        let account = self.account(key);
        let (seq, link) = (account.seq + 1, chain(account.chain, value));
        let stated_seq = headers.text("tapline-seq").and_then(|text| text.parse().ok());
        let hex = headers.text("tapline-chain").unwrap_or("");
        let stated_chain = u64::from_str_radix(hex, 16).ok().map(u64::to_be_bytes);
        verdict.same(Invariant::P3, at, "seq", (Some(seq), stated_seq));
        verdict.same(Invariant::P3, at, "chain", (Some(link), stated_chain));
        // Go on from what was said, so that one break is one finding.
        account.seq = stated_seq.unwrap_or(seq);
        account.chain = stated_chain.unwrap_or(link);
        Some(doc)
    }

    // --------------------------------------------------------------------- end

    fn finish(self, commands: &[Rec], shared: &mut Shared) {
        let verdict = &mut shared.verdict;
        let end = commands.last().map_or(0, |record| record.offset + 1);
        let mut committed = 0;
        for commit in self.evidence.committed.iter().filter(|it| it.partition == self.partition) {
            verdict.checked(Invariant::P5);
            let is_fresh = commit.offset == 0 || self.fresh_ticks.contains(&commit.offset);
            if is_fresh && commit.offset <= end {
                committed = committed.max(commit.offset);
                continue;
            }
            let place = Place { offset: commit.offset, partition: self.partition };
            let id = format!("commit {}:{}", self.partition, commit.offset);
            let found = if commit.offset > end { "above the log's end" } else { "another record" };
            verdict.breach(Invariant::P5, place, id, "0 or a fresh tick", found);
        }
        for (key, account) in &self.accounts {
            let Some(behind) = account.beyond_row.filter(|offset| *offset < committed) else {
                continue;
            };
            let found = match account.row_pos {
                Some(pos) => format!("a row at {pos}"),
                None => "no row".to_owned(),
            };
            let place = Place { offset: behind, partition: self.partition };
            let expected = format!("a row at or after {behind}, below the commit {committed}");
            verdict.breach(Invariant::P4, place, format!("head {key}"), expected, found);
        }
        verdict.left_out.extend(self.owed.ticks.says("ticks", self.partition));
        shared.owed.extend(self.owed.commands.says("commands", self.partition));
        self.rows.left_over(verdict);
        self.letters.unclaimed(&self.evidence.came_later(self.partition), verdict);
        money::sums(&self.accounts, self.partition, verdict);
    }
}
