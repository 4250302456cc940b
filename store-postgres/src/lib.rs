#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod connection;
mod error;
mod row;
mod store;

pub use token_refresh_driver::store::Seal;
pub use tokio_postgres;

pub use crate::{connection::Postgres, error::PostgresError, store::PostgresStore};
