//! Where and how customers want to be told: their devices and preferences.
//!
//! Owns the table `push_target`: one row a device, one named '' for the preferences, each a JSON
//! document of `domain::push`. Written by people through the API and by a gateway's word that a
//! device is gone; never by replay. The newest write wins, by the store's clock.

use super::failure::StoreError;
use crate::domain::{
    ids::CustomerId,
    push::{Device, Preferences, Targets},
};
use scylla::{client::session::Session, statement::prepared::PreparedStatement};
use std::{collections::BTreeMap, sync::Arc};

/// Name of the row that holds the preferences; no device is named so.
const PREFERENCES: &str = "";

/// Rows of one customer that are read: far above any cap on devices.
const ROWS_MAX: i32 = 2_000;

/// Targets by customer; an error is a row of that customer that cannot be read.
pub type Found = BTreeMap<CustomerId, Result<Targets, StoreError>>;

pub struct PushTargets {
    session: Arc<Session>,
    select: PreparedStatement,
    select_many: PreparedStatement,
    insert: PreparedStatement,
    delete: PreparedStatement,
}

impl PushTargets {
    pub async fn open(session: Arc<Session>, keyspace: &str) -> Result<Self, StoreError> {
        let prepare = async |text: String| {
            let mut statement = session.prepare(text).await.map_err(StoreError::unreachable)?;
            statement.set_is_idempotent(true);
            Ok::<_, StoreError>(statement)
        };
        let table = format!("{keyspace}.push_target");
        Ok(Self {
            select: prepare(format!(
                "SELECT device_id, document FROM {table} WHERE customer_id = ? LIMIT ?"
            ))
            .await?,
            select_many: prepare(format!(
                "SELECT customer_id, device_id, document FROM {table} WHERE customer_id IN ? \
                 PER PARTITION LIMIT ?"
            ))
            .await?,
            insert: prepare(format!(
                "INSERT INTO {table} (customer_id, device_id, document) VALUES (?, ?, ?)"
            ))
            .await?,
            delete: prepare(format!("DELETE FROM {table} WHERE customer_id = ? AND device_id = ?"))
                .await?,
            session,
        })
    }

    /// Devices by id, and preferences; the default where nothing was ever written.
    pub async fn targets(&self, customer: &CustomerId) -> Result<Targets, StoreError> {
        let values = (customer.as_str(), ROWS_MAX);
        let rows = self.session.execute_unpaged(&self.select, values).await?;
        let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
        let mut targets = Targets::default();
        for row in rows.rows::<(&str, &str)>().map_err(StoreError::unreadable)? {
            let (device_id, document) = row.map_err(StoreError::unreadable)?;
            add(&mut targets, device_id, document)?;
        }
        Ok(targets)
    }

    /// The same of many customers in one request; absent: nothing was ever written.
    pub async fn targets_of(&self, customers: &[CustomerId]) -> Result<Found, StoreError> {
        let names: Vec<&str> = customers.iter().map(CustomerId::as_str).collect();
        let rows = self.session.execute_unpaged(&self.select_many, (names, ROWS_MAX)).await?;
        let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
        let mut found = Found::new();
        for row in rows.rows::<(&str, &str, &str)>().map_err(StoreError::unreadable)? {
            let (customer, device_id, document) = row.map_err(StoreError::unreadable)?;
            let place = found.entry(customer.into()).or_insert_with(|| Ok(Targets::default()));
            if let Ok(targets) = place
                && let Err(failure) = add(targets, device_id, document)
            {
                *place = Err(failure);
            }
        }
        Ok(found)
    }

    pub async fn preferences(&self, customer: &CustomerId) -> Result<Preferences, StoreError> {
        Ok(self.targets(customer).await?.preferences)
    }

    /// In place of an older one of the same id. Caps and checks are the API's.
    pub async fn put_device(
        &self,
        customer: &CustomerId,
        device: &Device,
    ) -> Result<(), StoreError> {
        self.put(customer, &device.device_id, serde_json::to_string(device)).await
    }

    pub async fn put_preferences(
        &self,
        customer: &CustomerId,
        preferences: &Preferences,
    ) -> Result<(), StoreError> {
        self.put(customer, PREFERENCES, serde_json::to_string(preferences)).await
    }

    /// Forgets a device; one that is not there is forgotten already.
    pub async fn delete_device(
        &self,
        customer: &CustomerId,
        device_id: &str,
    ) -> Result<(), StoreError> {
        self.session.execute_unpaged(&self.delete, (customer.as_str(), device_id)).await?;
        Ok(())
    }

    async fn put(
        &self,
        customer: &CustomerId,
        device_id: &str,
        document: serde_json::Result<String>,
    ) -> Result<(), StoreError> {
        let document = document.map_err(StoreError::unreadable)?;
        let values = (customer.as_str(), device_id, document);
        self.session.execute_unpaged(&self.insert, values).await?;
        Ok(())
    }
}

/// Adds what one row says.
fn add(targets: &mut Targets, device_id: &str, document: &str) -> Result<(), StoreError> {
    match device_id {
        PREFERENCES => targets.preferences = parse(document)?,
        _ => targets.devices.push(parse(document)?),
    }
    Ok(())
}

fn parse<T: serde::de::DeserializeOwned>(document: &str) -> Result<T, StoreError> {
    serde_json::from_str(document).map_err(StoreError::unreadable)
}
