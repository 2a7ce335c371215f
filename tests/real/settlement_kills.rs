//! The worker of all stages dies at seals and cut-offs; the money is the same afterwards.
//!
//! Owns the moments of death: while state is being sealed, right behind the ticks of a cut-off, and
//! among the parts that it publishes. The judge is `ledger`, which adds up all topics again.

use super::{
    ground::{Ground, Site, until},
    ledger::{self, Ledger, WindowName},
    money::{self, Hand, SETTINGS, await_stages, command, eur, purchase, records_in},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeSet, time::Instant};
use tapline::adapters::kafka::reader::Reader;
use tapline::codec::topics::{EVENTS, PARTS};
use tapline::domain::{
    command::{
        AccountCommand, Authorise, Command, HoldClass, Present, Refund, Reverse, ReversePresentment,
    },
    time::DAY_MS,
    window::WindowBody,
};
use tapline::load::workers::Worker;

const ACCOUNTS: usize = 60;
const NETWORKS: [&str; 2] = ["visa", "mastercard"];
/// Minutes of the day at which one of the two cuts off, or both.
const CUTOFFS: [i64; 4] = [480, 720, 960, 1_440];

/// When the worker is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Some bucket has just become durable, and records are waiting.
    Seal,
    /// The first partition has passed a cut-off's tick on.
    Tick,
    /// The first part of a cycle is in the log.
    Part,
}

struct World<'s> {
    site: &'s Site,
    worker: Worker,
    reader: Reader,
    started: usize,
    kills: Vec<(Moment, String)>,
}

impl World<'_> {
    fn ends(&self, topic: &str) -> i64 {
        records_in(&self.reader, &self.site.config.kafka.topic(topic))
    }

    /// Kills the worker once `has_come` says what was seen, and starts the next.
    fn kill(
        &mut self,
        moment: Moment,
        mut has_come: impl FnMut(&mut Self) -> Result<String, String>,
    ) {
        let begun = Instant::now();
        let seen = loop {
            match has_come(self) {
                Ok(seen) => break seen,
                Err(missing) => {
                    assert!(begun.elapsed().as_secs() < 30, "{moment:?} never came: {missing}");
                }
            }
        };
        self.worker.kill();
        self.kills.push((moment, seen));
        self.started += 1;
        self.worker = self.site.worker(self.started, &SETTINGS);
        await_stages(self.site, &mut self.worker, 60);
    }
}

/// Goal: no death at a seal or a cut-off posts twice, loses a set, or closes a window twice or
/// otherwise. Method: one worker of all stages under commands on two networks; killed while it
/// seals, behind a cut-off's ticks, and among its parts, by turns; at the end every topic is added
/// up again, and each window counted again from the log.
pub fn killed_at_seals_and_cutoffs(ground: &Ground) {
    let site = ground.site("settlement");
    let mut worker = site.worker(1, &SETTINGS);
    await_stages(&site, &mut worker, 60);
    let reader = Reader::open(&site.config.kafka, "tapline.test").expect("a reader");
    let mut world = World { site: &site, worker, reader, started: 1, kills: Vec::new() };
    let mut hand = Hand::open(&site);
    let mut rng = ChaCha8Rng::seed_from_u64(ground.seed);
    let days = ground.size.pick(1, 1, 8);
    let kills_of_a_day = ground.size.pick(2, 3, 4);
    hand.tick(60);
    hand.accounts("k-", ACCOUNTS);
    let mut written = 2 * ACCOUNTS;
    for day in 0..days {
        for (place, cutoff) in CUTOFFS.iter().enumerate() {
            let cutoff = day * 1_440 + cutoff;
            let batch = batch(&mut rng, &format!("{day}-{place}"), 600);
            written += batch.len();
            let moment = [Moment::Part, Moment::Seal, Moment::Tick, Moment::Part][place];
            let is_killed = place < kills_of_a_day;
            if is_killed && matches!(moment, Moment::Seal) {
                let before = world.worker.durable();
                hand.write(&batch);
                hand.tick(cutoff - 1);
                world.kill(moment, |world| match world.worker.durable() {
                    now if !now.is_empty() && now != before => Ok("a bucket is durable".to_owned()),
                    _ => Err("nothing became durable".to_owned()),
                });
                hand.tick(cutoff);
                continue;
            }
            hand.write(&batch);
            let (events, parts) = (world.ends(EVENTS.0), world.ends(PARTS.0));
            hand.tick(cutoff);
            if is_killed {
                world.kill(moment, |world| {
                    let (topic, before) = match moment {
                        Moment::Part => (PARTS.0, parts),
                        Moment::Tick | Moment::Seal => (EVENTS.0, events),
                    };
                    match world.ends(topic) - before {
                        more if more > 0 => Ok(format!("{more} more in {topic}")),
                        _ => Err(format!("nothing more in {topic}")),
                    }
                });
            }
        }
    }
    let last = days * 1_440;
    let expected = expected_windows(days);
    let ledger = until("every window is closed and every event posted", 60, || {
        assert!(world.worker.is_running(), "it ended:\n{}", world.worker.last_lines(8));
        complete(&site, &expected)
    });
    await_stages(&site, &mut world.worker, 30);
    ledger.judge(&site);
    let closed: BTreeSet<WindowName> = ledger.closed().into_keys().collect();
    let own: BTreeSet<WindowName> =
        closed.into_iter().filter(|(network, ..)| NETWORKS.contains(&&**network)).collect();
    assert_eq!(own, expected, "each window is closed once, and no other");
    let items: i64 = ledger.closed().values().map(|closed| closed.totals.items).sum();
    assert!(items > written as i64 / 3, "only {items} items in the windows up to minute {last}");
    println!(
        "  {written} commands, {} sets, {items} items in {} windows, {} copies dropped; killed: {:?}",
        ledger.postings.len(),
        own.len(),
        ledger.repeats,
        world.kills
    );
}

