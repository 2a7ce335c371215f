//! The load: which commands are sent, in which order, and what must come back.
//!
//! Owns the reading of real files (`bank`, `city`, `council`), the synthetic taps (`cards`), and
//! the judges of the result (`oracle`, `tally`). Sends nothing and reads no clock: whoever holds
//! the connection paces the plan. All ids of real data come from the data, so playing a folder
//! twice has no effect. Rules: docs/payments.md, "Real data".

pub mod amount;
pub mod authorise_only;
pub mod bank;
pub mod bank_days;
pub mod books;
pub mod card_rows;
pub mod cards;
pub mod city;
pub mod council;
pub mod crowd;
pub mod dated;
pub mod day_order;
pub mod feed_oracle;
pub mod ledger_oracle;
pub mod life;
pub mod oracle;
pub mod samples;
pub mod table;
pub mod tally;

use dated::Play;
use feed_oracle::FeedOracle;
use ledger_oracle::{Closing, Expected, LedgerOracle};
use oracle::Judge;
use std::path::{Path, PathBuf};
use table::FileError;

/// A folder of real files, recognised by what lies in it.
pub enum Folder {
    Bank(bank::Bank),
    City(city::City),
    Council(council::Council),
}

impl Folder {
    /// `bank` if account.asc is there, `city` if pcard-*.csv is, `council` if
    /// purchase-card-*.csv is; in this order.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        if folder.join(bank::ACCOUNTS).is_file() {
            return Ok(Self::Bank(bank::Bank::read(folder)?));
        }
        if !files(folder, city::PREFIX, ".csv")?.is_empty() {
            return Ok(Self::City(city::City::read(folder)?));
        }
        if !files(folder, council::PREFIX, ".csv")?.is_empty() {
            return Ok(Self::Council(council::Council::read(folder)?));
        }
        Err(FileError::of_file(
            folder,
            "holds no known data: neither account.asc nor pcard-*.csv nor purchase-card-*.csv",
        ))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Bank(_) => "bank",
            Self::City(_) => "city",
            Self::Council(_) => "council",
        }
    }

    pub fn play(&self) -> Play {
        match self {
            Self::Bank(bank) => bank.play(),
            Self::City(city) => city.play(),
            Self::Council(council) => council.play(),
        }
    }

    /// Whoever judges what became of the play. A council publishes no balances: its judge is the
    /// tally of what was sent.
    pub fn judge(&self) -> Box<dyn Judge + Send> {
        match self {
            Self::Bank(bank) => Box::new(bank.oracle()),
            Self::City(city) => Box::new(city.oracle()),
            Self::Council(council) => Box::new(council.tally()),
        }
    }

    /// Whoever judges what the feed made of the play.
    pub fn feed_oracle(&self) -> FeedOracle {
        FeedOracle::new(self.name())
    }

    /// Whoever judges what posting and windows made of the play. `partitions`: of the ledger.
    pub fn ledger_oracle(&self, partitions: usize) -> LedgerOracle {
        let (currency, cleared_minor, closings) = match self {
            Self::Bank(bank) => {
                (bank.currency(), bank.cleared_minor(), Closing::all_of(bank.days()))
            }
            Self::City(city) => {
                let firsts = city.deliveries().filter(|(_, _, is_repeated)| !is_repeated);
                let cleared = firsts.map(|(_, payment, _)| payment.amount_minor);
                (city.currency, cleared.sum(), Vec::new())
            }
            Self::Council(council) => {
                let cleared = council.payments.iter().map(|payment| payment.amount_minor);
                (council.currency, cleared.sum(), Vec::new())
            }
        };
        let (name, (first, last)) = (self.name(), self.play().days());
        let expected = Expected { name, currency, first, last, cleared_minor, closings };
        LedgerOracle::new(expected, partitions)
    }
}

/// The files of `folder` named `<prefix>...<suffix>`, ascending by name: for months and years that
/// is the order of time.
fn files(folder: &Path, prefix: &str, suffix: &str) -> Result<Vec<PathBuf>, FileError> {
    let refused = |error: std::io::Error| FileError::of_file(folder, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        let name = table::file_name(&path);
        if name.starts_with(prefix) && name.ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
pub(crate) mod fold;
#[cfg(test)]
mod ledger_oracle_tests;
#[cfg(test)]
mod real_files;
#[cfg(test)]
mod small_folders;
#[cfg(test)]
mod tally_tests;
