//! `tapline feed show`: a customer's accounts and a page of their feed, as the API gives them.
//!
//! Owns the table for people. Reads the feed's own table and nothing else; the JSON is the API's, so
//! that a script may ask either.

use super::{
    account::{masked, word},
    acting,
    amounts::money,
    cli::Common,
    connect::{self, block_on},
    logs,
    moments::utc,
    print::{self, say},
    records, rows,
};
use crate::adapters::cassandra::{
    failure::StoreError,
    feed_items::FeedItems,
    incarnations::{self, Incarnation},
};
use crate::api::shapes::{Account, Item};
use crate::codec::{
    json::Show,
    topics::{EVENTS, FEED_ITEMS},
};
use crate::config::Config;
use crate::domain::{
    feed::{FeedBody, FeedItem, FeedRecord, ItemStatus},
    feed_page::{AccountLine, Cursor, Page},
    ids::CustomerId,
};
use crate::runtime::failure::Class;
use crate::worker::{EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE};
use clap::Subcommand;
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub enum FeedCommand {
    /// Accounts and a page of the feed of one customer, newest line first
    #[command(after_help = "Examples:\n  tapline feed show cust-0001\n  \
                            tapline feed show cust-0001 --limit 100 --output json")]
    Show {
        /// Customer id
        customer: String,
        /// Lines to show, 1 to 1000
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
        /// Where the page before ended, as it said
        #[arg(long, value_name = "CURSOR")]
        before: Option<String>,
        /// Show sensitive fields too; leaves an audit line on standard error
        #[arg(long)]
        unmask: bool,
    },
}

pub fn run(common: &Common, command: FeedCommand) -> i32 {
    let FeedCommand::Show { customer, limit, before, unmask } = command;
    let shown = || -> Result<(), i32> {
        let config = common.load()?;
        check_customer(&customer)?;
        let before = before.as_deref().map(cursor).transpose()?;
        let show = match unmask {
            true => {
                acting::note("unmask", &format!("feed show {customer}"));
                Show::Everything
            }
            false => Show::Masked,
        };
        let id = CustomerId::from(customer.as_str());
        let limit = usize::from(limit);
        let (incarnation, accounts, page) = block_on(async {
            let (items, incarnation) = open(&config).await?;
            let accounts = items.accounts(&id).await.map_err(failed)?;
            let page = items.page(&id, before.as_ref(), limit, true).await.map_err(failed)?;
            Ok::<_, i32>((incarnation.number, accounts, page))
        })??;
        if accounts.is_empty() && page.lines.is_empty() {
            return Err(rows::not_found(&format!(
                "the feed has never heard of {customer}; if the account has just been opened, \
                 `tapline lag` says whether its events still wait"
            )));
        }
        let view = FeedView::of(&customer, accounts, page, incarnation, show);
        print::document(common.output, &view, || view.shown());
        Ok(())
    };
    shown().err().unwrap_or(EXIT_DONE)
}

fn check_customer(id: &str) -> Result<(), i32> {
    if id.is_empty() || id.len() > 64 || id.chars().any(char::is_control) {
        say("that can be no customer: ids have 1 to 64 bytes and no control characters");
        return Err(logs::EXIT_USAGE);
    }
    Ok(())
}

fn cursor(text: &str) -> Result<Cursor, i32> {
    text.parse().map_err(|_| {
        say("--before takes what a page ended with, as it is (`next_cursor` in JSON)");
        logs::EXIT_USAGE
    })
}

/// Errors: exit code 5 where Cassandra does not answer, 4 where there is no installation.
async fn open(config: &Config) -> Result<(FeedItems, Incarnation), i32> {
    let ids = records::registry_ids(config)?;
    let session = Arc::new(connect::cassandra(config).await?);
    let (keyspace, topic) = (&config.cassandra.keyspace, config.kafka.topic(EVENTS.0));
    let missing = |what: String| {
        say(&format!("{what}\nRun `tapline tables apply --execute` and `topics apply --execute`."));
        EXIT_REFUSED
    };
    let known = incarnations::of_topic(&session, keyspace, &topic).await;
    let incarnation = known
        .map_err(|error| missing(format!("keyspace {keyspace} cannot be read: {error}")))?
        .ok_or_else(|| missing(format!("topic {topic} is not registered in {keyspace}")))?;
    // What was registered counts, whatever this configuration says.
    let of_feed =
        incarnations::of_topic(&session, keyspace, &config.kafka.topic(FEED_ITEMS.0)).await;
    let of_feed = of_feed.ok().flatten().map(|it| it.buckets.unsigned_abs());
    let buckets = of_feed.unwrap_or(config.feed_buckets);
    let items = FeedItems::open(session, keyspace, &incarnation, buckets, ids).await;
    Ok((items.map_err(|error| missing(error.to_string()))?, incarnation))
}

fn failed(error: StoreError) -> i32 {
    say(&error.to_string());
    match error.class() {
        Class::Retryable => EXIT_UNREACHABLE,
        Class::Fatal => EXIT_FAILED,
    }
}

