//! Every row of the table of postings: one line a command, and the legs of its event.

use crate::{
    desk::Desk,
    driver::{KEY, START_MS, World, rules},
    events::{events, tick_event},
};
use tapline::{
    domain::{
        command::{CreditKind, DebitKind},
        event::{AccountCredited, AccountDebited, AccountEvent, Balances, Event},
        ledger::Address,
        money::Currency,
        rules::{Fee, InterchangeRule, Rules, SettlementRule},
        time::LogTime,
    },
    stages::{Cause, Refused},
};

fn currency(text: &str) -> Currency {
    Currency::parse(text).expect("three letters")
}

/// Runs the lines through authorisation and posting; compares the words of the sets.
fn expect(name: &str, rules: &Rules, table: &[(&str, &str)]) -> Desk {
    let mut world = World::funded(100_000);
    world.rules = rules.clone();
    let mut desk = Desk::new(rules.clone());
    let mut read = 0;
    let mut report = String::new();
    let mut differs = false;
    desk.take(&tick_event(world.clock)).expect("the first tick");
    for (place, (line, then)) in
        [("", "credit: nostro-100000 cust+100000")].iter().chain(table).enumerate()
    {
        let from = desk.sets.len();
        if place > 0 {
            world.run(line);
            desk.take(&tick_event(world.clock)).expect(line);
        }
        for event in events(&world.outputs[read..]) {
            desk.take(event).expect(line);
        }
        read = world.outputs.len();
        let words = desk.words(from);
        report += &format!("        (\"{line}\", \"{words}\"),\n");
        if words != *then {
            report += &format!("        // expected: \"{then}\"\n");
            differs = true;
        }
    }
    assert!(!differs, "{name}:\n{report}");
    desk
}

/// Goal: each row of payments.md section 4 books these legs, with visa's fees of rules/1.toml (20
/// basis points earned, 3 and 1 paid, halves to the even). Method: a table.
#[test]
fn every_row() {
    let desk = expect(
        "rows",
        &rules(),
        &[
            ("auth p1 10000", "approve: cust-10000 held+10000"),
            ("increment p1 500", "approve: cust-500 held+500"),
            ("reverse p1 200", "release: held-200 cust+200"),
            (
                "present p1 10400 last",
                "present: held-10300 net+10300 cust-100 net+100 net-21 interchange+21 scheme_fees-4 \
             net+4",
            ),
            ("refund p1 10400", "refund: net-10400 cust+10400 net+21 interchange-21"),
            ("auth p2 5000", "approve: cust-5000 held+5000"),
            (
                "present p2 2000 last",
                "present: held-2000 net+2000 held-3000 cust+3000 net-4 interchange+4 scheme_fees-2 \
             net+2",
            ),
            ("auth p3 700", "approve: cust-700 held+700"),
            ("tick 6", "release: held-700 cust+700"),
            (
                "auth p4 1000 single",
                "single_message: cust-1000 net+1000 net-2 interchange+2 scheme_fees-1 net+1",
            ),
            ("present p5 250", "present: cust-250 net+250 scheme_fees-1 net+1"),
            ("unpresent p5 400", "reverse_presentment: net-250 cust+250 suspense+150 net-150"),
            ("unpresent p2 2000", "reverse_presentment: net-2000 cust+2000 net+4 interchange-4"),
            ("credit 500", "credit: nostro-500 cust+500"),
            ("debit 100", "debit: cust-100 nostro+100"),
            ("debit 100 to=account-2", "debit: cust-100 nostro+100"),
            ("credit 100 cur=USD", "suspense: suspense+100USD net-100USD"),
            ("debit 60 cur=USD advice", "suspense: suspense-60USD net+60USD"),
            ("present p7 300 cur=USD", "suspense: suspense-300USD net+300USD"),
            ("refund p7 40 cur=USD", "suspense: suspense+40USD net-40USD"),
            ("unpresent p8 30", "reverse_presentment: suspense+30 net-30"),
        ],
    );
    let networks: Vec<&str> = desk.sets.iter().rev().take(5).map(|set| &*set.network).collect();
    assert_eq!(networks, ["unknown", "visa", "visa", "interbank", "interbank"]);
    assert!(desk.sets.iter().all(|set| set.rules_version == 1));
}

