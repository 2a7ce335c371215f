//! The codec as a whole: what is refused and under which code, frames, headers, dead letters.

use super::{
    DecodeError, StageCodec,
    authorisation::AuthorisationCodec,
    avro::{Avro, RegistryIds, Schema},
    dead_letter::{Letter, Origin, TimestampType},
    frame::{Chain, OutputId, Provenance, SourcePos, ce_time, headers},
    headers::HeaderList,
    limits::{Sizes, is_card_number},
    raw::RawRecord,
    schemas::{self, Subject},
};
use crate::{
    domain::{
        account::{CardStatus, Limits},
        command::{
            AccountCommand, Authorise, ChangeCard, Channel, Command, Credit, CreditKind, Debit,
            DebitKind, HoldClass, OpenAccount, PARTITION_KEY, Purchase, ReleaseFuse, Tick,
        },
        money::{AMOUNT_MINOR_MAX, Currency},
        time::LogTime,
    },
    stages::{Poison, Topic, authorisation::Authorisation},
};

/// In partition 2 of 12 (partitioner.rs, golden vectors).
const KEY: &str = "acc-000001";
/// A published test number of a card network, not a card.
const TEST_NUMBER: &str = "4111111111111111";

fn eur() -> Currency {
    Currency::parse("EUR").expect("three letters")
}

fn authorise(change: impl FnOnce(&mut Authorise)) -> AccountCommand {
    let mut body = Authorise {
        payment_id: "pay-1".into(),
        amount_minor: 480,
        currency: eur(),
        purchase: Purchase {
            card_token: "tok_1".into(),
            merchant_name: "Kaffeehaus".into(),
            merchant_id: "m-1".into(),
            merchant_category: Some(5812),
            country: "AT".into(),
            channel: Channel::Contactless,
            network: "visa".into(),
            original_minor: 480,
            original_currency: eur(),
        },
        hold_class: HoldClass::Standard,
        allow_partial: false,
        single_message: false,
    };
    change(&mut body);
    command(Command::Authorise(body))
}

fn command(body: Command) -> AccountCommand {
    let sent_at = LogTime(1_790_000_000_000);
    AccountCommand { account_id: KEY.into(), message_id: "m-1".into(), sent_at, body }
}

fn record(command: &AccountCommand) -> RawRecord {
    let mut value = Vec::new();
    Avro::of(Subject::Commands).encode(command, &mut value);
    RawRecord {
        partition: 2,
        offset: 7,
        timestamp_ms: 1_790_000_000_100,
        timestamp_type: TimestampType::LogAppendTime,
        key: Some(KEY.into()),
        value: Some(value),
        headers: HeaderList::new(),
    }
}

fn codec() -> AuthorisationCodec {
    AuthorisationCodec::new(12, Sizes::default(), RegistryIds::default(), "")
}

fn decode(record: &RawRecord) -> Result<AccountCommand, DecodeError> {
    StageCodec::<Authorisation>::decode(&codec(), record)
}

fn card(change: impl FnOnce(&mut ChangeCard)) -> AccountCommand {
    let mut body = ChangeCard {
        card_token: "tok_1".into(),
        customer_id: "cus-1".into(),
        status: CardStatus::Active,
        expires_at: None,
        last_four: "1111".into(),
        blocked_categories: Vec::new(),
        blocked_channels: Vec::new(),
        limits: None,
    };
    change(&mut body);
    command(Command::ChangeCard(body))
}

fn debit_to(account: &str) -> AccountCommand {
    command(Command::Debit(Debit {
        amount_minor: 1,
        currency: eur(),
        kind: DebitKind::TransferOut,
        advice: false,
        text: "".into(),
        transfer_to: Some(account.into()),
    }))
}

