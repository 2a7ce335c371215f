//! Named stories, each a bare world with one thing that goes wrong.
//!
//! Method of all: a world in simulated time with a gateway's mode set by hand; then what the
//! gateways' journal, the outcomes and the executor's own view say.

use super::gateway::Mode;
use super::judge;
use super::records::{cleared, purchase};
use super::world::{START_MS, World, device};
use crate::codec::headers::{CE_TIME, CE_TYPE, ORIGIN_MS, SRC};
use crate::domain::push::{Outcome, Platform, QuietHours, Targets};
use crate::runtime::dispatch::{GateView, PushSettings};
use std::time::Duration;

const FCM: &str = "on-fcm";
const APNS: &str = "on-apns";
const BOTH: &str = "on-both";

/// Three kinds of customers, ten of each, named after their devices and a number.
fn world(settings: PushSettings) -> World {
    let mut world = World::bare(settings);
    for number in 0..10 {
        for (name, platforms) in [
            (FCM, &[Platform::Fcm][..]),
            (APNS, &[Platform::Apns][..]),
            (BOTH, &[Platform::Fcm, Platform::Apns][..]),
        ] {
            let customer = format!("{name}-{number}");
            let token = |platform: &Platform| device(*platform, &format!("{customer}-token"));
            let devices = platforms.iter().map(token).collect();
            let targets = Targets { devices, ..Targets::default() };
            world.targets.insert(customer.as_str().into(), targets);
        }
    }
    world.start();
    world
}

fn gate(world: &World, platform: Platform) -> GateView {
    let worker = world.workers.last().expect("a worker");
    worker.dispatch.gates().find(|gate| gate.platform == platform).expect("a gate")
}

/// Appends purchases to all customers of a kind at a steady pace.
fn pour(world: &mut World, name: &str, count: u64, every_ms: i64) {
    for number in 0..count {
        let customer = format!("{name}-{}", number % 10);
        let item = format!("payment/{name}-{number}-{}", world.now_ms);
        world.append(&customer, purchase(&item));
        world.run_for(every_ms);
    }
}

fn expect_right(world: &World) {
    let found = world.violation.clone().or_else(|| judge::at_the_end(world));
    assert_eq!(found, None);
}

/// From the append of the record to the first request, at worst, of one gateway.
fn worst_wait_ms(world: &World, platform: Platform) -> i64 {
    let owed = judge::obligations(world);
    let waits = world.journal.iter().filter(|it| it.platform == platform).map(|request| {
        let owed = &owed[&*request.id];
        request.at_ms - owed.obligation.origin_ms
    });
    waits.max().expect("requests")
}

/// Goal: a gateway that is dead for 60 s opens its breaker within five seconds, is left nearly in
/// peace, harms no other, and its backlog drains when it is back.
#[test]
fn a_gateway_dead_for_a_minute() {
    for mode in [Mode::Dead, Mode::Broken, Mode::Slow] {
        let mut world = world(PushSettings::default());
        pour(&mut world, BOTH, 20, 50);
        world.run_for(1_000);
        let (dead_ms, former) = (world.now_ms, world.journal.len());
        world.modes.insert(Platform::Fcm, mode);
        pour(&mut world, BOTH, 100, 20);
        pour(&mut world, FCM, 100, 10);
        world.run_until(dead_ms + 5_000);
        assert_ne!(gate(&world, Platform::Fcm).breaker, "closed", "{mode:?} after 5 s");
        pour(&mut world, APNS, 250, 200);
        world.run_until(dead_ms + 60_000);
        let asked = |platform, from: usize| {
            world.journal[from..].iter().filter(|it| it.platform == platform).count()
        };
        assert!(asked(Platform::Fcm, former) < 270, "{mode:?}: {}", asked(Platform::Fcm, former));
        assert_eq!(gate(&world, Platform::Apns).opened, 0, "{mode:?}");
        let wait_ms = worst_wait_ms(&world, Platform::Apns);
        assert!(wait_ms <= 150, "{mode:?}: APNs waited {wait_ms} ms");
        world.modes.insert(Platform::Fcm, Mode::Well);
        world.run_for(30_000);
        let waiting = world.workers[0].dispatch.waiting();
        assert_eq!((waiting, world.outcomes.len()), (0, 470), "{mode:?}: the backlog drains");
        assert_eq!(world.count(Outcome::Delivered), 470, "{mode:?}");
        assert_eq!(gate(&world, Platform::Fcm).breaker, "closed", "{mode:?}");
        expect_right(&world);
    }
}

