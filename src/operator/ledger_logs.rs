//! The two logs that make the ledger, read together: decisions on windows, and postings.
//!
//! Owns their ends: that of the windows' topic is taken before that of the postings, so that no
//! decision is there without the postings it is about. Judges nothing.

use super::outputs::{Output, Outputs, records_of};
use crate::adapters::kafka::reader::Span;
use crate::codec::{
    schemas::Subject,
    topics::{POSTINGS, WINDOWS},
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::{ledger::PostingSet, window::WindowEvent};

pub struct LedgerLogs<'a> {
    outputs: Outputs<'a>,
    windows: Vec<Span>,
    postings: Vec<Span>,
    progress: Progress,
}

impl<'a> LedgerLogs<'a> {
    /// `what`: the progress bar's word for it.
    pub fn open(config: &'a Config, what: &str, no_bars: bool) -> Result<Self, i32> {
        let outputs = Outputs::open(config)?;
        let windows = outputs.spans(WINDOWS, None)?;
        let postings = outputs.spans(POSTINGS, None)?;
        let total = records_of(&windows) + records_of(&postings);
        let progress = Progress::start(what, total, no_bars);
        Ok(Self { outputs, windows, postings, progress })
    }

    /// Every decision. Errors: those of `Outputs::read`.
    pub fn decisions(&mut self, take: impl FnMut(Output<WindowEvent>)) -> Result<(), i32> {
        let from = (WINDOWS, Subject::Windows);
        self.outputs.each(from, &self.windows, &mut self.progress, take)
    }

    /// Every set of postings. Errors: those of `Outputs::read`.
    pub fn postings(&mut self, take: impl FnMut(Output<PostingSet>)) -> Result<(), i32> {
        let from = (POSTINGS, Subject::Postings);
        self.outputs.each(from, &self.postings, &mut self.progress, take)
    }

    pub fn finish(self) {
        self.progress.finish();
    }
}
