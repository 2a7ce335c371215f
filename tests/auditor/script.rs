//! The script of the good run: commands of every kind, related to each other, over half a year.
//!
//! Owns what is sent. First a few lives written out (an expiry, a late presentment, a transfer, a
//! foreign currency, an account behind a dead letter), then a mixed crowd drawn from one seed.

use super::good_run::{PARTITIONS, Run, World};
use tapline::{
    codec::{headers::HeaderList, partitioner::partition_of},
    domain::{
        account::{AccountStatus, CardStatus},
        command::*,
        money::Currency,
        time::{DAY_MS, LogTime},
    },
};

const START_MS: i64 = 20_454 * DAY_MS;
const ACCOUNTS: u64 = 7;

/// The good run.
pub fn good_run() -> Run {
    let mut script =
        Script { world: World::new(), messages: 0, seed: 0x7a91, epoch: 0, sent: Vec::new() };
    script.world.tick(LogTime(START_MS));
    script.openings();
    script.lives();
    script.departures();
    for round in 0..14 {
        for _ in 0..40 {
            script.crowd();
        }
        // Now and then so far that closed payments leave the head.
        let days = if round % 5 == 4 { 40 } else { 3 };
        script.epoch += u64::from(days == 40);
        let next = script.world.now().0 + days * DAY_MS;
        script.world.tick(LogTime(next));
    }
    script.bad_records();
    let end = LogTime(script.world.now().0 + DAY_MS);
    script.world.tick(end);
    script.world.tick(end); // stale
    script.world.run.journal.push(("never-1".into(), "never_sent", None));
    script.world.run
}

struct Script {
    world: World,
    messages: u32,
    seed: u64,
    /// Grows with every jump past the closing age: no authorisation reuses an older payment's id.
    epoch: u64,
    sent: Vec<AccountCommand>,
}

fn currency(code: &str) -> Currency {
    Currency::parse(code).expect("three letters")
}

impl Script {
    fn draw(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % below
    }

    fn send(&mut self, account: &str, body: Command) -> AccountCommand {
        self.messages += 1;
        let command = AccountCommand {
            account_id: account.into(),
            message_id: format!("message-{}", self.messages).into(),
            sent_at: self.world.now(),
            body,
        };
        self.world.send(&command);
        self.sent.push(command.clone());
        command
    }

    fn openings(&mut self) {
        for number in 0..ACCOUNTS {
            let account = format!("acc-{number}");
            let overdraft_limit_minor = (number as i64 % 3) * 1_000;
            let open =
                OpenAccount { currency: currency("EUR"), overdraft_limit_minor, limits: None };
            self.send(&account, Command::OpenAccount(open));
            self.send(&account, Command::ChangeCard(card(&account)));
            self.send(&account, credit(50_000, "EUR", "salary"));
            let holder = ChangeHolder {
                customer_id: format!("customer-{number}").into(),
                role: tapline::domain::account::HolderRole::Owner,
                removed: false,
            };
            self.send(&account, Command::ChangeHolder(holder));
        }
        for number in 0..3 {
            self.partner(number, false);
        }
    }

    /// A second holder of an account, who comes or goes.
    fn partner(&mut self, number: u64, removed: bool) {
        let holder = ChangeHolder {
            customer_id: format!("partner-{number}").into(),
            role: tapline::domain::account::HolderRole::Disponent,
            removed,
        };
        self.send(&format!("acc-{number}"), Command::ChangeHolder(holder));
    }

    /// A holder leaves, a card goes to somebody else.
    fn departures(&mut self) {
        self.partner(2, true);
        let passed_on = ChangeCard { customer_id: "partner-1".into(), ..card("acc-5") };
        self.send("acc-5", Command::ChangeCard(passed_on));
    }

