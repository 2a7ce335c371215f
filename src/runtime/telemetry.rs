//! Every metric, label and span name, with kind, unit and description, and the one place that
//! reads a clock for them.
//!
//! Owns the names: no other file spells one. Never decides anything, and never takes an account,
//! payment, customer or token as a label. Invariant: `METRICS` is the whole list, and dashboards,
//! alerts and documentation are checked against it.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge};
use metrics::{describe_histogram, gauge, histogram};

pub const RECORDS_TOTAL: &str = "tapline_records_total";
pub const STEP_DURATION_SECONDS: &str = "tapline_step_duration_seconds";
pub const CHECKPOINT_DURATION_SECONDS: &str = "tapline_checkpoint_duration_seconds";
pub const PRODUCE_ACK_SECONDS: &str = "tapline_produce_ack_seconds";
pub const END_TO_END_SECONDS: &str = "tapline_end_to_end_seconds";
pub const LAG_RECORDS: &str = "tapline_lag_records";
pub const LAG_SECONDS: &str = "tapline_lag_seconds";
pub const MONEY_CUMULATIVE_MINOR: &str = "tapline_money_cumulative_minor";
pub const INFLIGHT_RECORDS: &str = "tapline_inflight_records";
pub const INFLIGHT_BYTES: &str = "tapline_inflight_bytes";
pub const DIRTY_BUCKETS: &str = "tapline_dirty_buckets";
pub const HEADS_LOADED: &str = "tapline_heads_loaded";
pub const PARTITIONS_ASSIGNED: &str = "tapline_partitions_assigned";
pub const PARTITION_WAITING: &str = "tapline_partition_waiting";
pub const REBALANCES_TOTAL: &str = "tapline_rebalances_total";
pub const RETRIES_TOTAL: &str = "tapline_retries_total";
pub const DEAD_LETTERS_TOTAL: &str = "tapline_dead_letters_total";
pub const PUSH_OUTCOMES_TOTAL: &str = "tapline_push_outcomes_total";
pub const PUSH_SENDS_TOTAL: &str = "tapline_push_sends_total";
pub const PUSH_ANSWER_SECONDS: &str = "tapline_push_answer_seconds";
pub const PUSH_BREAKER: &str = "tapline_push_breaker";
pub const PUSH_UNDER_WAY: &str = "tapline_push_under_way";
pub const PUSH_WAITING: &str = "tapline_push_waiting";
pub const PUSH_OLDEST_SECONDS: &str = "tapline_push_oldest_seconds";
pub const API_REQUESTS_TOTAL: &str = "tapline_api_requests_total";
pub const API_ANSWER_SECONDS: &str = "tapline_api_answer_seconds";
pub const REPLAY_PROGRESS_RATIO: &str = "tapline_replay_progress_ratio";
pub const BUILD_INFO: &str = "tapline_build_info";

/// Names of labels. Few values each.
pub mod label {
    pub const STAGE: &str = "stage";
    pub const TOPIC: &str = "topic";
    pub const PARTITION: &str = "partition";
    pub const OUTCOME: &str = "outcome";
    pub const CODE: &str = "code";
    pub const REASON: &str = "reason";
    pub const CURRENCY: &str = "currency";
    pub const FLOW: &str = "flow";
    pub const POINT: &str = "point";
    pub const FROM: &str = "from";
    pub const TO: &str = "to";
    pub const GATEWAY: &str = "gateway";
    pub const ROUTE: &str = "route";
    pub const REPLAY: &str = "replay";
    pub const VERSION: &str = "version";
    pub const COMMIT: &str = "commit";
    pub const LIBRDKAFKA: &str = "librdkafka";
}

/// First words of span names; the topic follows. Kinds: PRODUCER, CLIENT, CONSUMER, CLIENT.
pub mod span {
    pub const SEND: &str = "send";
    pub const POLL: &str = "poll";
    pub const PROCESS: &str = "process";
    pub const COMMIT: &str = "commit";
}

/// Attributes of spans, as OpenTelemetry's messaging conventions name them.
pub mod attribute {
    pub const SYSTEM: &str = "messaging.system";
    pub const DESTINATION: &str = "messaging.destination.name";
    pub const PARTITION: &str = "messaging.destination.partition.id";
    pub const GROUP: &str = "messaging.consumer.group.name";
    pub const OPERATION_NAME: &str = "messaging.operation.name";
    pub const OPERATION_TYPE: &str = "messaging.operation.type";
    pub const OFFSET: &str = "messaging.kafka.offset";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric as a reader of `/metrics` meets it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub labels: &'static [&'static str],
    pub description: &'static str,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: Unit,
    labels: &'static [&'static str],
    description: &'static str,
) -> Metric {
    Metric { name, kind, unit, labels, description }
}

