//! `tapline demo`: real data through real servers, checked to the cent.
//!
//! Owns the whole first experience: servers up, topics and tables made under names of this run,
//! workers started as children, and again when they die, a bank's year and a city's card payments
//! played, the publishers' own figures compared with events and ledger, everything stopped. Without
//! Docker and Java the same runs in memory, and says so.

use super::{
    cli::Common,
    connect, demo_feed, demo_ledger,
    demo_phones::Phones,
    demo_rest,
    demo_table::{Place, conclude},
    demo_tail::FeedTail,
    demo_workers, memory_demo, stacks,
};
use crate::config::Config;
use crate::console::print::say;
use crate::load::{
    crew::Crew,
    heads,
    play::{self, Pace, Played},
};
use crate::producer::{Folder, oracle::OracleLine};
use crate::runtime::telemetry;
use crate::stack::{self, Lifetime, Options};
use crate::worker::{EXIT_FAILED, EXIT_REFUSED};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

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

struct Performance {
    played: Vec<Played>,
    place: Place,
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
    let performance = match in_memory {
        true => memory_demo::play(&folders, common.no_progress)
            .map(|played| Performance { played, place: Place::Memory }),
        false => on_servers(&common, &args, &config, &folders),
    };
    match performance {
        Ok(Performance { played, place }) => conclude(&common, &played, place),
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
) -> Result<Performance, i32> {
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
) -> Result<Performance, i32> {
    say("making tables, topics and rules");
    stacks::make_installation(config)?;
    let phones = Phones::start(&args.home.join("gateway"), folders)?;
    phones.register(config)?;
    say(&format!("starting {} workers, {} phones", args.workers, phones.count()));
    let mut crew = demo_workers::start(config, args, &phones)?;
    let played = perform(config, args, folders, no_bars, &mut crew);
    let stopped = crew.stop(Duration::from_secs(30));
    let mut played = played.map_err(|reason| {
        say(&format!("{reason}\n{}", crew.last_words()));
        crew.exit_code()
    })?;
    compare_heads(config, &mut played)?;
    demo_ledger::judge(config, folders, &mut played)?;
    demo_feed::judge(config, &phones, folders, &mut played)?;
    demo_feed::show_last(&phones);
    phones.stop();
    let is_well_stopped = stopped.map_err(|reason| say(&reason)).is_ok();
    Ok(Performance { played, place: Place::Servers { restarts: crew.restarts(), is_well_stopped } })
}

/// Plays the folders and waits until the workers have made of them all that there is to make.
/// Errors: no answers come, or a worker ended for good.
fn perform(
    config: &Config,
    args: &DemoArgs,
    folders: &[Folder],
    no_bars: bool,
    crew: &mut Crew,
) -> Result<Vec<Played>, String> {
    demo_workers::await_owners(config, crew)?;
    if let Some(page) = crew.workers[0].page() {
        say(&format!("the feed's page: http://{page}/ (while the demo plays)"));
    }
    let tail = FeedTail::start(config);
    let pace = Pace { days_per_second: args.speed.0, no_bars, ..Pace::default() };
    let played = play::play_with(config, folders, pace, &mut || crew.tend());
    let played = played.and_then(|played| {
        demo_rest::await_rest(config, crew, no_bars)?;
        Ok(played)
    });
    tail.stop();
    played
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
         tapline account show bank-1787\n  tapline feed show bank-client-1787\n  tapline topics peek payments.events.v1 --limit 3\n  \
         tapline stack down --home {}",
        home.display(),
        config.kafka.topic_prefix,
        config.kafka.group_prefix,
        config.cassandra.keyspace,
        home.display()
    ));
}
