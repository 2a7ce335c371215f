//! Pages made from the table of settings: the reference, and the print-out of what is in force.
//!
//! Owns the wording of both. Never shows a secret. Invariant: every key of the table is in both,
//! so a page that a build compares with the documentation is complete.

use super::raw::{RawConfig, place};
use super::reader::Reader;
use super::table::{Kind, SETTINGS, Setting, environment_form};

/// One line of the print-out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Effective {
    pub key: String,
    /// `***` for a secret, `None` where nothing is set.
    pub value: Option<String>,
    /// Where the value comes from, as an operator would look for it.
    pub origin: String,
}

/// What is in force, in the order of the table.
pub(super) fn effective(raw: &RawConfig) -> Vec<Effective> {
    let read = Reader::new(raw);
    let mut lines = Vec::new();
    for setting in SETTINGS {
        if setting.kind == Kind::Map {
            lines.extend(raw.below(setting.key).map(|(name, written)| {
                let key = format!("{}.{name}", setting.key);
                let origin = place(&key, &written.origin);
                Effective { key, value: Some(written.text.clone()), origin }
            }));
            continue;
        }
        let written = read.written(setting.key);
        let shown = |text: &str| {
            if setting.is_secret() { "***".into() } else { text.into() }
        };
        lines.push(Effective {
            key: setting.key.to_owned(),
            value: written.map(|written| shown(&written.text)),
            origin: written.map_or("not set".into(), |it| place(setting.key, &it.origin)),
        });
    }
    lines
}

/// One line a key: `kafka.partitions = "12"  # default`.
pub(super) fn print(lines: &[Effective]) -> String {
    let assigned = |line: &Effective| match &line.value {
        Some(value) => format!("{} = {value:?}", line.key),
        None => format!("# {}", line.key),
    };
    let width = lines.iter().map(|line| assigned(line).len()).max().unwrap_or(0);
    let rows = lines.iter().map(|line| format!("{:width$}  # {}\n", assigned(line), line.origin));
    rows.collect()
}

/// The reference as a Markdown table: key, environment form, default, meaning.
pub fn reference() -> String {
    let mut page = String::from("| key | environment | default | meaning |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let (key, variable) = match setting.kind {
            Kind::Map => (
                format!("{}.<name>", setting.key),
                format!("{}__<NAME>", environment_form(setting.key)),
            ),
            _ => (setting.key.to_owned(), environment_form(setting.key)),
        };
        let file = if setting.has_file_form() { " or `..._FILE`" } else { "" };
        page += &format!(
            "| `{key}` | `{variable}`{file} | {} | {}{} |\n",
            default_of(setting),
            setting.meaning,
            allowed(setting)
        );
    }
    page
}

fn default_of(setting: &Setting) -> String {
    let default = match setting.default {
        None => "not set".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => format!("`{text}`"),
    };
    match setting.in_production {
        Some(text) => format!("{default}, in production `{text}`"),
        None => default,
    }
}

fn allowed(setting: &Setting) -> String {
    match setting.kind {
        Kind::Choice(words) => format!(" (`{}`)", words.join("`, `")),
        Kind::Count { min, max } => format!(" ({min} to {max})"),
        Kind::Secret => " (secret)".to_owned(),
        _ => String::new(),
    }
}
