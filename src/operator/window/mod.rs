//! `tapline window`: settlement windows, from open to settled, and the proofs about them.
//!
//! Owns the commands, their flags and the names of windows. Nothing here changes a window: they
//! close by ticks, and settle by what networks and banks send.

mod prove;
mod recompute;
mod view;

use super::{
    books::{Book, Books},
    cli::Common,
    connect::block_on,
    logs::EXIT_USAGE,
    moments::parse_time,
    print::say,
    rows::not_found,
};
use crate::config::Config;
use crate::domain::{cycle::Day, money::Currency};
use crate::stages::settlement::windows::{Status, Window};
use crate::worker::EXIT_DONE;
use clap::{Args, Subcommand, ValueEnum};

/// Where a window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    Open,
    Closed,
    Reconciled,
    Instructed,
    Settled,
    /// The network's report is not explained: waits for a person
    #[value(alias = "break")]
    Broken,
}

impl State {
    fn is(self, status: Status) -> bool {
        let own = match self {
            State::Open => Status::Open,
            State::Closed => Status::Closed,
            State::Reconciled => Status::Reconciled,
            State::Instructed => Status::Instructed,
            State::Settled => Status::Settled,
            State::Broken => Status::Broken,
        };
        own == status
    }
}

#[derive(Clone, Debug, Default, Args)]
pub struct Filter {
    /// One network only
    #[arg(long)]
    pub network: Option<String>,
    /// One currency only
    #[arg(long, value_name = "CODE", value_parser = parse_currency)]
    pub currency: Option<Currency>,
}

impl Filter {
    pub fn takes(&self, network: &str, currency: Currency) -> bool {
        self.network.as_deref().is_none_or(|it| it == network)
            && self.currency.is_none_or(|it| it == currency)
    }
}

pub fn parse_currency(text: &str) -> Result<Currency, String> {
    Currency::parse(text).ok_or_else(|| format!("`{text}` is no currency; write it like CAD"))
}

const NAMES: &str = "A window is named NETWORK/CURRENCY/ and its cut-off in milliseconds since \
    1970, as `list` prints it and as the bank repeats it; or its business date, with #N for the \
    N-th cycle of that date; or its cut-off as a time.";

#[derive(Debug, Subcommand)]
pub enum WindowCommand {
    /// Windows with their state and money, newest last
    #[command(after_help = "Examples:\n  tapline window list\n  \
                            tapline window list --with-items --limit 0\n  \
                            tapline window list --network visa --currency CAD --state broken")]
    List {
        #[command(flatten)]
        filter: Filter,
        #[arg(long, value_enum)]
        state: Option<State>,
        /// Only windows that have items or owe something
        #[arg(long)]
        with_items: bool,
        /// The newest so many of each network and currency; 0: all
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One window: parts, totals, report, exceptions
    #[command(after_help = format!("Examples:\n  tapline window show visa/CAD/726105600000\n  \
                            tapline window show city/CAD/2026-11-21\n\n{NAMES}"))]
    Show { window: Name },
    /// Counts a window's ranges of the log again and compares totals and content hash
    #[command(after_help = format!("Example:\n  tapline window recompute city/CAD/2026-11-21\n\n\
                            Exit code 1: the log says otherwise; the first difference is told.\n\
                            {NAMES}"))]
    Recompute { window: Name },
    /// Proves from the log that the net of every settled window is exactly 0
    #[command(after_help = format!("Examples:\n  tapline window prove\n  \
                            tapline window prove city/CAD/2026-11-21 --output json\n\n\
                            For each window: its postings at `net`, what it took over from earlier \
                            ones, what exceptions moved and what was paid. Reads all of \
                            ledger.postings.v1 and settlement.windows.v1; needs no Cassandra.\n\
                            Exit code 1: a settled window leaves something, or a closed one has \
                            other postings than it says.\n{NAMES}"))]
    Prove {
        window: Option<Name>,
        #[command(flatten)]
        filter: Filter,
    },
}

pub fn run(common: &Common, command: WindowCommand) -> i32 {
    let config = match common.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let done = match command {
        WindowCommand::List { filter, state, with_items, limit } => {
            view::list(common, &config, &filter, (state, with_items), limit)
        }
        WindowCommand::Show { window } => view::show(common, &config, &window),
        WindowCommand::Recompute { window } => recompute::run(common, &config, &window),
        WindowCommand::Prove { window, filter } => {
            prove::run(common, &config, window.as_ref(), &filter)
        }
    };
    done.err().unwrap_or(EXIT_DONE)
}

/// A window as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub network: String,
    pub currency: Currency,
    pub cycle: CycleName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CycleName {
    /// Cut-off, milliseconds since 1970.
    Cutoff(i64),
    /// Days since 1970, and from 1 within the date.
    Business(i32, i32),
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (rest, cycle) = text.rsplit_once('/')?;
            let (network, currency) = rest.rsplit_once('/')?;
            Some((network.to_owned(), Currency::parse(currency)?, parse_cycle(cycle)?))
        };
        let (network, currency, cycle) = parts().ok_or_else(|| {
            format!("`{text}` is no window; write NETWORK/CURRENCY/2026-11-21, or as `list` does")
        })?;
        Ok(Self { network, currency, cycle })
    }
}

