//! Gateways that are dead for a minute, or answer after ten seconds, in real time.
//!
//! Owns the figures of an outage: how soon breakers open, what the others feel of it, what memory it
//! takes, how fast what waited goes out. On demand, since it lasts minutes; the simulation of the
//! executor does the same in simulated time with every run.

use super::{
    ground::{Ground, Site, until},
    load::{Load, crowd},
    told::{self, Phones, Told},
    watch,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tapline::domain::{
    ids::CustomerId,
    push::{Outcome, Platform},
};
use tapline::fake_gateway::{Act, Target};
use tapline::load::{machine::Usage, workers::Worker};
use tapline::producer::crowd::Crowd;

const ACCOUNTS: u32 = 200;
/// Commands a second.
const RATE: f64 = 200.0;
const OUTAGE_SECONDS: f64 = 60.0;
/// Of the times without one that it is compared with.
const USUAL_SECONDS: f64 = 20.0;
/// The bound for breakers, and what is room enough for "as before" on a shared machine.
const OPEN_SECONDS_MAX: f64 = 5.0;
/// What waits takes room in the first outage, and a second one takes no more.
const WAITING_MIB_MAX: u64 = 96;
const GROWTH_MIB_MAX: u64 = 32;
const SLOWER_FACTOR_MAX: f64 = 2.0;
const SLOWER_MS: f64 = 50.0;
/// A breaker looks again each 15 s at most; the rest is sending.
const DRAIN_SECONDS_MAX: u64 = 120;

/// What was seen while a load ran.
#[derive(Debug, Default)]
struct Seen {
    reply_p99_ms: f64,
    /// The longest time that the feed took to be through what was there.
    feed_ms_max: u128,
    resident_mib_max: u64,
    /// From a gateway's first request to its open breaker.
    open_seconds: BTreeMap<&'static str, f64>,
}

/// A crowd's accounts under a name of their own.
fn named(crowd: &Crowd, name: &str) -> Crowd {
    Crowd { run: format!("{}{name}", crowd.run).into(), ..crowd.clone() }
}

/// Goal: a dead gateway, and one that answers after 10 s, slow nobody else down, take no memory
/// that grows, are given up within 5 s, and everybody is told afterwards. Method: one worker of all
/// stages, loads of cards before, during and after both outages; replies, feed, memory and breakers
/// are watched, then every obligation's outcome is read.
pub fn of_a_minute(ground: &Ground) {
    let site = ground.site("outage");
    let phones = Phones::start(&site);
    let all = crowd(ACCOUNTS);
    let crowds = ["a", "b", "c", "d"].map(|name| named(&all, name));
    let customers: Vec<CustomerId> =
        crowds.iter().flat_map(|crowd| (0..=ACCOUNTS).map(|index| crowd.customer(index))).collect();
    phones.give(&site, &customers);
    let start = phones.lead(site.start(1, &told::SETTINGS), "live");
    let mut workers = [start.spawn().expect("a worker can be started")];
    told::await_stages(&site, &mut workers, 60);
    let [before, dead, slow, after] = crowds;
    let mut world = World { site: &site, phones: &phones, workers: &mut workers, ground };
    let usual = world.watch("before", before, USUAL_SECONDS, None);
    let dead = world.watch("all dead", dead, OUTAGE_SECONDS, Some(Act::Hang));
    let late = Act::Slow(Duration::from_secs(10));
    let slow = world.watch("10 s slow", slow, OUTAGE_SECONDS, Some(late));
    let healed = world.watch("after", after, USUAL_SECONDS, None);
    for (name, seen) in [("dead", &dead), ("slow", &slow)] {
        let p99_ms_max =
            usual.reply_p99_ms.max(healed.reply_p99_ms) * SLOWER_FACTOR_MAX + SLOWER_MS;
        assert!(seen.reply_p99_ms < p99_ms_max, "{name}: replies are slower: {seen:?} {usual:?}");
        let feed_ms = usual.feed_ms_max.max(healed.feed_ms_max) as f64 * SLOWER_FACTOR_MAX + 500.0;
        assert!((seen.feed_ms_max as f64) < feed_ms, "{name}: the feed is slower: {seen:?}");
        let waiting_mib = seen.resident_mib_max.saturating_sub(usual.resident_mib_max);
        assert!(waiting_mib <= WAITING_MIB_MAX, "{name}: what waits takes {waiting_mib} MiB");
        assert_eq!(seen.open_seconds.len(), Platform::ALL.len(), "{name}: {seen:?}");
        for (gateway, seconds) in &seen.open_seconds {
            assert!(*seconds <= OPEN_SECONDS_MAX, "{name}: {gateway} opened after {seconds} s");
        }
    }
    let grown_mib = slow.resident_mib_max.saturating_sub(dead.resident_mib_max);
    assert!(grown_mib <= GROWTH_MIB_MAX, "memory grows by {grown_mib} MiB from one to the next");
    let told = Told::read(&site);
    told.judge_ends();
    told.judge_requests(&phones, &customers);
    let (delivered, superseded) = (told.count(Outcome::Delivered), told.count(Outcome::Superseded));
    assert_eq!(delivered + superseded, told.outcomes.len(), "everybody has a phone");
    println!(
        "  {} obligations: {delivered} delivered, {superseded} superseded",
        told.outcomes.len()
    );
    let status = workers[0].stop(Duration::from_secs(20));
    assert!(status.is_some_and(|status| status.success()), "{}", workers[0].last_lines(8));
}

struct World<'w> {
    site: &'w Site,
    phones: &'w Phones,
    workers: &'w mut [Worker; 1],
    ground: &'w Ground,
}

