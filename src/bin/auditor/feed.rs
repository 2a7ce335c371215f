//! Feed items against the events that they show (P9): exactly the audience, and what it must see.
//!
//! Owns the walk over the events and which records each must have led to: one item for each of its
//! audience, in that order, and for nobody else. Hands on the records that are right by line, so
//! that the rows can be judged by them.

use super::{
    accounts::Balances,
    audience::{Audience, Stand},
    avro::{self, Doc, Fields, long, record, text},
    evidence::{EVENTS, Evidence},
    identity::Source,
    shown::{Line, Shown},
    taken::Taken,
    verdict::{Invariant, Place, Verdict},
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The records of each customer's lines, oldest first: by customer, then account and item.
pub type Lines<'a> = BTreeMap<(String, String), Vec<&'a Taken<'a>>>;

#[derive(Default)]
struct Account {
    audience: Audience,
    shown: Shown,
}

/// An event and the records made of it.
struct Event<'e, 'a> {
    doc: &'e Doc,
    place: Place,
    incarnation: i32,
    own: Vec<&'a Taken<'a>>,
}

pub fn judge<'a>(evidence: &Evidence, items: &'a [Taken<'a>], verdict: &mut Verdict) -> Lines<'a> {
    let mut by_source: BTreeMap<(i32, i64), Vec<&Taken>> = BTreeMap::new();
    for item in items {
        let at = (item.source.partition, item.source.offset);
        by_source.entry(at).or_default().push(item);
    }
    let life = evidence.served.life(EVENTS).map(|life| life.incarnation);
    let incarnation = life.or(items.first().map(|item| item.source.incarnation)).unwrap_or(1);
    let (mut accounts, mut lines) = (HashMap::<String, Account>::new(), Lines::new());
    for (partition, records) in &evidence.events {
        let mut known = HashSet::new();
        for event in records {
            if event.offset == 0 && event.headers.contains("tapline-birth") {
                continue;
            }
            if !known.insert(event.headers.text("tapline-src").unwrap_or("")) {
                continue;
            }
            let Ok(doc) = avro::read(EVENTS, event.value.as_deref().unwrap_or_default()) else {
                continue;
            };
            let own = by_source.remove(&(*partition, event.offset)).unwrap_or_default();
            let place = Place { offset: event.offset, partition: *partition };
            let account = accounts.entry(event.key_text().unwrap_or("").to_owned()).or_default();
            let event = Event { doc: &doc, place, incarnation, own };
            event.judge(account, &mut lines, verdict);
        }
    }
    for ((partition, offset), own) in by_source {
        if !evidence.came_since(EVENTS, partition).contains(&offset) {
            for item in own {
                let found = format!("no event at {partition}:{offset}");
                let expected = "an event as its source";
                verdict.breach(Invariant::P9, item.place(), &*item.id, expected, found);
            }
        }
    }
    lines
}

impl<'a> Event<'_, 'a> {
    fn judge(mut self, account: &mut Account, lines: &mut Lines<'a>, verdict: &mut Verdict) {
        verdict.checked(Invariant::P9);
        self.own.sort_by_key(|item| item.source.index);
        for item in &self.own {
            let life = (self.incarnation, item.source.incarnation);
            verdict.same(Invariant::P9, (item.place(), &item.id), "incarnation", life);
        }
        let is_opened = record(&self.doc.fields, "balances").is_some();
        if matches!(self.doc.kind, "HolderChanged" | "CardChanged") && is_opened {
            let stands = account.audience.change(self.doc);
            self.holdings(stands, lines, verdict);
        } else if let Some(line) = account.shown.see(self.doc, self.place.offset) {
            let members = account.audience.members(line.card.as_deref());
            self.items(&line, members, lines, verdict);
        }
        for item in &self.own {
            let whom = text(&item.doc.fields, "customer_id").unwrap_or("");
            let found = format!("{} for {whom}", item.doc.kind);
            let expected = format!("nothing more of {}", self.doc.kind);
            verdict.breach(Invariant::P9, item.place(), &*item.id, expected, found);
        }
    }

    /// The first record of that kind for the customer.
    fn take(&mut self, customer: &str, kind: &str) -> Option<&'a Taken<'a>> {
        let fits = |item: &&Taken| {
            item.doc.kind == kind && text(&item.doc.fields, "customer_id") == Some(customer)
        };
        let place = self.own.iter().position(fits)?;
        Some(self.own.remove(place))
    }

    fn id(&self, index: usize) -> String {
        let Place { offset, partition } = self.place;
        let (incarnation, index) = (self.incarnation, index as i32);
        Source { incarnation, partition, offset, index, key: None }.to_string()
    }

    fn items(
        &mut self,
        line: &Line,
        members: Vec<(String, String)>,
        lines: &mut Lines<'a>,
        verdict: &mut Verdict,
    ) {
        for (index, (customer, audience)) in members.into_iter().enumerate() {
            verdict.checked(Invariant::P9);
            let Some(item) = self.take(&customer, "FeedItem") else {
                let expected = format!("{} version {} for {customer}", line.item_id, line.version);
                verdict.breach(Invariant::P9, self.place, self.id(index), expected, "no item");
                continue;
            };
            let at = (item.place(), &*item.id);
            verdict.same(Invariant::P9, at, "id", (&self.id(index), &item.id));
            self.surroundings(item, verdict);
            let body = item.doc.body();
            let said = text(body, "audience");
            verdict.same(Invariant::P9, at, "audience", (Some(&*audience), said));
            says(line, body, at, verdict);
            balance(self.doc, body, at, verdict);
            let name = format!("{}/{}", self.account(), line.item_id);
            lines.entry((customer, name)).or_default().push(item);
        }
    }

    /// Told where a customer stands otherwise than before; may be told where nothing changed.
    fn holdings(&mut self, stands: Vec<Stand>, lines: &mut Lines<'a>, verdict: &mut Verdict) {
        for Stand { customer, before, after } in stands {
            verdict.checked(Invariant::P9);
            let Some(item) = self.take(&customer, "Holding") else {
                if before != after {
                    let expected = format!("{customer} is told: {before:?}, then {after:?}");
                    verdict.breach(Invariant::P9, self.place, self.id(0), expected, "no record");
                }
                continue;
            };
            let at = (item.place(), &*item.id);
            self.surroundings(item, verdict);
            let body = item.doc.body();
            let is_removed = after.is_none();
            let removed = (is_removed, avro::flag(body, "removed"));
            verdict.same(Invariant::P9, at, "removed", removed);
            let said = text(body, "audience").map(str::to_owned);
            verdict.same(Invariant::P9, at, "audience", (after.or(before), said));
            balance(self.doc, body, at, verdict);
            lines.entry((customer, self.account().to_owned())).or_default().push(item);
        }
    }

    fn account(&self) -> &str {
        text(&self.doc.fields, "account_id").unwrap_or("")
    }

    /// Key, account, time and position.
    fn surroundings(&self, item: &Taken, verdict: &mut Verdict) {
        let (at, fields) = ((item.place(), &*item.id), &item.doc.fields);
        let number = |name| long(fields, name);
        let key = (text(fields, "customer_id"), item.record.key_text());
        verdict.same(Invariant::P9, at, "key", key);
        let account = (Some(self.account()), text(fields, "account_id"));
        verdict.same(Invariant::P9, at, "account", account);
        let times = (long(&self.doc.fields, "log_time"), number("log_time"));
        verdict.same(Invariant::P9, at, "log time", times);
        let stands = (Some(i64::from(self.place.partition)), Some(self.place.offset));
        let said = (number("partition"), number("offset"));
        verdict.same(Invariant::P9, at, "position", (stands, said));
    }
}

/// The line's own numbers.
fn says(line: &Line, body: &Fields, at: (Place, &str), verdict: &mut Verdict) {
    let mut same = |what: &str, expected: i64, name: &str| {
        verdict.same(Invariant::P9, at, what, (Some(expected), long(body, name)));
    };
    same("version", line.version, "version");
    same("created at", line.created_at, "created_at");
    let minor = |name| i128::from(long(body, name).unwrap_or(i64::MIN));
    let item_id = (Some(&*line.item_id), text(body, "item_id"));
    verdict.same(Invariant::P9, at, "item", item_id);
    let amount = minor("amount_minor");
    verdict.checked(Invariant::P9);
    if !line.amounts.contains(&amount) {
        let expected = format!("amount of the payment, one of {:?}", line.amounts);
        verdict.breach(Invariant::P9, at.0, at.1, expected, format!("amount {amount}"));
    }
    verdict.same(Invariant::P9, at, "pending", (line.pending, minor("pending_minor")));
    verdict.same(Invariant::P9, at, "refunded", (line.refunded, minor("refunded_minor")));
    let currency = (Some(&*line.currency), text(body, "currency"));
    verdict.same(Invariant::P9, at, "currency", currency);
}

/// Those of the event.
fn balance(event: &Doc, body: &Fields, at: (Place, &str), verdict: &mut Verdict) {
    let after = record(&event.fields, "balances").map(Balances::read).unwrap_or_default();
    let said = record(body, "balance").unwrap_or_default();
    let minor = |name| i128::from(long(said, name).unwrap_or(i64::MIN));
    let expected = (&*after.currency, after.booked, after.held, after.available());
    let currency = text(said, "currency").unwrap_or("");
    let found = (currency, minor("booked_minor"), minor("held_minor"), minor("available_minor"));
    verdict.same(Invariant::P9, at, "currency, booked, held, available", (expected, found));
}
