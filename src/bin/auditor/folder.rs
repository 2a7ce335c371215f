//! Evidence as a folder of JSON lines, so that it can be kept, read by people and planted by tests.
//!
//! Owns the file names and line formats. Bytes are hexadecimal. Invariant: what is saved loads as
//! the same evidence; a missing or unreadable file is an error, never an empty topic,
//! but for the topics of settlement, feed and push, whose spans then say that they are not there.

use super::evidence::{
    Committed, Evidence, Headers, Incarnation, JournalLine, Rec, Request, Served, StoredRow, Topic,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

const SPANS: &str = "spans.jsonl";
const COMMANDS: &str = "commands.jsonl";
const EVENTS: &str = "events.jsonl";
const DEAD_LETTERS: &str = "dead-letters.jsonl";
const POSTINGS: &str = "postings.jsonl";
const PARTS: &str = "parts.jsonl";
const WINDOWS: &str = "windows.jsonl";
const FEED_ITEMS: &str = "feed-items.jsonl";
const FEED_ROWS: &str = "feed-rows.jsonl";
const FEED_OFFSETS: &str = "feed-offsets.jsonl";
const PUSH_OFFSETS: &str = "push-offsets.jsonl";
const FEED_INCARNATIONS: &str = "feed-incarnations.jsonl";
const OUTCOMES: &str = "push-outcomes.jsonl";
const REQUESTS: &str = "gateway-journal.jsonl";
const HEADS: &str = "heads.jsonl";
const SIDES: &str = "sides.jsonl";
const OFFSETS: &str = "offsets.jsonl";
const INCARNATION: &str = "incarnation.jsonl";
const JOURNAL: &str = "journal.jsonl";

#[derive(Serialize, Deserialize)]
struct RecLine {
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

#[derive(Serialize, Deserialize)]
struct RowLine {
    incarnation: i32,
    partition: i32,
    bucket: i32,
    key: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pos: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written_at_us: Option<i64>,
    image: String,
}

/// Errors: a sentence with file and line.
pub fn load(folder: &Path) -> Result<Evidence, String> {
    let mut evidence = Evidence {
        spans: lines(folder, SPANS)?,
        commands: topic(folder, COMMANDS)?,
        events: topic(folder, EVENTS)?,
        dead_letters: topic(folder, DEAD_LETTERS)?,
        postings: kept(folder, POSTINGS)?,
        parts: kept(folder, PARTS)?,
        windows: kept(folder, WINDOWS)?,
        heads: rows(folder, HEADS)?,
        sides: rows(folder, SIDES)?,
        committed: lines::<Committed>(folder, OFFSETS)?,
        incarnation: lines::<Incarnation>(folder, INCARNATION)?.pop(),
        journal: None,
        served: served(folder)?,
    };
    if folder.join(JOURNAL).exists() {
        evidence.journal = Some(journal(&folder.join(JOURNAL))?);
    }
    Ok(evidence)
}

fn served(folder: &Path) -> Result<Served, String> {
    let journal = folder.join(REQUESTS);
    Ok(Served {
        items: kept(folder, FEED_ITEMS)?,
        rows: kept_lines(folder, FEED_ROWS)?,
        committed: kept_lines(folder, FEED_OFFSETS)?,
        push_committed: kept_lines(folder, PUSH_OFFSETS)?,
        lives: kept_lines(folder, FEED_INCARNATIONS)?,
        outcomes: kept(folder, OUTCOMES)?,
        requests: if journal.exists() { Some(requests(&journal)?) } else { None },
    })
}

/// The gateway's journal.
pub fn requests(path: &Path) -> Result<Vec<Request>, String> {
    all(path)
}

/// The producer's journal.
pub fn journal(path: &Path) -> Result<Vec<JournalLine>, String> {
    all(path)
}

fn lines<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<T>, String> {
    all(&folder.join(name))
}

fn all<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    each(path, |line| {
        all.push(line);
        Ok(())
    })?;
    Ok(all)
}

/// As `kept`, of a table.
fn kept_lines<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<T>, String> {
    if folder.join(name).exists() { lines(folder, name) } else { Ok(Vec::new()) }
}

/// A topic that a folder may lack: it was saved where the stage that writes it was not built.
fn kept(folder: &Path, name: &str) -> Result<Topic, String> {
    if folder.join(name).exists() { topic(folder, name) } else { Ok(Topic::new()) }
}

fn topic(folder: &Path, name: &str) -> Result<Topic, String> {
    let mut topic = Topic::new();
    each(&folder.join(name), |line: RecLine| {
        let record = record(&line)?;
        topic.entry(line.partition).or_default().push(record);
        Ok(())
    })?;
    for records in topic.values_mut() {
        records.sort_by_key(|record| record.offset);
    }
    Ok(topic)
}

fn record(line: &RecLine) -> Result<Rec, String> {
    let bytes = |text: &Option<String>| -> Result<Option<Box<[u8]>>, String> {
        text.as_deref().map(|text| unhex(text).map(Vec::into_boxed_slice)).transpose()
    };
    let mut headers = Vec::new();
    for (name, value) in &line.headers {
        headers.push((name.as_str(), bytes(value)?));
    }
    Ok(Rec {
        offset: line.offset,
        timestamp_ms: line.timestamp_ms,
        key: bytes(&line.key)?,
        value: bytes(&line.value)?,
        headers: Headers::pack(headers.iter().map(|(name, value)| (*name, value.as_deref()))),
    })
}

fn rows(folder: &Path, name: &str) -> Result<Vec<StoredRow>, String> {
    let mut rows = Vec::new();
    each(&folder.join(name), |line: RowLine| {
        rows.push(StoredRow {
            incarnation: line.incarnation,
            partition: line.partition,
            bucket: line.bucket,
            key: line.key,
            item: line.item,
            pos: line.pos,
            written_at_us: line.written_at_us,
            image: unhex(&line.image)?.into_boxed_slice(),
        });
        Ok(())
    })?;
    Ok(rows)
}

/// Hands on each line of a file, one at a time.
fn each<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(T) -> Result<(), String>,
) -> Result<(), String> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| format!("{shown}: {error}"))?;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let place = |error: &dyn std::fmt::Display| format!("{shown} line {}: {error}", number + 1);
        let line = line.map_err(|error| place(&error))?;
        if line.trim().is_empty() {
            continue;
        }
        let value = serde_json::from_str(&line).map_err(|error| place(&error))?;
        take(value).map_err(|error| place(&error))?;
    }
    Ok(())
}

