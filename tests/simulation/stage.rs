//! The stage that is simulated: authorisation, with three additions for the simulation's sake.
//!
//! Parts stand beside the accounts (`part`), so that one record concerns two keys.
//! A transfer of an even amount becomes two credits, so that one record has two outputs of one kind
//! to another key (the index of an id then matters). And the money bugs of `sabotage` live here:
//! runtime and judge fold the same wrong stage, so only the money invariants can see them.

use super::money::{Auditor, Breach};
use super::part::{self, ITEMS, PARTS, Part, Said};
use super::script::{self, Record};
use super::simulated::{Audited, Simulated, Topics};
use crate::codec::{DecodeError, StageCodec, authorisation::AuthorisationCodec};
use crate::codec::{
    avro::{Avro, FRAME_BYTES},
    dead_letter,
    raw::RawRecord,
    schemas::Subject,
    snapshot::Row,
};
use crate::domain::account::{Account, Item};
use crate::domain::command::{AccountCommand, Advise, Command, Tick};
use crate::domain::event::{AccountEvent, AuthorisationKind, Event};
use crate::domain::{
    ids::MessageId, money::Currency, payment::ItemId, rules::Rules, time::LogTime,
};
use crate::runtime::sabotage::{self, Bug};
use crate::stages::authorisation::{self, Authorisation, COMMANDS, Change, EVENTS, Output};
use crate::stages::{
    AnswerOf, Cause, Context, Flow, Outgoing, ReadRow, Refused, RowOf, Scope, Stage, TickOf, Topic,
    Transition,
};
use std::collections::BTreeSet;

pub struct SimStage;

type Step = Result<Transition<Change, Output>, Refused>;

/// An account or a part; the other is always empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimHead {
    pub account: Account,
    pub part: Part,
}

pub enum SimChange {
    Account(Change),
    Part(Part),
}

#[derive(Clone, Debug, PartialEq)]
pub enum SimOutput {
    Account(Output),
    Part(Said),
}

impl Stage for SimStage {
    const NAME: &'static str = Authorisation::NAME;
    const INPUT: Topic = Authorisation::INPUT;
    const OUTPUTS: &'static [Topic] = &[EVENTS, COMMANDS, PARTS, ITEMS];
    const LOGIC_VERSIONS: &'static [i32] = Authorisation::LOGIC_VERSIONS;
    const READ_ROW: Option<RowOf<SimOutput>> = Some(read_row);
    const PASS_ON: Option<TickOf<SimOutput>> = Some(pass_on);
    const DIVERTED: Option<AnswerOf<Self>> = Some(diverted);

    type Input = AccountCommand;
    type Output = SimOutput;
    type Rules = Rules;
    type Head = SimHead;
    type Change = SimChange;
    type ItemId = ItemId;
    type Item = Item;

    fn scope(input: &AccountCommand) -> Scope {
        part::scope(input).unwrap_or_else(|| Authorisation::scope(input))
    }

    fn items_named(
        context: &Context<Rules>,
        head: &SimHead,
        input: &AccountCommand,
    ) -> Vec<ItemId> {
        Authorisation::items_named(context, &head.account, input)
    }

    fn recall(head: &mut SimHead, id: ItemId, item: Item) {
        Authorisation::recall(&mut head.account, id, item);
    }

    fn deadline(key: &str, head: &SimHead, rules: &Rules) -> Option<LogTime> {
        if part::is_part(key) {
            return Some(part::deadline(&head.part));
        }
        let early_ms = if sabotage::on(Bug::ExpiryTooEarly) { EARLY_MS } else { 0 };
        Authorisation::deadline(key, &head.account, rules).map(|time| LogTime(time.0 - early_ms))
    }

    fn standing_keys(rules: &Rules) -> Vec<Box<str>> {
        part::standing(rules.version)
    }

    fn step(
        c: &Context<Rules>,
        key: &str,
        head: &SimHead,
        cause: Cause<AccountCommand>,
    ) -> Result<Transition<SimChange, SimOutput>, Refused> {
        if part::is_part(key) {
            let step = part::step(c, key, &head.part, cause);
            return Ok(mapped(step, SimChange::Part, SimOutput::Part));
        }
        let mut transition = match cause {
            Cause::Due => due(c, key, &head.account),
            Cause::Record(message) => record(c, key, &head.account, message),
        }?;
        split_transfers(&mut transition.effects);
        Ok(mapped(transition, SimChange::Account, SimOutput::Account))
    }

    fn apply(head: &mut SimHead, change: SimChange) -> Vec<(ItemId, Item)> {
        match change {
            SimChange::Account(change) => Authorisation::apply(&mut head.account, change),
            SimChange::Part(part) => {
                head.part = part;
                Vec::new()
            }
        }
    }

    fn money(key: &str, head: &SimHead, add: &mut impl FnMut(Flow, Currency, i64)) {
        Authorisation::money(key, &head.account, add);
    }
}

