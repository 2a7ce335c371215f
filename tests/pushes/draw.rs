//! What a random world is made of: customers, devices, records and faults.
//!
//! Owns the draws, all before the first moment: what is drawn here stands in the world's row of
//! events. Versions of a line rise in the order of the log, and a copy has the version of its first.

use super::gateway::{self, Mode};
use super::records::{self, Placed};
use super::world::{Chance, Event, HEALED_MS, START_MS, World, customer, device};
use crate::codec::avro::RegistryIds;
use crate::domain::{
    feed::ItemChange,
    push::{Platform, Targets},
    reason::Reason,
};
use crate::runtime::dispatch::PushSettings;
use std::{collections::BTreeMap, time::Duration};

impl World {
    pub fn random(seed: u64, print: bool) -> Self {
        let mut chance = Chance::of(seed);
        let settings = PushSettings {
            age_max: Duration::from_secs([15, 40, 120, 600][chance.below(4) as usize]),
            in_flight_max: [1, 2, 8, 64][chance.below(4) as usize],
            waiting_max: [4, 12, 60, 1_000][chance.below(4) as usize],
            rate_max: [20, 200, 2_000][chance.below(3) as usize],
            attempt_timeout: Duration::from_secs([2, 10][chance.below(2) as usize]),
            devices_max: 3,
        };
        let mut world = Self::bare(settings);
        (world.chance, world.print) = (chance, print);
        world.mute = world.chance.one_in(12);
        world.loses_commits = true;
        world.store_ms = [5, 50, 4_000][world.chance.below(3) as usize];
        world.people();
        world.script();
        world.faults();
        world.start();
        world
    }

    fn people(&mut self) {
        for number in 0..self.chance.between(1, 6) {
            let devices = (0..self.chance.below(5)).map(|own| {
                let platform = Platform::ALL[self.chance.below(3) as usize];
                device(platform, &format!("token-{number}-{own}"))
            });
            let mut targets = Targets { devices: devices.collect(), ..Targets::default() };
            if self.chance.one_in(6) {
                targets.preferences.off.push(crate::domain::push::NoticeKind::AmountChanged);
            }
            if self.chance.one_in(6) {
                targets.preferences.smallest_minor.insert("EUR".into(), 1_250);
            }
            self.targets.insert(customer(number).as_str().into(), targets);
        }
    }

    fn script(&mut self) {
        let people = self.targets.len() as u64;
        let mut lines: Vec<(i64, String, i32)> = Vec::new();
        for number in 0..self.chance.between(15, 60) {
            let at_ms = START_MS + self.chance.between(0, 55_000);
            let is_known = !lines.is_empty() && self.chance.one_in(2);
            let (who, line, version) = if is_known {
                let known = self.chance.below(lines.len() as u64) as usize;
                lines[known].2 += 1;
                lines[known].clone()
            } else {
                let line = (self.chance.below(people) as i64, format!("payment/p{number}"), 1);
                lines.push(line.clone());
                line
            };
            let item = match version {
                1 => records::purchase(&line),
                _ => records::cleared(&line, version, 1_200 + number),
            };
            let placed = Placed {
                customer: &customer(who),
                number: number as u64,
                at_ms,
                replayed: self.chance.one_in(20),
            };
            let mut record = records::record(&placed, item, 0);
            if self.chance.one_in(8) {
                let again_ms = at_ms + self.chance.between(1, 3_000);
                self.at(again_ms, Event::Append(Box::new(record.clone())));
            } else if self.chance.one_in(40) {
                record.value = Some(b"no frame".to_vec());
            }
            self.at(at_ms, Event::Append(Box::new(record)));
        }
        // Versions rise in the order of the log, whatever times were drawn.
        self.raise_versions();
    }

    /// Gives the lines' versions anew, in the order in which they are appended.
    fn raise_versions(&mut self) {
        let mut known: BTreeMap<String, (i32, BTreeMap<String, i32>)> = BTreeMap::new();
        for event in self.events.values_mut() {
            let Event::Append(record) = event else { continue };
            let ids = RegistryIds::default();
            let avro = crate::codec::avro::Avro::of(crate::codec::schemas::Subject::FeedItems);
            let bytes = record.value.clone().unwrap_or_default();
            let decoded = avro.decode::<crate::domain::feed::FeedRecord>(&bytes, &ids);
            let Ok(mut value) = decoded else { continue };
            let source = record.headers.text("tapline-src").unwrap_or_default().to_owned();
            if let crate::domain::feed::FeedBody::Item(item) = &mut value.body {
                let line = format!("{}/{}", value.account_id, item.item_id);
                let (newest, given) = known.entry(line).or_default();
                // A copy has the version of the first.
                item.version = *given.entry(source).or_insert_with(|| {
                    *newest += 1;
                    *newest
                });
                if item.version > 1 && item.change == ItemChange::Authorised {
                    item.change = ItemChange::Declined;
                    item.reason = Some(Reason::DailyLimit);
                }
            }
            let mut bytes = Vec::new();
            avro.encode(&value, &mut bytes);
            record.value = Some(bytes);
        }
    }

    fn faults(&mut self) {
        let span = HEALED_MS - START_MS;
        for _ in 0..self.chance.below(5) {
            let at_ms = START_MS + self.chance.between(0, span);
            let platform = Platform::ALL[self.chance.below(3) as usize];
            let fault = gateway::FAULTS[self.chance.below(8) as usize];
            self.at(at_ms, Event::Mode(platform, fault));
            let end_ms = (at_ms + self.chance.between(500, 40_000)).min(HEALED_MS);
            self.at(end_ms, Event::Mode(platform, Mode::Well));
        }
        for platform in Platform::ALL {
            self.at(HEALED_MS, Event::Mode(platform, Mode::Well));
        }
        for _ in 0..self.chance.below(4) {
            let at_ms = START_MS + self.chance.between(0, span);
            let event = if self.chance.one_in(2) { Event::Crash } else { Event::TakeOver };
            self.at(at_ms, event);
        }
    }
}
