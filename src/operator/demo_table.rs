//! The closing tables of a play: what was played, how fast, and every check of it.
//!
//! Owns their forms and the exit code that follows from them. Judges nothing: every line was judged
//! by whoever wrote it.

use super::{
    cli::Common,
    print::{self, say},
};
use crate::load::play::Played;
use crate::producer::oracle::OracleLine;
use crate::worker::{EXIT_BAD, EXIT_DONE, EXIT_FAILED};
use serde::Serialize;

/// One line of the closing table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    pub data: String,
    pub days: String,
    pub commands_in: u64,
    pub decisions_out: u64,
    pub accounts: usize,
    pub commands_per_second: f64,
    pub latency_p50_ms: f64,
    pub latency_p99_ms: f64,
    pub is_right: bool,
    pub verdict: Vec<Verdict>,
}

/// On what was played, and how it bore that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Memory,
    /// `restarts`: workers that died and were started again.
    Servers {
        restarts: u32,
        is_well_stopped: bool,
    },
}

impl Place {
    /// Servers, with workers that somebody else starts and stops.
    pub const SERVERS: Self = Self::Servers { restarts: 0, is_well_stopped: true };
}

#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    pub check: String,
    pub expected: String,
    pub found: String,
    pub ok: bool,
}

impl From<&OracleLine> for Verdict {
    fn from(line: &OracleLine) -> Self {
        Self {
            check: line.name.clone(),
            expected: line.expected.clone(),
            found: line.found.clone(),
            ok: line.ok,
        }
    }
}

/// Prints the tables; exit code 1 where anything differs, 3 where nothing does and a worker did not
/// stop by itself.
pub fn conclude(common: &Common, played: &[Played], place: Place) -> i32 {
    let lines: Vec<Line> = played.iter().map(line_of).collect();
    match common.output {
        print::Output::Text => show(&lines, place),
        _ => {
            print::rows(common.output, &lines, &[]);
            restarted(place).iter().for_each(|line| say(line));
        }
    }
    if !lines.iter().all(|line| line.is_right) {
        say("MISMATCH: see the lines marked NO");
        return EXIT_BAD;
    }
    match place {
        Place::Memory | Place::Servers { is_well_stopped: true, .. } => EXIT_DONE,
        Place::Servers { is_well_stopped: false, .. } => EXIT_FAILED,
    }
}

/// The line about workers that were started again, where there were any.
fn restarted(place: Place) -> Option<String> {
    match place {
        Place::Memory | Place::Servers { restarts: 0, .. } => None,
        Place::Servers { restarts, .. } => {
            Some(format!("workers that died and were started again: {restarts}"))
        }
    }
}

fn line_of(played: &Played) -> Line {
    Line {
        data: played.name.to_owned(),
        days: played.days.clone(),
        commands_in: played.commands,
        decisions_out: played.decisions,
        accounts: played.booked_minor.len(),
        commands_per_second: played.commands as f64 / played.seconds.max(1e-9),
        latency_p50_ms: played.latency.p50_ms,
        latency_p99_ms: played.latency.p99_ms,
        is_right: played.is_right(),
        verdict: played.verdict.iter().map(Verdict::from).collect(),
    }
}

fn show(lines: &[Line], place: Place) {
    println!(
        "{}",
        print::table(
            lines,
            &[
                print::text("data", &|line: &Line| line.data.clone()),
                print::text("days", &|line: &Line| line.days.clone()),
                print::number("commands in", &|line: &Line| line.commands_in.to_string()),
                print::number("decisions out", &|line: &Line| line.decisions_out.to_string()),
                print::number("accounts", &|line: &Line| line.accounts.to_string()),
                print::number("commands/s", &|line: &Line| format!(
                    "{:.0}",
                    line.commands_per_second
                )),
                print::number("p50 ms", &|line: &Line| format!("{:.1}", line.latency_p50_ms)),
                print::number("p99 ms", &|line: &Line| format!("{:.1}", line.latency_p99_ms)),
                print::text("right", &|line: &Line| yes(line.is_right)),
            ],
        )
    );
    let checks: Vec<(String, Verdict)> = lines
        .iter()
        .flat_map(|line| line.verdict.iter().map(|it| (line.data.clone(), it.clone())))
        .collect();
    type Check = (String, Verdict);
    println!(
        "{}",
        print::table(
            &checks,
            &[
                print::text("data", &|check: &Check| check.0.clone()),
                print::text("check", &|check: &Check| check.1.check.clone()),
                print::number("expected", &|check: &Check| check.1.expected.clone()),
                print::number("found", &|check: &Check| check.1.found.clone()),
                print::text("ok", &|check: &Check| yes(check.1.ok)),
            ],
        )
    );
    restarted(place).iter().for_each(|line| println!("{line}"));
    let place = match place {
        Place::Memory => "the in-memory log and store",
        Place::Servers { .. } => "a real Kafka and Cassandra",
    };
    println!("played on {place}");
}

pub fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "NO" }.to_owned()
}
