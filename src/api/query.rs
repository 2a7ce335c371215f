//! What is asked: ids in the path, parameters after it, the body. Strict, with the field at fault.
//!
//! Owns the limits of what the API reads. An unknown or doubled parameter is an error, so that a
//! typing error does not pass for a wish. Never echoes a body.

use super::problem::{Answer, Code, Problem};
use crate::domain::{feed_page::Cursor, ids::CustomerId};
use axum::body::Bytes;
use serde::de::DeserializeOwned;
use std::{str::FromStr, time::Duration};

pub const ID_BYTES_MAX: usize = 64;
pub const BODY_BYTES_MAX: usize = 64 * 1024;
pub const LIMIT_DEFAULT: usize = 50;
pub const LIMIT_MAX: usize = 200;
pub const WAIT_DEFAULT: Duration = Duration::from_secs(2);
pub const WAIT_MS_MAX: u64 = 10_000;

fn bad(field: &str, detail: impl Into<String>) -> Problem {
    Problem::of_field(Code::BadParameter, field, detail)
}

/// An id: 1 to 64 bytes of text that can be shown.
pub fn check_id(field: &str, id: &str) -> Answer<()> {
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(bad(field, format!("An id has 1 to {ID_BYTES_MAX} bytes.")));
    }
    match id.chars().any(char::is_control) {
        true => Err(bad(field, "An id has no control characters.")),
        false => Ok(()),
    }
}

pub fn customer(id: &str) -> Answer<CustomerId> {
    check_id("customer", id)?;
    Ok(CustomerId::from(id))
}

/// The parameters of a request, each taken once.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// `known`: all that may be given.
    pub fn new(pairs: Vec<(String, String)>, known: &[&str]) -> Answer<Self> {
        for (place, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = match known {
                    [] => "none".to_owned(),
                    known => known.join(", "),
                };
                return Err(bad(name, format!("Parameters here: {known}.")));
            }
            if pairs.iter().skip(place + 1).any(|(other, _)| other == name) {
                return Err(bad(name, "It is given twice."));
            }
        }
        Ok(Self(pairs))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    fn number<N: FromStr + PartialOrd>(
        &self,
        name: &str,
        (min, max): (N, N),
        form: &str,
    ) -> Answer<Option<N>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse::<N>().ok().filter(|number| *number >= min && *number <= max);
        number.map(Some).ok_or_else(|| bad(name, format!("Write {form}.")))
    }

    pub fn limit(&self) -> Answer<usize> {
        let form = format!("a number from 1 to {LIMIT_MAX}");
        Ok(self.number("limit", (1, LIMIT_MAX), &form)?.unwrap_or(LIMIT_DEFAULT))
    }

    pub fn before(&self) -> Answer<Option<Cursor>> {
        let Some(text) = self.text("before") else { return Ok(None) };
        let cursor = text.parse().map_err(|_| {
            bad("before", "Take it from `next_cursor` of the page before, as it is.")
        })?;
        Ok(Some(cursor))
    }

    pub fn wait(&self) -> Answer<Duration> {
        let form = format!("milliseconds from 0 to {WAIT_MS_MAX}");
        let wait_ms = self.number("wait_ms", (0, WAIT_MS_MAX), &form)?;
        Ok(wait_ms.map_or(WAIT_DEFAULT, Duration::from_millis))
    }
}

/// Reads a body. Errors name the field where the reader knows it.
pub fn body<T: DeserializeOwned>(bytes: &Bytes) -> Answer<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = format!("The body is not the JSON that is wanted: {error}.");
        let text = error.to_string();
        // "unknown field `x`, expected ...", "missing field `x`": the reader's own words.
        let field = text.split_once("field `").and_then(|(_, rest)| rest.split_once('`'));
        match field {
            Some((field, _)) => Problem::of_field(Code::BadBody, field, detail),
            None => Problem::new(Code::BadBody, detail),
        }
    })
}
