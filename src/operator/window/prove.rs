//! `tapline window prove`: that the net of every settled window is exactly 0, from the log alone.
//!
//! Owns the order of reading and what is printed; the arithmetic is `proof`'s. The windows' topic
//! is read first: the ranges of its windows say which window a posting is in.

use super::{Filter, Name};
use crate::config::Config;
use crate::domain::ledger::Address;
use crate::operator::{
    amounts::{count, money},
    cli::Common,
    ledger_logs::LedgerLogs,
    print,
    proof::{Line, Proof},
    rows::not_found,
};
use crate::worker::EXIT_BAD;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
struct Proven {
    windows: Vec<Line>,
    settled: usize,
    differences: Vec<String>,
}

pub fn run(
    common: &Common,
    config: &Config,
    name: Option<&Name>,
    filter: &Filter,
) -> Result<(), i32> {
    let mut proof = read(common, config, filter)?;
    let mut windows = proof.finish();
    if let Some(name) = name {
        windows.retain(|line| line.is(name));
        if windows.is_empty() {
            return Err(not_found("no such window in settlement.windows.v1"));
        }
    }
    let differences: Vec<String> = windows.iter().filter_map(Line::difference).collect();
    let settled = windows.iter().filter(|line| line.is_settled()).count();
    let proven = Proven { windows, settled, differences };
    print::document(common.output, &proven, || proven.shown());
    if proven.differences.is_empty() { Ok(()) } else { Err(EXIT_BAD) }
}

fn read(common: &Common, config: &Config, filter: &Filter) -> Result<Proof, i32> {
    let mut logs = LedgerLogs::open(config, "proving", common.no_progress)?;
    let mut proof = Proof::default();
    logs.decisions(|output| {
        let event = output.value;
        if filter.takes(&event.network, event.currency) {
            proof.take_event(&event);
        }
    })?;
    logs.postings(|output| {
        let (set, Some(id)) = (output.value, output.source) else { return };
        for leg in set.legs.iter().filter(|leg| leg.address == Address::Net) {
            if filter.takes(&set.network, leg.currency) {
                proof.take_leg(&set.network, id.source.partition, id.source.offset, leg);
            }
        }
    })?;
    logs.finish();
    Ok(proof)
}

fn shown(line: &Line, minor: i64) -> String {
    money(minor, line.currency)
}

impl Proven {
    fn shown(&self) -> String {
        let columns = [
            print::text("window", &|it: &Line| it.window.clone()),
            print::text("state", &|it: &Line| it.state.to_owned()),
            print::number("postings", &|it: &Line| shown(it, it.posted_minor)),
            print::number("from earlier", &|it: &Line| shown(it, it.carried_minor)),
            print::number("exceptions", &|it: &Line| shown(it, it.moved_minor)),
            print::number("paid", &|it: &Line| shown(it, it.paid_minor)),
            print::number("left", &|it: &Line| shown(it, it.left_minor)),
            print::text("proof", &|it: &Line| match it.difference() {
                Some(_) => "BROKEN".to_owned(),
                None if it.is_settled() => "net is 0".to_owned(),
                None => "-".to_owned(),
            }),
        ];
        let moved = |line: &&Line| self.windows.len() == 1 || !line.is_idle();
        let moved: Vec<Line> = self.windows.iter().filter(moved).cloned().collect();
        let mut text = format!("{}\n", print::table(&moved, &columns));
        if moved.len() < self.windows.len() {
            text += &format!("and {} in which nothing moved\n", self.windows.len() - moved.len());
        }
        for difference in &self.differences {
            text += &format!("BROKEN: {difference}\n");
        }
        let settled = count(i64::try_from(self.settled).unwrap_or(i64::MAX));
        text + &match self.differences.is_empty() {
            true => format!("settled windows: {settled}, the net of each is exactly 0"),
            false => format!("settled windows: {settled}; see above"),
        }
    }
}
