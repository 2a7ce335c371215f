//! What the API needs from outside, as small traits: lines, targets, positions.
//!
//! Owns the questions. `stored` answers them from Cassandra and the log, `memory` for tests and the
//! page's own test. Live items have no trait: `live::Hub` is fed by whoever has them.

use super::position::Asked;
use crate::adapters::cassandra::failure::StoreError;
use crate::codec::frame::SourcePos;
use crate::domain::{
    feed_page::{AccountLine, Cursor, Page},
    ids::CustomerId,
    push::{Device, Preferences, Targets},
};
use futures_util::future::BoxFuture;

pub type Reply<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

pub trait FeedReader: Send + Sync {
    /// Lines after the cursor, newest first. `is_exact`: all that is stored at this moment, at any
    /// cost; else the newest month may be missing for a few seconds.
    fn page<'a>(
        &'a self,
        customer: &'a CustomerId,
        before: Option<&'a Cursor>,
        limit: usize,
        is_exact: bool,
    ) -> Reply<'a, Page>;

    /// Accounts with their newest balance; empty: the feed has never heard of the customer.
    fn accounts<'a>(&'a self, customer: &'a CustomerId) -> Reply<'a, Vec<AccountLine>>;
}

pub trait TargetStore: Send + Sync {
    fn targets<'a>(&'a self, customer: &'a CustomerId) -> Reply<'a, Targets>;
    fn put_device<'a>(&'a self, customer: &'a CustomerId, device: &'a Device) -> Reply<'a, ()>;
    fn delete_device<'a>(&'a self, customer: &'a CustomerId, device_id: &'a str) -> Reply<'a, ()>;
    fn put_preferences<'a>(
        &'a self,
        customer: &'a CustomerId,
        preferences: &'a Preferences,
    ) -> Reply<'a, ()>;
}

/// How far the read model contains the log of events.
pub trait Positions: Send + Sync {
    /// Of `payments.events.v1`.
    fn incarnation(&self) -> i32;
    fn partitions(&self) -> i32;

    /// Whether all that stood at these positions is in the read model.
    fn are_reached<'a>(&'a self, asked: &'a Asked) -> Reply<'a, bool>;

    /// What the read model contains for certain, as far as that is known without asking anybody:
    /// the last position of each partition that this worker runs.
    fn known(&self) -> Vec<SourcePos>;
}
