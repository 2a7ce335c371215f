//! Oracles: what the publishers' own figures say about the events that came back.
//!
//! Owns the comparison of a bank's closing balances and a city's control totals with what was
//! booked. Consumes the events of `payments.events.v1` in the order they were read, without the
//! repeats that a worker may have published (by source position). Every expected figure is
//! computed from the files that were played. Rules: docs/payments.md, "Real data".

use super::{
    amount::decimal,
    bank_days::Days,
    city::{City, ControlTotal, Month},
    dated::day_text,
};
use crate::domain::{
    event::{AccountEvent, Event},
    ids::{AccountId, MessageId},
    money::Currency,
    time::LogTime,
};
use std::collections::{BTreeMap, HashMap};

/// One line of a verdict. Amounts are written with their decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleLine {
    pub name: String,
    pub expected: String,
    pub found: String,
    pub ok: bool,
}

impl OracleLine {
    pub fn equal<T: PartialEq + ToString>(name: &str, expected: T, found: T) -> Self {
        let ok = expected == found;
        let (expected, found) = (expected.to_string(), found.to_string());
        Self { name: name.to_owned(), expected, found, ok }
    }

    pub fn money(name: &str, expected_minor: i64, found_minor: i64, currency: Currency) -> Self {
        Self {
            name: format!("{name}, {currency}"),
            expected: decimal(expected_minor, currency),
            found: decimal(found_minor, currency),
            ok: expected_minor == found_minor,
        }
    }

    /// A fact about the data that nothing is compared with.
    pub(super) fn listed(name: &str, found: impl ToString) -> Self {
        let (expected, found) = ("listed".to_owned(), found.to_string());
        Self { name: name.to_owned(), expected, found, ok: true }
    }
}

/// Whoever judges a play. The verdict may be asked at any time; it is final once every answer to
/// what was sent has been observed.
pub trait Judge {
    fn observe(&mut self, event: &AccountEvent);
    /// Booked balance in the last event of every account seen: what the heads must say too.
    fn last_booked_minor(&self) -> BTreeMap<AccountId, i64>;
    fn verdict(&self) -> Vec<OracleLine>;
}

/// How many breaches of one kind are named; the rest are counted.
pub const NAMED_MAX: usize = 10;

/// Compares tapline's balance at the end of every account-day with the bank's.
pub struct BankOracle {
    currency: Currency,
    days: Days,
    /// By account and day: booked balance in the day's last event.
    booked: HashMap<AccountId, BTreeMap<i64, i64>>,
    refused: usize,
}

impl BankOracle {
    pub fn new(currency: Currency, days: &Days) -> Self {
        let accounts = days.all.iter().map(|day| (day.account.clone(), BTreeMap::new()));
        Self { currency, days: days.clone(), booked: accounts.collect(), refused: 0 }
    }

    /// At the end of a day without events, the balance is that of an earlier day.
    fn closing_minor(&self, account: &AccountId, day: LogTime) -> Option<i64> {
        let until_day = self.booked.get(account)?.range(..=day.day()).next_back();
        until_day.map(|(_, booked_minor)| *booked_minor)
    }
}

impl Judge for BankOracle {
    fn observe(&mut self, event: &AccountEvent) {
        let Some(days) = self.booked.get_mut(&event.account_id) else {
            return; // of another play
        };
        if let Some(balances) = event.balances {
            days.insert(event.log_time.day(), balances.booked_minor);
        }
        self.refused += usize::from(is_refusal(&event.body));
    }

    fn last_booked_minor(&self) -> BTreeMap<AccountId, i64> {
        let last = |days: &BTreeMap<i64, i64>| days.last_key_value().map(|(_, booked)| *booked);
        let accounts = self.booked.iter();
        accounts.filter_map(|(account, days)| Some((account.clone(), last(days)?))).collect()
    }