/// What is printed: the API's documents, and the records for the table.
#[derive(Debug, Serialize)]
pub struct FeedView {
    customer_id: String,
    accounts: Vec<Account>,
    items: Vec<Item>,
    /// Gives the next page as `--before`; absent on the last one.
    next_cursor: Option<String>,
    #[serde(skip)]
    lines: Vec<FeedRecord>,
    #[serde(skip)]
    holdings: Vec<AccountLine>,
    #[serde(skip)]
    incarnation: i32,
}

impl FeedView {
    pub fn of(
        customer: &str,
        holdings: Vec<AccountLine>,
        page: Page,
        incarnation: i32,
        show: Show,
    ) -> Self {
        let next_cursor = page.next.as_ref().map(ToString::to_string);
        let mut lines = page.lines;
        for record in &mut lines {
            if let FeedBody::Item(item) = &mut record.body {
                item.card_last_four = masked(&item.card_last_four, show).into();
            }
        }
        Self {
            customer_id: customer.to_owned(),
            accounts: holdings.iter().map(|line| Account::of(line, incarnation)).collect(),
            items: lines.iter().filter_map(|record| Item::of(record, incarnation)).collect(),
            next_cursor,
            lines,
            holdings,
            incarnation,
        }
    }

    pub fn shown(&self) -> String {
        let accounts = print::table(
            &self.holdings,
            &[
                print::text("account", &|it: &AccountLine| it.account_id.to_string()),
                print::text("as", &|it: &AccountLine| match it.removed {
                    true => format!("{}, left", word(&it.audience)),
                    false => word(&it.audience),
                }),
                print::number("booked", &|it: &AccountLine| balance(it, it.balance.booked_minor)),
                print::number("held", &|it: &AccountLine| balance(it, it.balance.held_minor)),
                print::number("available", &|it: &AccountLine| {
                    balance(it, it.balance.available_minor)
                }),
                print::text("position", &|it: &AccountLine| self.position(it.partition, it.offset)),
            ],
        );
        let items: Vec<(&FeedRecord, &FeedItem)> = self
            .lines
            .iter()
            .filter_map(|record| match &record.body {
                FeedBody::Item(item) => Some((record, item.as_ref())),
                FeedBody::Holding(_) | FeedBody::Birth(_) => None,
            })
            .collect();
        let lines = match items.is_empty() {
            true => "no lines".to_owned(),
            false => self.table(&items),
        };
        let next = match &self.next_cursor {
            Some(cursor) => format!("\nolder lines: --before {cursor}"),
            None => String::new(),
        };
        format!("customer {}\n\naccounts\n{accounts}\n\nfeed\n{lines}{next}", self.customer_id)
    }

    fn table(&self, items: &[(&FeedRecord, &FeedItem)]) -> String {
        type Line<'a> = (&'a FeedRecord, &'a FeedItem);
        print::table(
            items,
            &[
                print::text("time (UTC)", &|it: &Line| utc(it.1.created_at.0)),
                print::text("what", &|it: &Line| what(it.1)),
                print::number("amount", &|it: &Line| amount(it.1)),
                print::text("status", &|it: &Line| match it.1.reason {
                    Some(reason) => format!("{}: {}", word(&it.1.status), reason.name()),
                    None => word(&it.1.status),
                }),
                print::number("available after", &|it: &Line| {
                    money(it.1.balance.available_minor, it.1.balance.currency)
                }),
                print::text("account", &|it: &Line| it.0.account_id.to_string()),
                print::text("position", &|it: &Line| self.position(it.0.partition, it.0.offset)),
            ],
        )
    }

    fn position(&self, partition: i32, offset: i64) -> String {
        format!("{}:{partition}:{offset}", self.incarnation)
    }
}

/// Nothing of an account is shown to who left it.
fn balance(line: &AccountLine, minor: i64) -> String {
    match line.removed {
        true => "-".to_owned(),
        false => money(minor, line.balance.currency),
    }
}

fn amount(item: &FeedItem) -> String {
    let text = money(item.amount_minor, item.currency);
    let is_still = matches!(
        item.status,
        ItemStatus::Declined | ItemStatus::Reversed | ItemStatus::Expired | ItemStatus::Verified
    );
    match (is_still, item.kind.is_incoming()) {
        (true, _) => text,
        (false, true) => format!("+{text}"),
        (false, false) => format!("-{text}"),
    }
}

/// The merchant or text, on one line: control characters and direction marks of strangers would
/// act on the terminal.
fn what(item: &FeedItem) -> String {
    let kind = word(&item.kind).replace('_', " ");
    let text = match (&*item.merchant_name, &*item.text) {
        ("", "") => kind,
        ("", text) => format!("{text} ({kind})"),
        (merchant, _) if item.category_text.is_empty() => merchant.to_owned(),
        (merchant, _) => format!("{merchant} ({})", item.category_text),
    };
    let is_mark = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if is_mark(letter) { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
