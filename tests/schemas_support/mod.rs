//! Values built from a schema, for `schemas.rs`.
//!
//! Owns the generator: every branch of every union and every symbol comes up, texts look like what
//! their field's name says. Deterministic: the same seed gives the same values.

use apache_avro::{
    Schema,
    schema::{Name, ResolvedSchema, UnionSchema},
    types::Value,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use std::collections::HashMap;
use tapline::domain::account::{Alias, Item};

/// Where the schemas lie, from the package's folder.
pub const SCHEMAS: &str = "schemas";

/// How many random values a test takes.
pub fn rounds() -> usize {
    let ci = std::env::var("TAPTEST_SIZE").is_ok_and(|size| size == "ci");
    if ci { 20_000 } else { 2_000 }
}

pub fn alias() -> Item {
    Item::Alias(Box::new(Alias { payment_id: "pay-1".into(), marks: Vec::new() }))
}

/// Calls `see` on every node written out in the schema.
pub fn walk(schema: &Schema, see: &mut impl FnMut(&Schema)) {
    see(schema);
    match schema {
        Schema::Record(record) => {
            record.fields.iter().for_each(|field| walk(&field.schema, see));
        }
        Schema::Union(union) => union.variants().iter().for_each(|branch| walk(branch, see)),
        Schema::Array(array) => walk(&array.items, see),
        Schema::Map(map) => walk(&map.types, see),
        _ => {}
    }
}

/// Branches of the first union of records.
pub fn branches(schema: &Schema) -> usize {
    let mut count = 0;
    walk(schema, &mut |node| {
        if let Schema::Union(union) = node
            && !union.is_nullable()
            && count == 0
        {
            count = union.variants().len();
        }
    });
    count
}

/// Changes one to three bytes.
pub fn mutate(bytes: &mut [u8], rng: &mut ChaCha8Rng) {
    for _ in 0..=rng.next_u32() % 3 {
        let place = rng.next_u64() as usize % bytes.len();
        bytes[place] = rng.next_u32() as u8;
    }
}

pub struct Sample<'a> {
    schema: &'a Schema,
    names: HashMap<Name, &'a Schema>,
    rng: ChaCha8Rng,
}

impl<'a> Sample<'a> {
    pub fn new(schema: &'a Schema, seed: u64) -> Self {
        let resolved = ResolvedSchema::try_from(schema).expect("a whole schema");
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { schema, names: resolved.get_names().clone(), rng }
    }

    /// A value; unions of records take their branches in turn by `round`.
    pub fn value(&mut self, round: usize) -> Value {
        self.of(self.schema, "", round)
    }

    fn below(&mut self, end: usize) -> usize {
        self.rng.next_u64() as usize % end
    }

    fn of(&mut self, schema: &'a Schema, name: &str, round: usize) -> Value {
        match schema {
            Schema::Ref { name: of } => {
                let schema = self.names[of];
                self.of(schema, name, round)
            }
            Schema::Boolean => Value::Boolean(self.below(2) == 1),
            Schema::Int => Value::Int(self.rng.next_u32() as i32 >> self.below(32)),
            Schema::Long => Value::Long(self.rng.next_u64() as i64 >> self.below(64)),
            Schema::TimestampMillis => {
                Value::TimestampMillis(1_790_000_000_000 + self.below(100_000_000) as i64)
            }
            Schema::String => Value::String(self.text(name)),
            Schema::Fixed(fixed) => {
                let bytes = (0..fixed.size).map(|_| self.rng.next_u32() as u8).collect();
                Value::Fixed(fixed.size, bytes)
            }
            Schema::Enum(symbols) => {
                let place = self.below(symbols.symbols.len());
                Value::Enum(place as u32, symbols.symbols[place].clone())
            }
            Schema::Union(union) => self.branch(union, name, round),
            Schema::Array(array) => {
                let item = |place| self.of(&array.items, name, round + place);
                Value::Array((0..round % 4).map(item).collect())
            }
            Schema::Map(map) => {
                let count = self.below(4);
                let entry = |place| (self.text("item"), self.of(&map.types, name, round + place));
                Value::Map((0..count).map(entry).collect())
            }
            Schema::Record(record) => Value::Record(
                record
                    .fields
                    .iter()
                    .map(|field| (field.name.clone(), self.of(&field.schema, &field.name, round)))
                    .collect(),
            ),
            other => panic!("our schemas have no {other:?}"),
        }
    }

    fn branch(&mut self, union: &'a UnionSchema, name: &str, round: usize) -> Value {
        let count = union.variants().len();
        let place = if union.is_nullable() { self.below(count) } else { round % count };
        let value = match &union.variants()[place] {
            Schema::Null => Value::Null,
            schema => self.of(schema, name, round),
        };
        Value::Union(place as u32, Box::new(value))
    }

    fn text(&mut self, name: &str) -> String {
        let number = self.below(1_000_000);
        match name {
            "currency" | "original_currency" => ["EUR", "USD", "JPY", "GBP"][number % 4].to_owned(),
            "account_id" | "transfer_to" | "key" => format!("acc-{number:06}"),
            "card_token" => format!("tok_{number:06}"),
            "customer_id" => format!("cus-{number:06}"),
            "last_four" => format!("{:04}", number % 10_000),
            "merchant_name" => {
                ["Kaffeehaus Jelinek", "Ülker Süper", "", "駅前書店"][number % 4].to_owned()
            }
            "country" => ["AT", "DE", "JP", ""][number % 4].to_owned(),
            "network" => ["visa", "mastercard"][number % 2].to_owned(),
            "item" => format!("p:pay-{number:06}"),
            "scope" => format!("card:tok_{number:06}"),
            "content" => format!("{number:064x}"),
            other => format!("{other}-{number:06}"),
        }
    }
}
