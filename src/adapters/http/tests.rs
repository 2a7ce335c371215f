//! The listener's answers, asked through its routes and once through a socket of this machine.
//!
//! Owns the golden forms of `/metrics` and the probes.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::runtime::health::{Halt, State as PartitionState};
use crate::runtime::telemetry::StageMeters;

const GAUGE_IDLE: Duration = Duration::from_secs(60);

fn build() -> Build {
    Build { version: "1.2.3", commit: "abc", librdkafka: "2.12.1".to_owned() }
}

/// One plain request, as a probe makes it. Shape: (status, body).
async fn ask(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a listener");
    let request = format!("GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("answered");
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
    let body = text.split_once("\r\n\r\n").expect("a body").1.to_owned();
    (status, body)
}

/// Goal: every probe answers by the board, as JSON with a line a partition, and the listener ends
/// when told. Method: one listener on a free port, the board changed between questions.
#[tokio::test]
async fn probes_answer_by_the_board() {
    let board = HealthBoard::new(&["feed"]);
    let recorder = recorder(GAUGE_IDLE).expect("buckets");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let listening = serve(
        SocketAddr::from(([127, 0, 0, 1], 0)),
        Arc::clone(&board),
        recorder.handle(),
        build(),
        Duration::from_secs(5),
        async { drop(stopped.await) },
    )
    .await
    .expect("a free port");
    let statuses = async |paths: [&str; 3]| {
        let mut statuses = Vec::new();
        for path in paths {
            statuses.push(ask(listening.address, path).await.0);
        }
        statuses
    };
    let probes = ["/livez", "/readyz", "/startupz"];
    assert_eq!(statuses(probes).await, [200, 503, 503], "new");

    board.checks_passed();
    board.store_connected(true);
    let cards = board.assigned("feed", "payments.events.v1", &[0, 1], telemetry::steady_ms());
    cards.iter().for_each(|card| card.loaded(telemetry::steady_ms(), 7));
    assert_eq!(statuses(probes).await, [200, 200, 200], "loaded");

    cards[1].update(|report| {
        (report.state, report.halt) = (PartitionState::Halted, Some(Halt::FuseOpen));
        (report.position, report.log_end) = (Some(40), Some(42));
    });
    assert_eq!(statuses(probes).await, [200, 503, 200], "fuse");
    let (_, body) = ask(listening.address, "/readyz").await;
    let parsed: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(parsed["status"], "failing");
    assert_eq!(parsed["faults"][0], "feed/1: halted (fuse_open)");
    assert_eq!(parsed["partitions"][1]["lag_records"], 2);
    assert_eq!(parsed["partitions"][1]["reason"], "fuse_open");
    let lines = body.lines().filter(|line| line.contains("\"partition\":"));
    assert_eq!(lines.count(), 2, "{body}");

    let (status, body) = ask(listening.address, "/version").await;
    assert_eq!(status, 200);
    assert_eq!(body, r#"{"version":"1.2.3","commit":"abc","librdkafka":"2.12.1"}"#);
    assert_eq!(ask(listening.address, "/nothing").await.0, 404);

    drop(stop);
    listening.task.await.expect("no panic").expect("ended well");
}

/// Goal: histograms are rendered with buckets, the step's with fine ones, and every gauge of
/// partitions is there. Method: record one of each into a recorder of the test's own, render.
#[test]
fn metrics_show_buckets_and_gauges() {
    let page = page_of(|| {
        telemetry::describe_all();
        let meters = StageMeters::new("feed");
        meters.applied.increment(3);
        meters.step_seconds.record(2e-6);
        meters.checkpoint_seconds.record(0.02);
        meters.produce_ack_seconds.record(0.002);
        meters.dead_lettered("too_large");
        meters.rebalanced("assign");
        meters.retried("store_timeout");
        telemetry::money("authorisation", "posted", "GBP".to_owned(), 0).set(1_234.0);
        telemetry::end_to_end("command", "feed", 1_000, 1_200);
        telemetry::push_outcomes("delivered", 1);
        telemetry::push_sends("fcm", "accepted", 1);
        telemetry::push_answered("fcm", 0.2);
        telemetry::push_gateway("fcm", "closed", 3);
        telemetry::push_waiting(4, 1_500);
        telemetry::api_answered("/v1/customers/{customer}/feed", 200, 0.02);
        telemetry::replay_progress("r1", 0.5);
        telemetry::build("1.2.3", "abc", "2.12.1");
        let board = HealthBoard::new(&["feed"]);
        let card = board.assigned("feed", "payments.events.v1", &[0], 0).remove(0);
        card.update(|report| (report.position, report.log_end) = (Some(40), Some(42)));
        refresh_gauges(&board.snapshot(0), 0);
    });
    for (name, rest) in [
        (telemetry::RECORDS_TOTAL, r#"{stage="feed",outcome="applied"} 3"#),
        (telemetry::STEP_DURATION_SECONDS, r#"_bucket{stage="feed",le="0.0000025"} 1"#),
        (telemetry::CHECKPOINT_DURATION_SECONDS, r#"_bucket{stage="feed",le="0.025"} 1"#),
        (telemetry::PRODUCE_ACK_SECONDS, r#"_bucket{stage="feed",le="0.0025"} 1"#),
        (telemetry::END_TO_END_SECONDS, r#"_bucket{from="command",to="feed",le="0.25"} 1"#),
        (telemetry::PARTITIONS_ASSIGNED, r#"{stage="feed"} 1"#),
        (telemetry::PARTITION_WAITING, r#"{stage="feed",reason="store"} 0"#),
    ] {
        let line = format!("{name}{rest}");
        assert!(page.lines().any(|it| it == line), "no {line} in\n{page}");
    }
    for metric in telemetry::METRICS {
        assert!(page.contains(&format!("# TYPE {} ", metric.name)), "no {}", metric.name);
        assert!(page.contains(&format!("# HELP {} ", metric.name)), "no help of {}", metric.name);
    }
    assert!(!page.contains("quantile="), "a summary cannot be added over pods\n{page}");
}
