//! Clearing files from their first line to settled money, on real servers.
//!
//! Owns the files of one business day and what must become of them: every line booked once, the
//! window equal to the files, the report met, the statement paid, nothing left at `net`.

use super::{
    ground::{Ground, Site, until},
    ledger::{self, Ledger, WindowName},
    money::{self, Hand, SETTINGS, await_stages, day, eur, import, minute, records_in, tapline},
};
use std::{
    fs::File,
    io::{BufReader, BufWriter},
    path::{Path, PathBuf},
};
use tapline::adapters::kafka::reader::Reader;
use tapline::clearing::{
    cards::CardLines,
    header::Header,
    reading::Form,
    row::{FileKind, LineKind},
    synthetic::Synthetic,
    writing::Writer,
};
use tapline::codec::topics::POSTINGS;
use tapline::console::{common::Common, print::Output};
use tapline::domain::{
    cycle::{Cycle, Day},
    money::Currency,
    settlement::{CycleTotals, Direction},
    window::{Source, WindowBody, WindowEvent, WindowInstructed},
};
use tapline::load::closing;
use tapline::operator::clearing::import_now;
use tapline::producer::amount;
use tapline::worker::{EXIT_DONE, EXIT_REFUSED};

const NETWORK: &str = "visa";
const LINES: u64 = 20_000;
const ACCOUNTS: usize = 200;
/// Noon: the first cut-off of the day.
const NOON: i64 = 720;
/// Of the network, in the rules that every installation starts with.
const INTERCHANGE_BASIS_POINTS: i64 = 20;
const SCHEME_BASIS_POINTS: i64 = 3;
const SCHEME_FIXED_MINOR: i64 = 1;

/// Goal: a file's lines are booked once, whatever happens to its import, and end as settled money.
/// Method: 20,000 lines whose import is killed half-way and begun again; the same file once more;
/// other content under its name; a second file with a line that nobody can be given; the cut-off;
/// then the network's report and the bank's statement, written from the files alone.
pub fn file_to_settled(ground: &Ground) {
    let site = ground.site("clearing");
    let mut worker = site.worker(1, &SETTINGS);
    await_stages(&site, &mut worker, 60);
    let mut hand = Hand::open(&site);
    hand.tick(540);
    hand.accounts("acc-", ACCOUNTS);

    let files = [synthetic(&site, "lines.csv", ground.seed), with_a_bad_line(&site)];
    let totals = Expected::of(&files);
    let sent = half_an_import(&site, &files[0]);
    assert_eq!(import(&site, &files[0]), Some(EXIT_DONE), "the killed import goes on");
    assert_eq!(import(&site, &files[1]), Some(EXIT_DONE), "the file with a bad line");
    let lines = totals.items;
    let postings = lines + ACCOUNTS as i64;
    await_postings(&site, postings);

    let other = synthetic(&site, "other.csv", ground.seed + 1);
    assert_eq!(import(&site, &other), Some(EXIT_REFUSED), "other content under the same name");
    assert_eq!(import(&site, &files[0]), Some(EXIT_DONE), "the same file again");

    hand.tick(NOON);
    let closed = await_window(&site, "CLOSED", |body| matches!(body, WindowBody::Closed(_)));
    let WindowBody::Closed(window) = &closed.body else { unreachable!() };
    assert_eq!(window.totals, totals.window(), "the window's totals and the files'");
    let cycle = closed.cycle.expect("a window has a cycle");
    assert_eq!((cycle.cutoff, cycle.business_date, cycle.number), (minute(NOON), day().0, 1));

    let report = report(&site, &files, &totals, cycle);
    assert_eq!(import(&site, &report), Some(EXIT_DONE), "the report");
    let instructed = await_window(&site, "INSTRUCTED", |body| {
        assert!(!matches!(body, WindowBody::Broken(_)), "the report does not tie: {body:?}");
        matches!(body, WindowBody::Instructed(_))
    });
    let WindowBody::Instructed(instructed) = &instructed.body else { unreachable!() };
    assert_eq!(instructed.amount_minor, window.totals.net_minor(), "what is paid");
    let statement = statement(&site, instructed);
    assert_eq!(import(&site, &statement), Some(EXIT_DONE), "the statement");
    await_window(&site, "SETTLED", |body| matches!(body, WindowBody::Settled(_)));

    // What was sent twice is answered and moves nothing: the end of the business day proves it.
    hand.tick(1_440);
    let ledger = until("the ledger is complete", 30, || complete(&site));
    ledger.judge(&site);
    assert_eq!(ledger.postings.len() as i64, postings, "a set for every line and opening");
    let name: WindowName = (NETWORK.into(), eur(), minute(NOON));
    assert_eq!(ledger.net_minor(&name), 0, "net of the settled cycle");
    judge_states(&ledger, cycle);
    println!(
        "  {lines} lines, {sent} of them sent by the import that was killed; net {} paid",
        amount::decimal(instructed.amount_minor, eur())
    );
}

