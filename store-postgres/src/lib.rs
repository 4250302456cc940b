#![doc = include_str!("../README.md")]
//!
//! # Requirement ids
//!
//! Ids such as `SEC-04` name requirements of
//! [the catalogue](https://github.com/token-refresh/token-refresh/blob/main/tests/REQUIREMENTS.md), which says what each
//! demands and where it comes from.
#![forbid(unsafe_code)]

mod connection;
mod error;
mod row;
mod store;

pub use token_refresh_driver::store::Seal;
pub use tokio_postgres;

pub use crate::{connection::Postgres, error::PostgresError, store::PostgresStore};
