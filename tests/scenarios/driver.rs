//! A driver for tables of the authorisation stage: a line of words in, a line of words out.
//!
//! Owns a small language for commands and the wording of events. It does around the stage what the
//! runtime does: recalls side rows before a step, applies changes, steps what is due on a tick.
//!
//! A command is `verb subject amount option...`; options are words (`partial`) or `name=value`.
//! Times are days since the start with an optional unit: `at=3`, `at=2h`. Every message gets the id
//! m1, m2 ... and is sent at the clock's time unless `id=` and `at=` say otherwise.
//! The outcome is `event numbers [counters status flags] booked/held`; several are joined by `; `.

use std::collections::BTreeMap;
use tapline::{
    domain::{
        account::{Account, AccountStatus, CardStatus, HolderRole, Item, Limits},
        command::*,
        event::{AccountEvent, Event, PaymentAfter},
        ids::PaymentId,
        money::Currency,
        payment::{Counters, ItemId},
        rules::Rules,
        time::LogTime,
    },
    stages::{
        Cause, Context, Stage,
        authorisation::{Authorisation, Output},
    },
};

pub const KEY: &str = "account-1";

/// The clock at the start of every table: 2026-01-01, so that months and days are plain.
pub const START_MS: i64 = 20_454 * 86_400_000;

pub struct World {
    pub head: Account,
    pub rules: Rules,
    pub clock: LogTime,
    /// What left the head: the newest version of each item.
    pub side_rows: BTreeMap<ItemId, Item>,
    pub outputs: Vec<Output>,
    messages: u32,
}

/// The rules of the tables: those that are shipped.
pub fn rules() -> Rules {
    let text = include_str!("../../rules/1.toml");
    toml::from_str(text).expect("the shipped rules can be read")
}

impl World {
    /// Nothing is opened.
    pub fn empty() -> Self {
        Self {
            head: Account::default(),
            rules: rules(),
            clock: LogTime(START_MS),
            side_rows: BTreeMap::new(),
            outputs: Vec::new(),
            messages: 0,
        }
    }

    /// An open account in EUR with an active card `c1` and `credit` minor units.
    pub fn funded(credit_minor: i64) -> Self {
        let mut world = Self::empty();
        world.run("open EUR id=opening");
        world.run("card c1 id=card");
        if credit_minor > 0 {
            world.run(&format!("credit {credit_minor} id=funds"));
        }
        world
    }

    /// Runs one line and words its outcome.
    pub fn run(&mut self, line: &str) -> String {
        if let Some(time) = line.strip_prefix("tick ") {
            return self.tick(parse_time(time));
        }
        self.messages += 1;
        let command = parse(line, self.messages, self.clock);
        self.send(&command)
    }

    pub fn send(&mut self, command: &AccountCommand) -> String {
        let rules = self.rules.clone();
        let context = Context::of(self.clock, &rules);
        for id in Authorisation::items_named(&context, &self.head, command) {
            if let Some(item) = self.side_rows.get(&id) {
                Authorisation::recall(&mut self.head, id, item.clone());
            }
        }
        self.step(Cause::Record(command))
    }

    /// Moves the clock and steps what is due.
    pub fn tick(&mut self, time: LogTime) -> String {
        self.clock = time;
        let due = |head: &Account, rules: &Rules| {
            Authorisation::deadline(KEY, head, rules).is_some_and(|deadline| deadline <= time)
        };
        if !due(&self.head, &self.rules) {
            return "nothing due".into();
        }
        let outcome = self.step(Cause::Due);
        assert!(!due(&self.head, &self.rules), "a due step leaves nothing due");
        outcome
    }

    fn step(&mut self, cause: Cause<AccountCommand>) -> String {
        let rules = self.rules.clone();
        let context = Context::of(self.clock, &rules);
        let transition = match Authorisation::step(&context, KEY, &self.head, cause) {
            Ok(transition) => transition,
            Err(refused) => return format!("poison {}", refused.code()),
        };
        let mut left = Vec::new();
        if let Some(change) = transition.change {
            left = Authorisation::apply(&mut self.head, change);
        }
        let mut words = Vec::new();
        for outgoing in transition.effects {
            assert!(Authorisation::OUTPUTS.contains(&outgoing.topic), "{outgoing:?}");
            words.push(word_output(&outgoing.body));
            self.outputs.push(outgoing.body);
        }
        for (id, item) in left {
            words.push(format!("{} leaves", id.as_str()));
            self.side_rows.insert(id, item);
        }
        words.join("; ")
    }

