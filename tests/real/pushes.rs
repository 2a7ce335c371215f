//! Workers die between a send and its outcome, gateways fail; afterwards everybody was told.
//!
//! Owns the faults: each is a gateway in trouble and a worker killed in it. Judges are the topics
//! read again, the gateway's own journal and the auditor.

use super::{
    ground::{Ground, Site, until},
    load::{Load, audit, crowd},
    told::{self, Phones, Told},
    watch,
};
use std::time::Duration;
use tapline::codec::topics::EVENTS;
use tapline::domain::{
    ids::CustomerId,
    push::{Outcome, Platform},
};
use tapline::fake_gateway::{Act, Target};
use tapline::load::workers::Worker;

const ACCOUNTS: u32 = 80;
/// Commands a second.
const RATE: f64 = 120.0;

/// What a gateway does when a worker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Took what it was sent and says so late.
    Slow,
    /// All of them: no answer at all.
    Dead,
    /// One has too much to do, another is broken.
    Storm,
}

const TROUBLES: [Trouble; 3] = [Trouble::Slow, Trouble::Dead, Trouble::Storm];

struct World<'w> {
    site: &'w Site,
    phones: &'w Phones,
    workers: Vec<Worker>,
    started: usize,
}

impl World<'_> {
    fn start(&mut self, place: usize) {
        self.started += 1;
        let settings = [("push.attempt_timeout", "2s")];
        let settings = [&told::SETTINGS[..], &settings].concat();
        let start = self.phones.lead(self.site.start(self.started, &settings), "live");
        let worker = start.spawn().expect("a worker can be started");
        match self.workers.get_mut(place) {
            Some(former) => *former = worker,
            None => self.workers.push(worker),
        }
    }

    /// kill -9, and the next one in its place.
    fn kill(&mut self, place: usize) {
        self.workers[place].kill();
        self.start(place);
    }

    fn answers(&self, platform: Platform, answer: &str) -> u64 {
        let answers = self.phones.counts().answers;
        let of = answers.get(platform.name()).and_then(|answers| answers.get(answer));
        of.copied().unwrap_or(0)
    }

    fn begin(&self, trouble: Trouble) {
        let status = |status, retry_after_seconds| Act::Status { status, retry_after_seconds };
        match trouble {
            Trouble::Slow => {
                self.phones.behave(Target::All, Act::Slow(Duration::from_millis(1_500)));
            }
            Trouble::Dead => self.phones.behave(Target::All, Act::Hang),
            Trouble::Storm => {
                let (fcm, webhook) = (Platform::Fcm, Platform::Webhook);
                self.phones.behave(Target::Platform(fcm), status(429, Some(1)));
                self.phones.behave(Target::Platform(webhook), status(500, None));
            }
        }
    }

    fn decided(&self) -> i64 {
        let events = self.site.config.kafka.topic(EVENTS.0);
        watch::spans(self.site, &events).iter().map(|span| span.end).sum()
    }

    /// Returns when the trouble is felt, and what must hold in the midst of it was seen.
    fn suffer(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Slow => {
                let before = self.phones.counts().accepted;
                until("slow answers are waited for", 20, || {
                    match self.phones.counts().accepted - before {
                        0..20 => Err("fewer than 20 requests".to_owned()),
                        _ => Ok(()),
                    }
                });
            }
            Trouble::Dead => self.others_go_on(),
            Trouble::Storm => until("both are felt", 20, || {
                let felt = (
                    self.answers(Platform::Fcm, "status:429"),
                    self.answers(Platform::Webhook, "status:500"),
                );
                if felt.0 > 0 && felt.1 > 0 { Ok(()) } else { Err(format!("{felt:?}")) }
            }),
        }
    }

    /// While no gateway answers, what is written now is decided and shown, and again later.
    fn others_go_on(&mut self) {
        let requests = self.phones.counts().requests;
        until("nobody answers", 20, || match self.phones.counts().requests - requests {
            0..4 => Err("fewer than 4 requests".to_owned()),
            _ => Ok(()),
        });
        // By now the journal has what was still being answered when the trouble began.
        let before = self.phones.counts().accepted;
        for _ in 0..2 {
            told::await_stage(self.site, &mut self.workers, "authorisation", 15);
            told::await_stage(self.site, &mut self.workers, "feed", 15);
            // Meanwhile the breakers open.
            let decided = self.decided();
            until("decisions keep coming", 15, || match self.decided() - decided {
                more if more > 2 * RATE as i64 => Ok(()),
                more => Err(format!("{more} events more")),
            });
        }
        assert_eq!(self.phones.counts().accepted, before, "a dead gateway took something");
    }
}

