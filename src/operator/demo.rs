//! `tapline demo`: real data through real servers, checked to the cent.
//!
//! Owns the whole first experience: servers up, topics and tables made under names of this run,
//! workers started as children, a bank's year and a city's card payments played, the publishers' own
//! figures compared with events and ledger, everything stopped. Without Docker and Java the same runs in memory, and says so.

use super::{
    cli::Common, connect, demo_feed, demo_ledger, demo_phones::Phones, demo_tail::FeedTail,
    memory_demo, stacks,
};
use crate::config::Config;
use crate::console::print::{self, say};
use crate::load::{
    heads,
    play::{self, Pace, Played},
    workers::{Start, Worker},
};
use crate::producer::{Folder, oracle::OracleLine};
use crate::runtime::telemetry;
use crate::stack::{self, Lifetime, Options};
use crate::worker::{EXIT_BAD, EXIT_DONE, EXIT_FAILED, EXIT_REFUSED};
use clap::Args;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What the demo's workers run.
const STAGES: [&str; 5] = ["authorisation", "posting", "windows", "feed", "push"];

/// Where the first worker serves the feed's page, if nobody else does.
const PAGE: &str = "127.0.0.1:8080";

#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  tapline demo\n  tapline demo --keep        leaves the servers running, to look around\n  \
                        tapline demo --data FOLDER --data OTHER   other months, other years, of the same forms"
)]
pub struct DemoArgs {
    /// Folder of data files to play instead of the bank's year and the city's months (repeatable)
    #[arg(long, value_name = "FOLDER")]
    pub data: Vec<PathBuf>,
    /// Leave the servers running afterwards
    #[arg(long)]
    pub keep: bool,
    /// Days of the data per second, or `max`
    #[arg(long, default_value = "max", value_parser = parse_speed)]
    pub speed: Speed,
    /// Workers that share the partitions
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub workers: u32,
    /// In memory, without any server
    #[arg(long)]
    pub memory: bool,
    /// Folder of the demo's servers
    #[arg(long, value_name = "FOLDER", default_value = ".tapline/demo")]
    pub home: PathBuf,
}

/// Days of the data per second; `None`: as fast as answers come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(pub Option<f64>);

pub fn parse_speed(text: &str) -> Result<Speed, String> {
    match text {
        "max" => Ok(Speed(None)),
        text => match text.parse::<f64>() {
            Ok(days) if days > 0.0 && days.is_finite() => Ok(Speed(Some(days))),
            _ => Err("write `max` or days per second, such as 2".to_owned()),
        },
    }
}

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

pub fn run(common: &Common, args: DemoArgs) -> i32 {
    let mut common = common.clone();
    let config = match common.load_quietly() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let folders = match read_folders(&args.data) {
        Ok(folders) => folders,
        Err(reason) => {
            say(&reason);
            return EXIT_REFUSED;
        }
    };
    let in_memory = args.memory
        || match stack::possible() {
            Ok(_) => false,
            Err(missing) => {
                say(&format!(
                    "{missing}\nNo servers here: playing IN MEMORY, which shows the rules but proves nothing about Kafka and Cassandra."
                ));
                true
            }
        };
    let played = match in_memory {
        true => memory_demo::play(&folders, common.no_progress),
        false => on_servers(&common, &args, &config, &folders),
    };
    match played {
        Ok(played) => conclude(&common, &played, in_memory),
        Err(code) => code,
    }
}

/// Where the project's data lies: beside us, or where the program was built.
pub fn data_root() -> PathBuf {
    let beside = Path::new("data");
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    if beside.join("berka").is_dir() { beside.to_owned() } else { built }
}

/// The folders that were named, else the data that the project brings.
fn read_folders(named: &[PathBuf]) -> Result<Vec<Folder>, String> {
    let paths = match named.is_empty() {
        false => named.to_vec(),
        true => {
            let root = data_root();
            vec![root.join("berka"), root.join("toronto-pcard")]
        }
    };
    paths.iter().map(|path| Folder::read(path).map_err(|error| error.to_string())).collect()
}

fn on_servers(
    common: &Common,
    args: &DemoArgs,
    config: &Config,
    folders: &[Folder],
) -> Result<Vec<Played>, i32> {
    let options = Options {
        home: args.home.clone(),
        platform: None,
        lifetime: if args.keep { Lifetime::Detached } else { Lifetime::WithParent },
        kafka_port: None,
        cassandra_port: None,
    };
    let stack = stacks::start(&options, config)?;
    let own = own_names(common, "demo");
    let config = stacks::local_config(&own, stack.endpoints())?;
    let played = on_stack(&config, args, folders, common.no_progress);
    if args.keep {
        say_how_to_look(&config, &args.home);
    } else if let Err(error) = stack.down() {
        say(&error.to_string());
    }
    played
}

/// Topics, groups and tables of this run alone, so that a second run starts from nothing.
pub fn own_names(common: &Common, what: &str) -> Common {
    let run = format!("{what}{}", telemetry::now_ms() / 1_000);
    let mut own = common.clone();
    own.settings.extend([
        ("kafka.topic_prefix".to_owned(), format!("{run}.")),
        ("kafka.group_prefix".to_owned(), format!("{run}.")),
        ("cassandra.keyspace".to_owned(), run),
    ]);
    own
}

