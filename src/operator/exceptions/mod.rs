//! `tapline exceptions`: what nobody has explained or paid yet, and what people decide about it.
//!
//! Owns the commands and the two views. Ages are counted to the latest time that a record of the
//! network and currency named, as the windows stage counts them; no clock is asked.

mod resolve;

use super::{
    account::word,
    acting::Acting,
    amounts::{Sums, count, money},
    books::{Book, Books},
    cli::Common,
    connect::block_on,
    logs::EXIT_USAGE,
    moments::{duration, utc},
    print::{self, say},
    rows::not_found,
    window::Filter,
};
use crate::config::Config;
use crate::domain::{
    ledger::Address,
    money::Currency,
    settlement::{Class, ResolutionKind},
    window::Exception,
};
use crate::worker::EXIT_DONE;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::cmp::Reverse;

/// What the network or bank has against our books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClassName {
    Missing,
    Mismatch,
    Extra,
    Duplicate,
    Expected,
}

impl ClassName {
    fn class(self) -> Class {
        match self {
            ClassName::Missing => Class::Missing,
            ClassName::Mismatch => Class::Mismatch,
            ClassName::Extra => Class::Extra,
            ClassName::Duplicate => Class::Duplicate,
            ClassName::Expected => Class::Expected,
        }
    }
}

/// How an exception ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum As {
    /// Taken as our own cost or income
    WriteOff,
    /// Paid or got at the bank, outside of the imported statements
    Recovered,
    /// Put where it belongs: the net of the window that it pays, else of a later one
    Rebooked,
}

impl As {
    fn kind(self) -> ResolutionKind {
        match self {
            As::WriteOff => ResolutionKind::WriteOff,
            As::Recovered => ResolutionKind::Recovered,
            As::Rebooked => ResolutionKind::Rebooked,
        }
    }
}

/// Where a written-off amount may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum WriteOffTo {
    Interchange,
    SchemeFees,
    InterestExpense,
    FeeIncome,
}

impl WriteOffTo {
    fn address(self) -> Address {
        match self {
            WriteOffTo::Interchange => Address::Interchange,
            WriteOffTo::SchemeFees => Address::SchemeFees,
            WriteOffTo::InterestExpense => Address::InterestExpense,
            WriteOffTo::FeeIncome => Address::FeeIncome,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub struct ResolveArgs {
    /// As `list` prints it
    pub id: String,
    #[command(flatten)]
    pub filter: Filter,
    #[arg(long = "as", value_enum, value_name = "HOW")]
    pub kind: As,
    /// Why; kept with the decision
    #[arg(long, value_name = "TEXT")]
    pub note: String,
    /// Who decides [default: the user of this shell]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// With write_off, the account that takes it [default: scheme_fees of a loss, fee_income of a
    /// gain]
    #[arg(long, value_enum, value_name = "ADDRESS")]
    pub to: Option<WriteOffTo>,
    #[command(flatten)]
    pub acting: Acting,
}

#[derive(Debug, Subcommand)]
pub enum ExceptionsCommand {
    /// Open exceptions, oldest first, with what stands in suspense because of them
    #[command(after_help = "Examples:\n  tapline exceptions list\n  \
                            tapline exceptions list --class missing --older-than 3d\n\n\
                            Ages are counted to the latest time that a record of the network and \
                            currency named, not to this machine's clock.")]
    List {
        #[command(flatten)]
        filter: Filter,
        #[arg(long, value_enum)]
        class: Option<ClassName>,
        /// Open for at least this long, such as 12h or 3d
        #[arg(long, value_name = "TIME", value_parser = parse_age)]
        older_than: Option<i64>,
        /// Resolved ones too
        #[arg(long)]
        all: bool,
    },
    /// One exception: where it came from, what it is about, what was decided
    #[command(after_help = "Example:\n  tapline exceptions show line:stmt-20261122-4")]
    Show {
        /// As `list` prints it
        id: String,
        #[command(flatten)]
        filter: Filter,
    },
    /// Takes an exception out of suspense, by a record; acts with --execute
    #[command(after_help = "Examples:\n  \
        tapline exceptions resolve line:stmt-4 --as rebooked --note \"paid 20 Nov, no reference\"\n  \
        tapline exceptions resolve item:3:1042 --as write_off --note \"below the limit\" --execute\n\n\
        The plan shows the legs. With --execute the decision goes to settlement.parts.v1, and its \
        answer on settlement.windows.v1 is waited for.\n\
        Exit code 1: the windows stage refused it.")]
    Resolve(ResolveArgs),
}

pub fn run(common: &Common, command: ExceptionsCommand) -> i32 {
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let done = match command {
        ExceptionsCommand::List { filter, class, older_than, all } => {
            let wanted = Wanted { class, older_than_ms: older_than, all };
            list(common, &config, &filter, wanted)
        }
        ExceptionsCommand::Show { id, filter } => show(common, &config, &id, &filter),
        ExceptionsCommand::Resolve(args) => resolve::run(common, &config, &args),
    };
    done.err().unwrap_or(EXIT_DONE)
}

/// Milliseconds of a time like `90m`, `12h`, `3d`, `2w`.
pub fn parse_age(text: &str) -> Result<i64, String> {
    let parsed = || {
        let unit_ms = match text.chars().last()? {
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            'w' => 604_800_000,
            _ => return None,
        };
        let number: i64 = text.get(..text.len() - 1)?.parse().ok()?;
        number.checked_mul(unit_ms).filter(|ms| *ms >= 0)
    };
    parsed().ok_or_else(|| format!("`{text}` is no time; write it like 12h or 3d"))
}

#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    class: Option<ClassName>,
    older_than_ms: Option<i64>,
    all: bool,
}

