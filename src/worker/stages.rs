//! Which stages this build can run live, and how they run side by side in one process.
//!
//! Owns the table of stages: a new one is one line in `built`. All start checks pass before any
//! stage joins its group, so that a refusal leaves nothing half begun; where one stage ends with a
//! failure the others stop as at a signal.

use super::{
    EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, Trouble,
    checks::{self, Ground, Refusal},
    serving::Serving,
    ticker::EncodeTick,
    until_deadline,
};
use crate::adapters::{cassandra::incarnations::Incarnation, cassandra::session::Session};
use crate::api;
use crate::codec::{
    StageCodec,
    authorisation::AuthorisationCodec,
    avro::RegistryIds,
    feed::FeedCodec,
    limits::Sizes,
    posting::PostingCodec,
    rules,
    topics::{FEED_ITEMS, TOPICS, TopicSpec},
    windows::WindowsCodec,
};
use crate::config::Config;
use crate::domain::rules::Rules;
use crate::runtime::board::HealthBoard;
use crate::stages::{
    Stage,
    authorisation::Authorisation,
    feed::Feed,
    push,
    settlement::{posting::Posting, windows::WindowsStage},
};
use futures_util::future::BoxFuture;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

pub use crate::codec::births::tick_command as encode_tick;

/// Makes a stage's codec: partition count of its input, sizes, registry ids, topic prefix.
pub type NewCodec<C> = fn(i32, Sizes, RegistryIds, &str) -> C;

/// The stages that exist in this release, in the order of the pipeline.
fn built() -> Vec<Built> {
    vec![
        Built::of::<Authorisation, _>(AuthorisationCodec::new, Some(encode_tick)),
        Built::of::<Posting, _>(PostingCodec::new, None),
        Built::of::<WindowsStage, _>(WindowsCodec::new, None),
        Built::of::<Feed, _>(FeedCodec::new, None),
        Built::push(),
    ]
}

type Serve = Box<dyn Fn(Arc<Serving>, Checked) -> BoxFuture<'static, i32> + Send + Sync>;

/// A stage, with everything that is said about it by its type put behind one function.
struct Built {
    name: &'static str,
    input: Option<&'static TopicSpec>,
    serve: Serve,
}

/// What the start checks of a stage found.
pub(super) struct Checked {
    pub incarnation: Incarnation,
    pub first_rules: Arc<Rules>,
}

impl Built {
    /// `encode_tick`: how the owner of a partition writes its ticks; absent where they are passed on
    /// to it, or where there are none.
    fn of<S: Stage<Rules = Rules>, C: StageCodec<S>>(
        codec: NewCodec<C>,
        encode_tick: Option<EncodeTick>,
    ) -> Self {
        Self {
            name: S::NAME,
            input: TOPICS.iter().find(|spec| spec.topic == S::INPUT),
            serve: Box::new(move |serving, checked| {
                Box::pin(async move { serving.serve::<S, C>(checked, codec, encode_tick).await })
            }),
        }
    }

    /// The one stage that is no fold: its outputs depend on the world.
    fn push() -> Self {
        Self {
            name: push::NAME,
            input: TOPICS.iter().find(|spec| spec.topic == FEED_ITEMS),
            serve: Box::new(|serving, checked| {
                let partitions = checked.incarnation.partitions;
                Box::pin(async move { super::push::open_and_serve(&serving, partitions).await })
            }),
        }
    }
}

/// Of the configured stages those that exist in this release.
pub(super) fn names(config: &Config) -> Vec<&'static str> {
    let built = built();
    let is_configured = |name: &&str| config.worker.stages.contains(name);
    built.iter().map(|stage| stage.name).filter(is_configured).collect()
}

pub(super) fn parse_rules(document: &str) -> Result<Rules, String> {
    rules::parse(document).map_err(|error| error.to_string())
}

