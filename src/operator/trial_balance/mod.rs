//! `tapline trial-balance`: every address of the ledger, per currency, as of a position.
//!
//! Owns what is printed; the reading is `ledger_logs`'s, the arithmetic `sums`'s. Currencies are
//! never added to each other.

mod sums;

use super::{
    account::word, amounts::money, cli::Common, ledger_logs::LedgerLogs, moments::utc, print,
};
use crate::config::Config;
use crate::domain::{cycle::Day, time::DAY_MS};
use crate::worker::{EXIT_BAD, EXIT_DONE};
use clap::Args;
use serde::Serialize;
use std::{collections::BTreeMap, str::FromStr};
use sums::{Balance, Cut, Summed, Sums, SuspenseProof};

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tapline trial-balance\n  \
    tapline trial-balance --day 1993-12-31\n  \
    tapline trial-balance --at 0:120000,1:118500,2:121044,3:119310 --output json\n\n\
    Adds up all legs of ledger.postings.v1 and of the decisions in settlement.windows.v1; credit is \
    positive. Two things are checked: each currency sums to 0, and suspense is what the open \
    exceptions and the items that no window has yet come to.\n\
    With --day or --at decisions count that were made about what lies before that point.\n\
    Exit code 1: a sum is not 0, or suspense is not explained.")]
pub struct TrialBalanceArgs {
    /// Offsets of ledger.postings.v1, one for each partition: everything below them counts; a
    /// partition that is not named counts whole
    #[arg(long, value_name = "PARTITION:OFFSET,...", conflicts_with = "day")]
    pub at: Option<Positions>,
    /// Up to the end of this day of the log's clock, UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_day)]
    pub day: Option<Day>,
}

pub fn parse_day(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| format!("`{text}` is no day; write it like 2026-11-22"))
}

/// An offset for each partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions(pub BTreeMap<i32, i64>);

impl FromStr for Positions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let position = |part: &str| {
            let (partition, offset) = part.trim().split_once(':')?;
            let position: (i32, i64) = (partition.parse().ok()?, offset.parse().ok()?);
            (position.0 >= 0 && position.1 >= 0).then_some(position)
        };
        let positions: Option<Vec<(i32, i64)>> = text.split(',').map(position).collect();
        let wrong = || format!("`{text}` is no position; write it like 0:1200,1:980");
        let positions = positions.ok_or_else(wrong)?;
        let by_partition: BTreeMap<i32, i64> = positions.iter().copied().collect();
        if by_partition.len() == positions.len() { Ok(Self(by_partition)) } else { Err(wrong()) }
    }
}

pub fn run(common: &Common, args: &TrialBalanceArgs) -> i32 {
    let balanced = || -> Result<(), i32> {
        let config = common.load()?;
        let cut = match (&args.at, args.day) {
            (Some(positions), _) => Cut::Below(positions.0.clone()),
            (None, Some(day)) => Cut::Before((i64::from(day.0) + 1) * DAY_MS),
            (None, None) => Cut::Now,
        };
        let balance = TrialBalance::of(read(common, &config, cut)?);
        print::document(common.output, &balance, || balance.shown());
        if balance.summed.differences.is_empty() { Ok(()) } else { Err(EXIT_BAD) }
    };
    balanced().err().unwrap_or(EXIT_DONE)
}

fn read(common: &Common, config: &Config, cut: Cut) -> Result<Summed, i32> {
    let mut logs = LedgerLogs::open(config, "adding up", common.no_progress)?;
    let mut sums = Sums::new(cut);
    logs.postings(|output| {
        let event = output.source.map(|id| (id.source.partition, id.source.offset));
        sums.take_set((output.partition, output.offset), event, &output.value);
    })?;
    logs.decisions(|output| sums.take_event(&output.value))?;
    logs.finish();
    Ok(sums.finish())
}

#[derive(Clone, Debug, Serialize)]
struct TrialBalance {
    /// What came before this log time counts; absent: everything.
    before: Option<String>,
    #[serde(flatten)]
    summed: Summed,
}

impl TrialBalance {
    fn of(summed: Summed) -> Self {
        Self { before: summed.before_ms.map(utc), summed }
    }

    fn shown(&self) -> String {
        let columns = [
            print::text("currency", &|it: &Balance| it.currency.to_string()),
            print::text("address", &|it: &Balance| word(&it.address)),
            print::number("balance", &|it: &Balance| money(it.minor, it.currency)),
        ];
        let mut text = match &self.before {
            Some(before) => format!("before {before}\n"),
            None => String::new(),
        };
        text += &format!("{}\n", print::table(&self.summed.balances, &columns));
        for (currency, minor) in &self.summed.sums_minor {
            text += &format!("sum {:>28}\n", money(*minor, *currency));
        }
        let columns = [
            print::text("currency", &|it: &SuspenseProof| it.currency.to_string()),
            print::number("in suspense", &|it: &SuspenseProof| money(it.ledger_minor, it.currency)),
            print::number("open exceptions", &|it: &SuspenseProof| {
                money(it.exceptions_minor, it.currency)
            }),
            print::number("in no window yet", &|it: &SuspenseProof| {
                money(it.unsealed_minor, it.currency)
            }),
        ];
        if !self.summed.suspense.is_empty() {
            text += &format!("\n{}\n", print::table(&self.summed.suspense, &columns));
        }
        for difference in &self.summed.differences {
            text += &format!("WRONG: {difference}\n");
        }
        if self.summed.differences.is_empty() {
            text += "every currency sums to 0; suspense is explained";
        }
        text.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: positions are read whole or refused. Method: a table.
    #[test]
    fn positions() {
        let of = |pairs: &[(i32, i64)]| Ok(Positions(pairs.iter().copied().collect()));
        assert_eq!("0:12".parse(), of(&[(0, 12)]));
        assert_eq!("1:0, 0:12".parse(), of(&[(0, 12), (1, 0)]));
        for text in ["", "0", "0:", "0:-1", "-1:3", "0:1,0:2", "0:1,", "a:1"] {
            assert!(text.parse::<Positions>().is_err(), "{text}");
        }
    }
}
