//! A bank's files: accounts, holders, cards, and every booked transaction of some years.
//!
//! Owns what a row becomes. Every row is already booked, so it is sent as an advice; `bank` and
//! `account` are text, not a transfer between our accounts. The order within an account-day is the
//! bank's own (`day_order`), not the file's. Rules: docs/payments.md, "Real data".

use super::{
    bank_days::{Days, Line},
    dated::{Order, Planned, Play, Rank},
    day_order::Booked,
    files,
    oracle::BankOracle,
    table::{Encoding, FileError, Form, Row, Table},
};
use crate::domain::{
    account::{CardStatus, HolderRole},
    command::{
        Advise, ChangeCard, ChangeHolder, Channel, Command, Credit, CreditKind, Debit, DebitKind,
        HoldClass, OpenAccount, Purchase,
    },
    ids::{AccountId, CardToken},
    money::Currency,
    time::LogTime,
};
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

pub const ACCOUNTS: &str = "account.asc";
const HOLDERS: &str = "disp.asc";
const CARDS: &str = "card.asc";
const ROWS: &str = "trans";
const DAY: &str = "%y%m%d";

const fn form(layouts: &'static [&'static [&'static str]]) -> Form {
    Form { delimiter: b';', encoding: Encoding::Latin1, layouts }
}

const ACCOUNT_FORM: Form = form(&[&["account_id", "district_id", "frequency", "date"]]);
const HOLDER_FORM: Form = form(&[&["disp_id", "client_id", "account_id", "type"]]);
const CARD_FORM: Form = form(&[&["card_id", "disp_id", "type", "issued"]]);
#[rustfmt::skip]
const ROW_FORM: Form = form(&[&[
    "trans_id", "account_id", "date", "type", "operation", "amount", "balance", "k_symbol", "bank",
    "account",
]]);

#[derive(Debug)]
struct Holder {
    holder_id: String,
    client_id: String,
    role: HolderRole,
}

#[derive(Debug)]
struct Card {
    card_id: String,
    client_id: String,
    issued: LogTime,
}

/// Everything read about one account.
#[derive(Debug)]
pub(super) struct Account {
    pub id: AccountId,
    pub opened: LogTime,
    holders: Vec<Holder>,
    cards: Vec<Card>,
    /// In the order of the files.
    pub lines: Vec<Line>,
}

/// What a row asks for; the amount stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Credit(CreditKind),
    Debit(DebitKind),
    /// T2, on the account's card.
    CardPayment,
}

/// The files of one folder, read and ordered.
pub struct Bank {
    currency: Currency,
    first: LogTime,
    last: LogTime,
    accounts: Vec<Account>,
    days: Days,
}

