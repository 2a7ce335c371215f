//! What stops one partition and no other: a schema of a newer release, and the fuse.
//!
//! Owns that the health page says so, that neighbours go on, and that an operator's record is
//! enough to let the fuse's partition go on.

use super::{
    garbage,
    ground::{Ground, Site, until},
    watch,
    writing::{self, Draft, Pen, key_in},
};
use serde_json::Value;
use tapline::domain::{
    command::{AccountCommand, Command, PARTITION_KEY, ReleaseFuse},
    event::Event,
};
use tapline::load::workers::Worker;

const STOPPED: i32 = 0;

/// So that a killed worker's partitions are given away soon.
const SESSION: [(&str, &str); 1] = [("kafka.session_timeout", "6s")];

/// Waits until the health page says that a partition is stopped for a reason, and only that one.
fn await_halt(worker: &mut Worker, reason: &str) {
    until("the partition stops", 30, || {
        let Some((status, report)) = watch::readyz(worker) else {
            return Err("no health page".to_owned());
        };
        let state = |line: &Value, field: &str| line[field].as_str().unwrap_or("").to_owned();
        let lines = watch::partitions(&report);
        let halted: Vec<i64> = lines
            .iter()
            .filter(|(_, line)| state(line, "state") == "halted" && state(line, "reason") == reason)
            .map(|(number, _)| *number)
            .collect();
        match (status, halted.as_slice()) {
            (503, [number]) if *number == i64::from(STOPPED) => Ok(()),
            _ => Err(format!("{status} {report}")),
        }
    });
}

/// Opens an account in each partition and tells which were answered within the time.
fn answered(site: &Site, pen: &Pen, stem: &str, expected: &[i32]) {
    let keys: Vec<(i32, String)> =
        (0..site.partitions()).map(|it| (it, key_in(it, site.partitions(), stem))).collect();
    for (_, key) in &keys {
        pen.send(&writing::open(key));
    }
    let is_answered = || -> Vec<i32> {
        let events = watch::events(site, &[]);
        let opened = |key: &str| {
            events.iter().any(|(_, event)| {
                event.account_id.as_str() == key && matches!(event.body, Event::AccountOpened(_))
            })
        };
        keys.iter().filter(|(_, key)| opened(key)).map(|(number, _)| *number).collect()
    };
    until("other partitions answer", 30, || {
        let found = is_answered();
        if found == expected { Ok(()) } else { Err(format!("{found:?} of {expected:?}")) }
    });
}

/// Goal: a value of a newer schema is never a dead letter: it stops its partition, loudly, and no
/// other. Method: an unknown fingerprint behind a good frame's magic; the others answer; a restart
/// stops at the same place.
pub fn unknown_schema(ground: &Ground) {
    let site = ground.site("schema");
    let mut worker = site.worker(1, &[]);
    watch::await_ready(&site, std::slice::from_mut(&mut worker), 60);
    let pen = Pen::open(&site);
    let key = key_in(STOPPED, site.partitions(), "newer");
    let value = vec![0xC3, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0];
    let newer = Draft { key: Some(key.into_bytes()), value: Some(value), ..Draft::default() };
    pen.write(&newer);
    await_halt(&mut worker, "schema_unknown");
    answered(&site, &pen, "beside", &[1, 2, 3]);
    let status = worker.stop(std::time::Duration::from_secs(20));
    assert!(
        status.is_some_and(|it| it.success()),
        "a halted worker stops: {}",
        worker.last_lines(5)
    );
    let mut again = site.worker(2, &[]);
    await_halt(&mut again, "schema_unknown");
    assert!(garbage::await_letters(&site, 0, 1).is_empty(), "an unknown schema is no dead letter");
}

/// Goal: too many dead letters stop the partition until an operator's record. Method: 25 bad
/// records of 25 keys against the usual fuse of 20; a restart stops again; the release lets all
/// through, and the account behind them is opened.
pub fn fuse(ground: &Ground) {
    let site = ground.site("fuse");
    let mut worker = site.worker(1, &SESSION);
    watch::await_ready(&site, std::slice::from_mut(&mut worker), 60);
    let pen = Pen::open(&site);
    let mut last = None;
    for number in 0..25 {
        let key = key_in(STOPPED, site.partitions(), &format!("bad-{number}"));
        let value = Some(b"neither frame".to_vec());
        last = Some(pen.write(&Draft { key: Some(key.into_bytes()), value, ..Draft::default() }));
    }
    let last = last.expect("25 were written");
    await_halt(&mut worker, "fuse_open");
    let letters = garbage::await_letters(&site, 20, 20);
    assert_eq!(letters.len(), 20, "the fuse lets 20 through");
    answered(&site, &pen, "beside", &[1, 2, 3]);
    worker.kill();
    let mut worker = site.worker(2, &SESSION);
    await_halt(&mut worker, "fuse_open");

    let release = Command::ReleaseFuse(ReleaseFuse { through_offset: last.offset });
    let release = AccountCommand {
        account_id: PARTITION_KEY.into(),
        ..writing::command("fuse", "release", release)
    };
    pen.write(&Draft { partition: Some(STOPPED), ..writing::drafted(&release) });
    let letters = garbage::await_letters(&site, 25, 30);
    assert_eq!(letters.len(), 25);
    answered(&site, &pen, "after", &[0, 1, 2, 3]);
    until("the worker is ready again", 20, || match watch::readyz(&mut worker) {
        Some((200, _)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