/// Checks, joins and runs until told to stop.
pub(super) async fn serve(
    config: &Config,
    session: Arc<Session>,
    board: &Arc<HealthBoard>,
    stop: &Arc<AtomicBool>,
) -> i32 {
    let names = names(config);
    let unbuilt: Vec<_> =
        config.worker.stages.iter().filter(|stage| !names.contains(stage)).collect();
    if names.is_empty() {
        tracing::error!(?unbuilt, "none of these stages is in this release");
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
    let (board, stop) = (board.clone(), stop.clone());
    let serving = Arc::new(Serving { config: config.clone(), session, board, stop, ids });
    let stages = built().into_iter().filter(|stage| names.contains(&stage.name));
    match check(&serving, stages).await {
        Ok(ready) => {
            let api = match names.contains(&Feed::NAME) {
                true => serve_api(&serving).await,
                false => Ok(()),
            };
            if let Err(code) = api {
                return code;
            }
            serving.board.checks_passed();
            run_all(&serving, ready).await
        }
        Err(code) => code,
    }
}

/// The feed's read API, where it is wanted; ends with the worker. Errors: exit code.
async fn serve_api(serving: &Arc<Serving>) -> Result<(), i32> {
    let stop = serving.stop.clone();
    let stopped = async move {
        while !stop.load(Ordering::Acquire) {
            tokio::time::sleep(STOP_LOOK).await;
        }
    };
    let Serving { config, session, board, ids, .. } = serving.as_ref();
    match api::serve(config, session.clone(), board.clone(), ids.clone(), stopped).await {
        Ok(Some(listening)) => tracing::info!(address = %listening.address, "feed API and page"),
        Ok(None) => {}
        Err(error) => {
            tracing::error!(%error, "the feed API cannot be served");
            return Err(EXIT_FAILED);
        }
    }
    Ok(())
}

/// How often the API looks whether it shall end.
const STOP_LOOK: Duration = Duration::from_millis(100);

/// Runs the stages until all have ended; the first failure's exit code, if there is one.
async fn run_all(serving: &Arc<Serving>, ready: Vec<(Built, Checked)>) -> i32 {
    let mut running = JoinSet::new();
    for (stage, checked) in ready {
        running.spawn((stage.serve)(serving.clone(), checked));
    }
    let mut code = EXIT_DONE;
    while let Some(ended) = running.join_next().await {
        let ended = ended.unwrap_or(EXIT_FAILED);
        if ended != EXIT_DONE && code == EXIT_DONE {
            code = ended;
            serving.stop.store(true, Ordering::Release);
        }
    }
    code
}

/// The start checks: of what all stages stand on, then of each stage. Errors: exit code.
async fn check(
    serving: &Serving,
    stages: impl Iterator<Item = Built>,
) -> Result<Vec<(Built, Checked)>, i32> {
    let config = &serving.config;
    let checked = until_deadline(config, &serving.stop, "the start checks", || async {
        let ground = checks::ground(config, &serving.session).await;
        ground.map_err(|error| Trouble::Passing(error.0))
    });
    let ground = checked.await?;
    tell("all", &ground.refusals);
    let first_rules = match &ground.first_rules {
        Some(document) => Some(Arc::new(parse_rules(document).map_err(|reason| {
            tracing::error!(reason, "rules version 1 cannot be read");
            EXIT_REFUSED
        })?)),
        None => None,
    };
    let mut ready = Vec::new();
    for stage in stages {
        // Told as well where the ground refused already: what is wrong is to be known at once.
        let incarnation = check_stage(serving, &ground, &stage).await?;
        let first_rules = first_rules.clone().ok_or(EXIT_REFUSED)?;
        ready.push((stage, Checked { incarnation, first_rules }));
    }
    Ok(ready)
}

/// The start checks of one stage. Errors: exit code.
async fn check_stage(
    serving: &Serving,
    ground: &Ground,
    stage: &Built,
) -> Result<Incarnation, i32> {
    let config = &serving.config;
    let Some(input) = stage.input else {
        tracing::error!(stage = stage.name, "the input topic is not declared");
        return Err(EXIT_FAILED);
    };
    let checked = until_deadline(config, &serving.stop, "the start checks", || async {
        let found = checks::stage(config, &serving.session, ground, input).await;
        found.map_err(|error| Trouble::Passing(error.0))
    });
    let found = checked.await?;
    tell(stage.name, &found.refusals);
    match found.incarnation {
        Some(incarnation) if found.refusals.is_empty() => Ok(incarnation),
        _ => Err(EXIT_REFUSED),
    }
}

fn tell(stage: &str, refusals: &[Refusal]) {
    for Refusal { code, sentence } in refusals {
        tracing::error!(stage, error_code = code, "refused to start: {sentence}");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::settings::STAGES;

    /// Goal: the table of topics and the stages say the same. Method: each stage has its input there,
    /// under its name, and stands in the order of the pipeline.
    #[test]
    fn stages_have_their_topics() {
        let places = built().into_iter().map(|stage| {
            assert!(stage.input.is_some_and(|spec| spec.inputs_of.contains(&stage.name)));
            STAGES.iter().position(|name| *name == stage.name).expect("a stage of the pipeline")
        });
        assert!(places.collect::<Vec<_>>().is_sorted());
    }
}
