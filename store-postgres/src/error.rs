use std::error::Error as _;

use token_refresh_driver::store::FormatError;
use tokio_postgres::error::SqlState;

/// Why the store is unavailable. Shows no token (SEC-04).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// There is no connection, or it broke.
    #[error("no connection to Postgres: {0}")]
    Connection(String),
    /// The server took too long.
    #[error("Postgres did not answer within 1.5 s")]
    TimedOut,
    /// There is no table.
    #[error(
        "the table `token_refresh` does not exist; call `Postgres::create_table`, or run `Postgres::SCHEMA`"
    )]
    NoTable,
    /// The server refuses.
    #[error("Postgres refuses: {message} (SQLSTATE {code})")]
    Refused {
        /// SQLSTATE.
        code: String,
        /// The message of the server, without its details: they may quote the row.
        message: String,
    },
    /// The row is there and cannot be read, or the record cannot be written. Nothing was overwritten.
    #[error("{0}")]
    Format(#[from] FormatError),
}

impl From<tokio_postgres::Error> for PostgresError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) if *refusal.code() == SqlState::UNDEFINED_TABLE => Self::NoTable,
            Some(refusal) if *refusal.code() == SqlState::QUERY_CANCELED => Self::TimedOut,
            Some(refusal) => {
                Self::Refused { code: refusal.code().code().into(), message: refusal.message().into() }
            }
            None => {
                let cause = error.source().map(|cause| format!(": {cause}"));
                Self::Connection(format!("{error}{}", cause.unwrap_or_default()))
            }
        }
    }
}
