//! The auditor's own test: a good run is clean, and each planted corruption is named.
//!
//! Owns the table of corruptions. Each is one change to a copy of the good run, made consistent
//! where a careful forger would make it so (chains are computed again), so that the check it aims
//! at must find it and not merely the chain.

#[path = "auditor/books.rs"]
mod books;
#[path = "auditor/folder.rs"]
mod folder;
#[path = "auditor/forger.rs"]
mod forger;
#[path = "auditor/forgeries.rs"]
mod forgeries;
#[path = "auditor/good_run.rs"]
mod good_run;
#[path = "auditor/misdeeds.rs"]
mod misdeeds;
#[path = "auditor/onlookers.rs"]
mod onlookers;
#[path = "auditor/open_end.rs"]
mod open_end;
#[path = "auditor/plant.rs"]
mod plant;
#[path = "auditor/rec.rs"]
mod rec;
#[path = "auditor/redone.rs"]
mod redone;
mod scratch;
#[path = "auditor/script.rs"]
mod script;
#[path = "auditor/served.rs"]
mod served;

use books::Books;
use forgeries::FORGERIES;
use good_run::Run;
use misdeeds::MISDEEDS;
use plant::CORRUPTIONS;
use scratch::Scratch;
use served::Served;
use std::{
    path::Path,
    process::{Command, Output},
    sync::LazyLock,
};

static GOOD: LazyLock<Run> = LazyLock::new(script::good_run);

/// The good run with births before its events, and what settlement makes of it.
static SETTLED: LazyLock<(Run, Books)> = LazyLock::new(|| {
    let run = books::born(&GOOD);
    let books = books::books(&run);
    (run, books)
});

/// What customers see and are told of it.
static SERVED: LazyLock<Served> = LazyLock::new(|| served::served(&SETTLED.0));

fn audit(folder: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tapline-auditor"))
        .arg("--evidence")
        .arg(folder)
        .args(flags)
        .output()
        .expect("the auditor starts")
}

fn judged(run: &Run, flags: &[&str]) -> (i32, serde_json::Value, String) {
    let folder = Scratch::new();
    folder::save(run, folder.path());
    report(folder.path(), flags)
}

fn judged_books((run, books): (&Run, &Books), flags: &[&str]) -> (i32, serde_json::Value, String) {
    let folder = Scratch::new();
    folder::save(run, folder.path());
    folder::save_books(books, folder.path());
    report(folder.path(), flags)
}

fn judged_served(served: &Served, flags: &[&str]) -> (i32, serde_json::Value, String) {
    let folder = Scratch::new();
    folder::save(&SETTLED.0, folder.path());
    folder::save_served(served, folder.path());
    report(folder.path(), flags)
}

