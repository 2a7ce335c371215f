//! The stable codes of records that cannot be taken, with a sentence each.
//!
//! Owns the one table that dead letters, their command line and the documentation share. A code is
//! never renamed and never used for another meaning. Sentences are constants: nothing of a record
//! ever stands in them.

/// Ascending by code.
pub const CODES: &[(&str, &str)] = &[
    ("amount_negative", "An amount is below zero; direction is told by the command, not the sign."),
    ("amount_not_positive", "The command moves nothing: its amount must be above zero."),
    ("amount_overflow", "A sum of the account would leave what 64 bits can hold."),
    ("amount_too_large", "An amount is above 10^13 minor units, the most one message may name."),
    ("class_unexpected", "The class is none that a difference can have."),
    ("command_unexpected", "The command is none that an account can be given."),
    ("cycle_invalid", "The cycle has no cut-off or no number."),
    ("direction_unknown", "The line does not say which way the money went."),
    ("diverted", "An earlier record of the same key is a dead letter; this one waits behind it."),
    ("headers_too_large", "The record has more headers, or more bytes of them, than allowed."),
    ("id_missing", "The message or the payment has no id."),
    ("key_mismatch", "The account named in the value is not the record's key."),
    ("key_not_utf8", "The key is not UTF-8 text."),
    ("key_reserved", "The account's id begins as one that the ledger keeps for itself does."),
    ("key_too_long", "The key is longer than allowed."),
    ("leg_unknown", "A leg is at an address that this release does not know."),
    ("list_too_long", "A list has more entries than allowed."),
    ("missing_key", "The record has no key, so it belongs to no account."),
    ("pan_in_clear", "A card token looks like a card number; the value is not kept."),
    ("part_invalid", "The part's partition, range or suspense contradicts itself."),
    ("report_invalid", "A network's report cannot have anything in suspense."),
    ("reserved_key", "The key begins with `tapline.`, which is kept for records of a partition."),
    ("resolution_unexpected", "The kind is none that a person can ask for."),
    ("sequence_invalid", "The presentment's number does not fit how many there are to be."),
    ("status_invalid", "The status is none that an account can be given."),
    ("text_too_long", "A text is longer than allowed."),
    ("too_large", "The value is larger than allowed."),
    ("undecodable_value", "The value does not read as the schema that it names."),
    ("unknown_currency", "A currency is not a code of ISO 4217."),
    ("velocity_invalid", "A velocity limit lacks its count or its window, or one is not positive."),
    ("wrong_key", "The record's key and what its value concerns are not the same."),
    ("wrong_magic", "The value begins with neither the single-object nor the registry frame."),
    ("wrong_partition", "The record stands in another partition than its key belongs to."),
];

/// The sentence of a code of the table.
pub fn sentence(code: &str) -> &'static str {
    match CODES.binary_search_by(|(known, _)| (*known).cmp(code)) {
        Ok(place) => CODES[place].1,
        Err(_) => "The record cannot be applied.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// Goal: operators can look up every code. Method: the table is ascending; each code that the
    /// stages' and the codec's sources name as poison stands in it.
    #[test]
    fn every_code_has_a_sentence() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        let mut named = Vec::new();
        for folder in ["src/stages", "src/codec", "src/runtime"] {
            collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut named);
        }
        assert!(named.len() > 15, "the search finds too little: {named:?}");
        for code in named {
            assert!(CODES.iter().any(|(known, _)| *known == code), "{code} has no sentence");
        }
    }

    fn collect(path: &Path, named: &mut Vec<String>) {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                collect(&entry.path(), named);
                continue;
            }
            let text = fs::read_to_string(entry.path()).expect("source files are text");
            // Up to the tests, which may invent codes.
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            if entry.file_name() == "tests.rs" {
                continue;
            }
            // `refuse` makes a code in the codec alone.
            let is_codec = path.ends_with("codec");
            let signs = ["Poison { code: \"", "poison(\"", "refuse("];
            for before in signs.into_iter().filter(|sign| is_codec || *sign != "refuse(") {
                for rest in text.split(before).skip(1) {
                    let rest = match before {
                        "refuse(" => {
                            rest.split(")?").next().and_then(|call| call.split('"').nth(1))
                        }
                        _ => rest.split('"').next(),
                    };
                    named.extend(rest.filter(|code| is_code(code)).map(str::to_owned));
                }
            }
        }
    }

    fn is_code(text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    }
}
