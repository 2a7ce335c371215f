//! The feed stage: what the customers of an account see of each of its events.
//!
//! Owns the order of a step: who sees it is asked at that very position, what is shown follows from
//! the event and from what the head keeps of the payment's life. An item goes to each of the
//! audience once, carries the balances of the event unchanged, and is counted in versions that are
//! the same for everybody (payments.md F1 to F3). Never decides about money.
//!
//! What is shown of a payment: `life`; how an event changes it: `said`, `course`, `payment`;
//! everything else that moves money: `booking`; who sees it: `audience`, `holding`.

pub mod categories;
pub mod head;
pub mod life;
pub mod text;

mod audience;
mod booking;
mod course;
mod due;
mod holding;
mod payment;
mod recent;
mod said;
mod side_rows;

pub use head::Head;

use super::{
    AnswerOf, Cause, Context, Outgoing, ReadRow, Refused, RowOf, Scope, Stage, TickOf, Topic,
    Transition,
};
use crate::domain::{
    command::CommandKind,
    event::{AccountEvent, Balances, Event},
    feed::{BalanceAfter, FeedBody, FeedRecord},
    ids::{CustomerId, PaymentId},
    payment::ItemId,
    rules::Rules,
    time::LogTime,
};
use head::{Change, Revision};
use life::Life;

pub const EVENTS: Topic = Topic("payments.events.v1");
pub const FEED_ITEMS: Topic = Topic("feed.items.v1");

/// The period of the rows that say which accounts a customer has.
pub const HOLDINGS_PERIOD: i32 = -1;

/// A sum or a number would leave what its bits can hold.
const OVERFLOW: Refused = Refused::Halt { code: "feed_overflow" };

/// Balances and counters stay below it, so that a few of them may be added without a check.
const MINOR_MAX: i64 = i64::MAX / 8;

pub struct Feed;

/// What a step of this stage gives.
type Step = Result<Transition<Change, FeedRecord>, Refused>;

const NOTHING: Transition<Change, FeedRecord> = Transition { change: None, effects: Vec::new() };

impl Stage for Feed {
    const NAME: &'static str = "feed";
    const INPUT: Topic = EVENTS;
    const OUTPUTS: &'static [Topic] = &[FEED_ITEMS];
    const LOGIC_VERSIONS: &'static [i32] = &[1];
    const READ_ROW: Option<RowOf<FeedRecord>> = Some(read_row);
    /// Customers' records keep no clock.
    const PASS_ON: Option<TickOf<FeedRecord>> = None;
    const DIVERTED: Option<AnswerOf<Self>> = None;

    type Input = AccountEvent;
    type Output = FeedRecord;
    type Rules = Rules;
    type Head = Head;
    type Change = Revision;
    type ItemId = ItemId;
    type Item = Life;

    fn scope(input: &AccountEvent) -> Scope {
        if let Event::Tick(tick) = &input.body { Scope::Tick(*tick) } else { Scope::Key }
    }

    fn items_named(_: &Context<Rules>, head: &Head, input: &AccountEvent) -> Vec<ItemId> {
        side_rows::named(head, input)
    }

    fn recall(head: &mut Head, id: ItemId, life: Life) {
        head.put_back(id, life);
    }

    fn deadline(_key: &str, head: &Head, rules: &Rules) -> Option<LogTime> {
        due::deadline(head, rules)
    }

    fn step(
        context: &Context<Rules>,
        _key: &str,
        head: &Head,
        cause: Cause<AccountEvent>,
    ) -> Result<Transition<Revision, FeedRecord>, Refused> {
        let (balance, step) = match cause {
            Cause::Due => (None, due::due(context, head)),
            Cause::Record(event) => {
                let balance = event.balances.as_ref().map(balance).transpose()?;
                (balance.filter(|it| head.balance != Some(*it)), show(context, head, event)?)
            }
        };
        let Transition { change, effects } = step;
        let is_change = balance.is_some() || change.is_some();
        Ok(Transition { change: is_change.then_some(Revision { balance, change }), effects })
    }

    fn apply(head: &mut Head, revision: Revision) -> Vec<(ItemId, Life)> {
        head.apply(revision)
    }
}

