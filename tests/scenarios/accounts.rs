//! Accounts, holders, cards, credits, debits and transfers.

use crate::driver::World;

/// Goal: opening and changing. Method: one line per message.
#[test]
fn accounts() {
    let mut world = World::empty();
    world.expect(
        "accounts",
        &[
            ("change status=frozen", "declined change_account account_unknown"),
            ("open EUR overdraft=100", "opened 0/0"),
            ("open EUR overdraft=100", "declined open_account account_exists 0/0"),
            ("open USD", "declined open_account account_exists 0/0"),
            ("holder a", "holder a owner 0/0"),
            ("holder b role=disponent", "holder b disponent 0/0"),
            ("holder b", "holder b owner 0/0"),
            ("holder b removed", "holder b owner 0/0"),
            ("holder nobody removed", "holder nobody owner 0/0"),
            ("card c1 status=inactive", "card c1 inactive 0/0"),
            ("auth p 100", "declined card_inactive 0/0"),
            ("card c1", "card c1 active 0/0"),
            ("auth p 101", "declined insufficient_funds 0/0"),
            ("auth p 100", "authorised request A+100 [A100 H100 pending] 0/100"),
            ("change overdraft=40", "changed open overdraft 40 0/100"),
            ("auth q 1", "declined insufficient_funds 0/100"),
            ("change status=frozen", "changed frozen overdraft 40 0/100"),
            ("auth q 1", "declined account_frozen 0/100"),
            ("change status=closed", "changed closed overdraft 40 0/100"),
            ("credit 500", "credited 500 500/100"),
            ("auth q 1", "declined account_closed 500/100"),
            ("present p 100", "presented life_cycle M+100 [A100 M100 cleared] 400/0"),
            ("change status=open", "changed open overdraft 40 400/0"),
            ("auth q 440", "authorised request A+440 [q: A440 H440 pending] 400/440"),
            ("card c1 expires=1", "card c1 active 400/440"),
            ("card c2 status=closed", "card c2 closed 400/440"),
            ("auth r 0", "authorised verification [r: verified] 400/440"),
            ("auth r 0 card=c2", "declined card_inactive 400/440"),
            ("tick 1", "nothing due"),
            ("auth r 0", "declined card_expired 400/440"),
        ],
    );
    assert_eq!((world.head.holders.len(), world.head.cards.len()), (1, 2));
}

/// Goal: credits, debits, advised debits and transfers. Method: one line per message.
#[test]
fn bookings() {
    World::funded(100).expect(
        "bookings",
        &[
            ("credit 50", "credited 50 150/0"),
            ("debit 151", "declined debit insufficient_funds 150/0"),
            ("debit 150", "debited 150 0/0"),
            ("debit 1 advice", "debited 1 -1/0"),
            ("credit 101", "credited 101 100/0"),
            ("auth p 60", "authorised request A+60 [A60 H60 pending] 100/60"),
            ("debit 41", "declined debit insufficient_funds 100/60"),
            (
                "debit 40 to=account-2 id=t",
                "debited 40 60/60; command account-2 credit 40 transfer:t",
            ),
            ("debit 41 to=account-2 id=no", "declined debit insufficient_funds 60/60"),
            (
                "debit 41 advice to=account-2 id=advised",
                "debited 41 19/60; command account-2 credit 41 transfer:advised",
            ),
            ("debit 41 advice to= id=nobody", "poison id_missing"),
        ],
    );
}

/// Goal: sums that would leave the bounds are poison and change nothing. Method: the largest
/// amounts until one is refused.
#[test]
fn overflow() {
    let mut world = World::funded(0);
    world.head.standing.booked_minor = i64::MAX / 8 - 10_000_000_000_000;
    assert_eq!(world.run("credit 10000000000000"), "credited 10000000000000 1152921504606846975/0");
    let head = world.head.clone();
    assert_eq!(world.run("credit 1"), "poison amount_overflow");
    assert_eq!(world.run("refund p 1"), "poison amount_overflow");
    assert_eq!(world.run("change overdraft=1"), "poison amount_overflow");
    assert_eq!(world.head, head);
}
