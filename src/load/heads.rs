//! What the store says about accounts, for comparison with what the events said.

use crate::adapters::cassandra::{
    incarnations,
    session::Session,
    store::{LogPartition, Store},
};
use crate::codec::{
    StageCodec, authorisation::AuthorisationCodec, avro::RegistryIds, limits::Sizes,
    topics::COMMANDS,
};
use crate::config::Config;
use crate::domain::ids::AccountId;
use crate::stages::{Stage, authorisation::Authorisation};
use std::{collections::BTreeMap, sync::Arc};

/// Booked balance of every account in Cassandra.
pub async fn booked_minor(
    config: &Config,
    session: Arc<Session>,
) -> Result<BTreeMap<AccountId, i64>, String> {
    let topic = config.kafka.topic(COMMANDS.0);
    let known = incarnations::of_topic(&session, &config.cassandra.keyspace, &topic)
        .await
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("{topic} is not registered"))?;
    let store = Store::open(session, &config.cassandra, Authorisation::NAME)
        .await
        .map_err(|error| error.to_string())?;
    let prefix = &config.kafka.topic_prefix;
    let codec =
        AuthorisationCodec::new(known.partitions, Sizes::default(), RegistryIds::default(), prefix);
    let mut booked = BTreeMap::new();
    let mut unreadable = None;
    for partition in 0..known.partitions {
        for bucket in 0..known.buckets as u32 {
            let log = LogPartition { incarnation: known.number, partition };
            let take = |key: Box<str>, image: Vec<u8>| match codec.decode_row(&image) {
                Ok(row) => {
                    booked.insert(AccountId(key), row.state.standing.booked_minor);
                }
                Err(error) => unreadable = Some(format!("row of {key}: {error}")),
            };
            store.load_heads(log, bucket, take).await.map_err(|error| error.to_string())?;
        }
    }
    unreadable.map_or(Ok(booked), Err)
}
