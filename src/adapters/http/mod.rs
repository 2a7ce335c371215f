//! The listener for orchestrators and scrapers: metrics, three probes, version.
//!
//! Owns the answers' form and the exporter's set-up. Never changes anything and never judges: the
//! rules are in `runtime::health`. Invariant: an answer needs no server but this process, so a
//! probe is true to the worker even when Kafka and Cassandra are gone.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use metrics_util::MetricKindMask;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::runtime::board::{HealthBoard, refresh_gauges};
use crate::runtime::health::{self, PartitionReport, Point, Verdict, WorkerReport};
use crate::runtime::telemetry;

pub mod idle;

/// What runs, for `/version` and the metric of the same facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Build {
    pub version: &'static str,
    pub commit: &'static str,
    /// Of the client library that is linked, asked at run time.
    pub librdkafka: String,
}

/// A listener that runs, until the `shutdown` given to `serve` is ready.
#[derive(Debug)]
pub struct Listening {
    /// With the real port where port 0 was asked for.
    pub address: SocketAddr,
    pub task: JoinHandle<io::Result<()>>,
}

#[derive(Clone)]
struct Shared {
    board: Arc<HealthBoard>,
    metrics: PrometheusHandle,
    process: metrics_process::Collector,
    build: Build,
}

/// Makes the process's recorder of metrics. Once, before anything is counted.
///
/// `gauge_idle`: a gauge that nobody sets any more disappears, such as a revoked partition's.
/// Errors: a recorder is installed already.
pub fn install_metrics(gauge_idle: Duration) -> Result<PrometheusHandle, String> {
    let recorder = recorder(gauge_idle)?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
    telemetry::describe_all();
    metrics_process::Collector::default().describe();
    Ok(handle)
}

/// The metrics page of what `run` counts, for tests anywhere.
#[cfg(test)]
pub fn page_of(run: impl FnOnce()) -> String {
    let recorder = recorder(Duration::from_secs(60)).expect("buckets");
    metrics::with_local_recorder(&recorder, run);
    recorder.handle().render()
}

/// Every histogram gets its buckets by its full name: the exporter tries suffixes in alphabetical
/// order, so that a short suffix would hide a longer one.
fn recorder(gauge_idle: Duration) -> Result<PrometheusRecorder, String> {
    let mut builder =
        PrometheusBuilder::new().idle_timeout(MetricKindMask::GAUGE, Some(gauge_idle));
    for metric in telemetry::METRICS {
        let fits = |(suffix, _): &&(&str, &[f64])| metric.name.ends_with(suffix);
        let is_histogram = metric.kind == telemetry::Kind::Histogram;
        let buckets = telemetry::BUCKETS_BY_SUFFIX.iter().find(fits);
        if let Some((_, buckets)) = buckets.filter(|_| is_histogram) {
            let name = Matcher::Full(metric.name.to_owned());
            builder =
                builder.set_buckets_for_metric(name, buckets).map_err(|error| error.to_string())?;
        }
    }
    Ok(builder.build_recorder())
}

/// Binds, then serves in the background; also refreshes gauges and tends the exporter each
/// `refresh_interval`. Errors: the address cannot be bound.
pub async fn serve(
    listen: SocketAddr,
    board: Arc<HealthBoard>,
    metrics: PrometheusHandle,
    build: Build,
    refresh_interval: Duration,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Listening> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let shared = Shared { board, metrics, process: metrics_process::Collector::default(), build };
    let served = axum::serve(idle::Listener(listener), routes(shared.clone()))
        .with_graceful_shutdown(shutdown);
    let task = tokio::spawn(async move {
        tokio::select! {
            ended = async { served.await } => ended,
            () = refresh(&shared, refresh_interval) => Ok(()),
        }
    });
    Ok(Listening { address, task })
}

fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/version", get(version))
        .with_state(shared)
}

async fn refresh(shared: &Shared, interval: Duration) {
    let mut turns = tokio::time::interval(interval);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        refresh_once(shared);
        shared.metrics.run_upkeep();
    }
}

fn refresh_once(shared: &Shared) {
    let report = shared.board.snapshot(telemetry::steady_ms());
    refresh_gauges(&report, telemetry::now_ms());
    telemetry::build(shared.build.version, shared.build.commit, &shared.build.librdkafka);
}

async fn metrics(State(shared): State<Shared>) -> Response {
    refresh_once(&shared);
    shared.process.collect();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, shared.metrics.render()).into_response()
}

async fn livez(State(shared): State<Shared>) -> Response {
    let now_ms = telemetry::steady_ms();
    let report = shared.board.snapshot(now_ms);
    answer(&health::live(&report, now_ms), &report)
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let report = shared.board.snapshot(telemetry::steady_ms());
    answer(&health::ready(&report), &report)
}

async fn startupz(State(shared): State<Shared>) -> Response {
    let report = shared.board.snapshot(telemetry::steady_ms());
    answer(&health::started(&report), &report)
}

async fn version(State(shared): State<Shared>) -> Response {
    axum::Json(shared.build).into_response()
}

fn answer(verdict: &Verdict, report: &WorkerReport) -> Response {
    let status = if verdict.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body(verdict, report, telemetry::now_ms())).into_response()
}

/// JSON with each partition on a line of its own, so that `curl` is enough to read it.
fn body(verdict: &Verdict, report: &WorkerReport, now_broker_ms: i64) -> String {
    let line = |it: &PartitionReport| {
        json!({
            "stage": it.stage,
            "topic": it.topic,
            "partition": it.partition,
            "state": it.state_code(),
            "reason": it.reason_code(),
            "position": it.position,
            "durable": it.durable,
            "lag_records": it.lag_records(Point::Processed),
            "lag_ms": it.lag_ms(Point::Processed, now_broker_ms),
            "heads_loaded": it.heads_loaded,
        })
        .to_string()
    };
    let lines: Vec<String> = report.partitions.iter().map(line).collect();
    let lines = if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join(",\n")) };
    format!(
        "{{\"status\":{},\"faults\":{},\n\"partitions\":[{lines}]}}\n",
        json!(if verdict.is_ok() { "ok" } else { "failing" }),
        json!(verdict.faults),
    )
}

#[cfg(test)]
mod tests;
