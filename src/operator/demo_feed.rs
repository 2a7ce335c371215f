//! The demo's look at the feed: who was shown what of the data that was played, and who was told.
//!
//! Owns reading events, items, outcomes and the rows of customers, each once; nobody writes them by
//! then. Judges the feed by `producer::feed_oracle`, the pushes by the obligations that the items
//! hold and by what the gateway says it took. Never joins a group.

use super::{
    connect,
    demo_ledger::{decode, read},
    demo_phones::Phones,
    logs,
    print::say,
};
use crate::adapters::cassandra::session::Session;
use crate::codec::{
    avro::{Avro, RegistryIds},
    raw::RawRecord,
    repeats::Newest,
    schemas::Subject,
    topics::{EVENTS, FEED_ITEMS, PUSH_OUTCOMES},
};
use crate::config::Config;
use crate::domain::{
    event::AccountEvent,
    feed::FeedRecord,
    ids::CustomerId,
    push::{Outcome, PushOutcome},
};
use crate::load::play::Played;
use crate::producer::{Folder, feed_oracle::FeedOracle, oracle::OracleLine};
use crate::stages::push;
use crate::worker::EXIT_FAILED;
use futures_util::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};

/// Reads the topics to their ends and the customers' rows, and puts the verdicts behind what was
/// judged already. The workers have stopped, so the ends stay where they are.
pub fn judge(
    config: &Config,
    phones: &Phones,
    folders: &[Folder],
    played: &mut [Played],
) -> Result<(), i32> {
    let failed = |reason: String| {
        say(&reason);
        EXIT_FAILED
    };
    let mut sight = Sight::of(folders);
    let reader = logs::reader(config, "feed")?;
    read(config, &reader, EVENTS, |raw| sight.take_event(raw)).map_err(failed)?;
    read(config, &reader, FEED_ITEMS, |raw| sight.take_item(raw)).map_err(failed)?;
    read(config, &reader, PUSH_OUTCOMES, |raw| sight.take_outcome(raw)).map_err(failed)?;
    let rows = connect::block_on(async {
        let session = connect::cassandra(config).await?;
        all_rows(config, &session).await.map_err(failed)
    })??;
    for (customer, value) in rows {
        sight.take_row(&customer, &value).map_err(failed)?;
    }
    sight.conclude(played, phones);
    Ok(())
}

/// Shows what the phones were sent last.
pub fn show_last(phones: &Phones) {
    say("the last pushes that the demo's phones got:");
    for (title, body) in phones.last(5) {
        say(&format!("  {title}: {body}"));
    }
}

/// Every row of the read model: customer and framed record.
async fn all_rows(config: &Config, session: &Session) -> Result<Vec<(String, Vec<u8>)>, String> {
    let statement = format!("SELECT key, image FROM {}.feed_item", config.cassandra.keyspace);
    let pager = session.query_iter(statement, &[]).await.map_err(|error| error.to_string())?;
    let rows = pager.rows_stream::<(String, Vec<u8>)>().map_err(|error| error.to_string())?;
    rows.try_collect().await.map_err(|error| error.to_string())
}

/// One oracle a folder, fed with each record once.
pub struct Sight {
    oracles: Vec<FeedOracle>,
    prefixes: Vec<String>,
    ids: RegistryIds,
    events: Newest,
    items: Newest,
    /// Obligations by id: whose they are.
    obliged: BTreeMap<Box<str>, CustomerId>,
    /// The first outcome of each obligation counts.
    outcomes: BTreeMap<Box<str>, Outcome>,
    /// Outcomes of nothing that had to be told.
    idle: BTreeSet<Box<str>>,
}

impl Sight {
    pub fn of(folders: &[Folder]) -> Self {
        Self {
            oracles: folders.iter().map(Folder::feed_oracle).collect(),
            prefixes: folders.iter().map(|folder| format!("{}-", folder.name())).collect(),
            ids: RegistryIds::default(),
            events: Newest::default(),
            items: Newest::default(),
            obliged: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            idle: BTreeSet::new(),
        }
    }

