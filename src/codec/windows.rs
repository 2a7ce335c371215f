//! The codec of the windows stage: parts, reports and statement lines in, decisions out.
//!
//! Owns the checks of `settlement.parts.v1` (who is named, sizes, amounts that contradict
//! themselves) and the CloudEvents type of every decision. Never looks at state: what does not fit
//! the windows is the stage's question. Invariant: the answer depends on the record and the
//! partition count alone.

use super::{
    DecodeError, StageCodec,
    avro::{Avro, RegistryIds},
    dead_letter::{Letter, Origin},
    inlet::Inlet,
    limits::{Check, Sizes, is_iso_currency, refuse},
    raw::RawRecord,
    schemas::Subject,
    snapshot::{Row, SideRow},
};
use crate::domain::{
    command::PARTITION_KEY,
    cycle::Cycle,
    ledger::Address,
    money::{AMOUNT_MINOR_MAX, Currency},
    settlement::{
        BankStatementLine, Birth, Class, CycleTotals, Direction, NetworkReport, PartSealed,
        ReportDifference, ResolutionKind, ResolveException, SUSPENSE_ITEMS_MAX, SettlementInput,
        SettlementRecord, window_key,
    },
    window::{WindowBody, WindowEvent},
};
use crate::stages::settlement::windows::{Item, Windows, WindowsStage};

/// Legs that one resolution may have.
const LEGS_MAX: usize = 16;

pub struct WindowsCodec {
    inlet: Inlet,
    parts: &'static Avro,
    windows: &'static Avro,
    heads: &'static Avro,
    sides: &'static Avro,
}

impl WindowsCodec {
    /// `partitions`: the partition count of the input topic, at least 1.
    pub fn new(partitions: i32, sizes: Sizes, ids: RegistryIds, topic_prefix: &str) -> Self {
        Self {
            inlet: Inlet::new(partitions, sizes, ids, topic_prefix),
            parts: Avro::of(Subject::Parts),
            windows: Avro::of(Subject::Windows),
            heads: Avro::of(Subject::WindowsHead),
            sides: Avro::of(Subject::WindowsSide),
        }
    }
}

impl StageCodec<WindowsStage> for WindowsCodec {
    fn decode(&self, record: &RawRecord) -> Result<SettlementRecord, DecodeError> {
        let (input, key) = self.inlet.decode(record, self.inlet.key(record), self.parts)?;
        check(&input, key?, &self.inlet.sizes)?;
        Ok(input)
    }

    fn divertible_key<'r>(&self, record: &'r RawRecord) -> Option<&'r str> {
        self.inlet.divertible_key(record)
    }

    fn dead_letter(&self, origin: &Origin<'_>) -> Letter {
        self.inlet.dead_letter(origin)
    }

    fn encode_output(&self, output: &WindowEvent, value: &mut Vec<u8>) {
        self.windows.encode(output, value);
    }

    fn ce_type(&self, output: &WindowEvent) -> &'static str {
        window_type(&output.body)
    }

    fn encode_row(&self, row: &Row<Windows>, row_bytes: &mut Vec<u8>) {
        self.heads.encode(row, row_bytes);
    }

    fn decode_row(&self, row_bytes: &[u8]) -> Result<Row<Windows>, DecodeError> {
        self.heads.decode(row_bytes, &self.inlet.ids)
    }

    fn encode_side(&self, item: &Item, row_bytes: &mut Vec<u8>) {
        self.sides.encode(&SideRow { item }, row_bytes);
    }

    fn decode_side(&self, row_bytes: &[u8]) -> Result<Item, DecodeError> {
        self.sides.decode::<SideRow<Item>>(row_bytes, &self.inlet.ids).map(|row| row.item)
    }
}

/// `tapline.<noun>.<what happened>.v1` of a decision.
pub fn window_type(body: &WindowBody) -> &'static str {
    match body {
        WindowBody::Closed(_) => "tapline.window.closed.v1",
        WindowBody::Reconciled(_) => "tapline.window.reconciled.v1",
        WindowBody::Broken(_) => "tapline.window.broken.v1",
        WindowBody::Instructed(_) => "tapline.window.instructed.v1",
        WindowBody::Settled(_) => "tapline.window.settled.v1",
        WindowBody::Carried(_) => "tapline.window.carried.v1",
        WindowBody::ExceptionOpened(_) => "tapline.exception.opened.v1",
        WindowBody::ExceptionResolved(_) => "tapline.exception.resolved.v1",
        WindowBody::ResolutionRefused(_) => "tapline.exception.resolution_refused.v1",
    }
}

/// `tapline.settlement.<what it is>.v1` of a record of the input topic.
pub fn settlement_type(body: &SettlementInput) -> &'static str {
    match body {
        SettlementInput::Part(_) => "tapline.settlement.part_sealed.v1",
        SettlementInput::Report(_) => "tapline.settlement.network_report.v1",
        SettlementInput::Difference(_) => "tapline.settlement.report_difference.v1",
        SettlementInput::Statement(_) => "tapline.settlement.statement_line.v1",
        SettlementInput::Resolve(_) => "tapline.settlement.resolve_exception.v1",
        SettlementInput::Birth(_) => "tapline.settlement.birth.v1",
    }
}

