//! Rules files: TOML text to a checked version of the rules.
//!
//! Owns the checks of one file. The stored form of a version is the text itself, so that what was
//! reviewed is what every worker reads. Invariant: rules that pass here never make a step fail.

use super::limits::is_iso_currency;
use crate::domain::{
    account::Limits,
    cycle::{Calendar, DAY_MINUTES, Day, GAP_DAYS_MAX},
    ledger::network_name,
    money::AMOUNT_MINOR_MAX,
    rules::{Fee, LimitRule, Rules, SettlementRule},
    time::{DAY_MS, LogTime},
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
    let mut named = BTreeSet::new();
    for (place, rule) in rules.settlement.iter().enumerate() {
        let field = format!("settlement[{place}]");
        for currency in &rule.currencies {
            let once = named.insert((&rule.network, *currency));
            let both = format!("{}/{currency}", rule.network);
            demand(once, &field, both, "the only line of its network and currency")?;
        }
        check_settlement(rule, &field)?;
        for currency in &rule.settles_original {
            let has_line = rules.settlement_of(&rule.network, *currency).is_some();
            let original = format!("{field}.settles_original");
            demand(has_line, &original, currency, "named by a line of the same network")?;
        }
    }
    Ok(())
}

fn check_settlement(rule: &SettlementRule, field: &str) -> Result<(), RulesError> {
    let network = &*rule.network;
    let plain = !network.is_empty() && network_name(network) == network;
    demand(plain, &format!("{field}.network"), network, "1 to 48 visible letters without `/`")?;
    let some = !rule.currencies.is_empty();
    demand(some, &format!("{field}.currencies"), "empty", "at least one currency")?;
    for currency in &rule.currencies {
        let known = is_iso_currency(*currency);
        demand(known, &format!("{field}.currencies"), currency, "codes of ISO 4217")?;
    }
    check_calendar(rule, field)?;
    for (place, interchange) in rule.interchange.iter().enumerate() {
        let field = format!("{field}.interchange[{place}]");
        for category in &interchange.merchant_categories {
            let known = (0..=9999).contains(category);
            demand(known, &format!("{field}.merchant_categories"), category, "0 to 9999")?;
        }
        check_fee(interchange.fee, &format!("{field}.fee"))?;
    }
    check_fee(rule.scheme_fee.unwrap_or_default(), &format!("{field}.scheme_fee"))
}

fn check_calendar(rule: &SettlementRule, field: &str) -> Result<(), RulesError> {
    let (minutes, weekdays) = (&rule.cutoff_minutes, &rule.weekdays);
    let at = format!("{field}.cutoff_minutes");
    let some = (1..=96).contains(&minutes.len());
    demand(some, &at, format!("{} cut-offs", minutes.len()), "1 to 96 cut-offs a day")?;
    for minute in minutes {
        demand((1..=DAY_MINUTES).contains(minute), &at, minute, "1 to 1440")?;
    }
    let sorted = minutes.is_sorted_by(|a, b| a < b);
    demand(sorted, &at, format!("{minutes:?}"), "ascending, each once")?;
    let at = format!("{field}.weekdays");
    demand(!weekdays.is_empty(), &at, "empty", "at least one day")?;
    let sorted = weekdays.is_sorted_by(|a, b| a < b);
    demand(sorted, &at, format!("{weekdays:?}"), "from `mon` to `sun`, each once")?;
    let holidays = &rule.holidays;
    let at = format!("{field}.holidays");
    let sorted = holidays.is_sorted_by(|a, b| a < b);
    demand(sorted, &at, format!("{holidays:?}"), "ascending, each once")?;
    let gap = holidays.iter().find(|day| gap_days(&rule.calendar(), **day) > GAP_DAYS_MAX);
    let closed = gap.map_or(String::new(), |day| format!("from {day} on"));
    demand(gap.is_none(), &at, closed, "without a stretch of more than 60 days")
}

/// Days from this holiday to the next cut-off.
fn gap_days(calendar: &Calendar, holiday: Day) -> i32 {
    let start = LogTime(i64::from(holiday.0) * DAY_MS);
    // Not found is a cycle of that very day, on which there is none.
    let next = calendar.next_cutoff(start).business_date;
    if next == holiday.0 { i32::MAX } else { next - holiday.0 }
}

fn check_fee(fee: Fee, field: &str) -> Result<(), RulesError> {
    let rate = fee.basis_points;
    demand((0..=10_000).contains(&rate), &format!("{field}.basis_points"), rate, "0 to 10000")?;
    let fixed = fee.fixed_minor;
    let fits = (0..=1_000_000).contains(&fixed);
    demand(fits, &format!("{field}.fixed_minor"), fixed, "0 to 1000000")
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

    /// Goal: calendars and fees that cannot work are named. Method: the shipped file with one thing
    /// changed.
    #[test]
    fn mistakes_of_settlement_are_named() {
        for (from, to, parts) in [
            ("[720, 1440]", "[1440, 720]", ["settlement[0].cutoff_minutes` is [1440", "ascending"]),
            ("[720, 1440]", "[720, 720]", ["cutoff_minutes` is [720, 720]", "each once"]),
            ("[720, 1440]", "[0, 1440]", ["cutoff_minutes` is 0", "1 to 1440"]),
            ("[720, 1440]", "[]", ["cutoff_minutes` is 0 cut-offs", "1 to 96"]),
            ("\"fri\", \"sat\"]", "\"sat\", \"fri\"]", ["weekdays` is [", "`mon` to `sun`"]),
            ("\"mon\"", "\"monday\"", ["monday", "mon"]),
            ("2026-12-25", "2026-02-30", ["2026-02-30", "not a day"]),
            ("2026-12-25", "2025-12-25", ["holidays` is [2026-01-01, 2025-12-25", "ascending"]),
            ("[\"EUR\"]", "[\"QQQ\"]", ["settlement[0].currencies` is QQQ", "ISO 4217"]),
            ("[\"EUR\"]", "[]", ["settlement[0].currencies` is empty", "at least one"]),
            ("\"visa\"\ncurr", "\"a/b\"\ncurr", ["settlement[0].network` is a/b", "without `/`"]),
            ("\"mastercard\"\ncurr", "\"visa\"\ncurr", ["settlement[1]` is visa/EUR", "only line"]),
            ("basis_points = 15", "basis_points = 10001", ["].fee.basis_points` is 10001", "0 to"]),
            (
                "fixed_minor = 1 }\n",
                "fixed_minor = -1 }\n",
                ["scheme_fee.fixed_minor` is -1", "0 to"],
            ),
            ("[5541", "[-1", ["merchant_categories` is -1", "0 to 9999"]),
            ("settles_original = []", "settles_original = [\"USD\"]", ["is USD", "same network"]),
            ("scheme_fee =", "schema_fee =", ["schema_fee", "unknown field"]),
        ] {
            assert!(FIRST.contains(from), "{from}");
            let error = parse(&FIRST.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{to}: {error}");
        }
        let days = (0..62).map(|day| format!("\"{}\"", Day(20_454 + day)));
        let closed = format!("holidays = [{}]\n#", days.collect::<Vec<_>>().join(", "));
        let error = parse(&FIRST.replacen("holidays = ", &closed, 1)).expect_err("closed");
        assert!(error.to_string().contains("from 2026-01-01 on"), "{error}");
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
            ("y = \"EUR\"", "y = \"QQQ\"", ["limits[0].currency` is QQQ", "ISO 4217"]),
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
