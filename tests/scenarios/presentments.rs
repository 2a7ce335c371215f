//! What presentments, their reversals and refunds do (T9 to T14), and how they find their payment.

use crate::driver::World;

/// Goal: a presentment posts in full whatever is left of the hold, and says what was out of the
/// ordinary. Method: one line per message.
#[test]
fn presentments_post_in_full() {
    World::funded(1000).expect(
        "presentments",
        &[
            ("auth exact 300", "authorised request A+300 [exact: A300 H300 pending] 1000/300"),
            (
                "present exact 300 last",
                "presented life_cycle M+300 [exact: A300 M300 cleared complete] 700/0",
            ),
            (
                "present exact 10",
                "presented life_cycle O+10 [exact: A300 M300 O10 cleared over complete] 690/0",
            ),
            ("auth tip 300", "authorised request A+300 [tip: A300 H300 pending] 690/300"),
            (
                "present tip 345 n=1 of=1",
                "presented life_cycle M+300 O+45 [tip: A300 M300 O45 cleared over complete] 345/0",
            ),
            ("auth part 300", "authorised request A+300 [part: A300 H300 pending] 345/300"),
            (
                "present part 100 n=1 of=3",
                "presented life_cycle M+100 [part: A300 M100 H200 partially_cleared] 245/200",
            ),
            (
                "present part 50 n=2 of=3",
                "presented life_cycle M+50 [part: A300 M150 H150 partially_cleared] 195/150",
            ),
            (
                "present part 50 n=3 of=3",
                "presented life_cycle M+50 E+100 [part: A300 E100 M200 cleared complete] 145/0",
            ),
            (
                "present part 20",
                "presented life_cycle O+20 [part: A300 E100 M200 O20 cleared over complete] 125/0",
            ),
            ("auth rest 55", "authorised request A+55 [rest: A55 H55 pending] 125/55"),
            (
                "present rest 0 last",
                "presented life_cycle E+55 [rest: A55 E55 expired complete] 125/0",
            ),
            ("auth much 9000", "declined insufficient_funds 125/0"),
            (
                "present much 9000",
                "presented life_cycle O+9000 [much: O9000 cleared after_decline] -8875/0",
            ),
            ("present forced 10", "presented none O+10 [forced: O10 cleared forced] -8885/0"),
            (
                "present forced 10 last",
                "presented life_cycle O+10 [forced: O20 cleared forced complete] -8895/0",
            ),
            ("credit 20000", "credited 20000 11105/0"),
            ("auth back 100", "authorised request A+100 [back: A100 H100 pending] 11105/100"),
            ("reverse back all", "reversed V+100 [back: A100 V100 reversed] 11105/0"),
            (
                "present back 100",
                "presented life_cycle O+100 [back: A100 V100 O100 cleared after_reversal] 11005/0",
            ),
            ("present bad 1 n=2 of=1", "poison sequence_invalid"),
            ("present bad 1 n=0 of=1", "poison sequence_invalid"),
            ("present bad 1 n=-1 of=-1", "poison sequence_invalid"),
            ("present bad -1", "poison amount_negative"),
            ("present bad 10000000000001", "poison amount_overflow"),
            ("auth bad -1", "poison amount_negative"),
            ("advise bad -1", "poison amount_negative"),
            ("refund bad 0", "poison amount_not_positive"),
            ("unpresent bad 0", "poison amount_not_positive"),
            ("credit 0", "poison amount_not_positive"),
            ("debit 0", "poison amount_not_positive"),
            ("open EUR overdraft=-1", "poison amount_negative"),
            ("change daily=-1", "poison amount_negative"),
            ("change velocity=1 window_h=0", "poison velocity_invalid"),
            ("change status=unopened", "poison status_invalid"),
            ("credit 1 key=other", "poison key_mismatch"),
            ("credit 1 id=", "poison id_missing"),
        ],
    );
}

