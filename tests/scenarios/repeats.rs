//! Repeats and changed duplicates (R1 to R4, R7; I10, I11).

use crate::driver::World;

/// One message of every kind, and a change of each of its fields with the name it is told by.
const MESSAGES: [(&str, &[(&str, &str)]); 14] = [
    (
        "open EUR",
        &[
            ("open EUR at=1", "sent_at"),
            ("open USD", "currency"),
            ("open EUR overdraft=1", "overdraft_limit_minor"),
            ("open EUR daily=1", "limits"),
        ],
    ),
    (
        "change status=open",
        &[
            ("change status=frozen", "status"),
            ("change status=open overdraft=1", "overdraft_limit_minor"),
            ("change status=open velocity=1", "limits"),
        ],
    ),
    (
        "holder h",
        &[
            ("holder i", "customer_id"),
            ("holder h role=disponent", "role"),
            ("holder h removed", "removed"),
        ],
    ),
    (
        "card c2",
        &[
            ("card c3", "card_token"),
            ("card c2 status=paused", "status"),
            ("card c2 expires=1", "expires_at"),
            ("card c2 block=atm", "restrictions"),
            ("card c2 block_mcc=1", "restrictions"),
            ("card c2 monthly=1", "restrictions"),
        ],
    ),
    (
        "auth p 10",
        &[
            ("auth p 10 at=1", "sent_at"),
            ("auth p 11", "amount_minor"),
            ("auth p 10 cur=USD", "currency"),
            ("auth p 10 card=c2", "card_token"),
            ("auth p 10 merchant=b", "merchant"),
            ("auth p 10 mcc=1", "merchant"),
            ("auth p 10 original=1", "original"),
            ("auth p 10 original_cur=USD", "original"),
            ("auth p 10 channel=atm", "terms"),
            ("auth p 10 network=x", "terms"),
            ("auth p 10 class=fuel", "terms"),
            ("auth p 10 partial", "terms"),
            ("auth p 10 single", "terms"),
            ("increment p 10", "kind"),
            ("present p 10", "kind"),
        ],
    ),
    (
        "advise p 10",
        &[
            ("advise p 11", "amount_minor"),
            ("advise p 10 declined", "terms"),
            ("advise p 10 total", "terms"),
            ("advise p 10 single", "terms"),
            ("auth p 10", "kind"),
        ],
    ),
    (
        "increment p 10",
        &[("increment p 11", "amount_minor"), ("increment p 10 class=fuel", "terms")],
    ),
    (
        "reverse p 10",
        &[
            ("reverse p 11", "amount_minor"),
            ("reverse p all", "amount_minor"),
            ("reverse p 10 cur=USD", "currency"),
        ],
    ),
    (
        "present p 10",
        &[
            ("present p 11", "amount_minor"),
            ("present p 10 card=c2", "card_token"),
            ("present p 10 merchant=b", "purchase"),
            ("present p 10 network=b", "purchase"),
            ("present p 10 code=1", "reference"),
            ("present p 10 ref=1", "reference"),
            ("present p 10 n=1 of=2", "sequence"),
            ("present p 10 last", "sequence"),
        ],
    ),
    (
        "unpresent p 10",
        &[("unpresent p 11", "amount_minor"), ("unpresent p 10 ref=1", "reference")],
    ),
    (
        "announce p 10",
        &[("announce p 11", "amount_minor"), ("announce p 10 merchant=b", "merchant")],
    ),
    (
        "refund p 10",
        &[
            ("refund p 11", "amount_minor"),
            ("refund p 10 merchant=b", "purchase"),
            ("refund p 10 ref=1", "reference"),
        ],
    ),
    (
        "credit 10",
        &[
            ("credit 11", "amount_minor"),
            ("credit 10 cur=USD", "currency"),
            ("credit 10 text=a", "text"),
            ("debit 10", "kind"),
        ],
    ),
    (
        "debit 10",
        &[
            ("debit 11", "amount_minor"),
            ("debit 10 advice", "advice"),
            ("debit 10 text=a", "text"),
            ("debit 10 to=other", "transfer_to"),
        ],
    ),
];

