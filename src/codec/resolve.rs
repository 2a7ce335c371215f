//! Values of one schema version turned into values of another.
//!
//! Owns the rules of Avro's schema resolution as far as our schemas use them: fields by name,
//! defaults for absent ones, union branches and enum symbols by name. The library's own resolution
//! picks the first union branch that fits by shape, which takes one command for another of the same
//! fields. Invariant: `None` for everything that does not fit exactly; nothing is guessed.

use apache_avro::{
    Schema,
    reader::datum::GenericDatumReader,
    schema::{Name, RecordSchema, ResolvedSchema},
    types::Value,
};
use std::collections::HashMap;

/// Schemas by name, of one text.
#[derive(Clone, Copy)]
pub struct Names<'a>(&'a HashMap<Name, &'a Schema>);

impl<'a> Names<'a> {
    pub fn of(resolved: &'a ResolvedSchema<'a>) -> Self {
        Self(resolved.get_names())
    }

    /// The schema itself where it is only named.
    pub fn follow(self, schema: &'a Schema) -> Option<&'a Schema> {
        match schema {
            Schema::Ref { name } => self.0.get(name).copied(),
            _ => Some(schema),
        }
    }
}

/// Reads a whole body into a generic value; `None` if a byte is missing or left over.
pub fn read(schema: &Schema, body: &[u8]) -> Option<Value> {
    super::init();
    let mut rest = body;
    let reader = GenericDatumReader::builder(schema).human_readable(false).build().ok()?;
    let value = reader.read_value(&mut rest).ok()?;
    rest.is_empty().then_some(value)
}

/// Turns a value of `writer` into one of `reader`.
pub fn resolve(value: Value, writer: &Schema, reader: &Schema) -> Option<Value> {
    let writer_names = ResolvedSchema::try_from(writer).ok()?;
    let reader_names = ResolvedSchema::try_from(reader).ok()?;
    Resolution { writer: Names::of(&writer_names), reader: Names::of(&reader_names) }
        .value(value, writer, reader)
}

struct Resolution<'a> {
    writer: Names<'a>,
    reader: Names<'a>,
}

impl<'a> Resolution<'a> {
    fn value(&self, value: Value, writer: &'a Schema, reader: &'a Schema) -> Option<Value> {
        let (writer, reader) = (self.writer.follow(writer)?, self.reader.follow(reader)?);
        match (value, writer, reader) {
            (Value::Union(branch, value), Schema::Union(writer), _) => {
                let writer = writer.variants().get(usize::try_from(branch).ok()?)?;
                self.value(*value, writer, reader)
            }
            (value, _, Schema::Union(union)) => {
                let writer = self.writer.follow(writer)?;
                let fits = |branch: &'a Schema| {
                    self.reader.follow(branch).is_some_and(|branch| same_kind(writer, branch))
                };
                let index = union.variants().iter().position(fits)?;
                let value = self.value(value, writer, &union.variants()[index])?;
                Some(Value::Union(u32::try_from(index).ok()?, Box::new(value)))
            }
            (Value::Record(fields), Schema::Record(writer), Schema::Record(reader)) => {
                self.record(fields, writer, reader)
            }
            (Value::Enum(_, symbol), Schema::Enum(_), Schema::Enum(reader)) => {
                let known = reader.symbols.contains(&symbol);
                let symbol = if known { symbol } else { reader.default.clone()? };
                let index = reader.symbols.iter().position(|known| *known == symbol)?;
                Some(Value::Enum(u32::try_from(index).ok()?, symbol))
            }
            (Value::Array(items), Schema::Array(writer), Schema::Array(reader)) => items
                .into_iter()
                .map(|item| self.value(item, &writer.items, &reader.items))
                .collect::<Option<_>>()
                .map(Value::Array),
            (Value::Map(entries), Schema::Map(writer), Schema::Map(reader)) => entries
                .into_iter()
                .map(|(key, item)| Some((key, self.value(item, &writer.types, &reader.types)?)))
                .collect::<Option<_>>()
                .map(Value::Map),
            (Value::Int(number), Schema::Int, Schema::Long) => Some(Value::Long(number.into())),
            (value, writer, reader) => {
                (same_kind(writer, reader) && leaf_fits(&value, reader)).then_some(value)
            }
        }
    }

    fn record(
        &self,
        fields: Vec<(String, Value)>,
        writer: &'a RecordSchema,
        reader: &'a RecordSchema,
    ) -> Option<Value> {
        let mut written: HashMap<String, Value> = fields.into_iter().collect();
        let mut resolved = Vec::with_capacity(reader.fields.len());
        for field in &reader.fields {
            let value = match (written.remove(&field.name), writer.lookup.get(&field.name)) {
                (Some(value), Some(index)) => {
                    self.value(value, &writer.fields[*index].schema, &field.schema)?
                }
                _ => self.default(field.default.as_ref()?, &field.schema)?,
            };
            resolved.push((field.name.clone(), value));
        }
        Some(Value::Record(resolved))
    }

    /// The default of a field that the writer did not have: for a union, of its first branch.
    fn default(&self, json: &serde_json::Value, schema: &'a Schema) -> Option<Value> {
        Some(match self.reader.follow(schema)? {
            Schema::Null => json.is_null().then_some(Value::Null)?,
            Schema::Boolean => Value::Boolean(json.as_bool()?),
            Schema::Int => Value::Int(i32::try_from(json.as_i64()?).ok()?),
            Schema::Long => Value::Long(json.as_i64()?),
            Schema::TimestampMillis => Value::TimestampMillis(json.as_i64()?),
            Schema::String => Value::String(json.as_str()?.to_owned()),
            Schema::Enum(known) => {
                let symbol = json.as_str()?;
                let index = known.symbols.iter().position(|known| known == symbol)?;
                Value::Enum(u32::try_from(index).ok()?, symbol.to_owned())
            }
            Schema::Array(_) => json.as_array()?.is_empty().then(|| Value::Array(Vec::new()))?,
            Schema::Map(_) => json.as_object()?.is_empty().then(|| Value::Map(HashMap::new()))?,
            Schema::Union(union) => {
                let value = self.default(json, union.variants().first()?)?;
                Value::Union(0, Box::new(value))
            }
            _ => return None,
        })
    }
}

/// Whether a value of `writer` belongs to `reader`: same name where there is one, else same type.
fn same_kind(writer: &Schema, reader: &Schema) -> bool {
    match (writer.name(), reader.name()) {
        (Some(writer), Some(reader)) => writer.name() == reader.name(),
        (None, None) => std::mem::discriminant(writer) == std::mem::discriminant(reader),
        _ => false,
    }
}

/// The library reads a missing value at the end of the input as null: refused here.
fn leaf_fits(value: &Value, schema: &Schema) -> bool {
    match (value, schema) {
        (Value::Null, Schema::Null)
        | (Value::Boolean(_), Schema::Boolean)
        | (Value::Int(_), Schema::Int)
        | (Value::Long(_), Schema::Long)
        | (Value::TimestampMillis(_), Schema::TimestampMillis)
        | (Value::Bytes(_), Schema::Bytes)
        | (Value::String(_), Schema::String) => true,
        (Value::Fixed(size, bytes), Schema::Fixed(fixed)) => {
            *size == fixed.size && bytes.len() == fixed.size
        }
        _ => false,
    }
}
