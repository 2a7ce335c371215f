//! The files of the project, as text.
//!
//! Owns which of them are looked at. Knows no rule.

use std::{
    fs,
    path::{Path, PathBuf},
};

pub struct SourceFile {
    /// Below `src/`.
    pub path: String,
    pub text: String,
}

impl SourceFile {
    /// First folder, or the file itself.
    pub fn layer(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// A file of tests that the code includes.
    pub fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name == "tests.rs" || name.ends_with("_tests.rs")
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    let found = fs::read_to_string(root().join(path));
    found.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Everything under `src/`, by name.
pub fn sources() -> Vec<SourceFile> {
    let below = |path: PathBuf| SourceFile {
        text: read(&name_of(&path)),
        path: name_of(&path).trim_start_matches("src/").to_owned(),
    };
    let files: Vec<SourceFile> = files("src", &["rs"]).into_iter().map(below).collect();
    assert!(files.len() > 50, "the search for sources finds too little");
    files
}

/// Lines of every Rust file, by its path from the root.
pub fn sizes() -> Vec<(String, usize)> {
    let all = ["src", "tests", "benches"].into_iter().flat_map(|folder| files(folder, &["rs"]));
    all.map(|path| (name_of(&path), read(&name_of(&path)).lines().count())).collect()
}

/// Names in `[dependencies]`, as code writes them.
pub fn dependencies() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let named = |line: &str| {
        let name = line.split_once(" = ")?.0.trim();
        (!name.starts_with('#')).then(|| name.replace('-', "_"))
    };
    let names: Vec<String> = section.lines().filter_map(named).collect();
    assert!(names.len() > 5, "the search for dependencies finds too little");
    names
}

/// Every text that somebody wrote: code, documents, settings; no real data, no lock file.
pub fn documents() -> Vec<(String, String)> {
    const ENDINGS: &[&str] =
        &["rs", "md", "toml", "yaml", "yml", "in", "xml", "avsc", "cql", "json", "sh", "budget"];
    let mut all: Vec<PathBuf> =
        ["src", "tests", "benches", "docs", "deploy", "schemas", "cassandra"]
            .into_iter()
            .chain(["rules", ".ci"])
            .flat_map(|folder| files(folder, ENDINGS))
            .collect();
    let own = fs::read_dir(root()).into_iter().flatten().flatten().map(|entry| entry.path());
    all.extend(own.filter(|path| {
        let name = name_of(path);
        path.is_file()
            && name != "Cargo.lock"
            && (name == "Dockerfile" || has_ending(path, ENDINGS))
    }));
    all.into_iter().map(|path| (name_of(&path), read(&name_of(&path)))).collect()
}

/// Files below a folder, ascending; none where there is no such folder.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if has_ending(&path, endings) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known))
}

/// Path from the root, with slashes.
fn name_of(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
