//! What customers see and are told of the good run: feed items, rows, outcomes, a gateway's journal.
//!
//! Owns the records with the runtime's ids, and one end for each item in turn, so that every way to
//! end is there. Some items stand twice, some obligations were tried again after a crash. Who sees
//! what: `onlookers`.

use super::{
    books::{append, read, written},
    good_run::{BUCKETS, INCARNATION, PARTITIONS, Rec, Run},
    onlookers::Account,
};
use std::collections::BTreeMap;
use tapline::{
    codec::{
        births::{BIRTH, BIRTH_KEY},
        frame::{OutputId, SourcePos},
        partitioner::{bucket_of, partition_of},
        schemas::Subject,
    },
    domain::{
        event::AccountEvent,
        feed::{FeedBody, FeedRecord},
        push::{NoticeKind, Outcome, Platform, PushOutcome, Send},
        time::LogTime,
    },
};

#[derive(Clone, Default)]
pub struct Served {
    pub items: Vec<Rec>,
    /// By customer and line.
    pub rows: BTreeMap<(String, String), FeedRow>,
    pub outcomes: Vec<Rec>,
    pub requests: Vec<Request>,
    /// Committed offsets of the feed, as far as they are known.
    pub committed: Vec<(i32, i64)>,
    /// Those of push.
    pub push_committed: Vec<(i32, i64)>,
}

#[derive(Clone)]
pub struct FeedRow {
    pub bucket: u32,
    pub period: i64,
    pub ordering: i64,
    pub pos: i64,
    pub image: Vec<u8>,
}

#[derive(Clone)]
pub struct Request {
    pub received_us: i64,
    pub key: String,
    pub body_sha256: String,
    pub answer: &'static str,
}

/// `run`: with births.
pub fn served(run: &Run) -> Served {
    let mut served = Served::default();
    for partition in 0..PARTITIONS {
        served.items.push(birth(partition));
    }
    let (mut known, mut accounts) = (Vec::new(), BTreeMap::<String, Account>::new());
    for record in &run.events {
        let source = record.header("tapline-src");
        if source.is_none() || known.contains(&source) {
            continue;
        }
        known.push(source);
        let event: AccountEvent = read(Subject::Events, record);
        let account = accounts.entry(event.account_id.as_str().to_owned()).or_default();
        for (index, (customer, body)) in account.see(&event, record.offset).into_iter().enumerate()
        {
            served.show(record, &event, index, customer, body);
        }
    }
    served.tell();
    served
}

fn birth(partition: i32) -> Rec {
    let headers = vec![(BIRTH.into(), Some(b"birth-3".to_vec()))];
    let (key, value) = (Some(BIRTH_KEY.into()), Some(Vec::new()));
    Rec { partition, offset: 0, key, value, headers, timestamp_ms: 0 }
}

impl Served {
    fn show(
        &mut self,
        cause: &Rec,
        event: &AccountEvent,
        index: usize,
        customer: String,
        body: FeedBody,
    ) {
        let (partition, offset) = (cause.partition, cause.offset);
        let (period, ordering, item) = match &body {
            FeedBody::Item(item) => (
                item.created_at.month() - LogTime::ZERO.month(),
                item.created_at.0,
                format!("{}/{}", event.account_id, item.item_id),
            ),
            _ => (-1, 0, event.account_id.as_str().to_owned()),
        };
        let (account_id, log_time) = (event.account_id.clone(), event.log_time);
        let customer_id = customer.as_str().into();
        let record = FeedRecord { customer_id, account_id, log_time, partition, offset, body };
        let image = written(Subject::FeedItems, &record);
        let source = SourcePos { incarnation: INCARNATION + 1, partition, offset };
        let id = OutputId { source, key: None, index: index as i32 };
        let home = partition_of(customer.as_bytes(), PARTITIONS);
        append(&mut self.items, home, &customer, image.clone(), Some(id));
        let bucket = bucket_of(customer.as_bytes(), BUCKETS);
        let row = FeedRow { bucket, period, ordering, pos: offset, image };
        self.rows.insert((customer, item), row);
    }

    /// One outcome for each item, every end in turn.
    fn tell(&mut self) {
        let mut told = Vec::new();
        for record in self.items.clone().iter().skip(PARTITIONS as usize) {
            let id = record.source();
            let said: FeedRecord = read(Subject::FeedItems, record);
            let FeedBody::Item(item) = &said.body else { continue };
            if told.contains(&id) {
                continue;
            }
            told.push(id.clone());
            let (outcome, answers): (Outcome, &[&str]) = match told.len() % 8 {
                0 => (Outcome::Delivered, &["status:500", "accepted"]),
                1 => (Outcome::Muted, &[]),
                2 => (Outcome::Preference, &[]),
                3 => (Outcome::Superseded, &[]),
                4 => (Outcome::Rejected, &["gone"]),
                5 => (Outcome::Expired, &["hang", "cut"]),
                6 => (Outcome::Delivered, &["huge"]),
                _ => (Outcome::Delivered, &["accepted"]),
            };
            let key = format!("{id}:00c0ffee{:04x}", told.len());
            for answer in answers {
                self.request(&key, &format!("{:016x}", told.len()), answer);
            }
            let send = Send {
                key: key.into(),
                platform: Platform::Fcm,
                outcome,
                attempts: answers.len() as i32,
                code: "".into(),
            };
            let outcome = PushOutcome {
                customer_id: said.customer_id.clone(),
                obligation_id: id.to_string().into(),
                line: format!("{}/{}", said.account_id, item.item_id).into(),
                version: item.version,
                kind: NoticeKind::Purchase,
                outcome,
                code: if outcome == Outcome::Muted { "mode_mute".into() } else { "".into() },
                title: "Corner shop".into(),
                body: format!("{} {}", item.amount_minor, item.currency).into(),
                sends: if answers.is_empty() { Vec::new() } else { vec![send] },
            };
            self.say(&outcome, record.partition, id.clone());
            if told.len() % 24 == 7 {
                self.again(outcome, record.partition, id);
            }
        }
    }

    /// After a crash: sent again under the same key, or a newer version was there by then.
    fn again(&mut self, mut outcome: PushOutcome, partition: i32, id: OutputId) {
        if self.requests.len().is_multiple_of(2) {
            self.requests.extend(self.requests.last().cloned());
        } else {
            outcome.outcome = Outcome::Superseded;
            outcome.sends.clear();
        }
        self.say(&outcome, partition, id);
    }

    /// The broker's time: each request takes a millisecond, and a word comes after its requests.
    pub fn now_ms(&self) -> i64 {
        1_790_000_000_000 + self.requests.len() as i64
    }

    pub fn request(&mut self, key: &str, body_sha256: &str, answer: &'static str) {
        let (key, body_sha256) = (key.to_owned(), body_sha256.to_owned());
        let received_us = self.now_ms() * 1_000;
        self.requests.push(Request { received_us, key, body_sha256, answer });
    }

    pub fn say(&mut self, outcome: &PushOutcome, partition: i32, id: OutputId) {
        let value = written(Subject::PushOutcomes, outcome);
        let customer = outcome.customer_id.as_str();
        append(&mut self.outcomes, partition, customer, value, Some(id));
        let now_ms = self.now_ms();
        let said = self.outcomes.iter_mut().rev().take_while(|record| record.timestamp_ms == 0);
        said.for_each(|record| record.timestamp_ms = now_ms);
    }
}
