//! One partition of one table, day after day.
//!
//! Owns when a file begins and ends. The log's clock never runs back within a partition, so one
//! file is open at a time; a day is complete when the log has something of a later one.

use super::{
    columns::Cell,
    day_file::{DayFile, ExportError},
    manifest::Written,
    tables::Table,
};
use crate::domain::{cycle::Day, money::Currency};
use std::path::{Path, PathBuf};

/// One row, and what it adds to the sums of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub cells: Vec<Cell>,
    pub sums: Vec<(Currency, &'static str, i64)>,
}

pub struct Days {
    table: &'static Table,
    folder: PathBuf,
    partition: i32,
    /// First and last day that is wanted.
    range: (i64, i64),
    /// The log's latest day.
    day: i64,
    open: Option<DayFile>,
    written: Vec<Written>,
}

impl Days {
    pub fn new(
        table: &'static Table,
        folder: &Path,
        partition: i32,
        (from, until): (Option<Day>, Option<Day>),
    ) -> Self {
        let day = |day: Day| i64::from(day.0);
        Self {
            table,
            folder: folder.to_owned(),
            partition,
            range: (from.map_or(i64::MIN, day), until.map_or(i64::MAX, day)),
            day: i64::MIN,
            open: None,
            written: Vec::new(),
        }
    }

    /// Takes the next record of the partition. `rows` absent: it only tells the time.
    pub fn take(
        &mut self,
        offset: i64,
        day: i64,
        rows: Option<Vec<Row>>,
    ) -> Result<(), ExportError> {
        match rows {
            // A tick that is stale tells nothing.
            None if day <= self.day => return Ok(()),
            Some(_) if day < self.day => {
                let partition = self.partition;
                return Err(ExportError::ClockRunsBack { partition, offset });
            }
            _ => {}
        }
        if day > self.day {
            self.close(true)?;
            self.day = day;
        }
        let Some(rows) = rows.filter(|_| self.range.0 <= day && day <= self.range.1) else {
            return Ok(());
        };
        let file = match &mut self.open {
            Some(file) => file,
            None => {
                let name = self.name();
                self.open.insert(DayFile::create(self.table, &self.folder, name)?)
            }
        };
        file.take(offset, rows)
    }

    fn name(&self) -> String {
        // Beyond the calendar's days there is no log time.
        let day = Day(i32::try_from(self.day).unwrap_or(i32::MAX));
        format!("{}/day={day}/part-{}.parquet", self.table.name, self.partition)
    }

    fn close(&mut self, is_complete: bool) -> Result<(), ExportError> {
        if let Some(file) = self.open.take() {
            self.written.push(file.finish(is_complete)?);
        }
        Ok(())
    }

    /// The end of the log: the latest day may still grow.
    pub fn finish(mut self) -> Result<Vec<Written>, ExportError> {
        self.close(false)?;
        Ok(self.written)
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
