//! The authorisation stage: every command of an account becomes events with the balances after it.
//!
//! Owns the order of a step: contradictions are poison, a message that is remembered gets its first
//! answer, everything else is decided by the file of its command and kept with its mark. Never
//! learns who sent a command or which record it was. The rules are those of payments.md: requests
//! may be refused, what the network or the bank has already done is accepted (R5).

pub mod change;

mod account;
mod advise;
mod authorise;
mod booking;
mod checks;
mod contradiction;
mod draft;
mod due;
mod increment;
mod limits;
mod matching;
mod present;
mod refund;
mod repeat;
mod reverse;
mod settling;
mod side_rows;
mod suspense;

pub use change::Change;

use super::{
    AnswerOf, Cause, Context, Flow, Outgoing, Poison, Refused, RowOf, Scope, Stage, TickOf, Topic,
    Transition,
};
use crate::domain::{
    account::{Account, Item},
    command::{AccountCommand, Command, PARTITION_KEY, Tick},
    event::{AccountEvent, Event},
    ids::AccountId,
    money::Currency,
    payment::ItemId,
    reason::Reason,
    rules::Rules,
    time::LogTime,
};
use draft::Draft;

pub const COMMANDS: Topic = Topic("payments.commands.v1");
pub const EVENTS: Topic = Topic("payments.events.v1");

pub struct Authorisation;

/// What the stage publishes: events, and credits of transfers to other accounts.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// On `payments.events.v1`, under the account's key.
    Event(AccountEvent),
    /// On `payments.commands.v1`, under another account's key.
    Command(AccountCommand),
}

/// What a step of this stage gives.
type Step = Result<Transition<Change, Output>, Refused>;

impl Stage for Authorisation {
    const NAME: &'static str = "authorisation";
    const INPUT: Topic = COMMANDS;
    const OUTPUTS: &'static [Topic] = &[EVENTS, COMMANDS];
    const LOGIC_VERSIONS: &'static [i32] = &[1];
    const READ_ROW: Option<RowOf<Output>> = None;
    const PASS_ON: Option<TickOf<Output>> = Some(pass_on);
    const DIVERTED: Option<AnswerOf<Self>> = Some(diverted);

    type Input = AccountCommand;
    type Output = Output;
    type Rules = Rules;
    type Head = Account;
    type Change = Change;
    type ItemId = ItemId;
    type Item = Item;

    fn scope(input: &AccountCommand) -> Scope {
        // No offset is negative; one that claims to be covers nothing but the first record.
        let offset = |offset: i64| u64::try_from(offset).unwrap_or(0);
        match &input.body {
            Command::Tick(tick) => Scope::Tick(*tick),
            Command::ReleaseFuse(release) => {
                Scope::FuseRelease { through_offset: offset(release.through_offset) }
            }
            Command::EndDiversion(end) => {
                Scope::EndDiversion { through_offset: offset(end.through_offset) }
            }
            Command::OpenAccount(_)
            | Command::ChangeAccount(_)
            | Command::ChangeHolder(_)
            | Command::ChangeCard(_)
            | Command::Authorise(_)
            | Command::Advise(_)
            | Command::Increment(_)
            | Command::Reverse(_)
            | Command::Present(_)
            | Command::ReversePresentment(_)
            | Command::AuthoriseRefund(_)
            | Command::Refund(_)
            | Command::Credit(_)
            | Command::Debit(_) => Scope::Key,
        }
    }

    fn items_named(
        context: &Context<Rules>,
        head: &Account,
        input: &AccountCommand,
    ) -> Vec<ItemId> {
        side_rows::named(context, head, input)
    }

    fn recall(head: &mut Account, id: ItemId, item: Item) {
        head.items.insert(id, item);
    }

    fn deadline(_key: &str, head: &Account, rules: &Rules) -> Option<LogTime> {
        due::deadline(head, rules)
    }

    fn step(
        context: &Context<Rules>,
        key: &str,
        head: &Account,
        cause: Cause<AccountCommand>,
    ) -> Step {
        match cause {
            Cause::Due => due::due(Draft::new(context, key, head, None)),
            Cause::Record(message) => {
                contradiction::check(key, message)?;
                decide(Draft::new(context, key, head, Some(message)), message)
            }
        }
    }

