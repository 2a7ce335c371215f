//! One partition of the feed stage, as the runtime keeps it, with a watcher beside it.
//!
//! Owns what the runtime does around a step: side rows, ticks, due steps, changes, rows of the read
//! model. Everything published is shown to the watcher, and may be worded for tables.

use crate::{
    driver::{KEY, World, wire},
    events::{self, PARTITIONS, reloaded, tick_event},
    model::Verdict,
    watcher::Watcher,
};
use std::collections::BTreeMap;
use tapline::{
    codec::{StageCodec, avro::RegistryIds, feed::FeedCodec, limits::Sizes},
    domain::{
        account::CardStatus,
        event::{AccountEvent, CardChanged, Event},
        feed::{FeedBody, FeedItem, FeedRecord},
        payment::ItemId,
        rules::Rules,
        time::LogTime,
    },
    stages::{
        Cause, ReadRow, Refused, Scope, Stage,
        feed::{FEED_ITEMS, Feed, Head, life::Life, read_row},
    },
};

pub struct Desk {
    pub head: Head,
    pub sides: BTreeMap<ItemId, Life>,
    pub rules: Rules,
    pub clock: LogTime,
    pub offset: i64,
    pub records: Vec<FeedRecord>,
    /// The newest record of each row, as the store keeps it.
    pub rows: BTreeMap<ReadRow, FeedRecord>,
    pub watcher: Watcher,
    pub reads: usize,
    pub recalls: usize,
    /// Saves and loads head and side rows before each step.
    pub forgetful: bool,
    codec: FeedCodec,
    /// Outputs of the world that were taken.
    taken: usize,
}

pub fn codec() -> FeedCodec {
    FeedCodec::new(PARTITIONS, Sizes::default(), RegistryIds::default(), "")
}

impl Desk {
    pub fn new(rules: Rules) -> Self {
        Self {
            head: Head::default(),
            sides: BTreeMap::new(),
            rules,
            clock: LogTime::ZERO,
            offset: 0,
            records: Vec::new(),
            rows: BTreeMap::new(),
            watcher: Watcher::default(),
            reads: 0,
            recalls: 0,
            forgetful: false,
            codec: codec(),
            taken: 0,
        }
    }

    /// Reads one record, and lets the watcher judge what comes of it.
    pub fn take(&mut self, event: &AccountEvent) -> Verdict {
        let from = self.records.len();
        match Feed::scope(event) {
            Scope::Tick(tick) => {
                self.clock = self.clock.max(tick.time);
                if self.is_due() {
                    self.step(Cause::Due).map_err(|refused| refused.code())?;
                    if self.is_due() {
                        return Err(format!("something is still due at {:?}", self.clock));
                    }
                }
            }
            Scope::Key => {
                self.step(Cause::Record(event))
                    .map_err(|refused| format!("{} at {event:?}", refused.code()))?;
            }
            other => return Err(format!("{other:?}")),
        }
        self.offset += 1;
        self.watcher.judge(event, self.offset - 1, &self.records[from..])
    }

    fn is_due(&self) -> bool {
        Feed::deadline(KEY, &self.head, &self.rules).is_some_and(|due| due <= self.clock)
    }

    /// Steps the account and applies the change; nothing is changed where it is refused.
    pub fn step(&mut self, cause: Cause<AccountEvent>) -> Result<(), Refused> {
        if self.forgetful {
            self.head = reloaded(&self.codec, &self.head);
        }
        let context = events::context(self.clock, &self.rules, self.offset);
        if let Cause::Record(event) = cause {
            for id in Feed::items_named(&context, &self.head, event) {
                self.reads += 1;
                if let Some(life) = self.sides.get(&id) {
                    self.recalls += 1;
                    Feed::recall(&mut self.head, id, life.clone());
                }
            }
            assert!(Feed::items_named(&context, &self.head, event).len() <= 1);
        }
        let transition = Feed::step(&context, KEY, &self.head, cause)?;
        if let Some(change) = transition.change {
            for (id, life) in Feed::apply(&mut self.head, change) {
                let mut bytes = Vec::new();
                self.codec.encode_side(&life, &mut bytes);
                assert_eq!(self.codec.decode_side(&bytes).as_ref(), Ok(&life));
                self.sides.insert(id, life);
            }
        }
        for effect in transition.effects {
            assert_eq!(effect.topic, FEED_ITEMS);
            assert_eq!(effect.key.as_deref(), Some(effect.body.customer_id.as_str()));
            let row = read_row(&effect.body).expect("every output is a row");
            self.rows.insert(row, effect.body.clone());
            self.records.push(effect.body);
        }
        Ok(())
    }

