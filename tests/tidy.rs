//! The tree as text: directions between layers, homes of outside crates, names, sizes, headers.
//!
//! Owns what the compiler does not check. Each rule is a table with its exceptions and their
//! reasons; an exception that is no longer needed fails too, so the lists only shrink. Reads files
//! and nothing else: it runs in a moment and needs no server.

#[path = "tidy/homes.rs"]
mod homes;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/tree.rs"]
mod tree;

use homes::{HOMES, HOMES_EXCEPTED};
use lexer::{code_of, identifiers, strings_of};
use std::collections::BTreeSet;
use tree::{SourceFile, documents, root, sources};

/// From the outermost to the innermost; a layer names only itself and what stands after it.
/// `logging` and `stack` stand beside the layers, below `config`; `producer` decides what is sent
/// and knows the domain alone.
const LAYERS: &[&str] = &[
    "bin",
    "operator",
    "load",
    "fake_gateway",
    "console",
    "worker",
    "api",
    "config",
    "logging",
    "stack",
    "adapters",
    "runtime",
    "clearing",
    "codec",
    "producer",
    "stages",
    "domain",
];

/// (file, layer it names, why). The file is below `src/`.
const DIRECTIONS_EXCEPTED: &[(&str, &str, &str)] = &[(
    "load/cli.rs",
    "operator",
    "the benchmark makes its own stack and starts workers by the operator's code",
)];

/// (file, why) for `super::super`.
const SUPER_EXCEPTED: &[(&str, &str)] = &[
    ("runtime/board.rs", "its tests use the rules next door"),
    ("stack/guard.rs", "its tests signal a process"),
];

/// Never part of a name of a module, file, type, trait, function or constant.
const WORDS_BANNED: &[&str] =
    &["manager", "helper", "util", "utils", "common", "handler", "processor", "engine", "wrapper"];

/// Never a whole name.
const NAMES_BANNED: &[&str] = &["base", "data", "info", "misc", "temp"];

/// (file, name, why).
const NAMES_EXCEPTED: &[(&str, &str, &str)] = &[
    ("console/common.rs", "common.rs", "flags that every command has; no better noun yet"),
    ("console/common.rs", "Common", "the same"),
    ("config/raw.rs", "data", "the settings library's trait calls it so"),
];

/// Lines above which a file needs a line in `tests/tidy.budget`.
const LINES_MAX: usize = 400;

/// Fails with all findings at once, one a line.
fn expect_none(rule: &str, findings: Vec<String>) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

/// Goal: knowledge points one way. Method: each path that begins with `crate::` in a file of a
/// layer names that layer or one after it; a leftward one must be excepted, with a reason.
#[test]
fn layers_point_inwards() {
    let rank = |layer: &str| LAYERS.iter().position(|known| *known == layer);
    let (mut findings, mut used) = (Vec::new(), BTreeSet::new());
    for file in sources() {
        let layer = file.layer();
        if layer == "lib" {
            continue;
        }
        let Some(own) = rank(layer) else {
            findings.push(format!("{}: `{layer}` is no layer; rank it in LAYERS", file.path));
            continue;
        };
        for named in lexer::crate_paths(&code_of(&file.text)) {
            let Some(other) = rank(&named) else { continue };
            if other >= own {
                continue;
            }
            let excepted = DIRECTIONS_EXCEPTED
                .iter()
                .position(|(path, layer, _)| *path == file.path && *layer == named);
            match excepted {
                Some(place) => drop(used.insert(place)),
                None => findings.push(format!("{} names crate::{named}, to its left", file.path)),
            }
        }
    }
    for (place, (path, layer, _)) in DIRECTIONS_EXCEPTED.iter().enumerate() {
        if !used.contains(&place) {
            findings.push(format!("{path} -> {layer} is excepted for nothing"));
        }
    }
    expect_none("layers point inwards", findings);
}

/// Goal: adapters can be swapped one by one, and stages share topics only. Method: no adapter's
/// file names another adapter, no stage's another stage.
#[test]
fn neighbours_are_strangers() {
    let mut findings = Vec::new();
    for (folder, layer) in [("adapters/", "adapters"), ("stages/", "stages")] {
        let files: Vec<SourceFile> =
            sources().into_iter().filter(|file| file.path.starts_with(folder)).collect();
        let own = |file: &SourceFile| {
            let rest = file.path.strip_prefix(folder).unwrap_or_default().to_owned();
            rest.split(['/', '.']).next().unwrap_or_default().to_owned()
        };
        let neighbours: BTreeSet<String> =
            files.iter().map(own).filter(|name| name != "mod").collect();
        assert!(!neighbours.is_empty(), "nothing below {folder}");
        for file in &files {
            let code = code_of(&file.text);
            for other in neighbours.iter().filter(|name| **name != own(file)) {
                if own(file) != "mod" && lexer::names_module(&code, layer, other) {
                    findings.push(format!("{} names {layer}::{other}", file.path));
                }
            }
        }
    }
    expect_none("neighbours are strangers", findings);
}