/// Goal: every limit at its edge. Method: a command on the edge is taken, one beyond is refused
/// under its code.
#[test]
fn contents_are_limited() {
    let long = |count: usize| -> Box<str> { "x".repeat(count).into() };
    let amount = |amount_minor| authorise(|body| body.amount_minor = amount_minor);
    let text = |count| {
        let (kind, text) = (CreditKind::Other, long(count));
        command(Command::Credit(Credit { amount_minor: 1, currency: eur(), kind, text }))
    };
    let overdraft = |overdraft_limit_minor| {
        let limits = None;
        command(Command::OpenAccount(OpenAccount {
            currency: eur(),
            overdraft_limit_minor,
            limits,
        }))
    };
    let daily = |daily_minor| {
        let limits = Limits { daily_minor: Some(daily_minor), ..Limits::default() };
        card(|body| body.limits = Some(limits))
    };
    let currency = |code: &str| {
        authorise(|body| body.purchase.original_currency = Currency::parse(code).expect("letters"))
    };
    for (name, taken, refused, code) in [
        ("amount", amount(0), amount(-1), "amount_negative"),
        ("amount", amount(AMOUNT_MINOR_MAX), amount(AMOUNT_MINOR_MAX + 1), "amount_too_large"),
        ("overdraft", overdraft(0), overdraft(-1), "amount_negative"),
        ("daily", daily(AMOUNT_MINOR_MAX), daily(i64::MAX), "amount_too_large"),
        ("currency", currency("JPY"), currency("QQQ"), "unknown_currency"),
        ("text", text(1024), text(1025), "text_too_long"),
        (
            "merchant",
            authorise(|body| body.purchase.merchant_name = long(1024)),
            authorise(|body| body.purchase.merchant_name = long(1025)),
            "text_too_long",
        ),
        (
            "list",
            card(|body| body.blocked_categories = vec![1; 256]),
            card(|body| body.blocked_categories = vec![1; 257]),
            "list_too_long",
        ),
        (
            "token",
            authorise(|body| body.purchase.card_token = "4111111111111112".into()),
            authorise(|body| body.purchase.card_token = TEST_NUMBER.into()),
            "pan_in_clear",
        ),
        ("transfer", debit_to("acc-2"), debit_to("tapline.partition"), "reserved_key"),
    ] {
        assert_eq!(decode(&record(&taken)).as_ref(), Ok(&taken), "{name}");
        assert_eq!(decode(&record(&refused)), Err(DecodeError::poison(code)), "{name}");
    }
}

/// Goal: a record that is nobody's, elsewhere or too big is refused. Method: one good record,
/// changed in one place.
#[test]
fn surroundings_are_checked() {
    let good = record(&authorise(|_| {}));
    let with = |change: &dyn Fn(&mut RawRecord)| {
        let mut changed = good.clone();
        change(&mut changed);
        decode(&changed)
    };
    assert!(decode(&good).is_ok());
    let headers = |count: usize, value: &[u8]| {
        let mut list = HeaderList::new();
        (0..count).for_each(|_| list.push("h", Some(value)));
        list
    };
    assert!(with(&|record| record.headers = headers(32, b"")).is_ok());
    assert!(with(&|record| record.headers = headers(1, &[0; 8191])).is_ok());
    type Change<'a> = &'a dyn Fn(&mut RawRecord);
    let cases: [(Change, &str); 12] = [
        (&|record| record.key = None, "missing_key"),
        (&|record| record.key = Some(Vec::new()), "missing_key"),
        (&|record| record.key = Some(vec![b'k'; 65]), "key_too_long"),
        (&|record| record.key = Some(vec![0xff]), "key_not_utf8"),
        (&|record| record.key = Some("tapline.other".into()), "reserved_key"),
        (&|record| record.partition = 3, "wrong_partition"),
        (&|record| record.headers = headers(33, b""), "headers_too_large"),
        (&|record| record.headers = headers(1, &[0; 8192]), "headers_too_large"),
        (&|record| record.value = Some(vec![0; 65_537]), "too_large"),
        (&|record| record.value = None, "wrong_magic"),
        (&|record| record.value = Some(vec![0xC3, 0x02, 0, 0, 0, 0, 0, 0, 0, 0]), "wrong_magic"),
        (&|record| record.value.iter_mut().for_each(|v| v.truncate(20)), "undecodable_value"),
    ];
    for (change, code) in cases {
        assert_eq!(with(change), Err(DecodeError::poison(code)));
    }
    // Another account's command under this key.
    let mut other = authorise(|_| {});
    other.account_id = "acc-2".into();
    assert_eq!(decode(&record(&other)), Err(DecodeError::poison("wrong_key")));
}

/// Goal: records of a partition have its key, in any partition, and nothing else has it. Method:
/// a table of command, key and answer.
#[test]
fn partition_records() {
    let tick = || {
        let time = LogTime(1);
        Command::Tick(Tick { time, rules_version: 1, logic_version: 1 })
    };
    for (body, key, taken) in [
        (tick(), PARTITION_KEY, true),
        (Command::ReleaseFuse(ReleaseFuse { through_offset: 3 }), PARTITION_KEY, true),
        (tick(), KEY, false),
        (authorise(|_| {}).body, PARTITION_KEY, false),
    ] {
        let mut command = command(body);
        command.account_id = key.into();
        let mut record = record(&command);
        record.key = Some(key.into());
        if key == PARTITION_KEY {
            record.partition = 11;
        }
        let code = decode(&record).map(|_| ());
        assert_eq!(code, if taken { Ok(()) } else { Err(DecodeError::poison("wrong_key")) });
        let divertible = StageCodec::<Authorisation>::divertible_key(&codec(), &record);
        assert_eq!(divertible, (key == KEY).then_some(KEY));
    }
}