/// Goal: in a storm of 429 the gateway gets the rest that it asks for. Method: `Retry-After` of 5 s;
/// once the breaker is open no two requests are nearer than that, until it is well again.
#[test]
fn a_storm_of_too_many_requests() {
    let mut world = world(PushSettings::default());
    world.modes.insert(Platform::Fcm, Mode::TooMany { retry_after_ms: 5_000 });
    pour(&mut world, FCM, 200, 10);
    let (since_ms, before) = (world.now_ms, world.journal.len());
    world.run_for(40_000);
    let asked = world.journal.len() - before;
    assert!((1..=9).contains(&asked), "{asked} requests in 40 s, each refused for 5 s");
    world.modes.insert(Platform::Fcm, Mode::Well);
    world.run_for(40_000);
    assert_eq!(world.count(Outcome::Delivered), 200);
    for requests in
        world.journal.iter().filter(|it| it.at_ms < since_ms).collect::<Vec<_>>().chunks(2)
    {
        let [one, next] = requests else { continue };
        let same = one.notification.key == next.notification.key;
        assert!(!same || next.at_ms >= one.at_ms + 5_000, "{}", one.notification.key);
    }
    expect_right(&world);
}

/// Goal: retries stay inside their budget. Method: a gateway that fails one request in two never
/// opens its breaker for long; retries are at most a fifth of requests and ten a second.
#[test]
fn retries_have_a_budget() {
    let mut world = world(PushSettings::default());
    world.modes.insert(Platform::Fcm, Mode::Mixed);
    let begun_ms = world.now_ms;
    pour(&mut world, FCM, 2_000, 5);
    world.run_for(5_000);
    let seconds = (world.now_ms - begun_ms) / 1_000;
    let counts = world.workers[0].dispatch.counts();
    let retries = counts.retries.get(&Platform::Fcm).copied().unwrap_or(0) as i64;
    let requests = world.journal.len() as i64;
    // What is saved up at the start: 100.
    let allowed = requests / 5 + 10 * (seconds + 1) + 100;
    assert!(retries > 20 && retries <= allowed, "{retries} retries of {allowed} allowed");
}

/// Goal: when versions of a line wait, the newest is told and the older ones end as superseded,
/// unless the customer does not want to hear of the newest.
#[test]
fn the_newest_version_wins() {
    for (wants_changes, superseded, told) in [(true, 2, 1), (false, 0, 1)] {
        let mut world = world(PushSettings::default());
        let customer = "on-fcm-0";
        if !wants_changes {
            let targets = world.targets.get_mut(customer).expect("a customer");
            targets.preferences.off.push(crate::domain::push::NoticeKind::AmountChanged);
        }
        // The gateway's breaker is open: nothing can be told.
        world.modes.insert(Platform::Fcm, Mode::Broken);
        pour(&mut world, FCM, 30, 10);
        world.run_for(2_000);
        let before = world.journal.len();
        world.append(customer, purchase("payment/line"));
        world.append(customer, cleared("payment/line", 2, 1_300));
        world.append(customer, cleared("payment/line", 3, 1_400));
        world.run_for(100);
        world.modes.insert(Platform::Fcm, Mode::Well);
        world.run_for(40_000);
        assert_eq!(world.count(Outcome::Superseded), superseded, "{wants_changes}");
        let of_line = |request: &&super::gateway::Request| {
            let fields = &request.notification.fields;
            fields.iter().any(|(name, text)| *name == "line" && text.ends_with("payment/line"))
        };
        let sent: Vec<_> = world.journal[before..].iter().filter(of_line).collect();
        assert_eq!(sent.len(), told, "{wants_changes}");
        let body = &*sent[0].notification.body;
        let expected = if wants_changes { "It came to 14.00 EUR" } else { "12.34 EUR paid" };
        assert!(body.starts_with(expected), "{body}");
        expect_right(&world);
    }
}

