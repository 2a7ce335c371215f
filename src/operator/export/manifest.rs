//! The manifest of an export: every file with its rows, sums and hash.
//!
//! Owns `manifest.json`. Files of former runs stay in it, so that a folder that grew over weeks has
//! one list. No time of writing stands in it: the same log gives the same bytes.

use super::{
    day_file::{ExportError, at},
    days::Row,
};
use crate::domain::money::Currency;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, path::Path};

const NAME: &str = "manifest.json";

/// Changes only with another meaning of the fields.
const VERSION: i32 = 1;

/// Sums by currency and by what is summed.
type Sums = BTreeMap<Currency, BTreeMap<String, i64>>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Records of the log.
    pub records: i64,
    pub rows: i64,
    /// Offsets of the topic, both inclusive.
    pub first_offset: i64,
    pub last_offset: i64,
    /// Postings: `credit_minor` and `debit_minor` of the legs, which cancel out. Events: every
    /// amount column.
    pub sums_minor: Sums,
    /// The log has something of a later day; else the day may still grow.
    pub is_complete: bool,
    pub sha256: String,
}

impl File {
    pub fn count(&mut self, offset: i64, rows: &[Row]) {
        if self.records == 0 {
            self.first_offset = offset;
        }
        self.records += 1;
        self.last_offset = offset;
        for row in rows {
            self.rows += 1;
            for (currency, name, minor) in &row.sums {
                let sums = self.sums_minor.entry(*currency).or_default();
                let sum = sums.entry((*name).to_owned()).or_default();
                *sum = sum.saturating_add(*minor);
            }
        }
    }
}

/// A file that this run wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Below the folder, with `/`.
    pub path: String,
    #[serde(flatten)]
    pub file: File,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: i32,
    files: BTreeMap<String, File>,
}

impl Manifest {
    /// The folder's, or an empty one. Errors: one that is not ours is never written over.
    pub fn open(folder: &Path) -> Result<Self, ExportError> {
        let path = folder.join(NAME);
        if !path.exists() {
            return Ok(Self { version: VERSION, files: BTreeMap::new() });
        }
        let text = fs::read_to_string(&path).map_err(at(&path))?;
        let wrong = |reason: String| ExportError::Manifest { path: path.clone(), reason };
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        match manifest.version {
            VERSION => Ok(manifest),
            other => Err(wrong(format!("its version is {other}"))),
        }
    }

    pub fn add(&mut self, written: &[Written]) {
        let files = written.iter().map(|it| (it.path.clone(), it.file.clone()));
        self.files.extend(files);
    }

    pub fn write(&self, folder: &Path) -> Result<(), ExportError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let (path, partial) = (folder.join(NAME), folder.join("manifest.json.partial"));
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        fs::write(&partial, text).map_err(at(&partial))?;
        fs::rename(&partial, &path).map_err(at(&path))
    }
}
