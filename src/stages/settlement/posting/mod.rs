//! The posting stage: every event of an account becomes one balanced set of legs, or none.
//!
//! Owns the order of a step. An account's key posts the legs and halts where its ledger disagrees
//! with the balances that authorisation put into the event; nothing is ever corrected in silence. A
//! part's key (`part:<network>/<CURRENCY>`, one in each partition) counts what the partition's
//! events do with a network and seals a cycle at the first tick at or after its cut-off. Fees and
//! calendars are the rules', times the log's (payments.md sections 4 and 6).

pub mod clearing;
pub mod part;

mod account;
mod table;

use crate::domain::{
    event::{AccountEvent, Event},
    ledger::{Address, BalanceAfter, LedgerAccount, PostingSet},
    money::Currency,
    rules::Rules,
    settlement::SettlementRecord,
    time::LogTime,
};
use crate::stages::{
    AnswerOf, Cause, Context, Flow, Poison, Refused, RowOf, Scope, Stage, TickOf, Topic, Transition,
};
use part::{Counted, Part};
use serde::{Deserialize, Serialize};

pub const EVENTS: Topic = Topic("payments.events.v1");
pub const POSTINGS: Topic = Topic("ledger.postings.v1");
pub const PARTS: Topic = Topic("settlement.parts.v1");

/// What the keys of parts begin with, and no account's.
pub const PART_PREFIX: &str = "part:";

/// An account is named like a part; its events can never be posted.
pub const KEY_RESERVED: Poison = Poison { code: "key_reserved" };

/// A sum of the ledger or of a part would leave what 64 bits can hold.
const OVERFLOW: Refused = Refused::Halt { code: "ledger_overflow" };

pub struct Posting;

/// What the stage publishes.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// On `ledger.postings.v1`, under the account's key.
    Posting(PostingSet),
    /// On `settlement.parts.v1`, under `<network>/<CURRENCY>`.
    Part(SettlementRecord),
}

/// The head of an account or of a part; never both, neither where nothing was moved yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub account: Option<LedgerAccount>,
    pub part: Option<Part>,
}

/// What a step changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Balances to replace.
    Account(Vec<BalanceAfter>),
    /// A part to replace.
    Part(Box<Part>),
    /// An item of a part.
    Counted(Box<Counted>),
}

/// Nothing ever leaves a head of this stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoItem {}

/// What a step of this stage gives.
type Step = Result<Transition<Change, Output>, Refused>;

const NOTHING: Transition<Change, Output> = Transition { change: None, effects: Vec::new() };

/// The key of a part.
pub fn part_key(network: &str, currency: Currency) -> Box<str> {
    format!("{PART_PREFIX}{network}/{currency}").into()
}

/// Network and currency of a part's key; `None` for any other.
pub fn parse_part_key(key: &str) -> Option<(&str, Currency)> {
    let (network, currency) = key.strip_prefix(PART_PREFIX)?.rsplit_once('/')?;
    Some((network, Currency::parse(currency)?))
}

impl Stage for Posting {
    const NAME: &'static str = "posting";
    const INPUT: Topic = EVENTS;
    const OUTPUTS: &'static [Topic] = &[POSTINGS, PARTS];
    const LOGIC_VERSIONS: &'static [i32] = &[1];
    const READ_ROW: Option<RowOf<Output>> = None;
    /// Who reads postings or parts keeps no clock.
    const PASS_ON: Option<TickOf<Output>> = None;
    const DIVERTED: Option<AnswerOf<Self>> = None;

    type Input = AccountEvent;
    type Output = Output;
    type Rules = Rules;
    type Head = Head;
    type Change = Change;
    type ItemId = Box<str>;
    type Item = NoItem;

    fn scope(input: &AccountEvent) -> Scope {
        if let Event::Tick(tick) = &input.body {
            return Scope::Tick(*tick);
        }
        match clearing::clearing(input) {
            Some(clearing) => Scope::KeyAnd(part_key(clearing.network, clearing.currency)),
            None => Scope::Key,
        }
    }

    fn items_named(_: &Context<Rules>, _: &Head, _: &AccountEvent) -> Vec<Box<str>> {
        Vec::new()
    }

    fn recall(_: &mut Head, _: Box<str>, item: NoItem) {
        match item {}
    }

    /// A part's cut-off; one that has not been opened yet is due at the first fresh tick.
    fn deadline(key: &str, head: &Head, _: &Rules) -> Option<LogTime> {
        match &head.part {
            Some(part) => Some(part.open.map_or(LogTime::ZERO, |cycle| cycle.cutoff)),
            None => parse_part_key(key).map(|_| LogTime::ZERO),
        }
    }

    /// The parts of every network and currency that the rules name.
    fn standing_keys(rules: &Rules) -> Vec<Box<str>> {
        let of_rule = |rule: &crate::domain::rules::SettlementRule| -> Vec<Box<str>> {
            rule.currencies.iter().map(|currency| part_key(&rule.network, *currency)).collect()
        };
        let mut keys: Vec<Box<str>> = rules.settlement.iter().flat_map(of_rule).collect();
        keys.sort_unstable();
        keys
    }

    fn step(context: &Context<Rules>, key: &str, head: &Head, cause: Cause<AccountEvent>) -> Step {
        match (cause, parse_part_key(key)) {
            (Cause::Record(event), _) if event.account_id.as_str() == key => {
                if key.starts_with(PART_PREFIX) {
                    return Err(KEY_RESERVED.into());
                }
                account::post(context, head.account.as_ref(), event)
            }
            (Cause::Record(event), Some(_)) => part::count(context, head.part.as_ref(), event),
            (Cause::Due, Some((network, currency))) => {
                part::seal(context, network, currency, head.part.as_ref())
            }
            (Cause::Record(_) | Cause::Due, None) => Ok(NOTHING),
        }
    }

    fn apply(head: &mut Head, change: Change) -> Vec<(Box<str>, NoItem)> {
        match change {
            Change::Account(after) => {
                let account = head.account.get_or_insert_default();
                after.into_iter().for_each(|balance| account.set(balance));
            }
            Change::Part(part) => head.part = Some(*part),
            Change::Counted(counted) => part::take(&mut head.part, *counted),
        }
        Vec::new()
    }

    fn money(_: &str, head: &Head, add: &mut impl FnMut(Flow, Currency, i64)) {
        for balance in head.account.iter().flat_map(|account| &account.balances) {
            match balance.address {
                Address::Cust | Address::Held => add(Flow::Booked, balance.currency, balance.minor),
                Address::Net => add(Flow::Cleared, balance.currency, balance.minor),
                Address::Unknown
                | Address::Interchange
                | Address::SchemeFees
                | Address::Nostro
                | Address::InterestExpense
                | Address::FeeIncome
                | Address::Suspense
                | Address::FxPosition => {}
            }
        }
    }
}
