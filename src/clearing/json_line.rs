//! One line of the JSON-lines form.
//!
//! Owns the shape `{"line": {"record": 1, "amount": "12.50", ...}}`: the row's word, then the
//! columns by name in any order. Texts, whole numbers and true or false are taken as their text; a
//! number with a point is refused, because amounts are text. What is left out is empty.

use super::{
    problem::Problem,
    row::{FileKind, Row, RowKind},
};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use std::fmt::{self, Write};

/// Takes a line apart. Errors: `row_unknown`, `not_json`.
pub fn parse(line: &str, number: u64, kind: FileKind, row: &mut Row) -> Result<(), Problem> {
    let mut reader = serde_json::Deserializer::from_str(line);
    let mut unknown = false;
    let whole = Object { number, kind, row, unknown: &mut unknown };
    let read = whole.deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|error| {
        let code = if unknown { "row_unknown" } else { "not_json" };
        // Only the place: the library's words may repeat the text.
        let reason = match error.classify() {
            serde_json::error::Category::Data => error.to_string(),
            _ => format!("no JSON object, column {}", error.column()),
        };
        Problem::new(number, "line", code, reason)
    })
}

/// The whole line: one object with one key.
struct Object<'r> {
    number: u64,
    kind: FileKind,
    row: &'r mut Row,
    unknown: &'r mut bool,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with one of header, line, totals, trailer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(Some(row_kind)) = map.next_key_seed(Word(RowKind::parse))? else {
            *self.unknown = true;
            return Err(de::Error::custom("none of header, line, totals, trailer"));
        };
        let columns = self.kind.columns(row_kind);
        self.row.begin(self.number, row_kind, columns);
        map.next_value_seed(Columns { columns, row: self.row })?;
        match map.next_key_seed(Word(|_: &str| Some(())))? {
            None => Ok(()),
            Some(_) => Err(de::Error::custom("a second row in the line")),
        }
    }
}

/// A key, by what it stands for.
struct Word<F>(F);

impl<'de, T, F: Fn(&str) -> Option<T>> DeserializeSeed<'de> for Word<F> {
    type Value = Option<T>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<T>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for Word<F> {
    type Value = Option<T>;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<T>, E> {
        Ok((self.0)(text))
    }
}

/// The columns of a row by their names.
struct Columns<'r> {
    columns: &'static [&'static str],
    row: &'r mut Row,
}

impl<'de> DeserializeSeed<'de> for Columns<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Columns<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of columns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = 0_u64;
        let columns = self.columns;
        let place = |name: &str| columns.iter().position(|known| *known == name);
        while let Some(column) = map.next_key_seed(Word(place))? {
            let Some(column) = column else {
                return Err(de::Error::custom("a column that this row does not have"));
            };
            if seen & (1 << column) != 0 {
                return Err(de::Error::custom(format_args!("{} twice", columns[column])));
            }
            seen |= 1 << column;
            map.next_value_seed(Text { column, row: &mut *self.row })?;
        }
        Ok(())
    }
}

/// A value as text.
struct Text<'r> {
    column: usize,
    row: &'r mut Row,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl Text<'_> {
    fn number(self, number: impl fmt::Display) {
        self.row.set(self.column, |text| {
            // Writing into a String cannot fail.
            let _ = write!(text, "{number}");
        });
    }

    fn refuse<E: de::Error>(self, what: &str) -> Result<(), E> {
        let name = self.row.columns()[self.column];
        Err(E::custom(format_args!("{name} is {what}; write it as text")))
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text, a whole number, true or false")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.row.set(self.column, |text| text.push_str(value));
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.refuse("a number with a point")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.refuse("null")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a line's columns are what its object says, or the line is refused. Method: one trailer
    /// a case, its three fields or the code.
    #[test]
    fn columns_of_a_line() {
        for (line, then) in [
            (r#"{"trailer":{"count":1,"sum":"2.50","hash_total":"a"}}"#, Ok(["1", "2.50", "a"])),
            (r#" {"trailer": {"sum": -2, "count": true}} "#, Ok(["true", "-2", ""])),
            (r#"{"trailer":{"hash_total":"\u00e9\n\"x"}}"#, Ok(["", "", "\u{e9}\n\"x"])),
            (r#"{"trailer":{"sum":2.5}}"#, Err("not_json")),
            (r#"{"trailer":{"sum":null}}"#, Err("not_json")),
            (r#"{"trailer":{"sum":["2"]}}"#, Err("not_json")),
            (r#"{"trailer":{"sum":"1","sum":"1"}}"#, Err("not_json")),
            (r#"{"trailer":{"total":"1"}}"#, Err("not_json")),
            (r#"{"trailer":{}, "line":{}}"#, Err("not_json")),
            (r#"{"trailer":{}} {}"#, Err("not_json")),
            (r#"{"trailer":{"#, Err("not_json")),
            (r#"{"footer":{}}"#, Err("row_unknown")),
            ("{}", Err("row_unknown")),
            ("[]", Err("not_json")),
            ("", Err("not_json")),
        ] {
            let mut row = Row::default();
            let found = parse(line, 7, FileKind::Clearing, &mut row);
            let fields = found.map(|()| [row.text(0), row.text(1), row.text(2)]);
            assert_eq!(fields.map_err(|problem| problem.code), then, "{line}");
        }
    }
}
