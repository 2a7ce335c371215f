//! The configuration as it was written: four layers, merged, every value still text.
//!
//! Owns the layers (defaults < file < environment < flags), the origin of each value and the
//! refusal of unknown keys. Never interprets a value: `reader` does. Environment values stay text
//! on purpose: the usual guess turns the password `0123` into the number 123.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::error::{ConfigError, Problem};
use super::table::{self, Kind, SETTINGS, Setting};

/// Where a configuration comes from. The caller gathers, so that tests touch no process state.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Must exist when named.
    pub file: Option<PathBuf>,
    /// Name and value; what is not ours is passed over.
    pub environment: Vec<(String, String)>,
    /// Key and value, the last word.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The process's own: the file named by `--config`, or `tapline.toml` where there is one.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Sources {
        let usual = PathBuf::from("tapline.toml");
        let file = file.or_else(|| usual.is_file().then_some(usual));
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        Sources { file, environment: environment.collect(), flags }
    }

    /// `key=value`, as a flag has it.
    pub fn parse_flag(flag: &str) -> Result<(String, String), String> {
        flag.split_once('=')
            .map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
            .ok_or_else(|| format!("write key=value, such as kafka.partitions=4, not {flag:?}"))
    }
}

/// Which layer a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Environment,
    Flag,
    /// A file of its own that the named layer points to; for secrets.
    SecretFile(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Environment => f.write_str("environment"),
            Origin::Flag => f.write_str("flag"),
            Origin::SecretFile(path) => write!(f, "secret file {}", path.display()),
        }
    }
}

/// A value as written.
#[derive(Clone, PartialEq, Eq)]
pub struct Written {
    pub text: String,
    pub origin: Origin,
}

/// What was written, by key. Every key is in the table, or `<key>_file` of one that is, or below a
/// map. No `Debug`: it holds secrets.
pub struct RawConfig {
    values: BTreeMap<String, Written>,
}

impl RawConfig {
    /// Merges the layers. Errors: an unreadable file, an unknown key, a secret given as a flag.
    pub fn read(sources: &Sources) -> Result<RawConfig, ConfigError> {
        let mut problems = Vec::new();
        let mut layers = vec![Layer { origin: Origin::Default, dict: defaults(|it| it.default) }];
        if let Some(path) = &sources.file {
            match read_file(path) {
                Ok(dict) => layers.push(Layer { origin: Origin::File(path.clone()), dict }),
                Err(problem) => problems.push(problem),
            }
        }
        let variable =
            |(name, value): &(String, String)| Some((environment_key(name)?, value.clone()));
        // Manifests declare variables and leave them blank: a known one then says nothing.
        let speaks = |(path, value): &(Vec<String>, String)| {
            !value.is_empty() || table::find(&path.join(".")).is_none()
        };
        let variables = sources.environment.iter().filter_map(variable).filter(speaks);
        layers.push(Layer { origin: Origin::Environment, dict: nest(variables) });
        let flags = sources.flags.iter().map(|(key, value)| (split_key(key), value.clone()));
        layers.push(Layer { origin: Origin::Flag, dict: nest(flags) });

        let mut values = merge(&layers);
        let profile = values.get("worker.profile").map_or("", |profile| profile.text.trim());
        if profile.eq_ignore_ascii_case("production") {
            let dict = defaults(|setting| setting.in_production);
            layers.insert(1, Layer { origin: Origin::Default, dict });
            values = merge(&layers);
        }
        problems.extend(values.iter().filter_map(|(key, written)| refuse(key, written)));
        if problems.is_empty() { Ok(RawConfig { values }) } else { Err(ConfigError { problems }) }
    }

    /// What was written for a key. Empty text is no value.
    pub fn get(&self, key: &str) -> Option<&Written> {
        self.values.get(key).filter(|written| !written.text.is_empty())
    }

    /// Where a key was written, if only as empty text.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.values.get(key).map(|written| &written.origin)
    }

    /// The values below a map, by what follows its key.
    pub fn below<'a>(&'a self, map: &'a str) -> impl Iterator<Item = (&'a str, &'a Written)> {
        self.values.iter().filter_map(move |(key, written)| {
            Some((key.strip_prefix(map)?.strip_prefix('.')?, written))
        })
    }
}