    /// Runs every line of a table and compares; on a difference prints the whole table as it is.
    pub fn expect(&mut self, name: &str, table: &[(&str, &str)]) {
        let outcomes: Vec<String> = table.iter().map(|(line, _)| self.run(line)).collect();
        let differs = table.iter().zip(&outcomes).any(|((_, then), outcome)| then != outcome);
        if differs {
            let mut report = format!("{name}:\n");
            for ((line, then), outcome) in table.iter().zip(&outcomes) {
                report += &format!("        (\"{line}\", \"{outcome}\"),\n");
                if then != outcome {
                    report += &format!("        // expected: \"{then}\"\n");
                }
            }
            panic!("{report}");
        }
    }
}

pub fn parse_time(text: &str) -> LogTime {
    let (number, unit_ms) = match text.split_at(text.len() - 1) {
        (number, "h") => (number, 3_600_000),
        (number, "s") => (number, 1_000),
        _ => (text, 86_400_000),
    };
    LogTime(START_MS + number.parse::<i64>().expect(text) * unit_ms)
}

/// The words of one line.
struct Words<'a> {
    verb: &'a str,
    plain: Vec<&'a str>,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn read(line: &'a str) -> Self {
        let mut words = line.split_whitespace();
        let verb = words.next().expect("a verb");
        let (mut plain, mut options) = (Vec::new(), BTreeMap::new());
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => drop(options.insert(name, value)),
                None => plain.push(word),
            }
        }
        Self { verb, plain, options }
    }

    fn option(&self, name: &str, default: &'a str) -> &'a str {
        self.options.get(name).copied().unwrap_or(default)
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    fn amount(&self, place: usize) -> i64 {
        self.plain.get(place).expect("an amount").parse().expect(self.verb)
    }

    fn currency(&self) -> Currency {
        Currency::parse(self.option("cur", "EUR")).expect("a currency")
    }

    /// By the wire name of an enum's variant.
    fn named<T: serde::de::DeserializeOwned>(&self, name: &str, default: &str) -> T {
        let text = self.options.get(name).copied().unwrap_or(default);
        serde_json::from_value(text.into()).expect(text)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        let text = self.options.get(name)?;
        text.parse().ok()
    }

    fn purchase(&self) -> Purchase {
        let merchant = self.option("merchant", "shop");
        Purchase {
            card_token: self.option("card", "c1").into(),
            merchant_name: merchant.into(),
            merchant_id: "".into(),
            merchant_category: Some(self.number("mcc").unwrap_or(5411)),
            country: "AT".into(),
            channel: self.named("channel", "chip"),
            network: self.option("network", "visa").into(),
            original_minor: self.number("original").unwrap_or(100),
            original_currency: Currency::parse(self.option("original_cur", "EUR")).expect("three"),
        }
    }

    fn limits(&self) -> Option<Limits> {
        let limits = Limits {
            transaction_minor: self.number("per_transaction"),
            daily_minor: self.number("daily"),
            monthly_minor: self.number("monthly"),
            lifetime_minor: self.number("lifetime"),
            velocity_count: self.number("velocity"),
            velocity_window_ms: self.number::<i64>("window_h").map(|hours| hours * 3_600_000),
        };
        (limits != Limits::default()).then_some(limits)
    }
}

pub fn parse(line: &str, number: u32, clock: LogTime) -> AccountCommand {
    let words = Words::read(line);
    let own_id = format!("m{number}");
    AccountCommand {
        account_id: words.option("key", KEY).into(),
        message_id: words.options.get("id").copied().unwrap_or(&own_id).into(),
        sent_at: words.options.get("at").map_or(clock, |time| parse_time(time)),
        body: body(&words),
    }
}

fn body(words: &Words) -> Command {
    match words.verb {
        "open" => Command::OpenAccount(OpenAccount {
            currency: Currency::parse(words.plain[0]).expect("a currency"),
            overdraft_limit_minor: words.number("overdraft").unwrap_or(0),
            limits: words.limits(),
        }),
        "change" => Command::ChangeAccount(ChangeAccount {
            status: words
                .options
                .contains_key("status")
                .then(|| words.named::<AccountStatus>("status", "")),
            overdraft_limit_minor: words.number("overdraft"),
            limits: words.limits(),
        }),
        "holder" => Command::ChangeHolder(ChangeHolder {
            customer_id: words.plain[0].into(),
            role: words.named::<HolderRole>("role", "owner"),
            removed: words.has("removed"),
        }),
        "card" => Command::ChangeCard(ChangeCard {
            card_token: words.plain[0].into(),
            customer_id: "customer-1".into(),
            status: words.named::<CardStatus>("status", "active"),
            expires_at: words.options.get("expires").map(|time| parse_time(time)),
            last_four: "1234".into(),
            blocked_categories: words.number("block_mcc").into_iter().collect(),
            blocked_channels: words
                .options
                .contains_key("block")
                .then(|| words.named::<Channel>("block", ""))
                .into_iter()
                .collect(),
            limits: words.limits(),
        }),
        "credit" => Command::Credit(Credit {
            amount_minor: words.amount(0),
            currency: words.currency(),
            kind: CreditKind::CashIn,
            text: words.option("text", "").into(),
        }),
        "debit" => Command::Debit(Debit {
            amount_minor: words.amount(0),
            currency: words.currency(),
            kind: DebitKind::TransferOut,
            advice: words.has("advice"),
            text: words.option("text", "").into(),
            transfer_to: words.options.get("to").map(|account| (*account).into()),
        }),
        _ => payment_body(words, words.plain[0].into()),
    }
}

fn payment_body(words: &Words, payment_id: PaymentId) -> Command {
    let (currency, purchase) = (words.currency(), words.purchase());
    match words.verb {
        "auth" => Command::Authorise(Authorise {
            payment_id,
            amount_minor: words.amount(1),
            currency,
            purchase,
            hold_class: words.named("class", "standard"),
            allow_partial: words.has("partial"),
            single_message: words.has("single"),
        }),
        "advise" => Command::Advise(Advise {
            payment_id,
            amount_minor: words.amount(1),
            currency,
            purchase,
            hold_class: words.named("class", "standard"),
            approved: !words.has("declined"),
            final_total: words.has("total"),
            single_message: words.has("single"),
        }),
        "increment" => Command::Increment(Increment {
            payment_id,
            amount_minor: words.amount(1),
            currency,
            purchase,
            hold_class: words.named("class", "standard"),
        }),
        "reverse" => Command::Reverse(Reverse {
            payment_id,
            amount_minor: (!words.has("all")).then(|| words.amount(1)),
            currency,
        }),
        "present" => Command::Present(Present {
            payment_id,
            amount_minor: words.amount(1),
            currency,
            purchase,
            authorisation_code: words.option("code", "").into(),
            reference: words.option("ref", "").into(),
            sequence_number: words.number("n").unwrap_or(0),
            sequence_count: words.number("of").unwrap_or(0),
            last: words.has("last"),
        }),
        "unpresent" => Command::ReversePresentment(ReversePresentment {
            payment_id,
            amount_minor: words.amount(1),
            currency,
            reference: words.option("ref", "").into(),
        }),
        "announce" => Command::AuthoriseRefund(AuthoriseRefund {
            payment_id,
            amount_minor: words.amount(1),
            currency,
            purchase,
        }),
        "refund" => Command::Refund(Refund {
            payment_id,
            amount_minor: words.amount(1),
            currency,
            purchase,
            reference: words.option("ref", "").into(),
        }),
        verb => panic!("unknown verb {verb}"),
    }
}

/// The wire name of a variant.
pub fn wire<T: serde::Serialize>(value: T) -> String {
    let value = serde_json::to_value(value).expect("a name");
    value.as_str().expect("a plain name").into()
}

fn word_output(output: &Output) -> String {
    match output {
        Output::Event(event) => word_event(event),
        Output::Command(command) => {
            let Command::Credit(credit) = &command.body else { panic!("{command:?}") };
            format!(
                "command {} credit {} {}",
                command.account_id, credit.amount_minor, command.message_id
            )
        }
    }
}

pub fn word_event(event: &AccountEvent) -> String {
    let balances = event.balances.map_or(String::new(), |balances| {
        format!(" {}/{}", balances.booked_minor, balances.held_minor)
    });
    format!("{}{balances}", word_body(&event.body))
}

fn grown(parts: &[(&str, i64)]) -> String {
    let parts = parts.iter().filter(|(_, grown_minor)| *grown_minor != 0);
    parts.map(|(name, grown_minor)| format!(" {name}{grown_minor}")).collect()
}

fn word_body(body: &Event) -> String {
    match body {
        Event::AccountOpened(_) => "opened".into(),
        Event::AccountChanged(e) => {
            format!("changed {} overdraft {}", wire(e.status), e.overdraft_limit_minor)
        }
        Event::HolderChanged(e) => format!("holder {} {}", e.customer_id, wire(e.role)),
        Event::CardChanged(e) => format!("card {} {}", e.card_token, wire(e.status)),
        Event::PaymentAuthorised(e) => {
            let grown = grown(&[
                ("A+", e.approved_minor),
                ("V+", e.reversed_minor),
                ("E+", e.released_minor),
                ("M+", e.taken_minor),
            ]);
            format!("authorised {}{grown} {}", wire(e.kind), word_payment(&e.payment))
        }
        Event::PaymentDeclined(e) => format!("declined {}", wire(e.reason)),
        Event::PaymentReversed(e) => {
            let grown = grown(&[("V+", e.reversed_minor), ("over ", e.over_minor)]);
            format!("reversed{grown} {}", word_payment(&e.payment))
        }
        Event::HoldExpired(e) => {
            format!("expired E+{} {}", e.released_minor, word_payment(&e.payment))
        }
        Event::PaymentPresented(e) => {
            assert_eq!(e.presented_minor, e.taken_minor + e.over_minor);
            let grown =
                grown(&[("M+", e.taken_minor), ("O+", e.over_minor), ("E+", e.released_minor)]);
            format!("presented {}{grown} {}", wire(e.match_rule), word_payment(&e.payment))
        }
        Event::PresentmentReversed(e) => {
            let grown = grown(&[("K+", e.presentment_reversed_minor), ("excess ", e.excess_minor)]);
            format!("unpresented{grown} {}", word_payment(&e.payment))
        }
        Event::RefundAuthorised(e) => {
            format!("announced {} {}", e.announced_minor, word_payment(&e.payment))
        }
        Event::PaymentRefunded(e) => {
            let rule = wire(e.match_rule);
            format!("refunded {rule} F+{} {}", e.refunded_minor, word_payment(&e.payment))
        }
        Event::OriginalNotFound(e) => format!("original of {} not found", e.payment_id),
        Event::AccountCredited(e) => format!("credited {}", e.amount_minor),
        Event::AccountDebited(e) => format!("debited {}", e.amount_minor),
        Event::CommandDeclined(e) => format!("declined {} {}", wire(e.kind), wire(e.reason)),
        Event::MovedToSuspense(e) => {
            format!("suspense {} {} {}", wire(e.kind), e.owed_minor, wire(e.reason))
        }
        Event::MessageRepeated(e) => match e.reason {
            Some(reason) => format!("repeated no {}", wire(reason)),
            None => format!("repeated yes {}", e.accepted_minor),
        },
        Event::MessageConflicted(e) => format!("conflict {}", e.field),
        Event::Tick(_) => "tick".into(),
    }
}

/// `[A500 V100 H400 pending flag ...]`, with the id in front where it is not `p`.
fn word_payment(payment: &PaymentAfter) -> String {
    let id = match payment.payment_id.as_str() {
        "p" => String::new(),
        id => format!("{id}: "),
    };
    let flags: String = payment.flags.iter().map(|flag| format!(" {}", wire(flag))).collect();
    let counters = word_counters(&payment.counters);
    assert_eq!(payment.deadline.is_some(), payment.counters.hold_minor() > 0, "{payment:?}");
    format!("[{id}{counters}{}{flags}]", wire(payment.status))
}

fn word_counters(counters: &Counters) -> String {
    let all = [
        ("A", counters.approved_minor),
        ("V", counters.reversed_minor),
        ("E", counters.released_minor),
        ("M", counters.taken_minor),
        ("O", counters.over_minor),
        ("K", counters.presentment_reversed_minor),
        ("F", counters.refunded_minor),
        ("H", counters.hold_minor()),
    ];
    let shown = all.iter().filter(|(_, minor)| *minor != 0);
    shown.map(|(name, minor)| format!("{name}{minor} ")).collect()
}
