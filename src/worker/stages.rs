//! Which stages this build can run live, and how each is wired.

use super::{
    EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, Trouble, checks,
    crew::{Crew, CrewSettings, Live},
    ports::Edges,
    until_deadline,
};
use crate::adapters::{
    cassandra::{session::Session, store::Store},
    kafka::{intake::Intake, sender::Sender},
};
use crate::codec::{
    StageCodec,
    authorisation::AuthorisationCodec,
    avro::{Avro, RegistryIds},
    limits::Sizes,
    rules,
    schemas::Subject,
    topics::TOPICS,
};
use crate::config::Config;
use crate::domain::{
    command::{AccountCommand, Command, PARTITION_KEY, Tick},
    rules::Rules,
};
use crate::runtime::{
    board::HealthBoard, fuse::FuseSettings, partition::Limits, settings::StopSchedule,
    telemetry::StageMeters,
};
use crate::stages::{Stage, authorisation::Authorisation};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The stages that exist in this release.
pub const BUILT: &[&str] = &[Authorisation::NAME];

/// A tick as a record of the commands topic.
pub fn encode_tick(tick: Tick) -> Vec<u8> {
    let command = AccountCommand {
        account_id: PARTITION_KEY.into(),
        message_id: format!("tick-{}", tick.time.0).into(),
        sent_at: tick.time,
        body: Command::Tick(tick),
    };
    let mut value = Vec::with_capacity(64);
    Avro::of(Subject::Commands).encode(&command, &mut value);
    value
}

fn parse_rules(document: &str) -> Result<Rules, String> {
    rules::parse(document).map_err(|error| error.to_string())
}

/// Checks, joins and runs until told to stop.
pub(super) async fn serve(
    config: &Config,
    session: Arc<Session>,
    board: &Arc<HealthBoard>,
    stop: &Arc<AtomicBool>,
) -> i32 {
    let unbuilt: Vec<_> =
        config.worker.stages.iter().filter(|stage| !BUILT.contains(stage)).collect();
    if config.worker.stages.len() == unbuilt.len() {
        tracing::error!(?unbuilt, built = ?BUILT, "none of these stages is in this release");
        return EXIT_REFUSED;
    }
    if !unbuilt.is_empty() {
        tracing::warn!(?unbuilt, "these stages are not in this release; running the others");
    }
    let ids = match registry_ids(config) {
        Ok(ids) => ids,
        Err(reason) => {
            tracing::error!(reason, "kafka.registry_ids_file cannot be used");
            return EXIT_REFUSED;
        }
    };
    let partitions = config.kafka.partitions as i32;
    let (sizes, prefix) = (sizes(config), config.kafka.topic_prefix.clone());
    let wire = move |first_rules: Rules| Live::<Authorisation, AuthorisationCodec> {
        codec: Arc::new(move || AuthorisationCodec::new(partitions, sizes, ids.clone(), &prefix)),
        first_rules: Arc::new(first_rules),
        parse_rules,
        encode_tick: Some(encode_tick),
    };
    serve_stage(config, session, board, stop, wire).await
}

fn registry_ids(config: &Config) -> Result<RegistryIds, String> {
    match &config.kafka.registry_ids_file {
        None => RegistryIds::parse(RegistryIds::COMPILED_IN),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            RegistryIds::parse(&text)
        }
    }
}

async fn serve_stage<S: Stage<Rules = Rules>, C: StageCodec<S>>(
    config: &Config,
    session: Arc<Session>,
    board: &Arc<HealthBoard>,
    stop: &Arc<AtomicBool>,
    wire: impl FnOnce(Rules) -> Live<S, C>,
) -> i32 {
    let Some(input) = TOPICS.iter().find(|spec| spec.topic == S::INPUT) else {
        tracing::error!(stage = S::NAME, "the input topic is not declared");
        return EXIT_FAILED;
    };
    let checked = until_deadline(config, stop, "the start checks", || async {
        checks::run(config, &session, input).await.map_err(|error| Trouble::Passing(error.0))
    });
    let found = match checked.await {
        Ok(found) => found,
        Err(code) => return code,
    };
    for refusal in &found.refusals {
        tracing::error!(error_code = refusal.code, "refused to start: {}", refusal.sentence);
    }
    let (Some(incarnation), Some(document)) = (found.incarnation, found.first_rules) else {
        return EXIT_REFUSED;
    };
    if !found.refusals.is_empty() {
        return EXIT_REFUSED;
    }
    let first_rules = match parse_rules(&document) {
        Ok(rules) => rules,
        Err(reason) => {
            tracing::error!(reason, "rules version 1 cannot be read");
            return EXIT_REFUSED;
        }
    };
    board.checks_passed();
    let edges = match open_edges::<S>(config, session).await {
        Ok(edges) => Arc::new(edges),
        Err(reason) => {
            tracing::error!(reason, "cannot open the clients");
            return EXIT_FAILED;
        }
    };
    let settings = CrewSettings {
        incarnation: incarnation.number,
        partitions: incarnation.partitions,
        runtime: config.runtime.clone(),
        limits: limits(config),
        topic: edges.topic(S::INPUT),
    };
    let crew = Crew::new(edges.clone(), wire(first_rules), settings, board.clone());
    let stopped = stop.clone();
    let consumed = tokio::task::spawn_blocking(move || consume(crew, &edges, &stopped)).await;
    if consumed.is_err() {
        tracing::error!("the consumer ended in a panic");
        return EXIT_FAILED;
    }
    EXIT_DONE
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
    edges.intake.clone().leave();
}

async fn open_edges<S: Stage>(config: &Config, session: Arc<Session>) -> Result<Edges, String> {
    let stage = S::NAME;
    let store = Store::open(session.clone(), &config.cassandra, stage)
        .await
        .map_err(|error| error.to_string())?;
    let sender = Sender::open(&config.kafka, stage).map_err(|error| error.to_string())?;
    let topic = config.kafka.topic(S::INPUT.0);
    let intake = Intake::open(&config.kafka, stage, &topic).map_err(|error| error.to_string())?;
    Ok(Edges {
        stage,
        sender,
        intake,
        store,
        session,
        keyspace: config.cassandra.keyspace.clone(),
        topic_prefix: config.kafka.topic_prefix.clone(),
        tokio: tokio::runtime::Handle::current(),
        meters: StageMeters::new(stage),
    })
}

fn sizes(config: &Config) -> Sizes {
    let limits = &config.limits;
    Sizes {
        key_bytes_max: limits.key_bytes_max,
        value_bytes_max: limits.value_bytes_max,
        headers_max: limits.headers_max,
        headers_bytes_max: limits.headers_bytes_max,
        string_bytes_max: limits.string_bytes_max,
        list_entries_max: limits.list_entries_max,
    }
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