fn on_stack(
    config: &Config,
    args: &DemoArgs,
    folders: &[Folder],
    no_bars: bool,
) -> Result<Vec<Played>, i32> {
    say("making tables, topics and rules");
    stacks::make_installation(config)?;
    let phones = Phones::start(&args.home.join("gateway"), folders)?;
    phones.register(config)?;
    say(&format!("starting {} workers, {} phones", args.workers, phones.count()));
    let mut workers = start_workers(config, args, &phones)?;
    wait_for_owners(config, &mut workers);
    if let Some(page) = workers[0].page() {
        say(&format!(
            "the feed's page: http://{page}/ (while the demo plays; with --keep it stays)"
        ));
    }
    let tail = FeedTail::start(config);
    let pace = Pace { days_per_second: args.speed.0, no_bars, ..Pace::default() };
    let played = play::play(config, folders, pace);
    if played.is_ok() {
        // What is missing shows in the verdict too.
        let awaited = demo_ledger::await_windows(config, folders, &mut workers, no_bars);
        awaited.unwrap_or_else(|missing| say(&missing));
        let told = demo_feed::await_told(config, &mut workers, no_bars);
        told.unwrap_or_else(|missing| say(&missing));
    }
    tail.stop();
    let stopped = stop_workers(&mut workers);
    let mut played = played.map_err(|reason| {
        let logs: Vec<String> = workers.iter().map(|worker| worker.last_lines(5)).collect();
        say(&format!("{reason}\n{}", logs.join("\n")));
        EXIT_FAILED
    })?;
    stopped?;
    compare_heads(config, &mut played)?;
    demo_ledger::judge(config, folders, &mut played)?;
    demo_feed::judge(config, &phones, folders, &mut played)?;
    demo_feed::show_last(&phones);
    phones.stop();
    Ok(played)
}

fn start_workers(config: &Config, args: &DemoArgs, phones: &Phones) -> Result<Vec<Worker>, i32> {
    let failed = |error: std::io::Error| {
        say(&format!("a worker could not be started: {error}"));
        EXIT_FAILED
    };
    let mut workers = Vec::new();
    for number in 1..=args.workers {
        let log = args.home.join(format!("worker-{number}.log"));
        let start = Start::of(config, &log).map_err(failed)?.with("runtime.ticks", "off");
        let start = phones.lead(start.with("worker.stages", STAGES.join(",")));
        let start = if number == 1 { start.with("api.listen", page()) } else { start };
        workers.push(start.spawn().map_err(failed)?);
    }
    Ok(workers)
}

/// The usual address of the page, or a free one where that is taken.
fn page() -> &'static str {
    if std::net::TcpListener::bind(PAGE).is_ok() { PAGE } else { "127.0.0.1:0" }
}

/// Waits until every partition of every stage has an owner that has loaded it, so that the figures are not those of
/// the start. What is wrong with a worker shows itself when the play gets no answers.
fn wait_for_owners(config: &Config, workers: &mut [Worker]) {
    let deadline_ms = telemetry::steady_ms() + 60_000;
    while telemetry::steady_ms() < deadline_ms {
        let owned: usize = workers.iter_mut().map(Worker::owned).sum();
        let partitions = config.kafka.partitions as usize * STAGES.len();
        if owned >= partitions && workers.iter_mut().all(Worker::is_taking) {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn stop_workers(workers: &mut [Worker]) -> Result<(), i32> {
    for worker in workers.iter() {
        worker.signal("TERM");
    }
    for worker in workers {
        match worker.ends(Duration::from_secs(30)) {
            Some(status) if status.success() => {}
            _ => {
                say(&format!("a worker did not stop well:\n{}", worker.last_lines(5)));
                return Err(EXIT_FAILED);
            }
        }
    }
    Ok(())
}

/// At the end the heads in Cassandra must say what the last events said.
fn compare_heads(config: &Config, played: &mut [Played]) -> Result<(), i32> {
    let stored = connect::block_on(async {
        let session = Arc::new(connect::cassandra(config).await?);
        heads::booked_minor(config, session).await.map_err(|reason| {
            say(&reason);
            EXIT_FAILED
        })
    })??;
    for one in played {
        let differing =
            one.booked_minor.iter().filter(|(id, minor)| stored.get(*id) != Some(*minor)).count();
        let same = one.booked_minor.len() - differing;
        one.verdict.push(OracleLine::equal(
            "accounts whose head in Cassandra equals their last event",
            one.booked_minor.len(),
            same,
        ));
    }
    Ok(())
}

fn say_how_to_look(config: &Config, home: &Path) {
    say(&format!(
        "The servers keep running. To look around:\n  eval \"$(tapline stack env --home {})\"\n  \
         export TAPLINE_KAFKA__TOPIC_PREFIX={} TAPLINE_KAFKA__GROUP_PREFIX={} TAPLINE_CASSANDRA__KEYSPACE={}\n  \
         tapline account show bank-1787\n  tapline topics peek payments.events.v1 --limit 3\n  \
         tapline stack down --home {}",
        home.display(),
        config.kafka.topic_prefix,
        config.kafka.group_prefix,
        config.cassandra.keyspace,
        home.display()
    ));
}

/// Prints the tables; exit code 1 where anything differs.
pub fn conclude(common: &Common, played: &[Played], in_memory: bool) -> i32 {
    let lines: Vec<Line> = played.iter().map(line_of).collect();
    match common.output {
        print::Output::Text => show(&lines, in_memory),
        _ => print::rows(common.output, &lines, &[]),
    }
    match lines.iter().all(|line| line.is_right) {
        true => EXIT_DONE,
        false => {
            say("MISMATCH: see the lines marked NO");
            EXIT_BAD
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

fn show(lines: &[Line], in_memory: bool) {
    let place =
        if in_memory { "the in-memory log and store" } else { "a real Kafka and Cassandra" };
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
    println!("played on {place}");
}

pub fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "NO" }.to_owned()
}
