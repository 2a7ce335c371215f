//! Tests on the publishers' real files: every published fact, and files that are broken.

use super::{
    Folder,
    bank::Bank,
    city::City,
    council::Council,
    dated::{Play, Step, day_text},
    fold::Fold,
    oracle::{Judge, OracleLine},
    samples::{Sample, Samples},
    table::FileError,
};
use crate::domain::{
    command::{AccountCommand, Command},
    event::AccountEvent,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// What a play gives in a trivially simple ledger.
fn events(fold: &mut Fold, play: Play) -> Vec<AccountEvent> {
    play.filter_map(|step| fold.step(step)).collect()
}

/// The verdict on these events; `spoil` gives what is observed in place of each.
fn verdict(
    judge: &mut impl Judge,
    events: &[AccountEvent],
    spoil: impl Fn(&AccountEvent) -> Vec<AccountEvent>,
) -> Vec<OracleLine> {
    events.iter().flat_map(spoil).for_each(|event| judge.observe(&event));
    judge.verdict()
}

fn unspoilt(event: &AccountEvent) -> Vec<AccountEvent> {
    vec![event.clone()]
}

/// The folder a second time, on top of the first.
fn again(fold: &mut Fold, play: Play) -> Vec<AccountEvent> {
    let commands = play.filter_map(|step| match step {
        Step::Command(command) => Some(command),
        Step::Tick(_) => None, // stale: its time has been
    });
    commands.map(|command| fold.command(command)).collect()
}

fn found<'l>(lines: &'l [OracleLine], name: &str) -> &'l str {
    &lines.iter().find(|line| line.name.starts_with(name)).expect(name).found
}

fn broken(lines: &[OracleLine]) -> Vec<&str> {
    lines.iter().filter(|line| !line.ok).map(|line| line.name.as_str()).collect()
}