/// Goal: what is too old is dropped and counted, at once and while it waits; a played past year,
/// whose commands are new, is not old.
#[test]
fn old_ones_expire() {
    let settings = PushSettings { age_max: Duration::from_secs(60), ..PushSettings::default() };
    let mut world = world(settings);
    world.append_aged(&format!("{FCM}-1"), purchase("payment/old"), 60_000);
    world.append_aged(&format!("{FCM}-1"), purchase("payment/young"), 59_000);
    world.run_for(500);
    assert_eq!((world.count(Outcome::Expired), world.count(Outcome::Delivered)), (1, 1));
    world.modes.insert(Platform::Fcm, Mode::Dead);
    pour(&mut world, FCM, 50, 10);
    world.run_for(75_000);
    assert_eq!(world.count(Outcome::Expired), 51);
    assert_eq!(world.workers[0].dispatch.obligations(), 0);
    expect_right(&world);
}

/// Goal: quiet hours are those of the customer's zone. Method: from 22:00 to 7:00 in Auckland and in
/// Prague, hours of one day; the world's first moment is 2026-09-21 14:13 UTC.
#[test]
fn quiet_hours_over_midnight() {
    for (zone, hours, quiet) in [
        ("Pacific/Auckland", 0, true),  // 02:13
        ("Pacific/Auckland", 5, false), // 07:13
        ("Europe/Prague", 0, false),    // 16:13
        ("Europe/Prague", 6, true),     // 22:13
        ("Europe/Prague", 14, true),    // 06:13
        ("Europe/Prague", 15, false),   // 07:13
    ] {
        let mut world = world(PushSettings::default());
        let customer = format!("{FCM}-0");
        let targets = world.targets.get_mut(customer.as_str()).expect("a customer");
        let (from_minute, to_minute, zone_name) = (22 * 60, 7 * 60, zone.into());
        targets.preferences.quiet = Some(QuietHours { from_minute, to_minute, zone: zone_name });
        world.now_ms += hours * 3_600_000;
        world.append(&customer, purchase("payment/p"));
        world.run_for(500);
        let outcome = judge::outcomes(&world).remove(0);
        let expected = if quiet { Outcome::Preference } else { Outcome::Delivered };
        assert_eq!(outcome.outcome, expected, "{zone} after {hours} h");
        assert_eq!(&*outcome.code, if quiet { "quiet_hours" } else { "" });
    }
}

/// Goal: C17, a crash between a send and its outcome repeats the send under the same key and says
/// the same; the outcome comes once.
#[test]
fn a_crash_before_the_outcome() {
    for mode in [Mode::AnswersLost, Mode::Slow] {
        let mut world = world(PushSettings::default());
        world.modes.insert(Platform::Fcm, mode);
        world.append(&format!("{BOTH}-0"), purchase("payment/p"));
        world.run_for(1_000);
        assert_eq!((world.journal.len(), world.outcomes.len()), (2, 0), "{mode:?}");
        world.crash();
        world.modes.insert(Platform::Fcm, Mode::Well);
        world.run_for(1_000);
        assert_eq!((world.journal.len(), world.outcomes.len()), (4, 1), "{mode:?}");
        let of_fcm: Vec<_> =
            world.journal.iter().filter(|it| it.platform == Platform::Fcm).collect();
        assert_eq!(of_fcm[0].notification, of_fcm[1].notification, "{mode:?}");
        assert_eq!(world.committed.values().sum::<i64>(), 1);
        expect_right(&world);
    }
}

