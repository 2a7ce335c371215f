//! The last pushes, for people.
//!
//! Owns the page's form. Never asks anything from elsewhere: no script, no picture, no font.
//! Invariant: what came from outside is escaped, and the policy would stop what was not.

use super::journal::Entry;
use std::fmt::Write;

pub const ROWS_MAX: usize = 100;
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta http-equiv=\"refresh\" content=\"2\"><title>Fake gateway</title><style>\
body{font:14px system-ui,sans-serif;margin:2em;color:#222;background:#fff}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3em .8em;\
border-bottom:1px solid #ddd;vertical-align:top}code{font-size:12px;color:#555}\
td{unicode-bidi:isolate;overflow-wrap:anywhere}</style>\
<h1>Pushes that came to the fake gateway</h1><p>The newest first; the page renews itself. \
<a href=\"/counts\">Counts</a>, <a href=\"/journal\">journal</a>.</p>";

pub fn page(entries: &[Entry]) -> String {
    let mut page = HEAD.to_owned();
    page += "<table><tr><th>Received (UTC)<th>By<th>Told<th>Answer<th>Key";
    for entry in entries {
        let received = jiff::Timestamp::from_microsecond(entry.received_us).unwrap_or_default();
        let _ = write!(
            page,
            "<tr><td>{received:.3}<td>{}<td><b>{}</b><br>{}<td>{}<td><code>{}</code>",
            escaped(entry.platform),
            escaped(&entry.title),
            escaped(&entry.body),
            escaped(&entry.answer),
            escaped(&entry.key),
        );
    }
    page += "</table>";
    if entries.is_empty() {
        page += "<p>Nothing came yet.";
    }
    page
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a hostile text stays text. Method: one in every field that comes from outside.
    #[test]
    fn hostile_texts_are_escaped() {
        let hostile = "<script>alert('x')</script>\"&".to_owned();
        let entry = Entry {
            key: hostile.clone(),
            title: hostile.clone(),
            body: hostile.clone(),
            answer: hostile,
            ..Entry::default()
        };
        let page = page(&[entry]);
        assert!(!page.contains("<script") && !page.contains("'x'"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(&#39;x&#39;)").count(), 4, "{page}");
    }
}
