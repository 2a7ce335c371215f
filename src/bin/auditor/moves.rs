//! What an event moves, worked out from its own amounts by the table of postings, and what a set's
//! legs move, so that the two can be compared.
//!
//! Owns cust, held, the sum of the network's side, suspense and the bank's own side. How interchange
//! and scheme fees divide the network's side is the rules' affair: they balance among themselves.

use super::{
    accounts::Minor,
    avro::{self, Doc, Fields, long, text},
};
use std::collections::BTreeMap;

/// Credit positive, in the account's currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    pub cust: Minor,
    pub held: Minor,
    /// Net, interchange, scheme fees and suspense together.
    pub network: Minor,
    pub suspense: Minor,
    /// Nostro, interest expense and fee income together.
    pub own: Minor,
    pub currency: String,
    /// What the network's side is in the currency that it settles in, where the event says so.
    pub settled: Option<(String, Minor)>,
    /// An amount of the event is not 0, though its effects may cancel out.
    pub is_any: bool,
}

pub fn of(event: &Doc) -> Moves {
    let body = event.body();
    let minor = |name: &str| Minor::from(long(body, name).unwrap_or(0));
    let balances = avro::record(&event.fields, "balances");
    let currency = balances.and_then(|it| text(it, "currency")).or(text(body, "currency"));
    let mut moves = Moves { currency: currency.unwrap_or("").to_owned(), ..Moves::default() };
    let amounts: Vec<Minor> = match event.kind {
        "PaymentAuthorised" => {
            let (approved, taken) = (minor("approved_minor"), minor("taken_minor"));
            let back = minor("reversed_minor") + minor("released_minor");
            moves.cust = back - approved;
            moves.held = approved - back - taken;
            moves.network = taken;
            vec![approved, back, taken]
        }
        "PaymentReversed" | "HoldExpired" => {
            let back = minor("reversed_minor") + minor("released_minor");
            (moves.cust, moves.held) = (back, -back);
            vec![back]
        }
        "PaymentPresented" => {
            let (taken, over) = (minor("taken_minor"), minor("over_minor"));
            let released = minor("released_minor");
            moves.cust = released - over;
            moves.held = -taken - released;
            moves.network = taken + over;
            vec![taken, over, released]
        }
        "PresentmentReversed" => {
            let (back, excess) = (minor("presentment_reversed_minor"), minor("excess_minor"));
            (moves.cust, moves.network, moves.suspense) = (back, -back, excess);
            vec![back, excess]
        }
        "PaymentRefunded" => {
            let refunded = minor("refunded_minor");
            (moves.cust, moves.network) = (refunded, -refunded);
            vec![refunded]
        }
        "AccountCredited" => {
            (moves.cust, moves.own) = (minor("amount_minor"), -minor("amount_minor"));
            vec![moves.cust]
        }
        "AccountDebited" => {
            (moves.cust, moves.own) = (-minor("amount_minor"), minor("amount_minor"));
            vec![moves.own]
        }
        "MovedToSuspense" => {
            moves.suspense = -minor("owed_minor");
            moves.currency = text(body, "currency").unwrap_or("").to_owned();
            vec![moves.suspense]
        }
        _ => Vec::new(),
    };
    moves.is_any = amounts.iter().any(|amount| *amount != 0);
    moves.settled = avro::record(body, "settlement").and_then(|it| {
        let asked = Minor::from(long(it, "minor")?);
        Some((text(it, "currency")?.to_owned(), asked * moves.network.signum()))
    });
    moves
}

/// Sums of legs by address and currency.
#[derive(Default)]
pub struct Legs(pub BTreeMap<(String, String), Minor>);

impl Legs {
    /// The array `legs` of a record.
    pub fn read(fields: &Fields) -> Self {
        let mut legs = Self::default();
        for leg in records(fields, "legs") {
            let name = |name| text(leg, name).unwrap_or("").to_owned();
            *legs.0.entry((name("address"), name("currency"))).or_default() +=
                Minor::from(long(leg, "minor").unwrap_or(0));
        }
        legs
    }

    pub fn sum(&self, addresses: &[&str], currency: &str) -> Minor {
        let fits = |(at, of): &(String, String)| of == currency && addresses.contains(&&**at);
        self.0.iter().filter(|(place, _)| fits(place)).map(|(_, minor)| minor).sum()
    }

    /// I2: what does not sum to 0, by currency.
    pub fn unbalanced(&self) -> BTreeMap<&str, Minor> {
        let mut sums: BTreeMap<&str, Minor> = BTreeMap::new();
        for ((_, currency), minor) in &self.0 {
            *sums.entry(currency).or_default() += minor;
        }
        sums.retain(|_, minor| *minor != 0);
        sums
    }

    /// As an event of this currency would say it.
    pub fn moves(&self, said: &Moves) -> Moves {
        let sum = |addresses: &[&str]| self.sum(addresses, &said.currency);
        let mut moves = Moves {
            cust: sum(&["cust"]),
            held: sum(&["held"]),
            network: sum(NETWORK_SIDE),
            suspense: sum(&["suspense"]),
            own: sum(&["nostro", "interest_expense", "fee_income"]),
            ..said.clone()
        };
        let Some((other, _)) = said.settled.as_ref().filter(|it| it.0 != said.currency) else {
            return moves;
        };
        // A conversion: the account's side stands against the position, the position against the
        // network in its own currency.
        let position = sum(&["fx_position"]);
        if position != 0 {
            moves.network += position;
            moves.settled = Some((other.clone(), self.sum(NETWORK_SIDE, other)));
        }
        moves
    }
}

pub const NETWORK_SIDE: &[&str] = &["net", "interchange", "scheme_fees", "suspense"];

/// The records of an array.
pub fn records<'a>(fields: &'a Fields, name: &str) -> Vec<&'a Fields> {
    match avro::get(fields, name) {
        Some(apache_avro::types::Value::Array(values)) => {
            values.iter().filter_map(avro::as_record).collect()
        }
        _ => Vec::new(),
    }
}