/// Goal: a driver can be replaced in one folder. Method: each crate of Cargo.toml has a home; code
/// elsewhere does not name it.
#[test]
fn outside_crates_stay_at_home() {
    let (mut findings, mut used) = (Vec::new(), BTreeSet::new());
    for name in tree::dependencies() {
        if !HOMES.iter().any(|(known, _)| *known == name) {
            findings.push(format!("{name} has no home; give it a line in HOMES"));
        }
    }
    for file in sources() {
        let named =
            lexer::outside_crates(&code_of(&file.text), HOMES.iter().map(|(name, _)| *name));
        for name in named {
            let homes = HOMES.iter().find(|(known, _)| *known == name).map_or(&[][..], |it| it.1);
            let is_pure = matches!(file.layer(), "domain" | "stages");
            let at_home = homes.iter().any(|home| match *home {
                "*" => !is_pure,
                home => file.path.starts_with(home),
            });
            let excepted = HOMES_EXCEPTED
                .iter()
                .position(|(path, crate_name, _)| *path == file.path && *crate_name == name);
            match (at_home, excepted) {
                (true, _) => {}
                (false, Some(place)) => drop(used.insert(place)),
                (false, None) => findings.push(format!("{} names {name}", file.path)),
            }
        }
    }
    for (place, (path, name, _)) in HOMES_EXCEPTED.iter().enumerate() {
        if !used.contains(&place) {
            findings.push(format!("{path}: {name} is excepted for nothing"));
        }
    }
    expect_none("outside crates stay at home", findings);
}

/// Goal: paths say where a thing lives. Method: no `super::super`.
#[test]
fn no_grandparents() {
    let mut findings = Vec::new();
    for file in sources() {
        let found = code_of(&file.text).contains("super::super");
        let excepted = SUPER_EXCEPTED.iter().any(|(path, _)| *path == file.path);
        match (found, excepted) {
            (true, false) => findings.push(format!("{} says super::super", file.path)),
            (false, true) => findings.push(format!("{} is excepted for nothing", file.path)),
            _ => {}
        }
    }
    expect_none("no grandparents", findings);
}

/// Goal: names say what a thing is. Method: words of defined names and of file names.
#[test]
fn names_are_nouns_of_the_subject() {
    let is_banned = |name: &str| {
        let words = lexer::words(name);
        words.iter().any(|word| WORDS_BANNED.contains(&word.as_str()))
            || (words.len() == 1 && NAMES_BANNED.contains(&words[0].as_str()))
    };
    let (mut findings, mut used) = (Vec::new(), BTreeSet::new());
    for file in sources() {
        let mut names = lexer::defined_names(&code_of(&file.text));
        names.insert(file.path.rsplit('/').next().unwrap_or_default().to_owned());
        for name in names.iter().filter(|name| is_banned(name.trim_end_matches(".rs"))) {
            let excepted =
                NAMES_EXCEPTED.iter().position(|(path, it, _)| *path == file.path && it == name);
            // The folder's `mod common;` says the same as the file's name.
            let is_declared = NAMES_EXCEPTED
                .iter()
                .any(|(path, it, _)| path.ends_with(&format!("/{name}.rs")) && it.ends_with(".rs"));
            match excepted {
                Some(place) => drop(used.insert(place)),
                None if is_declared => {}
                None => findings.push(format!("{}: {name}", file.path)),
            }
        }
    }
    for (place, (path, name, _)) in NAMES_EXCEPTED.iter().enumerate() {
        if !used.contains(&place) {
            findings.push(format!("{path}: {name} is excepted for nothing"));
        }
    }
    expect_none("names are nouns of the subject", findings);
}

/// Goal: a metric is renamed in one place. Method: outside `telemetry.rs` no text of the code (its
/// tests aside) is a metric's name.
#[test]
fn metrics_are_named_once() {
    let known = metric_names();
    let mut findings = Vec::new();
    for file in sources().iter().filter(|file| file.path != "runtime/telemetry.rs") {
        if file.is_test() {
            continue;
        }
        for text in strings_of(lexer::before_tests(&file.text)) {
            if known.iter().any(|name| text.contains(name.as_str())) {
                findings.push(format!("{}: {text:?}", file.path));
            }
        }
    }
    expect_none("metrics are named once", findings);
}

