//! Fills the servers' configuration files.
//!
//! Owns `@NAME@`: upper case letters and `_` between two signs. Every mark must be known and
//! filled; one that is left over would reach a server as a strange value and fail far from here.

/// Replaces each `@NAME@` by its value.
///
/// Panics on a mark without a value: templates and callers are compiled together, and a test fills
/// each of them.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('@') {
        filled.push_str(before);
        match after.split_once('@') {
            Some((name, tail)) if is_name(name) => {
                let value = values.iter().find(|(known, _)| *known == name);
                let (_, value) = value.unwrap_or_else(|| panic!("@{name}@ has no value"));
                filled.push_str(value);
                rest = tail;
            }
            _ => {
                filled.push('@');
                rest = after;
            }
        }
    }
    filled + rest
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: marks are replaced and nothing else. Method: one line per case.
    #[test]
    fn marks_are_filled() {
        let values = [("HOME", "/h@HOME@"), ("KAFKA_PORT", "9")];
        for (template, then) in [
            ("a=@HOME@/x", "a=/h@HOME@/x"), // a value is not filled again
            ("voters=1@127.0.0.1:@KAFKA_PORT@", "voters=1@127.0.0.1:9"),
            ("@KAFKA_PORT@@KAFKA_PORT@", "99"),
            ("mail@example", "mail@example"),
            ("", ""),
        ] {
            assert_eq!(fill(template, &values), then, "{template}");
        }
    }

    /// Goal: a misspelt mark cannot reach a server. Method: fill one.
    #[test]
    #[should_panic(expected = "@PORT@ has no value")]
    fn unknown_mark_is_refused() {
        fill("x=@PORT@", &[("HOME", "/h")]);
    }
}
