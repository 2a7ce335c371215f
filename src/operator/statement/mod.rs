//! `tapline statement`: one account's month, from its postings.
//!
//! Owns the reading: the account's row first, then the log up to its end, so that the log holds all
//! that the row says. What is pending stands apart and is in no total (payments.md F5).

mod sheet;

use super::{
    account::{masked, word},
    acting,
    amounts::money,
    cli::Common,
    connect::{block_on, cassandra},
    moments::utc,
    outputs::{Outputs, records_of},
    print,
    rows::{self, Rows, not_found},
    stage_rows::StageRows,
};
use crate::adapters::cassandra::session::Session;
use crate::codec::{
    json::Show, partitioner::partition_of, schemas::Subject, snapshot::Row, topics::POSTINGS,
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::{ledger::PostingSet, payment::ItemId};
use crate::stages::settlement::posting::{Head, Posting};
use crate::worker::{EXIT_BAD, EXIT_DONE};
use clap::Args;
use serde::Serialize;
use sheet::{Line, Month, Pending, Sheet, Standing};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  tapline statement bank-1 --month 1993-05\n  \
    tapline statement acc-000001 --month 2026-11 --unmask --output json\n\n\
    The month is that of the log's clock, UTC. Booked lines come from ledger.postings.v1 (one \
    partition); opening + lines = closing is checked, every balance on the way, and the balance \
    that the account's row has. Pending payments stand apart, with the time at which their holds \
    end.\n\
    Exit code 1: something does not add up, or there is no such account.")]
pub struct StatementArgs {
    /// Account id, the key of its records
    pub account: String,
    #[arg(long, value_name = "YYYY-MM")]
    pub month: Month,
    /// Show merchants and texts too; leaves an audit line on standard error
    #[arg(long)]
    pub unmask: bool,
}

pub fn run(common: &Common, args: &StatementArgs) -> i32 {
    let stated = || -> Result<(), i32> {
        let config = common.load()?;
        rows::check_account(&args.account)?;
        let show = match args.unmask {
            true => {
                acting::note("unmask", &format!("statement {}", args.account));
                Show::Everything
            }
            false => Show::Masked,
        };
        let (head, deadlines) = block_on(async {
            let session = Arc::new(cassandra(&config).await?);
            let head = head(&session, &config, &args.account).await?;
            Ok::<_, i32>((head, deadlines(session, &config, &args.account).await?))
        })??;
        let mut sheet = Sheet::new(args.month, head);
        read(common, &config, &args.account, &mut sheet)?;
        if sheet.is_empty() {
            return Err(not_found(&format!(
                "no postings of {} in the log; `tapline lag` says whether some still wait",
                args.account
            )));
        }
        let statement = Statement::of(&args.account, sheet, &deadlines, show);
        print::document(common.output, &statement, || statement.shown());
        if statement.differences.is_empty() { Ok(()) } else { Err(EXIT_BAD) }
    };
    stated().err().unwrap_or(EXIT_DONE)
}

fn read(common: &Common, config: &Config, account: &str, sheet: &mut Sheet) -> Result<(), i32> {
    let outputs = Outputs::open(config)?;
    let partition = partition_of(account.as_bytes(), config.kafka.partitions.cast_signed());
    let spans = outputs.spans(POSTINGS, Some(partition))?;
    let mut progress = Progress::start("reading", records_of(&spans), common.no_progress);
    let is_own = |raw: &crate::codec::raw::RawRecord| raw.key_text() == Some(account);
    let from = (POSTINGS, Subject::Postings);
    outputs.read::<PostingSet>(from, &spans, &mut progress, is_own, |output| {
        let event = output.source.map(|id| id.source.offset);
        sheet.take(event, &output.value);
        Ok(())
    })?;
    progress.finish();
    Ok(())
}

/// What the posting stage's row says; `None` where nothing is stored yet.
async fn head(
    session: &Arc<Session>,
    config: &Config,
    account: &str,
) -> Result<Option<Standing>, i32> {
    let rows = StageRows::on::<Posting>(session.clone(), config).await?;
    let Some(bytes) = rows.head(account).await? else { return Ok(None) };
    let whose = format!("{account} in the ledger");
    let row = rows.decode::<Row<Head>>(Subject::PostingHead, &whose, &bytes)?;
    Ok(row.state.account.map(|ledger| Standing::of(row.pos, &ledger)))
}

/// When the account's open holds end, by payment.
async fn deadlines(
    session: Arc<Session>,
    config: &Config,
    account: &str,
) -> Result<BTreeMap<Box<str>, i64>, i32> {
    let rows = Rows::on(session, config).await?;
    let Some(head) = rows.head(account).await? else { return Ok(BTreeMap::new()) };
    let deadline = |(id, payment): (&ItemId, &crate::domain::payment::Payment)| {
        let deadline = payment.deadline.filter(|_| payment.counters.hold_minor() > 0)?;
        Some((Box::from(id.as_str()), deadline.0))
    };
    Ok(head.row.state.payments().filter_map(deadline).collect())
}

#[derive(Clone, Debug, Serialize)]
struct Statement {
    account_id: String,
    month: String,
    currency: Option<crate::domain::money::Currency>,
    opening_minor: i64,
    closing_minor: i64,
    /// Held at the end of the month, and in no total above.
    pending_minor: i64,
    lines: Vec<Line>,
    pending: Vec<PendingView>,
    /// The balance was compared with the account's row.
    compared_with_row: bool,
    differences: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct PendingView {
    #[serde(flatten)]
    pending: Pending,
    /// Absent where the hold has ended since.
    expected_release_at: Option<String>,
}

impl Statement {
    fn of(account: &str, sheet: Sheet, deadlines: &BTreeMap<Box<str>, i64>, show: Show) -> Self {
        let compared_with_row = sheet.has_head();
        let closed = sheet.close();
        let view = |pending: Pending| {
            let item = ItemId::payment(&pending.payment_id.as_str().into());
            let ends_ms = deadlines.get(item.as_str()).copied();
            let text = masked(&pending.text, show);
            PendingView {
                pending: Pending { text, ..pending },
                expected_release_at: ends_ms.map(utc),
            }
        };
        Self {
            account_id: account.to_owned(),
            month: closed.month.to_string(),
            currency: closed.currency,
            opening_minor: closed.opening_minor,
            closing_minor: closed.closing_minor,
            pending_minor: closed.pending_minor,
            lines: closed
                .lines
                .into_iter()
                .map(|line| Line { text: masked(&line.text, show), ..line })
                .collect(),
            pending: closed.pending.into_iter().map(view).collect(),
            compared_with_row,
            differences: closed.differences,
        }
    }

    fn money(&self, minor: i64) -> String {
        self.currency.map_or(minor.to_string(), |currency| money(minor, currency))
    }

    fn shown(&self) -> String {
        let lines = print::table(
            &self.lines,
            &[
                print::text("booked at", &|it: &Line| utc(it.at_ms)),
                print::text("what", &|it: &Line| word(&it.kind)),
                print::text("id", &|it: &Line| it.id.clone()),
                print::text("text", &|it: &Line| it.text.clone()),
                print::number("amount", &|it: &Line| self.money(it.amount_minor)),
                print::number("balance", &|it: &Line| self.money(it.balance_minor)),
            ],
        );
        let (opening, closing) = (self.money(self.opening_minor), self.money(self.closing_minor));
        let mut text = format!(
            "account {}, {}\n\nopening {opening:>24}\n{lines}\nclosing {closing:>24}\n",
            self.account_id, self.month
        );
        if !self.pending.is_empty() {
            let pending = print::table(
                &self.pending,
                &[
                    print::text("payment", &|it: &PendingView| it.pending.payment_id.clone()),
                    print::text("text", &|it: &PendingView| it.pending.text.clone()),
                    print::number("held", &|it: &PendingView| self.money(it.pending.held_minor)),
                    print::text("expected release", &|it: &PendingView| {
                        it.expected_release_at.clone().unwrap_or("ended since".to_owned())
                    }),
                ],
            );
            text += &format!(
                "\npending at the end of the month, in no total above: {}\n{pending}\n",
                self.money(self.pending_minor)
            );
        }
        for difference in &self.differences {
            text += &format!("\nWRONG: {difference}");
        }
        if self.differences.is_empty() {
            text += match self.compared_with_row {
                true => "\nopening + lines = closing, and the account's row says the same",
                false => "\nopening + lines = closing; the account has no row yet",
            };
        }
        text
    }
}
