//! Bad input: bytes that are none, amounts that cannot be, keys that do not fit.
//!
//! Owns the table of what each ends as. Every record ends in exactly one of: applied, answered by an
//! event, dead letter; its neighbours in the same partition are answered as if it were not there.

use super::{
    ground::{Ground, Site, until},
    watch,
    writing::{self, Draft, Pen, Place, command, credit, drafted, encoded, key_in, open},
};
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use tapline::codec::{
    dead_letter, headers::HeaderList, partitioner::partition_of, raw::RawRecord,
    topics::AUTHORISATION_DEAD_LETTERS,
};
use tapline::domain::{
    account::CardStatus,
    command::{AccountCommand, Command, PARTITION_KEY, Tick},
    event::{AccountEvent, Event},
    money::Currency,
    time::LogTime,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Letter(&'static str),
    /// An event of this kind answers it.
    Answer(&'static str),
    /// Neither: it is taken note of, or without effect.
    Silent,
    /// Any of the above, but one only.
    AnyOne,
}

struct Row {
    what: String,
    draft: Draft,
    end: End,
}

fn row(what: impl Into<String>, draft: Draft, end: End) -> Row {
    Row { what: what.into(), draft, end }
}

/// Goal: no record is lost, doubled or harms its neighbour, whatever its bytes. Method: the table
/// below; behind every record a good command on another key of the same partition; dead letters
/// are compared with fixed headers and the original bytes.
pub fn ends_in_exactly_one_place(ground: &Ground) {
    let site = ground.site("garbage");
    // The fuse has a test of its own.
    let settings = [
        ("runtime.ticks", "100ms"),
        ("dead_letters.fuse_max", "100000"),
        ("dead_letters.fuse_window", "200000"),
    ];
    let mut workers = vec![site.worker(1, &settings)];
    watch::await_ready(&site, &mut workers, 60);
    let pen = Pen::open(&site);
    let mut rows = table(site.partitions());
    rows.extend(mutants(ground.seed, ground.size.pick(150, 600, 10_000)));
    let mut sent: Vec<(Place, Place, &Row)> = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let place = pen.write(&row.draft);
        let neighbour = key_in(place.partition, site.partitions(), &format!("good-{number}"));
        sent.push((place, pen.send(&open(&neighbour)), row));
    }
    watch::await_durable(&site, &mut workers, 60);

    let originals: BTreeMap<Place, RawRecord> =
        by_place(watch::everything(&site, &site.commands()));
    let letters = letters_by_origin(&site);
    let mut answers: BTreeMap<Place, Vec<AccountEvent>> = BTreeMap::new();
    for (raw, event) in watch::events(&site, &[]) {
        // What a tick lets expire stands for itself; the topic's birth has no source.
        if !matches!(event.body, Event::Tick(_)) {
            let source = raw.source().expect("an event of ours names its source").source;
            let place = Place { partition: source.partition, offset: source.offset };
            answers.entry(place).or_default().push(event);
        }
    }
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for (place, neighbour, row) in &sent {
        let found_letters = letters.get(place).map_or(&[][..], Vec::as_slice);
        let found_answers = answers.get(place).map_or(&[][..], Vec::as_slice);
        let end = judge(row, found_letters, found_answers);
        for letter in found_letters {
            compare_letter(&site, row, &originals[place], letter);
        }
        *ends.entry(end).or_default() += 1;
        let next = answers.get(neighbour).map_or(&[][..], Vec::as_slice);
        let is_opened = matches!(next, [AccountEvent { body: Event::AccountOpened(_), .. }]);
        assert!(is_opened, "the neighbour of {} is lost: {next:?}", row.what);
    }
    println!("  {} records: {ends:?}", sent.len());
    assert!(ends.len() >= 15, "too few kinds of ends: {ends:?}");
    let ready = watch::readyz(&mut workers[0]).map(|(status, _)| status);
    assert_eq!(ready, Some(200), "nothing of this stops a partition");
}

fn by_place(records: Vec<RawRecord>) -> BTreeMap<Place, RawRecord> {
    records
        .into_iter()
        .map(|raw| (Place { partition: raw.partition, offset: raw.offset }, raw))
        .collect()
}

/// Dead letters by the place of the record that they were.
fn letters_by_origin(site: &Site) -> BTreeMap<Place, Vec<RawRecord>> {
    let topic = site.config.kafka.topic(AUTHORISATION_DEAD_LETTERS.0);
    let mut letters: BTreeMap<Place, Vec<RawRecord>> = BTreeMap::new();
    for letter in watch::everything(site, &topic) {
        let bytes = |name| letter.headers.get(name).unwrap_or_default().to_vec();
        let partition =
            i32::from_be_bytes(bytes(dead_letter::PARTITION).try_into().expect("4 bytes"));
        let offset = i64::from_be_bytes(bytes(dead_letter::OFFSET).try_into().expect("8 bytes"));
        letters.entry(Place { partition, offset }).or_default().push(letter);
    }
    letters
}

/// Is the end the expected one, and the only one? Names it.
fn judge(row: &Row, letters: &[RawRecord], answers: &[AccountEvent]) -> String {
    let code = letters.first().map(|it| it.headers.text(dead_letter::ERROR_CODE).unwrap_or("none"));
    let kind = answers.first().map(|event| kind_of(&event.body));
    let found = format!("{} ended as letters {code:?}, answers {kind:?}", row.what);
    assert!(letters.len() <= 1 && answers.len() <= 1, "{found}: more than one");
    match row.end {
        End::Letter("diverted") => assert_eq!(code, Some("diverted"), "{found}"),
        End::Letter(expected) => assert_eq!((code, kind), (Some(expected), None), "{found}"),
        End::Answer(expected) => assert_eq!((code, kind), (None, Some(expected)), "{found}"),
        End::Silent => assert_eq!((code, kind), (None, None), "{found}"),
        End::AnyOne => assert!(code.is_some() != kind.is_some(), "{found}"),
    }
    code.or(kind).unwrap_or("silent").to_owned()
}

fn kind_of(event: &Event) -> &'static str {
    match event {
        Event::AccountOpened(_) => "opened",
        Event::AccountCredited(_) => "credited",
        Event::PaymentDeclined(_) => "declined",
        Event::CommandDeclined(_) => "command declined",
        Event::MovedToSuspense(_) => "suspense",
        Event::MessageRepeated(_) => "repeated",
        Event::MessageConflicted(_) => "conflict",
        _ => "another event",
    }
}