/// The first record of a partition, under `PARTITION_KEY`. It has no network; its currency is the
/// ISO code for none.
pub fn birth() -> SettlementRecord {
    let none = Currency::parse("XXX").expect("three letters");
    SettlementRecord { network: "".into(), currency: none, body: SettlementInput::Birth(Birth {}) }
}

/// Checks what a record says against its key and the limits.
fn check(record: &SettlementRecord, key: &str, sizes: &Sizes) -> Check {
    let is_birth = matches!(record.body, SettlementInput::Birth(_));
    refuse(is_birth != (key == PARTITION_KEY), "wrong_key")?;
    if is_birth {
        return Ok(());
    }
    let is_named = !record.network.is_empty() && !record.network.contains('/');
    refuse(!is_named || *window_key(&record.network, record.currency) != *key, "wrong_key")?;
    refuse(!is_iso_currency(record.currency), "unknown_currency")?;
    match &record.body {
        SettlementInput::Part(it) => part(it, sizes),
        SettlementInput::Report(it) => report(it, sizes),
        SettlementInput::Difference(it) => difference(it, sizes),
        SettlementInput::Statement(it) => statement(it, sizes),
        SettlementInput::Resolve(it) => resolve(it, sizes),
        SettlementInput::Birth(_) => Ok(()),
    }
}

fn part(part: &PartSealed, sizes: &Sizes) -> Check {
    let has_place = (0..part.partitions).contains(&part.partition);
    let has_range = 0 <= part.from_offset && part.from_offset <= part.to_offset;
    refuse(!has_place || !has_range, "part_invalid")?;
    cycle(&part.cycle)?;
    totals(&part.totals)?;
    refuse(part.suspense.len() > SUSPENSE_ITEMS_MAX, "list_too_long")?;
    for item in &part.suspense {
        id(&item.id, sizes)?;
        sizes.text(item.account_id.as_str())?;
    }
    let owed_minor: i128 = part.suspense.iter().map(|item| i128::from(item.owed_minor)).sum();
    refuse(owed_minor != i128::from(part.totals.suspense_minor), "part_invalid")
}

fn report(report: &NetworkReport, sizes: &Sizes) -> Check {
    id(&report.report_id, sizes)?;
    cycle(&report.cycle)?;
    refuse(report.totals.suspense_minor != 0, "report_invalid")?;
    totals(&report.totals)
}

fn difference(difference: &ReportDifference, sizes: &Sizes) -> Check {
    id(&difference.difference_id, sizes)?;
    cycle(&difference.cycle)?;
    refuse(matches!(difference.class, Class::Unknown | Class::Matched), "class_unexpected")?;
    let is_bounded = |minor: i64| minor.unsigned_abs() <= AMOUNT_MINOR_MAX.unsigned_abs();
    let amounts = [difference.reported_minor, difference.booked_minor];
    refuse(!amounts.into_iter().all(is_bounded), "amount_too_large")?;
    sizes.text(difference.payment_id.as_ref().map_or("", |id| id.as_str()))?;
    sizes.text(&difference.reference)?;
    sizes.text(&difference.text)
}

fn statement(line: &BankStatementLine, sizes: &Sizes) -> Check {
    id(&line.line_id, sizes)?;
    refuse(line.amount_minor <= 0, "amount_not_positive")?;
    // A net can be larger than any one message.
    refuse(line.amount_minor > CycleTotals::MINOR_MAX, "amount_too_large")?;
    refuse(line.direction == Direction::Unknown, "direction_unknown")?;
    sizes.text(&line.reference)?;
    sizes.text(&line.text)
}

fn resolve(resolve: &ResolveException, sizes: &Sizes) -> Check {
    id(&resolve.exception_id, sizes)?;
    let is_asked = matches!(
        resolve.kind,
        ResolutionKind::WriteOff | ResolutionKind::Recovered | ResolutionKind::Rebooked
    );
    refuse(!is_asked, "resolution_unexpected")?;
    refuse(resolve.legs.len() > LEGS_MAX, "list_too_long")?;
    refuse(resolve.legs.iter().any(|leg| leg.address == Address::Unknown), "leg_unknown")?;
    sizes.text(&resolve.by)?;
    sizes.text(&resolve.text)
}

fn cycle(cycle: &Cycle) -> Check {
    refuse(cycle.cutoff.0 <= 0 || cycle.number < 1, "cycle_invalid")
}

fn totals(totals: &CycleTotals) -> Check {
    let grown = [
        totals.items,
        totals.purchases_minor,
        totals.purchase_reversals_minor,
        totals.refunds_minor,
    ];
    refuse(grown.into_iter().any(|sum| sum < 0), "amount_negative")?;
    let signed = [totals.interchange_minor, totals.fees_minor, totals.suspense_minor];
    let is_beyond = |sum: i64| sum.unsigned_abs() > CycleTotals::MINOR_MAX.unsigned_abs();
    refuse(grown.into_iter().chain(signed).any(is_beyond), "amount_too_large")
}

fn id(text: &str, sizes: &Sizes) -> Check {
    refuse(text.is_empty(), "id_missing")?;
    sizes.text(text)
}
