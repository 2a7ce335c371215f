//! The tables: created from `cassandra/<n>.cql`, checked at every start.
//!
//! Owns what exists in the keyspace and what must be true of the server. Creating is idempotent and
//! only ever adds; a check that fails names what to do and changes nothing.

use super::{failure::StoreError, settings::CassandraSettings};
use scylla::client::session::Session;

/// Every version of the tables, oldest first.
const VERSIONS: &[(i32, &str)] = &[
    (1, include_str!("../../../cassandra/1.cql")),
    (2, include_str!("../../../cassandra/2.cql")),
    (3, include_str!("../../../cassandra/3.cql")),
];

/// What `tables apply` would do or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePlan {
    pub keyspace: String,
    pub keyspace_exists: bool,
    pub missing_versions: Vec<i32>,
}

impl TablePlan {
    pub fn is_done(&self) -> bool {
        self.keyspace_exists && self.missing_versions.is_empty()
    }
}

/// A reason not to start, with its stable code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub sentence: String,
}

pub async fn plan(
    session: &Session,
    settings: &CassandraSettings,
) -> Result<TablePlan, StoreError> {
    let keyspace = settings.keyspace.clone();
    let keyspace_exists = keyspace_exists(session, &keyspace).await?;
    let applied = match keyspace_exists {
        true => applied_versions(session, &keyspace).await?,
        false => Vec::new(),
    };
    let missing_versions =
        VERSIONS.iter().map(|(version, _)| *version).filter(|v| !applied.contains(v)).collect();
    Ok(TablePlan { keyspace, keyspace_exists, missing_versions })
}

/// Creates what is missing. Safe to run twice and by two operators at once.
pub async fn apply(session: &Session, settings: &CassandraSettings) -> Result<(), StoreError> {
    let keyspace = &settings.keyspace;
    if !keyspace_exists(session, keyspace).await? {
        let replication = match &settings.local_dc {
            Some(name) => format!(
                "{{'class': 'NetworkTopologyStrategy', '{name}': {}}}",
                settings.replication_factor
            ),
            None => format!(
                "{{'class': 'SimpleStrategy', 'replication_factor': {}}}",
                settings.replication_factor
            ),
        };
        let statement =
            format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}");
        session.query_unpaged(statement, &[]).await?;
    }
    for (version, text) in VERSIONS {
        for statement in statements(text) {
            let statement = statement.replace(
                "CREATE TABLE IF NOT EXISTS ",
                &format!("CREATE TABLE IF NOT EXISTS {keyspace}."),
            );
            session.query_unpaged(statement, &[]).await?;
        }
        let mark = format!(
            "INSERT INTO {keyspace}.schema_version (part, version) VALUES ('tables', {version})"
        );
        session.query_unpaged(mark, &[]).await?;
    }
    session
        .await_schema_agreement()
        .await
        .map_err(|error| StoreError::Unreachable(error.to_string()))?;
    Ok(())
}

/// Everything about the server and the tables that must hold before a worker starts.
pub async fn check(
    session: &Session,
    settings: &CassandraSettings,
) -> Result<Vec<Refusal>, StoreError> {
    let refuse = |sentence: String| Refusal { code: "store_schema", sentence };
    let mut refusals = Vec::new();
    let plan = plan(session, settings).await?;
    if !plan.keyspace_exists {
        refusals.push(refuse(format!(
            "keyspace {} does not exist; run `tapline tables apply --execute`",
            plan.keyspace
        )));
        return Ok(refusals);
    }
    if !plan.missing_versions.is_empty() {
        refusals.push(refuse(format!(
            "tables of version {:?} are missing in keyspace {}; run `tapline tables apply --execute`",
            plan.missing_versions, plan.keyspace
        )));
    }
    let sync = setting(session, "commitlog_sync").await?;
    if sync.as_deref() == Some("periodic") {
        refusals.push(refuse(
            "the server's commitlog_sync is periodic: it acknowledges writes before they are on \
             disk; set commitlog_sync to group or batch in cassandra.yaml"
                .to_owned(),
        ));
    }
    for table in tables() {
        match table_ttl(session, &settings.keyspace, table).await? {
            None => refusals.push(refuse(format!(
                "table {}.{table} does not exist; run `tapline tables apply --execute`",
                settings.keyspace
            ))),
            Some(0) if table.ends_with("_head") && !has_slots(session, settings, table).await? => {
                refusals.push(refuse(format!(
                    "table {}.{table} keeps one head a row, as builds before the first release \
                     did; make the keyspace anew and begin at offset 0, or use another keyspace \
                     and topic prefix",
                    settings.keyspace
                )));
            }
            Some(0) => {}
            Some(seconds) => refusals.push(refuse(format!(
                "table {}.{table} forgets rows after {seconds} s; set default_time_to_live to 0",
                settings.keyspace
            ))),
        }
    }
    Ok(refusals)
}

