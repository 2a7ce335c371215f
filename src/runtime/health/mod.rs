//! Health: what a worker knows about itself, and the rules that turn it into live, ready, started.
//!
//! Owns the rules, all pure: the time is an argument, of the steady clock. Never asks whether a
//! server is up, how large the lag is, or how many dead letters there were: a restart cures none.
//! Invariant: a partition that waits for an acknowledgement is *waiting*, never *stuck*; otherwise
//! one slow node would restart the whole fleet.

mod report;

#[cfg(test)]
mod tests;

pub use report::{Halt, Outside, PartitionReport, Point, StageReport, State, WorkerReport};

/// The poll loop of a stage must come round within this.
pub const POLL_MS_MAX: u64 = 30_000;
/// No step, or batch of steps, may run longer.
pub const STEP_MS_MAX: u64 = 30_000;
/// With records waiting and nothing outside outstanding, a step must finish within this.
pub const PROGRESS_MS_MAX: u64 = 60_000;
/// With more in the log, a broker and room, a fetch must arrive within this: single partitions
/// have stalled inside the client while others ran, and only a restart cures that.
pub const FETCH_MS_MAX: u64 = 120_000;

/// The answer of a probe: yes, or why not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub faults: Vec<String>,
}

impl Verdict {
    pub fn is_ok(&self) -> bool {
        self.faults.is_empty()
    }

    fn expect(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }
}

/// Whether a restart would *not* help. `now_ms` is of the steady clock.
pub fn live(report: &WorkerReport, now_ms: u64) -> Verdict {
    let mut verdict = Verdict::default();
    for stage in &report.stages {
        let silent_ms = stage.last_poll_ms.map_or(0, |last| now_ms.saturating_sub(last));
        verdict.expect(silent_ms <= POLL_MS_MAX, || {
            format!("{}: the poll loop has been silent for {} s", stage.stage, silent_ms / 1_000)
        });
    }
    for partition in &report.partitions {
        let name = partition.name();
        let age_ms = |since: Option<u64>| since.map_or(0, |since| now_ms.saturating_sub(since));
        let step_ms = age_ms(partition.step_running_since_ms);
        verdict.expect(step_ms <= STEP_MS_MAX, || {
            format!("{name}: a step has run for {} s", step_ms / 1_000)
        });
        let later = |since: Option<u64>, last: u64| since.map(|since| since.max(last));
        let idle_ms = age_ms(later(partition.able_since_ms, partition.last_step_ms));
        verdict.expect(idle_ms <= PROGRESS_MS_MAX, || {
            format!("{name}: records wait, but no step finished for {} s", idle_ms / 1_000)
        });
        let dry_ms = age_ms(later(partition.wanting_since_ms, partition.last_fetch_ms));
        verdict.expect(dry_ms <= FETCH_MS_MAX, || {
            format!("{name}: the log has more, but no fetch arrived for {} s", dry_ms / 1_000)
        });
    }
    verdict
}

/// Whether the worker does its work now. The size of the lag does not count: a fresh worker
/// always has some.
pub fn ready(report: &WorkerReport) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.expect(!report.is_stopping, || "stopping".to_owned());
    verdict.expect(report.store_connected, || "the store's session is down".to_owned());
    for stage in &report.stages {
        verdict.expect(stage.is_assigned, || format!("{}: not assigned", stage.stage));
    }
    for partition in &report.partitions {
        verdict.expect(partition.state != State::Loading, || {
            format!("{}: heads are loading, {} so far", partition.name(), partition.heads_loaded)
        });
        verdict.expect(partition.state != State::Halted, || {
            let code = partition.halt.map_or("no reason given", Halt::code);
            format!("{}: halted ({code})", partition.name())
        });
    }
    verdict
}

/// Whether the start is over. Once true it stays so: a later rebalance is no new start.
pub fn started(report: &WorkerReport) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.expect(report.checks_passed, || "start checks have not passed".to_owned());
    let is_past_first_load = |stage: &StageReport| stage.first_load_done;
    if report.checks_passed
        && !report.stages.is_empty()
        && report.stages.iter().all(is_past_first_load)
    {
        return verdict;
    }
    verdict.expect(report.store_connected, || "the store is not connected".to_owned());
    for stage in report.stages.iter().filter(|stage| !stage.first_load_done) {
        let own = || report.partitions.iter().filter(|it| it.stage == stage.stage);
        let loading = own().filter(|it| it.state == State::Loading).count();
        let heads: u64 = own().map(|it| it.heads_loaded).sum();
        verdict.expect(stage.is_assigned, || format!("{}: not in its group yet", stage.stage));
        verdict.expect(loading == 0, || {
            format!("{}: {loading} partitions are loading, {heads} heads so far", stage.stage)
        });
    }
    verdict
}