impl Wanted {
    fn takes(self, book: &Book, exception: &Exception) -> bool {
        (self.all || exception.is_open())
            && self.class.is_none_or(|class| class.class() == exception.class)
            && self.older_than_ms.is_none_or(|ms| exception.age_ms(book.head.now) >= ms)
    }
}

#[derive(Clone, Debug, Serialize)]
struct Line {
    id: String,
    network: String,
    currency: Currency,
    class: String,
    source: String,
    suspense_minor: i64,
    age_ms: i64,
    opened_at: String,
    owner: String,
    /// Cut-off of the window that it is about; absent where there is none.
    cutoff: Option<String>,
    resolution: Option<String>,
}

impl Line {
    fn of(book: &Book, exception: &Exception) -> Self {
        Self {
            id: exception.id.to_string(),
            network: book.network.to_string(),
            currency: book.currency,
            class: word(&exception.class),
            source: word(&exception.source),
            suspense_minor: exception.suspense_minor,
            age_ms: exception.age_ms(book.head.now),
            opened_at: utc(exception.opened_at.0),
            owner: exception.owner.to_string(),
            cutoff: exception.cycle.map(|cycle| utc(cycle.cutoff.0)),
            resolution: exception.resolution.as_ref().map(|it| word(&it.kind)),
        }
    }
}

fn books(config: &Config, filter: &Filter) -> Result<Vec<Book>, i32> {
    block_on(async {
        let books = Books::open(config).await?;
        books.all(|network, currency| filter.takes(network, currency)).await
    })?
}

