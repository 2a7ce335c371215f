//! The lives of logs: which number stands for which topic of which cluster.
//!
//! Owns the table `log_incarnation`. A number is given once, when a topic is first seen, and is part
//! of every id made from that log. A topic made anew under an old name has another birth record, so
//! it is another incarnation and its old state cannot be mistaken for its own.

use super::failure::StoreError;
use scylla::client::session::Session;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    pub number: i32,
    pub topic: String,
    /// The id that the topic's first record carries.
    pub birth_id: String,
    pub cluster_id: String,
    pub partitions: i32,
    pub buckets: i32,
}

/// All known incarnations, ascending by number.
pub async fn all(session: &Session, keyspace: &str) -> Result<Vec<Incarnation>, StoreError> {
    let statement = format!(
        "SELECT incarnation, topic, birth_id, cluster_id, partitions, buckets \
         FROM {keyspace}.log_incarnation"
    );
    let rows = session.query_unpaged(statement, &[]).await?;
    let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
    let rows =
        rows.rows::<(i32, String, String, String, i32, i32)>().map_err(StoreError::unreadable)?;
    let mut found = Vec::new();
    for row in rows {
        let (number, topic, birth_id, cluster_id, partitions, buckets) =
            row.map_err(StoreError::unreadable)?;
        found.push(Incarnation { number, topic, birth_id, cluster_id, partitions, buckets });
    }
    found.sort_by_key(|incarnation| incarnation.number);
    Ok(found)
}

/// The newest incarnation of a topic by its full name.
pub async fn of_topic(
    session: &Session,
    keyspace: &str,
    topic: &str,
) -> Result<Option<Incarnation>, StoreError> {
    let all = all(session, keyspace).await?;
    Ok(all.into_iter().rfind(|incarnation| incarnation.topic == topic))
}

/// Gives the next free number to a topic; returns the row that stands, ours or a faster operator's.
pub async fn register(
    session: &Session,
    keyspace: &str,
    wanted: &Incarnation,
) -> Result<Incarnation, StoreError> {
    loop {
        let known = all(session, keyspace).await?;
        if let Some(same) = known
            .iter()
            .rfind(|known| known.topic == wanted.topic && known.birth_id == wanted.birth_id)
        {
            return Ok(same.clone());
        }
        let number = known.last().map_or(1, |last| last.number + 1);
        let statement = format!(
            "INSERT INTO {keyspace}.log_incarnation \
             (incarnation, topic, birth_id, cluster_id, partitions, buckets) \
             VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS"
        );
        let values = (
            number,
            &wanted.topic,
            &wanted.birth_id,
            &wanted.cluster_id,
            wanted.partitions,
            wanted.buckets,
        );
        session.query_unpaged(statement, values).await?;
        // Whoever won, the next round finds the row, or the number taken and tries the next.
    }
}