use Kind::{Counter as C, Gauge as G, Histogram as H};
use label::*;

#[rustfmt::skip] // one metric a line
pub const METRICS: &[Metric] = &[
    metric(RECORDS_TOTAL, C, Unit::Count, &[STAGE, OUTCOME], "Records applied, by what became of them"),
    metric(STEP_DURATION_SECONDS, H, Unit::Seconds, &[STAGE], "Time in the pure step of one record"),
    metric(CHECKPOINT_DURATION_SECONDS, H, Unit::Seconds, &[STAGE], "Time from a seal to its last acknowledgement"),
    metric(PRODUCE_ACK_SECONDS, H, Unit::Seconds, &[STAGE], "Time from handing an output over to its acknowledgement"),
    metric(END_TO_END_SECONDS, H, Unit::Seconds, &[FROM, TO], "Time from the broker's append of the first command to the effect"),
    metric(LAG_RECORDS, G, Unit::Count, &[STAGE, TOPIC, PARTITION, POINT], "Records in the log beyond the point"),
    metric(LAG_SECONDS, G, Unit::Seconds, &[STAGE, TOPIC, PARTITION, POINT], "Age of the oldest record beyond the point"),
    metric(MONEY_CUMULATIVE_MINOR, G, Unit::Count, &[STAGE, FLOW, CURRENCY, PARTITION], "Running sum of money past a stage, in minor units"),
    metric(INFLIGHT_RECORDS, G, Unit::Count, &[STAGE], "Records fetched and not yet applied"),
    metric(INFLIGHT_BYTES, G, Unit::Bytes, &[STAGE], "Bytes fetched and not yet applied"),
    metric(DIRTY_BUCKETS, G, Unit::Count, &[STAGE], "Buckets with state that is not yet checkpointed"),
    metric(HEADS_LOADED, G, Unit::Count, &[STAGE], "Heads in memory"),
    metric(PARTITIONS_ASSIGNED, G, Unit::Count, &[STAGE], "Partitions that this worker owns"),
    metric(PARTITION_WAITING, G, Unit::Count, &[STAGE, REASON], "Owned partitions that wait for something outside"),
    metric(REBALANCES_TOTAL, C, Unit::Count, &[STAGE, CODE], "Changes of assignment"),
    metric(RETRIES_TOTAL, C, Unit::Count, &[STAGE, CODE], "Attempts repeated after a transient error"),
    metric(DEAD_LETTERS_TOTAL, C, Unit::Count, &[STAGE, CODE], "Records that can never be applied"),
    metric(PUSH_OUTCOMES_TOTAL, C, Unit::Count, &[OUTCOME], "Pushes by how they ended"),
    metric(PUSH_SENDS_TOTAL, C, Unit::Count, &[GATEWAY, OUTCOME], "Requests at a gateway by its answer: accepted, gone, rejected, later, unanswered"),
    metric(PUSH_ANSWER_SECONDS, H, Unit::Seconds, &[GATEWAY], "Time from a request at a gateway to its answer"),
    metric(PUSH_BREAKER, G, Unit::Count, &[GATEWAY], "The gateway's circuit breaker: 0 closed, 0.5 half open, 1 open"),
    metric(PUSH_UNDER_WAY, G, Unit::Count, &[GATEWAY], "Requests at a gateway that wait for their answer"),
    metric(PUSH_WAITING, G, Unit::Count, &[], "Pushes that have not ended"),
    metric(PUSH_OLDEST_SECONDS, G, Unit::Seconds, &[], "Age of the oldest of them since its command; at push.age_max it is dropped"),
    metric(API_REQUESTS_TOTAL, C, Unit::Count, &[ROUTE, CODE], "Requests of the feed's API and page, by HTTP status"),
    metric(API_ANSWER_SECONDS, H, Unit::Seconds, &[ROUTE], "Time from such a request to the beginning of its answer"),
    metric(REPLAY_PROGRESS_RATIO, G, Unit::Count, &[REPLAY], "Share of a replay that is done, 0 to 1"),
    metric(BUILD_INFO, G, Unit::Count, &[VERSION, COMMIT, LIBRDKAFKA], "Always 1; the labels say what runs"),
];