/// How many commands of each kind, and the ticks.
fn counted(play: Play) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for step in play {
        let name = match step {
            Step::Tick(_) => "tick".to_owned(),
            Step::Command(AccountCommand { body: Command::Debit(debit), .. }) => {
                format!("{:?}", debit.kind)
            }
            Step::Command(AccountCommand { body: Command::Credit(credit), .. }) => {
                format!("{:?}", credit.kind)
            }
            Step::Command(command) => format!("{:?}", command.body.kind()),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn counts_are(play: Play, expected: &[(&str, usize)]) {
    let expected: BTreeMap<_, _> = expected.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
    assert_eq!(counted(play), expected);
}

/// Goal: the bank's year gives the commands and the account-days that its publisher's figures
/// allow. Method: facts found by folding the file by other means.
#[test]
fn bank_facts() {
    let bank = Bank::read(&folder("berka")).unwrap();
    let days = bank.days();
    assert_eq!(days.all.len(), 23_440);
    assert_eq!(days.all.iter().filter(|day| day.judged).count(), 23_440);
    assert_eq!((days.reordered, days.rounded_rows), (2_231, 1_422));
    let carried = || days.all.iter().map(|day| day.discrepancy_minor.abs());
    assert_eq!(carried().max(), Some(60));
    assert_eq!(carried().filter(|minor| *minor > 10).count(), 984);
    let (first, last) = bank.play().days();
    assert_eq!((day_text(first).as_str(), day_text(last).as_str()), ("1993-01-01", "1993-12-31"));
    counts_are(
        bank.play(),
        &[
            ("CashIn", 6_685),
            ("CashOut", 6_370 + 24 + 371 + 66),
            ("ChangeCard", 1),
            ("ChangeHolder", 1_385),
            ("Fee", 2_922 + 9),
            ("Interest", 6_065),
            ("OpenAccount", 1_139),
            ("StandingOrder", 343 + 1_835 + 40),
            ("TransferIn", 1_313 + 1_149),
            ("TransferOut", 175 + 838),
            ("tick", 366),
        ],
    );
}

/// Goal: the oracle passes what was booked right and names what was not. Method: a fold in place
/// of the pipeline; then the folder once more; then one event a cent off.
#[test]
fn bank_oracle() {
    let bank = Bank::read(&folder("berka")).unwrap();
    let (mut fold, mut oracle) = (Fold::default(), bank.oracle());
    let first = events(&mut fold, bank.play());
    let lines = verdict(&mut oracle, &first, unspoilt);
    assert_eq!(broken(&lines), Vec::<&str>::new());
    assert_eq!(found(&lines, "account-days judged"), "23440");
    assert_eq!(found(&lines, "largest sum of these roundings"), "0.60");
    let lines = verdict(&mut oracle, &again(&mut fold, bank.play()), unspoilt);
    assert_eq!(broken(&lines), Vec::<&str>::new());
    assert_eq!(oracle.last_booked_minor().len(), 1_139);

    let lines = verdict(&mut bank.oracle(), &first, |event| {
        let mut event = event.clone();
        let hit = event.account_id.as_str() == "bank-576";
        if let Some(after) = event.balances.as_mut().filter(|_| hit) {
            after.booked_minor += i64::from(day_text(event.log_time) == "1993-12-31");
        }
        vec![event]
    });
    assert_eq!(found(&lines, "account-days that differ"), "1");
    assert!(broken(&lines).contains(&"bank-576 on 1993-12-31, CZK"), "{:?}", broken(&lines));
}

/// Goal: the city's months give the commands that the README's figures allow. Method: its counts.
#[test]
fn city_facts() {
    let city = City::read(&folder("toronto-pcard")).unwrap();
    assert_eq!((city.payments.len(), city.totals.len(), city.months.len()), (19_941, 4_074, 5));
    let cards: BTreeSet<_> = city.payments.iter().map(|p| &p.purchase.card_token).collect();
    let (first, last) = city.play().days();
    assert_eq!((day_text(first).as_str(), day_text(last).as_str()), ("2016-01-05", "2017-01-31"));
    let distinct = city.deliveries().filter(|(_, _, repeated)| !repeated).count();
    assert_eq!(distinct, 19_574);
    let foreign = |p: &&super::city::Payment| p.purchase.original_currency != city.currency;
    assert_eq!(city.payments.iter().filter(foreign).count(), 476);
    counts_are(
        city.play(),
        &[
            ("Authorise", 19_202),
            ("ChangeCard", cards.len()),
            ("ChangeHolder", 38),
            ("OpenAccount", 38),
            ("Present", 19_941 - 380),
            ("Refund", 380),
            ("tick", 394),
        ],
    );
}

/// Goal: the control totals tie if each row counts once and fail if not. Method: a fold in place
/// of the pipeline; then the folder once more; then one row lost and one doubled.
#[test]
fn city_oracle() {
    let city = City::read(&folder("toronto-pcard")).unwrap();
    let (mut fold, mut oracle) = (Fold::default(), city.oracle());
    let first = events(&mut fold, city.play());
    let lines = verdict(&mut oracle, &first, unspoilt);
    assert_eq!(broken(&lines), Vec::<&str>::new());
    for (name, then) in [
        ("authorisations approved", "19202"),
        ("rows booked", "19574"),
        ("rows answered again", "352"),
        ("rows in conflict", "15"),
        ("control totals that tie", "4074"),
        ("sum of the months", "6071657.36"),
        ("booked balance of all accounts", "-5963578.56"),
    ] {
        assert_eq!(found(&lines, name), then, "{name}");
    }
    let lines = verdict(&mut oracle, &again(&mut fold, city.play()), unspoilt);
    assert_eq!(broken(&lines), Vec::<&str>::new());

    // One row lost, or booked twice: its subtotal and its month do not tie.
    for (times, rows) in [(0, "19573"), (2, "19575")] {
        let lines = verdict(&mut city.oracle(), &first, |event| {
            let id = event.message_id.as_ref().map(|id| id.as_str());
            vec![event.clone(); if id == Some("city-present-4198-1") { times } else { 1 }]
        });
        assert_eq!(found(&lines, "rows booked"), rows);
        assert_eq!(found(&lines, "control totals that tie"), "4072");
    }
}

/// Goal: all of the council's rows are booked, look-alikes too. Method: the README's counts, and
/// the tally over a fold.
#[test]
fn council_facts() {
    let council = Council::read(&folder("birmingham-pcard")).unwrap();
    let rows = &council.payments;
    assert_eq!(rows.len(), 14_458);
    assert_eq!(rows.iter().filter(|row| row.amount_minor < 0).count(), 610);
    let foreign = rows.iter().filter(|row| row.purchase.original_currency != council.currency);
    assert_eq!(foreign.count(), 87);
    let merchants: BTreeSet<_> = rows.iter().map(|row| &row.purchase.merchant_name).collect();
    assert_eq!(merchants.len(), 2_419);
    let (first, last) = council.play().days();
    assert_eq!((day_text(first).as_str(), day_text(last).as_str()), ("2017-06-09", "2017-12-01"));
    counts_are(
        council.play(),
        &[
            ("ChangeCard", 715),
            ("ChangeHolder", 715),
            ("OpenAccount", 715),
            ("Present", 14_458 - 610),
            ("Refund", 610),
            ("tick", 177),
        ],
    );
    let (mut fold, mut tally) = (Fold::default(), council.tally());
    let lines = verdict(&mut tally, &events(&mut fold, council.play()), unspoilt);
    assert!(tally.is_complete());
    assert_eq!(broken(&lines), Vec::<&str>::new());
    // Once more: by the same judge, and by one that sees only the second play.
    let second = again(&mut fold, council.play());
    for mut tally in [tally, council.tally()] {
        assert_eq!(broken(&verdict(&mut tally, &second, unspoilt)), Vec::<&str>::new());
        assert!(tally.is_complete());
    }
}

/// A temporary folder with one real file changed.
struct Spoilt(PathBuf);

impl Spoilt {
    /// `change` gets the lines of `file`, header first, cut to 50.
    fn new(case: &str, source: &str, file: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Self {
        let path = std::env::temp_dir().join(format!("spoilt-{}-{case}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        for entry in std::fs::read_dir(folder(source)).unwrap() {
            let entry = entry.unwrap().path();
            let name = entry.file_name().unwrap().to_str().unwrap();
            if name != file && (name.starts_with("trans") || name.ends_with(".csv")) {
                continue; // rows elsewhere are not needed
            }
            std::fs::copy(&entry, path.join(name)).unwrap();
        }
        let text = std::fs::read(path.join(file)).unwrap();
        let mut lines: Vec<Vec<u8>> = text.split(|b| *b == b'\n').take(50).map(Vec::from).collect();
        change(&mut lines);
        std::fs::write(path.join(file), lines.join(&b'\n')).unwrap();
        Self(path)
    }
}

impl Drop for Spoilt {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Goal: a broken file is refused with its name, line and field. Method: one real file of each
/// form, broken in one place of line 7 (`from` becomes `to`).
#[test]
fn broken_files_are_refused() {
    let (trans, pcard, purchase) =
        ("trans-1993.asc", "pcard-2016-09.csv", "purchase-card-2017-10.csv");
    type Case<'c> = (&'c str, &'c str, usize, &'c [u8], &'c [u8], &'c str);
    let cases: &[Case] = &[
        ("berka", trans, 7, b";\"PRIJEM\"", b"", "columns"),
        ("berka", trans, 7, b"\"PRIJEM\"", b"\"VKLAD\"", "type"),
        ("berka", trans, 7, b"\"VKLAD\"", b"\"SEK\"", "operation"),
        ("berka", trans, 7, b";9301", b";9313", "date"),
        ("berka", trans, 7, b".00;", b".001;", "amount"),
        ("berka", trans, 7, b".00;\"\"", b".0x;\"\"", "balance"),
        ("berka", trans, 1, b";\"bank\"", b"", "columns"),
        ("berka", "account.asc", 7, b";930", b";93", "date"),
        ("berka", "disp.asc", 7, b"OWNER", b"BOSS", "type"),
        ("toronto-pcard", pcard, 7, b",CAD", b",CAD,CAD", "columns"),
        ("toronto-pcard", pcard, 7, b"2016-09", b"2016-19", "transaction date"),
        ("toronto-pcard", pcard, 7, b",CAD,", b",CHF,", "transaction currency"),
        ("toronto-pcard", pcard, 7, b".", b",", "columns"),
        ("toronto-pcard", pcard, 1, b"Division,", b"", "columns"),
        ("birmingham-pcard", purchase, 7, b",GBP,", b",G\xc3P,", "original currency"),
        ("birmingham-pcard", purchase, 7, b",GBP,", b",QQQ,", "original currency"),
        ("birmingham-pcard", purchase, 7, b"************", b"************41", "card number"),
        ("birmingham-pcard", purchase, 7, b"2017-", b"20l7-", "transaction date"),
        ("birmingham-pcard", purchase, 1, b"TRANS DATE", b"A,B,C,D", "columns"),
    ];
    for (case, (source, file, line, from, to, field)) in cases.iter().enumerate() {
        let name = format!("case {case}: {field} of {file}");
        let spoilt = Spoilt::new(&case.to_string(), source, file, |lines| {
            let text = &mut lines[line - 1];
            let place = text.windows(from.len()).position(|part| part == *from).expect(&name);
            text.splice(place..place + from.len(), to.iter().copied());
        });
        match Folder::read(&spoilt.0).err().expect(&name) {
            FileError::Field { file: at, line: number, field: column, .. } => {
                assert_eq!((at.as_str(), number, column), (*file, *line as u64, *field), "{name}");
            }
            other => panic!("{name}: {other}"),
        }
    }
    let empty = std::env::temp_dir().join(format!("spoilt-{}-empty", std::process::id()));
    std::fs::create_dir_all(&empty).unwrap();
    let refused = Folder::read(&empty).err().expect("no known data");
    assert!(refused.to_string().contains("holds no known data"), "{refused}");
    let _ = std::fs::remove_dir_all(&empty);
}

/// Goal: synthetic purchases look like the real ones. Method: 40,000 draws; shares in a thousand
/// against the READMEs' figures, mixed as the numbers of purchases say (59 % city).
#[test]
fn samples_follow_the_files() {
    let city = City::read(&folder("toronto-pcard")).unwrap();
    let council = Council::read(&folder("birmingham-pcard")).unwrap();
    let samples = Samples::of(&city, &council);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let draws: Vec<_> = (0..40_000).map(|_| samples.draw(&mut rng)).collect();
    let share = |of: fn(&Sample) -> bool| draws.iter().filter(|draw| of(draw)).count() / 40;
    for (name, share, expected) in [
        ("posted on the next day", share(|draw| draw.delay_days == 1), 420..460),
        ("posted after a week", share(|draw| draw.delay_days > 7), 1..5),
        ("foreign", share(|draw| draw.foreign.is_some()), 1..5),
        ("with a category", share(|draw| draw.merchant_category.is_some()), 999..1_001),
        ("under 44.99", share(|draw| draw.amount_minor < 4_499), 360..390),
        ("at least 1,000", share(|draw| draw.amount_minor >= 100_000), 65..86),
    ] {
        assert!(expected.contains(&share), "{name}: {share}");
    }
}

/// Goal: the folder says itself what it is. Method: the three real ones.
#[test]
fn folders_are_recognised() {
    for (source, name) in
        [("berka", "bank"), ("toronto-pcard", "city"), ("birmingham-pcard", "council")]
    {
        assert_eq!(Folder::read(&folder(source)).unwrap().name(), name);
    }
}
