//! Tests of the reckoning of lag, on records made by hand.

use super::*;
use crate::domain::{
    command::{Credit, CreditKind, Debit, DebitKind, Tick},
    time::LogTime,
};
use crate::operator::records::tests::{framed, raw};

const NOW_MS: i64 = 1_700_000_060_000;

fn currency(code: &str) -> Currency {
    Currency::parse(code).expect("a code")
}

fn credit(account: &str, amount_minor: i64, code: &str) -> Vec<u8> {
    let kind = CreditKind::Other;
    let (currency, text) = (currency(code), "".into());
    framed(account, Command::Credit(Credit { amount_minor, currency, kind, text }))
}

fn debit(account: &str, amount_minor: i64, code: &str) -> Vec<u8> {
    let (kind, advice, transfer_to) = (DebitKind::Fee, false, None);
    let (currency, text) = (currency(code), "".into());
    let debit = Debit { amount_minor, currency, kind, advice, text, transfer_to };
    framed(account, Command::Debit(debit))
}

fn tick() -> Vec<u8> {
    let tick = Tick { time: LogTime(5), rules_version: 1, logic_version: 1 };
    framed(PARTITION_KEY, Command::Tick(tick))
}

/// A tick at 10 (the commit), commands at 11, 12 and 14, a tick at 13 and a broken value at 15.
fn above(keep_account: bool) -> Above {
    let mut above = Above::default();
    for (offset, key, value) in [
        (10, PARTITION_KEY, tick()),
        (11, "acc-1", credit("acc-1", 100_050, "CZK")),
        (12, "acc-2", debit("acc-2", 700, "EUR")),
        (13, PARTITION_KEY, tick()),
        (14, "acc-1", credit("acc-1", 50, "CZK")),
        (15, "acc-3", vec![0xff]),
    ] {
        above.take(&raw(offset, key, value), &RegistryIds::default(), true, keep_account);
    }
    above
}

fn lag_of(above: &Above, positions: &[(&str, i64)], read_to: i64) -> PartitionLag {
    let span = Span { partition: 3, start: 0, end: 16 };
    let positions = positions.iter().map(|(account, at)| ((*account).into(), *at)).collect();
    PartitionLag::of(span, Some(10), above, &positions, read_to, NOW_MS)
}

/// Goal: commands wait, ticks do not, and money is summed per currency. Method: six records above a
/// commit.
#[test]
fn commands_and_ticks_apart() {
    let lag = lag_of(&above(false), &[], 16);
    assert_eq!((lag.records_behind, lag.ticks_behind, lag.commands_waiting), (6, 2, 4));
    assert_eq!((lag.undecodable, lag.capped, lag.durable_through), (1, false, Some(9)));
    assert_eq!(lag.money_waiting_minor.shown(), "1,001.00 CZK\n7.00 EUR");
    assert_eq!(lag.behind_ms, NOW_MS - 1_700_000_000_011);
    assert!(lag_of(&above(false), &[], 12).capped, "four records were not read");
}

/// Goal: a partition at rest reads as nothing waiting. Method: ticks alone above the commit.
#[test]
fn rest_is_zero() {
    let mut above = Above::default();
    for offset in 10..16 {
        above.take(&raw(offset, PARTITION_KEY, tick()), &RegistryIds::default(), true, true);
    }
    let lag = lag_of(&above, &[], 16);
    assert_eq!((lag.records_behind, lag.ticks_behind, lag.commands_waiting), (6, 6, 0));
    assert_eq!((lag.behind_ms, lag.money_waiting_minor.shown()), (0, "-".to_owned()));
}

/// Goal: what a row contains does not wait. Method: one account's row ahead of its first command.
#[test]
fn rows_take_commands_off() {
    let lag = lag_of(&above(true), &[("acc-1", 11), ("acc-2", -1), ("acc-3", -1)], 16);
    assert_eq!((lag.commands_waiting, lag.durable_through), (3, Some(11)));
    assert_eq!(lag.money_waiting_minor.shown(), "0.50 CZK\n7.00 EUR");
}

fn whole() -> Lag {
    let lag = lag_of(&above(false), &[], 16);
    let partitions = vec![lag.clone(), PartitionLag { partition: 4, ..lag }];
    let stage = StageLag {
        stage: "authorisation".to_owned(),
        topic: "payments.commands.v1".to_owned(),
        group: "tapline.authorisation".to_owned(),
        group_state: "Empty".to_owned(),
        members: 0,
        by_rows: false,
        partitions,
    };
    let total = Total::of(stage.partitions.iter());
    Lag { at: "2023-11-14T22:14:20.000Z".to_owned(), stages: vec![stage], total }
}

/// Goal: the text says all four figures. Method: first and last line and one row, as printed.
#[test]
fn text() {
    let text = whole().shown();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "authorisation  reads payments.commands.v1  group tapline.authorisation: Empty, members 0  at \
         2023-11-14T22:14:20.000Z"
    );
    assert_eq!(
        lines[lines.len() - 1],
        "total: 12 records behind, 8 commands waiting, 59.9 s behind, money waiting: 2,002.00 CZK, \
         14.00 EUR"
    );
    let row: Vec<&str> =
        lines[4].split('┆').map(|cell| cell.trim_matches(&['│', ' '][..])).collect();
    assert_eq!(row, ["3", "10", "9", "16", "6", "2", "4", "59.9 s", "1,001.00 CZK"]);
}

/// Goal: the JSON names stay. Method: the total and one partition, whole.
#[test]
fn json() {
    let json = serde_json::json!(whole());
    assert_eq!(
        json["total"],
        serde_json::json!({
            "records_behind": 12, "commands_waiting": 8, "behind_ms": 59_989,
            "money_waiting_minor": {"CZK": 200_200, "EUR": 1_400}, "capped": false
        })
    );
    assert_eq!(
        json["stages"][0]["partitions"][0],
        serde_json::json!({
            "partition": 3, "committed": 10, "durable_through": 9, "log_end": 16,
            "records_behind": 6, "ticks_behind": 2, "commands_waiting": 4, "undecodable": 1,
            "behind_ms": 59_989, "oldest_waiting_at": "2023-11-14T22:13:20.011Z",
            "money_waiting_minor": {"CZK": 100_100, "EUR": 700}, "capped": false
        })
    );
}