/// Upper bounds of waiting times, in seconds.
pub const WAITING_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Upper bounds of the time in a step, in seconds: a millionth is usual, a tenth is a fault.
pub const STEP_BUCKETS: &[f64] = &[1e-6, 2.5e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2, 0.1];

/// Names ending so get those buckets; the first match counts. Without buckets the exporter
/// renders summaries, which cannot be added over pods.
pub const BUCKETS_BY_SUFFIX: &[(&str, &[f64])] =
    &[("step_duration_seconds", STEP_BUCKETS), ("_seconds", WAITING_BUCKETS)];

/// Tells the recorder what each metric means. Once, after the recorder is installed.
pub fn describe_all() {
    for Metric { name, kind, unit, description, .. } in METRICS {
        match kind {
            Kind::Counter => describe_counter!(*name, *unit, *description),
            Kind::Gauge => describe_gauge!(*name, *unit, *description),
            Kind::Histogram => describe_histogram!(*name, *unit, *description),
        }
    }
}

/// The handles that a stage's loop touches per record, looked up once.
pub struct StageMeters {
    pub applied: Counter,
    pub skipped_duplicate: Counter,
    pub declined: Counter,
    pub dead_letter: Counter,
    pub step_seconds: Histogram,
    pub checkpoint_seconds: Histogram,
    pub produce_ack_seconds: Histogram,
    stage: &'static str,
}

impl StageMeters {
    pub fn new(stage: &'static str) -> Self {
        let records = |outcome| counter!(RECORDS_TOTAL, STAGE => stage, OUTCOME => outcome);
        StageMeters {
            applied: records("applied"),
            skipped_duplicate: records("skipped_duplicate"),
            declined: records("declined"),
            dead_letter: records("dead_letter"),
            step_seconds: histogram!(STEP_DURATION_SECONDS, STAGE => stage),
            checkpoint_seconds: histogram!(CHECKPOINT_DURATION_SECONDS, STAGE => stage),
            produce_ack_seconds: histogram!(PRODUCE_ACK_SECONDS, STAGE => stage),
            stage,
        }
    }

    /// `code`: assign, revoke or lost.
    pub fn rebalanced(&self, code: &'static str) {
        counter!(REBALANCES_TOTAL, STAGE => self.stage, CODE => code).increment(1);
    }

    pub fn retried(&self, code: &'static str) {
        counter!(RETRIES_TOTAL, STAGE => self.stage, CODE => code).increment(1);
    }

    /// Counts under its code; `dead_letter` counts it among the records too.
    pub fn dead_lettered(&self, code: &'static str) {
        self.dead_letter.increment(1);
        counter!(DEAD_LETTERS_TOTAL, STAGE => self.stage, CODE => code).increment(1);
    }
}

/// A running sum of the checkpointed state, in minor units: exact up to 2^53.
pub fn money(stage: &'static str, flow: &'static str, currency: String, partition: u32) -> Gauge {
    gauge!(
        MONEY_CUMULATIVE_MINOR,
        STAGE => stage, FLOW => flow, CURRENCY => currency, PARTITION => partition.to_string()
    )
}

/// `from`: command. `to`: event, posting, feed or push. A clock that runs behind counts as 0.
pub fn end_to_end(from: &'static str, to: &'static str, origin_ms: i64, now_ms: i64) {
    let seconds = now_ms.saturating_sub(origin_ms).max(0) as f64 / 1_000.0;
    histogram!(END_TO_END_SECONDS, FROM => from, TO => to).record(seconds);
}

/// So many more ended so.
pub fn push_outcomes(outcome: &'static str, more: u64) {
    counter!(PUSH_OUTCOMES_TOTAL, OUTCOME => outcome).increment(more);
}

/// So many more requests were answered so.
pub fn push_sends(gateway: &'static str, answer: &'static str, more: u64) {
    counter!(PUSH_SENDS_TOTAL, GATEWAY => gateway, OUTCOME => answer).increment(more);
}

pub fn push_answered(gateway: &'static str, seconds: f64) {
    histogram!(PUSH_ANSWER_SECONDS, GATEWAY => gateway).record(seconds);
}

/// `breaker`: closed, half_open or open.
pub fn push_gateway(gateway: &'static str, breaker: &str, under_way: usize) {
    let state = match breaker {
        "closed" => 0.0,
        "half_open" => 0.5,
        _ => 1.0,
    };
    gauge!(PUSH_BREAKER, GATEWAY => gateway).set(state);
    gauge!(PUSH_UNDER_WAY, GATEWAY => gateway).set(under_way as f64);
}