impl World<'_> {
    /// A load, with the gateways in trouble once it runs, and what is seen meanwhile; then they heal
    /// and what waited goes out.
    fn watch(&mut self, name: &str, crowd: Crowd, seconds: f64, trouble: Option<Act>) -> Seen {
        let load = Load::of(crowd, self.site, self.ground.seed, RATE, seconds);
        let is_outage = trouble.is_some();
        let before = self.requests();
        if let Some(act) = trouble {
            self.phones.behave(Target::All, act);
        }
        let (mut seen, mut asked) = (Seen::default(), BTreeMap::new());
        let mut look_at_feed = Instant::now();
        while !load.is_finished() {
            if is_outage {
                self.look_at_breakers(&before, &mut asked, &mut seen);
            }
            let opened = !is_outage || seen.open_seconds.len() == Platform::ALL.len();
            if opened && look_at_feed.elapsed() > Duration::from_secs(1) {
                look_at_feed = Instant::now();
                told::await_stage(self.site, self.workers, "feed", 20);
                seen.feed_ms_max = seen.feed_ms_max.max(look_at_feed.elapsed().as_millis());
            }
            let resident_mib = Usage::of(self.workers[0].pid()).resident_bytes >> 20;
            seen.resident_mib_max = seen.resident_mib_max.max(resident_mib);
            std::thread::park_timeout(Duration::from_millis(20));
        }
        self.phones.behave(Target::All, Act::Right);
        let healed = Instant::now();
        let run = load.judge();
        seen.reply_p99_ms = run.percentiles.p99_ms;
        told::await_all(self.site, self.workers, DRAIN_SECONDS_MAX);
        println!(
            "  {name}: replies p50 {:.1} p99 {:.1} ms, feed through within {} ms, worker {} MiB, \
             breakers open after {:.1?} s, all told {:.1} s after it",
            run.percentiles.p50_ms,
            run.percentiles.p99_ms,
            seen.feed_ms_max,
            seen.resident_mib_max,
            seen.open_seconds,
            healed.elapsed().as_secs_f64()
        );
        until("breakers are closed", DRAIN_SECONDS_MAX, || match self.open_breakers() {
            open if open.is_empty() => Ok(()),
            open => Err(format!("{open:?}")),
        });
        seen
    }

    /// Notes when each gateway was first asked, and when its breaker was first seen open.
    fn look_at_breakers(
        &mut self,
        before: &BTreeMap<&'static str, u64>,
        asked: &mut BTreeMap<&'static str, Instant>,
        seen: &mut Seen,
    ) {
        for (gateway, requests) in self.requests() {
            if requests > before.get(gateway).copied().unwrap_or(0) {
                asked.entry(gateway).or_insert_with(Instant::now);
            }
        }
        let open = self.open_breakers();
        for (gateway, since) in asked {
            if open.iter().any(|name| name == gateway) {
                let seconds = since.elapsed().as_secs_f64();
                seen.open_seconds.entry(gateway).or_insert(seconds);
            }
        }
    }

    /// Requests that each gateway has had.
    fn requests(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.phones.counts();
        let of =
            |(platform, answers): (_, BTreeMap<String, u64>)| (platform, answers.values().sum());
        counts.answers.into_iter().map(of).collect()
    }

    /// Gateways whose breaker is not closed, by the worker's metrics.
    fn open_breakers(&mut self) -> Vec<String> {
        let (_, page) = watch::page(&mut self.workers[0], "metrics").expect("metrics");
        let of = |line: &str| {
            let line = line.strip_prefix("tapline_push_breaker{")?;
            let (labels, value) = line.split_once("} ")?;
            let gateway = labels.split("gateway=\"").nth(1)?.split('"').next()?;
            (value.trim() != "0").then(|| gateway.to_owned())
        };
        page.lines().filter_map(of).collect()
    }
}