    fn lives(&mut self) {
        // A decline and its repeat; the same id with another amount.
        let declined = self.send("acc-1", authorise("p-declined", 9_999_999, "acc-1"));
        self.world.send(&declined);
        let mut changed = declined.clone();
        changed.body = authorise("p-declined", 9_999_998, "acc-1");
        self.world.send(&changed);
        // Approved and repeated.
        let approved = self.send("acc-1", authorise("p-repeated", 700, "acc-1"));
        self.world.send(&approved);
        // An advice beyond what is available.
        self.send("acc-2", advise("p-advice", 80_000, "acc-2"));
        // Presented without authorisation, in another currency, on an unknown account.
        self.send("acc-1", present("p-forced", 120, "EUR", "acc-1"));
        self.send("acc-1", present("p-foreign", 120, "USD", "acc-1"));
        self.send("acc-unknown", credit(10, "EUR", "lost"));
        // Transfers, one across partitions at least.
        for to in ["acc-3", "acc-4", "acc-5"] {
            self.send("acc-0", debit(250, Some(to), false));
        }
        // A hold that ends by time and is presented late.
        self.send("acc-4", authorise("p-late", 300, "acc-4"));
        self.send("acc-4", authorise("p-expired", 400, "acc-4"));
        // A reversal before its original.
        self.send("acc-5", reverse("p-early", Some(100)));
        self.send("acc-5", reverse("p-lost", Some(100)));
        self.send("acc-5", authorise("p-early", 100, "acc-5"));
        self.world.tick(LogTime(START_MS + 8 * DAY_MS));
        self.send("acc-4", present("p-late", 300, "EUR", "acc-4"));
        // Increments, partial reversal, presentments back and forth.
        self.send("acc-3", authorise("p-long", 300, "acc-3"));
        self.send("acc-3", increment("p-long", 200, "acc-3"));
        self.send("acc-3", reverse("p-long", Some(100)));
        self.send("acc-3", present("p-long", 150, "EUR", "acc-3"));
        self.send("acc-3", present("p-long", 900, "EUR", "acc-3"));
        self.send("acc-3", unpresent("p-long", 900));
        self.send("acc-3", refund("p-long", 150, "acc-3"));
        self.send("acc-6", authorise("p-whole", 500, "acc-6"));
        self.send("acc-6", reverse("p-whole", None));
    }

    fn crowd(&mut self) {
        let account = format!("acc-{}", self.draw(ACCOUNTS));
        let amount = 1 + self.draw(400) as i64;
        let choice = self.draw(17);
        let epoch = if choice < 5 { self.epoch } else { self.draw(self.epoch + 1) };
        let payment = format!("p-{account}-{epoch}-{}", self.draw(12));
        let body = match choice {
            0..=4 => authorise(&payment, amount, &account),
            5 => advise(&payment, amount, &account),
            6 => increment(&payment, amount, &account),
            7 => reverse(&payment, Some(amount)),
            8 | 9 => present(&payment, amount, "EUR", &account),
            10 => unpresent(&payment, amount),
            11 => refund(&payment, amount, &account),
            12 => debit(amount * 40, None, amount % 5 == 0),
            13 => credit(amount, "EUR", "cash"),
            14 => Command::ChangeAccount(ChangeAccount {
                status: (amount % 2 == 0).then_some(AccountStatus::Open),
                overdraft_limit_minor: Some(amount * 10),
                limits: None,
            }),
            15 => Command::AuthoriseRefund(AuthoriseRefund {
                payment_id: payment.as_str().into(),
                amount_minor: amount,
                currency: currency("EUR"),
                purchase: purchase(&account),
            }),
            _ => {
                let place = self.draw(self.sent.len() as u64) as usize;
                let again = self.sent[place].clone();
                return self.world.send(&again);
            }
        };
        self.send(&account, body);
    }

    /// One account behind a dead letter, and out again.
    fn bad_records(&mut self) {
        let account = "acc-6";
        let partition = partition_of(account.as_bytes(), PARTITIONS);
        self.world.append(partition, account, b"rubbish".to_vec(), HeaderList::new());
        let mut broken = self.world.bytes(&self.sent[0]);
        broken.truncate(20);
        self.world.append(partition, account, broken, HeaderList::new());
        self.send(account, authorise("p-waits", 10, account));
        self.send(account, credit(77, "EUR", "waits too"));
        self.send("acc-5", credit(78, "EUR", "another account goes on"));
        let through_offset = self.world.run.commands.len() as i64;
        let end = AccountCommand {
            account_id: account.into(),
            message_id: "operator-1".into(),
            sent_at: self.world.now(),
            body: Command::EndDiversion(EndDiversion { through_offset }),
        };
        let value = self.world.bytes(&end);
        self.world.append(partition, account, value, HeaderList::new());
        self.send(account, credit(79, "EUR", "goes on"));
    }
}

