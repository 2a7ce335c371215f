//! Recalling: items that left the head and that a record names, put back before its step.
//!
//! Owns when a side row is asked for and when the head is complete. Reads are asked for ahead, while
//! the record waits in the queue, but only after the heads are loaded: a read before that could miss
//! an item that the head still holds. Only the record's own key gets items back.

#[cfg(test)]
use super::sabotage::{self, Bug};
use super::{
    heads,
    partition::{Halt, Partition, Queued},
    ports::{Ports, SideRead},
    sides::Answer,
};
use crate::codec::{DecodeError, StageCodec, partitioner::bucket_of};
use crate::stages::{Context, Scope, Stage};
use std::sync::Arc;

/// What became of the items that a record names.
pub(super) enum Recall<H> {
    Awaited,
    /// None of them exists.
    Nothing,
    /// The head with them in it.
    Head(H),
}

impl<S: Stage, C: StageCodec<S>> Partition<S, C> {
    /// The head with the named items put back into it, once every answer is there. A copy: while an
    /// answer is awaited, or if the record is poison, the row must stay as its position says.
    pub(super) fn recall<P: Ports<S::Rules>>(
        &mut self,
        name: &Arc<str>,
        input: &S::Input,
        context: &Context<S::Rules>,
        ports: &mut P,
    ) -> Recall<S::Head> {
        let mut recalled: Option<S::Head> = None;
        // What is put back may name another item (an alias its payment), so the stage is asked
        // until it names nothing that can still be found.
        loop {
            let (_, entry) = self.heads.entry(name);
            let head = recalled.as_ref().unwrap_or(&entry.row.state);
            let named = S::items_named(context, head, input);
            #[cfg(test)]
            let named = if sabotage::on(Bug::SideRowNotLoaded) { Vec::new() } else { named };
            let Some(found) = self.find(name, context.offset, named, ports) else {
                #[cfg(test)]
                if let (Some(head), true) = (recalled, sabotage::on(Bug::RecalledWhileAwaited)) {
                    self.heads.entry(name).1.row.state = head;
                }
                return Recall::Awaited;
            };
            if found.is_empty() {
                return recalled.map_or(Recall::Nothing, Recall::Head);
            }
            for (item, bytes) in found {
                let version = self.codec.decode_side(&bytes);
                let Some(version) = self.readable(name, version) else { return Recall::Awaited };
                let copied = || self.heads.entry(name).1.row.state.clone();
                S::recall(recalled.get_or_insert_with(copied), item, version);
            }
        }
    }

    /// Makes the head with the items in it the key's.
    pub(super) fn put_back(&mut self, name: &Arc<str>, head: S::Head) {
        let (_, entry) = self.heads.entry(name);
        self.money.take::<S>(name, &entry.row.state);
        self.money.put::<S>(name, &head);
        entry.row.state = head;
    }

    /// The newest versions of the named items that exist; `None`: an answer is still awaited.
    fn find<P: Ports<S::Rules>>(
        &mut self,
        name: &Arc<str>,
        offset: i64,
        named: Vec<S::ItemId>,
        ports: &mut P,
    ) -> Option<Vec<(S::ItemId, Vec<u8>)>> {
        let mut is_complete = true;
        let mut found = Vec::new();
        for item in named {
            match self.sides.look_up(name, item.as_ref(), offset) {
                Some(Answer::Version(Some((_, bytes)))) => found.push((item, bytes)),
                Some(Answer::Version(None)) => {}
                Some(Answer::Awaited) => is_complete = false,
                None => {
                    is_complete = false;
                    self.ask(name, item.as_ref(), offset, ports);
                }
            }
        }
        is_complete.then_some(found)
    }

    fn readable<T>(&mut self, name: &Arc<str>, read: Result<T, DecodeError>) -> Option<T> {
        read.map_err(|error| {
            let (key, reason) = (name.to_string(), error.to_string());
            self.halted = Some(Halt::StateUnreadable { key, reason });
        })
        .ok()
    }

    fn ask<P: Ports<S::Rules>>(&mut self, key: &Arc<str>, item: &str, below: i64, ports: &mut P) {
        if self.sides.ask(below, item) {
            self.counts.side_reads += 1;
            let bucket = bucket_of(key.as_bytes(), self.binding.buckets);
            ports.read(SideRead { below, bucket, key: key.clone(), item: item.into() });
        }
    }

    /// Asks for side rows while the record still waits in the queue.
    pub(super) fn ask_ahead<P: Ports<S::Rules>>(
        &mut self,
        queued: &Queued<S::Input>,
        ports: &mut P,
    ) {
        let (Ok(input), Scope::Key | Scope::KeyAnd(_)) = (&queued.input, &queued.scope) else {
            return;
        };
        let Some(key) = queued.raw.key_text() else { return };
        let offset = queued.raw.offset;
        let context = self.context(&self.rules, offset);
        let named = match self.heads.get(key) {
            Some(entry) if heads::contains(&entry.row, offset, None) => return,
            Some(entry) => S::items_named(&context, &entry.row.state, input),
            None => S::items_named(&context, &S::Head::default(), input),
        };
        if named.is_empty() {
            return;
        }
        let (name, _) = self.heads.entry(key);
        for item in named {
            self.ask(&name, item.as_ref(), offset, ports);
        }
    }
}