/// Goal: a card number never reaches the dead letters, whatever else is wrong with the record.
/// Method: a number in clear with every other fault; the letter has no value and does not show it.
#[test]
fn a_card_number_wins() {
    let command = authorise(|body| {
        body.purchase.card_token = TEST_NUMBER.into();
        body.amount_minor = -1;
    });
    let good = record(&command);
    let faults: [&dyn Fn(&mut RawRecord); 4] = [
        &|record| record.key = None,
        &|record| record.key = Some("tapline.other".into()),
        &|record| record.partition = 3,
        &|record| (0..40).for_each(|_| record.headers.push("h", None)),
    ];
    for fault in faults {
        let mut record = good.clone();
        fault(&mut record);
        assert_eq!(decode(&record), Err(DecodeError::poison("pan_in_clear")));
        let letter = letter(&record, "pan_in_clear");
        assert_eq!(letter.value, None);
        assert!(!format!("{:?}", letter.headers).contains(TEST_NUMBER));
    }
    for (token, number) in [
        ("4111 1111 1111 1111", true),
        ("4111-1111-1111-1111", true),
        ("6304000000000000", true),
        ("411111111111", false),
        ("tok_4111111111111111", false),
        ("41111111111111111111", false),
        ("", false),
    ] {
        assert_eq!(is_card_number(&token.into()), number, "{token}");
    }
}

