//! Real data through two worker processes, judged by the publishers' own figures, and once more.
//!
//! Owns the demo's proof as a test: every line of every verdict, heads equal last events, that a
//! killed worker is started again, and that playing the same data again moves nothing.

use super::{
    ground::{Ground, Site, until},
    watch,
};
use std::time::{Duration, Instant};
use tapline::codec::topics::EVENTS;
use tapline::domain::{command::Tick, event::Event};
use tapline::load::{
    crew::Crew,
    heads,
    lane::Lane,
    play::{self, Pace},
};
use tapline::operator::demo;
use tapline::producer::{Folder, dated::Step};

/// Goal: a bank's year and a city's months come out to the cent, and a second play of the city has
/// no effect, though a worker is killed in the midst of the first play. Method: two workers, of which
/// one is started again; the data's days are the clock; then each command of the city must be
/// answered as a repeat, and the heads must still be those of the first play.
pub fn real_data_twice(ground: &Ground) {
    let site = ground.site("played");
    let ticks = [("runtime.ticks", "off")];
    let starts = vec![site.start(1, &ticks), site.start(2, &ticks)];
    let mut crew = Crew::start(starts).expect("workers can be started");
    watch::await_ready(&site, &mut crew.workers, 60);
    let root = demo::data_root();
    let folders = ["berka", "toronto-pcard"]
        .map(|name| Folder::read(&root.join(name)).unwrap_or_else(|error| panic!("{error}")));
    let pace = Pace { no_bars: true, ..Pace::default() };
    let begun = Instant::now();
    let mut is_killed = false;
    let played = play::play_with(&site.config, &folders, pace, &mut || {
        if !is_killed && begun.elapsed() > Duration::from_secs(1) {
            crew.workers[1].signal("KILL");
            is_killed = true;
        }
        crew.tend()
    });
    let played = played.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(crew.restarts(), 1, "the killed worker is started again, nobody else");
    let mut lines = 0;
    for one in &played {
        assert!(one.decisions >= one.commands, "{}: {} answers", one.name, one.decisions);
        for line in &one.verdict {
            assert!(line.ok, "{}: {}: {} not {}", one.name, line.name, line.found, line.expected);
            lines += 1;
        }
    }
    assert!(lines > 10, "the verdicts have only {lines} lines");

    let events = site.config.kafka.topic(EVENTS.0);
    let before = watch::spans(&site, &events);
    // Most of these payments are closed and have left their heads: each is read back from its side
    // row, which takes its time.
    let commands = send_again(&site, &folders[1], ground.size.pick(3_000, 8_000, u64::MAX));
    let repeats = until("every repeat is answered", 120, || {
        let after: i64 = watch::spans(&site, &events).iter().map(|span| span.end).sum();
        let more = after - before.iter().map(|span| span.end).sum::<i64>();
        if more < commands as i64 {
            return Err(format!("{more} of {commands} answers"));
        }
        let answers = watch::events(&site, &before);
        let answers: Vec<_> =
            answers.into_iter().filter(|(_, event)| event.message_id.is_some()).collect();
        match answers.len() as u64 {
            found if found >= commands => Ok(answers),
            found => Err(format!("{found} of {commands} answers")),
        }
    });
    assert_eq!(repeats.len() as u64, commands, "answers to the second play");
    for (_, event) in &repeats {
        assert!(matches!(event.body, Event::MessageRepeated(_)), "no repeat: {event:?}");
    }

    crew.stop(Duration::from_secs(30)).unwrap_or_else(|reason| panic!("{reason}"));
    let stored = site
        .ask(|session| heads::booked_minor(&site.config, session))
        .unwrap_or_else(|error| panic!("{error}"));
    let mut accounts = 0;
    for one in &played {
        for (account, minor) in &one.booked_minor {
            assert_eq!(stored.get(account), Some(minor), "booked of {account}");
            accounts += 1;
        }
    }
    println!(
        "  {} commands, {accounts} accounts, {} repeats without effect",
        played.iter().map(|one| one.commands).sum::<u64>(),
        repeats.len()
    );
    assert!(accounts > 1_000, "only {accounts} accounts were compared");
}

/// The first commands of a folder's plan once more, as fast as Kafka takes them; tells how many.
fn send_again(site: &Site, folder: &Folder, commands_max: u64) -> u64 {
    let mut commands = 0;
    let mut lane = Lane::open(&site.config.kafka).unwrap_or_else(|error| panic!("{error}"));
    for step in folder.play() {
        let sent = match step {
            Step::Tick(time) => lane.tick(Tick { time, rules_version: 1, logic_version: 1 }),
            Step::Command(_) if commands == commands_max => break,
            Step::Command(command) => {
                commands += 1;
                let ticket = lane.ticket(1);
                lane.send(&command, None, &ticket)
            }
        };
        sent.unwrap_or_else(|error| panic!("{error}"));
    }
    lane.settle();
    commands
}