impl Bank {
    /// Reads account.asc, disp.asc, card.asc and every trans*.asc, by name.
    ///
    /// Errors: a file, line and field; also a row of an unknown account, and an id twice.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        // Checked by the tests of `amount`: a currency that ISO lists, with two decimals.
        let currency = Currency::parse("CZK").expect("three letters");
        let mut accounts = read_accounts(folder)?;
        let by_id: BTreeMap<AccountId, usize> =
            accounts.iter().enumerate().map(|(index, a)| (a.id.clone(), index)).collect();
        read_holders_and_cards(folder, &by_id, &mut accounts)?;
        let mut ids = HashSet::new();
        let mut place = 0;
        for path in files(folder, ROWS, ".asc")? {
            for row in Table::read(&path, ROW_FORM)?.rows() {
                let index = account_of(&row, 1, &by_id)?;
                let line = read_line(&row, place, currency)?;
                if !ids.insert(line.row_id.clone()) {
                    return Err(row.error(0, format_args!("{} a second time", line.row_id)));
                }
                accounts[index].lines.push(line);
                place += 1;
            }
        }
        let days_of_rows = || accounts.iter().flat_map(|a| a.lines.iter().map(|line| line.day));
        let (Some(first), Some(last)) = (days_of_rows().min(), days_of_rows().max()) else {
            return Err(FileError::of_file(folder, "no row of a transaction in any trans*.asc"));
        };
        let days = Days::ordered(&mut accounts, first);
        Ok(Self { currency, first, last, accounts, days })
    }

    pub fn days(&self) -> &Days {
        &self.days
    }

    pub fn play(&self) -> Play {
        let mut planned = Vec::new();
        let mut place = 0;
        for account in self.accounts.iter().filter(|account| account.opened <= self.last) {
            self.plan_account(account, &mut place, &mut planned);
        }
        for (account, line) in self.days.lines(&self.accounts) {
            // A row that moves nothing has no command: amounts of messages are above 0.
            if line.booked.amount_minor != 0 {
                let body = self.command(account, line);
                let order: Order = (Rank::Booking, place);
                let message_id = format!("bank-{}", line.row_id);
                planned.push(Planned::new(line.day, order, &account.id, message_id, body));
                place += 1;
            }
        }
        Play::spanning(planned, self.first, self.last)
    }

    pub fn oracle(&self) -> BankOracle {
        BankOracle::new(self.currency, &self.days)
    }

    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// What its cards' payments come to.
    pub fn cleared_minor(&self) -> i64 {
        let lines = self.accounts.iter().flat_map(|account| &account.lines);
        let cards = lines.filter(|line| line.kind == Kind::CardPayment);
        cards.map(|line| line.booked.amount_minor.abs()).sum()
    }

    /// Opening, holders, opening balance and cards of one account.
    fn plan_account(&self, account: &Account, place: &mut u64, planned: &mut Vec<Planned>) {
        let mut plan = |day, rank, message_id: String, body| {
            planned.push(Planned::new(day, (rank, *place), &account.id, message_id, body));
            *place += 1;
        };
        let day = account.opened.max(self.first);
        let number = account.id.as_str().trim_start_matches("bank-");
        let (currency, limits) = (self.currency, None);
        let open = OpenAccount { currency, overdraft_limit_minor: 0, limits };
        plan(day, Rank::Opening, format!("bank-open-{number}"), Command::OpenAccount(open));
        for holder in &account.holders {
            let change = ChangeHolder {
                customer_id: format!("bank-client-{}", holder.client_id).into(),
                role: holder.role,
                removed: false,
            };
            let message_id = format!("bank-holder-{}", holder.holder_id);
            plan(day, Rank::Holder, message_id, Command::ChangeHolder(change));
        }
        if let Some(body) = opening(self.days.opening_minor(&account.id), currency) {
            plan(day, Rank::Booking, format!("bank-opening-{number}"), body);
        }
        for card in account.cards.iter().filter(|card| card.issued <= self.last) {
            let change = ChangeCard {
                card_token: token(card),
                customer_id: format!("bank-client-{}", card.client_id).into(),
                status: CardStatus::Active,
                expires_at: None,
                last_four: "".into(),
                blocked_categories: Vec::new(),
                blocked_channels: Vec::new(),
                limits: None,
            };
            let message_id = format!("bank-card-{}", card.card_id);
            plan(card.issued.max(day), Rank::Card, message_id, Command::ChangeCard(change));
        }
    }

    fn command(&self, account: &Account, line: &Line) -> Command {
        let (amount_minor, currency) = (line.booked.amount_minor.abs(), self.currency);
        let text = line.text.clone();
        match line.kind {
            Kind::Credit(kind) => Command::Credit(Credit { amount_minor, currency, kind, text }),
            Kind::Debit(kind) => Command::Debit(Debit {
                amount_minor,
                currency,
                kind,
                advice: true,
                text,
                transfer_to: None,
            }),
            Kind::CardPayment => Command::Advise(Advise {
                payment_id: format!("bank-{}", line.row_id).into(),
                amount_minor,
                currency,
                purchase: Purchase {
                    card_token: account.cards.first().map_or_else(|| "tok_bank_none".into(), token),
                    merchant_name: text,
                    merchant_id: "".into(),
                    merchant_category: None,
                    country: "".into(),
                    channel: Channel::Atm,
                    network: "bank".into(),
                    original_minor: amount_minor,
                    original_currency: currency,
                },
                hold_class: HoldClass::Standard,
                approved: true,
                final_total: false,
                single_message: true,
            }),
        }
    }
}

/// From nostro: the balance that an account older than the data brings along.
fn opening(amount_minor: i64, currency: Currency) -> Option<Command> {
    let text = "opening balance".into();
    match amount_minor {
        0 => None,
        1.. => {
            let kind = CreditKind::Opening;
            Some(Command::Credit(Credit { amount_minor, currency, kind, text }))
        }
        _ => Some(Command::Debit(Debit {
            amount_minor: -amount_minor,
            currency,
            kind: DebitKind::Other,
            advice: true,
            text,
            transfer_to: None,
        })),
    }
}

fn token(card: &Card) -> CardToken {
    format!("tok_bank_{}", card.card_id).into()
}

fn account_id(text: &str) -> AccountId {
    format!("bank-{text}").into()
}

