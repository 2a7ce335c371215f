//! Every state of a window against every input.

use crate::{
    driver::{Driver, decode, words},
    records::{
        cycle, difference, eur, line, line_saying, part, record, report, resolve, with_item,
    },
};
use tapline::{
    codec::{
        avro::RegistryIds,
        limits::Sizes,
        windows::{WindowsCodec, birth},
    },
    domain::{
        command::PARTITION_KEY,
        ledger::{Address, Leg},
        money::Currency,
        settlement::{
            Class, ContentHash, Direction, NetworkReport, PartSealed, ResolutionKind,
            SettlementInput, SettlementRecord,
        },
        time::LogTime,
    },
    stages::{Scope, Stage, settlement::windows::WindowsStage},
};

/// Window 1 of two partitions owes 600 + 400.
fn in_state(state: &str) -> Driver {
    let mut driver = Driver::new();
    let reach = ["open", "closed", "instructed", "settled"].iter().position(|it| *it == state);
    let reach = reach.unwrap_or(1);
    driver.take(record(SettlementInput::Part(part(0, 1, 600))));
    if reach >= 1 {
        driver.take(record(SettlementInput::Part(part(1, 1, 400))));
    }
    if reach >= 2 {
        driver.take(report("r-1", 1, 1_000));
    }
    if reach >= 3 {
        driver.take(line("l-1", 1, Direction::Pay, 1_000));
    }
    if state == "broken" {
        driver.take(report("r-1", 1, 1_010));
    }
    driver
}

fn input(name: &str) -> SettlementRecord {
    let part = |part| record(SettlementInput::Part(part));
    match name {
        "last part" => part(self::part(1, 1, 400)),
        "part again" => part(self::part(0, 1, 600)),
        "part changed" => {
            let mut changed = self::part(0, 1, 600);
            changed.content = ContentHash([9; 32]);
            part(changed)
        }
        "next part" => part(self::part(0, 2, 5)),
        "part after a gap" => part(self::part(0, 3, 5)),
        "part of three" => {
            let mut of_three = self::part(0, 2, 5);
            of_three.partitions = 3;
            part(of_three)
        }
        "report" => report("r-1", 1, 1_000),
        "report 1010" => report("r-1", 1, 1_010),
        "same report renamed" => report("r-2", 1, 1_000),
        "second report" => report("r-2", 1, 990),
        "missing" => difference("d-1", 1, Class::Missing, 0, 100),
        "expected" => difference("d-1", 1, Class::Expected, 0, 100),
        "exact line" => line("l-1", 1, Direction::Pay, 1_000),
        "second line" => line("l-2", 1, Direction::Pay, 1_000),
        "partial line" => line("l-2", 1, Direction::Pay, 300),
        "wrong way" => line("l-2", 1, Direction::Receive, 1_000),
        "nameless line" => line_saying("l-2", "", Direction::Pay, 1_000),
        "other currency" => line_saying("l-2", "visa/USD/86400000", Direction::Pay, 1_000),
        other => panic!("no input {other}"),
    }
}

