//! `tapline account show`: one account as its row says, by one read.
//!
//! Owns the view: balances, holders and cards, open holds with their deadlines, the latest payments
//! and bookings, and the log position that all of it stands at. In JSON the whole row follows.

use super::{
    acting,
    amounts::money,
    cli::Common,
    connect::block_on,
    moments::utc,
    payment::PaymentView,
    print,
    rows::{self, Head, Place, Rows},
};
use crate::codec::{
    avro::RegistryIds,
    json::{self, MASK, Show},
};
use crate::domain::{
    account::{Booking, Item, Limits, Standing},
    money::Currency,
};
use crate::worker::EXIT_DONE;
use clap::Subcommand;
use serde::Serialize;
use serde_json::Value as Json;
use std::cmp::Reverse;

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Balances, holds, cards, latest payments and log position of one account
    #[command(after_help = "Examples:\n  tapline account show acc-000001\n  \
                            tapline account show acc-000001 --limit 100 --output json")]
    Show {
        /// Account id, the key of its records
        id: String,
        /// Payments and bookings to show, newest first
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Show sensitive fields too; leaves an audit line on standard error
        #[arg(long)]
        unmask: bool,
    },
}

pub fn run(common: &Common, command: AccountCommand) -> i32 {
    let AccountCommand::Show { id, limit, unmask } = command;
    let shown = || -> Result<(), i32> {
        let config = common.load()?;
        rows::check_account(&id)?;
        let show = match unmask {
            true => {
                acting::note("unmask", &format!("account show {id}"));
                Show::Everything
            }
            false => Show::Masked,
        };
        let view = block_on(async {
            let rows = Rows::open(&config).await?;
            let found = rows.head(&id).await?;
            let (place, ids) = (rows.place(&id), rows.ids());
            Ok::<_, i32>(found.map(|head| AccountView::of(&id, place, &head, ids, limit, show)))
        })??;
        let Some(view) = view else {
            return Err(rows::not_found(&format!(
                "no account {id} is stored; if its commands have just been written, `tapline lag` \
                 says whether they still wait"
            )));
        };
        print::document(common.output, &view, || view.shown());
        Ok(())
    };
    shown().err().unwrap_or(EXIT_DONE)
}

#[derive(Debug, Serialize)]
pub struct AccountView {
    account_id: String,
    partition: i32,
    bucket: u32,
    /// Offset of the last record that changed the row.
    position: i64,
    seq: i64,
    chain: String,
    diverted_through: Option<i64>,
    available_minor: i64,
    #[serde(flatten)]
    standing: Standing,
    limits: Option<Limits>,
    holders: Vec<HolderView>,
    cards: Vec<CardView>,
    holds: Vec<PaymentView>,
    latest: Vec<Entry>,
    /// Everything that the row holds, by its schema.
    row: Json,
}

#[derive(Debug, Serialize)]
struct HolderView {
    customer_id: String,
    role: String,
}

#[derive(Debug, Serialize)]
struct CardView {
    card_token: String,
    last_four: String,
    customer_id: String,
    status: String,
    expires_at: Option<String>,
    limits: Option<Limits>,
}

/// One payment or booking, for the list of the latest.
#[derive(Debug, Serialize)]
struct Entry {
    at: String,
    #[serde(skip)]
    at_ms: i64,
    kind: String,
    id: String,
    status: String,
    amount_minor: i64,
    what: String,
}

impl Entry {
    fn payment(view: &PaymentView) -> Self {
        Self {
            at: view.opened_at.clone(),
            at_ms: view.opened_ms,
            kind: "payment".to_owned(),
            id: view.payment_id.clone(),
            status: view.status.clone(),
            amount_minor: view.amount_minor(),
            what: view.merchant_name.clone(),
        }
    }

    fn booking(id: &str, booking: &Booking) -> Self {
        let reason = booking.mark.answer.reason;
        Self {
            at: utc(booking.booked_at.0),
            at_ms: booking.booked_at.0,
            kind: word(&booking.kind),
            id: id.strip_prefix("m:").unwrap_or(id).to_owned(),
            status: reason.map_or("booked".to_owned(), |it| format!("declined: {}", it.name())),
            amount_minor: booking.booked_minor,
            what: String::new(),
        }
    }
}

/// The wire name of an enum's value.
pub fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The text, or the mask where it must not be shown.
pub fn masked(text: &str, show: Show) -> String {
    match show {
        Show::Masked if !text.is_empty() => MASK.to_owned(),
        _ => text.to_owned(),
    }
}

