//! The tests with servers: one Kafka, one Cassandra, real workers as processes, real faults.
//!
//! Owns the order of the cases, their report in the words of cargo's own, and the exit code. It
//! starts the servers once, gives each case names of its own and stops everything at the end.
//! `TAPTEST_REAL=0` leaves it out and says so; without Docker and JDK it fails with a message that
//! names this switch. `TAPTEST_SIZE=quick|ci|night` says how much, `TAPTEST_SEED` repeats a run's
//! draws, `TAPTEST_KAFKA` and `TAPTEST_CASSANDRA` name servers that run already.

#[path = "real/asked.rs"]
mod asked;
#[path = "real/clearing.rs"]
mod clearing;
#[path = "real/commands.rs"]
mod commands;
#[path = "real/feed.rs"]
mod feed;
#[path = "real/garbage.rs"]
mod garbage;
#[path = "real/ground.rs"]
mod ground;
#[path = "real/halts.rs"]
mod halts;
#[path = "real/kafka.rs"]
mod kafka;
#[path = "real/kills.rs"]
mod kills;
#[path = "real/ledger.rs"]
mod ledger;
#[path = "real/load.rs"]
mod load;
#[path = "real/money.rs"]
mod money;
#[path = "real/outage.rs"]
mod outage;
#[path = "real/played.rs"]
mod played;
#[path = "real/pushes.rs"]
mod pushes;
#[path = "real/refusals.rs"]
mod refusals;
#[path = "real/rules.rs"]
mod rules;
#[path = "real/settlement_kills.rs"]
mod settlement_kills;
#[path = "real/store.rs"]
mod store;
#[path = "real/told.rs"]
mod told;
#[path = "real/watch.rs"]
mod watch;
#[path = "real/writing.rs"]
mod writing;

use ground::{Ground, Size};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

/// What cargo's own harness ends with when a test failed.
const EXIT_FAILED: u8 = 101;

struct Case {
    name: &'static str,
    run: fn(&Ground),
}

/// Kills last: whatever they leave behind harms nobody.
const CASES: &[Case] = &[
    Case { name: "real::kafka", run: kafka::adapters },
    Case { name: "real::store", run: store::adapters },
    Case { name: "real::played", run: played::real_data_twice },
    Case { name: "real::rules", run: rules::activated_by_a_tick },
    Case { name: "real::garbage", run: garbage::ends_in_exactly_one_place },
    Case { name: "real::schema", run: halts::unknown_schema },
    Case { name: "real::fuse", run: halts::fuse },
    Case { name: "real::refusals", run: refusals::at_start },
    Case { name: "real::unreachable", run: refusals::unreachable },
    Case { name: "real::clearing", run: clearing::file_to_settled },
    Case { name: "real::closing", run: clearing::closing_beside_presentments },
    Case { name: "real::commands", run: commands::of_settlement },
    Case { name: "real::feed", run: feed::shown_to_the_audience },
    Case { name: "real::sigterm", run: kills::sigterm },
    Case { name: "real::kill", run: kills::kill },
    Case { name: "real::settlement", run: settlement_kills::killed_at_seals_and_cutoffs },
    Case { name: "real::pushes", run: pushes::killed_between_send_and_outcome },
];

/// Minutes of real time for what the simulations do in every run: only by name.
const ON_DEMAND: &[Case] = &[Case { name: "real::outage", run: outage::of_a_minute }];

/// Names that are wanted, names that are not, and whether they must be whole.
#[derive(Default)]
struct Filter {
    wanted: Vec<String>,
    skipped: Vec<String>,
    is_exact: bool,
    is_list: bool,
    only_ignored: bool,
}

impl Filter {
    /// The flags of cargo's own harness that mean something here; the others are passed over.
    fn of_arguments(arguments: impl Iterator<Item = String>) -> Self {
        let mut filter = Self::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => filter.is_exact = true,
                "--list" => filter.is_list = true,
                "--ignored" => filter.only_ignored = true,
                "--skip" => filter.skipped.extend(arguments.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                    drop(arguments.next());
                }
                flag if flag.starts_with('-') => {}
                name => filter.wanted.push(name.to_owned()),
            }
        }
        filter
    }

    fn takes(&self, case: &Case) -> bool {
        let is_like = |text: &String| match self.is_exact {
            true => case.name == text,
            false => case.name.contains(text.as_str()),
        };
        !self.only_ignored
            && (self.wanted.is_empty() || self.wanted.iter().any(is_like))
            && !self.skipped.iter().any(is_like)
    }
}

fn main() -> ExitCode {
    tapline::codec::init();
    let begun = Instant::now();
    let filter = Filter::of_arguments(std::env::args().skip(1));
    let asked_for = ON_DEMAND.iter().filter(|_| filter.is_list || !filter.wanted.is_empty());
    let chosen: Vec<&Case> =
        CASES.iter().chain(asked_for).filter(|case| filter.takes(case)).collect();
    let out = CASES.len() + ON_DEMAND.len() - chosen.len();
    if filter.is_list {
        chosen.iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    if std::env::var("TAPTEST_REAL").as_deref() == Ok("0") {
        println!("\nrunning 1 test");
        println!("test real ... ignored, LEFT OUT: the real-server tests (TAPTEST_REAL=0)");
        return closing(0, 0, 1, 0, begun);
    }
    println!("\nrunning {} tests", chosen.len());
    for case in ON_DEMAND.iter().filter(|_| filter.wanted.is_empty()) {
        println!(
            "left out, as it takes minutes: cargo test --release --test real -- {}",
            case.name
        );
    }
    if chosen.is_empty() {
        return closing(0, 0, 0, out, begun);
    }
    let seed = std::env::var("TAPTEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    let ground = match Size::of_environment().and_then(|size| Ground::prepare(size, seed)) {
        Ok(ground) => ground,
        Err(reason) => {
            eprintln!("{reason}");
            return closing(0, chosen.len(), 0, out, begun);
        }
    };
    let failed: Vec<&str> =
        chosen.iter().filter(|case| !run(case, &ground)).map(|case| case.name).collect();
    if !failed.is_empty() {
        println!("\nfailures:");
        for name in &failed {
            println!("    {name}");
            println!("{}", ground.last_words(name.trim_start_matches("real::")));
            println!("    again: TAPTEST_SEED={seed} cargo test --release --test real -- {name}");
        }
    }
    ground.leave();
    closing(chosen.len() - failed.len(), failed.len(), 0, out, begun)
}

fn run(case: &Case, ground: &Ground) -> bool {
    let begun = Instant::now();
    let is_ok = catch_unwind(AssertUnwindSafe(|| (case.run)(ground))).is_ok();
    let word = if is_ok { "ok" } else { "FAILED" };
    println!("test {} ... {word} ({:.1} s)", case.name, begun.elapsed().as_secs_f64());
    is_ok
}

/// The line that cargo's own harness ends with.
fn closing(passed: usize, failed: usize, ignored: usize, out: usize, begun: Instant) -> ExitCode {
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; \
         {out} filtered out; finished in {:.2} s\n",
        begun.elapsed().as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }
}
