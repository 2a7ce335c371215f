//! Rules files: TOML text to a checked version of the rules.
//!
//! Owns the checks of one file. The stored form of a version is the text itself, so that what was
//! reviewed is what every worker reads. Invariant: rules that pass here never make a step fail.

use super::limits::is_iso_currency;
use crate::domain::{
    account::Limits,
    money::AMOUNT_MINOR_MAX,
    rules::{LimitRule, Rules},
};
use std::collections::BTreeSet;

/// What is wrong with a rules file; names the field and its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    #[error("rules file is not readable: {0}")]
    Unreadable(String),
    #[error("rules: `{field}` is {value}, but must be {must}")]
    Refused { field: String, value: String, must: &'static str },
}

/// The bytes under which a version is stored: the text as written.
pub fn stored(text: &str) -> &[u8] {
    text.as_bytes()
}

/// Parses and checks one version.
pub fn parse(text: &str) -> Result<Rules, RulesError> {
    let unreadable = |error: toml::de::Error| RulesError::Unreadable(error.to_string());
    known_limits(&toml::from_str(text).map_err(unreadable)?)?;
    let rules: Rules = toml::from_str(text).map_err(unreadable)?;
    check(&rules)?;
    Ok(rules)
}

fn check(rules: &Rules) -> Result<(), RulesError> {
    demand(rules.version >= 1, "version", rules.version, "1 or more")?;
    let described = !rules.description.trim().is_empty();
    demand(described, "description", "empty", "a sentence that says why the version exists")?;
    for (field, ms) in [
        ("closing_age_ms", rules.closing_age_ms),
        ("tombstone_ms", rules.tombstone_ms),
        ("hold_ms", rules.hold_ms),
    ] {
        demand(ms > 0, field, ms, "above 0")?;
    }
    demand(rules.match_late_ms >= 0, "match_late_ms", rules.match_late_ms, "0 or more")?;
    let permille = rules.match_tolerance_permille;
    demand((0..=1000).contains(&permille), "match_tolerance_permille", permille, "0 to 1000")?;
    for (place, hold) in rules.holds.iter().enumerate() {
        demand(hold.hold_ms > 0, &format!("holds[{place}].hold_ms"), hold.hold_ms, "above 0")?;
    }
    let mut names = BTreeSet::new();
    for (place, rule) in rules.limits.iter().enumerate() {
        let field = format!("limits[{place}]");
        let name = &rule.name;
        // The name is part of a counter's text, in which colons separate.
        let plain = !name.is_empty() && !name.contains(':') && name.len() <= 64;
        demand(plain, &format!("{field}.name"), name, "1 to 64 bytes without a colon")?;
        demand(names.insert(name), &format!("{field}.name"), name, "used once only")?;
        check_limit(rule, &field)?;
    }
    Ok(())
}

fn check_limit(rule: &LimitRule, field: &str) -> Result<(), RulesError> {
    let known = is_iso_currency(rule.currency);
    demand(known, &format!("{field}.currency"), rule.currency, "a code of ISO 4217")?;
    let limits = &rule.limits;
    for (name, minor) in [
        ("transaction_minor", limits.transaction_minor),
        ("daily_minor", limits.daily_minor),
        ("monthly_minor", limits.monthly_minor),
        ("lifetime_minor", limits.lifetime_minor),
    ] {
        let minor = minor.unwrap_or(0);
        let fits = (0..=AMOUNT_MINOR_MAX).contains(&minor);
        demand(fits, &format!("{field}.limits.{name}"), minor, "0 to 10^13")?;
    }
    let (count, window_ms) = (limits.velocity_count, limits.velocity_window_ms);
    let both = count.is_some() == window_ms.is_some();
    let window = format!("{field}.limits.velocity_window_ms");
    demand(both, &window, format!("{window_ms:?}"), "given together with `velocity_count`")?;
    demand(window_ms.unwrap_or(1) > 0, &window, window_ms.unwrap_or(1), "above 0")?;
    let count = count.unwrap_or(0);
    demand(count >= 0, &format!("{field}.limits.velocity_count"), count, "0 or more")?;
    let some = *limits != Limits::default();
    demand(some, &format!("{field}.limits"), "empty", "at least one limit")
}

/// `Limits` is also part of commands, where unknown fields are the schema's matter; in a file a
/// typing error in a name must not be silent.
fn known_limits(file: &toml::Table) -> Result<(), RulesError> {
    const KNOWN: [&str; 6] = [
        "transaction_minor",
        "daily_minor",
        "monthly_minor",
        "lifetime_minor",
        "velocity_count",
        "velocity_window_ms",
    ];
    let rules = file.get("limits").and_then(toml::Value::as_array).into_iter().flatten();
    for (place, rule) in rules.enumerate() {
        let limits = rule.get("limits").and_then(toml::Value::as_table).into_iter().flatten();
        for (name, value) in limits {
            let field = format!("limits[{place}].limits.{name}");
            demand(KNOWN.contains(&name.as_str()), &field, value, "one of the six known limits")?;
        }
    }
    Ok(())
}

fn demand(
    holds: bool,
    field: &str,
    value: impl std::fmt::Display,
    must: &'static str,
) -> Result<(), RulesError> {
    if holds {
        return Ok(());
    }
    Err(RulesError::Refused { field: field.to_owned(), value: value.to_string(), must })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = include_str!("../../rules/1.toml");
    const LIMIT: &str = r#"
[[limits]]
name = "contactless"
currency = "EUR"
channel = "contactless"
limits = { transaction_minor = 5000, velocity_count = 5, velocity_window_ms = 86400000 }
"#;

    /// Goal: what every installation starts with is accepted. Method: the file itself.
    #[test]
    fn the_first_version() {
        let rules = parse(FIRST).expect("rules/1.toml");
        assert_eq!(rules.version, 1);
        let more = parse(&format!("{FIRST}{LIMIT}")).expect("with a limit");
        assert_eq!(more.limits.len(), 1);
        assert_eq!(stored(FIRST), FIRST.as_bytes());
    }

    /// Goal: a mistake is named by field and value. Method: the good file with one thing changed.
    #[test]
    fn mistakes_are_named() {
        let good = format!("{FIRST}{LIMIT}");
        for (from, to, parts) in [
            ("version = 1", "version = 0", ["`version` is 0", "1 or more"]),
            ("permille = 200", "permille = 1001", ["tolerance_permille` is 1001", "0 to 1000"]),
            ("class = \"lodging\"", "class = \"loding\"", ["loding", "lodging"]),
            ("hold_ms = 864_000_000", "hold_ms = 0", ["].hold_ms` is 0", "above 0"]),
            ("tombstone_ms", "tombstone_s", ["tombstone_s", "unknown field"]),
            ("\"EUR\"", "\"QQQ\"", ["limits[0].currency` is QQQ", "ISO 4217"]),
            ("transaction_minor", "transaction", ["limits[0].limits.transaction`", "six"]),
            ("= 5000", "= -1", ["limits.transaction_minor` is -1", "0 to 10^13"]),
            ("velocity_count = 5, ", "", ["velocity_window_ms", "together"]),
            ("\"contactless\"\ncur", "\"a:b\"\ncur", ["limits[0].name` is a:b", "colon"]),
        ] {
            assert!(good.contains(from), "{from}");
            let error = parse(&good.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{to}: {error}");
        }
        let twice = parse(&format!("{good}{LIMIT}")).expect_err("one name twice").to_string();
        assert!(twice.contains("limits[1].name` is contactless"), "{twice}");
    }
}