    fn apply(head: &mut Account, change: Change) -> Vec<(ItemId, Item)> {
        change.apply(head)
    }

    fn money(_: &str, head: &Account, add: &mut impl FnMut(Flow, Currency, i64)) {
        if let Some(balances) = head.standing.balances() {
            add(Flow::Booked, balances.currency, balances.booked_minor);
        }
    }
}

/// Events keep the clock of commands.
pub fn pass_on(tick: Tick) -> Outgoing<Output> {
    let event = AccountEvent {
        account_id: AccountId::from(PARTITION_KEY),
        message_id: None,
        log_time: tick.time,
        balances: None,
        body: Event::Tick(tick),
    };
    Outgoing { topic: EVENTS, key: None, body: Output::Event(event) }
}

/// Who asked to be approved waits for an answer; it is no.
pub fn diverted(
    context: &Context<Rules>,
    key: &str,
    head: &Account,
    input: &AccountCommand,
) -> Option<Outgoing<Output>> {
    let body = match &input.body {
        Command::Authorise(c) => authorise::declined(&authorise::request(c), Reason::Diverted),
        Command::Increment(c) => authorise::declined(&increment::request(c), Reason::Diverted),
        Command::Debit(debit) if !debit.advice => booking::declined(debit, Reason::Diverted),
        Command::OpenAccount(_)
        | Command::ChangeAccount(_)
        | Command::ChangeHolder(_)
        | Command::ChangeCard(_)
        | Command::Advise(_)
        | Command::Reverse(_)
        | Command::Present(_)
        | Command::ReversePresentment(_)
        | Command::AuthoriseRefund(_)
        | Command::Refund(_)
        | Command::Credit(_)
        | Command::Debit(_)
        | Command::EndDiversion(_)
        | Command::Tick(_)
        | Command::ReleaseFuse(_) => return None,
    };
    // What was decided before the diversion stays decided (R2, R3).
    let mark = repeat::mark(input);
    let known = repeat::answer(head, &repeat::place(input), &mark, &input.body);
    let event = AccountEvent {
        account_id: AccountId::from(key),
        message_id: Some(input.message_id.clone()),
        log_time: context.log_time,
        balances: head.standing.balances(),
        body: known.unwrap_or(body),
    };
    Some(Outgoing { topic: EVENTS, key: None, body: Output::Event(event) })
}

/// Answers a message that is well formed: its first answer again, or the decision of its command.
fn decide(mut draft: Draft, message: &AccountCommand) -> Step {
    let (place, mark) = (repeat::place(message), repeat::mark(message));
    if let Some(answer) = repeat::answer(draft.head, &place, &mark, &message.body) {
        draft.emit(answer);
        return draft.finish();
    }
    match &message.body {
        Command::OpenAccount(command) => account::open(draft, mark, command),
        Command::ChangeAccount(command) => account::change(draft, mark, command),
        Command::ChangeHolder(command) => account::holder(draft, mark, command),
        Command::ChangeCard(command) => account::card(draft, mark, command),
        Command::Authorise(command) => authorise::authorise(draft, place, mark, command),
        Command::Advise(command) => advise::advise(draft, place, mark, command),
        Command::Increment(command) => increment::increment(draft, place, mark, command),
        Command::Reverse(command) => reverse::reverse(draft, place, mark, command),
        Command::Present(command) => present::present(draft, place, mark, command),
        Command::ReversePresentment(command) => {
            present::reverse_presentment(draft, place, mark, command)
        }
        Command::AuthoriseRefund(command) => refund::authorise_refund(draft, place, mark, command),
        Command::Refund(command) => refund::refund(draft, place, mark, command),
        Command::Credit(command) => booking::credit(draft, mark, command),
        Command::Debit(command) => booking::debit(draft, mark, command),
        // They have scopes of their own and were refused as contradictions.
        Command::EndDiversion(_) | Command::Tick(_) | Command::ReleaseFuse(_) => draft.finish(),
    }
}
