//! Values by their schema files: generic Avro, fields by name.
//!
//! Owns reading a framed value with the schema that its frame names, out of the files under
//! `schemas/`, and plain look-ups in what was read. Knows no type of the pipeline. Invariant: a
//! value counts as read only if every byte of it was used.

use super::evidence::{COMMANDS, EVENTS, FEED_ITEMS, OUTCOMES, PARTS, POSTINGS, WINDOWS};
use apache_avro::{Schema, rabin::Rabin, reader::datum::GenericDatumReader, types::Value};
use sha2::{Digest, Sha256};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::LazyLock,
};

pub const HEAD: &str = "authorisation.head";
pub const SIDE: &str = "authorisation.side";

/// Every version of every subject; a new version is one more line.
const TEXTS: &[(&str, &str)] = &[
    (COMMANDS, include_str!("../../../schemas/payments.commands.v1/1.avsc")),
    (EVENTS, include_str!("../../../schemas/payments.events.v1/1.avsc")),
    (HEAD, include_str!("../../../schemas/authorisation.head/1.avsc")),
    (SIDE, include_str!("../../../schemas/authorisation.side/1.avsc")),
    (POSTINGS, include_str!("../../../schemas/ledger.postings.v1/1.avsc")),
    (PARTS, include_str!("../../../schemas/settlement.parts.v1/1.avsc")),
    (WINDOWS, include_str!("../../../schemas/settlement.windows.v1/1.avsc")),
    (FEED_ITEMS, include_str!("../../../schemas/feed.items.v1/1.avsc")),
    (OUTCOMES, include_str!("../../../schemas/push.outcomes.v1/1.avsc")),
];

/// Largest thing that a value may make the reader allocate.
const ALLOCATION_BYTES_MAX: usize = 1 << 20;

struct Known {
    subject: &'static str,
    fingerprint: [u8; 8],
    /// Names of the branches of the field `body`, where there is one.
    bodies: Vec<String>,
    reader: GenericDatumReader<'static>,
}

static SCHEMAS: LazyLock<Vec<Schema>> = LazyLock::new(|| {
    apache_avro::util::max_allocation_bytes(ALLOCATION_BYTES_MAX);
    let parse = |text| Schema::parse_str(text).expect("the schema files are tested to parse");
    TEXTS.iter().map(|(_, text)| parse(text)).collect()
});

static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let known = |((subject, _), schema): (&(&'static str, &str), &'static Schema)| {
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&schema.fingerprint::<Rabin>().bytes);
        let reader = GenericDatumReader::builder(schema).human_readable(false).build();
        Known {
            subject,
            fingerprint,
            bodies: bodies(schema),
            reader: reader.expect("a schema file refers to nothing outside itself"),
        }
    };
    TEXTS.iter().zip(SCHEMAS.iter()).map(known).collect()
});

fn bodies(schema: &Schema) -> Vec<String> {
    let Schema::Record(record) = schema else { return Vec::new() };
    let body = record.fields.iter().find(|field| field.name == "body");
    let Some(Schema::Union(union)) = body.map(|field| &field.schema) else { return Vec::new() };
    let name = |branch: &Schema| match branch {
        Schema::Record(record) => record.name.name().to_owned(),
        Schema::Ref { name } => name.name().to_owned(),
        other => format!("{other:?}"),
    };
    union.variants().iter().map(name).collect()
}

/// Why a value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Neither frame, another subject's schema, or bytes that do not fit the schema.
    Broken,
    /// Written with a schema that this auditor does not have: nothing can be said.
    UnknownSchema,
}

pub type Fields = [(String, Value)];

/// A record value as read.
pub struct Doc {
    pub fields: Vec<(String, Value)>,
    /// Name of the branch of `body`; empty where there is none.
    pub kind: &'static str,
}

impl Doc {
    pub fn body(&self) -> &Fields {
        record(&self.fields, "body").unwrap_or_default()
    }
}

