//! An operator's word to one stage, as a header on a record that says nothing else.
//!
//! Owns the two headers and their text. Events and parts have no record by which an operator could
//! release a fuse or end a diversion, and a new body in their schemas would stop every reader of the
//! former version. So the word stands in a header of a birth record's twin, which everybody who
//! does not know it passes over (docs/adr/0015). It names its stage: several may read the topic.

use super::raw::RawRecord;
use crate::domain::command::PARTITION_KEY;
use crate::stages::Scope;

/// `<stage>:<through offset>`.
pub const RELEASE_FUSE: &str = "tapline-release-fuse";
/// `<stage>:<through offset>:<key>`.
pub const END_DIVERSION: &str = "tapline-end-diversion";

/// What a header of this name says; `None` for another scope.
pub fn header(stage: &str, scope: &Scope) -> Option<(&'static str, String)> {
    match scope {
        Scope::FuseRelease { through_offset } => {
            Some((RELEASE_FUSE, format!("{stage}:{through_offset}")))
        }
        Scope::EndDiversionOf { key, through_offset } => {
            Some((END_DIVERSION, format!("{stage}:{through_offset}:{key}")))
        }
        Scope::Key
        | Scope::KeyAnd(_)
        | Scope::Nothing
        | Scope::Tick(_)
        | Scope::EndDiversion { .. } => None,
    }
}

/// The word to this stage. Ask only where the record's value says nothing: a birth, or a tick that
/// is stale for everybody. `None` also where the text is none of ours: like every unknown header it
/// means nothing.
pub fn scope(stage: &str, record: &RawRecord) -> Option<Scope> {
    if record.key.as_deref() != Some(PARTITION_KEY.as_bytes()) {
        return None;
    }
    let of_stage = |name| {
        let (named, rest) = record.headers.text(name)?.split_once(':')?;
        (named == stage).then_some(rest)
    };
    if let Some(text) = of_stage(RELEASE_FUSE) {
        return Some(Scope::FuseRelease { through_offset: text.parse().ok()? });
    }
    let (through_offset, key) = of_stage(END_DIVERSION)?.split_once(':')?;
    let through_offset = through_offset.parse().ok()?;
    (!key.is_empty()).then(|| Scope::EndDiversionOf { key: key.into(), through_offset })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{dead_letter::TimestampType, headers::HeaderList};

    fn record(key: &str, name: &str, text: &str) -> RawRecord {
        let mut headers = HeaderList::new();
        headers.push_text(name, text);
        RawRecord {
            partition: 0,
            offset: 9,
            timestamp_ms: 1,
            timestamp_type: TimestampType::LogAppendTime,
            key: Some(key.into()),
            value: Some(Vec::new()),
            headers,
        }
    }

    /// Goal: a word reaches its stage and nobody else, and what is no word says nothing. Method:
    /// both words there and back; a table of headers and keys that mean nothing to this stage.
    #[test]
    fn words() {
        let (key, through_offset) = ("a:b/EUR".into(), 12);
        for word in
            [Scope::FuseRelease { through_offset }, Scope::EndDiversionOf { key, through_offset }]
        {
            let (name, text) = header("posting", &word).expect("a word");
            let written = record(PARTITION_KEY, name, &text);
            assert_eq!(scope("posting", &written), Some(word));
            assert_eq!(scope("feed", &written), None, "{text}");
            assert_eq!(scope("posting", &record("acc-1", name, &text)), None, "{text}");
        }
        for (name, text) in [
            (RELEASE_FUSE, ""),
            (RELEASE_FUSE, "posting"),
            (RELEASE_FUSE, "posting:"),
            (RELEASE_FUSE, "posting:-1"),
            (RELEASE_FUSE, "posting:1:acc-1"),
            (END_DIVERSION, "posting:1"),
            (END_DIVERSION, "posting:1:"),
            (END_DIVERSION, "posting:x:acc-1"),
            ("tapline-birth", "posting:1"),
        ] {
            assert_eq!(scope("posting", &record(PARTITION_KEY, name, text)), None, "{text}");
        }
    }
}
