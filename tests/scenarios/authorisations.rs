//! What authorisations, advices, increments and reversals do (T1 to T7, T11b), and every decline.

use crate::driver::World;

/// Goal: the worked example of docs/payments.md. Method: its lines, one by one.
#[test]
fn worked_example() {
    World::funded(1000).expect(
        "worked example",
        &[
            ("auth p 300", "authorised request A+300 [A300 H300 pending] 1000/300"),
            ("increment p 200", "authorised increment A+200 [A500 H500 pending] 1000/500"),
            ("reverse p 100", "reversed V+100 [A500 V100 H400 pending] 1000/400"),
            (
                "present p 150 n=1 of=2",
                "presented life_cycle M+150 [A500 V100 M150 H250 partially_cleared] 850/250",
            ),
            ("tick 7", "expired E+250 [A500 V100 E250 M150 cleared] 850/0"),
            (
                "present p 900 n=2 of=2",
                "presented life_cycle O+900 [A500 V100 E250 M150 O900 cleared late complete] -50/0",
            ),
            (
                "unpresent p 900",
                "unpresented K+900 [A500 V100 E250 M150 O900 K900 cleared late complete] 850/0",
            ),
            (
                "refund p 150",
                "refunded life_cycle F+150 \
                 [A500 V100 E250 M150 O900 K900 F150 cleared late refunded complete] 1000/0",
            ),
        ],
    );
}

/// Faults in checking order, each with what makes it true.
const REASONS: [&str; 16] = [
    "account_unknown",
    "currency_mismatch",
    "account_closed",
    "account_frozen",
    "card_unknown",
    "card_inactive",
    "card_paused",
    "card_expired",
    "merchant_category_blocked",
    "channel_blocked",
    "transaction_limit",
    "daily_limit",
    "monthly_limit",
    "lifetime_limit",
    "velocity_limit",
    "insufficient_funds",
];

/// An account with these faults and the answer of a request of 100 on it.
fn answer_with(faults: &[&str], request: &str) -> String {
    let has = |name: &str| faults.contains(&name);
    let option = |name: &str, option: &'static str| if has(name) { option } else { "" };
    let mut world = World::empty();
    if !has("account_unknown") {
        world.run(&format!(
            "open EUR {} {} {} {} {}",
            option("transaction_limit", "per_transaction=99"),
            option("daily_limit", "daily=99"),
            option("monthly_limit", "monthly=99"),
            option("lifetime_limit", "lifetime=99"),
            option("velocity_limit", "velocity=0"),
        ));
    }
    if !has("insufficient_funds") {
        world.run("credit 1000");
    }
    if !has("card_unknown") {
        let paused = option("card_paused", "status=paused");
        world.run(&format!(
            "card c1 {} {} {} {}",
            if has("card_inactive") { "status=inactive" } else { paused },
            option("card_expired", "expires=0"),
            option("merchant_category_blocked", "block_mcc=5411"),
            option("channel_blocked", "block=chip"),
        ));
    }
    if has("account_closed") {
        world.run("change status=closed");
    } else if has("account_frozen") {
        world.run("change status=frozen");
    }
    let before = world.head.standing;
    let answer = world.run(&format!("{request} {}", option("currency_mismatch", "cur=USD")));
    let refused = answer.starts_with("declined");
    assert!(!refused || world.head.standing == before, "I5: {faults:?}");
    answer
}

/// Goal: each reason alone declines, and of two the earlier wins. Method: all 16 reasons and
/// all 120 pairs of them, for three kinds of request.
#[test]
fn first_reason_wins() {
    for request in ["auth p 100", "increment p 100", "auth p 100 single"] {
        assert!(answer_with(&[], request).starts_with("authorised"), "{request}");
        for (place, first) in REASONS.iter().enumerate() {
            for second in &REASONS[place..] {
                let answer = answer_with(&[first, second], request);
                let declined = format!("declined {first}");
                let words = answer.strip_prefix(&declined);
                let balances = words.is_some_and(|w| w.is_empty() || w.starts_with(' '));
                assert!(balances, "{request}: {first} and {second} gave {answer}");
            }
        }
    }
}

/// Goal: a checked debit has no card but else the same reasons. Method: its reasons and
/// their pairs.
#[test]
fn first_reason_of_a_debit_wins() {
    let reasons = REASONS.iter().filter(|r| !r.contains("card") && !r.contains("blocked"));
    let reasons: Vec<&str> = reasons.copied().collect();
    assert_eq!(reasons.len(), 10);
    for (place, first) in reasons.iter().enumerate() {
        for second in &reasons[place..] {
            let answer = answer_with(&[first, second], "debit 100");
            assert!(answer.starts_with(&format!("declined debit {first}")), "{first} {second}");
        }
    }
}

