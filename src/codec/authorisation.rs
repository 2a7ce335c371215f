//! The codec of the authorisation stage: commands in, events and commands out, account rows.
//!
//! Owns the order of checks of a record and the CloudEvents type of every output. Invariant: the
//! answer depends on the record and the partition count alone, so every worker gives the same.

use super::{
    DecodeError, StageCodec,
    avro::{Avro, RegistryIds},
    dead_letter::{Letter, Origin},
    inlet::Inlet,
    limits::{self, Sizes},
    raw::RawRecord,
    reserved,
    schemas::Subject,
    snapshot::{Row, SideRow},
};
use crate::domain::{
    account::{Account, Item},
    command::{AccountCommand, Command},
    event::Event,
};
use crate::stages::authorisation::{Authorisation, Output};

pub struct AuthorisationCodec {
    inlet: Inlet,
    commands: &'static Avro,
    events: &'static Avro,
    heads: &'static Avro,
    sides: &'static Avro,
}

impl AuthorisationCodec {
    /// `partitions`: the partition count of the input topic, at least 1.
    pub fn new(partitions: i32, sizes: Sizes, ids: RegistryIds, topic_prefix: &str) -> Self {
        Self {
            inlet: Inlet::new(partitions, sizes, ids, topic_prefix),
            commands: Avro::of(Subject::Commands),
            events: Avro::of(Subject::Events),
            heads: Avro::of(Subject::Head),
            sides: Avro::of(Subject::Side),
        }
    }
}

impl StageCodec<Authorisation> for AuthorisationCodec {
    /// A card number is looked for first, even where the surroundings are wrong.
    fn decode(&self, record: &RawRecord) -> Result<AccountCommand, DecodeError> {
        let (command, key) = self.inlet.decode(record, self.inlet.key(record), self.commands)?;
        limits::no_card_number(&command)?;
        limits::command(&command, key?, &self.inlet.sizes)?;
        Ok(command)
    }

    /// The ledger's own names divert nobody: no account stands behind them.
    fn divertible_key<'r>(&self, record: &'r RawRecord) -> Option<&'r str> {
        self.inlet.divertible_key(record).filter(|key| !reserved::is_reserved(key))
    }

    fn dead_letter(&self, origin: &Origin<'_>) -> Letter {
        self.inlet.dead_letter(origin)
    }

    fn encode_output(&self, output: &Output, value: &mut Vec<u8>) {
        match output {
            Output::Event(event) => self.events.encode(event, value),
            Output::Command(command) => self.commands.encode(command, value),
        }
    }

    fn ce_type(&self, output: &Output) -> &'static str {
        match output {
            Output::Event(event) => event_type(&event.body),
            Output::Command(command) => command_type(&command.body),
        }
    }

    fn encode_row(&self, row: &Row<Account>, row_bytes: &mut Vec<u8>) {
        self.heads.encode(row, row_bytes);
    }

    fn decode_row(&self, row_bytes: &[u8]) -> Result<Row<Account>, DecodeError> {
        self.heads.decode(row_bytes, &self.inlet.ids)
    }

    fn encode_side(&self, item: &Item, row_bytes: &mut Vec<u8>) {
        self.sides.encode(&SideRow { item }, row_bytes);
    }

    fn decode_side(&self, row_bytes: &[u8]) -> Result<Item, DecodeError> {
        self.sides.decode::<SideRow<Item>>(row_bytes, &self.inlet.ids).map(|row| row.item)
    }
}

/// `tapline.<noun>.<what happened>.v1` of an event.
pub fn event_type(event: &Event) -> &'static str {
    match event {
        Event::AccountOpened(_) => "tapline.account.opened.v1",
        Event::AccountChanged(_) => "tapline.account.changed.v1",
        Event::HolderChanged(_) => "tapline.holder.changed.v1",
        Event::CardChanged(_) => "tapline.card.changed.v1",
        Event::PaymentAuthorised(_) => "tapline.payment.authorised.v1",
        Event::PaymentDeclined(_) => "tapline.payment.declined.v1",
        Event::PaymentReversed(_) => "tapline.payment.reversed.v1",
        Event::HoldExpired(_) => "tapline.hold.expired.v1",
        Event::PaymentPresented(_) => "tapline.payment.presented.v1",
        Event::PresentmentReversed(_) => "tapline.presentment.reversed.v1",
        Event::RefundAuthorised(_) => "tapline.refund.authorised.v1",
        Event::PaymentRefunded(_) => "tapline.payment.refunded.v1",
        Event::OriginalNotFound(_) => "tapline.original.not_found.v1",
        Event::AccountCredited(_) => "tapline.account.credited.v1",
        Event::AccountDebited(_) => "tapline.account.debited.v1",
        Event::CommandDeclined(_) => "tapline.command.declined.v1",
        Event::MovedToSuspense(_) => "tapline.command.moved_to_suspense.v1",
        Event::MessageRepeated(_) => "tapline.message.repeated.v1",
        Event::MessageConflicted(_) => "tapline.message.conflicted.v1",
        Event::Tick(_) => "tapline.partition.ticked.v1",
    }
}

/// `tapline.command.<what is asked>.v1` of a command.
pub fn command_type(command: &Command) -> &'static str {
    match command {
        Command::OpenAccount(_) => "tapline.command.open_account.v1",
        Command::ChangeAccount(_) => "tapline.command.change_account.v1",
        Command::ChangeHolder(_) => "tapline.command.change_holder.v1",
        Command::ChangeCard(_) => "tapline.command.change_card.v1",
        Command::Authorise(_) => "tapline.command.authorise.v1",
        Command::Advise(_) => "tapline.command.advise.v1",
        Command::Increment(_) => "tapline.command.increment.v1",
        Command::Reverse(_) => "tapline.command.reverse.v1",
        Command::Present(_) => "tapline.command.present.v1",
        Command::ReversePresentment(_) => "tapline.command.reverse_presentment.v1",
        Command::AuthoriseRefund(_) => "tapline.command.authorise_refund.v1",
        Command::Refund(_) => "tapline.command.refund.v1",
        Command::Credit(_) => "tapline.command.credit.v1",
        Command::Debit(_) => "tapline.command.debit.v1",
        Command::EndDiversion(_) => "tapline.command.end_diversion.v1",
        Command::Tick(_) => "tapline.command.tick.v1",
        Command::ReleaseFuse(_) => "tapline.command.release_fuse.v1",
    }
}