pub fn save(evidence: &Evidence, folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(failed)?;
    write(folder, SPANS, evidence.spans.iter())?;
    for (name, topic) in [
        (COMMANDS, &evidence.commands),
        (EVENTS, &evidence.events),
        (DEAD_LETTERS, &evidence.dead_letters),
        (POSTINGS, &evidence.postings),
        (PARTS, &evidence.parts),
        (WINDOWS, &evidence.windows),
        (FEED_ITEMS, &evidence.served.items),
        (OUTCOMES, &evidence.served.outcomes),
    ] {
        let records = topic.iter().flat_map(|(number, all)| all.iter().map(|rec| (*number, rec)));
        write(folder, name, records.map(|(number, rec)| record_line(number, rec)))?;
    }
    write(folder, HEADS, evidence.heads.iter().map(row_line))?;
    write(folder, SIDES, evidence.sides.iter().map(row_line))?;
    write(folder, OFFSETS, evidence.committed.iter())?;
    write(folder, INCARNATION, evidence.incarnation.iter())?;
    let served = &evidence.served;
    write(folder, FEED_ROWS, served.rows.iter())?;
    write(folder, FEED_OFFSETS, served.committed.iter())?;
    write(folder, PUSH_OFFSETS, served.push_committed.iter())?;
    write(folder, FEED_INCARNATIONS, served.lives.iter())?;
    if let Some(requests) = &served.requests {
        write(folder, REQUESTS, requests.iter())?;
    }
    match &evidence.journal {
        Some(journal) => write(folder, JOURNAL, journal.iter()),
        None => Ok(()),
    }
}

/// Bytes of a row as hexadecimal text.
pub mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::hex(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Box<[u8]>, D::Error> {
        let text = String::deserialize(from)?;
        super::unhex(&text).map(Vec::into_boxed_slice).map_err(D::Error::custom)
    }
}

fn record_line(partition: i32, record: &Rec) -> RecLine {
    RecLine {
        partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        key: record.key.as_deref().map(hex),
        value: record.value.as_deref().map(hex),
        headers: record
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), value.map(hex)))
            .collect(),
    }
}

fn row_line(row: &StoredRow) -> RowLine {
    RowLine {
        incarnation: row.incarnation,
        partition: row.partition,
        bucket: row.bucket,
        key: row.key.clone(),
        item: row.item.clone(),
        pos: row.pos,
        written_at_us: row.written_at_us,
        image: hex(&row.image),
    }
}

fn write<T: Serialize>(
    folder: &Path,
    name: &str,
    lines: impl Iterator<Item = T>,
) -> Result<(), String> {
    let path = folder.join(name);
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut file = BufWriter::new(File::create(&path).map_err(|error| failed(&error))?);
    for line in lines {
        serde_json::to_writer(&mut file, &line).map_err(|error| failed(&error))?;
        file.write_all(b"\n").map_err(|error| failed(&error))?;
    }
    file.flush().map_err(|error| failed(&error))
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or("not hexadecimal".to_owned());
    if !text.len().is_multiple_of(2) {
        return Err("half a byte".to_owned());
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| Ok((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}