pub fn read(subject: &str, value: &[u8]) -> Result<Doc, Unread> {
    let (fingerprint, body) = match value {
        [0xC3, 0x01, rest @ ..] => rest.split_first_chunk::<8>().ok_or(Unread::Broken)?,
        // The registry's frame: no id of ours is known to this auditor.
        [0x00, _, _, _, _, ..] => return Err(Unread::UnknownSchema),
        _ => return Err(Unread::Broken),
    };
    let known = KNOWN.iter().find(|known| known.fingerprint == *fingerprint);
    let known = known.ok_or(Unread::UnknownSchema)?;
    if known.subject != subject {
        return Err(Unread::Broken);
    }
    let mut rest = body;
    let value = catch_unwind(AssertUnwindSafe(|| known.reader.read_value(&mut rest)));
    let Ok(Ok(Value::Record(fields))) = value else { return Err(Unread::Broken) };
    if !rest.is_empty() {
        return Err(Unread::Broken);
    }
    let branch = match fields.iter().find(|(name, _)| name == "body") {
        Some((_, Value::Union(branch, _))) => known.bodies.get(*branch as usize),
        _ => None,
    };
    Ok(Doc { fields, kind: branch.map_or("", String::as_str) })
}

/// The value of a field, out of its union; `None` where it is null or absent.
pub fn get<'a>(fields: &'a Fields, name: &str) -> Option<&'a Value> {
    plain(&fields.iter().find(|(known, _)| known == name)?.1)
}

fn plain(value: &Value) -> Option<&Value> {
    match value {
        Value::Union(_, inner) => plain(inner),
        Value::Null => None,
        other => Some(other),
    }
}

pub fn long(fields: &Fields, name: &str) -> Option<i64> {
    match get(fields, name)? {
        Value::Long(number) | Value::TimestampMillis(number) => Some(*number),
        Value::Int(number) => Some(i64::from(*number)),
        _ => None,
    }
}

/// A string or the symbol of an enum.
pub fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    match get(fields, name)? {
        Value::String(text) | Value::Enum(_, text) => Some(text),
        _ => None,
    }
}

pub fn flag(fields: &Fields, name: &str) -> bool {
    matches!(get(fields, name), Some(Value::Boolean(true)))
}

pub fn record<'a>(fields: &'a Fields, name: &str) -> Option<&'a Fields> {
    as_record(get(fields, name)?)
}

pub fn as_record(value: &Value) -> Option<&Fields> {
    match plain(value)? {
        Value::Record(fields) => Some(fields),
        _ => None,
    }
}

/// Symbols or strings of an array.
pub fn texts<'a>(fields: &'a Fields, name: &str) -> Vec<&'a str> {
    let Some(Value::Array(values)) = get(fields, name) else { return Vec::new() };
    let text = |value: &'a Value| match value {
        Value::String(text) | Value::Enum(_, text) => Some(text.as_str()),
        _ => None,
    };
    values.iter().filter_map(text).collect()
}

/// Calls `visit` with the field name and every string below it.
pub fn strings<'a>(name: &'a str, value: &'a Value, visit: &mut impl FnMut(&'a str, &'a str)) {
    match value {
        Value::String(text) => visit(name, text),
        Value::Union(_, inner) => strings(name, inner, visit),
        Value::Array(values) => values.iter().for_each(|value| strings(name, value, visit)),
        Value::Record(fields) => {
            fields.iter().for_each(|(name, value)| strings(name, value, visit))
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                visit(name, key);
                strings(name, value, visit);
            }
        }
        _ => {}
    }
}

/// A digest of what a message says: everything but the fields named.
pub fn content(doc: &Doc, without: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(doc.kind);
    for (name, value) in doc.fields.iter().filter(|(name, _)| !without.contains(&name.as_str())) {
        digest(name, value, without, &mut hash);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    first
}

fn digest(name: &str, value: &Value, without: &[&str], hash: &mut Sha256) {
    hash.update(name);
    match value {
        Value::Union(branch, inner) => {
            hash.update(branch.to_be_bytes());
            digest("", inner, without, hash);
        }
        Value::Record(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !without.contains(&name.as_str()))
            {
                digest(name, value, without, hash);
            }
        }
        Value::Array(values) => {
            hash.update(values.len().to_be_bytes());
            values.iter().for_each(|value| digest("", value, without, hash));
        }
        // Numbers, strings and symbols: their printed form tells them apart.
        other => hash.update(format!("{other:?};")),
    }
}
