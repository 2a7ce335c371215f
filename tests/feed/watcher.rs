//! An audience of its own: who must get which version of which line after each event.
//!
//! Owns the plainest possible model of F1 to F3: holders in the order they came, whose card is
//! whose, a version for each line of the account. It keeps everything for ever and knows no side
//! rows, so a life that came back wrong shows. Amounts that follow from the event are checked too.

use crate::{
    events::PARTITION,
    model::{Verdict, must},
};
use std::collections::BTreeMap;
use tapline::domain::{
    account::HolderRole,
    event::{AccountEvent, Event, PaymentAfter},
    feed::{Audience, FeedBody, FeedItem, FeedRecord, TIMELINE_STEPS_MAX},
};

#[derive(Default)]
pub struct Watcher {
    holders: Vec<(String, HolderRole)>,
    /// Customer by card.
    cards: BTreeMap<String, String>,
    lines: BTreeMap<String, Line>,
    pub items: usize,
    pub holdings: usize,
}

struct Line {
    version: i32,
    created_at: i64,
    card: String,
    shown_minor: Option<i64>,
    /// The version before this one went to nobody: what it showed is not known here.
    unseen: bool,
}

/// What an event is about.
struct Subject<'e> {
    line: String,
    card: Option<&'e str>,
    after: Option<&'e PaymentAfter>,
    /// Where it is not known it is made.
    opens: bool,
}

impl Watcher {
    /// `records`: all that was published of the event at `offset`.
    pub fn judge(&mut self, event: &AccountEvent, offset: i64, records: &[FeedRecord]) -> Verdict {
        let Some(balances) = event.balances else {
            must!(records.is_empty(), "nobody is told of {event:?}");
            return Ok(());
        };
        for record in records {
            let place = (record.partition, record.offset, record.log_time);
            must!(place == (PARTITION, offset, event.log_time), "{record:?}");
            must!(record.account_id == event.account_id, "{record:?}");
            let balance = match &record.body {
                FeedBody::Item(item) => item.balance,
                FeedBody::Holding(holding) => holding.balance,
                FeedBody::Birth(_) => return Err("a birth".into()),
            };
            let found = (balance.booked_minor, balance.held_minor, balance.available_minor);
            let told = (balances.booked_minor, balances.held_minor, balances.available_minor());
            must!(found == told && balance.currency == balances.currency, "F2: {record:?}");
        }
        match &event.body {
            Event::HolderChanged(e) => {
                let id = e.customer_id.as_str();
                let concerned = [id.to_owned()];
                let before = self.relations(&concerned);
                let place = self.holders.iter().position(|(known, _)| known == id);
                match (place, e.removed) {
                    (Some(place), true) => drop(self.holders.remove(place)),
                    (Some(place), false) => self.holders[place].1 = e.role,
                    (None, false) => self.holders.push((id.to_owned(), e.role)),
                    (None, true) => return no_records(records, event),
                }
                self.holding(&concerned, &before, records)
            }
            Event::CardChanged(e) => {
                let new = e.customer_id.to_string();
                let old = self.cards.get(e.card_token.as_str()).filter(|old| **old != new);
                let concerned: Vec<String> =
                    old.cloned().into_iter().chain([new.clone()]).collect();
                let before = self.relations(&concerned);
                self.cards.insert(e.card_token.to_string(), new);
                self.holding(&concerned, &before, records)
            }
            _ => match subject(event) {
                Some(subject) => self.item(event, subject, records),
                None => no_records(records, event),
            },
        }
    }

    fn relations(&self, customers: &[String]) -> Vec<Option<Audience>> {
        customers.iter().map(|customer| self.relation(customer)).collect()
    }

    fn relation(&self, customer: &str) -> Option<Audience> {
        let held = self.holders.iter().find(|(known, _)| known == customer);
        match held {
            Some((_, role)) => Some(audience(*role)),
            None => {
                self.cards.values().any(|owner| owner == customer).then_some(Audience::CardHolder)
            }
        }
    }

    fn holding(
        &mut self,
        concerned: &[String],
        before: &[Option<Audience>],
        records: &[FeedRecord],
    ) -> Verdict {
        let told = concerned.iter().filter(|customer| can_be_told(customer)).count();
        must!(records.len() == told, "holdings of {concerned:?}: {records:?}");
        for ((customer, before), record) in
            concerned.iter().zip(before).filter(|(customer, _)| can_be_told(customer)).zip(records)
        {
            let FeedBody::Holding(holding) = &record.body else { return Err("no holding".into()) };
            let next = self.relation(customer);
            must!(record.customer_id.as_str() == customer, "{record:?}");
            must!(holding.removed == next.is_none(), "{record:?}");
            must!(Some(holding.audience) == next.or(*before), "{record:?}");
            self.holdings += 1;
        }
        Ok(())
    }

