//! Seals: the image of what changed, and the order in which it becomes durable.
//!
//! Owns the one open seal of a partition. The rows are encoded when the seal is opened, so that
//! consumption goes on at once and no later record can slip into an older image. Side rows and rows
//! of the read model are sent at once; heads only when those and every output at or below the seal's
//! offset are acked; the offset only when the heads are acked. A next seal waits for this one.

#[cfg(test)]
use super::sabotage::{self, Bug};
use super::{
    partition::Partition,
    ports::{Batch, Ports, RowWrite, Table},
};
use crate::codec::{StageCodec, partitioner::bucket_of};
use crate::stages::Stage;
use std::{collections::BTreeMap, sync::Arc};

/// Where the open seal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// What goes before the heads is on its way (or there is nothing); they wait for it and for the
    /// acks.
    OthersSent,
    HeadsSent,
}

pub struct OpenSeal {
    number: u64,
    /// Last applied offset at the time of encoding.
    through: i64,
    through_broker_ms: Option<i64>,
    step: Step,
    /// Side rows and rows of the read model.
    others: Vec<Arc<Batch>>,
    heads: Vec<Arc<Batch>>,
    /// Batches sent and not yet written.
    pending: Vec<usize>,
    sent_others: bool,
}

impl<S: Stage, C: StageCodec<S>> Partition<S, C> {
    /// Encodes everything that changed since the last seal; nothing when one is open or nothing
    /// was applied since.
    pub(super) fn open_seal(&mut self) {
        if self.seal.is_some() || self.durable >= self.applied {
            return;
        }
        let number = self.seals;
        self.seals += 1;
        let sides = self.sides.take_unsealed().into_iter().map(|row| (Table::Sides, row));
        let others: Vec<_> = sides.chain(self.reads.take_unsealed()).collect();
        let mut heads = Vec::with_capacity(self.heads.dirty_len());
        for key in self.heads.take_dirty() {
            let encoded = self.heads.freeze(&key, |row| {
                self.scratch.clear();
                self.codec.encode_row(row, &mut self.scratch);
                Arc::from(self.scratch.as_slice())
            });
            if let Some((pos, bytes)) = encoded {
                heads.push((Table::Heads, RowWrite::head(key, pos, bytes)));
            }
        }
        self.counts.rows_sealed += (heads.len() + others.len()) as u64;
        self.counts.seals += 1;
        let others = self.batches(number, 0, others);
        let heads = self.batches(number, others.len(), heads);
        self.seal = Some(OpenSeal {
            number,
            through: self.applied,
            through_broker_ms: self.applied_broker_ms,
            step: Step::OthersSent,
            pending: Vec::new(),
            others,
            heads,
            sent_others: false,
        });
    }

    /// One batch per bucket, split where it would grow too large for one mutation.
    fn batches(
        &self,
        seal: u64,
        first_index: usize,
        rows: Vec<(Table, RowWrite)>,
    ) -> Vec<Arc<Batch>> {
        let mut by_bucket: BTreeMap<(Table, u32), Vec<RowWrite>> = BTreeMap::new();
        for (table, row) in rows {
            let buckets = match table {
                Table::Heads | Table::Sides => self.binding.buckets,
                Table::Reads { .. } => self.binding.read_buckets,
            };
            let bucket = bucket_of(row.key.as_bytes(), buckets);
            by_bucket.entry((table, bucket)).or_default().push(row);
        }
        let through = self.applied;
        let mut batches = Vec::new();
        for ((table, bucket), rows) in by_bucket {
            let mut part = Vec::new();
            let mut bytes = 0;
            for row in rows {
                let size = row.bytes.len() + row.key.len() + 64;
                if bytes + size > self.limits.batch_bytes_max && !part.is_empty() {
                    let index = first_index + batches.len();
                    let rows = std::mem::take(&mut part);
                    batches.push(Arc::new(Batch { seal, through, index, table, bucket, rows }));
                    bytes = 0;
                }
                bytes += size;
                part.push(row);
            }
            let index = first_index + batches.len();
            batches.push(Arc::new(Batch { seal, through, index, table, bucket, rows: part }));
        }
        batches
    }

