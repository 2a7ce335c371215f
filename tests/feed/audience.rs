//! Who sees what: holders, card holders, and changes from their position on.

use crate::desk::{expect, opened};

/// Goal: F3: one posting, two holders, two items; the card's customer first, once, whether they
/// hold the account or not; others of the account see nothing of a card that is not theirs unless
/// they hold it. Method: a table.
#[test]
fn joint_account() {
    let (mut world, mut desk) = opened(&["anna", "ben role=disponent"]);
    expect(
        "joint",
        &mut world,
        &mut desk,
        &[
            (
                "auth p1 10",
                "customer-1=card_holder anna=owner ben=disponent: p1 v1 purchase pending \
                 authorised 10 pending 10",
            ),
            ("give c1 ben", "customer-1=card_holder: holding removed; ben=disponent: holding"),
            ("present p1 10", "ben=card_holder anna=owner: p1 v2 purchase cleared presented 10"),
            ("give c2 carl", "carl=card_holder: holding"),
            (
                "auth p2 20 card=c2",
                "carl=card_holder anna=owner ben=disponent: p2 v1 purchase declined declined 20 \
                 card_unknown",
            ),
            (
                "auth p3 20 card=c3",
                "anna=owner ben=disponent: p3 v1 purchase declined declined 20 card_unknown",
            ),
            ("credit 5", "anna=owner ben=disponent: message/m10 v1 credit booked booked 5"),
            ("holder ben removed", "ben=card_holder: holding"),
            ("credit 6", "anna=owner: message/m12 v1 credit booked booked 6"),
            (
                "auth p4 7",
                "ben=card_holder anna=owner: p4 v1 purchase pending authorised 7 pending 7",
            ),
            ("holder ben role=owner", "ben=owner: holding"),
            ("holder ben role=disponent", "ben=disponent: holding"),
            ("holder dora removed", ""),
            ("give c1 anna", "ben=disponent anna=owner: holding"),
            ("holder ben removed", "ben=disponent: holding removed"),
            ("reverse p4 7", "anna=card_holder: p4 v2 purchase reversed reversed 7"),
        ],
    );
}

/// Goal: whoever comes later sees what happens from then on, in the versions of everybody; a
/// payment that nobody saw has a life all the same. Method: a table on an account without holders.
#[test]
fn from_their_position_on() {
    let (mut world, mut desk) = opened(&[]);
    desk.run(&mut world, "card c1");
    expect(
        "later",
        &mut world,
        &mut desk,
        &[
            ("credit 5", ""),
            ("give c1 tapline.partition", "customer-1=card_holder: holding removed"),
            ("auth p1 10", ""),
            ("increment p1 5", ""),
            ("holder anna", "anna=owner: holding"),
            ("present p1 15 last", "anna=owner: p1 v3 purchase cleared presented 15"),
            ("holder ben", "ben=owner: holding"),
            ("holder anna removed", "anna=owner: holding removed"),
            ("refund p1 15", "ben=owner: p1 v4 purchase refunded refunded 15 refunded 15"),
        ],
    );
}

/// Goal: a decline under a payment's name never shows it to another card's customer. Method: an
/// increment with another card.
#[test]
fn another_card_on_a_known_payment() {
    let (mut world, mut desk) = opened(&["anna"]);
    expect(
        "another card",
        &mut world,
        &mut desk,
        &[
            ("give c9 mallory", "mallory=card_holder: holding"),
            (
                "auth p1 10",
                "customer-1=card_holder anna=owner: p1 v1 purchase pending authorised 10 pending 10",
            ),
            (
                "increment p1 5000 card=c9",
                "customer-1=card_holder anna=owner: p1 v2 purchase pending declined 10 pending 10 \
                 card_unknown",
            ),
        ],
    );
}