fn account_of(
    row: &Row,
    column: usize,
    by_id: &BTreeMap<AccountId, usize>,
) -> Result<usize, FileError> {
    let text = row.id(column)?;
    let index = by_id.get(&account_id(&text)).copied();
    index.ok_or_else(|| row.error(column, format_args!("'{text}' is not in {ACCOUNTS}")))
}

fn read_accounts(folder: &Path) -> Result<Vec<Account>, FileError> {
    let table = Table::read(&folder.join(ACCOUNTS), ACCOUNT_FORM)?;
    table
        .rows()
        .map(|row| {
            Ok(Account {
                id: account_id(&row.id(0)?),
                opened: row.day(3, DAY)?,
                holders: Vec::new(),
                cards: Vec::new(),
                lines: Vec::new(),
            })
        })
        .collect()
}

fn read_holders_and_cards(
    folder: &Path,
    by_id: &BTreeMap<AccountId, usize>,
    accounts: &mut [Account],
) -> Result<(), FileError> {
    let mut owners = BTreeMap::new();
    for row in Table::read(&folder.join(HOLDERS), HOLDER_FORM)?.rows() {
        let index = account_of(&row, 2, by_id)?;
        let role = match row.text(3)?.as_ref() {
            "OWNER" => HolderRole::Owner,
            "DISPONENT" => HolderRole::Disponent,
            other => return Err(row.error(3, format_args!("'{other}' is no known role"))),
        };
        let (holder_id, client_id) = (row.id(0)?.into_owned(), row.id(1)?.into_owned());
        owners.insert(holder_id.clone(), (index, client_id.clone()));
        accounts[index].holders.push(Holder { holder_id, client_id, role });
    }
    for row in Table::read(&folder.join(CARDS), CARD_FORM)?.rows() {
        let holder = row.id(1)?;
        let Some((index, client_id)) = owners.get(holder.as_ref()) else {
            return Err(row.error(1, format_args!("'{holder}' is not in {HOLDERS}")));
        };
        accounts[*index].cards.push(Card {
            card_id: row.id(0)?.into_owned(),
            client_id: client_id.clone(),
            // The time of day is always midnight.
            issued: row.day(3, "%y%m%d 00:00:00")?,
        });
    }
    Ok(())
}

fn read_line(row: &Row, place: u64, currency: Currency) -> Result<Line, FileError> {
    let (direction, operation, symbol) = (row.text(3)?, row.text(4)?, row.text(7)?);
    let fee = matches!(symbol.as_ref(), "SLUZBY" | "SANKC. UROK");
    let kind = match (direction.as_ref(), operation.as_ref()) {
        ("PRIJEM", "VKLAD") => Kind::Credit(CreditKind::CashIn),
        ("PRIJEM", "PREVOD Z UCTU") => Kind::Credit(CreditKind::TransferIn),
        ("PRIJEM", "") => Kind::Credit(CreditKind::Interest),
        ("VYDAJ" | "VYBER", "VYBER") if fee => Kind::Debit(DebitKind::Fee),
        ("VYDAJ" | "VYBER", "VYBER") => Kind::Debit(DebitKind::CashOut),
        // Household, insurance and loan payments recur by order; the rest are single transfers.
        ("VYDAJ" | "VYBER", "PREVOD NA UCET") if symbol.trim().is_empty() => {
            Kind::Debit(DebitKind::TransferOut)
        }
        ("VYDAJ" | "VYBER", "PREVOD NA UCET") => Kind::Debit(DebitKind::StandingOrder),
        ("VYDAJ" | "VYBER", "VYBER KARTOU") => Kind::CardPayment,
        ("PRIJEM" | "VYDAJ" | "VYBER", other) => {
            return Err(row.error(4, format_args!("'{other}' is no known operation")));
        }
        (other, _) => return Err(row.error(3, format_args!("'{other}' is no known type"))),
    };
    let amount_minor = row.amount_minor(5, currency)?;
    if amount_minor < 0 {
        return Err(row.error(5, "below 0: the type says the direction"));
    }
    let amount_minor = match kind {
        Kind::Credit(_) => amount_minor,
        Kind::Debit(_) | Kind::CardPayment => -amount_minor,
    };
    let (bank, account) = (row.text(8)?, row.text(9)?);
    let parts = [operation.as_ref(), &symbol, &bank, &account].map(str::trim);
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Ok(Line {
        row_id: row.id(0)?.into(),
        place,
        day: row.day(2, DAY)?,
        kind,
        booked: Booked { amount_minor, balance_minor: row.amount_minor(6, currency)? },
        text: parts.join(" ").into(),
    })
}
