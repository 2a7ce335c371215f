//! Versions of the payment rules in Cassandra: immutable documents.
//!
//! Owns the table `rules`. A version that is there is never replaced by another text: whoever
//! activates a changed document under an old number is refused.

use super::failure::StoreError;
use scylla::client::session::Session;

/// The document of one version; `None` where it was never stored.
pub async fn load(
    session: &Session,
    keyspace: &str,
    version: i32,
) -> Result<Option<String>, StoreError> {
    let statement = format!("SELECT document FROM {keyspace}.rules WHERE version = ?");
    let rows = session.query_unpaged(statement, (version,)).await?;
    let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
    let first = rows.maybe_first_row::<(String,)>().map_err(StoreError::unreadable)?;
    Ok(first.map(|(document,)| document))
}

/// Stores a version once; `Err(Refused)` where another text already has its number.
pub async fn store(
    session: &Session,
    keyspace: &str,
    version: i32,
    document: &str,
) -> Result<(), StoreError> {
    let statement =
        format!("INSERT INTO {keyspace}.rules (version, document) VALUES (?, ?) IF NOT EXISTS");
    session.query_unpaged(statement, (version, document)).await?;
    match load(session, keyspace, version).await? {
        Some(stored) if stored == document => Ok(()),
        _ => Err(StoreError::Refused(format!(
            "rules version {version} is already stored with another text; versions are immutable: \
             give the changed rules the next number"
        ))),
    }
}
