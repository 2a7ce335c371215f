//! Texts that anybody may have written.

use crate::{
    desk::{Desk, opened},
    driver::World,
};
use tapline::{
    domain::{
        command::{Command, Credit, CreditKind},
        feed::{FeedBody, FeedItem},
        money::Currency,
    },
    stages::authorisation::Output,
};

fn newest(desk: &Desk) -> &FeedItem {
    match desk.records.last().map(|record| &record.body) {
        Some(FeedBody::Item(item)) => item,
        other => panic!("{other:?}"),
    }
}

/// Sends the command's line with another merchant and category.
fn buy(world: &mut World, desk: &mut Desk, number: u32, name: &str, category: Option<i32>) {
    let line = format!("auth t{number} 1");
    let mut command = crate::driver::parse(&line, 1_000 + number, world.clock);
    let Command::Authorise(authorise) = &mut command.body else { panic!("{line}") };
    authorise.purchase.merchant_name = name.into();
    authorise.purchase.merchant_category = category;
    world.send(&command);
    let Some(Output::Event(event)) = world.outputs.last().cloned() else { panic!("an event") };
    desk.take(&event).expect("an event");
}

/// Goal: merchants' names are cleaned, cut on a character and never refused; a category without a
/// text is its number. Method: a table of what the network may carry.
#[test]
fn merchants() {
    let (mut world, mut desk) = opened(&["anna"]);
    let oversized = "🦊".repeat(1_000);
    let cut = "🦊".repeat(120);
    for (number, (name, category, shown, category_text)) in (0..).zip([
        ("Kaffeehaus Jelinek", Some(5812), "Kaffeehaus Jelinek", "Eating Places, Restaurants"),
        ("  A\u{0}  B\n", Some(4900), "A B", "Utilities - Electric, Gas, Sanitary, Wat…"),
        ("\u{202E}evil\u{2066}\u{200F}", Some(1), "evil", "0001"),
        ("\u{202D}\u{2069}\u{7}", None, "", ""),
        (&oversized, Some(9_999_999), &cut, "9999999"),
        ("<b>&amp;</b>", Some(-3), "<b>&amp;</b>", "-003"),
    ]) {
        buy(&mut world, &mut desk, number, name, category);
        let item = newest(&desk);
        assert_eq!((&*item.merchant_name, &*item.category_text), (shown, category_text), "{name}");
        assert_eq!(item.merchant_category, category);
    }
}

/// Goal: the text of a credit is cleaned as well. Method: one that turns and breaks its line.
#[test]
fn senders() {
    let (mut world, mut desk) = opened(&["anna"]);
    let mut command = crate::driver::parse("credit 5", 1_000, world.clock);
    command.body = Command::Credit(Credit {
        amount_minor: 5,
        currency: Currency::parse("EUR").expect("three letters"),
        kind: CreditKind::Interest,
        text: format!("\u{202E}in\r\nterest {}", "x".repeat(900)).into(),
    });
    world.send(&command);
    let Some(Output::Event(event)) = world.outputs.last().cloned() else { panic!("an event") };
    desk.take(&event).expect("an event");
    let item = newest(&desk);
    assert_eq!(crate::driver::wire(item.kind), "interest");
    assert!(item.text.starts_with("in terest xxx") && item.text.chars().count() == 120);
}
