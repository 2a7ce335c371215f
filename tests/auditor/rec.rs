//! A record of any topic as the evidence holds it.
//!
//! Owns bytes and headers in order; knows no schema.

use tapline::codec::{frame::OutputId, headers::HeaderList, raw::RawRecord};

pub type Pairs = Vec<(String, Option<Vec<u8>>)>;

#[derive(Clone, Debug, PartialEq)]
pub struct Rec {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Pairs,
    /// Where it matters; else 0.
    pub timestamp_ms: i64,
}

impl Rec {
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().rfind(|(known, _)| known == name)?;
        String::from_utf8(found.1.clone()?).ok()
    }

    pub fn set_header(&mut self, name: &str, text: String) {
        for (known, value) in &mut self.headers {
            if known == name {
                *value = Some(text.clone().into_bytes());
            }
        }
    }

    pub fn source(&self) -> OutputId {
        self.header("tapline-src").expect("an output").parse().expect("an id")
    }
}

pub fn record_of(raw: &RawRecord) -> Rec {
    Rec {
        partition: raw.partition,
        offset: raw.offset,
        key: raw.key.clone(),
        value: raw.value.clone(),
        headers: pairs(&raw.headers),
        timestamp_ms: 0,
    }
}

pub fn pairs(list: &HeaderList) -> Pairs {
    list.iter().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect()
}
