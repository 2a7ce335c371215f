//! Account names that the ledger keeps for itself.
//!
//! Owns which commands may not name one. `part:` is the beginning of the posting stage's own keys,
//! so no command may have it. `suspense:` is where clearing files publish lines that belong to
//! nobody: these stay acceptable, and become exceptions, only as long as nobody opens the account.
//! Invariant: such a name diverts nobody, or one bad command would hold up every later line.

use crate::domain::command::{AccountCommand, Command};
use crate::stages::{
    Poison,
    settlement::posting::{KEY_RESERVED, PART_PREFIX},
};

/// Begins the accounts on which lines of clearing files without an account are published.
pub const SET_ASIDE: &str = "suspense:";

/// Whether no customer's account may be called so.
pub fn is_reserved(account: &str) -> bool {
    account.starts_with(PART_PREFIX) || account.starts_with(SET_ASIDE)
}

/// Errors: `key_reserved`.
pub fn check(command: &AccountCommand) -> Result<(), Poison> {
    let account = command.account_id.as_str();
    let is_taken = match &command.body {
        Command::OpenAccount(_) => is_reserved(account),
        Command::Debit(debit) => {
            let to = debit.transfer_to.as_ref().map_or("", |to| to.as_str());
            is_reserved(to) || account.starts_with(PART_PREFIX)
        }
        Command::ChangeAccount(_)
        | Command::ChangeHolder(_)
        | Command::ChangeCard(_)
        | Command::Authorise(_)
        | Command::Advise(_)
        | Command::Increment(_)
        | Command::Reverse(_)
        | Command::Present(_)
        | Command::ReversePresentment(_)
        | Command::AuthoriseRefund(_)
        | Command::Refund(_)
        | Command::Credit(_)
        | Command::EndDiversion(_)
        | Command::Tick(_)
        | Command::ReleaseFuse(_) => account.starts_with(PART_PREFIX),
    };
    if is_taken { Err(KEY_RESERVED) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::{
            DecodeError, StageCodec,
            authorisation::AuthorisationCodec,
            avro::{Avro, RegistryIds},
            dead_letter::TimestampType,
            headers::HeaderList,
            limits::Sizes,
            partitioner::partition_of,
            raw::RawRecord,
            schemas::Subject,
        },
        domain::{
            command::{Credit, CreditKind, Debit, DebitKind, OpenAccount},
            money::Currency,
            time::LogTime,
        },
        stages::authorisation::Authorisation,
    };

    /// Goal: what posting could never post is refused where it comes in, and a set-aside line is
    /// not. Method: accounts by what is asked of them, as whole records, with the answer and
    /// whether the key's later records would have to follow.
    #[test]
    fn names_of_the_ledger() {
        let currency = Currency::parse("EUR").expect("three letters");
        let open = || {
            Command::OpenAccount(OpenAccount { currency, overdraft_limit_minor: 0, limits: None })
        };
        let credit = || {
            let (kind, text) = (CreditKind::Other, "".into());
            Command::Credit(Credit { amount_minor: 1, currency, kind, text })
        };
        let pay = |to: &str| {
            let (kind, transfer_to) = (DebitKind::TransferOut, Some(to.into()));
            let text = "".into();
            Command::Debit(Debit {
                amount_minor: 1,
                currency,
                kind,
                advice: false,
                text,
                transfer_to,
            })
        };
        let codec = AuthorisationCodec::new(12, Sizes::default(), RegistryIds::default(), "");
        for (account, body, is_taken, is_divertible) in [
            ("acc-1", open(), true, true),
            ("department:1", open(), true, true),
            ("part", open(), true, true),
            ("part:visa/EUR", open(), false, false),
            ("part:visa/EUR", credit(), false, false),
            ("part:visa/EUR", pay("acc-2"), false, false),
            ("suspense:visa", open(), false, false),
            ("suspense:visa", credit(), true, false),
            ("acc-1", pay("acc-2"), true, true),
            ("acc-1", pay("part:visa/EUR"), false, true),
            ("acc-1", pay("suspense:visa"), false, true),
        ] {
            let named = format!("{account} {body:?}");
            let sent_at = LogTime(1_790_000_000_000);
            let (account_id, message_id) = (account.into(), "m-1".into());
            let command = AccountCommand { account_id, message_id, sent_at, body };
            let mut value = Vec::new();
            Avro::of(Subject::Commands).encode(&command, &mut value);
            let record = RawRecord {
                partition: partition_of(account.as_bytes(), 12),
                offset: 7,
                timestamp_ms: sent_at.0,
                timestamp_type: TimestampType::LogAppendTime,
                key: Some(account.into()),
                value: Some(value),
                headers: HeaderList::new(),
            };
            let refused = Err(DecodeError::poison("key_reserved"));
            let answer = StageCodec::<Authorisation>::decode(&codec, &record).map(|_| ());
            assert_eq!(answer, if is_taken { Ok(()) } else { refused }, "{named}");
            let divertible = StageCodec::<Authorisation>::divertible_key(&codec, &record);
            assert_eq!(divertible.is_some(), is_divertible, "{named}");
        }
    }
}