    pub fn take_event(&mut self, raw: &RawRecord) -> Result<(), String> {
        if self.events.is_new(raw.partition, raw.source().as_ref()) {
            let event: AccountEvent = decode(Subject::Events, raw, &self.ids)?;
            let (partition, offset) = (raw.partition, raw.offset);
            self.oracles.iter_mut().for_each(|oracle| oracle.observe(partition, offset, &event));
        }
        Ok(())
    }

    pub fn take_item(&mut self, raw: &RawRecord) -> Result<(), String> {
        let Some(id) = raw.source() else { return Ok(()) };
        if self.items.is_new(raw.partition, Some(&id)) {
            let record: FeedRecord = decode(Subject::FeedItems, raw, &self.ids)?;
            self.oracles.iter_mut().for_each(|oracle| oracle.take(&record));
            if let Some(obligation) = push::obligation(&record, &id.to_string(), 0) {
                self.obliged.insert(obligation.id, obligation.customer_id);
            }
        }
        Ok(())
    }

    pub fn take_row(&mut self, customer: &str, value: &[u8]) -> Result<(), String> {
        let record: Result<FeedRecord, _> = Avro::of(Subject::FeedItems).decode(value, &self.ids);
        let record = record.map_err(|error| format!("a row of {customer}: {error}"))?;
        self.oracles.iter_mut().for_each(|oracle| oracle.take_row(customer, &record));
        Ok(())
    }

    pub fn take_outcome(&mut self, raw: &RawRecord) -> Result<(), String> {
        let outcome: PushOutcome = decode(Subject::PushOutcomes, raw, &self.ids)?;
        match self.obliged.contains_key(&outcome.obligation_id) {
            true => drop(self.outcomes.entry(outcome.obligation_id).or_insert(outcome.outcome)),
            false => drop(self.idle.insert(outcome.obligation_id)),
        }
        Ok(())
    }

    /// Where nothing is sent to anybody.
    pub fn conclude_without_phones(&self, played: &mut [Played]) {
        for (oracle, one) in self.oracles.iter().zip(played) {
            one.verdict.append(&mut oracle.verdict());
        }
    }

    pub fn conclude(&self, played: &mut [Played], phones: &Phones) {
        for ((oracle, prefix), one) in self.oracles.iter().zip(&self.prefixes).zip(played) {
            one.verdict.append(&mut oracle.verdict());
            one.verdict.append(&mut self.pushes(prefix, phones));
        }
    }

    fn pushes(&self, prefix: &str, phones: &Phones) -> Vec<OracleLine> {
        let of = |customer: &CustomerId| customer.as_str().starts_with(prefix);
        let obliged: Vec<_> = self.obliged.iter().filter(|(_, customer)| of(customer)).collect();
        let ended = obliged.iter().filter(|(id, _)| self.outcomes.contains_key(*id)).count();
        let is = |id: &str, wanted| self.outcomes.get(id) == Some(&wanted);
        let told: BTreeSet<&str> = obliged
            .iter()
            .filter(|(id, _)| is(id, Outcome::Delivered))
            .map(|(id, _)| &***id)
            .collect();
        let to_be_told = obliged.iter().filter(|(id, customer)| {
            phones.is_of(customer) && !is(id, Outcome::Superseded) && !is(id, Outcome::Expired)
        });
        let accepted = phones.accepted();
        let taken = told.iter().filter(|id| accepted.contains(**id)).count();
        vec![
            OracleLine::equal("obligations with an outcome", obliged.len(), ended),
            OracleLine::equal("outcomes of nothing to be told", 0, self.idle.len()),
            OracleLine::equal("pushes delivered to phones", to_be_told.count(), told.len()),
            OracleLine::equal("of them taken by the gateway", told.len(), taken),
            OracleLine::equal("bodies that changed under one key", 0, phones.bodies_changed()),
        ]
    }
}