fn judge_states(ledger: &Ledger, cycle: Cycle) {
    let own = ledger.windows.iter().map(|it| &it.value).filter(|it| it.cycle == Some(cycle));
    let own: Vec<&WindowEvent> = own.filter(|it| &*it.network == NETWORK).collect();
    let states: Vec<&str> = own.iter().map(|event| state(&event.body)).collect();
    let expected = ["exception", "closed", "reconciled", "instructed", "settled"];
    assert_eq!(states, expected, "the window's course");
    let WindowBody::ExceptionOpened(opened) = &own[0].body else { unreachable!() };
    let exception = &opened.exception;
    assert_eq!((exception.source, exception.suspense_minor), (Source::Item, BAD_MINOR));
    let account = exception.account_id.as_ref().map(|it| it.as_str().to_owned());
    assert_eq!(account, Some(format!("suspense:{NETWORK}")));
}

fn state(body: &WindowBody) -> &'static str {
    match body {
        WindowBody::Closed(_) => "closed",
        WindowBody::Reconciled(_) => "reconciled",
        WindowBody::Broken(_) => "broken",
        WindowBody::Instructed(_) => "instructed",
        WindowBody::Settled(_) => "settled",
        WindowBody::Carried(_) => "carried",
        WindowBody::ExceptionOpened(_) => "exception",
        WindowBody::ExceptionResolved(_) => "resolved",
        WindowBody::ResolutionRefused(_) => "refused",
    }
}

/// The second window of the day is closed, and each event that moves money is posted.
fn complete(site: &Site) -> Result<Ledger, String> {
    let is_closed = |event: &WindowEvent| {
        let is_second = event.cycle.is_some_and(|cycle| cycle.cutoff == minute(1_440));
        &*event.network == NETWORK && is_second && matches!(event.body, WindowBody::Closed(_))
    };
    if !ledger::windows(site).iter().any(is_closed) {
        return Err("the day is not closed".to_owned());
    }
    let ledger = Ledger::read(site);
    match ledger.unposted().as_slice() {
        [] => Ok(ledger),
        missing => Err(format!("{} events are not posted", missing.len())),
    }
}

fn await_postings(site: &Site, count: i64) {
    let reader = Reader::open(&site.config.kafka, "tapline.test").expect("a reader");
    let topic = site.config.kafka.topic(POSTINGS.0);
    until("every line is booked", 60, || match records_in(&reader, &topic) {
        found if found >= count => Ok(()),
        found => Err(format!("{found} of {count} posting sets")),
    });
}

/// The event of the noon window that is wanted.
fn await_window(site: &Site, what: &str, is_it: impl Fn(&WindowBody) -> bool) -> WindowEvent {
    until(what, 30, || {
        let mut events = ledger::windows(site).into_iter().filter(|event| {
            let is_noon = event.cycle.is_some_and(|cycle| cycle.cutoff == minute(NOON));
            &*event.network == NETWORK && is_noon
        });
        events.find(|event| is_it(&event.body)).ok_or_else(|| "not yet".to_owned())
    })
}

