//! A new version of the rules, activated by a tick.
//!
//! Owns the proof that a version changes decisions from its tick on and none before it.

use super::{
    ground::{Ground, until},
    watch,
    writing::{self, Pen},
};
use std::collections::BTreeMap;
use tapline::domain::{
    command::Tick,
    event::{AccountEvent, Event},
    reason::Reason,
    time::{DAY_MS, LogTime},
};
use tapline::load::lane::Lane;
use tapline::operator::apply;

const LIMIT: &str = r#"
[[limits]]
name = "contactless-day"
currency = "CAD"
channel = "contactless"
limits = { daily_minor = 10000 }
"#;

/// Goal: the limit of version 2 declines after its tick and nothing before. Method: ticks by hand;
/// the same amounts on the same card before and after, and on the next day.
pub fn activated_by_a_tick(ground: &Ground) {
    let site = ground.site("rules");
    let mut workers = vec![site.worker(1, &[("runtime.ticks", "off")])];
    let document = apply::FIRST_RULES.replacen("version = 1", "version = 2", 1) + LIMIT;
    let stored = site.ask(|session| {
        let config = &site.config;
        let document = &document;
        async move { apply::store_rules(config, &session, document).await }
    });
    assert_eq!(stored.unwrap_or_else(|error| panic!("{error}")), 2);
    let changed = document.replacen("10000", "20000", 1);
    let refused = site.ask(|session| {
        let (config, changed) = (&site.config, &changed);
        async move { apply::store_rules(config, &session, changed).await }
    });
    assert!(refused.is_err(), "another text under the same number must be refused");

    watch::await_ready(&site, &mut workers, 60);
    let pen = Pen::open(&site);
    let mut lane = Lane::open(&site.config.kafka).expect("a lane");
    let mut tick = |time, rules_version| {
        let time = LogTime(time);
        lane.tick(Tick { time, rules_version, logic_version: 1 }).expect("ticks are sent");
        lane.settle();
    };
    let noon = 20_000 * DAY_MS + DAY_MS / 2;
    tick(noon, 1);
    for command in [
        writing::open("r-a"),
        writing::card("r-a"),
        writing::credit("r-a", "in", writing::OPENING_MINOR),
        writing::authorise("r-a", "before-1", 9_000),
        writing::authorise("r-a", "before-2", 9_000),
    ] {
        pen.send(&command);
    }
    tick(noon + 1_000, 2);
    pen.send(&writing::authorise("r-a", "after-1", 9_000));
    pen.send(&writing::authorise("r-a", "after-2", 9_000));
    // A tick that names the former version is stale: nothing goes back.
    tick(noon + 2_000, 1);
    pen.send(&writing::authorise("r-a", "after-3", 9_000));
    tick(noon + DAY_MS, 2);
    pen.send(&writing::authorise("r-a", "next-day", 9_000));

    let answers = until("all answers", 60, || {
        let answers = answers_of(&watch::events(&site, &[]));
        match answers.contains_key("r-a-next-day") {
            true => Ok(answers),
            false => Err(format!("{:?}", answers.keys())),
        }
    });
    for (message, expected) in [
        ("before-1", None),
        ("before-2", None),
        ("after-1", None),
        ("after-2", Some(Reason::DailyLimit)),
        ("after-3", Some(Reason::DailyLimit)),
        ("next-day", None),
    ] {
        let found = answers[&format!("r-a-{message}")];
        assert_eq!(found, expected, "{message}");
    }
}

/// Why each authorisation was declined; `None`: it was not.
fn answers_of(
    events: &[(tapline::codec::raw::RawRecord, AccountEvent)],
) -> BTreeMap<String, Option<Reason>> {
    let answer = |event: &AccountEvent| {
        let message = event.message_id.as_ref()?.as_str().to_owned();
        match &event.body {
            Event::PaymentAuthorised(_) => Some((message, None)),
            Event::PaymentDeclined(declined) => Some((message, Some(declined.reason))),
            _ => None,
        }
    };
    events.iter().filter_map(|(_, event)| answer(event)).collect()
}