/// Goal: what must be accepted is accepted in every state of account and card (R5, I12). Method:
/// all 14 faults that money can be booked under, times every such message.
#[test]
fn must_accept() {
    for message in [
        "advise p 100",
        "advise p 100 single",
        "present p 100",
        "refund p 100",
        "credit 100",
        "debit 100 advice",
        "reverse p 100",
        "unpresent p 100",
        "announce p 100",
    ] {
        for fault in &REASONS[2..] {
            let answer = answer_with(&[fault], message);
            let no = ["declined", "suspense", "poison"].iter().any(|no| answer.starts_with(no));
            assert!(!no && !answer.is_empty(), "{message} under {fault} gave {answer}");
        }
    }
}

/// Goal: T1, T2, T4 and partial approval. Method: one line per message.
#[test]
fn requests() {
    World::funded(1000).expect(
        "requests",
        &[
            ("auth a 1001", "declined insufficient_funds 1000/0"),
            ("auth a 1001 partial", "authorised request A+1000 [a: A1000 H1000 pending] 1000/1000"),
            ("auth b 1 partial", "declined insufficient_funds 1000/1000"),
            ("auth c 1", "declined insufficient_funds 1000/1000"),
            ("auth d 0", "authorised verification [d: verified] 1000/1000"),
            ("reverse a all", "reversed V+1000 [a: A1000 V1000 reversed] 1000/0"),
            (
                "auth e 400 single",
                "authorised single_message A+400 M+400 [e: A400 M400 cleared] 600/0",
            ),
            (
                "auth f 700 single partial",
                "authorised single_message A+600 M+600 [f: A600 M600 cleared] 0/0",
            ),
            ("auth g 0 single", "authorised verification [g: verified] 0/0"),
            ("reverse e all", "reversed [e: A400 M400 cleared after_presentment] 0/0"),
            ("reverse e 10", "reversed over 10 [e: A400 M400 cleared after_presentment] 0/0"),
            (
                "unpresent e 400",
                "unpresented K+400 [e: A400 M400 K400 clearing_reversed after_presentment] 400/0",
            ),
            ("auth h 100", "authorised request A+100 [h: A100 H100 pending] 400/100"),
            ("auth h 100", "authorised request A+100 [h: A200 H200 pending] 400/200"),
            ("auth h 250", "declined insufficient_funds 400/200"),
            ("auth h 200 partial", "authorised request A+200 [h: A400 H400 pending] 400/400"),
            ("present d 0 last", "presented life_cycle [d: verified complete] 400/400"),
        ],
    );
}

/// Goal: T5; a decline leaves the hold, an unknown payment is opened, the class decides whether the
/// hold time starts anew. Method: one line per message, with ticks at the two possible ends.
#[test]
fn increments() {
    World::funded(1000).expect(
        "increments",
        &[
            ("increment p 600", "authorised increment A+600 [A600 H600 pending] 1000/600"),
            ("increment p 500", "declined insufficient_funds 1000/600"),
            ("increment p 400", "authorised increment A+400 [A1000 H1000 pending] 1000/1000"),
            ("increment p 0", "poison amount_not_positive"),
            ("reverse p all", "reversed V+1000 [A1000 V1000 reversed] 1000/0"),
            ("increment p 1", "authorised increment A+1 [A1001 V1000 H1 pending] 1000/1"),
            ("reverse p all", "reversed V+1 [A1001 V1001 reversed] 1000/0"),
            (
                "auth visa 10 network=visa",
                "authorised request A+10 [visa: A10 H10 pending] 1000/10",
            ),
            (
                "auth mc 10 network=mastercard",
                "authorised request A+10 [mc: A10 H10 pending] 1000/20",
            ),
            (
                "auth bed 10 network=visa class=lodging",
                "authorised request A+10 [bed: A10 H10 pending] 1000/30",
            ),
            ("tick 3", "nothing due"),
            (
                "increment visa 1 network=visa",
                "authorised increment A+1 [visa: A11 H11 pending] 1000/31",
            ),
            (
                "increment mc 1 network=mastercard",
                "authorised increment A+1 [mc: A11 H11 pending] 1000/32",
            ),
            (
                "increment bed 1 network=visa class=lodging",
                "authorised increment A+1 [bed: A11 H11 pending] 1000/33",
            ),
            ("tick 5", "expired E+11 [visa: A11 E11 expired] 1000/22"),
            ("tick 7", "nothing due"),
            ("tick 10", "expired E+11 [mc: A11 E11 expired] 1000/11"),
            ("tick 31", "nothing due"),
            ("tick 34", "expired E+11 [bed: A11 E11 expired] 1000/0"),
        ],
    );
}

