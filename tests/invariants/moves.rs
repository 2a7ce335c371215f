//! Random moves made into related commands.
//!
//! A move is four numbers without meaning of their own, so that shrinking keeps histories valid:
//! what they stand for depends on what was played before (a repeat needs a message).

use crate::player::Player;
use tapline::domain::{
    account::{AccountStatus, CardStatus, HolderRole, Limits},
    command::*,
    ids::PaymentId,
    money::Currency,
    payment::ItemId,
    time::LogTime,
};

pub const KEY: &str = "account-1";
pub const HOUR_MS: i64 = 3_600_000;

#[derive(Clone, Copy, Debug)]
pub struct Move {
    pub kind: u8,
    pub payment: u8,
    pub amount: u16,
    pub options: u16,
}

/// The wire name of a variant.
pub fn wire<T: serde::Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => panic!("{other:?}"),
    }
}

pub fn picked<T: Clone>(choices: &[T], number: u16) -> T {
    choices[usize::from(number) % choices.len()].clone()
}

pub fn euro() -> Currency {
    Currency::parse("EUR").expect("three letters")
}

/// What a move asks for.
impl Player {
    /// A new message. Its payment is one of a few, so that messages meet.
    pub fn command(&mut self, one: &Move) -> AccountCommand {
        let number = self.first.len() + self.sent.len();
        // One in sixteen was sent long ago, as clearing files are.
        let age_ms = if one.options % 16 == 15 { 40 * 24 * HOUR_MS } else { 0 };
        AccountCommand {
            account_id: KEY.into(),
            message_id: format!("m{number}").into(),
            sent_at: LogTime(self.clock.0 - age_ms - i64::from(one.payment) * 1000),
            body: self.body(one),
        }
    }

    fn body(&mut self, one: &Move) -> Command {
        // Round amounts, so that the ladder has something to match, or any.
        let small = match one.amount % 2 {
            0 => i64::from(one.amount / 64 % 6 + 1) * 50,
            _ => i64::from(one.amount % 300) + 1,
        };
        let amount_minor = match one.amount % 64 {
            0 => small * 50,
            _ => small,
        };
        let or_zero = if one.amount % 32 == 1 { 0 } else { amount_minor };
        let currency =
            if one.options % 32 == 3 { Currency::parse("USD").expect("three") } else { euro() };
        let purchase = self.purchase(one);
        let flags = one.options >> 5;
        let hold_class = picked(
            &[HoldClass::Standard, HoldClass::Standard, HoldClass::Lodging, HoldClass::Fuel],
            flags,
        );
        let (bit, second) = (flags & 1 == 1, flags & 6 == 6);
        let payment_id = self.payment_id(one, (54..105).contains(&one.kind));
        match one.kind {
            ..105 => Command::Authorise(Authorise {
                payment_id,
                amount_minor: or_zero,
                currency,
                purchase,
                hold_class,
                allow_partial: bit,
                single_message: second,
            }),
            105..120 => Command::Advise(Advise {
                payment_id,
                amount_minor: or_zero,
                currency,
                purchase,
                hold_class,
                approved: flags % 8 != 7,
                final_total: bit,
                single_message: second,
            }),
            120..134 => Command::Increment(Increment {
                payment_id,
                amount_minor,
                currency,
                purchase,
                hold_class,
            }),
            134..154 => {
                let amount_minor = (!bit).then_some(amount_minor);
                Command::Reverse(Reverse { payment_id, amount_minor, currency })
            }
            154..190 => {
                let authorisation_code = if flags % 4 == 2 && !self.codes.is_empty() {
                    {
                        let recent = self.codes.len().min(6);
                        picked(&self.codes[self.codes.len() - recent..], one.options)
                    }
                } else {
                    "".into()
                };
                let count = i32::from(flags % 3);
                Command::Present(Present {
                    payment_id,
                    amount_minor: or_zero,
                    currency,
                    purchase,
                    authorisation_code,
                    reference: "reference".into(),
                    sequence_number: count.min(1 + i32::from(bit)),
                    sequence_count: count,
                    last: second,
                })
            }
            190..200 => Command::ReversePresentment(ReversePresentment {
                payment_id,
                amount_minor,
                currency,
                reference: "reference".into(),
            }),
            200..204 => Command::AuthoriseRefund(AuthoriseRefund {
                payment_id,
                amount_minor,
                currency,
                purchase,
            }),
            204..214 => Command::Refund(Refund {
                payment_id,
                amount_minor,
                currency,
                purchase,
                reference: "reference".into(),
            }),
            214..224 => Command::Credit(Credit {
                amount_minor: amount_minor * 4,
                currency,
                kind: CreditKind::CashIn,
                text: "text".into(),
            }),
            224..232 => Command::Debit(Debit {
                amount_minor,
                currency,
                kind: DebitKind::TransferOut,
                advice: bit,
                text: "text".into(),
                transfer_to: second.then(|| "account-2".into()),
            }),
            _ => self.account_body(one),
        }
    }

