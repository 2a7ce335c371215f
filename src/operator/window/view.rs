//! `tapline window list` and `show`: windows as their rows say.
//!
//! Owns the two views. Amounts are what we owe the network; below zero: what it owes us.

use super::{Filter, Name, State, find};
use crate::config::Config;
use crate::domain::{
    cycle::Day,
    money::Currency,
    settlement::Direction,
    window::{ClassTally, Exception, PartRange},
};
use crate::operator::{
    account::word,
    amounts::{count, money},
    books::{Book, Books},
    cli::Common,
    connect::block_on,
    moments::utc,
    print::{self, say},
};
use crate::stages::settlement::windows::Window;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
struct Line {
    window: String,
    network: String,
    currency: Currency,
    business_date: String,
    number: i32,
    cutoff: String,
    state: String,
    items: i64,
    purchases_minor: i64,
    purchase_reversals_minor: i64,
    refunds_minor: i64,
    interchange_minor: i64,
    fees_minor: i64,
    suspense_minor: i64,
    /// What is to be paid for it, whether or not it was.
    net_minor: i64,
    outstanding_minor: i64,
}

impl Line {
    fn of(book: &Book, window: &Window) -> Self {
        let totals = window.totals;
        Self {
            window: book.name_of(window),
            network: book.network.to_string(),
            currency: book.currency,
            business_date: Day(window.cycle.business_date).to_string(),
            number: window.cycle.number,
            cutoff: utc(window.cycle.cutoff.0),
            state: word(&window.status),
            items: totals.items,
            purchases_minor: totals.purchases_minor,
            purchase_reversals_minor: totals.purchase_reversals_minor,
            refunds_minor: totals.refunds_minor,
            interchange_minor: totals.interchange_minor,
            fees_minor: totals.fees_minor,
            suspense_minor: totals.suspense_minor,
            net_minor: window.outstanding_minor().saturating_add(window.paid_minor),
            outstanding_minor: window.outstanding_minor(),
        }
    }
}

fn shown(line: &Line, minor: i64) -> String {
    money(minor, line.currency)
}

pub fn list(
    common: &Common,
    config: &Config,
    filter: &Filter,
    (state, with_items): (Option<State>, bool),
    limit: usize,
) -> Result<(), i32> {
    let books = block_on(async {
        let books = Books::open(config).await?;
        books.all(|network, currency| filter.takes(network, currency)).await
    })??;
    let mut lines = Vec::new();
    for book in &books {
        let fits = |window: &&Window| {
            let is_used = window.totals.items > 0 || window.outstanding_minor() != 0;
            state.is_none_or(|state| state.is(window.status)) && (is_used || !with_items)
        };
        let fitting: Vec<&Window> = book.windows.iter().filter(fits).collect();
        let newest = if limit == 0 { 0 } else { fitting.len().saturating_sub(limit) };
        lines.extend(fitting[newest..].iter().map(|window| Line::of(book, window)));
    }
    let columns = [
        print::text("window", &|it: &Line| it.window.clone()),
        print::text("business date", &|it: &Line| format!("{} #{}", it.business_date, it.number)),
        print::text("state", &|it: &Line| it.state.clone()),
        print::number("items", &|it: &Line| count(it.items)),
        print::number("purchases", &|it: &Line| shown(it, it.purchases_minor)),
        print::number("given back", &|it: &Line| {
            shown(it, it.purchase_reversals_minor.saturating_add(it.refunds_minor))
        }),
        print::number("interchange", &|it: &Line| shown(it, it.interchange_minor)),
        print::number("fees", &|it: &Line| shown(it, it.fees_minor)),
        print::number("net", &|it: &Line| shown(it, it.net_minor)),
        print::number("outstanding", &|it: &Line| shown(it, it.outstanding_minor)),
    ];
    print::rows(common.output, &lines, &columns);
    if lines.is_empty() {
        say("no such windows; each opens with the first cut-off after its first item");
    }
    Ok(())
}

#[derive(Clone, Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    line: Line,
    content: Option<String>,
    carried_minor: i64,
    differences_minor: i64,
    unexplained_minor: i64,
    paid_minor: i64,
    settled_by: String,
    report_id: Option<String>,
    reported_net_minor: Option<i64>,
    /// Present while it waits for the bank.
    pay_or_receive: Option<String>,
    parts: Vec<PartRange>,
    /// Partitions that have not sealed it yet.
    parts_missing: Vec<i32>,
    differences: Vec<ClassTally>,
    exceptions: Vec<Exception>,
}

impl Shown {
    fn of(book: &Book, window: &Window) -> Self {
        let cycle = Some(window.cycle.cutoff);
        let of_cycle =
            |it: &&Exception| it.is_open() && it.cycle.map(|cycle| cycle.cutoff) == cycle;
        let is_missing = |partition: &i32| {
            book.head.sealed(*partition).is_none_or(|sealed| sealed.cutoff < window.cycle.cutoff)
        };
        let is_instructed = State::Instructed.is(window.status);
        Self {
            line: Line::of(book, window),
            content: window.content.map(|content| content.to_string()),
            carried_minor: window.carried_minor,
            differences_minor: window.differences_minor,
            unexplained_minor: window.unexplained_minor,
            paid_minor: window.paid_minor,
            settled_by: window.settled_by.to_string(),
            report_id: window.report.as_ref().map(|report| report.report_id.to_string()),
            reported_net_minor: window.report.as_ref().map(|report| report.totals.net_minor()),
            pay_or_receive: is_instructed.then(|| word(&Direction::of(window.outstanding_minor()))),
            parts: window.parts.clone(),
            parts_missing: match State::Open.is(window.status) {
                true => (0..book.head.partitions).filter(is_missing).collect(),
                false => Vec::new(),
            },
            differences: window.tally.clone(),
            exceptions: book.exceptions.iter().filter(of_cycle).cloned().collect(),
        }
    }

