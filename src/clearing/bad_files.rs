//! Tests on files that are wrong: what is refused as a whole, and what sets a line aside.

use super::{
    cards::{CardLines, SET_ASIDE},
    checked::{Checked, check},
    problem::{CODES, Problem, Scope, scope},
    reading::Form,
    row::FileKind,
    settlement_files::{read_report, read_statement},
    writing::template,
};
use crate::domain::{command::Command, settlement::ContentHash};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

fn lines_of(kind: FileKind, form: Form) -> Vec<Vec<u8>> {
    let text = template(kind, form).unwrap();
    text.split_inclusive(|byte| *byte == b'\n').map(Vec::from).collect()
}

/// The template with `from` in line `line` replaced by `to`; the trailer's hash is made right again
/// where the change is before it.
fn changed(kind: FileKind, form: Form, line: usize, from: &str, to: &[u8]) -> Vec<u8> {
    let mut lines = lines_of(kind, form);
    let at = line - 1;
    let place = lines[at].windows(from.len()).position(|part| part == from.as_bytes());
    let place = place.unwrap_or_else(|| panic!("no {from} in line {line}"));
    lines[at].splice(place..place + from.len(), to.iter().copied());
    let last = lines.len() - 1;
    if at != last {
        let trailer = String::from_utf8(lines[last].clone()).unwrap();
        let old = template_hash(kind, form);
        let new = ContentHash(Sha256::digest(lines[..last].concat()).into()).to_string();
        lines[last] = trailer.replace(&old, &new).into_bytes();
    }
    lines.concat()
}

fn template_hash(kind: FileKind, form: Form) -> String {
    let lines = lines_of(kind, form);
    ContentHash(Sha256::digest(lines[..lines.len() - 1].concat()).into()).to_string()
}

fn refused(bytes: &[u8], form: Form, name: &str) -> Problem {
    check(bytes, form).err().unwrap_or_else(|| panic!("{name}: accepted"))
}