/// Kills the import while its lines go out in small batches; tells how many were out.
fn half_an_import(site: &Site, file: &Path) -> i64 {
    let reader = Reader::open(&site.config.kafka, "tapline.test").expect("a reader");
    let before = records_in(&reader, &site.commands());
    let slow = [("kafka.properties.batch.num.messages", "20")];
    let path = file.to_str().expect("a path of ours");
    let mut child = tapline(site, &["clearing", "import", path, "--execute"], &slow);
    until("a part of the file is published", 30, || {
        assert!(child.try_wait().is_ok_and(|ended| ended.is_none()), "the import has ended");
        match records_in(&reader, &site.commands()) - before {
            sent if sent > 1_000 => Ok(()),
            sent => Err(format!("{sent} lines")),
        }
    });
    child.kill().expect("a child of ours");
    child.wait().expect("it is gone");
    let sent = records_in(&reader, &site.commands()) - before;
    assert!((1_000..LINES as i64).contains(&sent), "killed too late: {sent} lines are out");
    sent
}

fn header(kind: FileKind, file_id: &str, business_date: Day, cycle: Option<Cycle>) -> Header {
    let (network, currency) = (NETWORK.into(), eur());
    Header { kind, network, file_id: file_id.into(), business_date, currency, cycle }
}

fn created(site: &Site, name: &str) -> (PathBuf, BufWriter<File>) {
    let path = site.folder.join(name);
    let file = File::create(&path).expect("a file of ours");
    (path, BufWriter::new(file))
}

/// The same name in the header whatever the seed.
fn synthetic(site: &Site, name: &str, seed: u64) -> PathBuf {
    let (path, out) = created(site, name);
    let synthetic = Synthetic {
        header: header(FileKind::Clearing, "lines", day(), None),
        lines: LINES,
        accounts: ACCOUNTS as u64,
        account_prefix: "acc-".into(),
        card_prefix: "tok_".into(),
        seed,
    };
    synthetic.write(out, Form::Csv).expect("a file is written");
    path
}

const BAD_MINOR: i64 = 777;

/// Three lines, of which the second names no card.
fn with_a_bad_line(site: &Site) -> PathBuf {
    let (path, out) = created(site, "bad-line.jsonl");
    let header = header(FileKind::Clearing, "bad-line", day(), None);
    let mut writer = Writer::begin(out, Form::Jsonl, header).expect("a file is begun");
    for (record, minor, card) in [("1", 500, "tok_1"), ("2", BAD_MINOR, ""), ("3", 900, "tok_3")] {
        let amount = amount::decimal(minor, eur());
        let account = format!("acc-{record}");
        let texts = [
            record, "present", &amount, "EUR", &account, card, "", "", "BAKERY", "", "5462", "NL",
            "", "", "", "", "", "", "", "true",
        ];
        writer.line(minor, &texts).expect("a line");
    }
    writer.finish().expect("a trailer");
    path
}

/// What the files come to, added up from their lines.
#[derive(Default)]
struct Expected {
    items: i64,
    purchases_minor: i64,
    reversals_minor: i64,
    refunds_minor: i64,
    interchange_minor: i64,
    fees_minor: i64,
    set_aside_minor: i64,
}

impl Expected {
    fn of(files: &[PathBuf]) -> Self {
        let mut sums = Self::default();
        each_line(files, |line| {
            sums.items += 1;
            let minor = line.amount_minor;
            let interchange_minor = match line.is_set_aside {
                true => 0,
                false => rounded(minor, INTERCHANGE_BASIS_POINTS),
            };
            match line.kind {
                LineKind::Present if line.is_set_aside => sums.set_aside_minor += minor,
                LineKind::Present => {
                    sums.purchases_minor += minor;
                    sums.fees_minor += rounded(minor, SCHEME_BASIS_POINTS) + SCHEME_FIXED_MINOR;
                    sums.interchange_minor += interchange_minor;
                }
                LineKind::Reverse => {
                    sums.reversals_minor += minor;
                    sums.interchange_minor -= interchange_minor;
                }
                LineKind::Refund => {
                    sums.refunds_minor += minor;
                    sums.interchange_minor -= interchange_minor;
                }
            }
        });
        assert_eq!((sums.items, sums.set_aside_minor), (LINES as i64 + 3, BAD_MINOR));
        assert!(sums.reversals_minor > 0 && sums.refunds_minor > 0, "every kind of line");
        sums
    }

    fn window(&self) -> CycleTotals {
        CycleTotals {
            items: self.items,
            purchases_minor: self.purchases_minor,
            purchase_reversals_minor: self.reversals_minor,
            refunds_minor: self.refunds_minor,
            interchange_minor: self.interchange_minor,
            fees_minor: self.fees_minor,
            suspense_minor: self.set_aside_minor,
        }
    }