    fn shown(&self) -> String {
        let line = &self.line;
        let shown = |minor: i64| money(minor, line.currency);
        let mut text = format!(
            "window {}  {}\nbusiness date {} #{}, cut-off {}\n\n",
            line.window, line.state, line.business_date, line.number, line.cutoff
        );
        for (name, minor) in [
            ("purchases", line.purchases_minor),
            ("reversals", -line.purchase_reversals_minor),
            ("refunds", -line.refunds_minor),
            ("interchange", -line.interchange_minor),
            ("scheme fees", line.fees_minor),
            ("in suspense", line.suspense_minor),
            ("from earlier", self.carried_minor),
            ("differences", self.differences_minor),
            ("unexplained", self.unexplained_minor),
            ("net", line.net_minor),
            ("paid", -self.paid_minor),
            ("outstanding", line.outstanding_minor),
        ] {
            text += &format!("{name:14}{:>24}\n", shown(minor));
        }
        let content = self.content.as_deref().unwrap_or("not closed yet");
        text += &format!("\nitems {}, content {content}\n", count(line.items));
        match (&self.report_id, self.reported_net_minor) {
            (Some(report), Some(net)) => {
                text += &format!("report {report}, which says {}\n", shown(net));
            }
            _ => text += "no report yet\n",
        }
        if let Some(direction) = &self.pay_or_receive {
            let minor = line.outstanding_minor.saturating_abs();
            text += &format!("{direction} {} as {}\n", shown(minor), line.window);
        }
        if !self.settled_by.is_empty() {
            text += &format!("settled by statement line {}\n", self.settled_by);
        }
        if !self.parts_missing.is_empty() {
            text += &format!("parts missing of partitions {:?}\n", self.parts_missing);
        }
        text += &self.tables();
        text.trim_end().to_owned()
    }

    fn tables(&self) -> String {
        let shown = |minor: i64| money(minor, self.line.currency);
        let mut text = String::new();
        let parts = [
            print::number("partition", &|it: &PartRange| it.partition.to_string()),
            print::number("from", &|it: &PartRange| count(it.from_offset)),
            print::number("to", &|it: &PartRange| count(it.to_offset)),
            print::number("items", &|it: &PartRange| count(it.items)),
            print::text("content", &|it: &PartRange| it.content.to_string()),
        ];
        text += &format!("\nparts of payments.events.v1\n{}\n", print::table(&self.parts, &parts));
        if !self.differences.is_empty() {
            let table = print::table(
                &self.differences,
                &[
                    print::text("class", &|it: &ClassTally| word(&it.class)),
                    print::number("lines", &|it: &ClassTally| count(it.count)),
                    print::number("claimed", &|it: &ClassTally| shown(it.claimed_minor)),
                ],
            );
            text += &format!("\ndifferences\n{table}\n");
        }
        if !self.exceptions.is_empty() {
            let table = print::table(
                &self.exceptions,
                &[
                    print::text("exception", &|it: &Exception| it.id.to_string()),
                    print::text("class", &|it: &Exception| word(&it.class)),
                    print::number("in suspense", &|it: &Exception| shown(it.suspense_minor)),
                    print::text("owner", &|it: &Exception| it.owner.to_string()),
                ],
            );
            text += &format!("\nopen exceptions\n{table}\n");
        }
        text
    }
}

pub fn show(common: &Common, config: &Config, name: &Name) -> Result<(), i32> {
    let (book, window) = find(config, name)?;
    let shown = Shown::of(&book, &window);
    print::document(common.output, &shown, || shown.shown());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::settlement::CycleTotals;
    use crate::operator::books::tests::window;
    use crate::stages::settlement::windows::{Sealed, Status, Windows};

    /// Goal: what is owed reads by its parts, and who is late is named. Method: an open window of
    /// three partitions, one of which has sealed it.
    #[test]
    fn an_open_window() {
        let mut window = window(86_400_000, Status::Open);
        window.totals = CycleTotals {
            items: 3,
            purchases_minor: 10_000,
            refunds_minor: 1_500,
            interchange_minor: 20,
            fees_minor: 5,
            ..CycleTotals::default()
        };
        let cutoff = window.cycle.cutoff;
        let head = Windows {
            partitions: 3,
            sealed: vec![Sealed { partition: 1, cutoff, to_offset: 9 }],
            ..Windows::default()
        };
        let currency = Currency::parse("CAD").expect("a code");
        let book = Book {
            network: "visa".into(),
            currency,
            head,
            windows: vec![window.clone()],
            exceptions: Vec::new(),
        };
        let shown = Shown::of(&book, &window);
        assert_eq!((shown.line.net_minor, shown.parts_missing.as_slice()), (8_485, &[0, 2][..]));
        let text = shown.shown();
        for part in ["window visa/CAD/86400000  open", "84.85 CAD", "-15.00 CAD", "no report yet"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
