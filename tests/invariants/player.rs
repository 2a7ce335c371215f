//! Plays moves against the stage and the model, as the runtime would around a step.
//!
//! Owns one history: the head, what left it, and the first answer of every message. After each move
//! everything is compared with the model (`model`) and with the first answers (I10 to I12).

use crate::{
    model::{First, Model, Verdict, must},
    moves::{HOUR_MS, KEY, Move, euro, picked, wire},
    seen::Seen,
};
use std::collections::BTreeMap;
use tapline::{
    domain::{
        account::{Account, Item},
        command::*,
        event::{AccountEvent, Event},
        payment::{Flag, ItemId},
        rules::Rules,
        time::LogTime,
    },
    stages::{
        Cause, Context, Stage,
        authorisation::{Authorisation, Output},
    },
};

/// Everything that one history needs.
pub struct Player {
    pub seen: Seen,
    pub head: Account,
    pub side_rows: BTreeMap<ItemId, Item>,
    rules: Rules,
    pub clock: LogTime,
    model: Model,
    /// First content and first answer by (payment named, message id).
    pub first: BTreeMap<(String, String), (AccountCommand, First)>,
    pub sent: Vec<AccountCommand>,
    pub codes: Vec<Box<str>>,
    /// How often the name of a payment was used anew after it had left the head.
    pub generations: BTreeMap<u8, u32>,
    history: Vec<(LogTime, Option<AccountCommand>)>,
    pub outputs: Vec<Output>,
}

impl Default for Player {
    fn default() -> Self {
        let rules = include_str!("../../rules/1.toml");
        Self {
            seen: Seen::default(),
            head: Account::default(),
            side_rows: BTreeMap::new(),
            rules: toml::from_str(rules).expect("the shipped rules can be read"),
            clock: LogTime(20_454 * 24 * HOUR_MS),
            model: Model::default(),
            first: BTreeMap::new(),
            sent: Vec::new(),
            codes: Vec::new(),
            generations: BTreeMap::new(),
            history: Vec::new(),
            outputs: Vec::new(),
        }
    }
}

impl Player {
    pub fn play(&mut self, one: &Move) -> Verdict {
        match one.kind {
            0..18 => self.tick(one),
            18..36 => self.repeat(one),
            36..46 => self.change(one),
            46..54 => self.poison(one),
            _ => {
                let command = self.command(one);
                self.sent.push(command.clone());
                self.send(command)
            }
        }
    }

    /// I9: the same records from the start, with a head that is saved and loaded now and then, give
    /// the same head, side rows and outputs.
    pub fn replay_is_equal(&self) -> Verdict {
        let mut again = Player::default();
        for (number, (clock, command)) in self.history.iter().enumerate() {
            again.clock = *clock;
            if number % 50 == 0 {
                let saved = serde_json::to_vec(&again.head).map_err(|e| e.to_string())?;
                again.head = serde_json::from_slice(&saved).map_err(|e| e.to_string())?;
            }
            match command {
                Some(command) => drop(again.step(command)),
                None => drop(again.due()),
            }
        }
        must!(again.head == self.head, "I9: another head");
        must!(again.side_rows == self.side_rows, "I9: other side rows");
        must!(again.outputs == self.outputs, "I9: other outputs");
        Ok(())
    }

    fn tick(&mut self, one: &Move) -> Verdict {
        let hours = picked(&[1, 1, 6, 12, 12, 24, 24, 72, 24 * 8, 24 * 40], one.options);
        self.clock = self.clock.plus_ms(hours * HOUR_MS);
        self.history.push((self.clock, None));
        let events = self.due()?;
        self.take(&events)?;
        let deadline = Authorisation::deadline(KEY, &self.head, &self.rules);
        must!(deadline.is_none_or(|d| d > self.clock), "something is still due");
        self.model.none_overdue(self.clock)?;
        self.model.compare(&self.head, &self.side_rows)
    }

    fn repeat(&mut self, one: &Move) -> Verdict {
        if self.sent.is_empty() {
            return Ok(());
        }
        // Mostly of the last messages, sometimes of any.
        let back = if one.options.is_multiple_of(4) {
            usize::from(one.amount)
        } else {
            one.payment.into()
        };
        let place = self.sent.len() - 1 - back % self.sent.len().min(200);
        self.send(self.sent[place].clone())
    }

    /// The id and place of an earlier message with other content.
    fn change(&mut self, one: &Move) -> Verdict {
        if self.sent.is_empty() {
            return Ok(());
        }
        let place = usize::from(one.amount) % self.sent.len();
        let mut command = self.sent[place].clone();
        match (&mut command.body, one.options % 3) {
            (Command::Authorise(c), 0) => c.amount_minor += 1,
            (Command::Authorise(c), 1) => c.purchase.merchant_name = "other".into(),
            (Command::Present(c), 0) => c.amount_minor += 1,
            (Command::Present(c), 1) => c.last = !c.last,
            (Command::Advise(c), 0) => c.approved = !c.approved,
            (Command::Refund(c), 0) => c.reference = "other".into(),
            (Command::Credit(c), 0) => c.amount_minor += 1,
            (Command::Debit(c), 0) => c.advice = !c.advice,
            _ => command.sent_at = command.sent_at.plus_ms(1),
        }
        self.send(command)
    }

