//! The documents against the program: generated tables, links, and the form of decisions.
//!
//! Owns what a reader would stumble over first. Reads files and the library's own tables; needs no
//! server.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Markdown file that we wrote, by name.
fn pages() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if path.is_dir() {
                let is_ours = !name.starts_with('.') && name != "target";
                folders.extend(is_ours.then_some(path));
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "the search for documents finds too little");
    found
}

/// The page without fenced blocks and code spans, in which brackets mean something else.
fn prose(text: &str) -> String {
    let mut is_fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            let outside = line.split('`').step_by(2);
            prose.push_str(&outside.collect::<Vec<_>>().join(" "));
            prose.push('\n');
        }
    }
    prose
}

/// Goal: the README's topics are the program's. Method: its generated part, between the two marks,
/// is the renderer's text.
#[test]
fn the_table_of_topics_is_generated() {
    let page = read(&root().join("README.md"));
    let (begin, end) = ("<!-- topics -->\n", "<!-- /topics -->");
    let table = page
        .split_once(begin)
        .and_then(|(_, rest)| rest.split_once(end))
        .map(|(table, _)| table)
        .expect("README.md has both marks of the table of topics");
    assert_eq!(table.trim(), tapline::operator::topics::markdown().trim());
}

/// Goal: no link leads nowhere. Method: each relative link of each page is a file or a folder, and
/// what follows a `#` is a heading there.
#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    let mut links = 0;
    for page in pages() {
        let text = prose(&read(&page));
        for rest in text.split("](").skip(1) {
            let Some((link, _)) = rest.split_once(')') else { continue };
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let (path, place) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap_or(root()).join(path),
            };
            let found = target.exists()
                && (place.is_empty() || headings(&target).iter().any(|known| known == place));
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(links > 30, "the search for links finds too little");
    assert!(broken.is_empty(), "broken links:\n  {}", broken.join("\n  "));
}

/// Headings of a page as links name them.
fn headings(page: &Path) -> Vec<String> {
    let heading = |line: &str| {
        let text = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        Some(kept.collect::<String>().replace(' ', "-"))
    };
    read(page).lines().filter_map(heading).collect()
}

/// Goal: a decision can be judged later. Method: each page in docs/adr has the five headings in
/// order, a title with its own number, and the numbers have no gap.
#[test]
fn decisions_are_whole() {
    const HEADINGS: [&str; 5] = [
        "## Context",
        "## Decision",
        "## Rejected, and why",
        "## Consequences",
        "## How we would notice that it was wrong",
    ];
    let folder = root().join("docs/adr");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("docs/adr is a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    for (place, name) in names.iter().enumerate() {
        let number = format!("{:04}", place + 1);
        assert!(name.starts_with(&number), "{name} should be {number}");
        let page = read(&folder.join(name));
        assert!(page.starts_with(&format!("# {number} ")), "{name}: its title lacks its number");
        let found: Vec<&str> =
            page.lines().filter(|line| line.starts_with("## ")).map(str::trim).collect();
        assert_eq!(found, HEADINGS, "{name}");
    }
}

/// Goal: an operator finds what a code means. Method: every code of a dead letter has a line in
/// docs/errors.md, with the program's own sentence.
#[test]
fn every_code_is_explained() {
    let page = read(&root().join("docs/errors.md"));
    for (code, sentence) in tapline::codec::codes::CODES {
        let line = page.lines().find(|line| line.starts_with(&format!("| `{code}` |")));
        let line = line.unwrap_or_else(|| panic!("{code} has no line in docs/errors.md"));
        assert!(line.contains(sentence), "{code} is explained otherwise than by the program");
    }
}

/// Goal: "what guards it" is there. Method: each name in backticks of a guard in ARCHITECTURE.md is
/// a file, or a word of the sources or tests.
#[test]
fn guards_exist() {
    let page = read(&root().join("ARCHITECTURE.md"));
    let (mut text, mut folders) = (String::new(), vec![root().join("src"), root().join("tests")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|ending| ending == "rs") => {
                    text += &read(&path)
                }
                _ => {}
            }
        }
    }
    let words: std::collections::BTreeSet<&str> =
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let guards: Vec<&str> =
        page.split("*Guard:*").skip(1).filter_map(|rest| rest.lines().next()).collect();
    assert!(guards.len() > 10, "the search for guards finds too little");
    for guard in guards {
        for name in guard.split('`').skip(1).step_by(2) {
            let is_file = ["", "src", "tests"].iter().any(|at| root().join(at).join(name).exists());
            let last = name.rsplit("::").next().unwrap_or(name);
            assert!(is_file || words.contains(last), "no `{name}`, in: {guard}");
        }
    }
}