fn pass_on(tick: Tick) -> Outgoing<SimOutput> {
    with_body(authorisation::pass_on(tick), SimOutput::Account)
}

fn diverted(
    context: &Context<Rules>,
    key: &str,
    head: &SimHead,
    input: &AccountCommand,
) -> Option<Outgoing<SimOutput>> {
    let answer = authorisation::diverted(context, key, &head.account, input)?;
    Some(with_body(answer, SimOutput::Account))
}

/// The newest credit and the newest decline of an account, as somebody would look them up.
fn read_row(output: &SimOutput) -> Option<ReadRow> {
    let SimOutput::Account(Output::Event(event)) = output else { return None };
    let (period, item) = match &event.body {
        Event::AccountCredited(_) => (0, "credit"),
        Event::PaymentDeclined(_) => (1, "decline"),
        _ => return None,
    };
    Some(ReadRow { period, key: event.account_id.0.clone(), order: 7, item: item.into() })
}

fn mapped<C, O>(
    of: Transition<C, O>,
    change: fn(C) -> SimChange,
    body: fn(O) -> SimOutput,
) -> Transition<SimChange, SimOutput> {
    let effects = of.effects.into_iter().map(|effect| with_body(effect, body)).collect();
    Transition { change: of.change.map(change), effects }
}

fn with_body<O>(of: Outgoing<O>, body: fn(O) -> SimOutput) -> Outgoing<SimOutput> {
    Outgoing { topic: of.topic, key: of.key, body: body(of.body) }
}

impl Simulated for SimStage {
    type Codec = SimCodec;

    fn codec(partitions: i32) -> SimCodec {
        SimCodec(AuthorisationCodec::new(partitions, Default::default(), Default::default(), ""))
    }

    fn topic_number(topic: Topic) -> usize {
        [EVENTS, COMMANDS, Topic(""), PARTS, ITEMS]
            .iter()
            .position(|known| *known == topic)
            .expect("an output of the stage")
    }

    fn tick(tick: Tick) -> Record {
        script::tick(tick.time, tick.rules_version, tick.logic_version)
    }

    fn release_fuse(through_offset: i64) -> Record {
        script::release_fuse(through_offset)
    }

    fn audit(topics: &Topics<'_>, diverted: &BTreeSet<String>) -> Result<Audited, Breach> {
        let mut auditor = Auditor::default();
        for partition in topics.of(0) {
            auditor.partition(partition, diverted)?;
        }
        auditor.at_rest(diverted)?;
        Ok(Audited { events: auditor.events, expired: auditor.expired })
    }

    fn told(value: Option<&[u8]>) -> String {
        let value = value.unwrap_or_default();
        let event = Avro::of(Subject::Events).decode::<AccountEvent>(value, &Default::default());
        match event {
            Ok(event) => format!("{event:?}"),
            Err(_) => String::from_utf8_lossy(value).into_owned(),
        }
    }
}

const EARLY_MS: i64 = 1_500;

/// The second half of a split transfer.
pub const SECOND_HALF: &str = "/2";

fn split_transfers(effects: &mut Vec<Outgoing<Output>>) {
    let Some(Outgoing { body: Output::Command(command), .. }) = effects.last_mut() else { return };
    let Command::Credit(credit) = &mut command.body else { return };
    if credit.amount_minor % 2 == 1 {
        return;
    }
    credit.amount_minor /= 2;
    let Some(mut second) = effects.last().cloned() else { return };
    if let Output::Command(command) = &mut second.body {
        command.message_id = MessageId::from(format!("{}{SECOND_HALF}", command.message_id));
    }
    effects.push(second);
}

fn due(context: &Context<Rules>, key: &str, head: &Account) -> Step {
    if sabotage::on(Bug::ExpiryTooEarly) {
        let early = Context { log_time: context.log_time.plus_ms(EARLY_MS), ..*context };
        return Authorisation::step(&early, key, head, Cause::Due);
    }
    let mut transition = Authorisation::step(context, key, head, Cause::Due)?;
    let expired = transition.effects.iter().any(|effect| {
        matches!(&effect.body, Output::Event(event) if matches!(event.body, Event::HoldExpired(_)))
    });
    if let Some(change) = &mut transition.change
        && expired
        && sabotage::on(Bug::HoldReleasedTwice)
    {
        change.standing.held_minor -= 1;
    }
    Ok(transition)
}