fn parse_cycle(text: &str) -> Option<CycleName> {
    if let Ok(cutoff) = text.parse() {
        return Some(CycleName::Cutoff(cutoff));
    }
    let (date, number) = text.split_once('#').unwrap_or((text, "1"));
    match Day::parse(date) {
        Some(day) => number.parse().ok().map(|number| CycleName::Business(day.0, number)),
        None => parse_time(text).ok().map(CycleName::Cutoff),
    }
}

impl Name {
    fn is(&self, window: &Window) -> bool {
        match self.cycle {
            CycleName::Cutoff(cutoff) => window.cycle.cutoff.0 == cutoff,
            CycleName::Business(day, number) => {
                (window.cycle.business_date, window.cycle.number) == (day, number)
            }
        }
    }
}

/// The window with its book. Errors: exit code 1 where there is none.
fn find(config: &Config, name: &Name) -> Result<(Book, Window), i32> {
    let book = block_on(async {
        let books = Books::open(config).await?;
        books.one(&name.network, name.currency).await
    })??;
    let Some(book) = book else {
        return Err(not_found(&format!(
            "no window of {}/{} is stored; `tapline window list` shows those that are",
            name.network, name.currency
        )));
    };
    let found: Vec<Window> = book.windows.iter().filter(|it| name.is(it)).cloned().collect();
    match found.as_slice() {
        [window] => Ok((book, window.clone())),
        [] => Err(not_found("no such window; `tapline window list` shows those that are stored")),
        _ => {
            say("more than one window has that business date; name it by its cut-off");
            Err(EXIT_USAGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::books::tests::window;

    /// Goal: every way to name a window is understood, anything else refused. Method: a table.
    #[test]
    fn names() {
        for (text, network, cycle) in [
            ("visa/CAD/726105600000", "visa", CycleName::Cutoff(726_105_600_000)),
            ("a/b/CAD/5", "a/b", CycleName::Cutoff(5)),
            ("visa/CAD/1970-01-03", "visa", CycleName::Business(2, 1)),
            ("visa/CAD/1970-01-03#4", "visa", CycleName::Business(2, 4)),
            ("visa/CAD/1970-01-01T00:00:05Z", "visa", CycleName::Cutoff(5_000)),
        ] {
            let currency = Currency::parse("CAD").expect("a code");
            let name = Name { network: network.to_owned(), currency, cycle };
            assert_eq!(text.parse(), Ok(name), "{text}");
        }
        for text in ["", "visa", "visa/CAD", "visa/cad/5", "visa/CAD/", "visa/CAD/1970-02-30"] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }

    /// Goal: a name picks its window. Method: one window, names that fit and that do not.
    #[test]
    fn picked() {
        let window = window(5_000, Status::Open);
        for (text, fits) in
            [("v/CAD/5000", true), ("v/CAD/1970-01-01", true), ("v/CAD/1970-01-01#2", false)]
        {
            assert_eq!(text.parse::<Name>().expect("a name").is(&window), fits, "{text}");
        }
    }
}