/// Goal: late, early and changed authorisations hold what they must, never twice. Method: a table
/// of T3, T7, T10 and T11b on a network without fees.
#[test]
fn out_of_order() {
    expect(
        "out of order",
        &rules(),
        &[
            ("present p1 300 network=plain", "present: cust-300 net+300"),
            ("auth p1 500 network=plain", "approve: cust-500 held+500 held-300 cust+300"),
            ("auth p2 300 network=plain", "approve: cust-300 held+300"),
            ("advise p2 100 total network=plain", "release: held-200 cust+200"),
            ("advise p2 150 total network=plain", "approve: cust-50 held+50"),
            (
                "advise p2 170 total single network=plain",
                "single_message: held-150 net+150 cust-20 net+20",
            ),
            ("reverse p3 50", ""),
            ("auth p3 80 network=plain", "approve: cust-80 held+80 held-80 cust+80"),
            ("auth p4 90 network=plain", "approve: cust-90 held+90"),
            ("tick 8", "release: held-200 cust+200; release: held-90 cust+90"),
            ("present p4 90 network=plain", "present: cust-90 net+90"),
            ("advise p5 70 single network=plain", "single_message: cust-70 net+70"),
        ],
    );
}

/// Goal: what is refused, repeated, announced or empty moves nothing (I5, R2). Method: a table.
#[test]
fn nothing_moves() {
    let desk = expect(
        "nothing",
        &rules(),
        &[
            ("auth p1 999999999", ""),
            ("auth p2 100 id=once", "approve: cust-100 held+100"),
            ("auth p2 100 id=once", ""),
            ("auth p2 101 id=once", ""),
            ("auth p3 0", ""),
            ("announce p4 50", ""),
            ("advise p5 70 declined", ""),
            ("debit 999999999", ""),
            ("reverse p6 10", ""),
            ("change overdraft=50", ""),
            ("holder h1", ""),
            ("present p7 0", ""),
            ("open EUR id=again", ""),
            ("auth p8 10 cur=USD", ""),
        ],
    );
    assert_eq!(desk.sets.len(), 2);
    // And the parts have counted nothing.
    let items = desk.heads.values().filter_map(|head| head.part.as_ref());
    assert!(items.clone().count() > 5);
    assert_eq!(items.map(|part| part.tally.totals.items).sum::<i64>(), 0);
}

fn exchange_rules() -> Rules {
    let mut rules = rules();
    let visa = rules.settlement.iter_mut().find(|rule| &*rule.network == "visa").expect("visa");
    visa.settles_original = vec![currency("USD")];
    let dollars = SettlementRule {
        currencies: vec![currency("USD")],
        interchange: vec![InterchangeRule {
            merchant_categories: vec![5411],
            fee: Fee { basis_points: 100, fixed_minor: 5 },
        }],
        scheme_fee: None,
        settles_original: Vec::new(),
        ..visa.clone()
    };
    rules.settlement.push(dollars);
    rules
}

/// Goal: each currency balances by itself through the position, and fees are those of the currency
/// that is settled (I7). Method: a table with purchases in dollars that settle in dollars.
#[test]
fn two_currencies() {
    let desk = expect(
        "exchange",
        &exchange_rules(),
        &[
            ("auth p1 900 original=1000 original_cur=USD", "approve: cust-900 held+900"),
            (
                "present p1 950 original=1000 original_cur=USD",
                "present: held-900 fx_position+900 cust-50 fx_position+50 fx_position-1000USD \
             net+1000USD net-15USD interchange+15USD",
            ),
            (
                "refund p1 950 original=1000 original_cur=USD",
                "refund: fx_position-950 cust+950 net-1000USD fx_position+1000USD net+15USD \
             interchange-15USD",
            ),
            (
                "auth p2 90 single original=100 original_cur=USD mcc=5812",
                "single_message: cust-90 fx_position+90 fx_position-100USD net+100USD",
            ),
            // The message names no dollars, so it settles in the account's currency.
            ("unpresent p2 90", "reverse_presentment: net-90 cust+90"),
            // Pounds are not among what settles as charged.
            (
                "present p3 1000 original=800 original_cur=GBP",
                "present: cust-1000 net+1000 net-2 interchange+2 scheme_fees-1 net+1",
            ),
        ],
    );
    assert_eq!(desk.sum(Address::FxPosition, "", currency("EUR")), 90);
    assert_eq!(desk.sum(Address::FxPosition, "", currency("USD")), -100);
}

