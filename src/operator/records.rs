//! A record as people read it: place, time, headers, and its value as JSON, masked by its schema.
//!
//! Owns one form for every topic of ours, dead letters too. A value that cannot be decoded is shown
//! as hex with the reason, never hidden. Decides nothing.

use super::{moments::utc, print::say};
use crate::codec::{
    avro::RegistryIds,
    dead_letter,
    json::{self, Show},
    raw::RawRecord,
};
use crate::config::Config;
use crate::worker::EXIT_REFUSED;
use serde::Serialize;
use serde_json::Value as Json;

/// Bytes of an undecodable value that are shown.
const HEX_BYTES_MAX: usize = 4_096;

/// Registry ids of our schemas: the configured file or the compiled-in one. Errors: exit code 4.
pub fn registry_ids(config: &Config) -> Result<RegistryIds, i32> {
    let ids = match &config.kafka.registry_ids_file {
        None => RegistryIds::parse(RegistryIds::COMPILED_IN),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))
            .and_then(|text| RegistryIds::parse(&text)),
    };
    ids.map_err(|reason| {
        say(&format!("kafka.registry_ids_file cannot be used: {reason}"));
        EXIT_REFUSED
    })
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownHeader {
    pub name: String,
    /// Text; numbers in decimal; other bytes as hex; absent where the header is null.
    pub value: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The broker's time of the record.
    pub appended_at: String,
    pub appended_ms: i64,
    pub key: Option<String>,
    pub headers: Vec<ShownHeader>,
    /// `subject/version` of the schema that wrote the value.
    pub schema: Option<String>,
    pub value: Option<Json>,
    /// Where the value cannot be decoded: why, and its bytes.
    pub undecodable: Option<String>,
    pub value_hex: Option<String>,
    pub value_bytes: usize,
}

impl ShownRecord {
    pub fn of(topic: &str, raw: &RawRecord, ids: &RegistryIds, show: Show) -> Self {
        let bytes = raw.value.as_deref();
        let decoded = bytes.map(|bytes| json::decode(bytes, ids, show));
        let schema = bytes.and_then(|bytes| json::schema_of(bytes, ids).ok());
        let (value, undecodable) = match decoded {
            None => (None, None),
            Some(Ok(value)) => (Some(value), None),
            Some(Err(reason)) => (None, Some(reason.to_string())),
        };
        let value_hex = bytes.filter(|_| undecodable.is_some()).map(|bytes| {
            let more = if bytes.len() > HEX_BYTES_MAX { "..." } else { "" };
            format!("{}{more}", hex(&bytes[..bytes.len().min(HEX_BYTES_MAX)]))
        });
        Self {
            topic: topic.to_owned(),
            partition: raw.partition,
            offset: raw.offset,
            appended_at: utc(raw.timestamp_ms),
            appended_ms: raw.timestamp_ms,
            key: raw.key.as_deref().map(text_or_hex),
            headers: raw.headers.iter().map(|(name, value)| header(name, value)).collect(),
            schema: schema.map(|it| format!("{}/{}", it.subject.name(), it.number)),
            value,
            undecodable,
            value_hex,
            value_bytes: bytes.map_or(0, <[u8]>::len),
        }
    }

    pub fn is_tick(&self) -> bool {
        self.value.as_ref().is_some_and(|value| value["body"]["Tick"].is_object())
    }

    /// Several lines: place and key, headers, value.
    pub fn shown(&self) -> String {
        let key = self.key.as_deref().unwrap_or("(none)");
        let mut text = format!(
            "{} {}:{}  {}  key {key}\n",
            self.topic, self.partition, self.offset, self.appended_at
        );
        for header in &self.headers {
            let value = header.value.as_deref().unwrap_or("(null)");
            text += &format!("  {}: {value}\n", header.name);
        }
        match (&self.value, &self.undecodable) {
            (Some(value), _) => {
                let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
                text += &format!("  value, {}:\n", self.schema.as_deref().unwrap_or("no schema"));
                text += &pretty.lines().map(|line| format!("    {line}\n")).collect::<String>();
            }
            (None, Some(reason)) => {
                let hex = self.value_hex.as_deref().unwrap_or_default();
                text += &format!("  value of {} bytes, not decoded: {reason}\n", self.value_bytes);
                text += &format!("    {hex}\n");
            }
            (None, None) => text += "  no value\n",
        }
        text
    }
}