fn card(account: &str) -> ChangeCard {
    ChangeCard {
        card_token: format!("tok_{account}").into(),
        customer_id: "customer-1".into(),
        status: CardStatus::Active,
        expires_at: None,
        last_four: "4242".into(),
        blocked_categories: Vec::new(),
        blocked_channels: Vec::new(),
        limits: None,
    }
}

fn purchase(account: &str) -> Purchase {
    Purchase {
        card_token: format!("tok_{account}").into(),
        merchant_name: "Corner shop".into(),
        merchant_id: "shop-1".into(),
        merchant_category: Some(5411),
        country: "AT".into(),
        channel: Channel::Chip,
        network: "visa".into(),
        original_minor: 100,
        original_currency: currency("EUR"),
    }
}

fn authorise(payment_id: &str, amount_minor: i64, account: &str) -> Command {
    Command::Authorise(Authorise {
        payment_id: payment_id.into(),
        amount_minor,
        currency: currency("EUR"),
        purchase: purchase(account),
        hold_class: HoldClass::Standard,
        allow_partial: amount_minor % 3 == 0,
        single_message: amount_minor % 7 == 6,
    })
}

fn advise(payment_id: &str, amount_minor: i64, account: &str) -> Command {
    Command::Advise(Advise {
        payment_id: payment_id.into(),
        amount_minor,
        currency: currency("EUR"),
        purchase: purchase(account),
        hold_class: HoldClass::Standard,
        approved: amount_minor % 10 != 9,
        final_total: amount_minor % 4 == 1,
        single_message: false,
    })
}

fn increment(payment_id: &str, amount_minor: i64, account: &str) -> Command {
    Command::Increment(Increment {
        payment_id: payment_id.into(),
        amount_minor,
        currency: currency("EUR"),
        purchase: purchase(account),
        hold_class: HoldClass::Standard,
    })
}

fn reverse(payment_id: &str, amount_minor: Option<i64>) -> Command {
    let currency = currency("EUR");
    Command::Reverse(Reverse { payment_id: payment_id.into(), amount_minor, currency })
}

fn present(payment_id: &str, amount_minor: i64, code: &str, account: &str) -> Command {
    Command::Present(Present {
        payment_id: payment_id.into(),
        amount_minor,
        currency: currency(code),
        purchase: purchase(account),
        authorisation_code: "".into(),
        reference: "".into(),
        sequence_number: 0,
        sequence_count: 0,
        last: amount_minor % 4 == 0,
    })
}

fn unpresent(payment_id: &str, amount_minor: i64) -> Command {
    Command::ReversePresentment(ReversePresentment {
        payment_id: payment_id.into(),
        amount_minor,
        currency: currency("EUR"),
        reference: "".into(),
    })
}

fn refund(payment_id: &str, amount_minor: i64, account: &str) -> Command {
    Command::Refund(Refund {
        payment_id: payment_id.into(),
        amount_minor,
        currency: currency("EUR"),
        purchase: purchase(account),
        reference: "".into(),
    })
}

fn credit(amount_minor: i64, code: &str, text: &str) -> Command {
    let (currency, kind) = (currency(code), CreditKind::CashIn);
    Command::Credit(Credit { amount_minor, currency, kind, text: text.into() })
}

fn debit(amount_minor: i64, to: Option<&str>, advice: bool) -> Command {
    Command::Debit(Debit {
        amount_minor,
        currency: currency("EUR"),
        kind: DebitKind::TransferOut,
        advice,
        text: "".into(),
        transfer_to: to.map(Into::into),
    })
}