fn list(common: &Common, config: &Config, filter: &Filter, wanted: Wanted) -> Result<(), i32> {
    let (mut lines, mut sums) = (Vec::new(), Sums::default());
    for book in books(config, filter)? {
        for exception in book.exceptions.iter().filter(|it| wanted.takes(&book, it)) {
            if exception.is_open() {
                sums.add(exception.suspense_minor, book.currency);
            }
            lines.push(Line::of(&book, exception));
        }
    }
    lines.sort_by_key(|line| Reverse(line.age_ms));
    let columns = [
        print::text("exception", &|it: &Line| it.id.clone()),
        print::text("network", &|it: &Line| it.network.clone()),
        print::text("class", &|it: &Line| it.class.clone()),
        print::number("in suspense", &|it: &Line| money(it.suspense_minor, it.currency)),
        print::number("age", &|it: &Line| duration(it.age_ms)),
        print::text("owner", &|it: &Line| it.owner.clone()),
        print::text("window", &|it: &Line| it.cutoff.clone().unwrap_or("-".to_owned())),
        print::text("resolved", &|it: &Line| it.resolution.clone().unwrap_or("-".to_owned())),
    ];
    print::rows(common.output, &lines, &columns);
    let found = count(i64::try_from(lines.len()).unwrap_or(i64::MAX));
    say(&format!("{found} exceptions; open in suspense: {}", sums.shown().replace('\n', ", ")));
    Ok(())
}

/// The exception of that id, with its book. Errors: exit code 1 where there is none, 2 where
/// several networks have it.
fn find(config: &Config, id: &str, filter: &Filter) -> Result<(Book, Exception), i32> {
    let mut found: Vec<(Book, Exception)> = Vec::new();
    for book in books(config, filter)? {
        if let Some(exception) = book.exceptions.iter().find(|it| *it.id == *id).cloned() {
            found.push((book, exception));
        }
    }
    match found.len() {
        0 => Err(not_found(&format!("no exception {id} is stored; see `tapline exceptions list`"))),
        1 => Ok(found.remove(0)),
        _ => {
            say("several networks have an exception of that id; add --network or --currency");
            Err(EXIT_USAGE)
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    line: Line,
    #[serde(rename = "exception")]
    whole: Exception,
}

impl Shown {
    fn shown(&self) -> String {
        let (line, whole) = (&self.line, &self.whole);
        let shown = |minor: i64| money(minor, line.currency);
        let id = |text: Option<&str>| text.unwrap_or("-").to_owned();
        let reference = Some(&*whole.reference).filter(|text| !text.is_empty());
        let mut text = format!("exception {}  {}\n\n", line.id, line.class);
        for (name, value) in [
            ("network", format!("{}, {}", line.network, line.currency)),
            ("came from", line.source.clone()),
            ("in suspense", shown(line.suspense_minor)),
            ("they say", shown(whole.claimed_minor)),
            ("our books", shown(whole.booked_minor)),
            ("age", duration(line.age_ms)),
            ("opened", line.opened_at.clone()),
            ("owner", line.owner.clone()),
            ("window", id(line.cutoff.as_deref())),
            ("account", id(whole.account_id.as_ref().map(|it| it.as_str()))),
            ("payment", id(whole.payment_id.as_ref().map(|it| it.as_str()))),
            ("reason", id(whole.reason.map(|it| it.name()))),
            ("reference", id(reference)),
        ] {
            text += &format!("{name:12} {value}\n");
        }
        match &whole.resolution {
            None => text += "open: `tapline exceptions resolve` takes it out of suspense",
            Some(it) => {
                let (kind, at) = (word(&it.kind), utc(it.at.0));
                text += &format!("{kind} by {} at {at}: {}", it.by, it.text);
            }
        }
        text
    }
}

fn show(common: &Common, config: &Config, id: &str, filter: &Filter) -> Result<(), i32> {
    let (book, exception) = find(config, id, filter)?;
    let shown = Shown { line: Line::of(&book, &exception), whole: exception };
    print::document(common.output, &shown, || shown.shown());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: ages are written as people say them. Method: a table, and what is refused.
    #[test]
    fn ages() {
        for (text, ms) in [("0s", 0), ("90m", 5_400_000), ("3d", 259_200_000), ("1w", 604_800_000)]
        {
            assert_eq!(parse_age(text), Ok(ms), "{text}");
        }
        for text in ["", "3", "d", "-1d", "3y", "9223372036854775807w"] {
            assert!(parse_age(text).is_err(), "{text}");
        }
    }
}