    /// A batch is acknowledged. Answers to an earlier seal's repeats are ignored.
    pub(super) fn written(&mut self, seal: u64, index: usize) {
        if let Some(open) = &mut self.seal
            && open.number == seal
        {
            open.pending.retain(|pending| *pending != index);
        }
    }

    /// Sends what may be sent now, and commits when everything is durable.
    pub(super) fn advance_seal<P: Ports<S::Rules>>(&mut self, ports: &mut P) {
        #[cfg(test)]
        self.take_rows_again();
        let Some(open) = &mut self.seal else { return };
        if !open.sent_others {
            open.sent_others = true;
            send(&open.others, &mut open.pending, ports);
        }
        let (others_stored, acked) = (open.pending.is_empty(), self.acks.through(open.through));
        #[cfg(test)]
        let (others_stored, acked) =
            (others_stored || open.is_sabotaged(), acked || sabotage::on(Bug::StateBeforeAcks));
        if open.step == Step::OthersSent && others_stored && acked {
            self.sides.stored(self.fetched);
            open.step = Step::HeadsSent;
            send(&open.heads, &mut open.pending, ports);
            #[cfg(test)]
            if sabotage::on(Bug::CommitWhenSent) {
                open.pending.clear();
            }
        }
        if open.step == Step::HeadsSent && open.pending.is_empty() {
            self.durable = open.through;
            self.durable_broker_ms = open.through_broker_ms;
            self.seal = None;
            self.commit(ports);
        }
    }

    /// Commits the highest fresh tick that is durable, so that a takeover begins by reading its
    /// context; never past a dead letter that the fuse still counts.
    fn commit<P: Ports<S::Rules>>(&mut self, ports: &mut P) {
        if !S::TICKS {
            return self.commit_durable(ports);
        }
        let mut next = None;
        while let Some(tick) = self.fresh_ticks.front().copied() {
            if tick > self.durable + 1 || self.fuse.held_at().is_some_and(|held| tick > held) {
                break;
            }
            next = Some(tick);
            self.fresh_ticks.pop_front();
        }
        #[cfg(test)]
        if sabotage::on(Bug::CommitAnywhere) {
            next = Some(self.durable + 1);
        } else if sabotage::on(Bug::CommitBehindTick) {
            next = next.map(|tick| tick + 1);
        }
        if let Some(tick) = next
            && tick > self.committed
        {
            self.committed = tick;
            ports.commit(tick);
        }
    }
}

#[cfg(test)]
impl OpenSeal {
    /// The bugs that do not wait for one kind of row.
    fn is_sabotaged(&self) -> bool {
        let pending = |fits: fn(Table) -> bool| {
            self.others.iter().any(|it| fits(it.table) && self.pending.contains(&it.index))
        };
        let sides = pending(|table| table == Table::Sides);
        let reads = pending(|table| matches!(table, Table::Reads { .. }));
        (sabotage::on(Bug::HeadBeforeSideRow) && !reads)
            || (sabotage::on(Bug::HeadBeforeReadRow) && !sides)
    }
}

#[cfg(test)]
impl<S: Stage, C: StageCodec<S>> Partition<S, C> {
    /// The bugs that the encoding at the seal avoids: rows as they are when they are sent, and rows
    /// that claim to be.
    fn take_rows_again(&mut self) {
        let Some(open) = &mut self.seal else { return };
        if open.step != Step::OthersSent {
            return;
        }
        if sabotage::on(Bug::HeadsStampedAtSendTime) {
            for batch in &mut open.heads {
                Arc::make_mut(batch).through = self.applied;
            }
        }
        if !sabotage::on(Bug::RowsTakenAtSendTime) {
            return;
        }
        for batch in &mut open.heads {
            for row in &mut Arc::make_mut(batch).rows {
                let Some(entry) = self.heads.get(&row.key) else { continue };
                row.pos = entry.row.pos;
                let mut bytes = Vec::new();
                self.codec.encode_row(&entry.row, &mut bytes);
                row.bytes = bytes.into();
            }
        }
    }
}

fn send<R, P: Ports<R>>(batches: &[Arc<Batch>], pending: &mut Vec<usize>, ports: &mut P) {
    pending.extend(batches.iter().map(|batch| batch.index));
    for batch in batches {
        ports.write(batch.clone());
    }
}