    fn verdict(&self) -> Vec<OracleLine> {
        let judged = || self.days.all.iter().filter(|day| day.judged);
        let (mut seen, mut differing) = (0, Vec::new());
        for day in judged() {
            let expected_minor = day.bank_minor + day.discrepancy_minor;
            let name = || format!("{} on {}", day.account, day_text(day.day));
            match self.closing_minor(&day.account, day.day) {
                Some(found_minor) => {
                    seen += 1;
                    differing.push((name(), expected_minor, found_minor));
                    if found_minor == expected_minor {
                        differing.pop();
                    }
                }
                None => differing.push((name(), expected_minor, 0)),
            }
        }
        let mut lines = vec![
            OracleLine::equal("account-days judged", judged().count(), seen),
            OracleLine::equal("account-days that differ from the bank", 0, differing.len()),
            OracleLine::equal("rows refused or in suspense", 0, self.refused),
            OracleLine::money(
                "all accounts booked",
                self.sum_minor(),
                self.found_minor(),
                self.currency,
            ),
            OracleLine::listed(
                "rows rounded by the bank, 0.10 each at most",
                self.days.rounded_rows,
            ),
        ];
        let carried = self.days.all.iter().map(|day| day.discrepancy_minor.abs()).max();
        let carried = decimal(carried.unwrap_or(0), self.currency);
        lines.push(OracleLine::listed("largest sum of these roundings on an account", carried));
        let unordered = || self.days.all.iter().filter(|day| !day.judged);
        let name = "account-days without an order of their rows, not judged";
        lines.push(OracleLine::listed(name, unordered().count()));
        for day in unordered().take(NAMED_MAX) {
            lines.push(OracleLine::listed(
                "not judged",
                format!("{} {}", day.account, day_text(day.day)),
            ));
        }
        for (name, expected_minor, found_minor) in differing.iter().take(NAMED_MAX) {
            lines.push(OracleLine::money(name, *expected_minor, *found_minor, self.currency));
        }
        lines
    }
}

impl BankOracle {
    /// Σ of the accounts' last closing balances; an account's days stand together, ascending.
    fn sum_minor(&self) -> i64 {
        let accounts = self.days.all.chunk_by(|a, b| a.account == b.account);
        accounts.filter_map(<[_]>::last).map(|day| day.bank_minor + day.discrepancy_minor).sum()
    }

    fn found_minor(&self) -> i64 {
        self.last_booked_minor().values().sum()
    }
}

/// Compares what every row booked with the publisher's control totals.
pub struct CityOracle {
    currency: Currency,
    /// What each message moved, by its id; `None` until its event has been observed.
    rows: HashMap<MessageId, Option<i64>>,
    /// Per month, in the order of its file: the message that stands for the row.
    months: Vec<(Box<str>, Vec<MessageId>)>,
    totals: Vec<ControlTotal>,
    /// By the rows: what the accounts owe in the end.
    owed_minor: i64,
    expected: CityFigures,
    found: CityFigures,
    /// Booked balance in each account's last event.
    booked: HashMap<AccountId, Option<i64>>,
    /// Answered again once for every further play of the folder.
    first_opening: MessageId,
    plays: usize,
    refused: usize,
    declined: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CityFigures {
    authorised: usize,
    booked_rows: usize,
    repeats: usize,
    conflicts: usize,
}

impl CityOracle {
    pub fn new(city: &City) -> Self {
        let mut expected = CityFigures::default();
        let mut firsts = HashMap::new();
        for (_, payment, _) in city.deliveries() {
            let first = *firsts.entry(payment.message_id()).or_insert(payment);
            if payment.amount_minor == 0 {
                expected.authorised += usize::from(std::ptr::eq(first, payment));
            } else if std::ptr::eq(first, payment) {
                expected.authorised += usize::from(payment.amount_minor > 0);
                expected.booked_rows += 1;
            } else if city.says_the_same(first, payment) {
                expected.repeats += 1;
            } else {
                expected.conflicts += 1;
            }
        }
        let owed_minor = firsts.values().map(|payment| payment.amount_minor).sum();
        let ids: Vec<MessageId> = city.payments.iter().map(|p| p.message_id()).collect();
        let rows = |m: &Month| ids[m.first..m.first + m.rows].to_vec();
        let accounts: BTreeMap<AccountId, _> =
            city.payments.iter().map(|p| (p.account.clone(), None)).collect();
        let first_opening =
            accounts.keys().next().map(|id| id.as_str().replacen("city-", "city-open-", 1));
        Self {
            currency: city.currency,
            rows: firsts.into_keys().map(|id| (id, None)).collect(),
            months: city.months.iter().map(|m| (m.name.clone(), rows(m))).collect(),
            totals: city.totals.clone(),
            owed_minor,
            expected,
            found: CityFigures::default(),
            booked: accounts.into_iter().collect(),
            first_opening: first_opening.unwrap_or_default().into(),
            plays: 1,
            refused: 0,
            declined: 0,
        }
    }

    /// A row moved this much; the customer owes it (positive) or got it (negative).
    fn book(&mut self, message: &MessageId, owed_minor: i64) {
        self.found.booked_rows += 1;
        if let Some(row) = self.rows.get_mut(message) {
            // A second booking of one row shows in its totals.
            *row = Some(row.unwrap_or(0) + owed_minor);
        }
    }

