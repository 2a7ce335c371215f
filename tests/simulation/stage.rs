//! The stage that is simulated: authorisation, with two additions for the simulation's sake.
//!
//! A transfer of an even amount becomes two credits, so that one record has two outputs of one kind
//! to another key (the index of an id then matters). And the money bugs of `sabotage` live here:
//! runtime and judge fold the same wrong stage, so only the money invariants can see them.

use crate::codec::{DecodeError, StageCodec, authorisation::AuthorisationCodec};
use crate::codec::{dead_letter, raw::RawRecord, snapshot::Row};
use crate::domain::account::{Account, Item};
use crate::domain::command::{AccountCommand, Advise, Command, Tick};
use crate::domain::event::{AuthorisationKind, Event};
use crate::domain::{ids::MessageId, payment::ItemId, rules::Rules, time::LogTime};
use crate::runtime::sabotage::{self, Bug};
use crate::stages::authorisation::{Authorisation, Change, Output};
use crate::stages::{Cause, Context, Outgoing, Poison, Scope, Stage, Topic, Transition};

pub struct SimStage;

type Step = Result<Transition<Change, Output>, Poison>;

impl Stage for SimStage {
    const NAME: &'static str = Authorisation::NAME;
    const INPUT: Topic = Authorisation::INPUT;
    const OUTPUTS: &'static [Topic] = Authorisation::OUTPUTS;
    const LOGIC_VERSIONS: &'static [i32] = Authorisation::LOGIC_VERSIONS;

    type Input = AccountCommand;
    type Output = Output;
    type Rules = Rules;
    type Head = Account;
    type Change = Change;
    type ItemId = ItemId;
    type Item = Item;

    fn scope(input: &AccountCommand) -> Scope {
        Authorisation::scope(input)
    }

    fn items_named(
        context: &Context<Rules>,
        head: &Account,
        input: &AccountCommand,
    ) -> Vec<ItemId> {
        Authorisation::items_named(context, head, input)
    }

    fn recall(head: &mut Account, id: ItemId, item: Item) {
        Authorisation::recall(head, id, item);
    }

    fn deadline(head: &Account, rules: &Rules) -> Option<LogTime> {
        let early_ms = if sabotage::on(Bug::ExpiryTooEarly) { EARLY_MS } else { 0 };
        Authorisation::deadline(head, rules).map(|time| LogTime(time.0 - early_ms))
    }

    fn step(c: &Context<Rules>, key: &str, head: &Account, cause: Cause<AccountCommand>) -> Step {
        let mut transition = match cause {
            Cause::Due => due(c, key, head),
            Cause::Record(message) => record(c, key, head, message),
        }?;
        split_transfers(&mut transition.effects);
        Ok(transition)
    }

    fn apply(head: &mut Account, change: Change) -> Vec<(ItemId, Item)> {
        Authorisation::apply(head, change)
    }

    fn pass_on(tick: Tick) -> Option<Outgoing<Output>> {
        Authorisation::pass_on(tick)
    }

    fn diverted(
        context: &Context<Rules>,
        key: &str,
        head: &Account,
        input: &AccountCommand,
    ) -> Option<Outgoing<Output>> {
        Authorisation::diverted(context, key, head, input)
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

/// The authorisation's codec, for `SimStage`.
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
    fn encode_output(&self, output: &Output, value: &mut Vec<u8>) {
        self.inner().encode_output(output, value);
    }
    fn ce_type(&self, output: &Output) -> &'static str {
        self.inner().ce_type(output)
    }
    fn encode_row(&self, row: &Row<Account>, row_bytes: &mut Vec<u8>) {
        self.inner().encode_row(row, row_bytes);
    }
    fn decode_row(&self, row_bytes: &[u8]) -> Result<Row<Account>, DecodeError> {
        self.inner().decode_row(row_bytes)
    }
    fn encode_side(&self, item: &Item, row_bytes: &mut Vec<u8>) {
        self.inner().encode_side(item, row_bytes);
    }
    fn decode_side(&self, row_bytes: &[u8]) -> Result<Item, DecodeError> {
        self.inner().decode_side(row_bytes)
    }
}