/// Goal: T12 to T14; C never falls below 0, no hold comes back, F may exceed C. Method: one line
/// per message.
#[test]
fn presentment_reversals_and_refunds() {
    World::funded(1000).expect(
        "refunds",
        &[
            ("auth p 300", "authorised request A+300 [A300 H300 pending] 1000/300"),
            (
                "present p 100",
                "presented life_cycle M+100 [A300 M100 H200 partially_cleared] 900/200",
            ),
            ("unpresent p 40", "unpresented K+40 [A300 M100 K40 H200 partially_cleared] 940/200"),
            (
                "unpresent p 100",
                "unpresented K+60 excess 40 [A300 M100 K100 H200 partially_cleared \
                 over_presentment_reversal] 1000/200",
            ),
            (
                "unpresent p 10",
                "unpresented excess 10 [A300 M100 K100 H200 partially_cleared \
                 over_presentment_reversal] 1000/200",
            ),
            (
                "unpresent unknown 10",
                "unpresented excess 10 [unknown: verified over_presentment_reversal] 1000/200",
            ),
            ("auth q 300", "authorised request A+300 [q: A300 H300 pending] 1000/500"),
            (
                "present q 300 last",
                "presented life_cycle M+300 [q: A300 M300 cleared complete] 700/200",
            ),
            (
                "announce q 100",
                "announced 100 [q: A300 M300 cleared refund_announced complete] 700/200",
            ),
            (
                "refund q 100",
                "refunded life_cycle F+100 [q: A300 M300 F100 cleared refund_announced \
                 partly_refunded complete] 800/200",
            ),
            (
                "refund q 200",
                "refunded life_cycle F+200 [q: A300 M300 F300 cleared refund_announced refunded \
                 complete] 1000/200",
            ),
            (
                "refund q 1",
                "refunded life_cycle F+1 [q: A300 M300 F301 cleared refund_announced \
                 over_refunded refunded complete] 1001/200",
            ),
            ("announce new 80", "announced 80 [new: credit_only refund_announced] 1001/200"),
            (
                "refund new 80",
                "refunded life_cycle F+80 [new: F80 credit_only refund_announced] 1081/200",
            ),
            ("refund unlinked 70", "refunded none F+70 [unlinked: F70 credit_only] 1151/200"),
            (
                "refund unlinked 70",
                "refunded life_cycle F+70 [unlinked: F140 credit_only] 1221/200",
            ),
        ],
    );
}

