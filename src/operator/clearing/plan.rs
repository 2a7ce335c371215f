//! The plan: each file in a line, what is wrong with it, and what would be done.
//!
//! Owns the words and the JSON of what was found. Decides what a register's row means for a file:
//! new, published, half published, or another content under the same name.

use super::{
    FileArgs,
    source::{self, Found, Refused},
};
use crate::adapters::cassandra::clearing_files::{ClearingFile, PUBLISHED, PUBLISHING};
use crate::clearing::{
    checked::Checked,
    header::Header,
    problem::Problem,
    row::{FileKind, LineKind},
    settlement_files::{Report, Statement},
};
use crate::domain::{money::Currency, settlement::ContentHash};
use crate::operator::{
    amounts::{count, money},
    cli::Common,
    logs::EXIT_USAGE,
    print::{self, say},
};
use crate::worker::EXIT_BAD;
use serde::Serialize;
use std::collections::BTreeMap;

/// One file of the plan.
#[derive(Clone, Debug, Serialize)]
pub struct FilePlan {
    pub kind: FileKind,
    pub network: String,
    pub file_id: String,
    pub business_date: String,
    pub currency: Currency,
    pub lines: u64,
    /// What we owe for it, minor units; of a statement: what came in less what went out.
    pub owed_minor: i64,
    pub kinds: Vec<KindSum>,
    /// Lines that become open exceptions, and what we owe for them.
    pub set_aside: u64,
    pub set_aside_minor: i64,
    pub problems: Vec<LineProblem>,
    pub content_hash: String,
    pub state: State,
    /// Lines that an earlier import has published.
    pub published_through: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct KindSum {
    pub kind: LineKind,
    pub lines: u64,
    pub amount_minor: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct LineProblem {
    pub record: u64,
    #[serde(flatten)]
    pub problem: Problem,
}

/// What the register knows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    New,
    HalfPublished,
    Published,
    /// Another content stands under its name.
    OtherContent,
    /// Nobody has asked.
    Unknown,
}

impl FilePlan {
    pub fn of(checked: &Checked) -> Self {
        let sums = LineKind::ALL.iter().zip(&checked.kinds);
        let kinds = sums
            .filter(|(_, total)| total.lines > 0)
            .map(|(kind, total)| KindSum {
                kind: *kind,
                lines: total.lines,
                amount_minor: total.amount_minor,
            })
            .collect();
        let problems = checked
            .problems
            .iter()
            .map(|(record, problem)| LineProblem { record: *record, problem: problem.clone() });
        Self {
            kinds,
            set_aside: checked.set_aside,
            set_aside_minor: checked.set_aside_minor,
            problems: problems.collect(),
            ..Self::plain(&checked.header, checked.lines, checked.owed_minor, checked.content)
        }
    }

    pub fn of_report(report: &Report) -> Self {
        let owed_minor = report.totals.net_minor();
        Self::plain(&report.header, report.lines.len() as u64, owed_minor, report.content)
    }

    pub fn of_statement(statement: &Statement) -> Self {
        let lines = statement.records.len() as u64;
        Self::plain(&statement.header, lines, statement.sum_minor, statement.content)
    }

    fn plain(header: &Header, lines: u64, owed_minor: i64, content: ContentHash) -> Self {
        Self {
            kind: header.kind,
            network: header.network.to_string(),
            file_id: header.file_id.to_string(),
            business_date: header.business_date.to_string(),
            currency: header.currency,
            lines,
            owed_minor,
            kinds: Vec::new(),
            set_aside: 0,
            set_aside_minor: 0,
            problems: Vec::new(),
            content_hash: content.to_string(),
            state: State::Unknown,
            published_through: 0,
        }
    }

    /// The register's row for the file, before anything of it is published.
    pub fn row(&self) -> ClearingFile {
        ClearingFile {
            network: self.network.clone(),
            kind: self.kind.word().to_owned(),
            file_id: self.file_id.clone(),
            content_hash: self.content_hash.clone(),
            business_date: self.business_date.clone(),
            currency: self.currency.to_string(),
            lines: self.lines.cast_signed(),
            owed_minor: self.owed_minor,
            published_through: 0,
            state: PUBLISHING.to_owned(),
        }
    }

    /// Takes over what the register knows.
    pub fn meet(&mut self, known: Option<&ClearingFile>) {
        let Some(known) = known else {
            self.state = State::New;
            return;
        };
        self.published_through = u64::try_from(known.published_through).unwrap_or(0);
        self.state = match known.content_hash == self.content_hash {
            false => State::OtherContent,
            true if known.state == PUBLISHED => State::Published,
            true => State::HalfPublished,
        };
    }

    pub fn has_work(&self) -> bool {
        matches!(self.state, State::New | State::HalfPublished)
    }

    fn action(&self) -> String {
        match self.state {
            State::New => "publish".to_owned(),
            State::HalfPublished => {
                format!("go on after line {}", count(self.published_through.cast_signed()))
            }
            State::Published => "none: published".to_owned(),
            State::OtherContent => "REFUSED: other content".to_owned(),
            State::Unknown => "-".to_owned(),
        }
    }
}

/// Sums over all files of a day, per currency and kind.
#[derive(Clone, Debug, Serialize)]
struct DayTotal {
    business_date: String,
    currency: Currency,
    kind: LineKind,
    lines: u64,
    amount_minor: i64,
}

fn totals(files: &[FilePlan]) -> Vec<DayTotal> {
    let mut totals: BTreeMap<(String, Currency, LineKind), (u64, i64)> = BTreeMap::new();
    for file in files {
        for sum in &file.kinds {
            let key = (file.business_date.clone(), file.currency, sum.kind);
            let total = totals.entry(key).or_default();
            total.0 += sum.lines;
            total.1 = total.1.saturating_add(sum.amount_minor);
        }
    }
    let total = |((business_date, currency, kind), (lines, amount_minor))| DayTotal {
        business_date,
        currency,
        kind,
        lines,
        amount_minor,
    };
    totals.into_iter().map(total).collect()
}

#[derive(Serialize)]
struct Document<'a> {
    files: &'a [FilePlan],
    totals: Vec<DayTotal>,
}