    fn poison(&mut self, one: &Move) -> Verdict {
        let mut command = self.command(one);
        let purchase = self.purchase(one);
        let payment_id = self.payment_id(one, false);
        let present = |amount_minor, number, count| {
            Command::Present(Present {
                payment_id: payment_id.clone(),
                amount_minor,
                currency: euro(),
                purchase: purchase.clone(),
                authorisation_code: "".into(),
                reference: "".into(),
                sequence_number: number,
                sequence_count: count,
                last: false,
            })
        };
        let credit = |amount_minor| {
            let (kind, text) = (CreditKind::Other, "".into());
            Command::Credit(Credit { amount_minor, currency: euro(), kind, text })
        };
        match one.options % 6 {
            0 => command.account_id = "account-2".into(),
            1 => command.body = credit(0),
            2 => command.body = credit(-5),
            3 => command.body = present(10, 3, 2),
            4 => command.body = present(i64::MAX, 1, 1),
            _ => command.body = credit(i64::MAX),
        }
        let before = serde_json::to_vec(&self.head).map_err(|e| e.to_string())?;
        let context = Context::of(self.clock, &self.rules);
        let step = Authorisation::step(&context, KEY, &self.head, Cause::Record(&command));
        let Err(poison) = step else { return Err(format!("no poison: {command:?}")) };
        self.seen.count(&format!("poison {}", poison.code()));
        let after = serde_json::to_vec(&self.head).map_err(|e| e.to_string())?;
        must!(before == after, "a poison changed the head");
        Ok(())
    }

    fn send(&mut self, command: AccountCommand) -> Verdict {
        self.history.push((self.clock, Some(command.clone())));
        let before = self.head.standing;
        let events = self.step(&command)?;
        let named = named(&command.body);
        let key = (named, command.message_id.as_str().to_owned());
        let answer = events.first().ok_or("no answer")?;
        if let Some((first, given)) = self.first.get(&key) {
            self.check_repeat(first == &command, *given, &answer.body)?;
            must!(self.head.standing == before, "I10: a repeat moved money");
        } else {
            let repeated =
                matches!(answer.body, Event::MessageRepeated(_) | Event::MessageConflicted(_));
            must!(!repeated, "I10: a new message is called a repeat: {command:?}");
            check_accepted(&command.body, &answer.body)?;
            self.first.insert(key, (command, first_answer(&answer.body)));
        }
        self.take(&events)?;
        self.model.compare(&self.head, &self.side_rows)
    }

    fn check_repeat(&self, same: bool, given: First, answer: &Event) -> Verdict {
        match answer {
            Event::MessageRepeated(e) if same => {
                let again = First { accepted_minor: e.accepted_minor, reason: e.reason };
                must!(again == given, "I10, I11: first {given:?}, then {again:?}");
            }
            Event::MessageConflicted(_) if !same => {}
            other => return Err(format!("I10: same {same}, answered {other:?}")),
        }
        Ok(())
    }

    /// What the runtime does around a step: side rows, change, side rows again.
    fn step(&mut self, command: &AccountCommand) -> Result<Vec<AccountEvent>, String> {
        let context = Context::of(self.clock, &self.rules);
        loop {
            let named = Authorisation::items_named(&context, &self.head, command);
            let known = named.iter().filter_map(|id| Some((id, self.side_rows.get(id)?)));
            let known: Vec<_> = known.map(|(id, item)| (id.clone(), item.clone())).collect();
            if known.is_empty() {
                break;
            }
            for (id, item) in known {
                self.seen.count("recalled");
                Authorisation::recall(&mut self.head, id, item);
            }
        }
        let transition = Authorisation::step(&context, KEY, &self.head, Cause::Record(command))
            .map_err(|poison| format!("poison {}: {command:?}", poison.code()))?;
        Ok(self.apply(transition))
    }

    fn due(&mut self) -> Result<Vec<AccountEvent>, String> {
        let context = Context::of(self.clock, &self.rules);
        let transition = Authorisation::step(&context, KEY, &self.head, Cause::Due)
            .map_err(|poison| format!("poison {} by a tick", poison.code()))?;
        Ok(self.apply(transition))
    }

    fn apply(
        &mut self,
        transition: tapline::stages::Transition<tapline::stages::authorisation::Change, Output>,
    ) -> Vec<AccountEvent> {
        if let Some(change) = transition.change {
            for (id, item) in Authorisation::apply(&mut self.head, change) {
                self.seen.count("left");
                self.side_rows.insert(id, item);
            }
        }
        let mut events = Vec::new();
        for outgoing in transition.effects {
            match &outgoing.body {
                Output::Event(event) => events.push(event.clone()),
                Output::Command(_) => self.seen.count("transferred"),
            }
            self.outputs.push(outgoing.body);
        }
        events
    }

