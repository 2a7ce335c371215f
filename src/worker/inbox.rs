//! The inbox of one partition's thread, and how full it is.
//!
//! Completions never wait (they come from the client's own threads); records do, at the consumer,
//! while more of them are queued than the partition may hold.

use crate::runtime::ports::Arrival;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
    mpsc,
};

pub struct Inbox<R> {
    sender: mpsc::Sender<Arrival<R>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    revoked: AtomicBool,
    records: AtomicUsize,
    bytes: AtomicUsize,
}

impl<R> Clone for Inbox<R> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), shared: self.shared.clone() }
    }
}

impl<R> Inbox<R> {
    pub fn new() -> (Self, mpsc::Receiver<Arrival<R>>) {
        let (sender, receiver) = mpsc::channel();
        (Self { sender, shared: Arc::default() }, receiver)
    }

    /// Ignored when the partition's thread is gone: nobody needs the answer any more.
    pub fn send(&self, arrival: Arrival<R>) {
        let _ = self.sender.send(arrival);
    }

    pub fn revoke(&self) {
        self.shared.revoked.store(true, Ordering::Release);
    }

    pub fn is_revoked(&self) -> bool {
        self.shared.revoked.load(Ordering::Acquire)
    }

    /// Records (and bytes) were put in.
    pub fn queued(&self, records: usize, bytes: usize) {
        self.shared.records.fetch_add(records, Ordering::AcqRel);
        self.shared.bytes.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Of what was put in, this is still there.
    pub fn taken(&self, records: usize) {
        let before = self.shared.records.fetch_sub(records, Ordering::AcqRel);
        // Bytes leave in proportion: enough for a bound.
        let bytes = self.shared.bytes.load(Ordering::Acquire);
        if let Some(share) = (bytes * records).checked_div(before) {
            self.shared.bytes.fetch_sub(share, Ordering::AcqRel);
        }
    }

    pub fn records(&self) -> usize {
        self.shared.records.load(Ordering::Acquire)
    }

    pub fn bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::Acquire)
    }
}
