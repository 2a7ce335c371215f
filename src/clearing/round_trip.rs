//! Tests of writing and reading: golden files, any texts, a long stream.

use super::{
    cards::{CardLines, Presented},
    checked::check,
    header::Header,
    reading::Form,
    row::{CLEARING_LINE, FileKind, LineKind},
    synthetic::Synthetic,
    writing::{Writer, template},
};
use crate::domain::{
    command::{Channel, Command},
    cycle::Day,
    money::Currency,
};
use proptest::prelude::*;
use std::io::{self, BufRead, BufReader, Read};

/// Goal: the forms are what docs/clearing.md shows. Method: the page holds each template, byte for
/// byte.
#[test]
fn golden_files() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/clearing.md");
    let page = std::fs::read_to_string(path).unwrap();
    for kind in FileKind::ALL {
        for (form, word) in [(Form::Csv, "csv"), (Form::Jsonl, "json")] {
            let text = String::from_utf8(template(kind, form).unwrap()).unwrap();
            let block = format!("```{word}\n{text}```\n");
            assert!(page.contains(&block), "docs/clearing.md lacks:\n{block}");
        }
    }
}

/// Goal: a line becomes the command that it describes. Method: the template's three lines, field by
/// field, the same from both forms.
#[test]
fn commands_of_the_template() {
    let [csv, jsonl] = [Form::Csv, Form::Jsonl].map(|form| {
        let bytes = template(FileKind::Clearing, form).unwrap();
        all(&bytes[..], form)
    });
    assert_eq!(csv, jsonl);
    let ids: Vec<&str> = csv.iter().map(|it| it.command.message_id.as_str()).collect();
    assert_eq!(ids, ["visa:20261121-1:1", "visa:20261121-1:2", "visa:20261121-1:3"]);
    let Command::Present(coffee) = &csv[0].command.body else { panic!("{:?}", csv[0]) };
    assert_eq!((coffee.amount_minor, coffee.payment_id.as_str()), (1_250, "pay-1"));
    assert_eq!((&*coffee.authorisation_code, coffee.last), ("A1B2C3", true));
    assert_eq!(&*coffee.purchase.merchant_name, "Coffee, Tea & Co");
    assert_eq!(coffee.purchase.merchant_category, Some(5_814));
    assert_eq!(coffee.purchase.channel, Channel::Contactless);
    assert_eq!(coffee.purchase.original_minor, 1_250);
    assert_eq!(csv[0].command.sent_at.day(), i64::from(Day::parse("2026-11-21").unwrap().0));
    let Command::Present(books) = &csv[1].command.body else { panic!("{:?}", csv[1]) };
    assert_eq!(books.payment_id.as_str(), "visa:20261121-1:2", "without an id: its own");
    assert_eq!(&*books.purchase.merchant_name, "Books \"Abroad\"");
    let original = (books.purchase.original_minor, books.purchase.original_currency.as_str());
    assert_eq!(original, (3_810, "USD"));
    assert_eq!((books.sequence_number, books.sequence_count), (1, 1));
    let Command::Refund(refund) = &csv[2].command.body else { panic!("{:?}", csv[2]) };
    assert_eq!((refund.amount_minor, refund.payment_id.as_str()), (1_000, "pay-1"));
}

fn all(source: impl BufRead, form: Form) -> Vec<Presented> {
    let mut lines = CardLines::open(source, form).unwrap();
    let mut found = Vec::new();
    while let Some(presented) = lines.advance().unwrap() {
        found.push(presented);
    }
    found
}

/// A line as texts, and what must come of it.
#[derive(Clone, Debug)]
struct Given {
    kind: LineKind,
    amount_minor: i64,
    account: String,
    payment: String,
    merchant: String,
    reference: String,
    last: bool,
}

fn given() -> impl Strategy<Value = Given> {
    let kind = prop::sample::select(LineKind::ALL.to_vec());
    let texts =
        ("[!-~\u{e9}]{1,20}", "[ -~]{0,12}", "[^\u{0}-\u{1f}\u{7f}]{0,30}", "[0-9,\"]{0,23}");
    (kind, 1..10_000_000_000_000_i64, texts, any::<bool>()).prop_map(
        |(kind, amount_minor, (account, payment, merchant, reference), last)| Given {
            kind,
            amount_minor,
            account: format!("a{account}"),
            payment,
            merchant,
            reference,
            last,
        },
    )
}

