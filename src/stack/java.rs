//! Finds a Java that both servers run on.
//!
//! Owns the search: `JAVA_HOME`, the path, the usual folders. Cassandra 5.0 supports Java 17;
//! up to 21 it starts once the security manager is allowed. From 24 on Java has none, and
//! Cassandra cannot start.

use super::wait::Deadline;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

/// Below it Cassandra's class files are too new, above it Java lacks what Cassandra needs.
const VERSIONS: std::ops::RangeInclusive<u32> = 17..=23;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Java {
    pub program: PathBuf,
    pub version: u32,
}

impl Java {
    /// The best Java here, 17 before newer ones; else a sentence saying what was found and what is
    /// needed.
    pub fn find() -> Result<Java, String> {
        let found: Vec<Java> = candidates().into_iter().filter_map(Java::at).collect();
        let fit = found.iter().filter(|java| VERSIONS.contains(&java.version));
        match fit.min_by_key(|java| java.version) {
            Some(java) => Ok(java.clone()),
            None => {
                let found: Vec<String> = found
                    .iter()
                    .map(|java| format!("Java {} at {}", java.version, java.program.display()))
                    .collect();
                let found = if found.is_empty() { "none".to_owned() } else { found.join(" and ") };
                Err(format!(
                    "Java 17 is needed (17 to 23 will do), found {found}: install a JDK 17 or set \
                     JAVA_HOME"
                ))
            }
        }
    }

    fn at(program: PathBuf) -> Option<Java> {
        let output = answer(Command::new(&program).arg("-version"), Duration::from_secs(20))?;
        let version = parse_version(&String::from_utf8_lossy(&output.stderr))?;
        Some(Java { program, version })
    }
}

/// Runs a short question to another program; `None` if it cannot be run or does not answer in time.
/// Meant for a few lines of answer: more than a pipe holds would count as no answer.
pub fn answer(command: &mut Command, limit: Duration) -> Option<Output> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    let deadline = Deadline::after(limit);
    while child.try_wait().ok()?.is_none() {
        if !deadline.pause() {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
    }
    child.wait_with_output().ok()
}

/// Where `name` is found on the path.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn candidates() -> Vec<PathBuf> {
    let mut programs = Vec::new();
    if let Some(home) = env::var_os("JAVA_HOME") {
        programs.push(Path::new(&home).join("bin/java"));
    }
    programs.extend(on_path("java"));
    for folder in ["/usr/lib/jvm", "/Library/Java/JavaVirtualMachines"] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            programs.push(entry.path().join("bin/java"));
            programs.push(entry.path().join("Contents/Home/bin/java"));
        }
    }
    // One Java is often reached by many links.
    let mut real: Vec<PathBuf> = Vec::new();
    for program in programs {
        if let Ok(program) = program.canonicalize()
            && !real.contains(&program)
        {
            real.push(program);
        }
    }
    real
}

/// The major version in what `java -version` prints, such as `openjdk version "17.0.15"`.
fn parse_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("version \"")?;
    let mut parts = rest.split(|sign: char| !sign.is_ascii_digit());
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(), // 1.8.0 was Java 8
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the version is understood as old, new and early Javas print it. Method: a line each.
    #[test]
    fn version_is_parsed() {
        for (text, then) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime", Some(17)),
            ("java version \"1.8.0_392\"", Some(8)),
            ("Picked up JAVA_TOOL_OPTIONS: -X\nopenjdk version \"21\" 2023-09-19", Some(21)),
            ("openjdk version \"25-ea\"", Some(25)),
            ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ] {
            assert_eq!(parse_version(text), then, "{text}");
        }
    }
}