/// Goal: an unknown schema stops, it is never poison; ours is read in either frame. Method: the
/// same body under several frames.
#[test]
fn frames() {
    let good = record(&authorise(|_| {}));
    let value = good.value.clone().expect("it has one");
    let with = |frame: &[u8], codec: &AuthorisationCodec| {
        let framed = [frame, &value[10..]].concat();
        let record = RawRecord { value: Some(framed), ..good.clone() };
        StageCodec::<Authorisation>::decode(codec, &record)
    };
    let unknown = Err(DecodeError::UnknownSchema(Schema::Fingerprint(0x0807_0605_0403_0201)));
    assert_eq!(with(&[0xC3, 1, 1, 2, 3, 4, 5, 6, 7, 8], &codec()), unknown);
    let id = Err(DecodeError::UnknownSchema(Schema::RegistryId(258)));
    assert_eq!(with(&[0, 0, 0, 1, 2], &codec()), id);
    let ids = RegistryIds::parse(r#"{"payments.commands.v1": {"1": 258}}"#).expect("known");
    let knows = AuthorisationCodec::new(12, Sizes::default(), ids, "");
    assert!(with(&[0, 0, 0, 1, 2], &knows).is_ok());
    // A known schema of something else.
    let events = schemas::current(Subject::Events).fingerprint.to_le_bytes();
    let foreign = with(&[&[0xC3, 1], &events[..]].concat(), &codec());
    assert_eq!(foreign, Err(DecodeError::poison("undecodable_value")));
    // Nothing can be said about a keyless record before its schema is known.
    let keyless =
        RawRecord { key: None, value: Some(vec![0xC3, 1, 1, 2, 3, 4, 5, 6, 7, 8]), ..good };
    assert_eq!(decode(&keyless), unknown);
    for (text, part) in [
        (r#"{"payments.commands.v1": {"9": 1}}"#, "version 9"),
        (r#"{"payments.commands.v1": {"1": 1}, "payments.events.v1": {"1": 1}}"#, "id 1"),
        ("[]", "registry ids"),
    ] {
        let error = RegistryIds::parse(text).expect_err(text);
        assert!(error.contains(part), "{error}");
    }
    assert!(RegistryIds::parse(RegistryIds::COMPILED_IN).is_ok());
}

fn texts(list: &HeaderList) -> Vec<(&str, &str)> {
    let text = |value| std::str::from_utf8(value).expect("these are texts");
    list.iter().map(|(name, value)| (name, value.map_or("(null)", text))).collect()
}

/// Goal: headers are byte-exact. Method: golden texts of one output.
#[test]
fn output_headers() {
    let mut cause = record(&authorise(|_| {}));
    cause.headers.push_text("tracestate", "a=b");
    cause.headers.push_text("tapline-origin-ms", "1790000000050");
    cause.headers.push_text("unrelated", "x");
    cause.headers.push_text("tapline-planned-us", "1790000000000001");
    cause.headers.push_text("traceparent", "00-01-02-01");
    let source = SourcePos { incarnation: 1, partition: 2, offset: 7 };
    let id = OutputId { source, key: None, index: 0 };
    let time = ce_time(LogTime(1_790_000_000_250));
    let of = Provenance {
        id: &id,
        stage: "authorisation",
        ce_type: "tapline.payment.authorised.v1",
        ce_time: &time,
        link: Some((12, Chain([0, 0x0a, 0, 0, 0, 0, 0, 0xff]))),
        cause: &cause,
    };
    let expected = [
        ("tapline-src", "1:2:7:0"),
        ("ce_id", "780c649b-5206-5551-bbbd-ac8fc1a451f3"),
        ("ce_specversion", "1.0"),
        ("ce_source", "/tapline/authorisation"),
        ("ce_type", "tapline.payment.authorised.v1"),
        ("ce_time", "2026-09-21T14:13:20.250Z"),
        ("content-type", "application/avro"),
        ("tapline-seq", "12"),
        ("tapline-chain", "000a0000000000ff"),
        ("tapline-origin-ms", "1790000000050"),
        ("tapline-planned-us", "1790000000000001"),
        ("traceparent", "00-01-02-01"),
        ("tracestate", "a=b"),
    ];
    let list = headers(&of);
    assert_eq!(texts(&list), expected);
    // It is its own cause's successor: the id can be read back, and nothing is taken twice.
    let next = RawRecord { headers: list, ..cause.clone() };
    assert_eq!(next.source(), Some(id.clone()));
    let plain = record(&authorise(|_| {}));
    let bare = headers(&Provenance { link: None, cause: &plain, ..of });
    assert_eq!(bare.len(), 8);
    assert_eq!(bare.text("tapline-origin-ms"), Some("1790000000100"));
    assert_eq!(ce_time(LogTime::ZERO), "1970-01-01T00:00:00.000Z");
    assert_eq!(ce_time(LogTime(i64::MAX)), "9999-12-30T22:00:00.999Z");
}

fn letter(record: &RawRecord, code: &'static str) -> Letter {
    let origin = Origin {
        raw: record,
        stage: "authorisation",
        input: Topic("payments.commands.v1"),
        poison: Poison { code },
    };
    super::dead_letter::letter(&origin, "eu.")
}

/// Goal: redrive tools find what they key on, byte for byte, and a second failure keeps the first
/// origin. Method: golden bytes; then the letter itself fails.
#[test]
fn dead_letters() {
    let mut failed = record(&authorise(|_| {}));
    failed.headers.push("own", None);
    failed.headers.push("own", Some(b"twice"));
    let first = letter(&failed, "wrong_key");
    assert_eq!((&first.key, &first.value), (&failed.key, &failed.value));
    let schema = format!("{:016x}", schemas::current(Subject::Commands).fingerprint);
    let expected: [(&str, Option<&[u8]>); 13] = [
        ("own", None),
        ("own", Some(b"twice")),
        ("kafka_dlt-original-topic", Some(b"eu.payments.commands.v1")),
        ("kafka_dlt-original-partition", Some(&[0, 0, 0, 2])),
        ("kafka_dlt-original-offset", Some(&[0, 0, 0, 0, 0, 0, 0, 7])),
        ("kafka_dlt-original-timestamp", Some(&[0, 0, 1, 0xa0, 0xc4, 0x50, 0x6c, 0x64])),
        ("kafka_dlt-original-timestamp-type", Some(b"LogAppendTime")),
        ("kafka_dlt-original-consumer-group", Some(b"tapline.authorisation")),
        ("kafka_dlt-exception-fqcn", Some(b"tapline.wrong_key")),
        (
            "kafka_dlt-exception-message",
            Some(b"The record's key and what its value concerns are not the same."),
        ),
        ("tapline-error-code", Some(b"wrong_key")),
        ("tapline-failed-stage", Some(b"authorisation")),
        ("tapline-schema", Some(schema.as_bytes())),
    ];
    assert_eq!(first.headers.iter().collect::<Vec<_>>(), expected);

    let headers = first.headers.clone();
    let again = RawRecord { offset: 99, partition: 5, value: None, headers, ..failed };
    let second = letter(&again, "wrong_magic").headers;
    let offsets: Vec<_> =
        second.iter().filter(|(name, _)| *name == "kafka_dlt-original-offset").collect();
    assert_eq!(offsets, [expected[4]]);
    let codes: Vec<_> = second.iter().filter(|(name, _)| *name == "tapline-error-code").collect();
    assert_eq!(codes, [("tapline-error-code", Some(b"wrong_magic".as_slice()))]);
    assert!(!second.contains("tapline-schema"), "a value without a frame names no schema");
}