/// Bytes and headers of a dead letter, as redrive tools read them.
fn compare_letter(site: &Site, row: &Row, original: &RawRecord, letter: &RawRecord) {
    let what = &row.what;
    let code = letter.headers.text(dead_letter::ERROR_CODE).expect("a code").to_owned();
    assert_eq!(letter.partition, original.partition, "{what}");
    assert_eq!(letter.key, original.key, "{what}: key");
    match code.as_str() {
        "pan_in_clear" => assert_eq!(letter.value, None, "{what}: a card number is not kept"),
        _ => assert_eq!(letter.value, original.value, "{what}: value"),
    }
    let own: Vec<_> = original.headers.iter().collect();
    let kept: Vec<_> = letter.headers.iter().take(own.len()).collect();
    assert_eq!(kept, own, "{what}: the record's own headers, untouched and first");
    let fqcn = format!("tapline.{code}");
    for (name, expected) in [
        ("kafka_dlt-original-topic", site.commands().as_bytes()),
        ("kafka_dlt-original-partition", &original.partition.to_be_bytes()[..]),
        ("kafka_dlt-original-offset", &original.offset.to_be_bytes()[..]),
        ("kafka_dlt-original-timestamp", &original.timestamp_ms.to_be_bytes()[..]),
        ("kafka_dlt-original-timestamp-type", b"LogAppendTime"),
        ("kafka_dlt-original-consumer-group", b"tapline.authorisation"),
        ("kafka_dlt-exception-fqcn", fqcn.as_bytes()),
        ("tapline-error-code", code.as_bytes()),
        ("tapline-failed-stage", b"authorisation"),
    ] {
        assert_eq!(letter.headers.get(name), Some(expected), "{what}: header {name}");
    }
    assert!(!letter.headers.text("kafka_dlt-exception-message").unwrap_or_default().is_empty());
}

fn with(command: AccountCommand, change: impl FnOnce(&mut Draft)) -> Draft {
    let mut draft = drafted(&command);
    change(&mut draft);
    draft
}

fn in_currency(account: &str, code: &str) -> AccountCommand {
    let mut command = credit(account, "in", 5);
    if let Command::Credit(credit) = &mut command.body {
        credit.currency = Currency::parse(code).expect("three letters");
    }
    command
}

fn card_in_clear(account: &str) -> AccountCommand {
    let mut command = writing::card(account);
    if let Command::ChangeCard(card) = &mut command.body {
        (card.card_token, card.status) = ("4111 1111 1111 1111".into(), CardStatus::Active);
    }
    command
}

fn with_text(account: &str, bytes: usize) -> AccountCommand {
    let mut command = credit(account, "in", 5);
    if let Command::Credit(credit) = &mut command.body {
        credit.text = "x".repeat(bytes).into();
    }
    command
}

