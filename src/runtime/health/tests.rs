//! The rules of health as tables: a healthy worker, one change, time passes, the verdict.
//!
//! Owns the proof that nothing outside the process, and nothing that an operator must cure, can
//! make a worker look dead.

use super::*;

const NOW_MS: u64 = 1_000_000;

/// A healthy worker with one running partition, everything fresh at `NOW_MS`.
fn healthy() -> WorkerReport {
    let mut partition = PartitionReport::assigned("feed", "events", 3, NOW_MS);
    partition.state = State::Running;
    (partition.position, partition.log_end) = (Some(10), Some(10));
    WorkerReport {
        checks_passed: true,
        store_connected: true,
        is_stopping: false,
        stages: vec![StageReport {
            stage: "feed",
            last_poll_ms: Some(NOW_MS),
            is_assigned: true,
            first_load_done: false,
            broker_connected: true,
            poll_held: false,
        }],
        partitions: vec![partition],
    }
}

fn wait(report: &mut WorkerReport, outside: Outside) {
    report.partitions[0].records_waiting = 5;
    report.partitions[0].waiting_for = Some(outside);
}

fn more(report: &mut WorkerReport) {
    report.partitions[0].log_end = Some(11);
}

fn busy(report: &mut WorkerReport) {
    more(report);
    report.partitions[0].records_waiting = 9;
}

fn halt(report: &mut WorkerReport, cause: Halt) {
    (report.partitions[0].state, report.partitions[0].halt) = (State::Halted, Some(cause));
}

fn later(report: &mut WorkerReport) {
    report.stages[0].first_load_done = true;
}

type Change = fn(&mut WorkerReport);

/// Applies a change as the board would: then every partition settles.
fn changed(change: Change) -> WorkerReport {
    let mut report = healthy();
    change(&mut report);
    let can_fetch = report.stages.iter().all(|it| it.broker_connected && !it.poll_held);
    report.partitions.iter_mut().for_each(|it| it.settle(can_fetch, NOW_MS));
    report
}

/// Goal: live exactly by the rules; servers, lag and halts never count. Method: a change to a
/// healthy worker at `NOW_MS`, seconds without any sign of life but the named, the fault.
#[test]
fn live_follows_the_rules() {
    #[rustfmt::skip] // one case a line
    let cases: &[(&str, Change, u64, &str)] = &[
        ("fresh", |_| (), 0, ""),
        ("poll in time", |_| (), 30, ""),
        ("poll late", |_| (), 31, "poll loop"),
        ("not polling yet", |it| it.stages[0].last_poll_ms = None, 3_600, ""),
        ("step in time", |it| it.partitions[0].step_running_since_ms = Some(NOW_MS), 30, ""),
        ("step late", |it| it.partitions[0].step_running_since_ms = Some(NOW_MS), 31, "a step"),
        ("progress in time", |it| it.partitions[0].records_waiting = 1, 60, ""),
        ("no progress", |it| it.partitions[0].records_waiting = 1, 61, "no step finished"),
        ("waits for acks", |it| wait(it, Outside::Acks), 3_600, ""),
        ("waits for the store", |it| wait(it, Outside::Store), 3_600, ""),
        ("nothing to do", |it| it.partitions[0].last_step_ms = 0, 3_600, ""),
        ("fetch in time", |it| more(it), 120, ""),
        ("no fetch", |it| more(it), 121, "no fetch"),
        ("no broker", |it| { more(it); it.stages[0].broker_connected = false }, 3_600, ""),
        ("no fetch, queues full", |it| { more(it); it.stages[0].poll_held = true }, 3_600, ""),
        ("no fetch, waits", |it| { more(it); wait(it, Outside::Store) }, 3_600, ""),
        ("log's end unknown", |it| it.partitions[0].log_end = None, 3_600, ""),
        ("loading", |it| { busy(it); it.partitions[0].state = State::Loading }, 3_600, ""),
        ("fuse open", |it| { busy(it); halt(it, Halt::FuseOpen) }, 3_600, ""),
        ("store down", |it| it.store_connected = false, 0, ""),
        ("huge lag", |it| it.partitions[0].log_end = Some(1 << 40), 0, ""),
    ];
    for (name, change, later_s, fault) in cases {
        let now_ms = NOW_MS + later_s * 1_000;
        let mut report = changed(*change);
        if *name != "poll in time" && *name != "poll late" {
            report.stages[0].last_poll_ms = report.stages[0].last_poll_ms.map(|_| now_ms);
        }
        let verdict = live(&report, now_ms);
        assert_eq!(verdict.is_ok(), fault.is_empty(), "{name}: {verdict:?}");
        assert!(verdict.faults.iter().all(|it| it.contains(fault)), "{name}: {verdict:?}");
    }
}

