//! Just enough of Rust's grammar to tell code from comments and texts.
//!
//! Owns the split of a source file and the few questions that are asked of it. Knows no rule.

use std::collections::BTreeSet;

/// One piece of a source file.
enum Piece<'a> {
    Code(&'a str),
    Text(&'a str),
}

/// The file without comments, cut into code and the contents of string literals.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (bytes, mut pieces, mut start, mut at) = (text.as_bytes(), Vec::new(), 0, 0);
    while at < bytes.len() {
        let rest = &text[at..];
        let (skip, content) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), None)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |end| end + 2), None)
        } else if let Some((skip, from, to)) = raw_text(rest, at, bytes) {
            (skip, Some((from, to)))
        } else if bytes[at] == b'"' {
            let end = end_of_text(rest);
            (end + 1, Some((1, end)))
        } else if bytes[at] == b'\'' {
            match character(rest) {
                Some(length) => (length, None),
                None => (0, None),
            }
        } else {
            (0, None)
        };
        if skip == 0 {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        }
        pieces.push(Piece::Code(&text[start..at]));
        if let Some((from, to)) = content {
            pieces.push(Piece::Text(&rest[from..to]));
        }
        at = (at + skip).min(text.len());
        start = at;
    }
    pieces.push(Piece::Code(&text[start..]));
    pieces
}

/// `r"..."` and `r#"..."#`: (length, content from, content to).
fn raw_text(rest: &str, at: usize, bytes: &[u8]) -> Option<(usize, usize, usize)> {
    if !rest.starts_with('r') || (at > 0 && is_word(char::from(bytes[at - 1]))) {
        return None;
    }
    let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
    let from = 1 + hashes + 1;
    if rest.as_bytes().get(from - 1) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let to = from + rest[from..].find(&close)?;
    Some((to + close.len(), from, to))
}

/// Place of the closing quote of a text that begins with one.
fn end_of_text(rest: &str) -> usize {
    let mut escaped = false;
    for (place, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return place,
            _ => {}
        }
    }
    rest.len() - 1
}

/// Length of a character literal; `None`: a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    match letters.next()? {
        (_, '\\') => {
            letters.next();
            rest[3..].find('\'').map(|end| 3 + end + 1)
        }
        _ => letters.next().filter(|(_, letter)| *letter == '\'').map(|(place, _)| place + 1),
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The code alone; a text or comment is a space.
pub fn code_of(text: &str) -> String {
    let code = |piece| match piece {
        Piece::Code(code) => code,
        Piece::Text(_) => " ",
    };
    pieces(text).into_iter().map(code).collect::<Vec<_>>().join(" ")
}

/// The contents of the string literals.
pub fn strings_of(text: &str) -> Vec<String> {
    let content = |piece| match piece {
        Piece::Code(_) => None,
        Piece::Text(text) => Some(text.to_owned()),
    };
    pieces(text).into_iter().filter_map(content).collect()
}

/// The file up to its module of tests.
pub fn before_tests(text: &str) -> &str {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    &text[..end]
}

pub fn identifiers(text: &str) -> Vec<String> {
    let names = text.split(|letter| !is_word(letter)).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// First names of the paths that begin with `crate::`, or in a binary with `tapline::`.
pub fn crate_paths(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for root in ["crate::", "tapline::"] {
        for (place, _) in code.match_indices(root) {
            if !code[..place].ends_with(is_word) {
                named.extend(heads(&code[place + root.len()..]));
            }
        }
    }
    named
}

/// First names after a `::`: one, or those of a group in braces.
fn heads(rest: &str) -> Vec<String> {
    if !rest.starts_with('{') {
        return identifiers(&rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]);
    }
    let (mut depth, mut expects, mut names, mut name) = (0, true, Vec::new(), String::new());
    for letter in rest.chars() {
        if depth == 1 && expects && is_word(letter) {
            name.push(letter);
            continue;
        }
        if !name.is_empty() {
            names.push(std::mem::take(&mut name));
            expects = false;
        }
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => expects = true,
            _ => {}
        }
    }
    names
}