    /// The sum a control total stands for, as it was booked.
    fn total_minor(&self, sums: &HashMap<&str, Vec<i64>>, total: &ControlTotal) -> i64 {
        let sums = &sums[&*total.month];
        sums[total.last] - sums[total.first - 1]
    }

    /// Per month: the sum of the first n rows, for every n from 0.
    fn running_sums(&self) -> HashMap<&str, Vec<i64>> {
        let running = |ids: &Vec<MessageId>| {
            let mut sums = vec![0];
            for id in ids {
                let owed_minor = self.rows.get(id).copied().flatten().unwrap_or(0);
                sums.push(sums[sums.len() - 1] + owed_minor);
            }
            sums
        };
        self.months.iter().map(|(name, ids)| (&**name, running(ids))).collect()
    }

    fn total_lines(&self) -> Vec<OracleLine> {
        let sums = self.running_sums();
        let (mut lines, mut ties, mut named) = (Vec::new(), 0, Vec::new());
        let (mut grand_minor, mut found_grand_minor) = (0, 0);
        for total in &self.totals {
            let found_minor = self.total_minor(&sums, total);
            if total.is_grand() {
                grand_minor += total.total_minor;
                found_grand_minor += found_minor;
            }
            if found_minor == total.total_minor {
                ties += 1;
            } else if named.len() < NAMED_MAX {
                let (first, last) = (total.first, total.last);
                let name = format!("{} of {}, rows {first} to {last}", total.division, total.month);
                named.push(OracleLine::money(&name, total.total_minor, found_minor, self.currency));
            }
        }
        lines.push(OracleLine::equal("control totals that tie", self.totals.len(), ties));
        lines.push(OracleLine::money(
            "sum of the months",
            grand_minor,
            found_grand_minor,
            self.currency,
        ));
        lines.append(&mut named);
        lines
    }
}

impl Judge for CityOracle {
    fn observe(&mut self, event: &AccountEvent) {
        let Some(last) = self.booked.get_mut(&event.account_id) else {
            return; // of another play
        };
        if let Some(balances) = event.balances {
            *last = Some(balances.booked_minor);
        }
        let Some(message) = &event.message_id else {
            return; // an expiry moves nothing that is booked
        };
        let is_row = self.rows.contains_key(message);
        match &event.body {
            Event::PaymentAuthorised(_) => self.found.authorised += 1,
            Event::PaymentDeclined(_) => self.declined += 1,
            Event::PaymentPresented(presented) => self.book(message, presented.presented_minor),
            Event::PaymentRefunded(refunded) => self.book(message, -refunded.refunded_minor),
            Event::MessageRepeated(_) if is_row => self.found.repeats += 1,
            Event::MessageRepeated(_) if *message == self.first_opening => self.plays += 1,
            Event::MessageConflicted(_) if is_row => self.found.conflicts += 1,
            other => self.refused += usize::from(is_refusal(other)),
        }
    }

    fn last_booked_minor(&self) -> BTreeMap<AccountId, i64> {
        let accounts = self.booked.iter();
        accounts.filter_map(|(account, booked)| Some((account.clone(), (*booked)?))).collect()
    }

    fn verdict(&self) -> Vec<OracleLine> {
        let (expected, found) = (self.expected, self.found);
        // Every further play repeats all of the first, and its conflicts conflict again.
        let repeats = expected.repeats * self.plays + expected.booked_rows * (self.plays - 1);
        let mut lines = vec![
            OracleLine::equal("authorisations approved", expected.authorised, found.authorised),
            OracleLine::equal("authorisations declined", 0, self.declined),
            OracleLine::equal("rows booked", expected.booked_rows, found.booked_rows),
            OracleLine::equal("rows answered again", repeats, found.repeats),
            OracleLine::equal("rows in conflict", expected.conflicts * self.plays, found.conflicts),
            OracleLine::equal("rows refused or in suspense", 0, self.refused),
        ];
        if !self.totals.is_empty() {
            lines.append(&mut self.total_lines());
        }
        let booked_minor = self.last_booked_minor().values().sum();
        let name = "booked balance of all accounts";
        lines.push(OracleLine::money(name, -self.owed_minor, booked_minor, self.currency));
        lines
    }
}

/// What must not happen to commands that were all accepted by somebody else.
fn is_refusal(event: &Event) -> bool {
    matches!(
        event,
        Event::PaymentDeclined(_) | Event::CommandDeclined(_) | Event::MovedToSuspense(_)
    )
}