/// Goal: whoever dies, everybody is told what they had to be told, under one key each; a gateway in
/// trouble holds up nobody else. Method: two workers of all stages, a phone for each customer on
/// four platforms, a load of cards; a worker killed while gateways are slow, dead, and refuse, by
/// turns; then heal, drain, and judge topics, journal and rows.
pub fn killed_between_send_and_outcome(ground: &Ground) {
    let site = ground.site("pushes");
    let phones = Phones::start(&site);
    let crowd = crowd(ACCOUNTS);
    let customers: Vec<CustomerId> = (0..=ACCOUNTS).map(|index| crowd.customer(index)).collect();
    phones.give(&site, &customers);
    let mut world = World { site: &site, phones: &phones, workers: Vec::new(), started: 0 };
    (0..2).for_each(|place| world.start(place));
    told::await_stages(&site, &mut world.workers, 60);
    let kills = ground.size.pick(3, 4, 60);
    let seconds = ground.size.pick(24.0, 30.0, 800.0);
    let load = Load::of(crowd.clone(), &site, ground.seed, RATE, seconds);
    until("the first is told", 30, || match phones.counts().accepted {
        0 => Err(world.workers[0].last_lines(3)),
        _ => Ok(()),
    });
    let mut under_load = 0;
    for kill in 0..kills {
        let trouble = TROUBLES[kill % TROUBLES.len()];
        world.begin(trouble);
        world.suffer(trouble);
        under_load += usize::from(!load.is_finished());
        world.kill(kill % 2);
        phones.behave(Target::All, Act::Right);
        told::await_stages(&site, &mut world.workers, 60);
    }
    let journal = load.journal.clone();
    let run = load.judge();
    watch::await_durable(&site, &mut world.workers, 60);
    told::await_all(&site, &mut world.workers, 120);
    let told = Told::read(&site);
    told.judge_feed(&site, &crowd.run);
    told.judge_ends();
    told.judge_requests(&phones, &customers);
    let (delivered, superseded) = (told.count(Outcome::Delivered), told.count(Outcome::Superseded));
    assert_eq!(delivered + superseded, told.outcomes.len(), "everybody has a phone");
    let counts = phones.counts();
    assert!(counts.repeats > 0, "nobody died between a send and its outcome");
    println!(
        "  {} commands, {} items, {} obligations: {delivered} delivered, {superseded} superseded; \
         {} requests, {} taken twice, {} outcomes twice; {kills} workers killed ({under_load} \
         under load)",
        run.commands,
        told.items.len(),
        told.obligations.len(),
        counts.requests,
        counts.repeats,
        told.repeats
    );
    assert!(under_load >= kills * 2 / 3, "too few kills under load: {under_load}");
    let gateway = phones.journal.to_str().expect("a path of ours");
    let flags = ["--expect-feed", "--expect-push", "--gateway-journal", gateway];
    // With its workers: the last tick before a stop is passed on by the next owner only.
    audit(&site, Some(&journal), run.commands, &flags);
    for worker in &mut world.workers {
        let status = worker.stop(Duration::from_secs(20));
        assert!(status.is_some_and(|status| status.success()), "{}", worker.last_lines(8));
    }
}
