//! A path as files: which form it is written in, and what the checks found in it.
//!
//! Owns opening. A file of tapline's own forms is opened once for each pass and never kept in
//! memory; the publishers' months are small and read whole.

use super::{FileArgs, Form};
use crate::clearing::{
    cards::CardLines,
    checked::{self, Checked},
    problem::Problem,
    published::{self, Batch},
    reading::{self, Reading},
    row::FileKind,
    settlement_files::{Report, Statement, read_report, read_statement},
};
use crate::producer::{
    city::{self, City},
    council::{self, Council},
    table::{FileError, file_name},
};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Why a path gives no files to import.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Unreadable(String),
    #[error("{file}, {problem}")]
    Wrong { file: String, problem: Problem },
    #[error(transparent)]
    Row(#[from] FileError),
}

/// What a path holds, checked.
pub enum Found {
    Clearing(Opened, Box<Checked>),
    Report(Box<Report>),
    Statement(Box<Statement>),
    Published(Vec<Batch>),
}

/// A file of our own forms, to be opened again.
#[derive(Clone, Debug)]
pub struct Opened {
    path: PathBuf,
    form: reading::Form,
}

impl Opened {
    fn reader(&self) -> io::Result<BufReader<File>> {
        Ok(BufReader::with_capacity(BUFFER_BYTES, File::open(&self.path)?))
    }

    /// The lines once more, for the second pass.
    pub fn lines(&self) -> Result<CardLines<BufReader<File>>, Refused> {
        let reader = self.reader().map_err(|error| unreadable(&self.path, &error))?;
        CardLines::open(reader, self.form).map_err(|problem| wrong(&self.path, problem))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Refused {
    Refused::Unreadable(format!("{} cannot be read: {error}", path.display()))
}

fn wrong(path: &Path, problem: Problem) -> Refused {
    Refused::Wrong { file: file_name(path), problem }
}

/// The first pass over everything the path holds.
pub fn find(args: &FileArgs) -> Result<Found, Refused> {
    let path = args.file.as_path();
    let form = match args.form {
        Some(form) => form,
        None => recognised(path)?,
    };
    match form {
        Form::Csv => own(path, reading::Form::Csv),
        Form::Jsonl => own(path, reading::Form::Jsonl),
        Form::City => {
            let city = match path.is_dir() {
                true => City::read(path)?,
                // A month alone: the totals beside it are not needed here.
                false => City::of_files(path, &[path.to_owned()])?,
            };
            Ok(Found::Published(published::city(&city)))
        }
        Form::Council => {
            let council = match path.is_dir() {
                true => Council::read(path)?,
                false => Council::of_files(path, &[path.to_owned()])?,
            };
            Ok(Found::Published(published::council(&council)))
        }
    }
}

fn own(path: &Path, form: reading::Form) -> Result<Found, Refused> {
    let opened = Opened { path: path.to_owned(), form };
    let reader = || opened.reader().map_err(|error| unreadable(path, &error));
    let is_wrong = |problem| wrong(path, problem);
    let reading = Reading::open(reader()?, form).map_err(is_wrong)?;
    match reading.header.kind {
        FileKind::Clearing => {
            let lines = CardLines::of(reading).map_err(is_wrong)?;
            let checked = checked::check_lines(lines).map_err(is_wrong)?;
            Ok(Found::Clearing(opened, Box::new(checked)))
        }
        FileKind::Report => {
            let report = read_report(reader()?, form).map_err(is_wrong)?;
            Ok(Found::Report(Box::new(report)))
        }
        FileKind::Statement => {
            let statement = read_statement(reader()?, form).map_err(is_wrong)?;
            Ok(Found::Statement(Box::new(statement)))
        }
    }
}

/// By what lies in a folder, a file's name, and else its first byte.
fn recognised(path: &Path) -> Result<Form, Refused> {
    let has = |prefix: &str| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| {
            let name = name.to_string_lossy();
            name.starts_with(prefix) && name.ends_with(".csv")
        })
    };
    let name = file_name(path);
    if path.is_dir() {
        return match (has(city::PREFIX), has(council::PREFIX)) {
            (true, _) => Ok(Form::City),
            (_, true) => Ok(Form::Council),
            _ => Err(Refused::Unreadable(format!(
                "{}: neither pcard-*.csv nor purchase-card-*.csv in this folder",
                path.display()
            ))),
        };
    }
    if name.starts_with(city::PREFIX) {
        return Ok(Form::City);
    }
    if name.starts_with(council::PREFIX) {
        return Ok(Form::Council);
    }
    let mut first = [0];
    let read = File::open(path).and_then(|mut file| file.read(&mut first));
    read.map_err(|error| unreadable(path, &error))?;
    Ok(if first == *b"{" { Form::Jsonl } else { Form::Csv })
}
