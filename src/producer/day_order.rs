//! The order within an account-day: in which order a bank booked the rows it lists for one day.
//!
//! Owns the search. Rows of one day are not always listed as they were booked, but each carries
//! the balance after it; the booked order is the one in which every balance is the balance before
//! it plus or minus the amount. Published figures are rounded to six digits, so they may be off by
//! up to 0.10. Rule: docs/payments.md, "Real data".

/// How far a published balance may be from the exact sum: 0.10 in minor units.
pub const ROUNDING_MINOR: i64 = 10;

/// Tries before an account-day counts as without an order. A day of five rows needs at most 325;
/// only rows that fit each other in many ways come near it.
const TRIES_MAX: u32 = 100_000;

/// One row: what it moved (debits negative) and the bank's balance after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    pub amount_minor: i64,
    pub balance_minor: i64,
}

/// The first order by place in the list that fits, if all that fit end in the same balance.
///
/// Shape: a permutation of `0..rows.len()`, and `None` where none fits or the closing balance
/// differs between those that do. `opening_minor`: the balance before the day; absent where it is
/// unknown (an account older than the data), then any row may come first.
pub fn day_order(opening_minor: Option<i64>, rows: &[Booked]) -> Option<Vec<usize>> {
    let mut search = Search {
        rows,
        placed: Vec::with_capacity(rows.len()),
        left: vec![true; rows.len()],
        found: None,
        ambiguous: false,
        tries: 0,
    };
    search.place(opening_minor);
    search.found.filter(|_| !search.ambiguous && search.tries <= TRIES_MAX)
}

struct Search<'r> {
    rows: &'r [Booked],
    placed: Vec<usize>,
    left: Vec<bool>,
    found: Option<Vec<usize>>,
    ambiguous: bool,
    tries: u32,
}

impl Search<'_> {
    /// Places every row that fits after `balance_minor` and goes on behind it.
    fn place(&mut self, balance_minor: Option<i64>) {
        if self.placed.len() == self.rows.len() {
            return self.complete();
        }
        for (index, row) in self.rows.iter().enumerate() {
            if !self.left[index] {
                continue;
            }
            self.tries += 1;
            if self.ambiguous || self.tries > TRIES_MAX {
                return;
            }
            let off = balance_minor
                .map_or(0, |before| (before + row.amount_minor - row.balance_minor).abs());
            if off <= ROUNDING_MINOR {
                self.left[index] = false;
                self.placed.push(index);
                self.place(Some(row.balance_minor));
                self.placed.pop();
                self.left[index] = true;
            }
        }
    }

    fn complete(&mut self) {
        let closing = |order: &[usize]| order.last().map(|last| self.rows[*last].balance_minor);
        match &self.found {
            None => self.found = Some(self.placed.clone()),
            Some(first) => self.ambiguous |= closing(first) != closing(&self.placed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the order is found from the balances alone, within the rounding and not beyond it.
    /// Method: one line per case; rows as (amount, balance after).
    #[test]
    fn orders() {
        type Case = (&'static str, Option<i64>, &'static [(i64, i64)], Option<&'static [usize]>);
        let cases: [Case; 9] = [
            ("as listed", Some(0), &[(100, 100), (-40, 60)], Some(&[0, 1])),
            ("turned", Some(0), &[(-40, 60), (100, 100)], Some(&[1, 0])),
            ("rounded", Some(0), &[(100, 110), (-40, 60)], Some(&[0, 1])),
            ("off by one more", Some(0), &[(100, 111), (-40, 71)], None),
            ("two alike", Some(0), &[(50, 50), (50, 100), (-100, 0)], Some(&[0, 1, 2])),
            ("no row fits the opening", Some(500), &[(100, 100)], None),
            ("unknown opening", None, &[(-40, 60), (100, 100)], Some(&[1, 0])),
            ("two closings", None, &[(10, 10), (-10, 0)], None),
            ("nothing", Some(7), &[], Some(&[])),
        ];
        for (name, opening_minor, rows, then) in cases {
            let rows: Vec<_> = rows
                .iter()
                .map(|&(amount_minor, balance_minor)| Booked { amount_minor, balance_minor })
                .collect();
            assert_eq!(day_order(opening_minor, &rows).as_deref(), then, "{name}");
        }
    }
}