impl AccountView {
    pub fn of(
        id: &str,
        place: Place,
        head: &Head,
        ids: &RegistryIds,
        limit: usize,
        show: Show,
    ) -> Self {
        let (row, account) = (&head.row, &head.row.state);
        let currency = account.standing.currency;
        let view = |item_id: &str, payment| {
            PaymentView::of(id, item_id, payment, currency, place, row.pos, "head", show)
        };
        let payments: Vec<PaymentView> =
            account.payments().map(|(item, payment)| view(item.as_str(), payment)).collect();
        let bookings = account.items.iter().filter_map(|(item, it)| match it {
            Item::Booking(booking) => Some(Entry::booking(item.as_str(), booking)),
            Item::Payment(_) | Item::Alias(_) => None,
        });
        let mut latest: Vec<Entry> = payments.iter().map(Entry::payment).chain(bookings).collect();
        latest.sort_by_key(|entry| Reverse(entry.at_ms));
        latest.truncate(limit);
        let mut holds: Vec<PaymentView> =
            payments.into_iter().filter(|payment| payment.hold_minor > 0).collect();
        holds.sort_by_key(|hold| hold.deadline_ms);
        Self {
            account_id: id.to_owned(),
            partition: place.partition,
            bucket: place.bucket,
            position: row.pos,
            seq: row.seq,
            chain: row.chain.to_string(),
            diverted_through: row.diverted_through,
            available_minor: account.standing.available_minor(),
            standing: account.standing,
            limits: account.limits.clone(),
            holders: account
                .holders
                .iter()
                .map(|holder| HolderView {
                    customer_id: masked(holder.customer_id.as_str(), show),
                    role: word(&holder.role),
                })
                .collect(),
            cards: account
                .cards
                .iter()
                .map(|card| CardView {
                    card_token: masked(card.card_token.as_str(), show),
                    last_four: masked(&card.last_four, show),
                    customer_id: masked(card.customer_id.as_str(), show),
                    status: word(&card.status),
                    expires_at: card.expires_at.map(|at| utc(at.0)),
                    limits: card.limits.clone(),
                })
                .collect(),
            holds,
            latest,
            row: json::decode(&head.bytes, ids, show).unwrap_or_default(),
        }
    }

    fn money(&self, minor: i64) -> String {
        match self.standing.currency {
            Some(currency) => money(minor, currency),
            None => minor.to_string(),
        }
    }

    pub fn shown(&self) -> String {
        let diverted = match self.diverted_through {
            Some(through) => format!(
                "\nDIVERTED: waits behind a dead letter, through offset {through} (`tapline \
                 dead-letters end-diversion {} --through {through}`)",
                self.account_id
            ),
            None => String::new(),
        };
        let mut text = format!(
            "account {}  {}  partition {}, bucket {}, log position {}, output {}{diverted}\n\n",
            self.account_id,
            word(&self.standing.status),
            self.partition,
            self.bucket,
            self.position,
            self.seq
        );
        for (name, minor) in [
            ("booked", self.standing.booked_minor),
            ("held", self.standing.held_minor),
            ("overdraft limit", self.standing.overdraft_limit_minor),
            ("available", self.available_minor),
        ] {
            text += &format!("{name:16}{:>24}\n", self.money(minor));
        }
        if let Some(limits) = &self.limits {
            text += &format!("limits: {}\n", limits_shown(limits, self.standing.currency));
        }
        text += &self.people();
        text += &section("open holds", &self.holds, |holds| {
            print::table(
                holds,
                &[
                    print::text("payment", &|it: &PaymentView| it.payment_id.clone()),
                    print::number("hold", &|it: &PaymentView| self.money(it.hold_minor)),
                    print::text("ends", &|it: &PaymentView| {
                        it.deadline.clone().unwrap_or("-".to_owned())
                    }),
                    print::text("status", &|it: &PaymentView| it.status.clone()),
                    print::text("merchant", &|it: &PaymentView| it.merchant_name.clone()),
                ],
            )
        });
        text += &section("latest payments and bookings", &self.latest, |latest| {
            print::table(
                latest,
                &[
                    print::text("at", &|it: &Entry| it.at.clone()),
                    print::text("kind", &|it: &Entry| it.kind.clone()),
                    print::text("id", &|it: &Entry| it.id.clone()),
                    print::number("amount", &|it: &Entry| self.money(it.amount_minor)),
                    print::text("status", &|it: &Entry| it.status.clone()),
                    print::text("what", &|it: &Entry| it.what.clone()),
                ],
            )
        });
        text.trim_end().to_owned()
    }

    fn people(&self) -> String {
        let holders = section("holders", &self.holders, |holders| {
            print::table(
                holders,
                &[
                    print::text("customer", &|it: &HolderView| it.customer_id.clone()),
                    print::text("role", &|it: &HolderView| it.role.clone()),
                ],
            )
        });
        let cards = section("cards", &self.cards, |cards| {
            let limits = |it: &CardView| match &it.limits {
                Some(limits) => limits_shown(limits, self.standing.currency),
                None => "-".to_owned(),
            };
            print::table(
                cards,
                &[
                    print::text("token", &|it: &CardView| it.card_token.clone()),
                    print::text("last four", &|it: &CardView| it.last_four.clone()),
                    print::text("status", &|it: &CardView| it.status.clone()),
                    print::text("expires", &|it: &CardView| {
                        it.expires_at.clone().unwrap_or("-".to_owned())
                    }),
                    print::text("limits", &limits),
                ],
            )
        });
        holders + &cards
    }
}

fn section<T>(title: &str, rows: &[T], table: impl FnOnce(&[T]) -> String) -> String {
    match rows {
        [] => format!("\nno {title}\n"),
        rows => format!("\n{title}\n{}\n", table(rows)),
    }
}

fn limits_shown(limits: &Limits, currency: Option<Currency>) -> String {
    let shown = |minor: i64| currency.map_or(minor.to_string(), |it| money(minor, it));
    let caps = [
        ("transaction", limits.transaction_minor),
        ("daily", limits.daily_minor),
        ("monthly", limits.monthly_minor),
        ("lifetime", limits.lifetime_minor),
    ];
    let mut parts: Vec<String> = caps
        .into_iter()
        .filter_map(|(name, cap)| Some(format!("{name} {}", shown(cap?))))
        .collect();
    if let (Some(count), Some(window_ms)) = (limits.velocity_count, limits.velocity_window_ms) {
        parts.push(format!("{count} in {}", super::moments::duration(window_ms)));
    }
    parts.join(", ")
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