/// Goal: a device that is gone is forgotten and not asked again; without a device nothing is sent.
#[test]
fn gone_devices_are_forgotten() {
    let mut world = world(PushSettings::default());
    let customer = format!("{FCM}-0");
    world.modes.insert(Platform::Fcm, Mode::Gone);
    world.append(&customer, purchase("payment/p1"));
    world.run_for(500);
    world.append(&customer, purchase("payment/p2"));
    world.run_for(500);
    let outcomes = judge::outcomes(&world);
    let found: Vec<_> = outcomes.iter().map(|it| (it.outcome, &*it.code)).collect();
    assert_eq!(found, [(Outcome::Rejected, "gone"), (Outcome::Preference, "no_device")]);
    assert_eq!(world.journal.len(), 1);
}

/// Goal: an outcome goes out under the feed record's own id, with the time of the log and the
/// origin of the command. Method: the headers of one outcome.
#[test]
fn headers_of_an_outcome() {
    let mut world = world(PushSettings::default());
    world.append(&format!("{FCM}-0"), purchase("payment/p"));
    world.run_for(500);
    let headers = &world.outcomes[0].record.headers;
    assert_eq!(headers.text(SRC), Some("3:0:1:0:acc-on-fcm-0"));
    assert_eq!(headers.text(CE_TYPE), Some("tapline.push.delivered.v1"));
    assert_eq!(headers.text(CE_TIME), Some("2026-09-21T14:13:20.000Z"));
    assert_eq!(headers.text(ORIGIN_MS), Some(START_MS.to_string().as_str()));
    assert_eq!(world.outcomes[0].record.key.as_deref(), Some(&b"on-fcm-0"[..]));
}

/// Goal: input stops at the bound, other customers go on meanwhile, and what waits ages out. Method:
/// a dead gateway and more records than may wait.
#[test]
fn memory_is_bounded() {
    let settings = PushSettings {
        waiting_max: 100,
        age_max: Duration::from_secs(30),
        ..PushSettings::default()
    };
    let mut world = world(settings);
    world.modes.insert(Platform::Fcm, Mode::Dead);
    pour(&mut world, FCM, 300, 5);
    assert!(world.workers[0].dispatch.is_full());
    world.run_for(80_000);
    assert_eq!(world.outcomes.len(), 300, "aged out, all of them");
    world.modes.insert(Platform::Fcm, Mode::Well);
    world.run_for(20_000);
    world.append(&format!("{FCM}-0"), purchase("payment/last"));
    world.run_for(500);
    assert_eq!(world.count(Outcome::Delivered), 1);
    expect_right(&world);
}

/// Goal: a record of a newer release stops its partition before it and nothing else, and is taken up
/// again where a retry can read it; too many dead letters stop it too. Method: raw values.
#[test]
fn partitions_stand_where_they_must() {
    let mut world = world(PushSettings::default());
    let customers: Vec<String> = (0..10).map(|number| format!("{FCM}-{number}")).collect();
    for customer in &customers {
        world.append(customer, purchase("payment/p"));
    }
    let here = super::records::partition(&customers[0]);
    let own = world.log.get_mut(&here).expect("a partition");
    let offset = own[0].offset;
    let right = own[0].value.clone();
    own[0].value = Some([&[0xC3, 0x01][..], &[9; 20]].concat());
    let others = customers.iter().filter(|it| super::records::partition(it) != here).count();
    world.run_for(1_000);
    assert_eq!(world.outcomes.len(), others);
    let dispatch = &world.workers[0].dispatch;
    assert!(dispatch.halted(here).is_some() && dispatch.halted(1 - here).is_none());
    assert_eq!((dispatch.position(here), world.committed[&here]), (Some(offset), offset));
    world.log.get_mut(&here).expect("a partition")[0].value = right;
    world.crash();
    world.run_for(1_000);
    assert_eq!(world.outcomes.len(), 10);

    for number in 0..30 {
        world.append(&customers[0], purchase(&format!("payment/x{number}")));
        let own = world.log.get_mut(&here).expect("a partition");
        own.last_mut().expect("just appended").value = Some(b"no frame".to_vec());
    }
    world.run_for(1_000);
    assert_eq!(world.letters.len(), 20, "then the fuse is blown");
    assert!(world.workers[0].dispatch.halted(here).is_some());
}