    /// The network knows no suspense: to it, that was a purchase.
    fn report(&self) -> CycleTotals {
        let purchases_minor = self.purchases_minor + self.set_aside_minor;
        CycleTotals { purchases_minor, suspense_minor: 0, ..self.window() }
    }
}

/// A share of an amount, halves to the even one; counted apart from the pipeline's own.
fn rounded(minor: i64, basis_points: i64) -> i64 {
    let (whole, rest) = (minor * basis_points / 10_000, minor * basis_points % 10_000);
    whole + i64::from(rest > 5_000 || rest == 5_000 && whole % 2 == 1)
}

struct Line {
    kind: LineKind,
    amount_minor: i64,
    message_id: String,
    is_set_aside: bool,
}

fn each_line(files: &[PathBuf], mut take: impl FnMut(Line)) {
    for path in files {
        let form = match path.extension().is_some_and(|kind| kind == "jsonl") {
            true => Form::Jsonl,
            false => Form::Csv,
        };
        let file = BufReader::new(File::open(path).expect("a file of ours"));
        let mut lines = CardLines::open(file, form).expect("a file of ours");
        while let Some(line) = lines.advance().expect("a file that ties") {
            take(Line {
                kind: line.kind,
                amount_minor: line.amount_minor,
                message_id: line.command.message_id.as_str().to_owned(),
                is_set_aside: line.problem.is_some(),
            });
        }
    }
}

/// Goal: a window of 20,000 items closes while presentments go on, and nothing of either is lost.
/// Method: the benchmark itself, small; it counts what it sent and refuses to tell figures else.
/// How fast it is here is printed and judged by nobody.
pub fn closing_beside_presentments(ground: &Ground) {
    let site = ground.site("closing");
    let settings =
        closing::Settings { lines: LINES, accounts: 1_000, rate: 200, around_seconds: 3 };
    let common =
        Common { config: None, settings: Vec::new(), output: Output::Text, no_progress: true };
    let start = site.start(1, &SETTINGS);
    let import = |file: &Path| import_now(&common, &site.config, file);
    let report = closing::run(&site.config, &settings, start, &site.folder, import)
        .unwrap_or_else(|reason| panic!("{reason}"));
    assert!(report.window_items > LINES as i64, "the lines and what went on beside: {report:?}");
    println!("  {}", report.shown().replace('\n', "\n  "));
}

/// The network's report of the noon cycle, line by line.
fn report(site: &Site, files: &[PathBuf], totals: &Expected, cycle: Cycle) -> PathBuf {
    let (path, out) = created(site, "report.csv");
    let header = header(FileKind::Report, "noon-report", day(), Some(cycle));
    let mut writer = Writer::begin(out, Form::Csv, header).expect("a file is begun");
    let mut record = 0;
    each_line(files, |line| {
        record += 1;
        let amount = amount::decimal(line.amount_minor, eur());
        let number = record.to_string();
        let texts = [&*number, line.kind.word(), &amount, "EUR", &line.message_id, ""];
        writer.line(line.kind.owed_minor(line.amount_minor), &texts).expect("a line");
    });
    writer.totals(&totals.report()).expect("totals");
    writer.finish().expect("a trailer");
    path
}

/// The bank's line that pays what was instructed.
fn statement(site: &Site, instructed: &WindowInstructed) -> PathBuf {
    let (path, out) = created(site, "statement.csv");
    let header = header(FileKind::Statement, "statement", day(), None);
    let mut writer = Writer::begin(out, Form::Csv, header).expect("a file is begun");
    let minor = -instructed.direction.paid_minor(instructed.amount_minor);
    assert_eq!(instructed.direction, Direction::Pay, "purchases outweigh refunds");
    let (date, amount): (String, String) = (money::DAY.into(), amount::decimal(minor, eur()));
    let currency: Currency = eur();
    let currency = currency.to_string();
    let texts = ["1", &*date, &amount, &currency, &instructed.reference, "Settlement"];
    writer.line(minor, &texts).expect("a line");
    writer.finish().expect("a trailer");
    path
}