fn report(folder: &Path, flags: &[&str]) -> (i32, serde_json::Value, String) {
    let output = audit(folder, &[flags, &["--output", "json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_str(&text).unwrap_or_default();
    (output.status.code().expect("an exit code"), report, text + &errors)
}

/// Goal: a good run is clean, and every invariant was really checked on it. Method: the fold of the
/// real stage; counts from the report.
#[test]
fn the_good_copy_is_clean() {
    let (run, books) = &*SETTLED;
    let flags = ["--expect", "500", "--expect-settlement", "--expect-feed", "--expect-push"];
    let folder = Scratch::new();
    folder::save(run, folder.path());
    folder::save_books(books, folder.path());
    folder::save_served(&SERVED, folder.path());
    let (code, report, text) = report(folder.path(), &flags);
    assert_eq!(code, 0, "{text}");
    assert_eq!(report["left_out"].as_array().map(Vec::len), Some(0), "{text}");
    for line in report["invariants"].as_array().expect("lines") {
        assert!(line["checked"].as_u64() > Some(0), "never checked: {line}");
    }
    for (what, least) in [
        ("commands", 600),
        ("copies", 20),
        ("dead_letters", 4),
        ("sides", 20),
        ("fresh_ticks", 30),
        ("feed_items", 600),
        ("feed_rows", 300),
        ("outcomes", 600),
        ("requests", 300),
    ] {
        assert!(report["seen"][what].as_u64() >= Some(least), "{what}: {}", report["seen"]);
    }
}

/// Goal: each corruption ends with exit 1 and its own invariant names the very id. Method: the
/// table in `plant`; each line changes a copy and says whom the auditor must name.
#[test]
fn each_corruption_is_named() {
    let halves = CORRUPTIONS.split_at(CORRUPTIONS.len() / 2);
    let missed: Vec<String> = std::thread::scope(|scope| {
        let other = scope.spawn(|| missed(halves.1));
        let one = missed(halves.0);
        one.into_iter().chain(other.join().expect("no panic")).collect()
    });
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
    assert!(CORRUPTIONS.len() >= 25);
}

fn missed(corruptions: &[(&str, &str, plant::Plant)]) -> Vec<String> {
    let mut missed = Vec::new();
    for (name, invariant, plant) in corruptions {
        let mut run = GOOD.clone();
        let id = plant(&mut run);
        let (code, report, text) = judged(&run, &[]);
        let lines = report["invariants"].as_array().cloned().unwrap_or_default();
        let line = lines.iter().find(|line| line["invariant"] == *invariant);
        let named = line.and_then(|line| line["first"]["id"].as_str());
        if code != 1 || named != Some(&id) {
            missed.push(format!("{name}: {invariant} should name {id}, exit {code}\n{text}"));
        }
    }
    missed
}

/// Goal: what an owner left at the log's end is no fault, but owed decisions are never called clean,
/// and whatever a commit, a row or a later output vouches for must be there. Method: the worlds of
/// `open_end`.
#[test]
fn the_end_of_a_log_may_be_open() {
    use open_end::Finding;
    let mut missed = Vec::new();
    for (name, world) in open_end::WORLDS {
        let mut run = GOOD.clone();
        let finding = world(&mut run);
        let (code, report, text) = judged(&run, &[]);
        let lines = report["invariants"].as_array().cloned().unwrap_or_default();
        let broken = lines.iter().any(|line| line["breaches"].as_u64() > Some(0));
        let right = match &finding {
            Finding::Nothing => code == 0,
            Finding::NotAtRest => code == 2 && !broken && text.contains("not at rest"),
            Finding::Breach(invariant, id) => {
                let line = lines.iter().find(|line| line["invariant"] == **invariant);
                let named = line.and_then(|line| line["first"]["id"].as_str());
                code == 1 && named.is_some_and(|named| named.starts_with(id))
            }
        };
        if !right {
            missed.push(format!("{name}: exit {code}\n{text}"));
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

/// Goal: what cannot be judged is never called clean. Method: empty, half-read, foreign, too few.
#[test]
fn what_is_not_whole_is_not_judged() {
    let empty = Scratch::new();
    assert_eq!(audit(empty.path(), &[]).status.code(), Some(2), "an empty folder");
    let mut nothing = GOOD.clone();
    nothing.commands.retain(|record| record.offset == 0);
    nothing.events.clear();
    nothing.letters.clear();
    nothing.heads.clear();
    nothing.sides.clear();
    nothing.committed.clear();
    nothing.journal.clear();
    assert_eq!(judged(&nothing, &[]).0, 2, "topics without commands");
    assert_eq!(judged(&GOOD, &["--expect", "1000000"]).0, 2, "fewer than expected");
    let folder = Scratch::new();
    folder::save(&GOOD, folder.path());
    let events = folder.path().join("events.jsonl");
    let whole = std::fs::read_to_string(&events).expect("the events");
    let half = whole.lines().count() / 2;
    let kept: Vec<&str> = whole.lines().take(half).collect();
    std::fs::write(&events, kept.join("\n")).expect("a file");
    assert_eq!(audit(folder.path(), &[]).status.code(), Some(2), "half of the events");
}

/// Goal: what is forged in the topics of settlement is named too. Method: the table in `forgeries`.
#[test]
fn each_forgery_of_the_books_is_named() {
    let (run, good) = &*SETTLED;
    let mut missed = Vec::new();
    for (name, invariant, forge) in FORGERIES {
        let mut books = good.clone();
        let id = forge(&mut books);
        let (code, report, text) = judged_books((run, &books), &[]);
        let lines = report["invariants"].as_array().cloned().unwrap_or_default();
        let line = lines.iter().find(|line| line["invariant"] == *invariant);
        let named = line.and_then(|line| line["first"]["id"].as_str());
        if code != 1 || named != Some(&id) {
            missed.push(format!("{name}: {invariant} should name {id}, exit {code}\n{text}"));
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

/// Goal: stages that do not run are no fault, unless they must. Method: each topic emptied in turn.
#[test]
fn books_that_are_not_kept_are_left_out() {
    let (run, good) = &*SETTLED;
    let empties: [fn(&mut Books); 3] =
        [|it| it.postings.clear(), |it| it.parts.clear(), |it| it.windows.clear()];
    for (place, empty) in empties.iter().enumerate() {
        let mut books = good.clone();
        empty(&mut books);
        let (code, report, text) = judged_books((run, &books), &[]);
        assert_eq!(code, 0, "{place}: {text}");
        // Feed and push besides.
        assert_eq!(report["left_out"].as_array().map(Vec::len), Some(3), "{text}");
        assert_eq!(judged_books((run, &books), &["--expect-settlement"]).0, 2, "{place}");
    }
    assert_eq!(judged(&GOOD, &["--expect-settlement"]).0, 2, "topics that do not exist");
}

/// Goal: whatever is shown to the wrong one, not shown, shown wrongly or told wrongly is named.
/// Method: the table in `misdeeds`.
#[test]
fn each_misdeed_is_named() {
    let halves = MISDEEDS.split_at(MISDEEDS.len() / 2);
    let unnamed: Vec<String> = std::thread::scope(|scope| {
        let other = scope.spawn(|| unnamed(halves.1));
        let one = unnamed(halves.0);
        one.into_iter().chain(other.join().expect("no panic")).collect()
    });
    assert!(unnamed.is_empty(), "{} missed:\n{}", unnamed.len(), unnamed.join("\n"));
}

fn unnamed(misdeeds: &[(&str, &str, misdeeds::Misdeed)]) -> Vec<String> {
    let folder = Scratch::new();
    folder::save(&SETTLED.0, folder.path());
    let spans = folder.path().join("spans.jsonl");
    let without = std::fs::read(&spans).expect("the spans");
    let mut unnamed = Vec::new();
    for (name, invariant, misdeed) in misdeeds {
        let mut served = SERVED.clone();
        let id = misdeed(&mut served);
        std::fs::write(&spans, &without).expect("the spans");
        folder::save_served(&served, folder.path());
        let (code, report, text) = report(folder.path(), &[]);
        let lines = report["invariants"].as_array().cloned().unwrap_or_default();
        let line = lines.iter().find(|line| line["invariant"] == *invariant);
        let named = line.and_then(|line| line["first"]["id"].as_str());
        if code != 1 || named != Some(&id) {
            unnamed.push(format!("{name}: {invariant} should name {id}, exit {code}\n{text}"));
        }
    }
    unnamed
}

/// Goal: whatever a later owner may find, say and send anew is no fault. Method: the worlds of
/// `redone`, which differ from misdeeds in what was said and when it was sent.
#[test]
fn what_is_done_anew_is_no_fault() {
    type World = fn(&mut Served) -> usize;
    let worlds: [(World, usize); 2] =
        [(redone::every_pair_of_words, 36), (redone::dead_without_a_word, 3)];
    for (world, cases) in worlds {
        let mut served = SERVED.clone();
        assert_eq!(world(&mut served), cases);
        let (code, _, text) = judged_served(&served, &[]);
        assert_eq!(code, 0, "{text}");
    }
}

/// Goal: what was surely to be told and lies below the commit of push has a word; nothing else must.
/// Method: one word taken away; commits around its item; the item turned into a silent one.
#[test]
fn what_was_to_be_told_has_a_word() {
    let mut ends: Vec<(i32, i64)> = Vec::new();
    for record in &SERVED.items {
        ends.retain(|(partition, _)| *partition != record.partition);
        ends.push((record.partition, record.offset + 1));
    }
    for (name, taken, commit_at, silent, expected) in [
        ("all told", false, 1_000_000, false, 0),
        ("below the commit", true, 1, false, 1),
        ("at the commit", true, 0, false, 0),
        ("silent", true, 1, true, 0),
    ] {
        let mut served = SERVED.clone();
        let (item, id) = redone::untold(&mut served, taken, silent);
        served.push_committed = match commit_at {
            1_000_000 => ends.clone(),
            after => vec![(item.partition, item.offset + after)],
        };
        let (code, report, text) = judged_served(&served, &[]);
        assert_eq!(code, expected, "{name}\n{text}");
        let lines = report["invariants"].as_array().expect("lines");
        let line = lines.iter().find(|line| line["invariant"] == "P10").expect("a line");
        let named = line["first"]["id"].as_str();
        assert_eq!(named, (expected == 1).then_some(&*id), "{name}\n{text}");
    }
}

/// Goal: a row may lag behind what the feed has not committed, and no other; what is absent is no
/// fault, unless it must be there. Method: commits below and above a lost row; topics emptied.
#[test]
fn what_is_not_served_yet_is_no_fault() {
    let mut served = SERVED.clone();
    let newest = served.rows.iter().max_by_key(|(_, row)| row.pos).expect("a row");
    let (key, pos) = (newest.0.clone(), newest.1.pos);
    served.rows.remove(&key);
    for (offset, expected) in [(pos, 0), (pos + 1, 1)] {
        served.committed = vec![(0, offset), (1, offset)];
        let (code, _, text) = judged_served(&served, &[]);
        assert_eq!(code, expected, "committed {offset}, lost {key:?} at {pos}\n{text}");
    }
    type Empty = fn(&mut Served);
    let empties: [(Empty, &str); 2] = [
        (|it| (it.items.clear(), it.rows.clear(), it.outcomes.clear()).0, "--expect-feed"),
        (|it| it.outcomes.clear(), "--expect-push"),
    ];
    for (empty, flag) in empties {
        let mut served = SERVED.clone();
        empty(&mut served);
        let folder = Scratch::new();
        folder::save(&SETTLED.0, folder.path());
        folder::save_served(&served, folder.path());
        let journal = folder.path().join("gateway-journal.jsonl");
        let elsewhere = folder.path().join("elsewhere.jsonl");
        std::fs::rename(journal, &elsewhere).expect("moved");
        assert_eq!(report(folder.path(), &[]).0, 0, "{flag}");
        assert_eq!(report(folder.path(), &[flag]).0, 2, "{flag}");
        let named = ["--gateway-journal", elsewhere.to_str().expect("a path")];
        assert_eq!(report(folder.path(), &named).0, 2, "{flag}: a journal without outcomes");
    }
    assert_eq!(judged(&GOOD, &["--expect-feed"]).0, 2, "a topic that does not exist");
}
