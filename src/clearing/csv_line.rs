//! One line of the CSV form.
//!
//! Owns commas and quotes: a field may stand in double quotes, within which a quote is doubled
//! (RFC 4180). A record is one line: an end of line within quotes is refused, because a quote that
//! is never closed would otherwise swallow the rest of the file. That is why the library's reader,
//! which follows such a field to the file's end, is not used here.

use super::{
    problem::{Problem, shown},
    row::{FileKind, Row, RowKind},
};

/// Takes a line apart. Errors: `row_unknown`, `columns`, `quotes`.
pub fn parse(line: &str, number: u64, kind: FileKind, row: &mut Row) -> Result<(), Problem> {
    let (word, mut rest) = match line.split_once(',') {
        Some((word, rest)) => (word, Some(rest)),
        None => (line, None),
    };
    let Some(row_kind) = RowKind::parse(word) else {
        let reason = format_args!("begins with {}", shown(word));
        return Err(Problem::new(number, "line", "row_unknown", reason));
    };
    let columns = kind.columns(row_kind);
    row.begin(number, row_kind, columns);
    let mut found = 0;
    while let Some(at) = rest {
        rest = match at.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted, found, row)?,
            None => plain_field(at, found, row)?,
        };
        found += 1;
    }
    if found != columns.len() {
        let reason = format_args!("{found} fields behind `{word}`, expected {}", columns.len());
        return Err(Problem::new(number, "line", "columns", reason));
    }
    Ok(())
}

/// The field at the beginning of `at`; returns what stands behind its comma.
fn plain_field<'l>(at: &'l str, column: usize, row: &mut Row) -> Result<Option<&'l str>, Problem> {
    let (field, rest) = match at.split_once(',') {
        Some((field, rest)) => (field, Some(rest)),
        None => (at, None),
    };
    if field.contains('"') {
        return Err(row.problem(
            column,
            "quotes",
            "a quote within a field that has none around it",
        ));
    }
    row.set(column, |text| text.push_str(field));
    Ok(rest)
}

fn quoted_field<'l>(at: &'l str, column: usize, row: &mut Row) -> Result<Option<&'l str>, Problem> {
    // The closing quote is the first that is not followed by another.
    let (mut end, bytes) = (0, at.as_bytes());
    loop {
        match at[end..].find('"') {
            None => return Err(row.problem(column, "quotes", "not closed in its line")),
            Some(step) if bytes.get(end + step + 1) == Some(&b'"') => end += step + 2,
            Some(step) => {
                end += step;
                break;
            }
        }
    }
    let (field, rest) = (&at[..end], &at[end + 1..]);
    row.set(column, |text| {
        for (place, part) in field.split("\"\"").enumerate() {
            text.push_str(if place > 0 { "\"" } else { "" });
            text.push_str(part);
        }
    });
    match rest.strip_prefix(',') {
        Some(rest) => Ok(Some(rest)),
        None if rest.is_empty() => Ok(None),
        None => Err(row.problem(column, "quotes", "something follows the closing quote")),
    }
}

/// Appends a field, in quotes where it needs them.
pub fn push(text: &str, to: &mut String) {
    if !text.contains([',', '"', '\r', '\n']) {
        to.push_str(text);
        return;
    }
    to.push('"');
    for letter in text.chars() {
        match letter {
            '"' => to.push_str("\"\""),
            // A record is one line.
            '\r' | '\n' => to.push(' '),
            other => to.push(other),
        }
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a line's fields are what RFC 4180 says, or the line is refused. Method: one trailer a
    /// case, its three fields or the code.
    #[test]
    fn fields_of_a_line() {
        for (line, then) in [
            ("trailer,1,2,3", Ok(["1", "2", "3"])),
            ("trailer,,,", Ok(["", "", ""])),
            ("trailer,\"1,5\",\"\",\"a \"\"b\"\" c\"", Ok(["1,5", "", "a \"b\" c"])),
            ("trailer,\"\"\"\",2,\"\"\"\"\"\"", Ok(["\"", "2", "\"\""])),
            ("trailer, 1 ,\u{e9}\u{1F600},\"\u{e9}\"", Ok([" 1 ", "\u{e9}\u{1F600}", "\u{e9}"])),
            ("trailer,1,2", Err("columns")),
            ("trailer,1,2,3,", Err("columns")),
            ("trailer", Err("columns")),
            ("", Err("row_unknown")),
            ("Trailer,1,2,3", Err("row_unknown")),
            ("trailer,1,2,\"3", Err("quotes")),
            ("trailer,1,2,\"3\"\"", Err("quotes")),
            ("trailer,1,\"2\"x,3", Err("quotes")),
            ("trailer,1,2\"2,3", Err("quotes")),
        ] {
            let mut row = Row::default();
            let found = parse(line, 7, FileKind::Clearing, &mut row);
            let fields = found.map(|()| [row.text(0), row.text(1), row.text(2)]);
            assert_eq!(
                fields.map_err(|problem| (problem.line, problem.code)),
                then.map_err(|code| (7, code)),
                "{line}"
            );
        }
    }
}
