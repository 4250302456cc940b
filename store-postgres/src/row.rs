//! All the SQL there is.

use std::time::Duration;

use token_refresh_core::{Secret, Version};
use tokio_postgres::{
    Client, Row,
    error::SqlState,
    types::{ToSql, Type},
};

use crate::{PostgresError, connection::Connected};

pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS token_refresh (
    name text PRIMARY KEY,
    version bigint NOT NULL,
    record text,
    changed_at timestamptz NOT NULL DEFAULT now()
)";

const SELECT: &str = "SELECT version, record FROM token_refresh WHERE name = $1";

/// An empty row. Its version comes from the clock, which is ahead of every version that a deleted row can have had.
const INSERT: &str = "
INSERT INTO token_refresh (name, version)
VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
ON CONFLICT (name) DO NOTHING";

/// Compare-and-set. A row that somebody else is just changing is waited for, and compared again.
const UPDATE: &str = "
UPDATE token_refresh SET version = version + 1, record = $3, changed_at = now()
WHERE name = $1 AND version = $2";

/// Makes the commit announce itself, in the same transaction. A payload must be shorter than 8000 bytes.
const ANNOUNCE: &str = " RETURNING pg_notify('token_refresh', left(name, 1000))";

const LISTEN: &str = "LISTEN token_refresh";

/// What a row holds: the text is absent as long as nothing was committed.
pub(crate) struct Stored {
    pub(crate) version: Version,
    pub(crate) text: Option<Secret>,
}

/// Makes a new connection one whose commits are over within the limit, and durable once they are answered.
pub(crate) async fn prepare(client: &Client, limit: Duration) -> Result<(), PostgresError> {
    let settings = format!(
        "SET statement_timeout = {};
         SELECT set_config('synchronous_commit', 'on', false)
         WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')",
        limit.as_millis()
    );
    Ok(client.batch_execute(&settings).await?)
}

pub(crate) async fn listen(client: &Client) -> Result<(), PostgresError> {
    Ok(client.batch_execute(LISTEN).await?)
}

/// As what a credential of this name is announced. Two that begin with the same 1000 characters wake each other.
pub(crate) fn announced(name: &str) -> &str {
    name.char_indices().nth(1000).map_or(name, |(end, _)| &name[..end])
}

pub(crate) async fn create_table(client: &Client) -> Result<(), PostgresError> {
    let created = client.batch_execute(SCHEMA).await;
    // Of two that create it at once, one may be told so, for the table or for a part of it; now it is there.
    let rivals = [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT];
    match created {
        Err(error) if error.code().is_some_and(|code| rivals.contains(code)) => {
            Ok(client.batch_execute(SCHEMA).await?)
        }
        created => Ok(created?),
    }
}

pub(crate) async fn load(client: &Client, name: &str) -> Result<Stored, PostgresError> {
    loop {
        // Parameters are given with `query_typed` everywhere: the other functions write them to the log.
        if let Some(row) = client.query_typed_opt(SELECT, &[(&name, Type::TEXT)]).await? {
            return read(&row);
        }
        client.query_typed(INSERT, &[(&name, Type::TEXT)]).await?;
    }
}

/// `false` is a conflict.
pub(crate) async fn commit(
    connected: &Connected,
    name: &str,
    expected: Version,
    text: &str,
) -> Result<bool, PostgresError> {
    let Ok(expected) = i64::try_from(expected.0) else { return Ok(false) };
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&name, Type::TEXT), (&expected, Type::INT8), (&text, Type::TEXT)];
    let update = if connected.notifying { [UPDATE, ANNOUNCE].concat() } else { UPDATE.into() };
    match connected.client.execute_typed(&update, &parameters).await {
        Ok(rows) => Ok(rows == 1),
        // The stricter isolation levels do not wait and compare again.
        Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn read(row: &Row) -> Result<Stored, PostgresError> {
    let version: i64 = row.try_get("version")?;
    let text: Option<String> = row.try_get("record")?;
    Ok(Stored { version: Version(u64::try_from(version).unwrap_or(0)), text: text.map(Secret::from) })
}