    fn take(&mut self, events: &[AccountEvent]) -> Verdict {
        for event in events {
            self.model.take(event, &mut self.seen)?;
            if let Event::PaymentAuthorised(e) = &event.body {
                self.codes.push(e.authorisation_code.clone());
            }
            count(&mut self.seen, &event.body);
        }
        Ok(())
    }
}

/// The payment that a message names; empty for none.
fn named(body: &Command) -> String {
    let id = match body {
        Command::Authorise(c) => &c.payment_id,
        Command::Advise(c) => &c.payment_id,
        Command::Increment(c) => &c.payment_id,
        Command::Reverse(c) => &c.payment_id,
        Command::Present(c) => &c.payment_id,
        Command::ReversePresentment(c) => &c.payment_id,
        Command::AuthoriseRefund(c) => &c.payment_id,
        Command::Refund(c) => &c.payment_id,
        _ => return String::new(),
    };
    id.as_str().to_owned()
}

/// I12: what must be accepted is never declined.
fn check_accepted(command: &Command, answer: &Event) -> Verdict {
    let must_accept = match command {
        Command::Advise(c) => c.approved,
        Command::Debit(c) => c.advice,
        Command::Present(_)
        | Command::Reverse(_)
        | Command::ReversePresentment(_)
        | Command::AuthoriseRefund(_)
        | Command::Refund(_)
        | Command::Credit(_) => true,
        _ => false,
    };
    let declined = matches!(answer, Event::PaymentDeclined(_) | Event::CommandDeclined(_));
    must!(!must_accept || !declined, "I12: {command:?} was declined: {answer:?}");
    Ok(())
}

fn first_answer(answer: &Event) -> First {
    let (accepted_minor, reason) = match answer {
        Event::PaymentAuthorised(e) => (e.approved_minor, None),
        Event::PaymentDeclined(e) => (0, Some(e.reason)),
        Event::PaymentReversed(e) => (e.reversed_minor, None),
        Event::PaymentPresented(e) => (e.presented_minor, None),
        Event::PresentmentReversed(e) => (e.presentment_reversed_minor + e.excess_minor, None),
        Event::RefundAuthorised(e) => (e.announced_minor, None),
        Event::PaymentRefunded(e) => (e.refunded_minor, None),
        Event::AccountCredited(e) => (e.amount_minor, None),
        Event::AccountDebited(e) => (e.amount_minor, None),
        Event::CommandDeclined(e) => (0, Some(e.reason)),
        Event::MovedToSuspense(e) => (0, Some(e.reason)),
        _ => (0, None),
    };
    First { accepted_minor, reason }
}

fn count(seen: &mut Seen, body: &Event) {
    let mut when = |holds: bool, what: &str| {
        if holds {
            seen.count(what);
        }
    };
    match body {
        Event::PaymentAuthorised(e) => {
            let wholly = e.approved_minor >= e.requested_minor;
            when(e.released_minor > 0, "authorised late");
            when(!wholly && wire(e.kind) != "advice", "authorised partly");
            when(e.payment.flags.contains(&Flag::Tombstone), "tombstone met");
            when(true, &format!("authorised {}", wire(e.kind)));
        }
        Event::PaymentDeclined(e) => {
            when(true, "declined");
            when(true, &format!("reason {}", wire(e.reason)));
        }
        Event::CommandDeclined(e) => when(true, &format!("reason {}", wire(e.reason))),
        Event::PaymentReversed(e) => {
            when(true, "reversed");
            when(e.over_minor > 0, "reversed over");
            when(e.payment.flags.contains(&Flag::Tombstone), "tombstone");
        }
        Event::HoldExpired(_) => when(true, "expired"),
        Event::PaymentPresented(e) => {
            when(true, "presented");
            when(e.over_minor > 0, "presented over");
            when(e.released_minor > 0, "presented rest released");
            when(true, &format!("match {}", wire(e.match_rule)));
        }
        Event::PresentmentReversed(e) => {
            when(true, "presentment reversed");
            when(e.excess_minor > 0, "presentment reversed excess");
        }
        Event::RefundAuthorised(_) => when(true, "refund announced"),
        Event::PaymentRefunded(e) => {
            when(true, "refunded");
            when(true, &format!("match {}", wire(e.match_rule)));
        }
        Event::OriginalNotFound(_) => when(true, "original not found"),
        Event::AccountCredited(_) => when(true, "credited"),
        Event::AccountDebited(_) => when(true, "debited"),
        Event::MovedToSuspense(_) => when(true, "suspense"),
        Event::MessageRepeated(_) => when(true, "repeated"),
        Event::MessageConflicted(_) => when(true, "conflict"),
        Event::AccountOpened(_)
        | Event::AccountChanged(_)
        | Event::HolderChanged(_)
        | Event::CardChanged(_)
        | Event::Tick(_) => {}
    }
}
