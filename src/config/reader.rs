//! Reads single values of a `RawConfig` into their kinds, and gathers what is wrong.
//!
//! Owns the notations (durations, counts, lists) and the `_FILE` form of secrets. Never relates one
//! key to another: `checked` does. Invariant: each method answers something even for a bad value
//! and notes the problem, so that one run finds them all; `finish` refuses if any was noted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigError, Problem};
use super::raw::{Origin, RawConfig, Written, place};
use super::table::{self, Kind, Setting};
use crate::runtime::settings::Secret;

pub struct Reader<'a> {
    raw: &'a RawConfig,
    problems: Vec<Problem>,
    /// What each secret's file held: origin and text.
    read_files: BTreeMap<&'static str, Written>,
}

impl<'a> Reader<'a> {
    pub fn new(raw: &'a RawConfig) -> Self {
        let mut reader = Reader { raw, problems: Vec::new(), read_files: BTreeMap::new() };
        for setting in table::SETTINGS.iter().filter(|setting| setting.has_file_form()) {
            reader.read_file_form(setting);
        }
        reader
    }

    /// A value and its `_FILE` together are refused: nobody could say which one was meant.
    fn read_file_form(&mut self, setting: &'static Setting) {
        let file_key = format!("{}_file", setting.key);
        let Some(named) = self.raw.get(&file_key) else {
            return;
        };
        if let Some(value) = self.raw.get(setting.key) {
            let fault = format!("{file_key} is set too ({})", place(&file_key, &named.origin));
            let origin = place(setting.key, &value.origin);
            self.note(setting.key, None, origin, fault, "keep one of the two".to_owned());
            return;
        }
        let path = PathBuf::from(&named.text);
        match read_secret(&path) {
            Ok(text) => {
                let written = Written { text, origin: Origin::SecretFile(path) };
                self.read_files.insert(setting.key, written);
            }
            Err(error) => {
                let origin = place(&file_key, &named.origin);
                let value = Some(named.text.clone());
                let cure = "name a readable file".to_owned();
                self.note(&file_key, value, origin, format!("cannot be read ({error})"), cure);
            }
        }
    }

    pub fn written(&self, key: &str) -> Option<&Written> {
        self.raw.get(key).or_else(|| self.read_files.get(key))
    }

    pub fn optional_text(&self, key: &str) -> Option<String> {
        self.written(key).map(|written| written.text.clone())
    }

    pub fn text(&self, key: &str) -> String {
        self.optional_text(key).unwrap_or_default()
    }

    pub fn path(&self, key: &str) -> Option<PathBuf> {
        self.optional_text(key).map(PathBuf::from)
    }

    pub fn secret(&self, key: &str) -> Option<Secret> {
        self.optional_text(key).map(Secret::new)
    }

