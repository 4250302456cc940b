#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod connection;
mod error;
mod listener;
mod script;
mod store;

pub use redis;
pub use token_refresh_driver::store::Seal;

pub use crate::{connection::Redis, error::RedisStoreError, store::RedisStore};