/// Goal: T3, with and without a final total. Method: one line per message.
#[test]
fn advices() {
    World::funded(100).expect(
        "advices",
        &[
            ("advise p 300", "authorised advice A+300 [A300 H300 pending] 100/300"),
            ("advise p 50", "authorised advice A+50 [A350 H350 pending] 100/350"),
            ("advise p 200 total", "authorised advice V+150 [A350 V150 H200 pending] 100/200"),
            ("advise p 260 total", "authorised advice A+60 [A410 V150 H260 pending] 100/260"),
            ("advise p 260 total", "authorised advice [A410 V150 H260 pending] 100/260"),
            (
                "present p 100",
                "presented life_cycle M+100 [A410 V150 M100 H160 partially_cleared] 0/160",
            ),
            (
                "advise p 300 total",
                "authorised advice A+40 [A450 V150 M100 H200 partially_cleared] 0/200",
            ),
            ("advise p 0 total", "authorised advice V+200 [A450 V350 M100 cleared] 0/0"),
            (
                "present p 20 last",
                "presented life_cycle O+20 [A450 V350 M100 O20 cleared after_reversal complete] \
                 -20/0",
            ),
            (
                "advise p 500 total",
                "authorised advice [A450 V350 M100 O20 cleared after_reversal complete] -20/0",
            ),
            (
                "advise p 500",
                "authorised advice A+500 E+500 [A950 V350 E500 M100 O20 cleared after_reversal \
                 authorised_late complete] -20/0",
            ),
            ("advise atm 70 single", "authorised advice A+70 M+70 [atm: A70 M70 cleared] -90/0"),
            ("advise no 70 declined", "declined declined_elsewhere -90/0"),
            ("present no 70", "presented life_cycle O+70 [no: O70 cleared after_decline] -160/0"),
            ("auth mix 10", "declined insufficient_funds -160/0"),
            ("advise mix 10", "authorised advice A+10 [mix: A10 H10 pending] -160/10"),
            ("advise mix 30 declined", "declined declined_elsewhere -160/10"),
            (
                "advise fuel 150 single total",
                "authorised advice A+150 M+150 [fuel: A150 M150 cleared] -310/10",
            ),
            ("advise pump 100", "authorised advice A+100 [pump: A100 H100 pending] -310/110"),
            (
                "advise pump 60 single total",
                "authorised advice V+40 M+60 [pump: A100 V40 M60 cleared] -370/10",
            ),
        ],
    );
}

/// Goal: T6; nothing beyond the hold is given back. Method: one line per reversal.
#[test]
fn reversals() {
    World::funded(1000).expect(
        "reversals",
        &[
            ("auth p 300", "authorised request A+300 [A300 H300 pending] 1000/300"),
            ("reverse p 100", "reversed V+100 [A300 V100 H200 pending] 1000/200"),
            ("reverse p 0", "poison amount_not_positive"),
            ("reverse p 250", "reversed V+200 over 50 [A300 V300 reversed over_reversal] 1000/0"),
            ("reverse p all", "reversed [A300 V300 reversed over_reversal] 1000/0"),
            (
                "present p 300",
                "presented life_cycle O+300 [A300 V300 O300 cleared after_reversal \
                 over_reversal] 700/0",
            ),
            ("auth q 300", "authorised request A+300 [q: A300 H300 pending] 700/300"),
            (
                "present q 100",
                "presented life_cycle M+100 [q: A300 M100 H200 partially_cleared] 600/200",
            ),
            ("reverse q all", "reversed V+200 [q: A300 V200 M100 cleared] 600/0"),
            ("reverse q all", "reversed [q: A300 V200 M100 cleared after_presentment] 600/0"),
            ("reverse q 5", "reversed over 5 [q: A300 V200 M100 cleared after_presentment] 600/0"),
            ("auth r 5000", "declined insufficient_funds 600/0"),
            ("reverse r 5000", "reversed over 5000 [r: declined over_reversal] 600/0"),
            (
                "present r 10",
                "presented life_cycle O+10 [r: O10 cleared after_decline over_reversal] 590/0",
            ),
            ("auth z 0", "authorised verification [z: verified] 590/0"),
            ("reverse z all", "reversed [z: verified] 590/0"),
            ("announce y 10", "announced 10 [y: credit_only refund_announced] 590/0"),
            ("reverse y all", "reversed [y: credit_only refund_announced] 590/0"),
        ],
    );
}