    /// Words without blanks around them; an empty list is refused.
    pub fn list(&mut self, key: &str) -> Vec<String> {
        let text = self.text(key);
        let text = text.trim().trim_start_matches('[').trim_end_matches(']');
        let word = |word: &str| word.trim().trim_matches('"').to_owned();
        let words: Vec<String> =
            text.split(',').map(word).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            self.wrong(key, "is an empty list", "name at least one, separated by commas");
        }
        words
    }

    /// One of the words that the table allows, as the table spells it.
    pub fn choice(&mut self, key: &str) -> Option<&'static str> {
        let Some(Setting { kind: Kind::Choice(words), default, .. }) = table::find(key) else {
            unreachable!("{key} is not a choice in the table")
        };
        let text = match (self.optional_text(key), default) {
            (Some(text), _) => text,
            (None, Some(_)) => String::new(), // blanked: no word, so it is refused below
            (None, None) => return None,
        };
        let found = words.iter().copied().find(|word| word.eq_ignore_ascii_case(text.trim()));
        if found.is_none() {
            self.wrong(key, "is not one of the choices", &format!("write {}", words.join(" or ")));
        }
        found
    }

    pub fn flag(&mut self, key: &str) -> bool {
        match self.text(key).trim().to_lowercase().as_str() {
            "true" => true,
            "false" => false,
            _ => {
                self.wrong(key, "is neither true nor false", "write true or false");
                false
            }
        }
    }

    /// A whole number within the table's bounds, and within those of `N`.
    pub fn count<N: TryFrom<u64> + Default>(&mut self, key: &str) -> N {
        let Some(Setting { kind: Kind::Count { min, max }, .. }) = table::find(key) else {
            unreachable!("{key} is not a count in the table")
        };
        let number = self.text(key).trim().parse::<u64>().ok();
        let in_bounds = number.filter(|number| (min..=max).contains(&number));
        let narrowed = in_bounds.and_then(|number| N::try_from(number).ok());
        narrowed.unwrap_or_else(|| {
            let cure = format!("write digits only, from {min} to {max}");
            self.wrong(key, "is not a number in range", &cure);
            N::default()
        })
    }

    pub fn duration(&mut self, key: &str) -> Duration {
        let text = self.text(key);
        parse_duration(&text).unwrap_or_else(|| {
            self.wrong(key, "is not a duration above zero", "write it as 250ms, 30s or 5m");
            Duration::from_secs(1)
        })
    }

    /// The same for a time that may be below a millisecond.
    pub fn short_duration(&mut self, key: &str) -> Duration {
        let text = self.text(key);
        parse_short_duration(&text).unwrap_or_else(|| {
            self.wrong(key, "is not a duration above zero", "write it as 1ms, 1500us or 20ms");
            Duration::from_millis(1)
        })
    }

    pub fn duration_or_off(&mut self, key: &str) -> Option<Duration> {
        if self.text(key).trim().eq_ignore_ascii_case("off") {
            return None;
        }
        Some(self.duration(key))
    }

    pub fn map(&self, key: &str) -> BTreeMap<String, String> {
        let pairs = self.raw.below(key);
        pairs.map(|(name, written)| (name.to_owned(), written.text.clone())).collect()
    }

    /// Notes that the value of `key` will not do. The value is shown unless it is a secret.
    pub fn wrong(&mut self, key: &str, fault: &str, cure: &str) {
        let written = self.written(key);
        let is_secret = table::find(key).is_some_and(Setting::is_secret);
        let value = written.filter(|_| !is_secret).map(|written| written.text.clone());
        let origin = written.map(|written| &written.origin).or_else(|| self.raw.origin(key));
        let origin = origin.map_or("not set".to_owned(), |origin| place(key, origin));
        self.note(key, value, origin, fault.to_owned(), cure.to_owned());
    }

    /// The same for a name below a map, whose value may be anything: it is not shown.
    pub fn wrong_below(&mut self, map: &str, name: &str, fault: &str, cure: &str) {
        let key = format!("{map}.{name}");
        let origin = self.raw.below(map).find(|(below, _)| *below == name);
        let origin = origin.map_or(String::new(), |(_, it)| place(&key, &it.origin));
        self.note(&key, None, origin, fault.to_owned(), cure.to_owned());
    }

    fn note(
        &mut self,
        key: &str,
        value: Option<String>,
        origin: String,
        fault: String,
        cure: String,
    ) {
        // A value that cannot be read would also fail every later check: one line is enough.
        if !self.problems.iter().any(|problem| problem.key == key) {
            self.problems.push(Problem { key: key.to_owned(), value, origin, fault, cure });
        }
    }

    /// The answer, unless something was wrong.
    pub fn finish<T>(self, checked: T) -> Result<T, ConfigError> {
        match self.problems {
            problems if problems.is_empty() => Ok(checked),
            problems => Err(ConfigError { problems }),
        }
    }
}

/// One trailing newline is the editor's, not the secret's.
fn read_secret(path: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let cut = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(cut.unwrap_or(&text).to_owned())
}

/// Whole number and unit. `None` for anything else, and for zero: no setting means "at once".
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let millis = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    (millis > 0).then(|| Duration::from_millis(millis))
}

/// The same, with `us` for microseconds.
fn parse_short_duration(text: &str) -> Option<Duration> {
    let Some(number) = text.trim().strip_suffix("us") else { return parse_duration(text) };
    let micros = number.trim_end().parse::<u64>().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: short durations are durations and microseconds. Method: text, then microseconds.
    #[test]
    fn short_durations_know_microseconds() {
        for (text, micros) in [
            ("1500us", Some(1_500)),
            (" 20 us ", Some(20)),
            ("2ms", Some(2_000)),
            ("1s", Some(1_000_000)),
            ("0us", None),
            ("1.5ms", None),
            ("us", None),
            ("-1us", None),
            ("99999999999999999999us", None),
        ] {
            assert_eq!(parse_short_duration(text), micros.map(Duration::from_micros), "{text:?}");
        }
        assert_eq!(parse_duration("1500us"), None, "ticks and seals are counted in milliseconds");
    }

    /// Goal: durations mean what they say. Method: text, then milliseconds.
    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, millis) in [
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("90d", Some(7_776_000_000)),
            (" 1 s ", Some(1_000)),
            ("0s", None),
            ("30", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1S", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text:?}");
        }
    }
}
