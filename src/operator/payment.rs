//! `tapline payment show`: one payment with the history of its messages.
//!
//! Owns where a payment is looked for: with `--account` one head and, if it left the head, one side
//! row; without it every bucket of every partition. A payment that was matched under another id is
//! followed to the one that took it.

use super::{
    account::{masked, word},
    acting,
    amounts::money,
    cli::Common,
    connect::block_on,
    moments::utc,
    print,
    rows::{self, Place, Rows},
};
use crate::codec::json::Show;
use crate::console::progress::Progress;
use crate::domain::{
    account::Item,
    mark::Mark,
    money::Currency,
    payment::{Counters, ItemId, Payment},
};
use crate::worker::EXIT_DONE;
use clap::Subcommand;
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub enum PaymentCommand {
    /// Counters, status, flags and messages of one payment
    #[command(after_help = "Examples:\n  \
        tapline payment show pay-000017 --account acc-000001   two reads at most\n  \
        tapline payment show pay-000017                        reads every bucket; for a large \
        installation this takes minutes")]
    Show {
        /// Life-cycle id of the payment
        id: String,
        /// The account that it belongs to
        #[arg(long, value_name = "ID")]
        account: Option<String>,
        /// Show sensitive fields too; leaves an audit line on standard error
        #[arg(long)]
        unmask: bool,
    },
}

pub fn run(common: &Common, command: PaymentCommand) -> i32 {
    let PaymentCommand::Show { id, account, unmask } = command;
    let shown = || -> Result<(), i32> {
        let config = common.load()?;
        if let Some(account) = &account {
            rows::check_account(account)?;
        }
        let show = match unmask {
            true => {
                acting::note("unmask", &format!("payment show {id}"));
                Show::Everything
            }
            false => Show::Masked,
        };
        let views = block_on(async {
            let rows = Rows::open(&config).await?;
            let item = ItemId::payment(&id.as_str().into());
            let accounts = match &account {
                Some(account) => vec![account.clone()],
                None => search(&rows, &item, common.no_progress).await?,
            };
            let mut views = Vec::new();
            for account in &accounts {
                views.extend(look_up(&rows, account, &item, show).await?);
            }
            Ok::<_, i32>(views)
        })??;
        if views.is_empty() {
            let place = match &account {
                Some(account) => format!("account {account} has no payment {id}"),
                None => format!("no account has a payment {id}"),
            };
            return Err(rows::not_found(&format!(
                "{place}, neither in its row nor beside it; `tapline lag` says what still waits"
            )));
        }
        for view in &views {
            print::document(common.output, view, || view.shown());
        }
        Ok(())
    };
    shown().err().unwrap_or(EXIT_DONE)
}

/// Accounts that have the payment: by their heads, or else by their side rows.
async fn search(rows: &Rows, item: &ItemId, no_progress: bool) -> Result<Vec<String>, i32> {
    let buckets = rows.bucket_count();
    let mut heads = Progress::start("heads", buckets, no_progress);
    let found = rows.accounts_with(item.as_str(), &mut heads).await?;
    heads.finish();
    if !found.is_empty() {
        return Ok(found);
    }
    let mut sides = Progress::start("closed", buckets, no_progress);
    let found = rows.accounts_beside(item.as_str(), &mut sides).await;
    sides.finish();
    found
}

async fn look_up(
    rows: &Rows,
    account: &str,
    item: &ItemId,
    show: Show,
) -> Result<Option<PaymentView>, i32> {
    let Some(head) = rows.head(account).await? else { return Ok(None) };
    let currency = head.row.state.standing.currency;
    let place = rows.place(account);
    let mut id = item.clone();
    let mut asked_as = None;
    // The named one, and at most one alias before it.
    for _ in 0..2 {
        let in_head = head.row.state.items.get(&id).cloned();
        let (found, found_in, pos) = match in_head {
            Some(found) => (found, "head", head.row.pos),
            None => match rows.side(account, id.as_str()).await? {
                Some(side) => (side.item, "side row", side.pos),
                None => return Ok(None),
            },
        };
        match found {
            Item::Payment(payment) => {
                let view = PaymentView::of(
                    account,
                    id.as_str(),
                    &payment,
                    currency,
                    place,
                    pos,
                    found_in,
                    show,
                );
                return Ok(Some(PaymentView { asked_as, ..view }));
            }
            Item::Alias(alias) => {
                asked_as = id.payment_id().map(|it| it.to_string());
                id = ItemId::payment(&alias.payment_id);
            }
            Item::Booking(_) => return Ok(None),
        }
    }
    Ok(None)
}

#[derive(Clone, Debug, Serialize)]
pub struct PaymentView {
    pub payment_id: String,
    /// The id that was asked for, where a message named that one and was matched to this payment.
    pub asked_as: Option<String>,
    pub account_id: String,
    pub status: String,
    pub flags: Vec<String>,
    pub currency: Option<Currency>,
    pub hold_minor: i64,
    pub cleared_minor: i64,
    pub counters: Counters,
    pub declined: Option<String>,
    pub opened_at: String,
    #[serde(skip)]
    pub opened_ms: i64,
    pub deadline: Option<String>,
    #[serde(skip)]
    pub deadline_ms: Option<i64>,
    pub merchant_name: String,
    pub merchant_category: Option<i32>,
    pub channel: String,
    pub network: String,
    pub hold_class: String,
    pub card_token: String,
    pub authorisation_code: String,
    pub messages: Vec<Message>,
    /// `head` or `side row`.
    pub found_in: String,
    pub position: i64,
    pub partition: i32,
    pub bucket: u32,
}

