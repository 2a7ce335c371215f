//! The worker: one process that runs stages on a live Kafka and Cassandra, as a pod would.
//!
//! Owns start, stop and the threads between. Start: checks, then join. Stop: hand out no new
//! records, let outputs be acked, seal, commit, leave the group (operations.md 2.3). The order
//! acks, state, offset is never changed to be faster.

pub mod checks;
mod crew;
mod inbox;
mod owned;
mod ports;
pub mod push;
mod serving;
pub mod stages;
mod ticker;

use crate::adapters::{
    cassandra::session::{self, Session},
    http,
    kafka::client,
};
use crate::config::Config;
use crate::runtime::{
    board::HealthBoard,
    failure::{Class, pauses},
    settings::StopSchedule,
    telemetry,
};
use futures_util::FutureExt;
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;

pub const EXIT_DONE: i32 = 0;
/// Ran, but the verdict is bad (docs: exit codes).
pub const EXIT_BAD: i32 = 1;
/// Wrong usage, or nothing that could be judged.
pub const EXIT_USAGE: i32 = 2;
pub const EXIT_FAILED: i32 = 3;
pub const EXIT_REFUSED: i32 = 4;
pub const EXIT_UNREACHABLE: i32 = 5;

/// Ends the process at once: nothing that follows could be right. What is durable is true; the rest
/// is replayed by the next owner.
fn end_process(reason: &str) -> ! {
    tracing::error!(reason, "ending the process; the next owner goes on from what is durable");
    std::process::exit(EXIT_FAILED)
}

/// Runs a request on tokio. Where its code panics the process ends: whoever asked would wait for the
/// answer for ever.
fn spawn_or_end(tokio: &Handle, request: impl Future<Output = ()> + Send + 'static) {
    tokio.spawn(async move {
        if AssertUnwindSafe(request).catch_unwind().await.is_err() {
            end_process("the code of a request panicked");
        }
    });
}

/// The body of a thread that nobody joins while it works; ends the process where it panics.
fn run_or_end(work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        end_process("a thread panicked");
    }
}

/// Ends the process because something outside is not as it must be.
fn refuse(code: &'static str, sentence: &str) -> ! {
    tracing::error!(error_code = code, "refused to start: {sentence}");
    std::process::exit(EXIT_REFUSED)
}

/// Runs the configured stages until a signal; returns the exit code.
pub fn run(config: &Config) -> i32 {
    crate::codec::init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("io")
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run_stages(config));
            runtime.shutdown_timeout(Duration::from_millis(200));
            code
        }
        Err(error) => {
            tracing::error!(%error, "no runtime");
            EXIT_FAILED
        }
    }
}

async fn run_stages(config: &Config) -> i32 {
    let stop = Arc::new(AtomicBool::new(false));
    let board = HealthBoard::new(&stages::names(config));
    let metrics = match http::install_metrics(config.telemetry.gauge_idle) {
        Ok(handle) => handle,
        Err(error) => {
            tracing::error!(error, "metrics cannot be installed");
            return EXIT_FAILED;
        }
    };
    telemetry::describe_all();
    let build = http::Build {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("TAPLINE_COMMIT").unwrap_or("unknown"),
        librdkafka: client::library_version(),
    };
    let (quit, quitting) = tokio::sync::watch::channel(false);
    let quitting = {
        let mut quitting = quitting;
        async move {
            let _ = quitting.wait_for(|is_quitting| *is_quitting).await;
        }
    };
    let listen = config.http_listen;
    let refresh = config.telemetry.refresh_interval;
    match http::serve(listen, board.clone(), metrics, build, refresh, quitting).await {
        Ok(listening) => tracing::info!(address = %listening.address, "health and metrics"),
        Err(error) => {
            tracing::error!(%listen, %error,
                "http.listen cannot be bound; choose another address with http.listen");
            return EXIT_FAILED;
        }
    }
    spawn_signal_watch(stop.clone(), board.clone());
    let code = serve_stages(config, &board, &stop).await;
    let _ = quit.send(true);
    code
}

/// The first signal asks for a stop, the second ends at once; a stop that hangs ends by itself.
fn spawn_signal_watch(stop: Arc<AtomicBool>, board: Arc<HealthBoard>) {
    tokio::spawn(async move {
        signal().await;
        tracing::info!("stopping: finishing what was begun, then leaving the group");
        stop.store(true, Ordering::Release);
        board.stopping();
        tokio::select! {
            () = signal() => tracing::warn!("second signal: ending at once"),
            () = tokio::time::sleep(StopSchedule::DEFAULT.watchdog) => {
                tracing::error!("the stop took too long; ending the process");
            }
        }
        std::process::exit(EXIT_FAILED);
    });
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

async fn serve_stages(config: &Config, board: &Arc<HealthBoard>, stop: &Arc<AtomicBool>) -> i32 {
    let connected = until_deadline(config, stop, "Cassandra", || async {
        session::connect(&config.cassandra).await.map_err(|error| match error.class() {
            Class::Retryable => Trouble::Passing(error.to_string()),
            Class::Fatal => Trouble::Lasting(error.to_string()),
        })
    });
    let session: Arc<Session> = match connected.await {
        Ok(session) => Arc::new(session),
        Err(code) => return code,
    };
    board.store_connected(true);
    let properties = config.kafka.connection_properties("check");
    let answered = until_deadline(config, stop, "Kafka", || {
        let properties = properties.clone();
        async move {
            let asked = move || client::cluster_id(&properties, Duration::from_secs(5));
            match tokio::task::spawn_blocking(asked).await {
                Ok(Some(cluster)) => Ok(cluster),
                _ => Err(Trouble::Passing("no answer".to_owned())),
            }
        }
    });
    if let Err(code) = answered.await {
        return code;
    }
    stages::serve(config, session, board, stop).await
}

/// Worth waiting for, or not.
pub(crate) enum Trouble {
    Passing(String),
    Lasting(String),
}

/// Repeats until it succeeds, the start deadline passes (exit 5) or a signal comes (exit 0).
pub(crate) async fn until_deadline<T, F: Future<Output = Result<T, Trouble>>>(
    config: &Config,
    stop: &AtomicBool,
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> Result<T, i32> {
    let deadline_ms = telemetry::steady_ms() + config.worker.start_deadline.as_millis() as u64;
    let mut pauses = pauses();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(Trouble::Lasting(reason)) => {
                tracing::error!(reason, "{what} refuses us");
                return Err(EXIT_REFUSED);
            }
            Err(Trouble::Passing(reason)) => {
                if stop.load(Ordering::Acquire) {
                    return Err(EXIT_DONE);
                }
                let left_ms = deadline_ms.saturating_sub(telemetry::steady_ms());
                if left_ms == 0 {
                    tracing::error!(reason, "{what} did not answer before worker.start_deadline");
                    return Err(EXIT_UNREACHABLE);
                }
                tracing::warn!(reason, seconds_left = left_ms / 1_000, "waiting for {what}");
            }
        }
        tokio::time::sleep(pauses.next().unwrap_or_default()).await;
    }
}