/// Goal: each kind of credit and debit has its counterpart. Method: a table over all kinds.
#[test]
fn kinds_of_bookings() {
    let mut desk = Desk::new(rules());
    desk.take(&tick_event(LogTime(START_MS))).expect("a tick");
    let mut booked_minor = 0;
    let mut book = |body: Event, minor: i64| {
        booked_minor += minor;
        let from = desk.sets.len();
        desk.take(&event(body, booked_minor)).expect("booked");
        desk.words(from)
    };
    for (kind, legs) in [
        (CreditKind::CashIn, "credit: nostro-700 cust+700"),
        (CreditKind::TransferIn, "credit: nostro-700 cust+700"),
        (CreditKind::Opening, "credit: nostro-700 cust+700"),
        (CreditKind::Other, "credit: nostro-700 cust+700"),
        (CreditKind::Interest, "credit: interest_expense-700 cust+700"),
    ] {
        let body = AccountCredited { kind, amount_minor: 700, text: "text".into() };
        assert_eq!(book(Event::AccountCredited(body), 700), legs, "{kind:?}");
    }
    for (kind, to, legs) in [
        (DebitKind::CashOut, None, "debit: cust-300 nostro+300"),
        (DebitKind::TransferOut, Some("account-2"), "debit: cust-300 nostro+300"),
        (DebitKind::StandingOrder, None, "debit: cust-300 nostro+300"),
        (DebitKind::Other, None, "debit: cust-300 nostro+300"),
        (DebitKind::Fee, None, "debit: cust-300 fee_income+300"),
        // What another account gets is no income of ours.
        (DebitKind::Fee, Some("account-2"), "debit: cust-300 nostro+300"),
    ] {
        let body = AccountDebited {
            kind,
            amount_minor: 300,
            advice: true,
            text: "text".into(),
            transfer_to: to.map(Into::into),
        };
        assert_eq!(book(Event::AccountDebited(body), -300), legs, "{kind:?}");
    }
    assert!(desk.sets.iter().all(|set| &*set.text == "text" && set.cycle.is_none()));
}

fn event(body: Event, booked_minor: i64) -> AccountEvent {
    AccountEvent {
        account_id: KEY.into(),
        message_id: Some("m1".into()),
        log_time: LogTime(START_MS),
        balances: Some(Balances {
            currency: currency("EUR"),
            booked_minor,
            held_minor: 0,
            overdraft_limit_minor: 0,
        }),
        body,
    }
}

/// Goal: a ledger that disagrees with authorisation stops the partition and changes nothing.
/// Method: one good event, then events whose balances are off by one unit in each way.
#[test]
fn disagreement_halts() {
    let credit = || {
        Event::AccountCredited(AccountCredited {
            kind: CreditKind::CashIn,
            amount_minor: 100,
            text: "".into(),
        })
    };
    let off: [fn(&mut AccountEvent); 5] = [
        |event| event.balances.as_mut().expect("some").booked_minor += 1,
        |event| event.balances.as_mut().expect("some").held_minor = 1,
        |event| event.balances.as_mut().expect("some").currency = currency("USD"),
        |event| event.balances = None,
        |event| {
            event.body = Event::OriginalNotFound(tapline::domain::event::OriginalNotFound {
                payment_id: "p1".into(),
            })
        },
    ];
    let mut desk = Desk::new(rules());
    desk.take(&tick_event(LogTime(START_MS))).expect("a tick");
    desk.take(&event(credit(), 100)).expect("agrees");
    for (place, change) in off.into_iter().enumerate() {
        let mut wrong = event(credit(), 200);
        change(&mut wrong);
        let before = desk.heads.clone();
        let refused = desk.step(KEY, Cause::Record(&wrong));
        assert_eq!(refused, Err(Refused::Halt { code: "ledger_disagrees" }), "case {place}");
        assert_eq!(desk.heads, before, "case {place}");
    }
    desk.take(&event(credit(), 200)).expect("still agrees");
}