fn record(c: &Context<Rules>, key: &str, head: &Account, message: &AccountCommand) -> Step {
    let step = |message: &AccountCommand| Authorisation::step(c, key, head, Cause::Record(message));
    if let (Command::Authorise(ask), true) = (&message.body, sabotage::on(Bug::OverAvailable)) {
        let advise = Command::Advise(Advise {
            payment_id: ask.payment_id.clone(),
            amount_minor: ask.amount_minor,
            currency: ask.currency,
            purchase: ask.purchase.clone(),
            hold_class: ask.hold_class,
            approved: true,
            final_total: false,
            single_message: false,
        });
        let mut transition = step(&AccountCommand { body: advise, ..message.clone() })?;
        for event in events(&mut transition) {
            if let Event::PaymentAuthorised(authorised) = event {
                authorised.kind = AuthorisationKind::Request;
            }
        }
        return Ok(transition);
    }
    let mut transition = step(message)?;
    let answer = events(&mut transition).next().map(|event| &*event);
    let again = matches!(answer, Some(Event::MessageConflicted(_)))
        && sabotage::on(Bug::OtherContentAccepted)
        || matches!(answer, Some(Event::MessageRepeated(_))) && sabotage::on(Bug::RepeatHasEffect);
    if again {
        let other = MessageId::from(format!("{}'{}", message.message_id, c.log_time.0));
        transition = step(&AccountCommand { message_id: other, ..message.clone() })?;
        for effect in &mut transition.effects {
            if let Output::Event(event) = &mut effect.body {
                event.message_id = Some(message.message_id.clone());
            }
        }
    }
    if let (Command::Credit(_), true) = (&message.body, sabotage::on(Bug::CreditRefused)) {
        refuse_credit(&mut transition);
    }
    Ok(transition)
}

fn refuse_credit(transition: &mut Transition<Change, Output>) {
    use crate::domain::{command::CommandKind, event::CommandDeclined, reason::Reason};
    for event in events(transition) {
        if let Event::AccountCredited(credited) = event {
            *event = Event::CommandDeclined(CommandDeclined {
                kind: CommandKind::Credit,
                amount_minor: credited.amount_minor,
                reason: Reason::AccountFrozen,
            });
        }
    }
}

fn events(transition: &mut Transition<Change, Output>) -> impl Iterator<Item = &mut Event> {
    transition.effects.iter_mut().filter_map(|effect| match &mut effect.body {
        Output::Event(event) => Some(&mut event.body),
        Output::Command(_) => None,
    })
}

/// The authorisation's codec, for `SimStage`; parts and what they say are JSON.
pub struct SimCodec(pub AuthorisationCodec);

type Codec = dyn StageCodec<Authorisation>;

impl SimCodec {
    fn inner(&self) -> &Codec {
        &self.0
    }
}

impl StageCodec<SimStage> for SimCodec {
    fn decode(&self, record: &RawRecord) -> Result<AccountCommand, DecodeError> {
        self.inner().decode(record)
    }
    fn divertible_key<'r>(&self, record: &'r RawRecord) -> Option<&'r str> {
        self.inner().divertible_key(record)
    }
    fn dead_letter(&self, origin: &dead_letter::Origin<'_>) -> dead_letter::Letter {
        self.inner().dead_letter(origin)
    }
    fn encode_output(&self, output: &SimOutput, value: &mut Vec<u8>) {
        match output {
            SimOutput::Account(output) => self.inner().encode_output(output, value),
            SimOutput::Part(Said::Part(record)) => framed(record, value),
            SimOutput::Part(Said::Item(record)) => framed(record, value),
        }
    }
    fn ce_type(&self, output: &SimOutput) -> &'static str {
        match output {
            SimOutput::Account(output) => self.inner().ce_type(output),
            SimOutput::Part(_) => "part",
        }
    }
    fn encode_row(&self, row: &Row<SimHead>, row_bytes: &mut Vec<u8>) {
        let part = serde_json::to_vec(&row.state.part).expect("numbers are JSON");
        row_bytes.push(part.len() as u8);
        row_bytes.extend_from_slice(&part);
        self.inner().encode_row(&with_state(row, row.state.account.clone()), row_bytes);
    }
    fn decode_row(&self, row_bytes: &[u8]) -> Result<Row<SimHead>, DecodeError> {
        let (length, rest) = row_bytes.split_first().expect("a row of ours");
        let (part, row) = rest.split_at(usize::from(*length));
        let row = self.inner().decode_row(row)?;
        let part = serde_json::from_slice(part).expect("a part of ours");
        Ok(with_state(&row, SimHead { account: row.state.clone(), part }))
    }
    fn encode_side(&self, item: &Item, row_bytes: &mut Vec<u8>) {
        self.inner().encode_side(item, row_bytes);
    }
    fn decode_side(&self, row_bytes: &[u8]) -> Result<Item, DecodeError> {
        self.inner().decode_side(row_bytes)
    }
}

/// JSON behind as many bytes as a frame has, which the chain leaves out.
pub fn framed(value: &impl serde::Serialize, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&[0; FRAME_BYTES]);
    bytes.extend(serde_json::to_vec(value).expect("numbers and short texts are JSON"));
}

fn with_state<A, B>(row: &Row<A>, state: B) -> Row<B> {
    Row {
        pos: row.pos,
        seen: row.seen.clone(),
        seq: row.seq,
        chain: row.chain,
        diverted_through: row.diverted_through,
        poisoned_at: row.poisoned_at,
        state,
    }
}