    fn account_body(&self, one: &Move) -> Command {
        let number = one.options >> 5;
        let limits = Limits {
            transaction_minor: number.is_multiple_of(3).then_some(200),
            daily_minor: number.is_multiple_of(5).then_some(700),
            monthly_minor: number.is_multiple_of(7).then_some(1500),
            lifetime_minor: number.is_multiple_of(11).then_some(3000),
            velocity_count: (number % 7 == 3).then_some(4),
            velocity_window_ms: Some(24 * HOUR_MS),
        };
        let limits = (number % 4 == 1).then_some(limits);
        match one.kind {
            ..236 => Command::OpenAccount(OpenAccount {
                currency: euro(),
                overdraft_limit_minor: i64::from(one.amount % 500),
                limits: None,
            }),
            236..243 => {
                use AccountStatus::{Closed, Frozen, Open};
                Command::ChangeAccount(ChangeAccount {
                    status: Some(picked(&[Open, Open, Frozen, Open, Open, Closed], number)),
                    overdraft_limit_minor: one
                        .amount
                        .is_multiple_of(2)
                        .then(|| i64::from(one.amount % 900)),
                    limits: limits
                        .or(Some(Limits::default()).filter(|_| one.amount.is_multiple_of(3))),
                })
            }
            243..245 => Command::ChangeHolder(ChangeHolder {
                customer_id: format!("customer-{}", one.payment % 3).into(),
                role: HolderRole::Disponent,
                removed: one.amount.is_multiple_of(2),
            }),
            _ => {
                use CardStatus::{Active, Inactive, Paused};
                Command::ChangeCard(ChangeCard {
                    card_token: format!("card-{}", one.payment % 2).into(),
                    customer_id: "customer-1".into(),
                    status: picked(
                        &[Active, Active, Inactive, Active, Active, Active, Paused],
                        number,
                    ),
                    expires_at: number
                        .is_multiple_of(6)
                        .then(|| self.clock.plus_ms(20 * 24 * HOUR_MS)),
                    last_four: "1234".into(),
                    blocked_categories: if number % 8 == 5 { vec![5411] } else { Vec::new() },
                    blocked_channels: if number % 8 == 6 {
                        vec![Channel::Chip]
                    } else {
                        Vec::new()
                    },
                    limits,
                })
            }
        }
    }

    pub fn purchase(&self, one: &Move) -> Purchase {
        let number = one.options >> 9;
        Purchase {
            card_token: format!("card-{}", if one.amount % 40 == 7 { 9 } else { number % 2 })
                .into(),
            merchant_name: picked(&["cafe", "hotel"], one.payment.into()).into(),
            merchant_id: "".into(),
            merchant_category: picked(&[None, Some(5411)], number),
            country: "AT".into(),
            channel: picked(&[Channel::Ecommerce, Channel::Chip], number >> 1),
            network: picked(&["visa", "mastercard"], number >> 2).into(),
            original_minor: 1,
            original_currency: euro(),
        }
    }

    /// One of a few names. A life-cycle id that left the head is never opened again by a young
    /// authorisation: networks do not reuse them, and the rule about side rows relies on it.
    pub fn payment_id(&mut self, one: &Move, opens: bool) -> PaymentId {
        let linked = (154..190).contains(&one.kind) || (204..214).contains(&one.kind);
        if linked && one.payment >= 160 {
            return format!("x{}", self.sent.len() % 100).into();
        }
        // Others name what such a message named just before, but do not open it anew.
        if !linked && one.payment >= 230 {
            let recent = format!("x{}", (self.sent.len() + 98) % 100);
            let item = ItemId::payment(&recent.as_str().into());
            if self.head.items.contains_key(&item) {
                return recent.into();
            }
        }
        let name = one.payment % 24;
        let generation = self.generations.entry(name).or_default();
        let text = |generation: u32| format!("p{name}-{generation}");
        let item = ItemId::payment(&text(*generation).into());
        if opens && !self.head.items.contains_key(&item) && self.side_rows.contains_key(&item) {
            *generation += 1;
        }
        text(*generation).into()
    }
}
