//! A bank's account-days: its rows in booked order, and the balance at the end of each day.
//!
//! Owns what a bank's published balances say about each account-day. Never looks at what tapline
//! booked: `oracle` compares the two. A row whose balance is not the exact sum (rounding of the
//! publisher, at most 0.10) leaves a discrepancy that all later sums of the account carry on.

use super::{
    bank::{Account, Kind},
    day_order::{Booked, day_order},
};
use crate::domain::{ids::AccountId, time::LogTime};
use std::collections::BTreeMap;

/// One row of a trans file.
#[derive(Debug)]
pub(super) struct Line {
    pub row_id: Box<str>,
    /// Over all files, from 0.
    pub place: u64,
    pub day: LogTime,
    pub kind: Kind,
    pub booked: Booked,
    pub text: Box<str>,
}

/// One account on one day on which it has rows. Minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountDay {
    pub account: AccountId,
    pub day: LogTime,
    /// The bank's own closing balance; where no order was found, the listed balance nearest to
    /// the sum.
    pub bank_minor: i64,
    /// Exact sum less listed balance, over all rows of the account so far.
    pub discrepancy_minor: i64,
    /// An order was found, with one closing balance; otherwise the day is listed, not judged.
    pub judged: bool,
}

/// All account-days, and what stands out in them.
#[derive(Clone, Debug, Default)]
pub struct Days {
    /// By account in the order of account.asc, then by day.
    pub all: Vec<AccountDay>,
    /// Balances before the first row; 0 for accounts that are not older than the data.
    openings: BTreeMap<AccountId, i64>,
    /// Judged days whose order is not the files'.
    pub reordered: usize,
    /// Rows that are off, each by at most 0.10.
    pub rounded_rows: usize,
}

impl Days {
    /// Sorts every account's lines by day and booked order. `first`: the data's first day.
    pub(super) fn ordered(accounts: &mut [Account], first: LogTime) -> Self {
        let mut days = Self::default();
        for account in accounts.iter_mut().filter(|account| !account.lines.is_empty()) {
            account.lines.sort_by_key(|line| (line.day, line.place));
            days.add_account(account, first);
        }
        days
    }

    /// Absent accounts have no rows and start at 0.
    pub(super) fn opening_minor(&self, account: &AccountId) -> i64 {
        self.openings.get(account).copied().unwrap_or(0)
    }

    /// All lines: within a day and account in booked order, accounts by their first row of the day.
    pub(super) fn lines<'a>(&self, accounts: &'a [Account]) -> Vec<(&'a Account, &'a Line)> {
        let mut lines = Vec::new();
        for account in accounts {
            for day in account.lines.chunk_by(|a, b| a.day == b.day) {
                let place = day.iter().map(|line| line.place).min();
                lines.extend(day.iter().map(|line| ((line.day, place), account, line)));
            }
        }
        lines.sort_by_key(|(order, _, _)| *order); // stable: keeps the order within the day
        lines.into_iter().map(|(_, account, line)| (account, line)).collect()
    }

    fn add_account(&mut self, account: &mut Account, first: LogTime) {
        let older = account.opened < first;
        let mut balance_minor = (!older).then_some(0);
        let mut discrepancy_minor = 0;
        let Account { id, lines, .. } = account;
        for day in lines.chunk_by_mut(|a, b| a.day == b.day) {
            let rows: Vec<Booked> = day.iter().map(|line| line.booked).collect();
            let order = day_order(balance_minor, &rows);
            if let Some(order) = &order {
                self.reordered += usize::from(!order.is_sorted());
                arrange(day, order);
            }
            let rows: Vec<Booked> = day.iter().map(|line| line.booked).collect();
            let before_minor = match balance_minor {
                Some(before_minor) => before_minor,
                None => {
                    let opening_minor = rows[0].balance_minor - rows[0].amount_minor;
                    self.openings.insert(id.clone(), opening_minor);
                    opening_minor
                }
            };
            let sum_minor = before_minor + rows.iter().map(|row| row.amount_minor).sum::<i64>();
            let closing_minor = match &order {
                Some(_) => {
                    self.rounded_rows += rounded(before_minor, &rows);
                    rows[rows.len() - 1].balance_minor
                }
                None => nearest(sum_minor, &rows),
            };
            discrepancy_minor += sum_minor - closing_minor;
            balance_minor = Some(closing_minor);
            self.all.push(AccountDay {
                account: id.clone(),
                day: day[0].day,
                bank_minor: closing_minor,
                discrepancy_minor,
                judged: order.is_some(),
            });
        }
    }
}

/// Puts the lines into the given order, a permutation of their places.
fn arrange(lines: &mut [Line], order: &[usize]) {
    let mut rank = vec![0; order.len()];
    for (place, index) in order.iter().enumerate() {
        rank[*index] = place;
    }
    for index in 0..lines.len() {
        while rank[index] != index {
            let to = rank[index];
            lines.swap(index, to);
            rank.swap(index, to);
        }
    }
}

fn rounded(mut before_minor: i64, rows: &[Booked]) -> usize {
    let mut count = 0;
    for row in rows {
        count += usize::from(before_minor + row.amount_minor != row.balance_minor);
        before_minor = row.balance_minor;
    }
    count
}

fn nearest(sum_minor: i64, rows: &[Booked]) -> i64 {
    let listed = rows.iter().map(|row| row.balance_minor);
    listed.min_by_key(|balance_minor| (balance_minor - sum_minor).abs()).unwrap_or(sum_minor)
}
