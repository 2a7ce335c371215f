//! Rows of a stage's read model that no seal has taken yet.
//!
//! Owns the newest version of each row since the last seal; an older one that was never written is
//! not missed by anybody. They go with the seal like side rows: written before the heads, so that
//! whoever finds a head at a position finds the rows of all outputs up to it.

use super::ports::{RowWrite, Table};
use crate::stages::ReadRow;
use std::{collections::BTreeMap, sync::Arc};

#[derive(Default)]
pub struct Reads {
    unsealed: BTreeMap<ReadRow, (i64, Arc<[u8]>)>,
}

impl Reads {
    /// An output at `pos` is the newest version of a row.
    pub fn note(&mut self, row: ReadRow, pos: i64, value: &[u8]) {
        self.unsealed.insert(row, (pos, value.into()));
    }

    /// Hands the rows to a seal, in order.
    pub fn take_unsealed(&mut self) -> Vec<(Table, RowWrite)> {
        let rows = std::mem::take(&mut self.unsealed);
        let row = |(row, (pos, bytes)): (ReadRow, (i64, Arc<[u8]>))| {
            let ReadRow { period, key, order, item } = row;
            let item = Some(item);
            (Table::Reads { period }, RowWrite { key: key.into(), item, order, pos, bytes })
        };
        rows.into_iter().map(row).collect()
    }
}