struct Layer {
    origin: Origin,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Later layers win, key by key; a list replaces a list.
fn merge(layers: &[Layer]) -> BTreeMap<String, Written> {
    let figment = layers.iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
    let origin_of = |tag: Tag| {
        let name = figment.get_metadata(tag).map(|metadata| metadata.name.clone());
        let of_layer = |layer: &&Layer| Some(layer.origin.to_string().as_str()) == name.as_deref();
        layers.iter().find(of_layer).map_or(Origin::Default, |layer| layer.origin.clone())
    };
    // Our layers cannot fail to provide: each holds its values already.
    let merged = figment.data().unwrap_or_default().remove(&Profile::Default);
    let mut values = BTreeMap::new();
    for (group, value) in merged.unwrap_or_default() {
        flatten(group, &value, &origin_of, &mut values);
    }
    values
}

fn flatten(
    key: String,
    value: &Value,
    origin_of: &impl Fn(Tag) -> Origin,
    values: &mut BTreeMap<String, Written>,
) {
    if let Value::Dict(_, dict) = value {
        for (name, value) in dict {
            flatten(format!("{key}.{name}"), value, origin_of, values);
        }
    } else {
        values.insert(key, Written { text: text_of(value), origin: origin_of(value.tag()) });
    }
}

/// Numbers and booleans become the text that they were, so that a file may say `password = 12345`.
fn text_of(value: &Value) -> String {
    let number = |it: &Value| {
        (it.to_u128().map(|it| it.to_string()))
            .or_else(|| it.to_i128().map(|it| it.to_string()))
            .or_else(|| it.to_f64().map(|it| it.to_string()))
    };
    match value {
        Value::String(_, text) => text.clone(),
        Value::Char(_, letter) => letter.to_string(),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(..) => number(value).unwrap_or_default(),
        Value::Array(_, items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        Value::Empty(..) | Value::Dict(..) => String::new(),
    }
}

/// The error names the line, never its text: there may be a password in it.
fn read_file(path: &Path) -> Result<Dict, Problem> {
    let problem = |fault: String, cure: &str| Problem {
        key: "--config".to_owned(),
        value: Some(path.display().to_string()),
        origin: Origin::Flag.to_string(),
        fault,
        cure: cure.to_owned(),
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| problem(format!("cannot be read ({error})"), "name a readable file"))?;
    Toml::from_str::<Dict>(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        problem(format!("is not TOML at line {line}"), "mend that line")
    })
}

/// The path of a variable that is ours: prefix, then `__` between group and key. What an
/// orchestrator injects for a service called `tapline-...` has no `__` and is left alone.
fn environment_key(name: &str) -> Option<Vec<String>> {
    let name = name.strip_prefix("TAPLINE_")?;
    if !name.contains("__") {
        return None;
    }
    let mut path: Vec<String> = name.to_lowercase().split("__").map(str::to_owned).collect();
    let is_map = |setting: &Setting| setting.kind == Kind::Map;
    if path.len() > 2 && table::find(&path[..2].join(".")).is_some_and(is_map) {
        // The client's properties have dots, which a shell refuses in a name.
        path = vec![path[0].clone(), path[1].clone(), path[2..].join("_").replace('_', ".")];
    }
    Some(path)
}

/// At most three parts: what follows a map's key is one name, dots included.
fn split_key(key: &str) -> Vec<String> {
    key.splitn(3, '.').map(str::to_owned).collect()
}

fn defaults(default: fn(&Setting) -> Option<&'static str>) -> Dict {
    nest(SETTINGS.iter().filter_map(|setting| {
        default(setting).map(|text| (split_key(setting.key), text.to_owned()))
    }))
}

fn nest(pairs: impl Iterator<Item = (Vec<String>, String)>) -> Dict {
    fn insert(dict: &mut Dict, path: &[String], text: String) {
        let [first, rest @ ..] = path else { return };
        if rest.is_empty() {
            dict.insert(first.clone(), Value::from(text));
            return;
        }
        let inner = dict.entry(first.clone()).or_insert_with(|| Value::from(Dict::new()));
        if let Value::Dict(_, inner) = inner {
            insert(inner, rest, text);
        }
    }
    let mut dict = Dict::new();
    for (path, text) in pairs {
        insert(&mut dict, &path, text);
    }
    dict
}

fn refuse(key: &str, written: &Written) -> Option<Problem> {
    let problem = |fault: &str, cure: String| {
        Some(Problem {
            key: key.to_owned(),
            value: None,
            origin: place(key, &written.origin),
            fault: fault.to_owned(),
            cure,
        })
    };
    let of_file_form = key.strip_suffix("_file").and_then(table::find);
    if of_file_form.is_some_and(Setting::has_file_form) {
        return None;
    }
    match table::find(key) {
        Some(setting) if setting.is_secret() && written.origin == Origin::Flag => problem(
            "arguments can be read by every user of the machine",
            format!("use {}_FILE", table::environment_form(key)),
        ),
        Some(setting) if setting.kind != Kind::Map => None,
        Some(_) => problem("is a table of properties", format!("write [{key}] and names below")),
        None if is_below_map(key) => None,
        None => problem("unknown key", nearest(key)),
    }
}

fn is_below_map(key: &str) -> bool {
    let is_above = |map: &str| key.strip_prefix(map).is_some_and(|rest| rest.starts_with('.'));
    SETTINGS.iter().any(|setting| setting.kind == Kind::Map && is_above(setting.key))
}

/// Where to look for a value: the layer, and for the environment the very variable.
pub fn place(key: &str, origin: &Origin) -> String {
    match origin {
        Origin::Environment => format!("environment {}", table::environment_form(key)),
        other => other.to_string(),
    }
}

/// The known key with the fewest letters to change.
fn nearest(key: &str) -> String {
    let closest = SETTINGS.iter().min_by_key(|setting| distance(key, setting.key));
    match closest {
        Some(setting) if distance(key, setting.key) <= 4 => {
            format!("did you mean {}?", setting.key)
        }
        _ => "see the reference for the keys there are".to_owned(),
    }
}

/// Letters to insert, delete or replace to get from one word to the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