/// Goal: a file whose money cannot be trusted is refused as a whole, by line and code. Method: the
/// template with one text of one line changed, its hash made right again.
#[test]
fn refused_as_a_whole() {
    use Form::{Csv, Jsonl};
    let long = vec![b'x'; 10_000_000];
    type Case<'c> = (&'c str, Form, usize, &'c str, &'c [u8], &'c str);
    let cases: &[Case] = &[
        ("no header", Csv, 1, "header", b"line", "columns"),
        ("another word", Csv, 1, "header", b"head", "header_missing"),
        (
            "a trailer first",
            Csv,
            1,
            "header,clearing,1,visa,20261121-1",
            b"trailer,1,2,3",
            "columns",
        ),
        ("another version", Csv, 1, "clearing,1", b"clearing,2", "form_version"),
        ("another kind", Csv, 1, "clearing,1", b"capture,1", "header_invalid"),
        ("no network", Csv, 1, "visa", b"", "header_invalid"),
        ("a colon in the id", Csv, 1, "20261121-1", b"20261121:1", "header_invalid"),
        ("no such day", Csv, 1, "2026-11-21", b"2026-02-30", "header_invalid"),
        ("no currency of ISO", Csv, 1, "CAD", b"QQQ", "currency_unknown"),
        ("gold", Jsonl, 1, "CAD", b"XAU", "currency_unknown"),
        ("a cycle", Csv, 1, "CAD,", b"CAD,1", "header_invalid"),
        ("a second header", Csv, 3, "line,", b"header,", "columns"),
        ("an unknown row", Csv, 3, "line,", b"lines,", "row_unknown"),
        ("an unknown row", Jsonl, 3, "line", b"lines", "row_unknown"),
        ("an empty line", Csv, 3, "line,", b"\n", "row_unknown"),
        ("a field too many", Csv, 3, ",USD", b",USD,", "columns"),
        ("a field too few", Csv, 3, ",USD", b"USD", "columns"),
        ("an open quote", Csv, 3, "\"Books", b"\"\"Books", "quotes"),
        ("an open quote at the end", Csv, 4, ",,,\n", b",,,\"\n", "quotes"),
        ("not JSON", Jsonl, 3, "}}", b"}", "not_json"),
        ("an unknown column", Jsonl, 3, "channel", b"canal", "not_json"),
        ("an amount as a number", Jsonl, 2, "\"12.50\"", b"12.50", "not_json"),
        ("the same record", Csv, 3, "line,2", b"line,1", "record_repeated"),
        ("the same record", Jsonl, 4, "\"record\":3", b"\"record\":2", "record_repeated"),
        ("an earlier record", Csv, 4, "line,3", b"line,1", "record_order"),
        ("record 0", Csv, 2, "line,1", b"line,0", "record_invalid"),
        ("record +1", Csv, 2, "line,1", b"line,+1", "record_invalid"),
        ("an unknown kind", Csv, 2, "present", b"pay", "kind_unknown"),
        ("a cent's tenth", Csv, 2, "12.50", b"12.505", "amount_invalid"),
        ("a comma", Csv, 2, "12.50", b"\"12,50\"", "amount_invalid"),
        ("below zero", Csv, 4, "10.00", b"-10.00", "amount_invalid"),
        ("beyond the bound", Csv, 2, "12.50", b"100000000000.01", "amount_invalid"),
        ("another currency", Csv, 3, "52.00,CAD", b"52.00,USD", "currency_mixed"),
        ("another currency", Jsonl, 3, "CAD", b"GBP", "currency_mixed"),
        ("not UTF-8", Csv, 2, "Coffee", b"Caf\xe9", "not_utf8"),
        ("not UTF-8", Jsonl, 2, "Coffee", b"Caf\xe9", "not_utf8"),
        ("10 MB", Csv, 3, "Books", &long, "line_too_long"),
        ("10 MB", Jsonl, 3, "Books", &long, "line_too_long"),
        ("10 MB of a header", Csv, 1, "visa", &long, "line_too_long"),
        ("totals in clearing", Csv, 4, "line,3", b"totals,3", "columns"),
        ("a wrong count", Csv, 5, "trailer,3", b"trailer,4", "trailer_count"),
        ("a wrong sum", Csv, 5, ",54.50", b",54.51", "trailer_sum"),
        ("an unsigned sum", Csv, 5, ",54.50", b",74.50", "trailer_sum"),
        ("a sum as a word", Jsonl, 5, "\"54.50\"", b"\"all\"", "trailer_sum"),
        ("a changed amount", Csv, 2, "12.50", b"12.49", "trailer_sum"),
        ("a second trailer", Csv, 5, "\n", b"\ntrailer,3,54.50,x\n", "after_trailer"),
        ("an empty line behind", Csv, 5, "\n", b"\n\n", "after_trailer"),
    ];
    for (name, form, line, from, to, code) in cases {
        let bytes = changed(FileKind::Clearing, *form, *line, from, to);
        let problem = refused(&bytes, *form, name);
        let expected = if *code == "after_trailer" { line + 1 } else { *line };
        // A changed line shows in the trailer's sum.
        let expected = if *name == "a changed amount" { 5 } else { expected };
        assert_eq!((problem.code, problem.line), (*code, expected as u64), "{name}: {problem}");
        assert_eq!(scope(problem.code), Scope::File, "{name}");
        assert!(problem.reason.len() < 400, "{name}: {}", problem.reason.len());
    }
}

