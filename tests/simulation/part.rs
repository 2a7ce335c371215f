//! The parts of the simulated stage: keys beside the accounts, with cycles that end by a tick.
//!
//! Owns what settlement is made of, as small as it can be: a part stands in every partition from the
//! start, counts what the records of accounts name it for, and at a tick at or after its cut-off
//! gives one record per cycle that passed, empty ones too. Some records change nothing, some have
//! outputs of the part's own, so that marks and numbers of a second key matter.

use crate::domain::command::{AccountCommand, Command};
use crate::domain::time::LogTime;
use crate::stages::{Cause, Context, Outgoing, Scope, Topic, Transition};
use serde::{Deserialize, Serialize};

pub const PARTS: Topic = Topic("parts");
pub const ITEMS: Topic = Topic("items");
const CYCLE_MS: i64 = 4_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// End of the open cycle; 0: none was opened.
    cutoff_ms: i64,
    from_offset: i64,
    items: i64,
    sum_minor: i64,
}

/// One partition's share of a cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    pub partition: i32,
    pub partitions: i32,
    pub cycle: i64,
    pub from_offset: i64,
    pub to_offset: i64,
    pub items: i64,
    pub sum_minor: i64,
}

/// What a part says of one record: its counts after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemRecord {
    pub items: i64,
    pub sum_minor: i64,
    pub offset: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Part(PartRecord),
    Item(ItemRecord),
}

pub type Decision = Transition<Part, Said>;

pub fn is_part(key: &str) -> bool {
    key.starts_with("part:")
}

/// Some commands name a part beside their account.
pub fn scope(command: &AccountCommand) -> Option<Scope> {
    let merchant = |name: &str| name.bytes().next_back().unwrap_or(b'0') as char;
    let part = match &command.body {
        Command::Present(c) => merchant(&c.purchase.merchant_name),
        Command::Refund(c) => merchant(&c.purchase.merchant_name),
        Command::ReversePresentment(_) => '0',
        Command::Credit(_) if command.message_id.as_str().starts_with("transfer:") => '1',
        _ => return None,
    };
    Some(Scope::KeyAnd(format!("part:{part}").into()))
}

/// The second part stands only under later rules; before that it begins with its first item.
pub fn standing(rules_version: i32) -> Vec<Box<str>> {
    let count = if rules_version == 1 { 1 } else { 2 };
    (0..count).map(|number| format!("part:{number}").into()).collect()
}

pub fn deadline(part: &Part) -> LogTime {
    LogTime(part.cutoff_ms)
}

pub fn step<R>(
    context: &Context<R>,
    key: &str,
    part: &Part,
    cause: Cause<AccountCommand>,
) -> Decision {
    match cause {
        Cause::Due => due(context, key, part),
        Cause::Record(command) => record(context, part, command),
    }
}

fn due<R>(context: &Context<R>, key: &str, part: &Part) -> Decision {
    let (now_ms, mut next) = (context.log_time.0, part.clone());
    let mut effects = Vec::new();
    if next.cutoff_ms == 0 {
        next.cutoff_ms = (now_ms / CYCLE_MS + 1) * CYCLE_MS;
        next.from_offset = context.offset;
    }
    while next.cutoff_ms <= now_ms {
        let record = PartRecord {
            partition: context.partition,
            partitions: context.partitions,
            cycle: next.cutoff_ms / CYCLE_MS,
            from_offset: next.from_offset,
            to_offset: context.offset,
            items: next.items,
            sum_minor: next.sum_minor,
        };
        let key = Some(key.replace("part:", "window ").into());
        effects.push(Outgoing { topic: PARTS, key, body: Said::Part(record) });
        (next.items, next.sum_minor, next.from_offset) = (0, 0, context.offset);
        next.cutoff_ms += CYCLE_MS;
    }
    Transition { change: Some(next), effects }
}

fn record<R>(context: &Context<R>, part: &Part, command: &AccountCommand) -> Decision {
    let amount_minor = match &command.body {
        Command::Present(c) => c.amount_minor,
        Command::Refund(c) => -c.amount_minor,
        Command::ReversePresentment(c) => -c.amount_minor,
        Command::Credit(c) => c.amount_minor,
        _ => 0,
    };
    // The same record counts under one clock and not under another.
    if context.log_time.0 / 1_000 % 3 == 0 {
        return Transition { change: None, effects: Vec::new() };
    }
    let mut next = part.clone();
    next.items += 1;
    next.sum_minor += amount_minor;
    let count = amount_minor.rem_euclid(3);
    let item = |_| {
        let (items, sum_minor, offset) = (next.items, next.sum_minor, context.offset);
        let body = Said::Item(ItemRecord { items, sum_minor, offset });
        Outgoing { topic: ITEMS, key: None, body }
    };
    let effects = (0..count).map(item).collect();
    Transition { change: Some(next), effects }
}
