//! The evidence folder as the auditor documents it, written by hand: the format is an interface.

use super::books::Books;
use super::good_run::{BUCKETS, INCARNATION, PARTITIONS, Rec, Run, StoredRow};
use super::served::Served;
use serde_json::{Value, json};
use std::{fs, path::Path};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record(record: &Rec) -> Value {
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|(name, value)| json!([name, value.as_deref().map(hex)]))
        .collect();
    json!({
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": record.key.as_deref().map(hex),
        "value": record.value.as_deref().map(hex),
        "headers": headers,
    })
}

fn row(row: &StoredRow) -> Value {
    let mut line = json!({
        "incarnation": INCARNATION,
        "partition": row.partition,
        "bucket": row.bucket,
        "key": row.key,
        "written_at_us": row.written_at_us(),
        "image": hex(&row.image),
    });
    if let Some(item) = &row.item {
        line["item"] = json!(item);
        line["pos"] = json!(row.pos);
    }
    line
}

pub fn save(run: &Run, folder: &Path) {
    let mut spans = Vec::new();
    for (topic, records) in [
        ("payments.commands.v1", &run.commands),
        ("payments.events.v1", &run.events),
        ("authorisation.dead-letters.v1", &run.letters),
    ] {
        for partition in 0..PARTITIONS {
            let own = records.iter().filter(|record| record.partition == partition);
            let end = own.map(|record| record.offset + 1).max().unwrap_or(0);
            let span = json!({"topic": topic, "partition": partition, "start": 0, "end": end});
            spans.push(span);
        }
    }
    let committed = run.committed.iter();
    let committed =
        committed.map(|(partition, offset)| json!({"partition": partition, "offset": offset}));
    let journal = run.journal.iter().map(|(message_id, state, place)| {
        let mut line = json!({"message_id": message_id, "sent_us": 1, "state": state});
        if let Some((partition, offset)) = place {
            line["partition"] = json!(partition);
            line["offset"] = json!(offset);
        }
        line
    });
    let incarnation = json!({
        "incarnation": INCARNATION,
        "topic": "payments.commands.v1",
        "birth_id": "birth-1",
        "partitions": PARTITIONS,
        "buckets": BUCKETS,
    });
    let files: [(&str, Vec<Value>); 9] = [
        ("spans", spans),
        ("commands", run.commands.iter().map(record).collect()),
        ("events", run.events.iter().map(record).collect()),
        ("dead-letters", run.letters.iter().map(record).collect()),
        ("heads", run.heads.values().map(row).collect()),
        ("sides", run.sides.iter().map(row).collect()),
        ("offsets", committed.collect()),
        ("incarnation", vec![incarnation]),
        ("journal", journal.collect()),
    ];
    for (name, lines) in files {
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        fs::write(folder.join(format!("{name}.jsonl")), text.join("\n")).expect("a file");
    }
}

/// Adds the topics of settlement to a folder.
pub fn save_books(books: &Books, folder: &Path) {
    topics(
        &[
            ("ledger.postings.v1", "postings", &books.postings),
            ("settlement.parts.v1", "parts", &books.parts),
            ("settlement.windows.v1", "windows", &books.windows),
        ],
        folder,
    );
}

/// Topic, file and records each.
fn topics(topics: &[(&str, &str, &Vec<Rec>)], folder: &Path) {
    let spans = folder.join("spans.jsonl");
    let mut lines = fs::read_to_string(&spans).expect("the spans");
    for (topic, name, records) in topics {
        for partition in 0..PARTITIONS {
            let own = records.iter().filter(|record| record.partition == partition);
            let end = own.map(|record| record.offset + 1).max().unwrap_or(0);
            let span = json!({"topic": topic, "partition": partition, "start": 0, "end": end});
            lines += &format!("\n{span}");
        }
        let text: Vec<String> = records.iter().map(|it| record(it).to_string()).collect();
        fs::write(folder.join(format!("{name}.jsonl")), text.join("\n")).expect("a file");
    }
    fs::write(spans, lines).expect("the spans");
}

/// Adds what customers see and are told.
pub fn save_served(served: &Served, folder: &Path) {
    topics(
        &[
            ("feed.items.v1", "feed-items", &served.items),
            ("push.outcomes.v1", "push-outcomes", &served.outcomes),
        ],
        folder,
    );
    let rows = served.rows.iter().map(|((customer, line), row)| {
        json!({
            "incarnation": INCARNATION + 1,
            "bucket": row.bucket,
            "period": row.period,
            "key": customer,
            "ordering": row.ordering,
            "item": line,
            "written_at_us": (1_i64 << 51) + row.pos,
            "image": hex(&row.image),
        })
    });
    let requests = served.requests.iter().enumerate().map(|(seq, request)| {
        json!({
            "seq": seq,
            "received_us": request.received_us,
            "platform": "fcm",
            "key": request.key,
            "device": "0011223344556677",
            "title": "Corner shop",
            "body": "",
            "body_sha256": request.body_sha256,
            "answer": request.answer,
        })
    });
    let lives = [("payments.events.v1", INCARNATION + 1), ("feed.items.v1", INCARNATION + 2)];
    let lives = lives.map(|(topic, incarnation)| {
        json!({
            "incarnation": incarnation,
            "topic": topic,
            "birth_id": "birth-2",
            "partitions": PARTITIONS,
            "buckets": BUCKETS,
        })
    });
    let offsets = |committed: &[(i32, i64)]| -> Vec<Value> {
        let lines = committed.iter();
        lines.map(|(partition, offset)| json!({"partition": partition, "offset": offset})).collect()
    };
    for (name, lines) in [
        ("feed-rows", rows.collect::<Vec<Value>>()),
        ("gateway-journal", requests.collect()),
        ("feed-incarnations", lives.to_vec()),
        ("feed-offsets", offsets(&served.committed)),
        ("push-offsets", offsets(&served.push_committed)),
    ] {
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        fs::write(folder.join(format!("{name}.jsonl")), text.join("\n")).expect("a file");
    }
}
