//! `tapline schemas`: the schemas that this release knows, and whether they hold together.
//!
//! Owns the list and the checks that need no server. Compatibility of versions is proven by the
//! project's tests before a release; here it is checked that what is compiled in is usable.

use super::{cli::Common, print, records};
use crate::codec::{
    avro::Avro,
    schemas::{self, Subject, Version},
    topics::TOPICS,
};
use crate::worker::{EXIT_DONE, EXIT_REFUSED};
use clap::Subcommand;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Subcommand)]
pub enum SchemasCommand {
    /// Every version of every subject with its fingerprint
    #[command(after_help = "Example:\n  tapline schemas list --output json")]
    List,
    /// Checks fingerprints, numbers, topics and registry ids; exit code 4 if anything is wrong
    #[command(after_help = "Example:\n  tapline schemas check")]
    Check,
}

#[derive(Debug, Serialize)]
struct Listed {
    subject: &'static str,
    version: u32,
    fingerprint: String,
    /// The version that is written.
    current: bool,
    /// Names of sensitive fields, masked wherever records are shown.
    sensitive_fields: Vec<String>,
}

impl Listed {
    fn of(version: &Version) -> Self {
        let text = serde_json::from_str(version.text).unwrap_or_default();
        let mut fields = Vec::new();
        sensitive(&text, &mut fields);
        fields.sort_unstable();
        fields.dedup();
        Self {
            subject: version.subject.name(),
            version: version.number,
            fingerprint: format!("{:016x}", version.fingerprint),
            current: schemas::current(version.subject).number == version.number,
            sensitive_fields: fields,
        }
    }
}

/// Collects the names of fields that carry a sensitivity.
fn sensitive(schema: &serde_json::Value, fields: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(entries) => {
            if let (Some(name), true) = (entries.get("name"), entries.contains_key("sensitivity")) {
                fields.extend(name.as_str().map(str::to_owned));
            }
            entries.values().for_each(|inner| sensitive(inner, fields));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|inner| sensitive(inner, fields)),
        _ => {}
    }
}

/// What is wrong with the compiled-in schemas; empty where nothing is.
pub fn faults() -> Vec<String> {
    let mut faults = Vec::new();
    let mut by_fingerprint = BTreeMap::new();
    let mut numbers: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for version in schemas::versions() {
        let name = format!("{}/{}", version.subject.name(), version.number);
        numbers.entry(version.subject.name()).or_default().push(version.number);
        if let Some(other) = by_fingerprint.insert(version.fingerprint, name.clone()) {
            faults.push(format!("{name} has the fingerprint of {other}"));
        }
    }
    for (subject, numbers) in &numbers {
        if !numbers.iter().copied().eq(1..=numbers.len() as u32) {
            faults.push(format!("the versions of {subject} are {numbers:?}, not 1, 2, ..."));
        }
    }
    for subject in Subject::ALL {
        if Avro::of(*subject).version().number != schemas::current(*subject).number {
            faults.push(format!("{} is not written in its latest version", subject.name()));
        }
    }
    for spec in TOPICS {
        if let Some(schema) = spec.schema.filter(|schema| !numbers.contains_key(schema)) {
            faults.push(format!("topic {} names the unknown schema {schema}", spec.topic.0));
        }
    }
    faults
}

pub fn run(common: &Common, command: SchemasCommand) -> i32 {
    match command {
        SchemasCommand::List => {
            let listed: Vec<Listed> = schemas::versions().iter().map(Listed::of).collect();
            let columns = [
                print::text("subject", &|it: &Listed| it.subject.to_owned()),
                print::number("version", &|it: &Listed| it.version.to_string()),
                print::text("fingerprint", &|it: &Listed| it.fingerprint.clone()),
                print::text("written", &|it: &Listed| {
                    if it.current { "yes" } else { "no" }.to_owned()
                }),
                print::text("masked fields", &|it: &Listed| it.sensitive_fields.join(", ")),
            ];
            print::rows(common.output, &listed, &columns);
            EXIT_DONE
        }
        SchemasCommand::Check => {
            let config = match common.load() {
                Ok(config) => config,
                Err(code) => return code,
            };
            if let Err(code) = records::registry_ids(&config) {
                return code;
            }
            let faults = faults();
            print::document(common.output, &faults, || match faults.is_empty() {
                true => format!("{} schemas, nothing wrong", schemas::versions().len()),
                false => faults.join("\n"),
            });
            if faults.is_empty() { EXIT_DONE } else { EXIT_REFUSED }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: this release's schemas hold together and the list names what is masked. Method: the
    /// check itself, and the commands' schema.
    #[test]
    fn nothing_is_wrong() {
        assert_eq!(faults(), Vec::<String>::new());
        let listed = Listed::of(schemas::current(Subject::Commands));
        assert!(listed.current && listed.fingerprint.len() == 16);
        assert_eq!(listed.sensitive_fields, ["card_token", "customer_id", "last_four", "text"]);
    }
}
