//! The small world: two buckets, three records (one a tick), and every way to die.
//!
//! Goes through every crash point of the first owner, then every one of its successor, with every
//! fate of what was under way: nothing of it happened, all of it, the first half, or all of it only
//! after the next owner has moved on. No chance is left: everything else runs in one fixed order.

use super::script::{self, Record, Script};
use super::stage::SimStage;
use super::world::{BUCKETS, Chance, KEYS, World};
use crate::codec::partitioner::bucket_of;
use crate::domain::command::*;
use crate::domain::time::LogTime;

/// What becomes of the writes and publishes that a dead owner had under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Never,
    AtOnce,
    FirstHalf,
    Later,
}

const FATES: [Fate; 4] = [Fate::Never, Fate::AtOnce, Fate::FirstHalf, Fate::Later];

/// Two accounts of different buckets.
fn accounts() -> (&'static str, &'static str) {
    let bucket = |key: &str| bucket_of(key.as_bytes(), BUCKETS);
    let other = KEYS.iter().find(|key| bucket(key) != bucket(KEYS[0]));
    (KEYS[0], other.expect("twelve keys do not share one of two buckets"))
}

/// What happened before, and the three records. The tick ends a hold in each bucket.
fn records() -> (Vec<Record>, Vec<Record>) {
    let (a, b) = accounts();
    let at = |ms: i64| LogTime(1_000_000 + ms);
    let say = |key: &str, id: &str, body| {
        let (account_id, message_id) = (key.into(), id.into());
        script::record(&AccountCommand { account_id, message_id, sent_at: at(0), body })
    };
    let open = || {
        Command::OpenAccount(OpenAccount {
            currency: script::eur(),
            overdraft_limit_minor: 1_000,
            limits: None,
        })
    };
    let hold = |payment: &str| script::advice(payment, 100);
    let transfer = Command::Debit(Debit {
        amount_minor: 40,
        currency: script::eur(),
        kind: DebitKind::TransferOut,
        advice: false,
        text: "".into(),
        transfer_to: Some(b.into()),
    });
    let before = vec![
        script::tick(at(0), 1, 1),
        say(a, "m1", open()),
        say(b, "m2", open()),
        say(a, "m3", hold("p1")),
        say(b, "m4", hold("p2")),
        script::tick(at(1), 1, 1),
    ];
    let three =
        vec![say(a, "m5", transfer), script::tick(at(7_000), 1, 1), say(b, "m6", hold("p3"))];
    (before, three)
}

/// One run; `deaths`: the passes of crash points at which somebody dies. Returns the passes.
fn run(deaths: &[(u64, Fate)]) -> Result<(u64, u64), String> {
    let mut chance = Chance::of(1);
    let script = Script::new(&mut chance, 2, 0);
    let mut world = World::<SimStage>::plain(chance, 1, 1, script);
    let (before, three) = records();
    world.faults = false;
    for record in before {
        world.append(0, record);
    }
    world.drain();
    for record in three {
        world.append(0, record);
    }
    let start = world.passed;
    world.deaths = deaths.iter().map(|(pass, fate)| (start + pass, *fate)).collect();
    world.drain();
    let passed = world.passed - start;
    world.deaths.clear();
    world.finish();
    match world.violation {
        Some((name, found)) => Err(format!("{deaths:?} breaks {name}: {found}")),
        None => Ok((passed, world.seen.crashes.values().sum())),
    }
}

/// Goal: no death, and no second death of the next owner, loses or doubles anything. Method: all of
/// them, with all fates of what was under way.
#[test]
fn small_world() {
    let (passes, _) = run(&[]).unwrap_or_else(|breach| panic!("{breach}"));
    let (mut runs, mut twice) = (0, 0);
    for first in 1..=passes {
        for fate in FATES {
            let deaths = [(first, fate)];
            let (all, crashes) = run(&deaths).unwrap_or_else(|breach| panic!("{breach}"));
            assert_eq!(crashes, 1, "nobody died at {first}");
            for second in first + 1..=all {
                for next in FATES {
                    let deaths = [(first, fate), (second, next)];
                    let (_, crashes) = run(&deaths).unwrap_or_else(|breach| panic!("{breach}"));
                    runs += 1;
                    twice += u64::from(crashes == 2);
                }
            }
        }
    }
    println!("{passes} crash points, {runs} runs with two deaths");
    assert!(passes >= 15 && runs == twice, "{passes} points, {runs} runs, {twice} with two deaths");
}
