//! The life of a synthetic card payment: how it is asked for, and what follows when.
//!
//! Owns the mix: how many of a thousand payments are partly reversed, presented in several parts,
//! refunded and so on. Knows no account and no time; delays are in thousandths of a day, since a
//! run may play a day in a second.

use rand::Rng;

/// Of a thousand payments, how many; each line is drawn by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Decided elsewhere: an advice instead of a request.
    pub advised: u32,
    pub incremented: u32,
    pub partly_reversed: u32,
    /// Given back in full; nothing is presented.
    pub reversed: u32,
    /// Presented below the hold, above it, or in two to four parts; the rest exactly.
    pub presented_below: u32,
    pub presented_above: u32,
    pub presented_in_parts: u32,
    /// Approved and never presented: the hold expires.
    pub forgotten: u32,
    pub refunded: u32,
    /// Asked for and declined, for each of the four reasons of [`Ask`].
    pub declined_each: u32,
    /// Of a thousand new arrivals, so many bring the account its opening balance once more.
    pub paid_in: u32,
    /// Of a thousand messages: sent again as they were, or with another amount.
    pub repeated: u32,
    pub changed: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            advised: 20,
            incremented: 30,
            partly_reversed: 20,
            reversed: 30,
            presented_below: 50,
            presented_above: 50,
            presented_in_parts: 40,
            forgotten: 10,
            refunded: 20,
            declined_each: 5,
            paid_in: 10,
            repeated: 10,
            changed: 5,
        }
    }
}

/// How the payment is asked for; all but the first are meant to be declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Plainly,
    WithUnknownCard,
    OnFrozenAccount,
    AtBlockedCategory,
    ForTooMuch,
}

/// What follows; amounts in minor units, above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Increment {
        amount_minor: i64,
    },
    /// Absent: the whole hold.
    Reverse {
        amount_minor: Option<i64>,
    },
    Present {
        amount_minor: i64,
        number: i32,
        count: i32,
    },
    Refund {
        amount_minor: i64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub ask: Ask,
    pub advised: bool,
    /// Ascending: thousandths of a day after the request, and what comes then.
    pub acts: Vec<(i64, Act)>,
}

/// Draws the life of one payment of `amount_minor`, posted `delay_days` after the purchase.
pub fn draw(mix: &Mix, amount_minor: i64, delay_days: i64, rng: &mut impl Rng) -> Life {
    let mut chance = |of_thousand: u32| rng.random_range(0..1_000) < of_thousand;
    for ask in [Ask::WithUnknownCard, Ask::OnFrozenAccount, Ask::AtBlockedCategory, Ask::ForTooMuch]
    {
        if chance(mix.declined_each) {
            return Life { ask, advised: false, acts: Vec::new() };
        }
    }
    let advised = chance(mix.advised);
    let (mut total_minor, mut acts) = (amount_minor, Vec::new());
    if chance(mix.incremented) {
        let more_minor = amount_minor / 5 + 1;
        acts.push((100, Act::Increment { amount_minor: more_minor }));
        total_minor += more_minor;
    }
    if chance(mix.reversed) {
        acts.push((200, Act::Reverse { amount_minor: None }));
        return Life { ask: Ask::Plainly, advised, acts };
    }
    if chance(mix.partly_reversed) && total_minor > 1 {
        let back_minor = (total_minor / 3).max(1);
        acts.push((200, Act::Reverse { amount_minor: Some(back_minor) }));
        total_minor -= back_minor;
    }
    if chance(mix.forgotten) {
        return Life { ask: Ask::Plainly, advised, acts };
    }
    let refunded = chance(mix.refunded);
    let mut count = 1;
    if chance(mix.presented_in_parts) && total_minor >= 4 {
        count = rng.random_range(2..=4);
    } else if chance(mix.presented_below) {
        total_minor -= total_minor * rng.random_range(5..40) / 100;
    } else if chance(mix.presented_above) {
        total_minor += total_minor * rng.random_range(1..25) / 100 + 1;
    }
    // Some time of the posting day, never before what came above.
    let posted = delay_days * 1_000 + rng.random_range(300..1_000);
    for number in 1..=count {
        let part_minor = match number {
            last if last == count => {
                total_minor - total_minor / i64::from(count) * i64::from(count - 1)
            }
            _ => total_minor / i64::from(count),
        };
        let present = Act::Present { amount_minor: part_minor, number, count };
        acts.push((posted + i64::from(number - 1) * 500, present));
    }
    if refunded {
        let amount_minor = if rng.random() { total_minor } else { (total_minor / 2).max(1) };
        acts.push((posted + 3_000, Act::Refund { amount_minor }));
    }
    Life { ask: Ask::Plainly, advised, acts }
}