/// The texts of `telemetry.rs` that are names of metrics.
fn metric_names() -> BTreeSet<String> {
    let text = tree::read("src/runtime/telemetry.rs");
    let names: BTreeSet<String> = strings_of(lexer::before_tests(&text))
        .into_iter()
        .filter(|text| text.starts_with("tapline_") && identifiers(text).len() == 1)
        .collect();
    assert!(names.len() > 10, "the search for metrics finds too little: {names:?}");
    names
}

/// Goal: alarms ring for what exists and say what to do. Method: each metric in the alerts is one
/// of ours (their sums aside), and each alert's runbook is a file.
#[test]
fn alerts_name_what_exists() {
    let (known, text) = (metric_names(), tree::read("deploy/monitoring/alerts.yaml"));
    let mut findings = Vec::new();
    for name in identifiers(&text).into_iter().filter(|name| name.starts_with("tapline_")) {
        let of_histogram =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        if !known.contains(&name) && !of_histogram.is_some_and(|stem| known.contains(stem)) {
            findings.push(format!("{name} is no metric"));
        }
    }
    let lines = || text.lines().map(str::trim);
    let alerts = lines().filter(|line| line.starts_with("- alert:")).count();
    let links: Vec<&str> = lines().filter_map(|line| line.strip_prefix("runbook_url:")).collect();
    if alerts == 0 || alerts != links.len() {
        findings.push(format!("{alerts} alerts and {} runbook links", links.len()));
    }
    for link in links {
        let path = link.trim().trim_matches('"');
        match path.find("docs/runbooks/") {
            Some(place) if root().join(&path[place..]).is_file() => {}
            _ => findings.push(format!("no runbook at {path}")),
        }
    }
    expect_none("alerts name what exists", findings);
}

/// Goal: files stay small, and the exceptions shrink. Method: each file above the limit stands in
/// `tests/tidy.budget` with at most its listed size; nothing else stands there.
#[test]
fn sizes_keep_to_the_budget() {
    let budget_text = tree::read("tests/tidy.budget");
    let budget: Vec<(&str, usize)> = budget_text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let (path, lines) = line.rsplit_once(' ').expect("a line is `path lines`");
            (path.trim(), lines.parse().expect("lines are a number"))
        })
        .collect();
    let mut findings = Vec::new();
    for (path, lines) in tree::sizes() {
        let listed = budget.iter().find(|(known, _)| *known == path).map(|(_, lines)| *lines);
        match listed {
            None if lines > LINES_MAX => findings.push(format!(
                "{path} has {lines} lines: divide it, or add `{path} {lines}` to tests/tidy.budget"
            )),
            Some(listed) if lines > listed => {
                findings.push(format!("{path} grew from {listed} to {lines} lines: divide it"))
            }
            Some(_) if lines <= LINES_MAX => {
                findings.push(format!("{path} no longer needs its line in tests/tidy.budget"));
            }
            _ => {}
        }
    }
    let all = tree::sizes();
    for (path, _) in &budget {
        if !all.iter().any(|(known, _)| known == path) {
            findings.push(format!("{path} is in tests/tidy.budget and nowhere else"));
        }
    }
    expect_none("sizes keep to the budget", findings);
}

/// Goal: a reader learns from the top of a file what it is. Method: the first line is `//!`.
#[test]
fn every_file_introduces_itself() {
    let silent = sources().into_iter().filter(|file| !file.text.starts_with("//!"));
    expect_none("every file introduces itself", silent.map(|file| file.path).collect());
}

/// Goal: nothing in the tree depends on, or tells of, where it was written. Method: no path of this
/// machine or of whoever runs this, and none of the words for what is no part of the project.
#[test]
fn the_project_speaks_of_itself() {
    // Put together here, so that this file does not contain them.
    let mut banned: Vec<String> = [
        ["/ro", "ot/"],
        ["/wo", "rk/"],
        ["sub", "agent"],
        ["chat", "bot"],
        ["co", "pilot"],
        ["language ", "model"],
    ]
    .map(|halves| halves.concat())
    .to_vec();
    banned.push(format!("{}/", root().display()));
    banned.extend(std::env::var("HOME").ok().filter(|home| home.len() > 5).map(|it| it + "/"));
    let mut findings = Vec::new();
    for (path, text) in documents() {
        let text = text.to_lowercase();
        for words in banned.iter().filter(|words| text.contains(&words.to_lowercase())) {
            findings.push(format!("{path} says {words:?}"));
        }
    }
    expect_none("the project speaks of itself", findings);
}
