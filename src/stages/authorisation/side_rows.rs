//! Which items a message needs that may have left the head (pipeline.md section 5).
//!
//! Owns the rule that makes nearly every read unnecessary: an item leaves only when its newest
//! message was sent longer ago than the closing age, so what a younger message opens cannot have
//! left. Read is what an older message would open, and a payment that a message names. An alias
//! that was read back may stand for a payment that has left too: ask again until nothing is named
//! (else the message gets a payment of its own).

use super::{contradiction, repeat};
use crate::{
    domain::{
        account::{Account, Item},
        command::{AccountCommand, Command, CommandKind},
        payment::ItemId,
        rules::Rules,
    },
    stages::Context,
};

pub(super) fn named(
    context: &Context<Rules>,
    head: &Account,
    message: &AccountCommand,
) -> Vec<ItemId> {
    if message.body.kind() == CommandKind::Unknown {
        return Vec::new();
    }
    let payment_id = contradiction::payment_id(&message.body);
    let opens = payment_id.is_none() || matches!(message.body, Command::Authorise(_));
    let left_from = message.sent_at.plus_ms(context.rules.closing_age_ms);
    if opens && left_from >= context.log_time {
        return Vec::new();
    }
    let place = repeat::place(message);
    match head.items.get(&place) {
        None => vec![place],
        Some(Item::Alias(alias)) => {
            let id = ItemId::payment(&alias.payment_id);
            if head.items.contains_key(&id) { Vec::new() } else { vec![id] }
        }
        Some(Item::Payment(_) | Item::Booking(_)) => Vec::new(),
    }
}
