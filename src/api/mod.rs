//! The feed's read API and page: what customers see, for programs and for eyes.
//!
//! Owns the listener `api.listen`, apart from the one for probes and metrics: pages of lines with
//! cursors, live items, balances, devices and preferences, the OpenAPI document, the page. Reads the
//! read model that the feed stage writes and decides nothing about money; all it writes is where and
//! what a customer wants to be told. Invariant: an error is a problem document, never a half answer.
//!
//! `routes` what there is; `access` who may ask; `query`, `checks` what is taken; `feed`, `stream`,
//! `devices`, `preferences` the answers; `shapes`, `money` their form; `problem` errors; `position`
//! the consistency token; `live` the fan-out; `ports` what it needs, `stored` and `tail` from
//! servers, `memory` without; `page` the three files of the page;
//! `watched` what is counted.

pub mod access;
mod checks;
mod devices;
mod feed;
pub mod live;
pub mod memory;
mod money;
mod page;
pub mod ports;
pub mod position;
mod preferences;
pub mod problem;
mod query;
pub mod routes;
pub mod shapes;
pub mod stored;
mod stream;
mod tail;
mod watched;

#[cfg(test)]
mod tests;

use crate::adapters::{
    cassandra::{
        failure::StoreError, feed_items::FeedItems, incarnations, push_targets::PushTargets,
        session::Session,
    },
    http::{Listening, idle},
};
use crate::codec::{
    avro::RegistryIds,
    topics::{EVENTS, FEED_ITEMS},
};
use crate::config::Config;
use crate::runtime::{board::HealthBoard, settings::Profile};
use access::Access;
use axum::Router;
use live::Hub;
use routes::{Settings, Shared, Turns};
use std::{future::Future, io, net::SocketAddr, sync::Arc};

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("api.listen {0} cannot be bound ({1}); choose another address, or `off`")]
    Bind(SocketAddr, io::Error),
    #[error("topic {0} is not registered; run `tapline topics apply --execute`")]
    NotRegistered(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Binds `api.listen` and serves until `stop` is ready, in the background. `None`: it is `off`.
///
/// Call it once the start checks of `feed` have passed: topics and tables are there then. `board`:
/// of this process, so that positions of its own partitions are known at once.
pub async fn serve(
    config: &Config,
    session: Arc<Session>,
    board: Arc<HealthBoard>,
    ids: RegistryIds,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<Option<Listening>, ApiError> {
    let Some(listen) = config.api.listen else { return Ok(None) };
    let (keyspace, topic) = (&config.cassandra.keyspace, config.kafka.topic(EVENTS.0));
    let incarnation = incarnations::of_topic(&session, keyspace, &topic).await?;
    let incarnation = incarnation.ok_or_else(|| ApiError::NotRegistered(topic.clone()))?;
    let number = incarnation.number;
    let items =
        FeedItems::open(session.clone(), keyspace, &incarnation, config.feed_buckets, ids.clone());
    let tail = tail::LogTail {
        settings: config.kafka.clone(),
        topic: config.kafka.topic(FEED_ITEMS.0),
        ids,
    };
    let life = (number, incarnation.partitions);
    let shared = Shared {
        feed: Arc::new(items.await?),
        targets: Arc::new(PushTargets::open(session, keyspace).await?),
        positions: Arc::new(stored::LogPositions::new(life, &config.kafka, topic, Some(board))),
        hub: Hub::new(config.api.live_streams_max, Box::new(tail)),
        settings: settings(config, listen),
        turns: Turns::default(),
    };
    listen_at(listen, Arc::new(shared), stop).await.map(Some)
}

fn settings(config: &Config, listen: SocketAddr) -> Settings {
    let access = match &config.api.token {
        Some(token) => Access::with_token(token.reveal()),
        None if listen.ip().is_loopback() => Access::Loopback,
        None => Access::Open,
    };
    Settings {
        access,
        devices_max: config.api.devices_max,
        allows_loopback_http: config.worker.profile != Profile::Production,
    }
}

/// Serves over any ports; port 0 takes a free one. Live streams end with `stop`.
pub async fn listen_at(
    listen: SocketAddr,
    shared: Arc<Shared>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<Listening, ApiError> {
    let failed = |error| ApiError::Bind(listen, error);
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let hub = shared.hub.clone();
    let app: Router = routes::router(shared);
    let served = axum::serve(idle::Listener(listener), app).with_graceful_shutdown(async move {
        stop.await;
        // Streams do not end by themselves, and the server waits for every answer.
        hub.close();
    });
    let task = tokio::spawn(async move { served.await });
    Ok(Listening { address, task })
}
