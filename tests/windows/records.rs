//! Records for the tests: one network and currency, two partitions, cycles by number.

use tapline::domain::{
    cycle::Cycle,
    ledger::{Address, Leg},
    money::Currency,
    reason::Reason,
    settlement::{
        BankStatementLine, Class, ContentHash, CycleTotals, Direction, NetworkReport, PartSealed,
        ReportDifference, ResolutionKind, ResolveException, SettlementInput, SettlementRecord,
        SuspenseItem, instruction_reference,
    },
    time::LogTime,
};

pub const NETWORK: &str = "visa";
pub const DAY_MS: i64 = 86_400_000;

pub fn eur() -> Currency {
    Currency::parse("EUR").expect("three letters")
}

/// Cycle `number`, 1 and up: one a day.
pub fn cycle(number: i64) -> Cycle {
    let business_date = i32::try_from(number).expect("few");
    Cycle { cutoff: LogTime(number * DAY_MS), business_date, number: 1 }
}

pub fn record(body: SettlementInput) -> SettlementRecord {
    SettlementRecord { network: NETWORK.into(), currency: eur(), body }
}

/// A part of two partitions whose ranges are 100 offsets long; owes `net_minor`.
pub fn part(partition: i32, number: i64, net_minor: i64) -> PartSealed {
    let totals = CycleTotals {
        items: 3,
        purchases_minor: net_minor.max(0) + 50,
        purchase_reversals_minor: 20,
        refunds_minor: (-net_minor).max(0) + 30,
        interchange_minor: 7,
        fees_minor: 7,
        suspense_minor: 0,
    };
    let mut content = [partition as u8; 32];
    content[0] = number as u8;
    PartSealed {
        partition,
        partitions: 2,
        cycle: cycle(number),
        first: number == 1,
        from_offset: number * 100,
        to_offset: number * 100 + 100,
        totals,
        content: ContentHash(content),
        suspense: Vec::new(),
        rules_version: 1,
    }
}

/// The same part with an item that has no account.
pub fn with_item(mut part: PartSealed, id: &str, owed_minor: i64) -> PartSealed {
    part.suspense.push(SuspenseItem {
        id: id.into(),
        account_id: "acc-nobody".into(),
        owed_minor,
        reason: Reason::AccountUnknown,
        log_time: LogTime(part.cycle.cutoff.0 - 1),
    });
    part.totals.suspense_minor += owed_minor;
    part
}

/// A report of 6 items that says `net_minor`.
pub fn report(id: &str, number: i64, net_minor: i64) -> SettlementRecord {
    record(SettlementInput::Report(NetworkReport {
        report_id: id.into(),
        at: LogTime(number * DAY_MS + 1_000),
        cycle: cycle(number),
        totals: CycleTotals {
            items: 6,
            purchases_minor: net_minor.max(0),
            refunds_minor: (-net_minor).max(0),
            interchange_minor: 14,
            fees_minor: 14,
            ..CycleTotals::default()
        },
    }))
}

/// Claims `reported_minor` where we booked `booked_minor`.
pub fn difference(
    id: &str,
    number: i64,
    class: Class,
    reported_minor: i64,
    booked_minor: i64,
) -> SettlementRecord {
    record(SettlementInput::Difference(ReportDifference {
        difference_id: id.into(),
        at: LogTime(number * DAY_MS + 500),
        cycle: cycle(number),
        class,
        reported_minor,
        booked_minor,
        payment_id: None,
        reference: "arn-1".into(),
        text: "".into(),
    }))
}

/// A line about the instruction of a cycle.
pub fn line(id: &str, number: i64, direction: Direction, amount_minor: i64) -> SettlementRecord {
    let reference = instruction_reference(NETWORK, eur(), cycle(number).cutoff);
    line_saying(id, &reference, direction, amount_minor)
}

pub fn line_saying(
    id: &str,
    reference: &str,
    direction: Direction,
    amount_minor: i64,
) -> SettlementRecord {
    record(SettlementInput::Statement(BankStatementLine {
        line_id: id.into(),
        at: LogTime(9 * DAY_MS),
        amount_minor,
        direction,
        reference: reference.into(),
        text: "".into(),
    }))
}

/// Takes `minor` out of suspense and puts it at `address`.
pub fn legs(address: Address, minor: i64) -> Vec<Leg> {
    let leg = |address, minor| Leg { address, currency: eur(), minor };
    match minor {
        0 => Vec::new(),
        _ => vec![leg(Address::Suspense, minor), leg(address, -minor)],
    }
}

pub fn resolve(id: &str, kind: ResolutionKind, legs: Vec<Leg>) -> SettlementRecord {
    record(SettlementInput::Resolve(ResolveException {
        exception_id: id.into(),
        at: LogTime(10 * DAY_MS),
        kind,
        legs,
        by: "ops-1".into(),
        text: "".into(),
    }))
}