fn header(name: &str, value: Option<&[u8]>) -> ShownHeader {
    let shown = |bytes: &[u8]| match (name, bytes.len()) {
        (dead_letter::PARTITION, 4) => {
            bytes.try_into().map(|it| i32::from_be_bytes(it).to_string()).ok()
        }
        (dead_letter::OFFSET | dead_letter::TIMESTAMP, 8) => {
            bytes.try_into().map(|it| i64::from_be_bytes(it).to_string()).ok()
        }
        _ => Some(text_or_hex(bytes)),
    };
    ShownHeader { name: name.to_owned(), value: value.and_then(shown) }
}

/// Printable text as it is, anything else as hex with `0x` before it.
pub fn text_or_hex(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("0x{}", hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::codec::{
        avro::Avro, dead_letter::TimestampType, headers::HeaderList, schemas::Subject,
    };
    use crate::domain::{
        account::CardStatus,
        command::{AccountCommand, ChangeCard, Command},
        time::LogTime,
    };

    pub fn raw(offset: i64, key: &str, value: Vec<u8>) -> RawRecord {
        RawRecord {
            partition: 3,
            offset,
            timestamp_ms: 1_700_000_000_000 + offset,
            timestamp_type: TimestampType::LogAppendTime,
            key: Some(key.as_bytes().to_vec()),
            value: Some(value),
            headers: HeaderList::new(),
        }
    }

    pub fn framed(account: &str, body: Command) -> Vec<u8> {
        let command = AccountCommand {
            account_id: account.into(),
            message_id: "m-1".into(),
            sent_at: LogTime(1_000),
            body,
        };
        let mut value = Vec::new();
        Avro::of(Subject::Commands).encode(&command, &mut value);
        value
    }

    fn card() -> Vec<u8> {
        framed(
            "acc-1",
            Command::ChangeCard(ChangeCard {
                card_token: "tok_secret".into(),
                customer_id: "person".into(),
                status: CardStatus::Active,
                expires_at: None,
                last_four: "4242".into(),
                blocked_categories: vec![5_411],
                blocked_channels: vec![],
                limits: None,
            }),
        )
    }

    /// Goal: what a schema calls sensitive is shown on request only. Method: one record both ways.
    #[test]
    fn masked_unless_asked() {
        let ids = RegistryIds::default();
        let raw = raw(7, "acc-1", card());
        let masked = ShownRecord::of("t", &raw, &ids, Show::Masked);
        let text = masked.shown();
        for secret in ["tok_secret", "person", "4242"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(
            masked.value.as_ref().expect("decodes")["body"]["ChangeCard"]["card_token"],
            "***"
        );
        assert_eq!(masked.schema.as_deref(), Some("payments.commands.v1/1"));
        assert!(text.starts_with("t 3:7  2023-11-14T22:13:20.007Z  key acc-1\n"), "{text}");
        let open = ShownRecord::of("t", &raw, &ids, Show::Everything).shown();
        assert!(open.contains("tok_secret") && open.contains("5411"));
    }

    /// Goal: a broken value is shown with the reason; binary headers are numbers. Method: fixed
    /// bytes, text and JSON compared whole.
    #[test]
    fn undecodable_is_hex() {
        let mut raw = raw(8, "acc-1", vec![0xff, 0x01]);
        raw.headers.push(dead_letter::OFFSET, Some(&42_i64.to_be_bytes()));
        raw.headers.push("null", None);
        raw.headers.push("bytes", Some(&[0, 1]));
        let shown = ShownRecord::of("t", &raw, &RegistryIds::default(), Show::Masked);
        assert_eq!(
            shown.shown(),
            "t 3:8  2023-11-14T22:13:20.008Z  key acc-1\n  kafka_dlt-original-offset: 42\n  \
             null: (null)\n  bytes: 0x0001\n  value of 2 bytes, not decoded: poison wrong_magic\n    \
             ff01\n"
        );
        assert_eq!(
            serde_json::json!(shown),
            serde_json::json!({
                "topic": "t", "partition": 3, "offset": 8,
                "appended_at": "2023-11-14T22:13:20.008Z", "appended_ms": 1_700_000_000_008_i64,
                "key": "acc-1",
                "headers": [
                    {"name": "kafka_dlt-original-offset", "value": "42"},
                    {"name": "null", "value": null},
                    {"name": "bytes", "value": "0x0001"}
                ],
                "schema": null, "value": null, "undecodable": "poison wrong_magic",
                "value_hex": "ff01", "value_bytes": 2
            })
        );
    }
}
