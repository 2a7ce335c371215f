//! The proof against the windows stage itself.

use super::*;
use crate::domain::{
    rules::Rules,
    settlement::{
        BankStatementLine, Class, ContentHash, CycleTotals, Direction, NetworkReport, PartSealed,
        ReportDifference, ResolveException, SettlementInput, SettlementRecord,
    },
    time::DAY_MS,
};
use crate::stages::{
    Cause, Context, Stage,
    settlement::windows::{Item, ItemId, Windows, WindowsStage},
};

fn eur() -> Currency {
    Currency::parse("EUR").expect("a code")
}

fn cycle(number: i64) -> Cycle {
    let date = i32::try_from(number).expect("a small number");
    Cycle { cutoff: LogTime(number * DAY_MS), business_date: date, number: 1 }
}

/// The stage over one key, and all that it said.
struct Desk {
    rules: Rules,
    head: Windows,
    beside: BTreeMap<ItemId, Item>,
    events: Vec<WindowEvent>,
    /// Where the next part begins.
    at: i64,
}

impl Desk {
    fn new() -> Self {
        let rules = crate::codec::rules::parse(include_str!("../../rules/1.toml"));
        Self {
            rules: rules.expect("the shipped rules"),
            head: Windows::default(),
            beside: BTreeMap::new(),
            events: Vec::new(),
            at: 0,
        }
    }

    fn send(&mut self, body: SettlementInput) -> &mut Self {
        let record = SettlementRecord { network: "visa".into(), currency: eur(), body };
        let context = Context::of(LogTime::ZERO, &self.rules);
        for _ in 0..2 {
            for id in WindowsStage::items_named(&context, &self.head, &record) {
                if let Some(item) = self.beside.get(&id) {
                    WindowsStage::recall(&mut self.head, id, item.clone());
                }
            }
        }
        let step = WindowsStage::step(&context, "visa/EUR", &self.head, Cause::Record(&record));
        let step = step.expect("a good record");
        if let Some(change) = step.change {
            self.beside.extend(WindowsStage::apply(&mut self.head, change));
        }
        self.events.extend(step.effects.into_iter().map(|effect| effect.body));
        self
    }

    /// The whole of a cycle, in one partition; the offset 100 x its number is in it.
    fn part(&mut self, number: i64, purchases_minor: i64) -> &mut Self {
        let from_offset = std::mem::replace(&mut self.at, (number + 1) * 100);
        self.send(SettlementInput::Part(PartSealed {
            partition: 0,
            partitions: 1,
            cycle: cycle(number),
            first: number == 1,
            from_offset,
            to_offset: (number + 1) * 100,
            totals: CycleTotals { items: 1, purchases_minor, ..CycleTotals::default() },
            content: ContentHash([1; 32]),
            suspense: Vec::new(),
            rules_version: 1,
        }))
    }

    fn report(&mut self, number: i64, purchases_minor: i64) -> &mut Self {
        self.send(SettlementInput::Report(NetworkReport {
            report_id: format!("r-{number}").into(),
            at: cycle(number).cutoff,
            cycle: cycle(number),
            totals: CycleTotals { items: 1, purchases_minor, ..CycleTotals::default() },
        }))
    }

    fn difference(&mut self, number: i64, class: Class, reported: i64, booked: i64) -> &mut Self {
        self.send(SettlementInput::Difference(ReportDifference {
            difference_id: format!("d-{number}-{reported}-{booked}").into(),
            at: cycle(number).cutoff,
            cycle: cycle(number),
            class,
            reported_minor: reported,
            booked_minor: booked,
            payment_id: None,
            reference: "".into(),
            text: "".into(),
        }))
    }

    fn line(&mut self, id: &str, number: i64, amount_minor: i64) -> &mut Self {
        self.send(SettlementInput::Statement(BankStatementLine {
            line_id: id.into(),
            at: cycle(number).cutoff,
            amount_minor,
            direction: Direction::Pay,
            reference: instruction_reference("visa", eur(), cycle(number).cutoff),
            text: "".into(),
        }))
    }

    fn rebook(&mut self, id: &str, minor: i64) -> &mut Self {
        let leg = |address, minor| Leg { address, currency: eur(), minor };
        self.send(SettlementInput::Resolve(ResolveException {
            exception_id: id.into(),
            at: LogTime(1),
            kind: ResolutionKind::Rebooked,
            legs: vec![leg(Address::Suspense, minor), leg(Address::Net, -minor)],
            by: "ann".into(),
            text: "".into(),
        }))
    }

