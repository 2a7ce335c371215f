//! What the first pass found: a file that ties, in figures.
//!
//! Owns the sums by kind and the list of lines set aside. Only a file that got here may be
//! published; the second pass must find the same content.

use super::{
    cards::{CardLines, Presented},
    header::Header,
    problem::Problem,
    reading::Form,
    row::LineKind,
};
use crate::domain::settlement::ContentHash;
use serde::Serialize;
use std::io::BufRead;

/// Lines set aside that are listed; the rest are counted.
const LISTED_MAX: usize = 100;

/// Lines of one kind and what they add up to, minor units, not signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindTotal {
    pub lines: u64,
    pub amount_minor: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    pub header: Header,
    pub lines: u64,
    /// What we owe the network for the file.
    pub owed_minor: i64,
    /// By [`LineKind::ALL`].
    pub kinds: [KindTotal; 3],
    /// Lines that become open exceptions, and what we owe for them.
    pub set_aside: u64,
    pub set_aside_minor: i64,
    /// The first of them, with their reasons.
    pub problems: Vec<(u64, Problem)>,
    pub content: ContentHash,
}

impl Checked {
    pub fn new(header: Header) -> Self {
        Self {
            header,
            lines: 0,
            owed_minor: 0,
            kinds: Default::default(),
            set_aside: 0,
            set_aside_minor: 0,
            problems: Vec::new(),
            content: ContentHash::default(),
        }
    }

    /// Counts a line. Amounts are bounded, so a sum stays inside 64 bits for a million of them;
    /// beyond that it stops growing, and the reading has refused the file before.
    pub fn take(&mut self, presented: &Presented) {
        let (kind, amount_minor) = (presented.kind, presented.amount_minor);
        let owed_minor = kind.owed_minor(amount_minor);
        self.lines += 1;
        self.owed_minor = self.owed_minor.saturating_add(owed_minor);
        let place = LineKind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
        let total = &mut self.kinds[place];
        total.lines += 1;
        total.amount_minor = total.amount_minor.saturating_add(amount_minor);
        if let Some(problem) = &presented.problem {
            self.set_aside += 1;
            self.set_aside_minor = self.set_aside_minor.saturating_add(owed_minor);
            if self.problems.len() < LISTED_MAX {
                self.problems.push((presented.record, problem.clone()));
            }
        }
    }
}

/// The first pass: reads a clearing file to its end. Errors refuse the file.
pub fn check(source: impl BufRead, form: Form) -> Result<Checked, Problem> {
    check_lines(CardLines::open(source, form)?)
}

/// The same from where the header was read.
pub fn check_lines<R: BufRead>(mut lines: CardLines<R>) -> Result<Checked, Problem> {
    let mut checked = Checked::new(lines.header().clone());
    while let Some(presented) = lines.advance()? {
        checked.take(&presented);
    }
    // A reading at its end has its content.
    checked.content = lines.reading().content().unwrap_or_default();
    Ok(checked)
}
