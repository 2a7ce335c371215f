//! Which payment a message belongs to, and what a payment takes over from a purchase.
//!
//! Owns the linking ladder for presentments and refunds whose life-cycle id is unknown: the first
//! unique hit wins, an ambiguous hit is an exception and never a guess (payments.md section 2). It
//! is the only place that looks at all items of an account.

use super::draft::{Draft, Target};
use crate::domain::{
    account::{Account, Alias, Item},
    command::{Channel, HoldClass, Present, Purchase, Refund},
    event::MatchRule,
    fingerprint::Fingerprint,
    payment::{ItemId, Payment},
    rules::{HoldRule, Rules},
    time::LogTime,
};

/// The payment that the message names: known, reached through an alias, or absent.
pub(super) fn named(head: &Account, place: &ItemId) -> Option<Target> {
    match head.items.get(place)? {
        Item::Payment(payment) => Some(Target::known(place.clone(), payment)),
        Item::Alias(alias) => {
            let id = ItemId::payment(&alias.payment_id);
            let payment = head.payment(&id)?;
            let mut target = Target::known(id, payment);
            target.alias = Some((place.clone(), Alias::clone(alias)));
            Some(target)
        }
        Item::Booking(_) => None,
    }
}

/// The payment that the message names, or a new one under that name. A name that stood for another
/// payment which is gone becomes a payment of its own; the marks kept under it stay.
pub(super) fn named_or_new(draft: &Draft, place: &ItemId) -> Target {
    named(draft.head, place).unwrap_or_else(|| own(draft, place))
}

/// As `named_or_new`, but never another payment: an authorisation opens what it names.
pub(super) fn own(draft: &Draft, place: &ItemId) -> Target {
    match draft.head.items.get(place) {
        Some(Item::Payment(payment)) => Target::known(place.clone(), payment),
        Some(Item::Alias(alias)) => {
            let marks = alias.marks.clone();
            Target::new(place.clone(), Payment { marks, ..blank(draft.clock) })
        }
        Some(Item::Booking(_)) | None => Target::new(place.clone(), blank(draft.clock)),
    }
}

/// A payment of which nothing is known yet.
fn blank(clock: LogTime) -> Payment {
    Payment {
        card_token: Default::default(),
        merchant_name: Default::default(),
        merchant: 0,
        merchant_category: None,
        channel: Channel::Unknown,
        network: Default::default(),
        hold_class: HoldClass::Standard,
        counters: Default::default(),
        declined: None,
        flags: Vec::new(),
        opened_at: clock,
        deadline: None,
        authorisation_code: Default::default(),
        marks: Vec::new(),
    }
}

/// Takes over what the purchase says about card and merchant.
pub(super) fn describe(payment: &mut Payment, purchase: &Purchase, hold_class: HoldClass) {
    payment.card_token = purchase.card_token.clone();
    payment.merchant_name = purchase.merchant_name.clone();
    payment.merchant = merchant(purchase);
    payment.merchant_category = purchase.merchant_category;
    payment.channel = purchase.channel;
    payment.network = purchase.network.clone();
    payment.hold_class = hold_class;
}

/// As `describe`, where nothing is known yet.
pub(super) fn describe_blank(payment: &mut Payment, purchase: &Purchase) {
    if payment.card_token.is_empty() {
        describe(payment, purchase, payment.hold_class);
    }
}

/// Fingerprint of who the merchant is: its id, or its name where the source gives no id.
fn merchant(purchase: &Purchase) -> i64 {
    let name = if purchase.merchant_id.is_empty() {
        &purchase.merchant_name
    } else {
        &purchase.merchant_id
    };
    Fingerprint::default().text(name).value().cast_signed()
}

/// The line of the rules' hold times that fits; `None`: the default time, not restarted.
pub(super) fn hold_rule<'a>(
    rules: &'a Rules,
    network: &str,
    class: HoldClass,
) -> Option<&'a HoldRule> {
    rules.holds.iter().find(|rule| {
        rule.network.as_deref().is_none_or(|wanted| wanted == network)
            && rule.class.is_none_or(|wanted| wanted == class)
    })
}

pub(super) fn hold_ms(rules: &Rules, payment: &Payment) -> i64 {
    hold_rule(rules, &payment.network, payment.hold_class).map_or(rules.hold_ms, |r| r.hold_ms)
}

/// The linking ladder below the life-cycle id, for a presentment. Only what was approved can match.
pub(super) fn present(draft: &Draft, present: &Present) -> (MatchRule, Option<ItemId>) {
    let merchant = merchant(&present.purchase);
    let (mut by_code, mut by_amount) = (Hits::default(), Hits::default());
    for (id, payment) in draft.head.payments() {
        let same = payment.card_token == present.purchase.card_token
            && payment.merchant == merchant
            && payment.counters.approved_minor > 0;
        if !same || !in_time(draft, payment) {
            continue;
        }
        let code = &present.authorisation_code;
        if !code.is_empty() && *code == payment.authorisation_code {
            by_code.add(id);
        }
        if is_near(draft.rules, payment.counters.hold_minor(), present.amount_minor) {
            by_amount.add(id);
        }
    }
    by_code
        .verdict(MatchRule::AuthorisationCode)
        .or_else(|| by_amount.verdict(MatchRule::CardMerchantAmount))
        .unwrap_or((MatchRule::None, None))
}

/// The same for a refund: a payment of that card and merchant which cleared exactly that amount
/// and of which nothing was refunded.
pub(super) fn refund(draft: &Draft, refund: &Refund) -> (MatchRule, Option<ItemId>) {
    let merchant = merchant(&refund.purchase);
    let mut hits = Hits::default();
    for (id, payment) in draft.head.payments() {
        let same = payment.card_token == refund.purchase.card_token
            && payment.merchant == merchant
            && payment.counters.cleared_minor() == refund.amount_minor
            && payment.counters.refunded_minor == 0;
        if same && in_time(draft, payment) {
            hits.add(id);
        }
    }
    hits.verdict(MatchRule::CardMerchantAmount).unwrap_or((MatchRule::None, None))
}

#[derive(Default)]
struct Hits<'a> {
    first: Option<&'a ItemId>,
    more: bool,
}

impl<'a> Hits<'a> {
    fn add(&mut self, id: &'a ItemId) {
        self.more = self.first.is_some();
        self.first = self.first.or(Some(id));
    }

    /// `None`: no hit, ask the next rule.
    fn verdict(&self, rule: MatchRule) -> Option<(MatchRule, Option<ItemId>)> {
        let first = self.first?;
        Some(if self.more { (MatchRule::Ambiguous, None) } else { (rule, Some(first.clone())) })
    }
}

/// Until the end of the hold and some time more (ours).
fn in_time(draft: &Draft, payment: &Payment) -> bool {
    let end = payment.deadline.unwrap_or(payment.opened_at.plus_ms(hold_ms(draft.rules, payment)));
    draft.clock <= end.plus_ms(draft.rules.match_late_ms)
}

/// Within the tolerance of an open hold.
fn is_near(rules: &Rules, hold_minor: i64, amount_minor: i64) -> bool {
    let off = (i128::from(hold_minor) - i128::from(amount_minor)).abs();
    hold_minor > 0
        && off * 1000 <= i128::from(hold_minor) * i128::from(rules.match_tolerance_permille)
}
