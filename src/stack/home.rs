//! The folder of one stack: where each file lies, and the lock on it.
//!
//! Owns the layout and refuses paths that Java would misread. Everything of a stack lies below its
//! home, so deleting the folder of a stopped stack forgets it wholly. The lock is held while a
//! stack is started or stopped, never while it runs, and falls with the process that holds it.

use super::{Server, StackError};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// How much of a log is shown in an error.
const TAIL_LINES: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
    text: String,
}

impl Home {
    /// Creates the folder if need be.
    pub fn open(path: &Path) -> Result<Home, StackError> {
        fs::create_dir_all(path).map_err(StackError::io(format!("create {}", path.display())))?;
        Home::existing(path)
    }

    pub fn existing(path: &Path) -> Result<Home, StackError> {
        let path = path.canonicalize().map_err(|_| StackError::NotUp(path.to_owned()))?;
        match path.to_str() {
            Some(text) if is_readable_by_java(text) => {
                Ok(Home { text: text.to_owned(), path: path.clone() })
            }
            _ => Err(StackError::Home(path)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn state_file(&self) -> PathBuf {
        self.path.join("stack.json")
    }

    pub fn log(&self, server: Server) -> PathBuf {
        self.path.join("logs").join(format!("{}.log", server.folder()))
    }

    /// Moves the log of the run before aside (one generation is kept), so that what a log says is
    /// about this run.
    pub fn new_log(&self, server: Server) -> Result<PathBuf, StackError> {
        let log = self.log(server);
        if log.exists() {
            fs::rename(&log, log.with_extension("log.before"))
                .map_err(StackError::io(format!("rename {}", log.display())))?;
        }
        self.write(&log, "")?;
        Ok(log)
    }

    /// Writes a file below this home, with its folders.
    pub fn write(&self, path: &Path, text: &str) -> Result<(), StackError> {
        let doing = || format!("write {}", path.display());
        fs::create_dir_all(path.parent().unwrap_or(&self.path)).map_err(StackError::io(doing()))?;
        fs::write(path, text).map_err(StackError::io(doing()))
    }

    /// Waits for other starts and stops of this home. Released when the file is dropped.
    pub fn lock(&self) -> Result<File, StackError> {
        lock(&self.path.join("stack.lock"))
    }
}

/// Waits for the lock on `path`; the system releases it when its holder ends.
pub fn lock(path: &Path) -> Result<File, StackError> {
    let doing = || format!("lock {}", path.display());
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(StackError::io(doing()))?;
    file.lock().map_err(StackError::io(doing()))?;
    Ok(file)
}

/// The last lines of a log; the empty text where there is no log.
pub fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// True if the log holds one of `needles`.
pub fn contains(log: &Path, needles: &[&str]) -> bool {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    needles.iter().any(|needle| text.contains(needle))
}

fn is_readable_by_java(path: &str) -> bool {
    !path.contains([':', ',', '"', '\'', '\\', '%', '#', '@', '?', '\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: only paths that survive class paths, URLs and property files are taken. Method: one
    /// path per case.
    #[test]
    fn odd_homes_are_refused() {
        for (path, then) in [
            ("/home/ann/.local/share/tapline", true),
            ("/home/ann smith/größe", true),
            ("/mnt/a:b", false),
            ("/mnt/a,b", false),
            ("/mnt/100%", false),
            ("/mnt/a#b", false),
        ] {
            assert_eq!(is_readable_by_java(path), then, "{path}");
        }
    }
}