/// Names of the tables in all versions.
pub fn tables() -> Vec<&'static str> {
    VERSIONS
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| line.strip_prefix("CREATE TABLE IF NOT EXISTS "))
        .map(|rest| rest.trim_end_matches(" ("))
        .collect()
}

fn statements(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect::<Vec<_>>()
        .join("\n");
    code.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

async fn keyspace_exists(session: &Session, keyspace: &str) -> Result<bool, StoreError> {
    let statement = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let rows = session.query_unpaged(statement, (keyspace,)).await?;
    let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
    Ok(rows.rows_num() > 0)
}

async fn applied_versions(session: &Session, keyspace: &str) -> Result<Vec<i32>, StoreError> {
    if table_ttl(session, keyspace, "schema_version").await?.is_none() {
        return Ok(Vec::new());
    }
    let statement = format!("SELECT version FROM {keyspace}.schema_version WHERE part = 'tables'");
    let rows = session.query_unpaged(statement, &[]).await?;
    let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
    let rows = rows.rows::<(i32,)>().map_err(StoreError::unreadable)?;
    rows.map(|row| row.map(|(version,)| version).map_err(StoreError::unreadable)).collect()
}

async fn setting(session: &Session, name: &str) -> Result<Option<String>, StoreError> {
    let statement = "SELECT value FROM system_views.settings WHERE name = ?";
    let rows = session.query_unpaged(statement, (name,)).await?;
    let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
    let first = rows.maybe_first_row::<(Option<String>,)>().map_err(StoreError::unreadable)?;
    Ok(first.and_then(|(value,)| value))
}

/// `None`: no such table.
async fn table_ttl(
    session: &Session,
    keyspace: &str,
    table: &str,
) -> Result<Option<i32>, StoreError> {
    let statement = "SELECT default_time_to_live FROM system_schema.tables \
                     WHERE keyspace_name = ? AND table_name = ?";
    let rows = session.query_unpaged(statement, (keyspace, table)).await?;
    let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
    let first = rows.maybe_first_row::<(Option<i32>,)>().map_err(StoreError::unreadable)?;
    Ok(first.map(|(ttl,)| ttl.unwrap_or(0)))
}

/// Whether a table of heads keeps many of them to a row.
async fn has_slots(
    session: &Session,
    settings: &CassandraSettings,
    table: &str,
) -> Result<bool, StoreError> {
    let statement = "SELECT column_name FROM system_schema.columns \
                     WHERE keyspace_name = ? AND table_name = ? AND column_name = 'slot'";
    let rows = session.query_unpaged(statement, (&settings.keyspace, table)).await?;
    let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
    Ok(rows.rows_num() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::topics;

    /// Goal: the statements that are run are the ones in the files. Method: count and look; every
    /// stage with state has its two tables.
    #[test]
    fn the_files_split_into_statements() {
        let all: Vec<String> = VERSIONS.iter().flat_map(|(_, text)| statements(text)).collect();
        assert_eq!(all.len(), tables().len());
        assert!(all.iter().all(|statement| statement.starts_with("CREATE TABLE IF NOT EXISTS ")));
        for (stage, _) in topics::inputs().filter(|(stage, _)| *stage != "push") {
            for name in [format!("{stage}_head"), format!("{stage}_side")] {
                assert!(tables().contains(&name.as_str()), "{name}");
            }
        }
    }
}