/// Goal: each input does in each state what S3 to S8 say, and the same again does nothing. Method:
/// (state, input, the events or the code of the refusal, the window after it and what it owes).
#[test]
fn every_state_and_input() {
    for (state, name, said, after) in [
        ("open", "last part", "closed 1000", "closed 1000"),
        ("open", "part again", "", "open 600"),
        ("open", "part changed", "halt part_conflict", "open 600"),
        ("open", "next part", "", "open 600"),
        ("open", "part after a gap", "halt part_gap", "open 600"),
        ("open", "part of three", "halt partitions_changed", "open 600"),
        ("open", "report", "", "open 600"),
        ("open", "missing", "missing -100", "open 500"),
        ("open", "expected", "carried 100", "open 500"),
        ("open", "exact line", "extra 1000", "open 600"),
        ("open", "wrong way", "extra -1000", "open 600"),
        ("open", "nameless line", "extra 1000", "open 600"),
        ("closed", "part again", "", "closed 1000"),
        ("closed", "part changed", "halt window_sealed", "closed 1000"),
        ("closed", "next part", "", "closed 1000"),
        ("closed", "part after a gap", "halt part_gap", "closed 1000"),
        ("closed", "report", "reconciled 1000, pay 1000", "instructed 1000"),
        ("closed", "report 1010", "broken by 10, mismatch 10", "broken 1010"),
        ("closed", "second report", "broken by -10, mismatch -10", "broken 990"),
        ("closed", "missing", "missing -100", "closed 900"),
        ("closed", "expected", "carried 100", "closed 900"),
        ("closed", "exact line", "extra 1000", "closed 1000"),
        ("closed", "other currency", "mismatch 1000", "closed 1000"),
        ("instructed", "part again", "", "instructed 1000"),
        ("instructed", "part changed", "halt window_sealed", "instructed 1000"),
        ("instructed", "next part", "", "instructed 1000"),
        ("instructed", "part of three", "halt partitions_changed", "instructed 1000"),
        ("instructed", "report", "", "instructed 1000"),
        ("instructed", "report 1010", "mismatch 0", "instructed 1000"),
        ("instructed", "second report", "mismatch 0", "instructed 1000"),
        ("instructed", "missing", "missing 0", "instructed 1000"),
        ("instructed", "expected", "", "instructed 1000"),
        ("instructed", "exact line", "settled", "settled 0"),
        ("instructed", "partial line", "mismatch 300", "instructed 1000"),
        ("instructed", "wrong way", "mismatch -1000", "instructed 1000"),
        ("instructed", "nameless line", "extra 1000", "instructed 1000"),
        ("instructed", "other currency", "mismatch 1000", "instructed 1000"),
        ("settled", "part again", "", "settled 0"),
        ("settled", "part changed", "halt window_sealed", "settled 0"),
        ("settled", "report", "", "settled 0"),
        ("settled", "same report renamed", "duplicate 0", "settled 0"),
        ("settled", "second report", "mismatch 0", "settled 0"),
        ("settled", "missing", "missing 0", "settled 0"),
        ("settled", "expected", "", "settled 0"),
        ("settled", "exact line", "", "settled 0"),
        ("settled", "second line", "duplicate 1000", "settled 0"),
        ("settled", "partial line", "extra 300", "settled 0"),
        ("settled", "wrong way", "extra -1000", "settled 0"),
        ("settled", "nameless line", "extra 1000", "settled 0"),
        ("broken", "part changed", "halt window_sealed", "broken 1010"),
        ("broken", "next part", "", "broken 1010"),
        ("broken", "report", "mismatch 0", "broken 1010"),
        ("broken", "report 1010", "", "broken 1010"),
        ("broken", "missing", "missing 0", "broken 1010"),
        ("broken", "expected", "", "broken 1010"),
        ("broken", "exact line", "extra 1000", "broken 1010"),
    ] {
        let mut driver = in_state(state);
        let events = driver.send(input(name));
        assert_eq!(events.as_deref().map_or_else(String::clone, words), said, "{state}: {name}");
        let window = driver.window(cycle(1).cutoff).expect("it was opened");
        let shown = format!("{:?} {}", window.status, window.outstanding_minor());
        assert_eq!(shown.to_lowercase(), after, "{state}: {name}");
        if events.is_ok() {
            assert_eq!(driver.take(input(name)), [], "{state}: {name} again");
        }
    }
}

/// Goal: closing goes one window at a time, in order, and what came too early waits for it.
/// Method: scripts; (records, the last one's events, what the next window will take over).
#[test]
fn windows_follow_each_other() {
    let part = |partition, number, net| record(SettlementInput::Part(part(partition, number, net)));
    let first = |mut part: PartSealed| {
        part.first = true;
        record(SettlementInput::Part(part))
    };
    let both = |number| [part(0, number, 6), part(1, number, 4)];
    let of_first = |tail: Vec<SettlementRecord>| both(1).into_iter().chain(tail).collect();
    for (name, records, said, carry_minor) in [
        (
            "three missed windows",
            vec![part(0, 1, 1), part(0, 2, 2), part(0, 3, 3), first(self::part(1, 3, 9))],
            "closed 1, closed 2, closed 12",
            0,
        ),
        ("the first part is later", vec![part(0, 1, 1), first(self::part(1, 2, 5))], "closed 1", 0),
        (
            "a report waits for its window",
            vec![report("r-1", 1, 10), part(0, 1, 6), part(1, 1, 4)],
            "closed 10, reconciled 10, pay 10",
            0,
        ),
        (
            "owed to us",
            vec![report("r-1", 1, -10), part(0, 1, -6), part(1, 1, -4)],
            "closed -10, reconciled -10, receive 10",
            0,
        ),
        (
            "nothing owed is settled by itself",
            vec![report("r-1", 1, 0), part(0, 1, -6), part(1, 1, 6)],
            "closed 0, reconciled 0, settled",
            0,
        ),
        (
            "differences explain a report",
            of_first(vec![
                difference("d-1", 1, Class::Missing, 0, 4),
                difference("d-2", 1, Class::Extra, 3, 0),
                report("r-1", 1, 9),
            ]),
            "reconciled 9, pay 9",
            0,
        ),
        (
            "alike in the net, not in the fees",
            of_first(vec![{
                let mut other = report("r-1", 1, 10);
                if let SettlementInput::Report(report) = &mut other.body {
                    report.totals.interchange_minor += 1;
                    report.totals.fees_minor += 1;
                }
                other
            }]),
            "broken by 0, mismatch 0",
            0,
        ),
        (
            "expected goes to the next",
            of_first(vec![
                difference("d-1", 1, Class::Expected, 0, 4),
                part(0, 2, 1),
                part(1, 2, 1),
            ]),
            "closed 6",
            0,
        ),
        (
            "no such window: passed by all",
            vec![
                difference("d-1", 1, Class::Extra, 4, 0),
                report("r-1", 1, 7),
                first(self::part(0, 2, 1)),
                first(self::part(1, 2, 1)),
            ],
            // What the difference moved to net is owed in the next window.
            "extra 0, closed 6",
            0,
        ),
    ] {
        let mut driver = Driver::new();
        let last = records.into_iter().map(|record| driver.send(record)).last();
        let last = last.expect("a script has records");
        assert_eq!(last.as_deref().map_or_else(String::clone, words), said, "{name}");
        assert_eq!(driver.head.carry_minor, carry_minor, "{name}");
    }
}