    fn item(&mut self, event: &AccountEvent, subject: Subject, records: &[FeedRecord]) -> Verdict {
        let known = self.lines.contains_key(&subject.line);
        if !known && !subject.opens {
            return no_records(records, event);
        }
        let line = self.lines.entry(subject.line.clone()).or_insert(Line {
            version: 0,
            created_at: event.log_time.0,
            card: String::new(),
            shown_minor: None,
            unseen: false,
        });
        line.version += 1;
        // A decline on something known never makes it another card's.
        if let Some(card) = subject.card
            && (!known || subject.after.is_some())
        {
            line.card = card.to_owned();
        }
        let card = self.cards.get(&line.card);
        let mut members: Vec<(String, Audience)> = Vec::new();
        members.extend(card.map(|customer| (customer.clone(), Audience::CardHolder)));
        for (customer, role) in &self.holders {
            if Some(customer) != card {
                members.push((customer.clone(), audience(*role)));
            }
        }
        members.retain(|(customer, _)| can_be_told(customer));
        must!(members.len() == records.len(), "F3: {members:?} of {event:?}: {records:?}");
        for ((customer, audience), record) in members.iter().zip(records) {
            must!(record.customer_id.as_str() == customer, "F3: {members:?}: {record:?}");
            let FeedBody::Item(item) = &record.body else { return Err("no item".into()) };
            must!(item.audience == *audience, "F3: {members:?}: {record:?}");
            must!(item.version == line.version, "F1: version {}: {record:?}", line.version);
            must!(*item.item_id == *subject.line, "F1: {} is {record:?}", subject.line);
            must!(item.created_at.0 == line.created_at, "F1: moved: {record:?}");
            let former = line.shown_minor.filter(|minor| *minor != item.amount_minor);
            let told = item.former_amount_minor;
            must!(told == former || line.unseen, "former {former:?}: {record:?}");
            amounts(item, event, subject.after)?;
            self.items += 1;
        }
        line.unseen = records.is_empty();
        if let Some(FeedBody::Item(item)) = records.first().map(|record| &record.body) {
            line.shown_minor = Some(item.amount_minor);
        }
        Ok(())
    }
}

/// A name that a record of the partition has cannot be a customer's key.
fn can_be_told(customer: &str) -> bool {
    !customer.starts_with("tapline.")
}

fn no_records(records: &[FeedRecord], event: &AccountEvent) -> Verdict {
    must!(records.is_empty(), "nobody is told of {event:?}: {records:?}");
    Ok(())
}

/// What the counters say, and a timeline that ends here.
fn amounts(item: &FeedItem, event: &AccountEvent, after: Option<&PaymentAfter>) -> Verdict {
    let steps = item.timeline.len();
    must!(steps == TIMELINE_STEPS_MAX.min(item.version as usize), "{steps} steps: {item:?}");
    let last = item.timeline[steps - 1];
    must!((last.log_time, last.change) == (event.log_time, item.change), "{item:?}");
    must!(item.timeline[0].log_time == item.created_at, "{item:?}");
    must!(item.amount_minor >= 0 && item.pending_minor >= 0, "{item:?}");
    let Some(after) = after else { return Ok(()) };
    let counters = after.counters;
    must!(item.pending_minor == counters.hold_minor(), "{item:?} of {after:?}");
    must!(item.refunded_minor == counters.refunded_minor, "{item:?} of {after:?}");
    let standing_minor = counters.hold_minor() + counters.cleared_minor();
    must!(standing_minor == 0 || item.amount_minor == standing_minor, "{item:?} of {after:?}");
    must!(item.flags == after.flags && item.release_at == after.deadline, "{item:?} of {after:?}");
    Ok(())
}

fn audience(role: HolderRole) -> Audience {
    match role {
        HolderRole::Owner => Audience::Owner,
        HolderRole::Disponent => Audience::Disponent,
    }
}

fn subject(event: &AccountEvent) -> Option<Subject<'_>> {
    let payment = |after, opens| Some(of_payment(after, opens));
    match &event.body {
        Event::PaymentAuthorised(e) => payment(&e.payment, true),
        Event::PaymentReversed(e) => payment(&e.payment, false),
        Event::HoldExpired(e) => payment(&e.payment, false),
        Event::PaymentPresented(e) => payment(&e.payment, true),
        Event::PresentmentReversed(e) => payment(&e.payment, false),
        Event::RefundAuthorised(e) => payment(&e.payment, true),
        Event::PaymentRefunded(e) => payment(&e.payment, true),
        Event::PaymentDeclined(e) => Some(Subject {
            line: format!("payment/{}", e.payment_id),
            card: Some(e.purchase.card_token.as_str()),
            after: None,
            opens: true,
        }),
        Event::AccountCredited(_) | Event::AccountDebited(_) => booking(event),
        Event::CommandDeclined(e) if crate::driver::wire(e.kind) == "debit" => booking(event),
        _ => None,
    }
}

fn of_payment(after: &PaymentAfter, opens: bool) -> Subject<'_> {
    Subject {
        line: format!("payment/{}", after.payment_id),
        card: Some(after.card_token.as_str()),
        after: Some(after),
        opens,
    }
}

fn booking(event: &AccountEvent) -> Option<Subject<'_>> {
    let id = event.message_id.as_ref()?;
    Some(Subject { line: format!("message/{id}"), card: None, after: None, opens: true })
}
