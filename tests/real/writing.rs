//! Records as anybody could write them: good commands, and bytes that are none.
//!
//! Owns the sending of raw bytes with any key into any partition, and a few commands. Each send is
//! acknowledged before it returns, so that its place is known.

use super::ground::Site;
use std::{
    sync::{Arc, mpsc},
    time::Duration,
};
use tapline::adapters::kafka::sender::{Outbound, Sender, Ticket};
use tapline::codec::{
    avro::Avro, headers::HeaderList, partitioner::partition_of, schemas::Subject,
};
use tapline::domain::{
    account::CardStatus,
    command::{
        AccountCommand, Authorise, ChangeCard, Channel, Command, Credit, CreditKind, HoldClass,
        OpenAccount, Purchase,
    },
    money::Currency,
    time::LogTime,
};

pub const OPENING_MINOR: i64 = 1_000_000;

pub struct Pen {
    sender: Sender,
    topic: String,
    partitions: i32,
}

/// Where a record came to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub partition: i32,
    pub offset: i64,
}

/// A record before it is written.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: HeaderList,
    /// Absent: where the key belongs.
    pub partition: Option<i32>,
}

impl Pen {
    pub fn open(site: &Site) -> Self {
        let sender = Sender::open(&site.config.kafka, "test").expect("a producer");
        Self { sender, topic: site.commands(), partitions: site.partitions() }
    }

    /// Writes one record; returns when it is acknowledged.
    pub fn write(&self, draft: &Draft) -> Place {
        let key = draft.key.as_deref().unwrap_or_default();
        let partition = draft.partition.unwrap_or_else(|| partition_of(key, self.partitions));
        let (done, acked) = mpsc::channel();
        let ticket = Ticket::new(
            1,
            Box::new(move |acked| {
                let _ = done.send(acked);
            }),
        );
        self.hand_over(draft, partition, &ticket);
        let acked = acked.recv_timeout(Duration::from_secs(30)).expect("no ack within 30 s");
        Place { partition, offset: acked.offset }
    }

    fn hand_over(&self, draft: &Draft, partition: i32, ticket: &Arc<Ticket>) {
        let outbound = Outbound {
            topic: &self.topic,
            partition: Some(partition),
            key: draft.key.as_deref(),
            value: draft.value.as_deref(),
            headers: &draft.headers,
        };
        self.sender.send(outbound, ticket).expect("the client takes the record");
    }

    pub fn send(&self, command: &AccountCommand) -> Place {
        self.write(&drafted(command))
    }
}

/// A command as a good producer writes it.
pub fn drafted(command: &AccountCommand) -> Draft {
    Draft {
        key: Some(command.account_id.as_str().as_bytes().to_vec()),
        value: Some(encoded(command)),
        ..Draft::default()
    }
}

pub fn encoded(command: &AccountCommand) -> Vec<u8> {
    let mut value = Vec::new();
    Avro::of(Subject::Commands).encode(command, &mut value);
    value
}

/// A key that begins with `stem` and belongs to a partition.
pub fn key_in(partition: i32, partitions: i32, stem: &str) -> String {
    (0..)
        .map(|number| format!("{stem}-{number}"))
        .find(|key| partition_of(key.as_bytes(), partitions) == partition)
        .expect("every partition has keys")
}

pub fn cad() -> Currency {
    Currency::parse("CAD").expect("CAD is a currency")
}

pub fn command(account: &str, message: &str, body: Command) -> AccountCommand {
    AccountCommand {
        account_id: account.into(),
        message_id: format!("{account}-{message}").into(),
        sent_at: LogTime(1_000),
        body,
    }
}

pub fn open(account: &str) -> AccountCommand {
    let body = OpenAccount { currency: cad(), overdraft_limit_minor: 0, limits: None };
    command(account, "open", Command::OpenAccount(body))
}

pub fn credit(account: &str, message: &str, amount_minor: i64) -> AccountCommand {
    let kind = CreditKind::Opening;
    let body = Credit { amount_minor, currency: cad(), kind, text: "".into() };
    command(account, message, Command::Credit(body))
}

pub fn card(account: &str) -> AccountCommand {
    let body = ChangeCard {
        card_token: token(account).as_str().into(),
        customer_id: format!("c-{account}").into(),
        status: CardStatus::Active,
        expires_at: None,
        last_four: "0001".into(),
        blocked_categories: Vec::new(),
        blocked_channels: Vec::new(),
        limits: None,
    };
    command(account, "card", Command::ChangeCard(body))
}

pub fn token(account: &str) -> String {
    format!("tok_{account}")
}

pub fn authorise(account: &str, message: &str, amount_minor: i64) -> AccountCommand {
    let purchase = Purchase {
        card_token: token(account).as_str().into(),
        merchant_name: "CORNER BAKERY".into(),
        merchant_id: "".into(),
        merchant_category: Some(5_462),
        country: "".into(),
        channel: Channel::Contactless,
        network: "cards".into(),
        original_minor: amount_minor,
        original_currency: cad(),
    };
    let body = Authorise {
        payment_id: format!("{account}-{message}").into(),
        amount_minor,
        currency: cad(),
        purchase,
        hold_class: HoldClass::Standard,
        allow_partial: false,
        single_message: false,
    };
    command(account, message, Command::Authorise(body))
}