fn complete(site: &Site, expected: &BTreeSet<WindowName>) -> Result<Ledger, String> {
    let closed: BTreeSet<WindowName> = ledger::windows(site)
        .into_iter()
        .filter(|event| matches!(event.body, WindowBody::Closed(_)))
        .filter_map(|event| Some((event.network, event.currency, event.cycle?.cutoff)))
        .collect();
    let missing: Vec<&WindowName> = expected.difference(&closed).collect();
    if !missing.is_empty() {
        return Err(format!("not closed: {missing:?}"));
    }
    let ledger = Ledger::read(site);
    match ledger.unposted().len() {
        0 => Ok(ledger),
        missing => Err(format!("{missing} events are not posted")),
    }
}

/// By the calendars of the rules that every installation starts with.
fn expected_windows(days: i64) -> BTreeSet<WindowName> {
    let cutoffs = [(NETWORKS[0], &[720, 1_440][..]), (NETWORKS[1], &[480, 960, 1_440][..])];
    let mut windows = BTreeSet::new();
    for (network, minutes) in cutoffs {
        for day in 0..days {
            for minute in minutes {
                let cutoff = money::minute(day * 1_440 + minute);
                // A day without cycles of its own: the first network rests on Sundays.
                let is_sunday = (cutoff.0 - 1).div_euclid(DAY_MS).rem_euclid(7) == 3;
                if !(is_sunday && network == NETWORKS[0]) {
                    windows.insert((network.into(), eur(), cutoff));
                }
            }
        }
    }
    windows
}

/// Related commands on all accounts: holds, presentments of all, a part or more of them, with and
/// without one before; taken back, refunded, sent twice, and for accounts that nobody opened.
fn batch(rng: &mut ChaCha8Rng, name: &str, payments: usize) -> Vec<AccountCommand> {
    let mut commands = Vec::new();
    for number in 0..payments {
        let account = match rng.random_range(0..40) {
            0 => format!("nobody-{name}-{number}"),
            _ => format!("k-{}", rng.random_range(0..ACCOUNTS)),
        };
        let network = NETWORKS[rng.random_range(0..NETWORKS.len())];
        let payment = format!("{name}-{number}");
        let minor = rng.random_range(50..9_000);
        let mut say = |what: &str, body: Command| {
            commands.push(command(&account, &format!("{payment}-{what}"), body));
        };
        if rng.random_bool(0.5) {
            say("hold", authorise(&account, network, &payment, minor));
        }
        let share = [minor, minor, minor / 2, minor + 100][rng.random_range(0..4)];
        if rng.random_bool(0.85) {
            say("present", present(&account, network, &payment, share));
        }
        match rng.random_range(0..12) {
            0 => say("present", present(&account, network, &payment, share)),
            1 => say("refund", refund(&account, network, &payment, share / 2)),
            2 => say("back", back(&payment, share)),
            3 => say("release", release(&payment)),
            _ => {}
        }
    }
    commands
}

fn authorise(account: &str, network: &str, payment: &str, amount_minor: i64) -> Command {
    Command::Authorise(Authorise {
        payment_id: payment.into(),
        amount_minor,
        currency: eur(),
        purchase: purchase(account, network, amount_minor),
        hold_class: HoldClass::Standard,
        allow_partial: false,
        single_message: false,
    })
}

fn present(account: &str, network: &str, payment: &str, amount_minor: i64) -> Command {
    Command::Present(Present {
        payment_id: payment.into(),
        amount_minor,
        currency: eur(),
        purchase: purchase(account, network, amount_minor),
        authorisation_code: "".into(),
        reference: payment.into(),
        sequence_number: 1,
        sequence_count: 1,
        last: true,
    })
}

fn refund(account: &str, network: &str, payment: &str, amount_minor: i64) -> Command {
    Command::Refund(Refund {
        payment_id: payment.into(),
        amount_minor,
        currency: eur(),
        purchase: purchase(account, network, amount_minor),
        reference: "".into(),
    })
}

fn back(payment: &str, amount_minor: i64) -> Command {
    let (payment_id, reference) = (payment.into(), "".into());
    Command::ReversePresentment(ReversePresentment {
        payment_id,
        amount_minor,
        currency: eur(),
        reference,
    })
}

fn release(payment: &str) -> Command {
    Command::Reverse(Reverse { payment_id: payment.into(), amount_minor: None, currency: eur() })
}
