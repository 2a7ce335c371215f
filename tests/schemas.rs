//! Schemas against each other, against their examples, and against the types that use them.
//!
//! Random values are built from the schemas, not from the types: a field or variant that only one
//! of the two knows cannot hide. `TAPTEST_SIZE=ci` takes ten times as many. A new version's golden
//! bytes are written once with `TAPTEST_BLESS=1`, which never touches a file that exists.

mod schemas_support;

use apache_avro::{
    Schema, reader::datum::GenericDatumReader, schema_compatibility::SchemaCompatibility,
    types::Value, writer::datum::GenericDatumWriter,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use schemas_support::{Sample, rounds, walk};
use serde_json::Value as Json;
use std::{fmt::Debug, path::PathBuf};
use tapline::{
    codec::{
        DecodeError,
        avro::{Avro, FRAME_BYTES, RegistryIds},
        json::{self, MASK, Show},
        schemas::{self, Subject, Version},
        snapshot::{Row, SideRow},
    },
    domain::{
        account::{Account, Item},
        command::AccountCommand,
        event::AccountEvent,
        feed::FeedRecord,
        ledger::PostingSet,
        push::PushOutcome,
        settlement::SettlementRecord,
        window::WindowEvent,
    },
    stages::settlement::{posting, windows},
};

/// Runs `$check::<T>(subject, ...)` with the type of each subject.
macro_rules! for_each_subject {
    ($check:ident $(, $argument:expr)*) => {
        $check::<AccountCommand>(Subject::Commands $(, $argument)*);
        $check::<AccountEvent>(Subject::Events $(, $argument)*);
        $check::<Row<Account>>(Subject::Head $(, $argument)*);
        $check::<SideRow<Item>>(Subject::Side $(, $argument)*);
        $check::<PostingSet>(Subject::Postings $(, $argument)*);
        $check::<Row<posting::Head>>(Subject::PostingHead $(, $argument)*);
        $check::<SettlementRecord>(Subject::Parts $(, $argument)*);
        $check::<WindowEvent>(Subject::Windows $(, $argument)*);
        $check::<Row<windows::Windows>>(Subject::WindowsHead $(, $argument)*);
        $check::<SideRow<windows::Item>>(Subject::WindowsSide $(, $argument)*);
        $check::<FeedRecord>(Subject::FeedItems $(, $argument)*);
        $check::<PushOutcome>(Subject::PushOutcomes $(, $argument)*);
    };
}

trait Typed: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug {}
impl<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug> Typed for T {}

fn decode<T: Typed>(subject: Subject, bytes: &[u8]) -> Result<T, DecodeError> {
    Avro::of(subject).decode(bytes, &RegistryIds::default())
}

fn encode<T: Typed>(subject: Subject, value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    Avro::of(subject).encode(value, &mut bytes);
    bytes
}

fn generic_bytes(version: &Version, value: &Value) -> Vec<u8> {
    let mut bytes = vec![0xC3, 0x01];
    bytes.extend_from_slice(&version.fingerprint.to_le_bytes());
    let writer = GenericDatumWriter::builder(&version.schema).build().expect("whole schema");
    writer.write_value_ref(&mut bytes, value).expect("the value was built from the schema");
    bytes
}

fn generic_value(version: &Version, bytes: &[u8]) -> Value {
    let reader = GenericDatumReader::builder(&version.schema).build().expect("whole schema");
    reader.read_value(&mut &bytes[FRAME_BYTES..]).expect("we wrote it")
}

/// The sensitivity that a field of that name has to have. Where a customer stands beside it, what
/// was bought and what was told are personal too.
fn must_be_masked(subject: Subject, field: &str) -> Option<&'static str> {
    let is_feed = subject == Subject::FeedItems;
    match field {
        "card_token" | "scope" => Some("card-token"),
        "customer_id" | "last_four" | "card_last_four" | "text" => Some("personal"),
        "merchant_name" if is_feed => Some("personal"),
        "title" | "body" if subject == Subject::PushOutcomes => Some("personal"),
        _ => None,
    }
}

