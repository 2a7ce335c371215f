//! The world of the settlement cases: EUR accounts, network items, and ticks of a business day.
//!
//! Owns the accounts, the clock that a case writes, workers that run every stage, and
//! the commands of people's hands (`tapline ...`) as child processes. Judges nothing.

use super::{
    ground::{Site, until},
    watch,
};
use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
};
use tapline::adapters::kafka::reader::Reader;
use tapline::domain::{
    command::{AccountCommand, Credit, CreditKind, OpenAccount, Purchase, Tick},
    command::{Channel, Command as Body},
    cycle::Day,
    money::Currency,
    time::{DAY_MS, LogTime},
};
use tapline::load::{
    lane::Lane,
    workers::{Worker, settings_of},
};

/// A Monday: every network has all its cut-offs.
pub const DAY: &str = "2026-11-23";
pub const OPENING_MINOR: i64 = 5_000_000;
const STAGES: [&str; 3] = ["authorisation", "posting", "windows"];

/// All stages, the group's shortest patience with the dead, and no clock but the case's own.
pub const SETTINGS: [(&str, &str); 3] = [
    ("worker.stages", "authorisation,settlement"),
    ("runtime.ticks", "off"),
    ("kafka.session_timeout", "6s"),
];

pub fn eur() -> Currency {
    Currency::parse("EUR").expect("EUR is a currency")
}

pub fn day() -> Day {
    Day::parse(DAY).expect("a day")
}

/// A minute of the business day; 1,440 is its end.
pub fn minute(minute: i64) -> LogTime {
    LogTime(i64::from(day().0) * DAY_MS + minute * 60_000)
}

/// What a case writes, and until when.
pub struct Hand {
    lane: Lane,
}

impl Hand {
    pub fn open(site: &Site) -> Self {
        let lane = Lane::open(&site.config.kafka).unwrap_or_else(|error| panic!("{error}"));
        Self { lane }
    }

    pub fn write(&mut self, commands: &[AccountCommand]) {
        for command in commands {
            let ticket = self.lane.ticket(1);
            let sent = self.lane.send(command, None, &ticket);
            sent.unwrap_or_else(|error| panic!("{error}"));
        }
        self.lane.settle();
    }

    /// A tick into every partition, acknowledged when this returns.
    pub fn tick(&mut self, at: i64) {
        let tick = Tick { time: minute(at), rules_version: 1, logic_version: 1 };
        self.lane.tick(tick).unwrap_or_else(|error| panic!("{error}"));
        self.lane.settle();
    }

    /// Accounts `<prefix>0` and on, each with money.
    pub fn accounts(&mut self, prefix: &str, count: usize) {
        let open = |number| {
            let account = format!("{prefix}{number}");
            let body = OpenAccount { currency: eur(), overdraft_limit_minor: 0, limits: None };
            let money = Credit {
                amount_minor: OPENING_MINOR,
                currency: eur(),
                kind: CreditKind::Opening,
                text: "opening".into(),
            };
            [
                command(&account, "open", Body::OpenAccount(body)),
                command(&account, "in", Body::Credit(money)),
            ]
        };
        let commands: Vec<AccountCommand> = (0..count).flat_map(open).collect();
        self.write(&commands);
    }
}

pub fn command(account: &str, message: &str, body: Body) -> AccountCommand {
    AccountCommand {
        account_id: account.into(),
        message_id: format!("{account}-{message}").into(),
        sent_at: minute(0),
        body,
    }
}

pub fn purchase(account: &str, network: &str, amount_minor: i64) -> Purchase {
    Purchase {
        card_token: format!("tok_{account}").into(),
        merchant_name: "CORNER BAKERY".into(),
        merchant_id: "m-1".into(),
        merchant_category: Some(5_462),
        country: "NL".into(),
        channel: Channel::Contactless,
        network: network.into(),
        original_minor: amount_minor,
        original_currency: eur(),
    }
}

/// Waits until one worker runs all partitions of all stages, none of them halted.
pub fn await_stages(site: &Site, worker: &mut Worker, within_s: u64) {
    let wanted = STAGES.len() * site.partitions() as usize;
    until("the worker takes all partitions of all stages", within_s, || {
        assert!(worker.is_running(), "the worker ended:\n{}", worker.last_lines(8));
        let Some((status, report)) = watch::readyz(worker) else {
            return Err("no health page yet".to_owned());
        };
        let lines = report.get("partitions").and_then(|it| it.as_array()).cloned();
        let running: BTreeSet<(String, i64)> = lines
            .unwrap_or_default()
            .iter()
            .filter(|line| line.get("state").and_then(|it| it.as_str()) == Some("running"))
            .filter_map(|line| {
                Some((line.get("stage")?.as_str()?.to_owned(), line.get("partition")?.as_i64()?))
            })
            .collect();
        match status == 200 && running.len() == wanted {
            true => Ok(()),
            false => Err(format!("{status}, {} of {wanted} run: {report}", running.len())),
        }
    });
}

/// Records appended to a topic so far.
pub fn records_in(reader: &Reader, topic: &str) -> i64 {
    let spans = reader.spans(topic).expect("the topic's ends");
    spans.iter().map(|span| span.end).sum()
}

/// `tapline` with a case's settings; its words go to the case's folder.
pub fn tapline(site: &Site, arguments: &[&str], more: &[(&str, &str)]) -> Child {
    let log = site.folder.join("commands.log");
    let log = std::fs::File::options().create(true).append(true).open(log).expect("a log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapline"));
    command.args(arguments).arg("--no-progress");
    for (key, value) in settings_of(&site.config) {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    for (key, value) in more {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    let log_too = log.try_clone().expect("a second handle");
    let child = command.stdin(Stdio::null()).stdout(Stdio::from(log)).stderr(log_too).spawn();
    child.expect("tapline can be started")
}

/// The exit code of `tapline clearing import FILE --execute`.
pub fn import(site: &Site, file: &std::path::Path) -> Option<i32> {
    let path = file.to_str().expect("a path of ours");
    let mut child = tapline(site, &["clearing", "import", path, "--execute"], &[]);
    child.wait().expect("the import ends").code()
}
