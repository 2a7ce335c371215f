//! Money past a partition: the sums of what its heads stand for, by flow and currency.
//!
//! Owns the addition. A head's old share goes out and its new one comes in whenever it changes, so
//! nothing is ever scanned; a takeover adds what it loads. Invariant: the sums are those of the
//! heads in memory, hence a fold over the log, and never decide anything.

use crate::domain::money::Currency;
use crate::stages::{Flow, Stage};

/// Minor units of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    pub flow: Flow,
    pub currency: Currency,
    pub minor: i128,
}

/// In the order in which they first came up; a handful, so they are searched one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money(Vec<Sum>);

impl Money {
    pub fn sums(&self) -> &[Sum] {
        &self.0
    }

    /// A head as it is from now on.
    pub(super) fn put<S: Stage>(&mut self, key: &str, head: &S::Head) {
        S::money(key, head, &mut |flow, currency, minor| self.add(flow, currency, minor.into()));
    }

    /// A head as it was until now.
    pub(super) fn take<S: Stage>(&mut self, key: &str, head: &S::Head) {
        let take = |minor| -i128::from(minor);
        S::money(key, head, &mut |flow, currency, minor| self.add(flow, currency, take(minor)));
    }

    pub(super) fn add_all(&mut self, others: &Money) {
        others.0.iter().for_each(|sum| self.add(sum.flow, sum.currency, sum.minor));
    }

    fn add(&mut self, flow: Flow, currency: Currency, minor: i128) {
        match self.0.iter_mut().find(|sum| (sum.flow, sum.currency) == (flow, currency)) {
            Some(sum) => sum.minor += minor,
            None => self.0.push(Sum { flow, currency, minor }),
        }
    }
}