/// Is `layer::module` named, however the path begins?
pub fn names_module(code: &str, layer: &str, module: &str) -> bool {
    let roots = [format!("{layer}::"), "super::".to_owned()];
    roots.iter().any(|root| {
        code.match_indices(root.as_str()).any(|(place, _)| {
            let before = &code[..place];
            // `super::` in a module's own files means its siblings, unless it begins a path there.
            !before.ends_with(is_word)
                && heads(&code[place + root.len()..]).iter().any(|n| n == module)
        })
    })
}

/// Which of `known` begin a path, a `use` or a macro call.
pub fn outside_crates<'k>(code: &str, known: impl Iterator<Item = &'k str>) -> BTreeSet<&'k str> {
    known
        .filter(|name| {
            code.match_indices(*name).any(|(place, _)| {
                let (before, after) = (&code[..place], &code[place + name.len()..]);
                let begins = !before.ends_with(|c| is_word(c) || c == ':' || c == '.');
                let used =
                    before.trim_end().ends_with(" use") || before.trim_end().ends_with("\nuse");
                begins && (after.starts_with("::") || (used && after.starts_with(';')))
            })
        })
        .collect()
}

/// Names of types, traits, functions, modules and constants that the code defines.
pub fn defined_names(code: &str) -> BTreeSet<String> {
    const BEFORE: &[&str] =
        &["struct", "enum", "trait", "type", "fn", "mod", "const", "static", "union"];
    let words: Vec<&str> = code.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| BEFORE.contains(&pair[0]));
    pairs.filter_map(|pair| identifiers(pair[1]).into_iter().next()).collect()
}

/// `HttpRequest` and `http_request` are `http`, `request`.
pub fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_lower = false;
    for letter in name.chars() {
        let starts = letter == '_' || letter == '.' || (letter.is_uppercase() && was_lower);
        if starts || words.is_empty() {
            words.push(String::new());
        }
        was_lower = letter.is_lowercase() || letter.is_numeric();
        if let Some(word) = words.last_mut().filter(|_| is_word(letter) && letter != '_') {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Goal: the rules see what they must. Method: texts that break them, and texts that do not.
#[test]
fn the_rules_see() {
    let paths = |code: &str| crate_paths(&code_of(code)).into_iter().collect::<Vec<_>>();
    assert_eq!(paths("use crate::{domain::a, stages::{b, c}};"), ["domain", "stages"]);
    assert_eq!(paths("// crate::load\nlet a = \"crate::bin\"; crate::codec::x()"), ["codec"]);
    assert_eq!(paths("fn a() { tapline::operator::cli::run() }"), ["operator"]);
    let crates = |code: &str| outside_crates(&code_of(code), ["metrics", "csv"].into_iter());
    assert_eq!(crates("use metrics::{gauge};").len(), 1);
    assert_eq!(crates("self.metrics; http::metrics::x(); let csv = 1;").len(), 0);
    let code = "use crate::adapters::{http, kafka::{a, b}};";
    assert!(names_module(&code_of(code), "adapters", "kafka"));
    assert!(names_module("use super::kafka::a;", "adapters", "kafka"));
    assert!(!names_module(&code_of(code), "adapters", "cassandra"));
    assert_eq!(words("HttpRequestHandler"), ["http", "request", "handler"]);
    assert_eq!(words("MAX_TEMP_2"), ["max", "temp", "2"]);
    assert_eq!(
        defined_names("struct A; fn b() {} mod c; enum D {} x.fn_e()"),
        ["A", "D", "b", "c"].map(str::to_owned).into()
    );
    assert_eq!(strings_of("a(\"b\\\"c\", r#\"d\"e\"#, 'f', '\"') // \"g\""), ["b\\\"c", "d\"e"]);
}