/// Goal: the linking ladder; the first unique hit wins, ambiguous is no hit. Method: one line per
/// message; the authorisation codes are those of the messages `code-1`, `code-2`.
#[test]
fn linking_ladder() {
    World::funded(10_000).expect(
        "ladder",
        &[
            (
                "auth a 300 merchant=cafe id=code-1",
                "authorised request A+300 [a: A300 H300 pending] 10000/300",
            ),
            (
                "auth b 500 merchant=cafe id=code-2",
                "authorised request A+500 [b: A500 H500 pending] 10000/800",
            ),
            (
                "auth c 500 merchant=bar",
                "authorised request A+500 [c: A500 H500 pending] 10000/1300",
            ),
            // Rule 2: the code, although the amount fits another one.
            (
                "present x1 500 merchant=cafe code=414035",
                "presented authorisation_code M+300 O+200 [a: A300 M300 O200 cleared over] \
                 9500/1000",
            ),
            (
                "present x1 10 merchant=cafe",
                "presented life_cycle O+10 [a: A300 M300 O210 cleared over] 9490/1000",
            ),
            (
                "present x2 500 merchant=bar code=414035",
                "presented card_merchant_amount M+500 [c: A500 M500 cleared] 8990/500",
            ),
            (
                "present x3 500 merchant=cafe card=c2 code=315196",
                "presented none O+500 [x3: O500 cleared forced] 8490/500",
            ),
            // Rule 3: the amount within 20 %.
            (
                "present x4 599 merchant=cafe",
                "presented card_merchant_amount M+500 O+99 [b: A500 M500 O99 cleared over] 7891/0",
            ),
            (
                "present x5 300 merchant=cafe",
                "presented none O+300 [x5: O300 cleared forced] 7591/0",
            ),
            (
                "auth d 100 merchant=kiosk",
                "authorised request A+100 [d: A100 H100 pending] 7591/100",
            ),
            (
                "auth e 110 merchant=kiosk",
                "authorised request A+110 [e: A110 H110 pending] 7591/210",
            ),
            (
                "present x6 105 merchant=kiosk",
                "presented ambiguous O+105 [x6: O105 cleared forced] 7486/210",
            ),
            (
                "present x7 121 merchant=kiosk",
                "presented card_merchant_amount M+110 O+11 [e: A110 M110 O11 cleared over] \
                 7365/100",
            ),
            (
                "present x8 80 merchant=kiosk",
                "presented card_merchant_amount M+80 [d: A100 M80 H20 partially_cleared] 7285/20",
            ),
            // What has an alias is found by it; its repeat is known under it.
            ("reverse x8 all", "reversed V+20 [d: A100 V20 M80 cleared] 7285/0"),
            ("unpresent x8 80", "unpresented K+80 [d: A100 V20 M80 K80 clearing_reversed] 7365/0"),
            (
                "refund x8 1",
                "refunded life_cycle F+1 [d: A100 V20 M80 K80 F1 clearing_reversed \
                 over_refunded] 7366/0",
            ),
            // An authorisation under an alias opens a payment of its own.
            ("auth x8 80 merchant=kiosk", "authorised request A+80 [x8: A80 H80 pending] 7366/80"),
            (
                "present x8 80 merchant=kiosk",
                "presented life_cycle M+80 [x8: A80 M80 cleared] 7286/0",
            ),
            // Refunds: card, merchant and exactly what was cleared.
            ("auth f 77 merchant=zoo", "authorised request A+77 [f: A77 H77 pending] 7286/77"),
            (
                "present f 77 merchant=zoo last",
                "presented life_cycle M+77 [f: A77 M77 cleared complete] 7209/0",
            ),
            ("refund y1 76 merchant=zoo", "refunded none F+76 [y1: F76 credit_only] 7285/0"),
            (
                "refund y2 77 merchant=zoo",
                "refunded card_merchant_amount F+77 [f: A77 M77 F77 cleared refunded complete] \
                 7362/0",
            ),
            ("refund y3 77 merchant=zoo", "refunded none F+77 [y3: F77 credit_only] 7439/0"),
            ("present y4 77 merchant=zoo", "presented none O+77 [y4: O77 cleared forced] 7362/0"),
            ("present y5 77 merchant=zoo", "presented none O+77 [y5: O77 cleared forced] 7285/0"),
            ("refund y6 77 merchant=zoo", "refunded ambiguous F+77 [y6: F77 credit_only] 7362/0"),
        ],
    );
}

/// Goal: no match beyond the end of the hold and 30 days. Method: the last day of each and the
/// next.
#[test]
fn linking_ends() {
    World::funded(10_000).expect(
        "ladder in time",
        &[
            (
                "auth a 300 id=code-1 at=10",
                "authorised request A+300 [a: A300 H300 pending] 10000/300",
            ),
            (
                "auth b 300 id=code-2 at=10",
                "authorised request A+300 [b: A300 H300 pending] 10000/600",
            ),
            (
                "tick 5",
                "expired E+300 [a: A300 E300 expired] 10000/300; expired E+300 [b: A300 E300 \
                 expired] 10000/0",
            ),
            ("present x1 300", "presented none O+300 [x1: O300 cleared forced] 9700/0"),
            ("tick 35", "nothing due"),
            (
                "present x2 300 code=414035",
                "presented authorisation_code O+300 [a: A300 E300 O300 cleared late] 9400/0",
            ),
            ("tick 36", "m:card leaves; m:funds leaves; m:opening leaves"),
            ("present x3 300 code=315196", "presented none O+300 [x3: O300 cleared forced] 9100/0"),
        ],
    );
}