    /// `posted`: (cycle, minor at net), one posting each.
    fn lines(&self, posted: &[(i64, i64)]) -> Vec<Line> {
        let mut proof = Proof::default();
        self.events.iter().for_each(|event| proof.take_event(event));
        for (number, minor) in posted {
            let leg = Leg { address: Address::Net, currency: eur(), minor: *minor };
            proof.take_leg("visa", 0, number * 100 + 7, &leg);
        }
        proof.finish()
    }
}

fn broken(lines: &[Line]) -> Vec<String> {
    lines.iter().filter_map(Line::difference).collect()
}

/// Everything by which net moves between windows: a difference, one that is only expected, a cut-off
/// that no partition had, a line that paid too little and is rebooked, one that paid twice.
fn history() -> Desk {
    let mut desk = Desk::new();
    // Window 1: the network claims 30 more; 25 are not due yet.
    desk.part(1, 1_000).difference(1, Class::Extra, 30, 0).difference(1, Class::Expected, 0, 25);
    desk.report(1, 1_005).line("l-1", 1, 1_005);
    // Window 2 takes the 25 over; it is paid in two lines.
    desk.part(2, 500).report(2, 525).line("l-2", 2, 500).line("l-3", 2, 25);
    desk.rebook("line:l-2", 500).rebook("line:l-3", 25);
    // Paid once more: what is too much pays window 4, past a cut-off that nobody had.
    desk.line("l-4", 2, 525).rebook("line:l-4", 525);
    desk.difference(3, Class::Extra, 10, 0);
    desk.part(4, 2_000).report(4, 1_485).line("l-5", 4, 1_485);
    // Closed and not reported yet.
    desk.part(5, 70);
    desk
}

/// Goal: whatever happens to a window, once it is settled nothing of it is left at net. Method: a
/// history that the stage itself decided, with the postings of its items.
#[test]
fn settled_windows_leave_nothing() {
    let lines = history().lines(&[(1, 600), (1, 400), (2, 500), (4, 2_000), (5, 70), (9, 1)]);
    assert_eq!(broken(&lines), Vec::<String>::new());
    let found: Vec<(i64, &str, i64)> = lines
        .iter()
        .map(|line| (line.cycle.cutoff.0 / DAY_MS, line.state, line.left_minor))
        .collect();
    let settled = |number| (number, "settled", 0);
    let rest = [settled(4), (5, "closed", 70)];
    assert_eq!(found[..2], [settled(1), settled(2)]);
    assert_eq!(found[2], (3, "dissolved", 0));
    assert_eq!(found[3..], rest);
}

/// Goal: a proof that cannot fail proves nothing. Method: one posting missing, one too many, one
/// payment of a cent more, one window that took over too little.
#[test]
fn what_is_wrong_is_found() {
    let good = [(1, 1_000), (2, 500), (4, 2_000), (5, 70)];
    let desk = history();
    assert_eq!(broken(&desk.lines(&good)), Vec::<String>::new());
    let told = broken(&desk.lines(&good[1..]));
    assert!(told[0].ends_with("is settled and leaves -1000 minor units"), "{told:?}");
    let told = broken(&desk.lines(&[&good[..], &[(5, 1)]].concat()));
    assert!(told[0].ends_with("70 minor units of items; its postings come to 71"), "{told:?}");
    for change in ["paid", "carried", "lost"] {
        let mut desk = history();
        for event in &mut desk.events {
            match (&mut event.body, change) {
                (WindowBody::Settled(settled), "paid") if &*settled.line_id == "l-5" => {
                    settled.legs[0].minor -= 1;
                }
                (WindowBody::Closed(closed), "carried") if closed.carried_minor != 0 => {
                    closed.carried_minor -= 1;
                }
                (WindowBody::Carried(carried), "lost") => carried.minor += 1,
                _ => {}
            }
        }
        let told = broken(&desk.lines(&good));
        let is_told = told.iter().any(|it| it.ends_with("is settled and leaves -1 minor units"));
        assert!(is_told, "{change}: {told:?}");
    }
    // A window that took over less than it should have, and says of its items so much more.
    let mut desk = history();
    for event in &mut desk.events {
        if let WindowBody::Carried(carried) = &mut event.body {
            carried.minor += 1;
        }
    }
    let told = broken(&desk.lines(&[(1, 1_001), good[1], good[2], good[3]]));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].ends_with("took over 25 minor units; earlier windows left 26"), "{told:?}");
}
