//! One stage in the process: its clients, its crew, and its end.
//!
//! Owns what all stages share and the way from joining the group to leaving it. A stage has a
//! consumer with a group of its own, a producer and prepared statements of its own; only the session
//! to the store and the health board are common.

use super::{
    EXIT_DONE, EXIT_FAILED,
    crew::{Crew, CrewSettings, Live},
    ports::Edges,
    stages::{Checked, NewCodec, parse_rules},
    ticker::EncodeTick,
};
use crate::adapters::{
    cassandra::{session::Session, store::Store},
    kafka::{intake::Intake, sender::Sender},
};
use crate::codec::{StageCodec, avro::RegistryIds, topics::TOPICS};
use crate::config::Config;
use crate::domain::rules::Rules;
use crate::runtime::{
    board::HealthBoard, fuse::FuseSettings, partition::Limits, settings::StopSchedule,
    telemetry::StageMeters,
};
use crate::stages::Stage;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What all stages of the process share.
pub struct Serving {
    pub config: Config,
    pub session: Arc<Session>,
    pub board: Arc<HealthBoard>,
    pub stop: Arc<AtomicBool>,
    pub ids: RegistryIds,
}

impl Serving {
    /// Runs a stage whose checks have passed until told to stop; returns the exit code.
    pub async fn serve<S: Stage<Rules = Rules>, C: StageCodec<S>>(
        &self,
        checked: Checked,
        new_codec: NewCodec<C>,
        encode_tick: Option<EncodeTick>,
    ) -> i32 {
        let Checked { incarnation, first_rules } = checked;
        debug_assert!(TOPICS.iter().any(|it| it.topic == S::INPUT && it.has_ticks == S::TICKS));
        let edges = match self.open_edges::<S>().await {
            Ok(edges) => Arc::new(edges),
            Err(reason) => {
                tracing::error!(stage = S::NAME, reason, "cannot open the clients");
                return EXIT_FAILED;
            }
        };
        let (ids, prefix) = (self.ids.clone(), self.config.kafka.topic_prefix.clone());
        let (partitions, sizes) = (incarnation.partitions, self.config.limits);
        let live = Live::<S, C> {
            codec: Arc::new(move || new_codec(partitions, sizes, ids.clone(), &prefix)),
            first_rules,
            parse_rules,
            encode_tick,
        };
        let settings = CrewSettings {
            incarnation: incarnation.number,
            partitions,
            runtime: self.config.runtime.clone(),
            read_buckets: self.config.feed_buckets,
            limits: limits(&self.config),
            topic: edges.topic(S::INPUT),
        };
        let crew = Crew::new(edges.clone(), live, settings, self.board.clone());
        let stop = self.stop.clone();
        let consumed = tokio::task::spawn_blocking(move || consume(crew, &edges, &stop)).await;
        if consumed.is_err() {
            tracing::error!(stage = S::NAME, "the consumer ended in a panic");
            return EXIT_FAILED;
        }
        EXIT_DONE
    }

    async fn open_edges<S: Stage>(&self) -> Result<Edges, String> {
        let (config, stage) = (&self.config, S::NAME);
        let mut store = Store::open(self.session.clone(), &config.cassandra, stage)
            .await
            .map_err(|error| error.to_string())?;
        if S::READ_ROW.is_some() {
            store
                .open_reads(&config.cassandra.keyspace, stage)
                .await
                .map_err(|it| it.to_string())?;
        }
        let sender = Sender::open(&config.kafka, stage).map_err(|error| error.to_string())?;
        let topic = config.kafka.topic(S::INPUT.0);
        let intake =
            Intake::open(&config.kafka, stage, &topic).map_err(|error| error.to_string())?;
        Ok(Edges {
            stage,
            sender,
            intake,
            store,
            session: self.session.clone(),
            keyspace: config.cassandra.keyspace.clone(),
            topic_prefix: config.kafka.topic_prefix.clone(),
            tokio: tokio::runtime::Handle::current(),
            meters: StageMeters::new(stage),
        })
    }
}

/// The consumer's thread, from joining the group to leaving it.
fn consume<S: Stage, C: StageCodec<S>>(
    mut crew: Crew<S, C>,
    edges: &Arc<Edges>,
    stop: &AtomicBool,
) {
    edges.intake.run(&mut crew, stop);
    debug_assert!(stop.load(Ordering::Acquire));
    let schedule = StopSchedule::DEFAULT;
    let committed = crew.drain(schedule.state_checkpointed);
    for (partition, offset) in &committed {
        edges.intake.commit_and_wait(*partition, *offset);
    }
    tracing::info!(stage = S::NAME, drained = committed.len(), "stopped; leaving the group");
    edges.sender.stopping();
    edges.intake.leave();
}

fn limits(config: &Config) -> Limits {
    Limits {
        inflight_records_max: config.runtime.inflight_records_max,
        unsealed_records_max: i64::try_from(config.runtime.uncommitted_records_max)
            .unwrap_or(i64::MAX),
        batch_bytes_max: config.runtime.batch_bytes_max,
        fuse: FuseSettings {
            letters_max: config.fuse.max as usize,
            window_records: i64::from(config.fuse.window),
        },
    }
}