/// Goal: T7, with and without the original, and a presentment in between. Method: one line per
/// message or tick.
#[test]
fn tombstones() {
    World::funded(1000).expect(
        "tombstones",
        &[
            ("reverse early 300", "reversed over 300 [early: reversed tombstone] 1000/0"),
            ("reverse never 50", "reversed over 50 [never: reversed tombstone] 1000/0"),
            ("reverse late 50", "reversed over 50 [late: reversed tombstone] 1000/0"),
            ("reverse early 300", "reversed over 300 [early: reversed tombstone] 1000/0"),
            (
                "auth early 300",
                "authorised request A+300 V+300 [early: A300 V300 reversed tombstone] 1000/0",
            ),
            (
                "auth early 20",
                "authorised request A+20 V+20 [early: A320 V320 reversed tombstone] 1000/0",
            ),
            ("tick 6", "nothing due"),
            (
                "present never 50",
                "presented life_cycle O+50 [never: O50 cleared after_reversal tombstone] 950/0",
            ),
            ("tick 7", "original of late not found 950/0; original of never not found 950/0"),
            (
                "auth late 50",
                "authorised request A+50 V+50 [late: A50 V50 reversed tombstone] 950/0",
            ),
            (
                "advise late 10",
                "authorised advice A+10 V+10 [late: A60 V60 reversed tombstone] 950/0",
            ),
            (
                "increment late 10",
                "authorised increment A+10 V+10 [late: A70 V70 reversed tombstone] 950/0",
            ),
            (
                "auth early 2000",
                "authorised request A+2000 V+2000 [early: A2320 V2320 reversed tombstone] 950/0",
            ),
            ("reverse paid 10", "reversed over 10 [paid: reversed tombstone] 950/0"),
            (
                "advise paid 10 single",
                "authorised advice A+10 V+10 [paid: A10 V10 reversed tombstone] 950/0",
            ),
            (
                "present paid 10",
                "presented life_cycle O+10 [paid: A10 V10 O10 cleared after_reversal tombstone] \
                 940/0",
            ),
        ],
    );
}

/// Goal: T11b, no second hold for what was presented before the authorisation was read. Method: one
/// line per message.
#[test]
fn authorised_after_the_presentment() {
    World::funded(1000).expect(
        "authorised late",
        &[
            ("present a 300 last", "presented none O+300 [a: O300 cleared forced complete] 700/0"),
            (
                "auth a 300",
                "authorised request A+300 E+300 [a: A300 E300 O300 cleared forced \
                 authorised_late complete] 700/0",
            ),
            ("present b 100", "presented none O+100 [b: O100 cleared forced] 600/0"),
            (
                "auth b 300",
                "authorised request A+300 E+100 [b: A300 E100 O100 H200 partially_cleared \
                 forced authorised_late] 600/200",
            ),
            (
                "present b 200 last",
                "presented life_cycle M+200 [b: A300 E100 M200 O100 cleared forced \
                 authorised_late complete] 400/0",
            ),
            ("present c 500", "presented none O+500 [c: O500 cleared forced] -100/0"),
            (
                "auth c 200",
                "authorised request A+200 E+200 [c: A200 E200 O500 cleared forced \
                 authorised_late] -100/0",
            ),
            ("present d 90", "presented none O+90 [d: O90 cleared forced] -190/0"),
            ("auth d 150", "declined insufficient_funds -190/0"),
            ("auth d 150 partial", "declined insufficient_funds -190/0"),
            (
                "auth d 90",
                "authorised request A+90 E+90 [d: A90 E90 O90 cleared forced authorised_late] \
                 -190/0",
            ),
            ("present e 5 n=2 of=2", "presented none O+5 [e: O5 cleared forced complete] -195/0"),
            (
                "advise e 50",
                "authorised advice A+50 E+50 [e: A50 E50 O5 cleared forced authorised_late \
                 complete] -195/0",
            ),
            ("present f 5", "presented none O+5 [f: O5 cleared forced] -200/0"),
            (
                "advise f 50",
                "authorised advice A+50 E+5 [f: A50 E5 O5 H45 partially_cleared forced \
                 authorised_late] -200/45",
            ),
            (
                "present g 40",
                "presented card_merchant_amount M+40 [f: A50 E5 M40 O5 H5 partially_cleared \
                 forced authorised_late] -240/5",
            ),
            (
                "unpresent g 40",
                "unpresented K+40 [f: A50 E5 M40 O5 K40 H5 partially_cleared forced \
                 authorised_late] -200/5",
            ),
            ("credit 1000", "credited 1000 800/5"),
            ("auth g 40", "authorised request A+40 [g: A40 H40 pending] 800/45"),
            (
                "auth g 10 single",
                "authorised single_message A+10 M+10 [g: A50 M10 H40 partially_cleared] 790/45",
            ),
        ],
    );
}
