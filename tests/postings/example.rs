//! The worked example of the money rules, line by line, on the ledger.

use crate::{
    desk::Desk,
    driver::{KEY, World, rules},
    events::tick_event,
};
use tapline::{
    domain::{ledger::Address, money::Currency},
    stages::authorisation::Output,
};

/// Goal: cust, held and net are those of the example, and sum to 1000 on every line. Method: its
/// commands through authorisation, the events through posting; a network without fees.
#[test]
fn worked_example() {
    let mut world = World::funded(1000);
    let mut desk = Desk::new(rules());
    let eur = Currency::parse("EUR").expect("three letters");
    let mut read = 0;
    for (name, line, cust, held, net) in [
        ("opening", "", 1000, 0, 0),
        ("auth 300", "auth p1 300 network=plain", 700, 300, 0),
        ("increment +200", "increment p1 200 network=plain", 500, 500, 0),
        ("partial reversal 100", "reverse p1 100", 600, 400, 0),
        ("clearing 1 of 2: 150", "present p1 150 n=1 of=2 network=plain", 600, 250, 150),
        ("expiry", "tick 8", 850, 0, 150),
        ("clearing 2 of 2: 900", "present p1 900 n=2 of=2 network=plain", -50, 0, 1050),
        ("clearing reversal 900", "unpresent p1 900", 850, 0, 150),
        ("refund clearing 150", "refund p1 150 network=plain", 1000, 0, 0),
    ] {
        if !line.is_empty() {
            world.run(line);
        }
        desk.take(&tick_event(world.clock)).expect(name);
        for output in &world.outputs[read..] {
            let Output::Event(event) = output else { panic!("{output:?}") };
            desk.take(event).expect(name);
        }
        read = world.outputs.len();
        let of = |address, network| desk.balance(KEY, address, network, eur);
        let found = (of(Address::Cust, ""), of(Address::Held, ""), of(Address::Net, "plain"));
        assert_eq!(found, (cust, held, net), "{name}");
        assert_eq!(found.0 + found.1 + found.2, 1000, "{name}");
        assert_eq!(of(Address::Nostro, ""), -1000, "{name}");
    }
    desk.check_sealed().expect("parts");
}
