//! The API's ports over memory: for tests, and for trying the page without servers.
//!
//! Owns the same order and the same answers as the stored ones. A record that is put here is in the
//! read model and in the live stream at once.

use super::{
    live::{Hub, LivePos, Tail},
    ports::{FeedReader, Positions, Reply, TargetStore},
    position::Asked,
};
use crate::codec::frame::SourcePos;
use crate::domain::{
    feed::{FeedBody, FeedRecord},
    feed_page::{AccountLine, Cursor, Page},
    ids::CustomerId,
    push::{Device, Preferences, Targets},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
struct Inside {
    /// Newest version of each line and holding, by customer and name.
    rows: BTreeMap<(CustomerId, Box<str>), FeedRecord>,
    targets: BTreeMap<CustomerId, Targets>,
    /// First offset that is not in the read model, by partition of events.
    durable: BTreeMap<i32, i64>,
    published: i64,
}

/// All ports in one.
#[derive(Default)]
pub struct Memory(Mutex<Inside>);

/// The incarnation that positions of it have.
pub const INCARNATION: i32 = 1;
const PARTITIONS: i32 = 12;

/// No tail: whoever has records hands them on.
pub struct ByHand;

impl Tail for ByHand {
    fn start(&self, hub: Arc<Hub>) {
        hub.covers(0, 0);
    }
}

impl Memory {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Into the read model; the position becomes durable.
    pub fn put(&self, record: FeedRecord) {
        let mut inside = self.inside();
        let durable = inside.durable.entry(record.partition).or_default();
        *durable = (record.offset + 1).max(*durable);
        let name: Box<str> = match Cursor::of(&record) {
            Some(cursor) => cursor.line,
            None => record.account_id.as_str().into(),
        };
        let key = (record.customer_id.clone(), name);
        let is_newer = inside.rows.get(&key).is_none_or(|old| old.offset <= record.offset);
        if is_newer {
            inside.rows.insert(key, record);
        }
    }

    /// Into the read model and to whoever listens.
    pub fn publish(&self, hub: &Hub, record: FeedRecord) {
        let offset = {
            let mut inside = self.inside();
            inside.published += 1;
            inside.published
        };
        self.put(record.clone());
        hub.publish(LivePos { partition: 0, offset }, record);
    }

    pub fn make_durable(&self, partition: i32, next: i64) {
        self.inside().durable.insert(partition, next);
    }

    fn of_customer(&self, customer: &CustomerId) -> Vec<FeedRecord> {
        let inside = self.inside();
        let own = inside.rows.iter().filter(|((owner, _), _)| owner == customer);
        own.map(|(_, record)| record.clone()).collect()
    }
}

impl FeedReader for Memory {
    fn page<'a>(
        &'a self,
        customer: &'a CustomerId,
        before: Option<&'a Cursor>,
        limit: usize,
        _is_exact: bool,
    ) -> Reply<'a, Page> {
        Box::pin(async move {
            let records = self.of_customer(customer).into_iter();
            let mut lines: Vec<(Cursor, FeedRecord)> = records
                .filter(|record| matches!(record.body, FeedBody::Item(_)))
                .filter_map(|record| Some((Cursor::of(&record)?, record)))
                .filter(|(place, _)| before.is_none_or(|before| before.is_before(place)))
                .collect();
            lines.sort_by(|(a, _), (b, _)| (-a.created_ms, &a.line).cmp(&(-b.created_ms, &b.line)));
            Ok(Page::cut(lines.into_iter().map(|(_, record)| record).collect(), limit))
        })
    }

    fn accounts<'a>(&'a self, customer: &'a CustomerId) -> Reply<'a, Vec<AccountLine>> {
        Box::pin(async move { Ok(AccountLine::gather(&self.of_customer(customer))) })
    }
}

impl TargetStore for Memory {
    fn targets<'a>(&'a self, customer: &'a CustomerId) -> Reply<'a, Targets> {
        let found = self.inside().targets.get(customer).cloned().unwrap_or_default();
        Box::pin(async move { Ok(found) })
    }

    fn put_device<'a>(&'a self, customer: &'a CustomerId, device: &'a Device) -> Reply<'a, ()> {
        Box::pin(async move {
            let mut inside = self.inside();
            let devices = &mut inside.targets.entry(customer.clone()).or_default().devices;
            devices.retain(|known| known.device_id != device.device_id);
            devices.push(device.clone());
            devices.sort_by(|a, b| a.device_id.cmp(&b.device_id));
            Ok(())
        })
    }

    fn delete_device<'a>(&'a self, customer: &'a CustomerId, device_id: &'a str) -> Reply<'a, ()> {
        Box::pin(async move {
            let mut inside = self.inside();
            let targets = inside.targets.entry(customer.clone()).or_default();
            targets.devices.retain(|known| *known.device_id != *device_id);
            Ok(())
        })
    }

    fn put_preferences<'a>(
        &'a self,
        customer: &'a CustomerId,
        preferences: &'a Preferences,
    ) -> Reply<'a, ()> {
        Box::pin(async move {
            let mut inside = self.inside();
            inside.targets.entry(customer.clone()).or_default().preferences = preferences.clone();
            Ok(())
        })
    }
}

impl Positions for Memory {
    fn incarnation(&self) -> i32 {
        INCARNATION
    }

    fn partitions(&self) -> i32 {
        PARTITIONS
    }

    fn are_reached<'a>(&'a self, asked: &'a Asked) -> Reply<'a, bool> {
        let inside = self.inside();
        let next = |partition: &i32| inside.durable.get(partition).copied().unwrap_or_default();
        let is_reached = asked.0.iter().all(|(partition, offset)| next(partition) > *offset);
        Box::pin(async move { Ok(is_reached) })
    }

    fn known(&self) -> Vec<SourcePos> {
        let inside = self.inside();
        let known = inside.durable.iter().filter(|(_, next)| **next > 0);
        known
            .map(|(partition, next)| SourcePos {
                incarnation: INCARNATION,
                partition: *partition,
                offset: next - 1,
            })
            .collect()
    }
}
