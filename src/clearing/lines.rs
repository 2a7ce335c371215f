//! Lines of a stream: numbered, bounded, hashed.
//!
//! Owns the limit of a line, so that no file can make the reader keep more of it, and the running
//! hash of the bytes that were accepted. A line ends with LF or CRLF; the last may lack its end.

use super::problem::Problem;
use sha2::{Digest, Sha256};
use std::io::{BufRead, Read};

/// Twenty fields of some hundred bytes are usual; a line beyond this is no line of ours.
pub const LINE_BYTES_MAX: usize = 16_384;

pub struct Lines<R> {
    source: R,
    number: u64,
    bytes: Vec<u8>,
    hash: Sha256,
}

impl<R: BufRead> Lines<R> {
    pub fn new(source: R) -> Self {
        Self { source, number: 0, bytes: Vec::with_capacity(512), hash: Sha256::new() }
    }

    /// Of the line read last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line; `false` at the end of the stream.
    ///
    /// Errors: `unreadable`, `line_too_long` (nothing more of it is read), `not_utf8` by
    /// [`Lines::text`].
    pub fn advance(&mut self) -> Result<bool, Problem> {
        self.bytes.clear();
        self.number += 1;
        let limit = LINE_BYTES_MAX as u64 + 2;
        let read = self.source.by_ref().take(limit).read_until(b'\n', &mut self.bytes);
        let read = read.map_err(|error| self.problem("unreadable", error))?;
        if self.content().len() > LINE_BYTES_MAX {
            let reason = format_args!("more than {LINE_BYTES_MAX} bytes without an end of line");
            return Err(self.problem("line_too_long", reason));
        }
        Ok(read > 0)
    }

    /// The line without its end.
    pub fn text(&self) -> Result<&str, Problem> {
        std::str::from_utf8(self.content()).map_err(|error| {
            let at = error.valid_up_to() + 1;
            self.problem("not_utf8", format_args!("byte {at} of the line belongs to no character"))
        })
    }

    fn content(&self) -> &[u8] {
        let line = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Takes the line, its end included, into the hash.
    pub fn accept(&mut self) {
        self.hash.update(&self.bytes);
    }

    /// Of all accepted lines.
    pub fn hash(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    fn problem(&self, code: &'static str, reason: impl std::fmt::Display) -> Problem {
        Problem::new(self.number, "line", code, reason)
    }
}