/// Goal: a record that contradicts itself is refused before the stage sees it. Method: one good
/// record of each kind, changed in one place.
#[test]
fn contradictions_are_poison() {
    let driver = Driver::new();
    let part = |change: &dyn Fn(&mut PartSealed)| {
        let mut part = with_item(part(0, 1, 600), "7", 40);
        change(&mut part);
        record(SettlementInput::Part(part))
    };
    let changed = |mut good: SettlementRecord, change: &dyn Fn(&mut SettlementRecord)| {
        change(&mut good);
        good
    };
    let report_with = |change: &dyn Fn(&mut NetworkReport)| {
        changed(report("r-1", 1, 10), &|record| match &mut record.body {
            SettlementInput::Report(report) => change(report),
            _ => panic!("a report"),
        })
    };
    let leg = |address| Leg { address, currency: eur(), minor: 0 };
    let decide = |kind, legs| resolve("line:1", kind, legs);
    let item = |part: &PartSealed| part.suspense[0].clone();
    let pay = |amount_minor| line("l-1", 1, Direction::Pay, amount_minor);
    for (name, record, code) in [
        ("a part", part(&|_| {}), ""),
        ("of no partition", part(&|it| it.partition = 2), "part_invalid"),
        ("backwards", part(&|it| it.to_offset = it.from_offset - 1), "part_invalid"),
        ("suspense is not its items", part(&|it| it.totals.suspense_minor += 1), "part_invalid"),
        ("before time", part(&|it| it.cycle.cutoff = LogTime(0)), "cycle_invalid"),
        ("less than nothing", part(&|it| it.totals.refunds_minor = -1), "amount_negative"),
        ("too much", part(&|it| it.totals.fees_minor = i64::MIN), "amount_too_large"),
        ("129 items", part(&|it| it.suspense = vec![item(it); 129]), "list_too_long"),
        ("a nameless item", part(&|it| it.suspense[0].id = "".into()), "id_missing"),
        ("a report", report("r-1", 1, 10), ""),
        ("no id", report("", 1, 10), "id_missing"),
        ("in suspense", report_with(&|it| it.totals.suspense_minor = 1), "report_invalid"),
        ("a difference", difference("d-1", 1, Class::Missing, 0, 1), ""),
        ("none", difference("d-1", 1, Class::Matched, 1, 1), "class_unexpected"),
        ("huge", difference("d-1", 1, Class::Extra, i64::MIN, 0), "amount_too_large"),
        ("a line", pay(1), ""),
        ("of nothing", pay(0), "amount_not_positive"),
        ("nowhere", line("l-1", 1, Direction::Unknown, 1), "direction_unknown"),
        ("long", line_saying("l-1", &"x".repeat(1_025), Direction::Pay, 1), "text_too_long"),
        ("a decision", decide(ResolutionKind::WriteOff, Vec::new()), ""),
        ("never asked", decide(ResolutionKind::Carried, Vec::new()), "resolution_unexpected"),
        (
            "a new address",
            decide(ResolutionKind::WriteOff, vec![leg(Address::Unknown)]),
            "leg_unknown",
        ),
        (
            "many legs",
            decide(ResolutionKind::WriteOff, vec![leg(Address::Net); 17]),
            "list_too_long",
        ),
        ("no network", changed(pay(1), &|it| it.network = "".into()), "wrong_key"),
        ("two networks", changed(pay(1), &|it| it.network = "a/b".into()), "wrong_key"),
        (
            "no money",
            changed(pay(1), &|it| it.currency = Currency::parse("QQQ").expect("letters")),
            "unknown_currency",
        ),
        ("a birth", birth(), "wrong_key"),
    ] {
        let refusal = driver.decode(&record).err().unwrap_or_default();
        assert_eq!(refusal.trim_start_matches("poison "), code, "{name}");
    }
    let codec = WindowsCodec::new(1, Sizes::default(), RegistryIds::default(), "");
    assert_eq!(decode(&codec, &birth(), PARTITION_KEY), Ok(birth()));
    assert_eq!(WindowsStage::scope(&birth()), Scope::Nothing);
    for key in [PARTITION_KEY, "visa/USD", "mastercard/EUR"] {
        let refusal = decode(&codec, &pay(1), key);
        assert_eq!(refusal, Err("poison wrong_key".to_owned()), "{key}");
    }
}