/// Prints files, the lines set aside, and totals by business date, currency and kind.
pub fn show(common: &Common, files: &[FilePlan]) {
    let document = Document { files, totals: totals(files) };
    print::document(common.output, &document, || shown(&document));
}

fn shown(document: &Document) -> String {
    let columns = [
        print::text("network", &|it: &FilePlan| it.network.clone()),
        print::text("kind", &|it: &FilePlan| it.kind.word().to_owned()),
        print::text("file", &|it: &FilePlan| it.file_id.clone()),
        print::text("business date", &|it: &FilePlan| it.business_date.clone()),
        print::number("lines", &|it: &FilePlan| count(it.lines.cast_signed())),
        print::number("owed", &|it: &FilePlan| money(it.owed_minor, it.currency)),
        print::number("set aside", &|it: &FilePlan| match it.set_aside {
            0 => "-".to_owned(),
            lines => format!(
                "{} ({})",
                count(lines.cast_signed()),
                money(it.set_aside_minor, it.currency)
            ),
        }),
        print::text("action", &|it: &FilePlan| it.action()),
    ];
    let mut text = print::table(document.files, &columns);
    if !document.totals.is_empty() {
        let columns = [
            print::text("business date", &|it: &DayTotal| it.business_date.clone()),
            print::text("kind", &|it: &DayTotal| it.kind.word().to_owned()),
            print::number("lines", &|it: &DayTotal| count(it.lines.cast_signed())),
            print::number("amount", &|it: &DayTotal| money(it.amount_minor, it.currency)),
        ];
        text += &format!("\n{}", print::table(&document.totals, &columns));
    }
    for file in document.files.iter().filter(|file| !file.problems.is_empty()) {
        let (id, listed) = (&file.file_id, file.problems.len() as u64);
        text += &format!("\n{id}: these lines become open exceptions in suspense:");
        for LineProblem { record, problem } in &file.problems {
            text += &format!("\n  record {record}, {problem}");
        }
        if file.set_aside > listed {
            text += &format!("\n  and {} more", count((file.set_aside - listed).cast_signed()));
        }
    }
    text
}

/// Every file that was found, in the order in which they are published.
pub fn files(found: &Found) -> Vec<FilePlan> {
    match found {
        Found::Clearing(_, checked) => vec![FilePlan::of(checked)],
        Found::Report(report) => vec![FilePlan::of_report(report)],
        Found::Statement(statement) => vec![FilePlan::of_statement(statement)],
        Found::Published(batches) => {
            batches.iter().map(|batch| FilePlan::of(&batch.checked)).collect()
        }
    }
}

/// What is wrong, said; and as JSON where that was asked for. A path that cannot be read is wrong
/// usage, whatever was asked.
pub fn refuse(common: &Common, refused: &Refused, exit_code: i32) -> i32 {
    if let Refused::Unreadable(reason) = refused {
        say(reason);
        return EXIT_USAGE;
    }
    say(&format!("refused: {refused}\nNothing of it is published."));
    if common.output != print::Output::Text
        && let Refused::Wrong { file, problem } = refused
    {
        let document = serde_json::json!({ "refused": problem, "file": file });
        print::document(common.output, &document, String::new);
    }
    exit_code
}

/// `tapline clearing check`: the first pass alone.
pub fn check(common: &Common, args: &FileArgs) -> Result<(), i32> {
    let found = source::find(args).map_err(|refused| refuse(common, &refused, EXIT_BAD))?;
    show(common, &files(&found));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clearing::{checked::check, reading::Form, writing::template};

    /// Goal: the register's row decides what is done with a file. Method: one row a case.
    #[test]
    fn what_the_register_means() {
        let bytes = template(FileKind::Clearing, Form::Csv).unwrap();
        let plan = FilePlan::of(&check(&bytes[..], Form::Csv).unwrap());
        let row = |content: &str, state: &str| ClearingFile {
            content_hash: content.to_owned(),
            state: state.to_owned(),
            published_through: 2,
            ..plan.row()
        };
        let own = plan.content_hash.as_str();
        for (known, state, has_work) in [
            (None, State::New, true),
            (Some(row(own, PUBLISHING)), State::HalfPublished, true),
            (Some(row(own, PUBLISHED)), State::Published, false),
            (Some(row("other", PUBLISHED)), State::OtherContent, false),
            (Some(row("other", PUBLISHING)), State::OtherContent, false),
        ] {
            let mut plan = plan.clone();
            plan.meet(known.as_ref());
            assert_eq!((plan.state, plan.has_work()), (state, has_work));
        }
        let totals: Vec<_> = totals(&[plan.clone(), plan])
            .iter()
            .map(|it| (it.kind, it.lines, it.amount_minor))
            .collect();
        assert_eq!(totals, [(LineKind::Present, 4, 12_900), (LineKind::Refund, 2, 2_000)]);
    }
}
