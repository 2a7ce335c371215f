//! The producer's journal: what was about to be sent, and what was acknowledged.
//!
//! Owns one JSON line per fact. A command's line is on disk before the command is sent, so that an
//! auditor knows of everything that may be in the log: `acked` means exactly one decision, a line
//! that is only `planned` at most one.

use crate::adapters::kafka::sender::Acked;
use crate::codec::partitioner::partition_of;
use crate::domain::command::AccountCommand;
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::mpsc,
};

#[derive(Serialize)]
struct Line<'a> {
    message_id: &'a str,
    sent_us: i64,
    state: &'a str,
    partition: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
}

/// An acknowledgement on its way to the journal.
pub struct Noted {
    message_id: Box<str>,
    sent_us: i64,
    partition: i32,
    acked: Acked,
}

pub struct Journal {
    file: File,
    partitions: i32,
    lines: Vec<u8>,
    notes: mpsc::Receiver<Noted>,
    noting: mpsc::Sender<Noted>,
}

impl Journal {
    pub fn create(path: &Path, partitions: i32) -> io::Result<Self> {
        let (noting, notes) = mpsc::channel();
        Ok(Self { file: File::create(path)?, partitions, lines: Vec::new(), notes, noting })
    }

    /// Adds the commands that are about to be sent; on disk when this returns.
    pub fn plan(&mut self, commands: &[(AccountCommand, i64)]) -> io::Result<()> {
        self.take_notes()?;
        for (command, sent_us) in commands {
            let partition = partition_of(command.account_id.as_str().as_bytes(), self.partitions);
            let message_id = command.message_id.as_str();
            self.line(&Line {
                message_id,
                sent_us: *sent_us,
                state: "planned",
                partition,
                offset: None,
            })?;
        }
        self.file.write_all(&self.lines)?;
        self.lines.clear();
        self.file.sync_data()
    }

    /// What to call when the command is acknowledged.
    pub fn noter(
        &self,
        command: &AccountCommand,
        sent_us: i64,
    ) -> impl Fn(Acked) + Send + Sync + 'static {
        let noting = self.noting.clone();
        let message_id: Box<str> = command.message_id.as_str().into();
        let partition = partition_of(command.account_id.as_str().as_bytes(), self.partitions);
        move |acked| {
            // The journal is gone only when the run is over.
            let _ =
                noting.send(Noted { message_id: message_id.clone(), sent_us, partition, acked });
        }
    }

    /// Writes what was acknowledged since.
    pub fn finish(mut self) -> io::Result<()> {
        self.take_notes()?;
        self.file.write_all(&self.lines)?;
        self.file.sync_all()
    }

    fn take_notes(&mut self) -> io::Result<()> {
        let notes: Vec<Noted> = self.notes.try_iter().collect();
        for note in notes {
            self.line(&Line {
                message_id: &note.message_id,
                sent_us: note.sent_us,
                state: "acked",
                partition: note.partition,
                offset: Some(note.acked.offset),
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        serde_json::to_writer(&mut self.lines, line)?;
        self.lines.push(b'\n');
        Ok(())
    }
}