/// Goal: schemas can grow and people can read them. Method: walk every node of every version.
#[test]
fn schemas_follow_the_rules() {
    let mut fingerprints: Vec<u64> = schemas::versions().iter().map(|v| v.fingerprint).collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), schemas::versions().len(), "two schemas, one fingerprint");
    for version in schemas::versions() {
        let name = format!("{} {}", version.subject.name(), version.number);
        assert_eq!(version.schema.namespace(), Some("tapline.v1"), "{name}");
        walk(&version.schema, &mut |node| match node {
            Schema::Enum(symbols) => {
                assert!(symbols.default.is_some(), "{name}: enum {} has no default", symbols.name);
                assert!(symbols.doc.is_some(), "{name}: enum {} has no doc", symbols.name);
            }
            Schema::Record(record) => {
                assert!(record.doc.is_some(), "{name}: record {} has no doc", record.name);
                for field in &record.fields {
                    let at = format!("{name}: {}.{}", record.name, field.name);
                    assert!(field.doc.is_some(), "{at} has no doc");
                    if matches!(&field.schema, Schema::Union(union) if union.is_nullable()) {
                        assert_eq!(field.default, Some(Json::Null), "{at} has no default");
                    }
                    let sensitivity = field.custom_attributes.get("sensitivity");
                    let must = must_be_masked(version.subject, &field.name);
                    assert_eq!(sensitivity.and_then(Json::as_str), must, "{at}");
                }
            }
            _ => {}
        });
    }
}

/// Goal: any release reads what any other wrote. Method: all pairs of a subject, both ways.
#[test]
fn versions_are_compatible_both_ways() {
    for subject in Subject::ALL {
        let of_subject = || schemas::versions().iter().filter(|v| v.subject == *subject);
        for (writer, reader) in of_subject().flat_map(|w| of_subject().map(move |r| (w, r))) {
            SchemaCompatibility::can_read(&writer.schema, &reader.schema).unwrap_or_else(|error| {
                panic!("{} {} -> {}: {error}", subject.name(), writer.number, reader.number)
            });
        }
        assert_eq!(schemas::current(*subject).number as usize, of_subject().count());
    }
}

/// Goal: fast path, generic path and foreign path agree on every value. Method: values built from
/// the schema, written generically, read in both ways, written fast, read generically.
#[test]
fn fast_path_is_generic_path() {
    fn check<T: Typed>(subject: Subject) {
        let version = schemas::current(subject);
        let mut sample = Sample::new(&version.schema, 1);
        let by_name = GenericDatumReader::builder(&version.schema).build().expect("whole schema");
        for round in 0..rounds() {
            let value = sample.value(round);
            let bytes = generic_bytes(version, &value);
            let read: T = decode(subject, &bytes)
                .unwrap_or_else(|error| panic!("{subject:?} round {round}: {error}\n{value:?}"));
            // By name, where the fast path goes by order: two fields of one type changed over.
            let by_name: T = by_name.read_deser(&mut &bytes[FRAME_BYTES..]).expect("by name");
            assert_eq!(read, by_name, "{subject:?} round {round}");
            let written = encode(subject, &read);
            assert_eq!(generic_value(version, &written), value, "{subject:?} round {round}");
            if round % 10 == 0 {
                let foreign: T = Avro::of(subject)
                    .decode_foreign(&version.schema, &bytes[FRAME_BYTES..])
                    .expect("our own schema");
                assert_eq!(foreign, read, "{subject:?} round {round}");
            }
        }
    }
    for_each_subject!(check);
}