/// The line of an item under its customer and month, or the row of a holding; the birth is none.
pub fn read_row(output: &FeedRecord) -> Option<ReadRow> {
    let (period, order, item) = match &output.body {
        FeedBody::Item(item) => {
            let months = item.created_at.month() - LogTime::ZERO.month();
            let line = format!("{}/{}", output.account_id, item.item_id);
            (i32::try_from(months).unwrap_or(i32::MAX), item.created_at.0, line.into())
        }
        FeedBody::Holding(_) => (HOLDINGS_PERIOD, 0, output.account_id.0.clone()),
        FeedBody::Birth(_) => return None,
    };
    Some(ReadRow { period, key: output.customer_id.0.clone(), order, item })
}

/// Where the event stands and what every record made of it says.
struct Origin<'a> {
    event: &'a AccountEvent,
    partition: i32,
    offset: i64,
    balance: BalanceAfter,
}

impl Origin<'_> {
    fn record(&self, customer_id: &CustomerId, body: FeedBody) -> Outgoing<FeedRecord> {
        let record = FeedRecord {
            customer_id: customer_id.clone(),
            account_id: self.event.account_id.clone(),
            log_time: self.event.log_time,
            partition: self.partition,
            offset: self.offset,
            body,
        };
        Outgoing { topic: FEED_ITEMS, key: Some(customer_id.0.clone()), body: record }
    }
}

/// Nobody sees anything of an account that was never opened: its events have no balances.
fn show(context: &Context<Rules>, head: &Head, event: &AccountEvent) -> Step {
    let Some(balances) = &event.balances else { return Ok(NOTHING) };
    let origin = Origin {
        event,
        partition: context.partition,
        offset: context.offset,
        balance: balance(balances)?,
    };
    match &event.body {
        Event::PaymentAuthorised(_)
        | Event::PaymentDeclined(_)
        | Event::PaymentReversed(_)
        | Event::HoldExpired(_)
        | Event::PaymentPresented(_)
        | Event::PresentmentReversed(_)
        | Event::RefundAuthorised(_)
        | Event::PaymentRefunded(_) => payment::show(head, &origin),
        Event::AccountCredited(e) => Ok(booking::show(head, &origin, &booking::credited(e))),
        Event::AccountDebited(e) => Ok(booking::show(head, &origin, &booking::debited(e))),
        Event::CommandDeclined(e) if e.kind == CommandKind::Debit => {
            Ok(booking::show(head, &origin, &booking::declined(e)))
        }
        Event::HolderChanged(changed) => Ok(holding::holder(head, &origin, changed)),
        Event::CardChanged(changed) => Ok(holding::card(head, &origin, changed)),
        Event::AccountOpened(_)
        | Event::AccountChanged(_)
        | Event::CommandDeclined(_)
        | Event::OriginalNotFound(_)
        | Event::Tick(_) => Ok(NOTHING),
        Event::MovedToSuspense(e) => Ok(touch(head, event, e.payment_id.as_ref())),
        Event::MessageRepeated(e) => Ok(touch(head, event, e.payment_id.as_ref())),
        Event::MessageConflicted(e) => Ok(touch(head, event, e.payment_id.as_ref())),
    }
}

/// Nobody sees such a message, but authorisation keeps the payment (or has it back) because of it.
/// So do we: a young request may then name it, which never asks for a side row.
fn touch(
    head: &Head,
    event: &AccountEvent,
    payment_id: Option<&PaymentId>,
) -> Transition<Change, FeedRecord> {
    let id = payment_id.map(ItemId::payment).filter(|id| head.lives.contains_key(id));
    let change = id.map(|id| Change::Touch(id, event.log_time));
    Transition { change, effects: Vec::new() }
}

fn balance(balances: &Balances) -> Result<BalanceAfter, Refused> {
    let Balances { currency, booked_minor, held_minor, overdraft_limit_minor } = *balances;
    let parts = [booked_minor, held_minor, overdraft_limit_minor];
    if parts.iter().any(|minor| minor.unsigned_abs() > MINOR_MAX.unsigned_abs()) {
        return Err(OVERFLOW);
    }
    let available_minor = balances.available_minor();
    Ok(BalanceAfter { currency, booked_minor, held_minor, available_minor })
}
