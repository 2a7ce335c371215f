//! The windows stage: parts of all partitions become windows, and windows become settled money.
//!
//! Owns one key per network and currency: what its partitions have sealed, the windows
//! OPEN → CLOSED → RECONCILED → INSTRUCTED → SETTLED (or BREAK), and the exceptions. Its topic has
//! no ticks: times are those that the records name. Invariant: what stands in suspense is the sum
//! of the open exceptions after every record, and no settled window ever changes; whatever would
//! change one halts the partition or goes to a later window (payments.md section 6).

mod draft;
mod exceptions;
mod head;
mod money;
mod parts;
mod reconcile;
mod settle;
mod window;

pub use head::{EXCEPTIONS_KEPT, Item, ItemId, Sealed, WINDOWS_AHEAD_MAX, WINDOWS_KEPT, Windows};
pub use parts::window_content;
pub use window::{Status, Window};

use crate::domain::{
    money::Currency,
    rules::Rules,
    settlement::{SettlementInput, SettlementRecord},
    time::LogTime,
    window::WindowEvent,
};
use crate::stages::{
    AnswerOf, Cause, Context, Flow, Refused, RowOf, Scope, Stage, TickOf, Topic, Transition,
};
use draft::Draft;

pub const PARTS: Topic = Topic("settlement.parts.v1");
pub const WINDOWS: Topic = Topic("settlement.windows.v1");

pub struct WindowsStage;

/// The whole next head: records are few (a part per partition and cycle) and heads are bounded.
pub type Change = Box<Windows>;

/// What a step of this stage gives.
type Step = Result<Transition<Change, WindowEvent>, Refused>;

impl Stage for WindowsStage {
    const NAME: &'static str = "windows";
    const INPUT: Topic = PARTS;
    const OUTPUTS: &'static [Topic] = &[WINDOWS];
    const LOGIC_VERSIONS: &'static [i32] = &[1];
    const TICKS: bool = false;
    const READ_ROW: Option<RowOf<WindowEvent>> = None;
    const PASS_ON: Option<TickOf<WindowEvent>> = None;
    const DIVERTED: Option<AnswerOf<Self>> = None;

    type Input = SettlementRecord;
    type Output = WindowEvent;
    type Rules = Rules;
    type Head = Windows;
    type Change = Change;
    type ItemId = ItemId;
    type Item = Item;

    fn scope(input: &SettlementRecord) -> Scope {
        match &input.body {
            SettlementInput::Birth(_) => Scope::Nothing,
            SettlementInput::Part(_)
            | SettlementInput::Report(_)
            | SettlementInput::Difference(_)
            | SettlementInput::Statement(_)
            | SettlementInput::Resolve(_) => Scope::Key,
        }
    }

    fn items_named(_: &Context<Rules>, head: &Windows, input: &SettlementRecord) -> Vec<ItemId> {
        head.named(input)
    }

    fn recall(head: &mut Windows, _: ItemId, item: Item) {
        head.put(item);
    }

    fn deadline(_: &str, _: &Windows, _: &Rules) -> Option<LogTime> {
        None
    }

    fn step(_: &Context<Rules>, _: &str, head: &Windows, cause: Cause<SettlementRecord>) -> Step {
        let Cause::Record(record) = cause else {
            return Ok(Transition { change: None, effects: Vec::new() });
        };
        let mut draft = Draft::new(head, record);
        match &record.body {
            SettlementInput::Part(part) => parts::seal(&mut draft, part)?,
            SettlementInput::Report(report) => reconcile::report(&mut draft, report)?,
            SettlementInput::Difference(difference) => {
                reconcile::difference(&mut draft, difference)?;
            }
            SettlementInput::Statement(line) => settle::statement(&mut draft, line)?,
            SettlementInput::Resolve(resolve) => exceptions::resolve(&mut draft, resolve)?,
            SettlementInput::Birth(_) => {}
        }
        Ok(draft.finish(head))
    }

    fn apply(head: &mut Windows, change: Change) -> Vec<(ItemId, Item)> {
        *head = *change;
        head.evict()
    }

    fn money(key: &str, head: &Windows, add: &mut impl FnMut(Flow, Currency, i64)) {
        money::sums(key, head, add);
    }
}
