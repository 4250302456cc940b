use std::io;

use redis::RedisError;
use token_refresh_driver::store::FormatError;

/// Why the store is unavailable. Shows no token (SEC-04).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisStoreError {
    /// There is no connection, or it broke.
    #[error("no connection to Redis: {0}")]
    Connection(String),
    /// The server took too long.
    #[error("Redis did not answer within 1.5 s")]
    TimedOut,
    /// The server refuses.
    #[error("Redis refuses: {0}")]
    Refused(String),
    /// Too few replicas confirmed a commit in time. It took place, and may be forgotten by a fail-over.
    #[error("only {confirmed} of {wanted} replicas confirmed the commit")]
    TooFewReplicas {
        /// How many did.
        confirmed: usize,
        /// How many have to.
        wanted: usize,
    },
    /// What is under the key cannot be read, or the record cannot be written. Nothing was overwritten.
    #[error("{0}")]
    Format(#[from] FormatError),
}

/// There is no thread to be had.
impl From<io::Error> for RedisStoreError {
    fn from(error: io::Error) -> Self {
        Self::Connection(error.to_string())
    }
}

impl From<RedisError> for RedisStoreError {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else if error.is_io_error() {
            Self::Connection(error.to_string())
        } else {
            Self::Refused(error.to_string())
        }
    }
}