    /// Runs a line through authorisation and this stage, and words what was published. A line that
    /// begins with `give` changes a card's customer: `give c1 anna`.
    pub fn run(&mut self, world: &mut World, line: &str) -> String {
        let from = self.records.len();
        if let Some(words) = line.strip_prefix("give ") {
            let (card, customer) = words.split_once(' ').expect(line);
            let event = self.card(world, card, customer);
            self.take(&event).expect(line);
            return self.words(from);
        }
        world.run(line);
        self.take(&tick_event(world.clock)).expect("a tick");
        for event in events::events(&world.outputs[self.taken..]) {
            self.take(event).expect(line);
        }
        self.taken = world.outputs.len();
        self.words(from)
    }

    pub fn card(&self, world: &World, card: &str, customer: &str) -> AccountEvent {
        AccountEvent {
            account_id: KEY.into(),
            message_id: Some("card".into()),
            log_time: self.clock,
            balances: world.head.standing.balances(),
            body: Event::CardChanged(CardChanged {
                card_token: card.into(),
                customer_id: customer.into(),
                status: CardStatus::Active,
                last_four: card.into(),
            }),
        }
    }

    pub fn words(&self, from: usize) -> String {
        words(&self.records[from..])
    }

    /// The newest item of a line as the customer reads it.
    pub fn line(&self, customer: &str, item_id: &str) -> &FeedItem {
        let items = self.rows.iter().filter_map(|(row, record)| match &record.body {
            FeedBody::Item(item) if *row.key == *customer && *item.item_id == *item_id => {
                Some(item)
            }
            _ => None,
        });
        let found: Vec<_> = items.collect();
        assert_eq!(found.len(), 1, "{customer} {item_id}: one line");
        found[0]
    }
}

/// An open account with the holders and `c1` of customer-1, and some money.
pub fn opened(holders: &[&str]) -> (World, Desk) {
    let mut world = World::empty();
    let mut desk = Desk::new(world.rules.clone());
    desk.run(&mut world, "open EUR");
    for holder in holders {
        desk.run(&mut world, &format!("holder {holder}"));
    }
    desk.run(&mut world, "card c1");
    desk.run(&mut world, "credit 1000");
    (world, desk)
}

/// Runs every line of a table and compares; on a difference prints the whole table as it is.
pub fn expect(name: &str, world: &mut World, desk: &mut Desk, table: &[(&str, &str)]) {
    let (mut report, mut differs) = (String::new(), false);
    for (line, then) in table {
        let outcome = desk.run(world, line);
        report += &format!("            (\"{line}\", \"{outcome}\"),\n");
        if outcome != *then {
            report += &format!("            // expected: \"{then}\"\n");
            differs = true;
        }
    }
    assert!(!differs, "{name}:\n{report}");
}

/// Who got it, and what: `customer=audience ...: line`. All get the same.
fn words(records: &[FeedRecord]) -> String {
    let mut groups: Vec<(String, String)> = Vec::new();
    for record in records {
        let (audience, line) = match &record.body {
            FeedBody::Item(item) => (item.audience, line(item)),
            FeedBody::Holding(holding) => {
                let removed = if holding.removed { " removed" } else { "" };
                (holding.audience, format!("holding{removed}"))
            }
            FeedBody::Birth(_) => panic!("no stage makes a birth"),
        };
        let member = format!("{}={}", record.customer_id, wire(audience));
        match groups.last_mut() {
            Some((members, known)) if *known == line => *members += &format!(" {member}"),
            _ => groups.push((member, line)),
        }
    }
    let group = |(members, line): &(String, String)| format!("{members}: {line}");
    groups.iter().map(group).collect::<Vec<_>>().join("; ")
}

/// `item version kind status change amount`, then whatever is not as usual.
fn line(item: &FeedItem) -> String {
    let id = item.item_id.strip_prefix("payment/").unwrap_or(&item.item_id);
    let mut line = format!(
        "{id} v{} {} {} {} {}",
        item.version,
        wire(item.kind),
        wire(item.status),
        wire(item.change),
        item.amount_minor
    );
    let mut add = |holds: bool, text: String| {
        if holds {
            line += &text;
        }
    };
    let own = item.balance.currency;
    add(item.currency != own, format!("{}", item.currency));
    let former = item.former_amount_minor.unwrap_or(0);
    add(item.former_amount_minor.is_some(), format!(" was {former}"));
    add(item.pending_minor != 0, format!(" pending {}", item.pending_minor));
    add(item.refunded_minor != 0, format!(" refunded {}", item.refunded_minor));
    let original = format!(" original {}{}", item.original_minor, item.original_currency);
    add(item.original_currency != item.currency, original);
    if item.original_currency == item.currency {
        assert_eq!(item.original_minor, item.amount_minor, "{item:?}");
    }
    let reason = item.reason.map_or("", |reason| reason.name());
    add(item.reason.is_some(), format!(" {reason}"));
    add(item.possible_duplicate, " duplicate".to_owned());
    line
}
