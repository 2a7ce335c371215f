//! The register of imported files: which content stands under a name, and how far it is published.
//!
//! Owns the table `clearing_file`. A name's content never changes. `published_through` only grows:
//! every line up to it is acknowledged by the log; beyond it some may be, and are sent again under
//! the same message ids. Always by lightweight transactions: two imports of one file are rare, and
//! must not be two files.

use super::failure::StoreError;
use scylla::{DeserializeRow, SerializeRow, client::session::Session};

pub const PUBLISHING: &str = "publishing";
pub const PUBLISHED: &str = "published";

/// A row; its fields are named like the columns, by which they are matched.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, SerializeRow, DeserializeRow)]
pub struct ClearingFile {
    pub network: String,
    /// `clearing`, `report` or `statement`.
    pub kind: String,
    pub file_id: String,
    /// 64 hexadecimal digits.
    pub content_hash: String,
    /// YYYY-MM-DD.
    pub business_date: String,
    pub currency: String,
    pub lines: i64,
    /// What we owe for it, minor units; of a statement: what came in less what went out.
    pub owed_minor: i64,
    /// Lines, from the first, that the log has acknowledged.
    pub published_through: i64,
    /// `publishing` or `published`.
    pub state: String,
}

const COLUMNS: &str = "network, kind, file_id, content_hash, business_date, currency, lines, \
                       owed_minor, published_through, state";

/// The file under this name; `None` where none was imported.
pub async fn find(
    session: &Session,
    keyspace: &str,
    (network, kind, file_id): (&str, &str, &str),
) -> Result<Option<ClearingFile>, StoreError> {
    let statement = format!(
        "SELECT {COLUMNS} FROM {keyspace}.clearing_file \
         WHERE network = ? AND kind = ? AND file_id = ?"
    );
    let rows = session.query_unpaged(statement, (network, kind, file_id)).await?;
    let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
    rows.maybe_first_row().map_err(StoreError::unreadable)
}

/// Every imported file, by network, kind and id.
pub async fn all(session: &Session, keyspace: &str) -> Result<Vec<ClearingFile>, StoreError> {
    let statement = format!("SELECT {COLUMNS} FROM {keyspace}.clearing_file");
    let rows = session.query_unpaged(statement, &[]).await?;
    let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
    let mut found = Vec::new();
    for row in rows.rows::<ClearingFile>().map_err(StoreError::unreadable)? {
        found.push(row.map_err(StoreError::unreadable)?);
    }
    found.sort_by(|a, b| (&a.network, &a.kind, &a.file_id).cmp(&(&b.network, &b.kind, &b.file_id)));
    Ok(found)
}

/// Enters a file unless its name is taken; gives the row that stands, ours or an earlier one.
pub async fn enter(
    session: &Session,
    keyspace: &str,
    wanted: &ClearingFile,
) -> Result<ClearingFile, StoreError> {
    let statement = format!(
        "INSERT INTO {keyspace}.clearing_file ({COLUMNS}) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"
    );
    session.query_unpaged(statement, wanted).await?;
    let name = (wanted.network.as_str(), wanted.kind.as_str(), wanted.file_id.as_str());
    let standing = find(session, keyspace, name).await?;
    standing.ok_or_else(|| StoreError::Row("a file just entered is not there".to_owned()))
}

/// Moves `published_through` on. The content is a condition: nobody else's row is touched.
pub async fn advance(
    session: &Session,
    keyspace: &str,
    file: &ClearingFile,
) -> Result<(), StoreError> {
    let statement = format!(
        "UPDATE {keyspace}.clearing_file SET published_through = ?, state = ? \
         WHERE network = ? AND kind = ? AND file_id = ? IF content_hash = ?"
    );
    let values = (
        file.published_through,
        &file.state,
        &file.network,
        &file.kind,
        &file.file_id,
        &file.content_hash,
    );
    session.query_unpaged(statement, values).await?;
    Ok(())
}