/// Goal: a file that is cut off anywhere is refused, and a changed byte too. Method: every prefix
/// of the template; every byte in turn replaced, without a new hash.
#[test]
fn cut_off_or_changed_anywhere() {
    for form in [Form::Csv, Form::Jsonl] {
        let whole = template(FileKind::Clearing, form).unwrap();
        let trailer = whole.len() - lines_of(FileKind::Clearing, form)[4].len();
        assert!(check(&whole[..], form).is_ok());
        for length in 0..whole.len() - 1 {
            let problem = refused(&whole[..length], form, &format!("{length} bytes"));
            let ends = whole[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
            // A line that is cut off may still be one; then the next is what is missing.
            let is_next = problem.code == "trailer_missing" && problem.line == ends + 2;
            assert!(is_next || problem.line == ends + 1, "{length} bytes: {problem}");
        }
        // Only the end of the last line may be missing.
        assert!(check(&whole[..whole.len() - 1], form).is_ok());
        for place in 0..trailer {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            assert!(check(&bytes[..], form).is_err(), "byte {place} changed");
        }
    }
}

/// Goal: a line that names its money but cannot be given to an account is set aside with its number
/// and reason; the file's sum is published all the same. Method: the template with one field of
/// line 2 (record 1) or 4 (record 3, a refund) changed.
#[test]
fn lines_set_aside() {
    type Case<'c> = (usize, &'c str, &'c str, &'c str, &'c str);
    let long = format!("\"{}\"", "x".repeat(1_025));
    let cases: &[Case] = &[
        (2, "account-1", "", "account_invalid", "account"),
        (2, "account-1", "part:visa/CAD", "account_invalid", "account"),
        (2, "account-1", "suspense:visa", "account_invalid", "account"),
        (2, "account-1", "tapline.partition", "account_invalid", "account"),
        (2, "account-1", &long, "account_invalid", "account"),
        (2, "tok_1", "", "card_missing", "card_token"),
        (2, "tok_1", "4111 1111 1111 1111", "pan_in_clear", "card_token"),
        (2, "2026-11-20", "2026-11-31", "date_impossible", "purchase_date"),
        (2, "2026-11-20", "20.11.2026", "date_impossible", "purchase_date"),
        (2, "5814", "58140", "category_invalid", "merchant_category"),
        (2, "5814", "58-4", "category_invalid", "merchant_category"),
        (2, ",CA,", ",can,", "country_invalid", "country"),
        (2, "contactless", "telepathy", "channel_unknown", "channel"),
        (2, "contactless,,", "contactless,9.00,", "original_invalid", "original_currency"),
        (2, "contactless,,", "contactless,9.005,EUR", "original_invalid", "original_amount"),
        (2, "contactless,,", "contactless,-9.00,EUR", "original_invalid", "original_amount"),
        (2, ",1,1,true", ",2,1,true", "sequence_invalid", "sequence_number"),
        (2, ",1,1,true", ",0,1,true", "sequence_invalid", "sequence_number"),
        (2, ",1,1,true", ",1,1,yes", "last_invalid", "last"),
        (2, "A1B2C3", &long, "text_too_long", "line"),
        (4, "account-1", "", "account_invalid", "account"),
    ];
    for (line, from, to, code, field) in cases {
        let bytes = changed(FileKind::Clearing, Form::Csv, *line, from, to.as_bytes());
        let checked = check(&bytes[..], Form::Csv).unwrap_or_else(|it| panic!("{to}: {it}"));
        let record = *line as u64 - 1;
        let owed_minor = if *line == 2 { 1_250 } else { -1_000 };
        assert_eq!((checked.set_aside, checked.set_aside_minor), (1, owed_minor), "{to}");
        assert_eq!((checked.lines, checked.owed_minor), (3, 5_450), "{to}");
        let (at, problem) = &checked.problems[0];
        assert_eq!((*at, problem.line), (record, *line as u64), "{to}");
        assert_eq!((problem.code, problem.field), (*code, *field), "{to}: {problem}");
        assert_eq!(scope(code), Scope::Line, "{code}");
        assert!(!problem.to_string().contains("4111"), "{problem}");
        assert_eq!(moved_minor(&bytes), (5_450, 1), "{to}");
    }
}

/// What the commands of a file move, and how many lie on the account for lines set aside.
fn moved_minor(bytes: &[u8]) -> (i64, usize) {
    let mut lines = CardLines::open(bytes, Form::Csv).unwrap();
    let (mut sum_minor, mut aside) = (0, 0);
    while let Some(presented) = lines.advance().unwrap() {
        sum_minor += match &presented.command.body {
            Command::Present(told) => told.amount_minor,
            Command::Refund(told) => -told.amount_minor,
            Command::ReversePresentment(told) => -told.amount_minor,
            other => panic!("{other:?}"),
        };
        aside += usize::from(presented.command.account_id.as_str().starts_with(SET_ASIDE));
    }
    (sum_minor, aside)
}

/// Goal: reports and statements are refused as a whole for anything. Method: their templates with
/// one text changed.
#[test]
fn reports_and_statements_refused() {
    use FileKind::{Report, Statement};
    type Case<'c> = (FileKind, usize, &'c str, &'c str, &'c str);
    let cases: &[Case] = &[
        (Report, 1, "report", "clearing", "header_invalid"),
        (Report, 1, ",1,2026-11-22", ",0,2026-11-22", "header_invalid"),
        (Report, 1, "2026-11-22T00:00:00Z", "tomorrow", "header_invalid"),
        (Report, 2, "visa:20261121-1:1", "", "item_missing"),
        (Report, 2, "present", "", "kind_unknown"),
        (Report, 5, "totals", "line", "record_repeated"),
        (Report, 5, "0.54", "0.543", "totals_invalid"),
        (Report, 5, "64.50", "-64.50", "totals_invalid"),
        (Report, 6, "54.50", "54.08", "trailer_sum"),
        (Statement, 1, "statement,", "clearing,", "file_kind"),
        (Statement, 2, "2026-11-23", "2026-11-32", "date_impossible"),
        (Statement, 2, "-54.08", "54.08", "trailer_sum"),
        (Statement, 2, "-54.08", "-54.085", "amount_invalid"),
    ];
    for (kind, line, from, to, code) in cases {
        let bytes = changed(*kind, Form::Csv, *line, from, to.as_bytes());
        let problem = match kind {
            Report => read_report(&bytes[..], Form::Csv).err(),
            _ => read_statement(&bytes[..], Form::Csv).err(),
        };
        let problem = problem.unwrap_or_else(|| panic!("{to}: accepted"));
        // A sum shows at the end.
        let last = lines_of(*kind, Form::Csv).len();
        let expected = if *code == "trailer_sum" { last } else { *line };
        assert_eq!((problem.code, problem.line), (*code, expected as u64), "{to}: {problem}");
    }
    let totals_only = changed(Report, Form::Csv, 5, "totals,3", b"totals,4");
    let problem = read_report(&totals_only[..], Form::Csv).unwrap_err();
    assert_eq!(problem.code, "totals_invalid", "{problem}");
    for kind in [Report, Statement] {
        let bytes = template(kind, Form::Csv).unwrap();
        assert_eq!(check(&bytes[..], Form::Csv).unwrap_err().code, "file_kind");
    }
    let clearing = template(FileKind::Clearing, Form::Jsonl).unwrap();
    assert_eq!(read_report(&clearing[..], Form::Jsonl).unwrap_err().code, "file_kind");
    assert_eq!(read_statement(&clearing[..], Form::Jsonl).unwrap_err().code, "file_kind");
}

/// Goal: a code means one thing and the page explains it. Method: the table against itself and
/// docs/clearing.md.
#[test]
fn codes_are_explained() {
    let names: BTreeSet<&str> = CODES.iter().map(|(code, ..)| *code).collect();
    assert_eq!(names.len(), CODES.len());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/clearing.md");
    let page = std::fs::read_to_string(path).unwrap();
    for (code, scope, sentence) in CODES {
        let what = if *scope == Scope::File { "file" } else { "line" };
        let line = format!("| `{code}` | {what} | {sentence} |");
        assert!(page.lines().any(|it| it == line), "docs/clearing.md lacks: {line}");
    }
    let whole: Checked =
        check(&template(FileKind::Clearing, Form::Csv).unwrap()[..], Form::Csv).unwrap();
    assert_eq!((whole.lines, whole.set_aside), (3, 0));
}