/// One message of the payment and what it was answered.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    message_id: String,
    sent_at: String,
    accepted_minor: i64,
    /// Absent: accepted.
    reason: Option<String>,
}

impl Message {
    fn of(mark: &Mark) -> Self {
        Self {
            message_id: mark.message_id.to_string(),
            sent_at: utc(mark.sent_at.0),
            accepted_minor: mark.answer.accepted_minor,
            reason: mark.answer.reason.map(|reason| reason.name().to_owned()),
        }
    }
}

impl PaymentView {
    #[expect(clippy::too_many_arguments, reason = "a view joins what several reads know")]
    pub fn of(
        account: &str,
        item: &str,
        payment: &Payment,
        currency: Option<Currency>,
        place: Place,
        position: i64,
        found_in: &str,
        show: Show,
    ) -> Self {
        Self {
            payment_id: item.strip_prefix("p:").unwrap_or(item).to_owned(),
            asked_as: None,
            account_id: account.to_owned(),
            status: word(&payment.status()),
            flags: payment.all_flags().iter().map(word).collect(),
            currency,
            hold_minor: payment.counters.hold_minor(),
            cleared_minor: payment.counters.cleared_minor(),
            counters: payment.counters,
            declined: payment.declined.map(|reason| reason.name().to_owned()),
            opened_at: utc(payment.opened_at.0),
            opened_ms: payment.opened_at.0,
            deadline: payment.deadline.map(|at| utc(at.0)),
            deadline_ms: payment.deadline.map(|at| at.0),
            merchant_name: payment.merchant_name.to_string(),
            merchant_category: payment.merchant_category,
            channel: word(&payment.channel),
            network: payment.network.to_string(),
            hold_class: word(&payment.hold_class),
            card_token: masked(payment.card_token.as_str(), show),
            authorisation_code: payment.authorisation_code.to_string(),
            messages: payment.marks.iter().map(Message::of).collect(),
            found_in: found_in.to_owned(),
            position,
            partition: place.partition,
            bucket: place.bucket,
        }
    }

    /// What the payment is about in one figure: what was cleared, else held, else approved.
    pub fn amount_minor(&self) -> i64 {
        let refund_only = -self.counters.refunded_minor;
        [self.cleared_minor, self.hold_minor, self.counters.approved_minor, refund_only]
            .into_iter()
            .find(|minor| *minor != 0)
            .unwrap_or(0)
    }

    fn money(&self, minor: i64) -> String {
        self.currency.map_or(minor.to_string(), |currency| money(minor, currency))
    }

    pub fn shown(&self) -> String {
        let asked = self.asked_as.as_ref().map_or(String::new(), |id| format!(" (asked as {id})"));
        let mut text = format!(
            "payment {}{asked}  {}  account {}\nfound in the {} at log position {}, partition {}, \
             bucket {}\n\n",
            self.payment_id,
            self.status,
            self.account_id,
            self.found_in,
            self.position,
            self.partition,
            self.bucket
        );
        let optional = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
        let category = self.merchant_category.map_or("-".to_owned(), |it| it.to_string());
        for (name, value) in [
            ("flags", if self.flags.is_empty() { "-".to_owned() } else { self.flags.join(", ") }),
            ("declined", optional(&self.declined)),
            ("opened", self.opened_at.clone()),
            ("hold ends", optional(&self.deadline)),
            ("merchant", format!("{} (category {category})", self.merchant_name)),
            ("network", format!("{}, {}, {}", self.network, self.channel, self.hold_class)),
            ("card", self.card_token.clone()),
            ("our code", self.authorisation_code.clone()),
        ] {
            text += &format!("{name:16}{value}\n");
        }
        let counters = &self.counters;
        text += "\n";
        for (name, minor) in [
            ("approved", counters.approved_minor),
            ("reversed", counters.reversed_minor),
            ("released", counters.released_minor),
            ("taken", counters.taken_minor),
            ("over", counters.over_minor),
            ("presented back", counters.presentment_reversed_minor),
            ("refunded", counters.refunded_minor),
            ("= hold", self.hold_minor),
            ("= cleared", self.cleared_minor),
        ] {
            text += &format!("{name:16}{:>24}\n", self.money(minor));
        }
        text += "\nmessages\n";
        text += &print::table(
            &self.messages,
            &[
                print::text("sent", &|it: &Message| it.sent_at.clone()),
                print::text("message", &|it: &Message| it.message_id.clone()),
                print::number("accepted", &|it: &Message| self.money(it.accepted_minor)),
                print::text("answer", &|it: &Message| {
                    it.reason.clone().unwrap_or("accepted".to_owned())
                }),
            ],
        );
        text
    }
}