/// Goal: the clock of a partition starts when it can act again. Method: an hour of waiting,
/// then free, then a minute and more without a step; a finished step starts it anew.
#[test]
fn waiting_does_not_count_as_stuck() {
    let hour_ms = 3_600_000;
    let mut report = changed(|it| wait(it, Outside::Store));
    let freed_ms = NOW_MS + hour_ms;
    report.partitions[0].waiting_for = None;
    report.partitions[0].settle(true, freed_ms);
    for (later_ms, stepped_ms, is_live) in
        [(0, None, true), (60_000, None, true), (60_001, None, false), (90_000, Some(31_000), true)]
    {
        let mut report = report.clone();
        report.stages[0].last_poll_ms = Some(freed_ms + later_ms);
        if let Some(stepped_ms) = stepped_ms {
            report.partitions[0].last_step_ms = freed_ms + stepped_ms;
            report.partitions[0].settle(true, freed_ms + stepped_ms);
        }
        assert_eq!(live(&report, freed_ms + later_ms).is_ok(), is_live, "{later_ms}");
    }
}

/// Goal: ready and started exactly by the rules. Method: a change, the fault of each probe.
#[test]
fn ready_and_started_follow_the_rules() {
    #[rustfmt::skip] // one case a line
    let cases: &[(&str, Change, &str, &str)] = &[
        ("healthy", |_| (), "", ""),
        ("a spare", |it| it.partitions.clear(), "", ""),
        ("stopping", |it| it.is_stopping = true, "stopping", ""),
        ("checks", |it| it.checks_passed = false, "", "start checks"),
        ("store", |it| it.store_connected = false, "session is down", "not connected"),
        ("outside the group", |it| it.stages[0].is_assigned = false, "not assigned", "group"),
        ("loading", |it| it.partitions[0].state = State::Loading, "heads are", "1 partitions"),
        ("later load", |it| { later(it); it.partitions[0].state = State::Loading }, "heads", ""),
        ("store lost later", |it| { later(it); it.store_connected = false }, "session is down", ""),
        ("lag", |it| it.partitions[0].log_end = Some(1 << 40), "", ""),
        ("waiting", |it| wait(it, Outside::Store), "", ""),
    ];
    let fits = |verdict: Verdict, fault: &str, name: &str| {
        assert_eq!(verdict.is_ok(), fault.is_empty(), "{name}: {verdict:?}");
        assert!(verdict.faults.iter().all(|it| it.contains(fault)), "{name}: {verdict:?}");
    };
    for (name, change, not_ready, not_started) in cases {
        let report = changed(*change);
        fits(ready(&report), not_ready, name);
        fits(started(&report), not_started, name);
    }
    for cause in Halt::ALL {
        let mut report = healthy();
        halt(&mut report, cause);
        fits(ready(&report), cause.code(), "halted");
        fits(started(&report), "", "halted");
    }
}

/// Goal: lag in records and time as alerts need it. Method: end, positions, times, then lag.
#[test]
fn lag_is_measured_from_the_oldest() {
    let now_ms = 50_000;
    for (name, end, reached, pending, applied, then) in [
        ("none", Some(7), Some(7), Some(1), Some(1), (0, 0)),
        ("past a stale end", Some(7), Some(9), Some(1), Some(1), (0, 0)),
        ("oldest fetched", Some(9), Some(7), Some(20_000), Some(10_000), (2, 30_000)),
        ("none fetched", Some(9), Some(7), None, Some(10_000), (2, 40_000)),
        ("nothing known", None, None, None, None, (0, 0)),
        ("broker ahead", Some(9), Some(7), Some(60_000), None, (2, 0)),
    ] {
        let mut report = PartitionReport::assigned("feed", "events", 0, 0);
        (report.log_end, report.position, report.durable) = (end, reached, Some(0));
        report.oldest_pending_broker_ms = pending;
        (report.applied_broker_ms, report.durable_broker_ms) = (applied, Some(5_000));
        let lag = (report.lag_records(Point::Processed), report.lag_ms(Point::Processed, now_ms));
        assert_eq!(lag, then, "{name}");
        let durable_ms = if end.is_some() { 45_000 } else { 0 };
        assert_eq!(report.lag_ms(Point::Durable, now_ms), durable_ms, "{name}");
    }
}