/// Goal: a newer release's record with an added field is read without it; with a branch we do not
/// know it is refused, not taken for another. Method: the current schema, changed as text.
#[test]
fn foreign_schemas() {
    let version = schemas::current(Subject::Commands);
    let added = version.text.replacen(
        r#"{"name": "through_offset", "type": "long","#,
        r#"{"name": "why", "type": ["null", "string"], "default": null},
           {"name": "through_offset", "type": "long","#,
        1,
    );
    let writer = Schema::parse_str(&added).expect("still a schema");
    SchemaCompatibility::mutual_read(&writer, &version.schema).expect("compatible");
    let mut sample = Sample::new(&writer, 2);
    for round in 0..200 {
        let value = sample.value(round);
        let mut body = Vec::new();
        let bytes = GenericDatumWriter::builder(&writer).build().expect("whole schema");
        bytes.write_value_ref(&mut body, &value).expect("built from it");
        let read: AccountCommand =
            Avro::of(Subject::Commands).decode_foreign(&writer, &body).expect("added field");
        let shown = generic_value(version, &encode(Subject::Commands, &read));
        let (Value::Record(theirs), Value::Record(ours)) = (&value, &shown) else { panic!() };
        assert_eq!(theirs[..3], ours[..3], "round {round}");
        let (Value::Union(a, _), Value::Union(b, _)) = (&theirs[3].1, &ours[3].1) else { panic!() };
        assert_eq!(a, b, "another branch, round {round}");
    }
    let renamed = version.text.replace("\"name\": \"ReleaseFuse\"", "\"name\": \"NewCommand\"");
    let writer = Schema::parse_str(&renamed).expect("still a schema");
    let last = Sample::new(&writer, 2).value(16);
    let mut body = Vec::new();
    let bytes = GenericDatumWriter::builder(&writer).build().expect("whole schema");
    bytes.write_value_ref(&mut body, &last).expect("built from it");
    let read = Avro::of(Subject::Commands).decode_foreign::<AccountCommand>(&writer, &body);
    assert_eq!(read, Err(undecodable()));
}

fn undecodable() -> DecodeError {
    DecodeError::Poison(tapline::stages::Poison { code: "undecodable_value" })
}

/// One example: as people read it, and its golden bytes.
struct Example {
    json: Json,
    bytes: Vec<u8>,
}

fn examples(version: &Version) -> Vec<Example> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(schemas_support::SCHEMAS)
        .join(version.subject.name())
        .join(format!("{}.examples.json", version.number));
    if !path.exists() && std::env::var_os("TAPTEST_BLESS").is_some() {
        std::fs::write(&path, blessed(version)).expect("the schema's folder is writable");
    }
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let examples: Vec<Json> = serde_json::from_str(&text).expect("a list of examples");
    let bytes = |hex: &Json| -> Vec<u8> {
        let hex = hex.as_str().expect("hex digits");
        let byte = |place| u8::from_str_radix(&hex[place..place + 2], 16).expect("hex digits");
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    examples
        .iter()
        .map(|example| Example { json: example["value"].clone(), bytes: bytes(&example["bytes"]) })
        .collect()
}

/// One example per branch of the schema's first union of records, or three.
fn blessed(version: &Version) -> String {
    let mut sample = Sample::new(&version.schema, 3);
    let lines = (0..schemas_support::branches(&version.schema)).map(|round| {
        // The entries of a map have no order but ours.
        let bytes = rewritten(version.subject, &generic_bytes(version, &sample.value(round)));
        let shown = json::decode(&bytes, &RegistryIds::default(), Show::Everything);
        let shown = shown.expect("our own schema");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{{\"value\": {shown},\n \"bytes\": \"{hex}\"}}")
    });
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}

fn rewritten(subject: Subject, bytes: &[u8]) -> Vec<u8> {
    fn of<T: Typed>(subject: Subject, bytes: &[u8]) -> Vec<u8> {
        encode(subject, &decode::<T>(subject, bytes).expect("built from the schema"))
    }
    match subject {
        Subject::Commands => of::<AccountCommand>(subject, bytes),
        Subject::Events => of::<AccountEvent>(subject, bytes),
        Subject::Head => of::<Row<Account>>(subject, bytes),
        Subject::Side => of::<SideRow<Item>>(subject, bytes),
        Subject::Postings => of::<PostingSet>(subject, bytes),
        Subject::PostingHead => of::<Row<posting::Head>>(subject, bytes),
        Subject::Parts => of::<SettlementRecord>(subject, bytes),
        Subject::Windows => of::<WindowEvent>(subject, bytes),
        Subject::WindowsHead => of::<Row<windows::Windows>>(subject, bytes),
        Subject::WindowsSide => of::<SideRow<windows::Item>>(subject, bytes),
        Subject::FeedItems => of::<FeedRecord>(subject, bytes),
        Subject::PushOutcomes => of::<PushOutcome>(subject, bytes),
    }
}

/// Goal: bytes once written are read for ever, by people too. Method: golden bytes of every
/// version; those of the current one are also written again unchanged.
#[test]
fn golden_bytes() {
    fn check<T: Typed>(subject: Subject) {
        for version in schemas::versions().iter().filter(|version| version.subject == subject) {
            for (place, example) in examples(version).iter().enumerate() {
                let at = format!("{} {} example {place}", subject.name(), version.number);
                let read: T = decode(subject, &example.bytes).expect(&at);
                if version.number == schemas::current(subject).number {
                    assert_eq!(encode(subject, &read), example.bytes, "{at}");
                }
                let shown = json::decode(&example.bytes, &RegistryIds::default(), Show::Everything);
                assert_eq!(shown, Ok(example.json.clone()), "{at}");
            }
        }
    }
    for_each_subject!(check);
}

/// Goal: nothing sensitive is shown. Method: every example masked; a walk over both forms finds
/// each field by its schema name.
#[test]
fn masked_for_people() {
    fn check(of: Subject, name: &str, masked: &Json) {
        let sensitive = must_be_masked(of, name).is_some();
        match masked {
            _ if sensitive => assert_eq!(masked, MASK, "{}: {name}", of.name()),
            Json::Object(fields) => fields.iter().for_each(|(name, json)| check(of, name, json)),
            Json::Array(items) => items.iter().for_each(|json| check(of, name, json)),
            _ => {}
        }
    }
    for version in schemas::versions() {
        for example in examples(version) {
            let masked = json::decode(&example.bytes, &RegistryIds::default(), Show::Masked);
            check(version.subject, "", &masked.expect("our own bytes"));
        }
    }
}

/// Goal: broken bytes are refused, never a panic, never a guess. Method: every prefix of every
/// example, one longer, and random changes; what still decodes must survive its own bytes.
#[test]
fn broken_bytes() {
    fn check<T: Typed>(subject: Subject) {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for example in examples(schemas::current(subject)) {
            for end in 0..example.bytes.len() {
                let read = decode::<T>(subject, &example.bytes[..end]);
                assert!(matches!(read, Err(DecodeError::Poison(_))), "{subject:?} cut at {end}");
            }
            let longer = [&example.bytes[..], &[0]].concat();
            assert_eq!(decode::<T>(subject, &longer), Err(undecodable()), "{subject:?}");
            for _ in 0..rounds() / 40 {
                let mut bytes = example.bytes.clone();
                schemas_support::mutate(&mut bytes[FRAME_BYTES..], &mut rng);
                if let Ok(read) = decode::<T>(subject, &bytes) {
                    assert_eq!(decode(subject, &encode(subject, &read)), Ok(read), "{subject:?}");
                }
            }
        }
    }
    for_each_subject!(check);
}

/// Goal: a length that lies costs nothing. Method: huge and negative lengths where the first text
/// or list of each schema stands.
#[test]
fn lying_lengths() {
    fn check<T: Typed>(subject: Subject, length: &[u8]) {
        let version = schemas::current(subject);
        let mut bytes = vec![0xC3, 0x01];
        bytes.extend_from_slice(&version.fingerprint.to_le_bytes());
        bytes.extend_from_slice(length);
        bytes.extend_from_slice(length);
        assert_eq!(decode::<T>(subject, &bytes), Err(undecodable()), "{subject:?} {length:02x?}");
        let foreign = Avro::of(subject).decode_foreign::<T>(&version.schema, &bytes[FRAME_BYTES..]);
        assert_eq!(foreign, Err(undecodable()), "{subject:?} {length:02x?}");
    }
    for length in [
        [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01].as_slice(), // 2^41
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // i64::MAX
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // i64::MIN
        &[0x80; 11],                                           // never ends
        &[0x01],                                               // -1
    ] {
        for_each_subject!(check, length);
    }
}

/// Goal: other tools compute the same fingerprints. Method: the vectors of the Avro world.
#[test]
fn fingerprint_vectors() {
    for (text, fingerprint) in
        [("\"null\"", 0x63dd_24e7_cc25_8f8a_u64), ("\"int\"", 0x7275_d51a_3f39_5c8f)]
    {
        let schema = Schema::parse_str(text).expect("a primitive");
        assert_eq!(schemas::fingerprint(&schema), fingerprint, "{text}");
    }
    let bytes = encode(Subject::Side, &SideRow { item: schemas_support::alias() });
    let fingerprint = schemas::current(Subject::Side).fingerprint;
    assert_eq!(bytes[..2], [0xC3, 0x01]);
    assert_eq!(bytes[2..10], fingerprint.to_le_bytes());
}