pub fn push_waiting(obligations: usize, oldest_ms: i64) {
    gauge!(PUSH_WAITING).set(obligations as f64);
    gauge!(PUSH_OLDEST_SECONDS).set(oldest_ms.max(0) as f64 / 1_000.0);
}

/// `route`: as declared, never as asked, or every customer would be a label.
pub fn api_answered(route: &str, status: u16, seconds: f64) {
    let code = status.to_string();
    counter!(API_REQUESTS_TOTAL, ROUTE => route.to_owned(), CODE => code).increment(1);
    histogram!(API_ANSWER_SECONDS, ROUTE => route.to_owned()).record(seconds);
}

pub fn replay_progress(replay: &str, ratio: f64) {
    gauge!(REPLAY_PROGRESS_RATIO, REPLAY => replay.to_owned()).set(ratio);
}

/// Set again at each refresh, as idle gauges disappear.
pub fn build(version: &'static str, commit: &'static str, librdkafka: &str) {
    gauge!(
        BUILD_INFO,
        VERSION => version, COMMIT => commit, LIBRDKAFKA => librdkafka.to_owned()
    )
    .set(1.0);
}

/// The wall clock, microseconds since 1970: to be compared with a broker's timestamps only.
#[expect(clippy::disallowed_methods, reason = "the one reading of the wall clock")]
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The same in milliseconds.
pub fn now_ms() -> i64 {
    now_us() / 1_000
}

/// A clock that never goes back, nanoseconds since the process first asked: for how long
/// something took or has been silent. Health uses it, as a wall clock that is set would kill pods.
#[expect(clippy::disallowed_methods, reason = "the one reading of the steady clock")]
pub fn steady_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The same in milliseconds.
pub fn steady_ms() -> u64 {
    steady_ns() / 1_000_000
}

/// Seconds since an earlier `steady_ns`, for a histogram.
pub fn seconds_since(start_ns: u64) -> f64 {
    steady_ns().saturating_sub(start_ns) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a name in somebody's dashboard changes only on purpose. Method: the golden list.
    #[test]
    fn metric_names_are_golden() {
        let listed: Vec<String> = METRICS
            .iter()
            .map(|it| format!("{} {:?} {}", it.name, it.kind, it.labels.join(",")).to_lowercase())
            .collect();
        let golden = [
            "tapline_records_total counter stage,outcome",
            "tapline_step_duration_seconds histogram stage",
            "tapline_checkpoint_duration_seconds histogram stage",
            "tapline_produce_ack_seconds histogram stage",
            "tapline_end_to_end_seconds histogram from,to",
            "tapline_lag_records gauge stage,topic,partition,point",
            "tapline_lag_seconds gauge stage,topic,partition,point",
            "tapline_money_cumulative_minor gauge stage,flow,currency,partition",
            "tapline_inflight_records gauge stage",
            "tapline_inflight_bytes gauge stage",
            "tapline_dirty_buckets gauge stage",
            "tapline_heads_loaded gauge stage",
            "tapline_partitions_assigned gauge stage",
            "tapline_partition_waiting gauge stage,reason",
            "tapline_rebalances_total counter stage,code",
            "tapline_retries_total counter stage,code",
            "tapline_dead_letters_total counter stage,code",
            "tapline_push_outcomes_total counter outcome",
            "tapline_push_sends_total counter gateway,outcome",
            "tapline_push_answer_seconds histogram gateway",
            "tapline_push_breaker gauge gateway",
            "tapline_push_under_way gauge gateway",
            "tapline_push_waiting gauge ",
            "tapline_push_oldest_seconds gauge ",
            "tapline_api_requests_total counter route,code",
            "tapline_api_answer_seconds histogram route",
            "tapline_replay_progress_ratio gauge replay",
            "tapline_build_info gauge version,commit,librdkafka",
        ];
        assert_eq!(listed, golden);
    }

    /// Goal: every histogram has buckets, and the step its fine ones. Method: match each name.
    #[test]
    fn every_histogram_has_buckets() {
        for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Histogram) {
            let found = BUCKETS_BY_SUFFIX.iter().find(|(suffix, _)| metric.name.ends_with(suffix));
            let fine = found.map(|(_, buckets)| *buckets == STEP_BUCKETS);
            assert_eq!(fine, Some(metric.name == STEP_DURATION_SECONDS), "{}", metric.name);
        }
        for (suffix, buckets) in BUCKETS_BY_SUFFIX {
            assert!(buckets.is_sorted_by(|one, next| one < next), "{suffix}");
        }
    }
}
