//! The push stage in the process: its clients, its one executor, and its end.
//!
//! Owns the way from joining the group to leaving it. All partitions of the process share one
//! executor on one thread, because gateways know no partitions; requests to the store and to
//! gateways run on tokio. Stop: no more records, what is under way ends, outcomes are acknowledged,
//! offsets are committed, the group is left.

mod executor;
mod intake;
mod ports;
mod resolver;

use super::{EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, serving::Serving};
use crate::adapters::{
    cassandra::push_targets::PushTargets,
    gateways::{self, Gateway},
    kafka::{intake::Intake, sender::Sender},
};
use crate::codec::{push::PushCodec, topics::FEED_ITEMS};
use crate::config::PushMode;
use crate::domain::push::Platform;
use crate::runtime::{
    dispatch::{Arrival, Dispatch, Options},
    fuse::FuseSettings,
    settings::StopSchedule,
    telemetry::{self, StageMeters},
};
use crate::stages::push::NAME;
use executor::{Executor, Shared};
use intake::Crew;
use ports::LivePorts;
use resolver::{Resolver, TargetStore};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

/// Those that are configured, by the platform of the devices that they reach.
pub type Gateways = BTreeMap<Platform, Arc<dyn Gateway>>;

/// Opens the tables of devices and the gateways, none of them where nothing may be sent, and runs
/// the stage until told to stop. Returns the exit code.
pub(super) async fn open_and_serve(serving: &Serving, partitions: i32) -> i32 {
    let config = &serving.config;
    let keyspace = &config.cassandra.keyspace;
    let targets = match PushTargets::open(serving.session.clone(), keyspace).await {
        Ok(targets) => Arc::new(targets),
        Err(error) => {
            tracing::error!(stage = NAME, %error, "the tables of devices cannot be opened");
            return EXIT_FAILED;
        }
    };
    let opened = match config.push {
        PushMode::Live => gateways::open(&config.gateways),
        PushMode::Mute => Ok(Gateways::new()),
    };
    match opened {
        Ok(gateways) => serve(serving, partitions, targets, gateways).await,
        Err(error) => {
            tracing::error!(stage = NAME, %error, "a gateway cannot be used");
            EXIT_REFUSED
        }
    }
}

/// Runs the stage until told to stop; the start checks of its input have passed. `partitions`: of
/// the input topic. Returns the exit code.
async fn serve(
    serving: &Serving,
    partitions: i32,
    targets: Arc<dyn TargetStore>,
    gateways: Gateways,
) -> i32 {
    let config = &serving.config;
    let topic = config.kafka.topic(FEED_ITEMS.0);
    let opened = Sender::open(&config.kafka, NAME).map_err(|error| error.to_string());
    let opened = opened.and_then(|sender| {
        let intake = Intake::open(&config.kafka, NAME, &topic);
        Ok((sender, intake.map_err(|error| error.to_string())?))
    });
    let (sender, intake) = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            tracing::error!(stage = NAME, reason, "cannot open the clients");
            return EXIT_FAILED;
        }
    };
    let (arrivals_in, arrivals) = mpsc::channel();
    let shared = Shared::new(arrivals_in);
    let (sizes, ids) = (config.limits, serving.ids.clone());
    let codec = PushCodec::new(partitions, sizes, ids, &config.kafka.topic_prefix);
    let meters = Arc::new(StageMeters::new(NAME));
    let tokio = tokio::runtime::Handle::current();
    let ports = LivePorts {
        resolver: Resolver::start(&tokio, shared.clone(), targets.clone(), meters.clone()),
        shared: shared.clone(),
        sender: sender.clone(),
        intake: intake.clone(),
        targets,
        gateways,
        attempt_timeout: config.push_settings.attempt_timeout,
        topic_prefix: config.kafka.topic_prefix.clone(),
        tokio,
        meters,
    };
    let dispatch = Dispatch::new(options(serving), codec, telemetry::now_ms());
    let executor = Executor::new(dispatch, ports, shared.clone(), arrivals);
    let thread = std::thread::Builder::new()
        .name(NAME.to_owned())
        .spawn(move || super::run_or_end(|| executor.run()));
    if let Err(error) = thread {
        tracing::error!(stage = NAME, %error, "no thread for the executor");
        return EXIT_FAILED;
    }
    if config.push == PushMode::Mute {
        tracing::info!(
            stage = NAME,
            "push.mode is mute: nothing is sent, outcomes say what would be"
        );
    }
    let crew = Crew::new(
        shared,
        intake.clone(),
        serving.board.clone(),
        topic,
        config.runtime.inflight_records_max,
        config.runtime.inflight_bytes_max,
    );
    let stop = serving.stop.clone();
    let consumed =
        tokio::task::spawn_blocking(move || consume(crew, &intake, &sender, &stop)).await;
    if consumed.is_err() {
        tracing::error!(stage = NAME, "the consumer ended in a panic");
        return EXIT_FAILED;
    }
    EXIT_DONE
}

fn options(serving: &Serving) -> Options {
    let config = &serving.config;
    Options {
        settings: config.push_settings,
        fuse: FuseSettings {
            letters_max: config.fuse.max as usize,
            window_records: i64::from(config.fuse.window),
        },
        mute: config.push == PushMode::Mute,
        // Workers that were started together must not retry together.
        seed: telemetry::now_us().cast_unsigned() ^ u64::from(std::process::id()) << 32,
    }
}

/// The consumer's thread, from joining the group to leaving it.
fn consume(mut crew: Crew, intake: &Intake, sender: &Sender, stop: &AtomicBool) {
    intake.run(&mut crew, stop);
    let deadline_ms =
        telemetry::steady_ms() + StopSchedule::DEFAULT.state_checkpointed.as_millis() as u64;
    let shared = crew.shared();
    shared.send(Arrival::Drain);
    while !shared.drained.load(Ordering::Acquire) && telemetry::steady_ms() < deadline_ms {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let committed = shared.end();
    for (partition, offset) in &committed {
        intake.commit_and_wait(*partition, *offset);
    }
    tracing::info!(stage = NAME, partitions = committed.len(), "stopped; leaving the group");
    sender.stopping();
    intake.leave();
}
