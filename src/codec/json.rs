//! Records for people: any framed value of ours as JSON, sensitive fields masked.
//!
//! Owns the way from bytes to JSON by the schema that wrote them, and the mask. A field is masked
//! if its schema carries `sensitivity`, so a new field needs no change here. Never used to decide.
//! Union branches that are records stand under their name: `{"Authorise": {...}}`.

use super::{
    DecodeError,
    avro::{self, RegistryIds},
    resolve::{self, Names},
    schemas::{self, Version},
};
use apache_avro::{Schema, schema::ResolvedSchema, types::Value};
use serde_json::{Map, Value as Json, json};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What stands for a masked value.
pub const MASK: &str = "***";

/// Whether sensitive fields are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    Masked,
    /// On request of a person only; whoever passes this writes an audit record.
    Everything,
}

/// The schema that a value names, if it is one of ours.
pub fn schema_of(value: &[u8], ids: &RegistryIds) -> Result<&'static Version, DecodeError> {
    let (schema, _) = avro::split(value)?;
    ids.fingerprint(schema)
        .and_then(schemas::by_fingerprint)
        .ok_or(DecodeError::UnknownSchema(schema))
}

/// A framed value as JSON, by whichever of our schemas wrote it.
pub fn decode(value: &[u8], ids: &RegistryIds, show: Show) -> Result<Json, DecodeError> {
    let (_, body) = avro::split(value)?;
    let version = schema_of(value, ids)?;
    let read = AssertUnwindSafe(|| {
        let value = resolve::read(&version.schema, body)?;
        let resolved = ResolvedSchema::try_from(&version.schema).ok()?;
        Shown { names: Names::of(&resolved), show }.json(value, &version.schema)
    });
    catch_unwind(read).ok().flatten().ok_or(DecodeError::poison("undecodable_value"))
}

struct Shown<'a> {
    names: Names<'a>,
    show: Show,
}

impl<'a> Shown<'a> {
    fn json(&self, value: Value, schema: &'a Schema) -> Option<Json> {
        Some(match (value, self.names.follow(schema)?) {
            (Value::Null, Schema::Null) => Json::Null,
            (Value::Boolean(yes), _) => json!(yes),
            (Value::Int(number), _) => json!(number),
            (Value::Long(number) | Value::TimestampMillis(number), _) => json!(number),
            (Value::String(text) | Value::Enum(_, text), _) => json!(text),
            (Value::Bytes(bytes) | Value::Fixed(_, bytes), _) => {
                json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
            (Value::Union(branch, value), Schema::Union(union)) => {
                let branch = union.variants().get(usize::try_from(branch).ok()?)?;
                let inner = self.json(*value, branch)?;
                match self.names.follow(branch)? {
                    Schema::Record(record)
                        if union.variants().len() > 2 || !union.is_nullable() =>
                    {
                        json!({ record.name.name(): inner })
                    }
                    _ => inner,
                }
            }
            (Value::Array(items), Schema::Array(array)) => items
                .into_iter()
                .map(|item| self.json(item, &array.items))
                .collect::<Option<Vec<_>>>()?
                .into(),
            (Value::Map(entries), Schema::Map(map)) => entries
                .into_iter()
                .map(|(key, item)| Some((key, self.json(item, &map.types)?)))
                .collect::<Option<Map<_, _>>>()?
                .into(),
            (Value::Record(values), Schema::Record(record)) => {
                let mut shown = Map::new();
                for ((name, value), field) in values.into_iter().zip(&record.fields) {
                    let sensitive = field.custom_attributes.contains_key("sensitivity");
                    let masked = sensitive && self.show == Show::Masked;
                    let empty = matches!(value, Value::Null)
                        || matches!(&value, Value::Union(_, inner) if **inner == Value::Null);
                    let json = if masked && !empty {
                        json!(MASK)
                    } else {
                        self.json(value, &field.schema)?
                    };
                    shown.insert(name, json);
                }
                shown.into()
            }
            _ => return None,
        })
    }
}
