//! What is summed up of an account: balances, payments with their seven counters, messages.
//!
//! Owns the sums and nothing else; `money` and `messages` compare them with what events say. All
//! amounts are minor units, wide enough that no forged amount can overflow a sum.

use super::avro::{self, Doc, Fields, long};
use std::collections::{BTreeSet, HashMap};

pub type Minor = i128;

/// Wire names, in the order of `Counters`.
pub const COUNTERS: [&str; 7] = [
    "approved_minor",
    "reversed_minor",
    "released_minor",
    "taken_minor",
    "over_minor",
    "presentment_reversed_minor",
    "refunded_minor",
];

/// A, V, E, M, O, K, F.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters(pub [Minor; 7]);

impl Counters {
    /// Of a record `counters`.
    pub fn read(fields: &Fields) -> Self {
        Self(COUNTERS.map(|name| long(fields, name).unwrap_or(0).into()))
    }

    pub fn hold(&self) -> Minor {
        self.0[0] - self.0[1] - self.0[2] - self.0[3]
    }

    pub fn presented(&self) -> Minor {
        self.0[3] + self.0[4]
    }

    pub fn cleared(&self) -> Minor {
        self.presented() - self.0[5]
    }

    /// F - C.
    pub fn booked(&self) -> Minor {
        self.0[6] - self.cleared()
    }

    pub fn plus(&self, growth: &Counters) -> Counters {
        let mut sum = *self;
        for (counter, by) in sum.0.iter_mut().zip(growth.0) {
            *counter += by;
        }
        sum
    }
}

/// By how much an event says that its payment's counters grew.
pub fn growth(event: &Doc) -> Counters {
    let fields: &[(&str, usize)] = match event.kind {
        "PaymentAuthorised" => &[
            ("approved_minor", 0),
            ("reversed_minor", 1),
            ("released_minor", 2),
            ("taken_minor", 3),
        ],
        "PaymentReversed" => &[("reversed_minor", 1)],
        "HoldExpired" => &[("released_minor", 2)],
        "PaymentPresented" => &[("taken_minor", 3), ("over_minor", 4), ("released_minor", 2)],
        "PresentmentReversed" => &[("presentment_reversed_minor", 5)],
        "PaymentRefunded" => &[("refunded_minor", 6)],
        _ => &[],
    };
    let mut growth = Counters::default();
    for (name, place) in fields {
        growth.0[*place] += Minor::from(long(event.body(), name).unwrap_or(0));
    }
    growth
}

/// Balances as an event or a row states them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    pub currency: String,
    pub booked: Minor,
    pub held: Minor,
    pub limit: Minor,
}

impl Balances {
    pub fn read(fields: &Fields) -> Self {
        let minor = |name| long(fields, name).unwrap_or(0).into();
        Self {
            currency: avro::text(fields, "currency").unwrap_or("").to_owned(),
            booked: minor("booked_minor"),
            held: minor("held_minor"),
            limit: minor("overdraft_limit_minor"),
        }
    }

    pub fn available(&self) -> Minor {
        self.booked - self.held + self.limit
    }
}

#[derive(Clone, Debug, Default)]
pub struct Payment {
    pub counters: Counters,
    pub deadline: Option<i64>,
    pub was_declined: bool,
    pub is_tombstone: bool,
}

/// The first answer to a message.
#[derive(Clone, Debug)]
pub struct First {
    pub content: [u8; 16],
    pub accepted: Minor,
    pub reason: Option<Box<str>>,
    /// Offset of the command that got it.
    pub offset: i64,
}

/// Sums over the account's life, as the row keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub given_back: Minor,
    pub credited: Minor,
    pub debited: Minor,
}

#[derive(Debug, Default)]
pub struct Account {
    /// Absent while unopened.
    pub currency: Option<String>,
    pub status: String,
    pub booked: Minor,
    pub held: Minor,
    pub limit: Minor,
    pub totals: Totals,
    /// As the latest event said.
    pub stated: Option<Balances>,
    pub payments: HashMap<Box<str>, Payment>,
    /// By payment id (empty where none) and message id.
    pub messages: HashMap<(Box<str>, Box<str>), First>,
    pub seq: i64,
    pub chain: [u8; 8],
    /// The latest record that waits behind a dead letter.
    pub diverted_through: Option<i64>,
    /// Latest output taken from each source partition.
    pub taken: HashMap<(i32, i32), (i64, String, i32)>,
    /// Position of the stored row.
    pub row_pos: Option<i64>,
    /// The first record after that position that changed the account.
    pub beyond_row: Option<i64>,
}

impl Account {
    /// The sums as balances; absent while the account is unopened.
    pub fn balances(&self) -> Option<Balances> {
        Some(Balances {
            currency: self.currency.clone()?,
            booked: self.booked,
            held: self.held,
            limit: self.limit,
        })
    }

    /// A record at this offset belongs to the account's history.
    pub fn touch(&mut self, offset: i64) {
        if self.beyond_row.is_none() && self.row_pos.is_none_or(|pos| offset > pos) {
            self.beyond_row = Some(offset);
        }
    }
}

/// Open holds of a partition by the time at which they end: (deadline, account, payment).
pub type Deadlines = BTreeSet<(i64, Box<str>, Box<str>)>;