#[rustfmt::skip] // one kind of garbage a line
fn table(partitions: i32) -> Vec<Row> {
    use End::{Answer, Letter, Silent};
    let elsewhere = (partition_of(b"g-elsewhere", partitions) + 1) % partitions;
    let mut headers = HeaderList::new();
    (0..40).for_each(|number| headers.push_text(&format!("h{number}"), "x"));
    let mut own = HeaderList::new();
    own.push_text("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    own.push("empty", None);
    let stale = Command::Tick(Tick { time: LogTime(1), rules_version: 1, logic_version: 1 });
    let stale = AccountCommand { account_id: PARTITION_KEY.into(), ..command("t", "stale", stale) };
    vec![
        row("wrong magic", with(open("g-magic"), |it| it.value = Some(b"{\"json\": 1}".to_vec())), Letter("wrong_magic")),
        row("with headers of its own", with(open("g-own"), |it| { it.value = Some(b"?".to_vec()); it.headers = own; }), Letter("wrong_magic")),
        row("behind a dead letter", drafted(&credit("g-magic", "next", 5)), Letter("diverted")),
        row("a request behind a dead letter", drafted(&writing::authorise("g-magic", "ask", 5)), Letter("diverted")),
        row("no value", with(open("g-none"), |it| it.value = None), Letter("wrong_magic")),
        row("empty value", with(open("g-empty"), |it| it.value = Some(Vec::new())), Letter("wrong_magic")),
        row("frame only", with(open("g-frame"), |it| it.value.as_mut().expect("one").truncate(10)), Letter("undecodable_value")),
        row("a byte too many", with(open("g-more"), |it| it.value.as_mut().expect("one").push(0)), Letter("undecodable_value")),
        row("above 64 KiB", drafted(&with_text("g-large", 70_000)), Letter("too_large")),
        row("a long text", drafted(&with_text("g-text", 2_000)), Letter("text_too_long")),
        row("40 headers", with(open("g-headers"), |it| it.headers = headers), Letter("headers_too_large")),
        row("no key", with(open("g-nokey"), |it| { it.key = None; it.partition = Some(1); }), Letter("missing_key")),
        row("empty key", with(open("g-nokey"), |it| { it.key = Some(Vec::new()); it.partition = Some(1); }), Letter("missing_key")),
        row("a key that is no text", with(open("g-bytes"), |it| { it.key = Some(vec![0xff, 0xfe]); }), Letter("key_not_utf8")),
        row("a long key", with(open("g-longkey"), |it| { it.key = Some(vec![b'k'; 65]); }), Letter("key_too_long")),
        row("another's key", with(open("g-one"), |it| { it.key = Some(b"g-other".to_vec()); }), Letter("wrong_key")),
        row("another partition", with(open("g-elsewhere"), |it| it.partition = Some(elsewhere)), Letter("wrong_partition")),
        row("a reserved key", drafted(&open("tapline.mine")), Letter("reserved_key")),
        row("negative", drafted(&credit("g-negative", "in", -5)), Letter("amount_negative")),
        row("smallest number", drafted(&credit("g-min", "in", i64::MIN)), Letter("amount_negative")),
        row("too large", drafted(&credit("g-max", "in", i64::MAX)), Letter("amount_too_large")),
        row("unknown currency", drafted(&in_currency("g-currency", "QQQ")), Letter("unknown_currency")),
        row("card number in clear", drafted(&card_in_clear("g-clear")), Letter("pan_in_clear")),
        row("unknown account, asked", drafted(&writing::authorise("g-unknown", "ask", 5)), Answer("declined")),
        row("unknown account, must be taken", drafted(&credit("g-nobody", "in", 5)), Answer("suspense")),
        row("an account", drafted(&open("g-twice")), Answer("opened")),
        row("money", drafted(&credit("g-twice", "in", 5)), Answer("credited")),
        row("the same again", drafted(&credit("g-twice", "in", 5)), Answer("repeated")),
        row("changed duplicate", drafted(&credit("g-twice", "in", 6)), Answer("conflict")),
        row("a clock that runs back", with(stale, |it| it.partition = Some(2)), Silent),
    ]
}

/// Good commands with a byte changed or the end cut off. The frame stays: a changed fingerprint
/// would be a schema of a newer release, which stops the partition.
fn mutants(seed: u64, count: usize) -> Vec<Row> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut rows = Vec::new();
    for number in 0..count {
        let account = format!("m-{number}");
        let good = match number % 3 {
            0 => credit(&account, "in", 5_000),
            1 => writing::authorise(&account, "ask", 5_000),
            _ => writing::card(&account),
        };
        let mut value = encoded(&good);
        let at = rng.random_range(10..value.len());
        let (what, end) = match number % 2 {
            0 => {
                value.truncate(at);
                (format!("{account} cut at {at}"), End::Letter("undecodable_value"))
            }
            _ => {
                let flip = rng.random_range(1..=255_u8);
                value[at] ^= flip;
                (format!("{account} byte {at} ^ {flip:#x}"), End::AnyOne)
            }
        };
        let draft =
            Draft { key: Some(account.into_bytes()), value: Some(value), ..Draft::default() };
        rows.push(row(what, draft, end));
    }
    rows
}

/// Waits for the dead letters of a site.
pub fn await_letters(site: &Site, count: usize, within_s: u64) -> BTreeMap<Place, Vec<RawRecord>> {
    until("dead letters", within_s, || {
        let letters = letters_by_origin(site);
        match letters.len() {
            found if found >= count => Ok(letters),
            found => Err(format!("{found} of {count}")),
        }
    })
}