proptest! {
    /// Goal: whatever is written is read again, in both forms and in currencies with 0, 2 and 3
    /// digits. Method: random texts with quotes, commas and other alphabets.
    #[test]
    fn written_is_read(
        given in prop::collection::vec(given(), 0..20),
        currency in prop::sample::select(vec!["CAD", "JPY", "KWD"]),
        is_csv in any::<bool>(),
    ) {
        let currency = Currency::parse(currency).unwrap();
        let header = Header { currency, ..Header::sample(FileKind::Clearing) };
        let form = if is_csv { Form::Csv } else { Form::Jsonl };
        let mut writer = Writer::begin(Vec::new(), form, header).unwrap();
        for (place, it) in given.iter().enumerate() {
            let record = (3 * place + 1).to_string();
            let amount = crate::producer::amount::decimal(it.amount_minor, currency);
            let last = it.last.to_string();
            let mut texts = [""; CLEARING_LINE.len()];
            texts[..7].copy_from_slice(
                &[&record, it.kind.word(), &amount, currency.as_str(), &it.account, "tok_1", &it.payment],
            );
            (texts[8], texts[16], texts[19]) = (&it.merchant, &it.reference, &last);
            writer.line(it.kind.owed_minor(it.amount_minor), &texts).unwrap();
        }
        let bytes = writer.finish().unwrap();
        let checked = check(&bytes[..], form).unwrap();
        let owed_minor: i64 = given.iter().map(|it| it.kind.owed_minor(it.amount_minor)).sum();
        prop_assert_eq!((checked.lines, checked.owed_minor), (given.len() as u64, owed_minor));
        prop_assert_eq!(checked.set_aside, 0);
        let found = all(&bytes[..], form);
        prop_assert_eq!(found.len(), given.len());
        for (place, (it, found)) in given.iter().zip(&found).enumerate() {
            let message_id = format!("visa:20261121-1:{}", 3 * place + 1);
            prop_assert_eq!(found.command.message_id.as_str(), &message_id);
            prop_assert_eq!(found.command.account_id.as_str(), &it.account);
            let payment = if it.payment.is_empty() { &message_id } else { &it.payment };
            let said = match &found.command.body {
                Command::Present(told) => {
                    prop_assert_eq!(told.last, it.last);
                    prop_assert_eq!(&*told.purchase.merchant_name, &it.merchant);
                    (LineKind::Present, told.amount_minor, &told.payment_id, &told.reference)
                }
                Command::ReversePresentment(told) => {
                    (LineKind::Reverse, told.amount_minor, &told.payment_id, &told.reference)
                }
                Command::Refund(told) => {
                    prop_assert_eq!(&*told.purchase.merchant_name, &it.merchant);
                    (LineKind::Refund, told.amount_minor, &told.payment_id, &told.reference)
                }
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(said.0, it.kind);
            prop_assert_eq!(said.1, it.amount_minor);
            prop_assert_eq!(said.2.as_str(), payment);
            prop_assert_eq!(&**said.3, &it.reference);
        }
    }
}

/// A stream that gives a few bytes at a time, and remembers how many.
struct Trickle<R> {
    source: R,
    given: usize,
}

impl<R: Read> Read for Trickle<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let some = to.len().min(1 + self.given % 700);
        let read = self.source.read(&mut to[..some])?;
        self.given += read;
        Ok(read)
    }
}

fn synthetic(lines: u64) -> Synthetic {
    Synthetic {
        header: Header::sample(FileKind::Clearing),
        lines,
        accounts: 100,
        account_prefix: "load-a".into(),
        card_prefix: "tok_load_".into(),
        seed: 7,
    }
}

/// Goal: a long file is a stream: the same figures and commands however it arrives, and the same
/// bytes for the same seed. Method: 20,000 lines in both forms, whole and in small pieces.
#[test]
fn long_files_stream() {
    let mut figures = Vec::new();
    for form in [Form::Csv, Form::Jsonl] {
        let (mut bytes, mut again) = (Vec::new(), Vec::new());
        synthetic(20_000).write(&mut bytes, form).unwrap();
        synthetic(20_000).write(&mut again, form).unwrap();
        assert_eq!(bytes, again);
        let whole = check(&bytes[..], form).unwrap();
        let trickle = Trickle { source: &bytes[..], given: 0 };
        let pieces = check(BufReader::with_capacity(512, trickle), form).unwrap();
        assert_eq!(whole, pieces);
        assert_eq!((whole.lines, whole.set_aside), (20_000, 0));
        let shares = whole.kinds.map(|total| total.lines);
        assert!(shares[0] > 19_000 && shares[1] > 100 && shares[2] > 250, "{shares:?}");
        let commands = all(&bytes[..], form);
        assert_eq!(commands.len(), 20_000);
        figures.push((whole.owed_minor, whole.kinds, commands));
    }
    assert_eq!(figures[0], figures[1]);
}

/// Goal: no line makes the reader keep more than its limit. Method: an endless line; the reader
/// stops after a few buffers of it.
#[test]
fn endless_lines_stop() {
    let source = io::Read::chain(&b"header,clearing,1,"[..], io::repeat(b'x'));
    let mut source = BufReader::with_capacity(4_096, Trickle { source, given: 0 });
    let problem = check(&mut source, Form::Csv).unwrap_err();
    assert_eq!((problem.code, problem.line), ("line_too_long", 1));
    assert!(source.get_ref().given < 40_000, "{} bytes read", source.get_ref().given);
}