/// Goal: a repeat gets the first answer, a changed duplicate is told by its first changed field,
/// and neither changes a byte of the head. Method: every kind of message, every field.
#[test]
fn repeats_and_conflicts() {
    for (message, changes) in MESSAGES {
        let mut world = World::funded(1000);
        let first = world.run(&format!("{message} id=same"));
        assert!(!first.starts_with("poison"), "{message}: {first}");
        let head = world.head.clone();
        let again = world.run(&format!("{message} id=same"));
        assert!(again.starts_with("repeated"), "{message}: {again}");
        assert_eq!(again.starts_with("repeated no"), first.starts_with("declined"), "{message}");
        for (changed, field) in changes {
            let answer = world.run(&format!("{changed} id=same"));
            assert!(answer.starts_with(&format!("conflict {field} ")), "{changed}: {answer}");
        }
        assert_eq!(world.head, head, "{message}");
    }
}

/// Goal: R3, R7 and the answers of repeats. Method: one line per message.
#[test]
fn first_answers() {
    World::funded(100).expect(
        "first answers",
        &[
            ("auth p 300 id=no", "declined insufficient_funds 100/0"),
            ("credit 1000", "credited 1000 1100/0"),
            ("auth p 300 id=no", "repeated no insufficient_funds 1100/0"),
            ("auth p 300 id=yes", "authorised request A+300 [A300 H300 pending] 1100/300"),
            ("auth p 300 id=yes", "repeated yes 300 1100/300"),
            ("auth p 300 id=no", "repeated no insufficient_funds 1100/300"),
            (
                "auth p 2000 partial id=part",
                "authorised request A+800 [A1100 H1100 pending] 1100/1100",
            ),
            ("auth p 2000 partial id=part", "repeated yes 800 1100/1100"),
            // R7: genuine look-alikes.
            ("present a 10", "presented none O+10 [a: O10 cleared forced] 1090/1100"),
            ("present b 10", "presented none O+10 [b: O10 cleared forced] 1080/1100"),
            ("credit 5 text=salary", "credited 5 1085/1100"),
            ("credit 5 text=salary", "credited 5 1090/1100"),
            // The same id under another payment is another message.
            ("present c 10 id=yes", "presented none O+10 [c: O10 cleared forced] 1080/1100"),
            ("debit 5000 id=debit-1", "declined debit insufficient_funds 1080/1100"),
            ("debit 5000 id=debit-1", "repeated no insufficient_funds 1080/1100"),
            ("debit 1 to=account-2 id=debit-2", "declined debit insufficient_funds 1080/1100"),
            ("debit 1 to=account-2 id=debit-2", "repeated no insufficient_funds 1080/1100"),
        ],
    );
}

/// Goal: repeats of what was linked through the ladder are known under their own id. Method: a
/// presentment and a refund, each twice and changed.
#[test]
fn repeats_under_an_alias() {
    World::funded(1000).expect(
        "aliases",
        &[
            ("auth p 300", "authorised request A+300 [A300 H300 pending] 1000/300"),
            (
                "present x 300 last id=a",
                "presented card_merchant_amount M+300 [A300 M300 cleared complete] 700/0",
            ),
            ("present x 300 last id=a", "repeated yes 300 700/0"),
            ("present x 301 last id=a", "conflict amount_minor 700/0"),
            (
                "refund y 300 id=b",
                "refunded card_merchant_amount F+300 [A300 M300 F300 cleared refunded complete] \
                 1000/0",
            ),
            ("refund y 300 id=b", "repeated yes 300 1000/0"),
            ("refund y 299 id=b", "conflict amount_minor 1000/0"),
            // Marks stay where they are when the name becomes a payment of its own.
            ("auth x 10", "authorised request A+10 [x: A10 H10 pending] 1000/10"),
            ("present x 300 last id=a", "repeated yes 300 1000/10"),
        ],
    );
}
