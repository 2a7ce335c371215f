//! Avro bytes of the current schemas, and the frames around them.
//!
//! Owns the frames and which way a value is read: the current schema by `binary`, in the order of
//! its fields; any other known version the slow way, through `resolve`. Never reads with a schema
//! that is not compiled in and never lets the library's panic through. Invariant: a value decodes
//! only if every byte of it was used.

use super::{
    DecodeError, binary, init, resolve,
    schemas::{self, Subject, Version},
};
use apache_avro::writer::datum::GenericDatumWriter;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::LazyLock,
};

/// Length of the single-object frame that we write: `C3 01` and the fingerprint, little-endian.
pub const FRAME_BYTES: usize = 10;
const MAGIC: [u8; 2] = [0xC3, 0x01];

/// How a value names the schema that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Single-object encoding: CRC-64-AVRO.
    Fingerprint(u64),
    /// A schema registry's id, `00` and four bytes big-endian.
    RegistryId(u32),
}

impl fmt::Display for Schema {
    /// The fingerprint as 16 hex digits, or `id:` and the registry's number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schema::Fingerprint(fingerprint) => write!(f, "{fingerprint:016x}"),
            Schema::RegistryId(id) => write!(f, "id:{id}"),
        }
    }
}

/// Splits a value into what names its schema and its body. Errors: `wrong_magic`.
pub fn split(value: &[u8]) -> Result<(Schema, &[u8]), DecodeError> {
    match value {
        [0xC3, 0x01, rest @ ..] => rest
            .split_first_chunk::<8>()
            .map(|(bytes, body)| (Schema::Fingerprint(u64::from_le_bytes(*bytes)), body)),
        [0x00, rest @ ..] => rest
            .split_first_chunk::<4>()
            .map(|(bytes, body)| (Schema::RegistryId(u32::from_be_bytes(*bytes)), body)),
        _ => None,
    }
    .ok_or(DecodeError::poison("wrong_magic"))
}

/// A registry's ids of our own schemas: `{"<subject>": {"<version>": <id>}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryIds(BTreeMap<u32, u64>);

impl RegistryIds {
    /// The file that is compiled in (`schemas/registry-ids.json`).
    pub const COMPILED_IN: &'static str = include_str!("../../schemas/registry-ids.json");

    /// Errors: a sentence that names the subject, version or id that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: BTreeMap<String, BTreeMap<u32, u32>> =
            serde_json::from_str(text).map_err(|error| format!("registry ids: {error}"))?;
        let mut ids = BTreeMap::new();
        for (subject, numbers) in table {
            for (number, id) in numbers {
                let known = schemas::versions()
                    .iter()
                    .find(|known| known.subject.name() == subject && known.number == number)
                    .ok_or(format!("registry ids: no schema {subject} version {number}"))?;
                if ids.insert(id, known.fingerprint).is_some() {
                    return Err(format!("registry ids: id {id} stands twice"));
                }
            }
        }
        Ok(Self(ids))
    }

    /// The schema's fingerprint, if it is one of ours.
    pub fn fingerprint(&self, schema: Schema) -> Option<u64> {
        match schema {
            Schema::Fingerprint(fingerprint) => Some(fingerprint),
            Schema::RegistryId(id) => self.0.get(&id).copied(),
        }
    }
}

/// One subject's current schema, with what writing it needs.
pub struct Avro {
    version: &'static Version,
    frame: [u8; FRAME_BYTES],
    /// Of generic values, for what `resolve` made.
    writer: GenericDatumWriter<'static>,
}

static CODECS: LazyLock<Vec<Avro>> = LazyLock::new(|| {
    init();
    Subject::ALL.iter().map(|subject| Avro::new(schemas::current(*subject))).collect()
});

impl Avro {
    /// The process's codec of the subject; built at the first call.
    pub fn of(subject: Subject) -> &'static Self {
        CODECS
            .iter()
            .find(|avro| avro.version.subject == subject)
            .expect("every subject of Subject::ALL has a codec")
    }

    fn new(version: &'static Version) -> Self {
        let mut frame = [0; FRAME_BYTES];
        frame[..2].copy_from_slice(&MAGIC);
        frame[2..].copy_from_slice(&version.fingerprint.to_le_bytes());
        let resolves = "a compiled-in schema is whole: it refers to nothing outside itself";
        Self {
            version,
            frame,
            writer: GenericDatumWriter::builder(&version.schema)
                .validate(false)
                .human_readable(false)
                .build()
                .expect(resolves),
        }
    }

    pub fn version(&self) -> &'static Version {
        self.version
    }

    /// Appends the framed value.
    pub fn encode<T: Serialize>(&self, value: &T, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.frame);
        binary::append(value, bytes)
            .expect("type and schema have the same fields: tests/schemas.rs writes every variant");
    }

    /// Reads a framed value of any known version of the subject.
    ///
    /// Errors: `wrong_magic`, `undecodable_value` (also: a schema of another subject), or an
    /// unknown schema, which is never poison: a newer release wrote it.
    pub fn decode<T: DeserializeOwned>(
        &self,
        value: &[u8],
        ids: &RegistryIds,
    ) -> Result<T, DecodeError> {
        let (schema, body) = split(value)?;
        let fingerprint = ids.fingerprint(schema).ok_or(DecodeError::UnknownSchema(schema))?;
        if fingerprint == self.version.fingerprint {
            return self.decode_body(body);
        }
        let writer =
            schemas::by_fingerprint(fingerprint).ok_or(DecodeError::UnknownSchema(schema))?;
        if writer.subject != self.version.subject {
            return Err(DecodeError::poison("undecodable_value"));
        }
        self.decode_foreign(&writer.schema, body)
    }

    /// Reads a body of the current schema.
    pub fn decode_body<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, DecodeError> {
        // The reader refuses everything it does not expect; should a type's own code panic on a
        // value, that value is poison and not the end of the worker.
        catch_unwind(|| binary::from_slice(body).ok())
            .ok()
            .flatten()
            .ok_or(DecodeError::poison("undecodable_value"))
    }

    /// Reads a body that another version's schema wrote: resolved field by field, written again in
    /// the current schema and read by the fast path, so that both ways give the same value.
    pub fn decode_foreign<T: DeserializeOwned>(
        &self,
        writer: &apache_avro::Schema,
        body: &[u8],
    ) -> Result<T, DecodeError> {
        let rewrite = AssertUnwindSafe(|| {
            let value = resolve::read(writer, body)?;
            let value = resolve::resolve(value, writer, &self.version.schema)?;
            let mut bytes = Vec::new();
            self.writer.write_value_ref(&mut bytes, &value).ok()?;
            Some(bytes)
        });
        let bytes =
            catch_unwind(rewrite).ok().flatten().ok_or(DecodeError::poison("undecodable_value"))?;
        self.decode_body(&bytes)
    }
}