/// Goal: the billing amount is the network's (I7). Method: original amounts in another currency do
/// not touch the balance.
#[test]
fn original_amounts() {
    World::funded(1000).expect(
        "original amounts",
        &[
            (
                "auth p 300 original=32400 original_cur=JPY",
                "authorised request A+300 [A300 H300 pending] 1000/300",
            ),
            (
                "present p 311 original=32400 original_cur=JPY last",
                "presented life_cycle M+300 O+11 [A300 M300 O11 cleared over complete] 689/0",
            ),
            ("auth q 300 cur=JPY", "declined currency_mismatch 689/0"),
        ],
    );
}

/// Goal: what must be accepted but cannot be booked moves no balance and is remembered. Method:
/// each message on an unknown account, again after opening, and in another currency.
#[test]
fn suspense() {
    World::empty().expect(
        "suspense",
        &[
            ("present p 10 id=a", "suspense present 10 account_unknown"),
            ("advise q 10 id=b", "suspense advise 0 account_unknown"),
            ("advise s 10 single id=c", "suspense advise 10 account_unknown"),
            ("refund r 10 id=d", "suspense refund -10 account_unknown"),
            ("reverse t 10 id=e", "suspense reverse 0 account_unknown"),
            ("unpresent u 10 id=f", "suspense reverse_presentment -10 account_unknown"),
            ("announce v 10 id=g", "suspense authorise_refund 0 account_unknown"),
            ("credit 10 id=h", "suspense credit -10 account_unknown"),
            ("debit 10 advice id=i", "suspense debit 10 account_unknown"),
            ("advise w 10 declined id=j", "declined declined_elsewhere"),
            ("auth x 10 id=k", "declined account_unknown"),
            ("increment y 10 id=l", "declined account_unknown"),
            ("debit 10 id=m", "declined debit account_unknown"),
            ("holder customer-1 id=n", "declined change_holder account_unknown"),
            ("card c1 id=o", "declined change_card account_unknown"),
            ("change overdraft=5 id=q", "declined change_account account_unknown"),
            ("open EUR overdraft=100", "opened 0/0"),
            ("card c1", "card c1 active 0/0"),
            ("present p 10 id=a", "repeated no account_unknown 0/0"),
            ("advise q 10 id=b", "repeated no account_unknown 0/0"),
            ("credit 10 id=h", "repeated no account_unknown 0/0"),
            ("auth x 10 id=k", "repeated no account_unknown 0/0"),
            ("debit 10 id=m", "repeated no account_unknown 0/0"),
            ("holder customer-1 id=n", "repeated no account_unknown 0/0"),
            ("present p 10", "presented life_cycle O+10 [O10 cleared forced] -10/0"),
            ("auth x 10", "authorised request A+10 [x: A10 H10 pending] -10/10"),
            ("reverse t 10", "reversed over 10 [t: reversed tombstone] -10/10"),
            ("present p 10 cur=USD", "suspense present 10 currency_mismatch -10/10"),
            ("advise q 10 cur=USD", "suspense advise 0 currency_mismatch -10/10"),
            ("refund r 10 cur=USD", "suspense refund -10 currency_mismatch -10/10"),
            ("reverse x 10 cur=USD", "suspense reverse 0 currency_mismatch -10/10"),
            ("unpresent p 10 cur=USD", "suspense reverse_presentment -10 currency_mismatch -10/10"),
            ("announce v 10 cur=USD", "suspense authorise_refund 0 currency_mismatch -10/10"),
            ("credit 10 cur=USD", "suspense credit -10 currency_mismatch -10/10"),
            ("debit 10 advice cur=USD", "suspense debit 10 currency_mismatch -10/10"),
            ("debit 10 cur=USD", "declined debit currency_mismatch -10/10"),
            ("increment x 10 cur=USD", "declined currency_mismatch -10/10"),
            ("reverse x all", "reversed V+10 [x: A10 V10 reversed] -10/0"),
        ],
    );
}
