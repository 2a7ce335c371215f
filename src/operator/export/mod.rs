//! `tapline export`: postings and events as Parquet files by day, for tables and dashboards.
//!
//! Owns the flags and the order of reading: one topic after the other, one partition after the
//! other, so that one file is open at a time and memory is bounded by one group of rows. The same
//! log gives the same files. Days are those of the log's clock, UTC.

mod columns;
mod day_file;
mod days;
mod manifest;
mod tables;

use super::{
    acting,
    amounts::count,
    cli::Common,
    outputs::{Outputs, records_of},
    print::{self, say},
    trial_balance::parse_day,
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::{
    cycle::Day,
    event::{AccountEvent, Event},
    ledger::PostingSet,
};
use crate::worker::{EXIT_DONE, EXIT_FAILED};
use clap::Args;
use days::{Days, Row};
use manifest::{Manifest, Written};
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use tables::{EVENT_TABLE, POSTING_TABLE, Table};

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tapline export --to bi\n  \
    tapline export --to bi --from 2026-11-01 --until 2026-11-30\n\n\
    Writes postings/day=YYYY-MM-DD/part-PARTITION.parquet, one row for each leg, \
    events/day=YYYY-MM-DD/part-PARTITION.parquet, one row for each event (ticks left out), and \
    manifest.json with rows, sums and the SHA-256 of each file. Each record counts once. A file is \
    written under another name first and then renamed; the same log gives the same bytes, so \
    running it again is harmless and completes the latest day. Card tokens and customers are never \
    exported; texts of bookings only with --unmask.")]
pub struct ExportArgs {
    /// Folder to write to; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// First day [default: the log's first]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    pub from: Option<Day>,
    /// Last day [default: the log's last]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    pub until: Option<Day>,
    /// Texts of bookings too; leaves an audit line on standard error
    #[arg(long)]
    pub unmask: bool,
}

pub fn run(common: &Common, args: &ExportArgs) -> i32 {
    let exported = || -> Result<(), i32> {
        let config = common.load()?;
        if args.unmask {
            acting::note("unmask", &format!("export to {}", args.to.display()));
        }
        let mut manifest = Manifest::open(&args.to).map_err(|error| failed(&error))?;
        let export = Export { common, config: &config, args };
        let mut written = export.table::<AccountEvent>(&EVENT_TABLE, event_row)?;
        let posting = |set: &PostingSet, id: &str| posting_row(set, id, args.unmask);
        written.extend(export.table::<PostingSet>(&POSTING_TABLE, posting)?);
        manifest.add(&written);
        manifest.write(&args.to).map_err(|error| failed(&error))?;
        let columns = [
            print::text("file", &|it: &Written| it.path.clone()),
            print::number("records", &|it: &Written| count(it.file.records)),
            print::number("rows", &|it: &Written| count(it.file.rows)),
            print::text("day", &|it: &Written| {
                if it.file.is_complete { "complete" } else { "may grow" }.to_owned()
            }),
        ];
        print::rows(common.output, &written, &columns);
        Ok(())
    };
    exported().err().unwrap_or(EXIT_DONE)
}

fn failed(error: &dyn std::fmt::Display) -> i32 {
    say(&format!("the export stopped: {error}"));
    EXIT_FAILED
}

struct Export<'a> {
    common: &'a Common,
    config: &'a Config,
    args: &'a ExportArgs,
}

/// The rows of one record: `None` for what is no fact, such as a tick, which only tells the time.
type Rows = Option<Vec<Row>>;

impl Export<'_> {
    fn table<T: DeserializeOwned + Timed>(
        &self,
        table: &'static Table,
        rows: impl Fn(&T, &str) -> Rows,
    ) -> Result<Vec<Written>, i32> {
        let outputs = Outputs::open(self.config)?;
        let spans = outputs.spans(table.topic, None)?;
        let no_bars = self.common.no_progress;
        let mut written = Vec::new();
        for span in spans {
            let mut progress = Progress::start(table.name, records_of(&[span]), no_bars);
            let range = (self.args.from, self.args.until);
            let mut days = Days::new(table, &self.args.to, span.partition, range);
            let from = (table.topic, table.subject);
            outputs.read::<T>(
                from,
                &[span],
                &mut progress,
                |_| true,
                |output| {
                    let id = output.source.map(|id| id.to_string()).unwrap_or_default();
                    let rows = rows(&output.value, &id);
                    days.take(output.offset, output.value.day(), rows)
                        .map_err(|error| failed(&error))
                },
            )?;
            written.extend(days.finish().map_err(|error| failed(&error))?);
            progress.finish();
        }
        Ok(written)
    }
}

/// What stands at a log time.
trait Timed {
    fn day(&self) -> i64;
}

impl Timed for AccountEvent {
    fn day(&self) -> i64 {
        match &self.body {
            // The tick itself is the first thing of its time.
            Event::Tick(tick) => tick.time.day(),
            _ => self.log_time.day(),
        }
    }
}

impl Timed for PostingSet {
    fn day(&self) -> i64 {
        self.log_time.day()
    }
}

fn posting_row(set: &PostingSet, id: &str, unmask: bool) -> Rows {
    Some(tables::legs_of(set, id, unmask))
}

fn event_row(event: &AccountEvent, id: &str) -> Rows {
    tables::event(event, id).map(|row| vec![row])
}
