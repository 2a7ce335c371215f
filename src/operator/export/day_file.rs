//! One file of one day and partition, while it is written.
//!
//! Owns the other name that a file has until it is whole: whoever reads the folder sees whole files
//! only. Keeps at most one group of rows in memory, and hashes what goes to the disk.

use super::{
    columns::{self, Group},
    days::Row,
    manifest::{File, Written},
    tables::Table,
};
use parquet::{errors::ParquetError, file::writer::SerializedFileWriter};
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// Rows of a group: some megabytes in memory.
const GROUP_ROWS: usize = 20_000;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{path}: {error}")]
    Parquet { path: PathBuf, error: ParquetError },
    #[error("{path} is no manifest of ours: {reason}")]
    Manifest { path: PathBuf, reason: String },
    #[error("the clock of partition {partition} runs back at offset {offset}")]
    ClockRunsBack { partition: i32, offset: i64 },
}

pub fn at(path: &Path) -> impl Fn(io::Error) -> ExportError + '_ {
    move |error| ExportError::File { path: path.to_owned(), error }
}

/// The disk, and the hash of what went there.
struct Hashed {
    file: fs::File,
    hash: Arc<Mutex<Sha256>>,
}

impl io::Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        let mut hash = self.hash.lock().map_err(|_| io::Error::other("a hash was left"))?;
        hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

pub struct DayFile {
    path: PathBuf,
    partial: PathBuf,
    /// Below the folder, with `/`.
    name: String,
    writer: SerializedFileWriter<Hashed>,
    hash: Arc<Mutex<Sha256>>,
    group: Group,
    file: File,
}

impl DayFile {
    /// `name`: below `folder`, whose missing parts are made.
    pub fn create(table: &Table, folder: &Path, name: String) -> Result<Self, ExportError> {
        let path = folder.join(&name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let partial = path.with_extension("parquet.partial");
        let file = fs::File::create(&partial).map_err(at(&partial))?;
        let hash = Arc::new(Mutex::new(Sha256::new()));
        let to = Hashed { file, hash: hash.clone() };
        let wrong = |error| ExportError::Parquet { path: path.clone(), error };
        let schema = columns::schema(table.name, table.columns).map_err(wrong)?;
        let writer = SerializedFileWriter::new(to, schema, columns::properties()).map_err(wrong)?;
        let group = Group::of(table.columns);
        Ok(Self { path, partial, name, writer, hash, group, file: File::default() })
    }

    fn wrong(&self, error: ParquetError) -> ExportError {
        ExportError::Parquet { path: self.path.clone(), error }
    }

    /// Takes the rows of the record at this offset.
    pub fn take(&mut self, offset: i64, rows: Vec<Row>) -> Result<(), ExportError> {
        self.file.count(offset, &rows);
        for row in rows {
            self.group.push(row.cells).map_err(|error| self.wrong(error))?;
            if self.group.rows() >= GROUP_ROWS {
                let done = self.group.write(&mut self.writer);
                done.map_err(|error| self.wrong(error))?;
            }
        }
        Ok(())
    }

    /// Makes it whole and gives it its name.
    pub fn finish(mut self, is_complete: bool) -> Result<Written, ExportError> {
        let done = self.group.write(&mut self.writer);
        done.map_err(|error| self.wrong(error))?;
        let done = self.writer.finish();
        done.map_err(|error| self.wrong(error))?;
        self.writer.inner().file.sync_all().map_err(at(&self.partial))?;
        fs::rename(&self.partial, &self.path).map_err(at(&self.path))?;
        let hash = self.hash.lock().map(|hash| hash.clone().finalize()).unwrap_or_default();
        let sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let file = File { sha256, is_complete, ..self.file };
        Ok(Written { path: self.name, file })
    }
}
