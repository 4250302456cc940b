//! The store against a server of its own.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod notifications;
mod server;
#[path = "../../../driver/tests/support/mod.rs"]
mod support;

use token_refresh_conformance::stores::{Blocking, deletion_conformance, store_conformance};
use token_refresh_redis::Seal;

use crate::server::Server;

#[test]
fn the_store_conforms_blocking_async_encrypted_and_notifying() {
    let server = Server::start();
    assert_eq!(store_conformance(|key| server.redis().credential(key)), Ok(()));
    let redis = server.redis();
    let delete = |key: &str| drop(server.say(&["DEL", key]));
    assert_eq!(deletion_conformance(|key| redis.credential(key), delete), Ok(()));
    let store = |key: &str| redis.credential(format!("sealed-{key}")).sealed(Seal::new(&[7; 32]));
    assert_eq!(store_conformance(store), Ok(()));
    let store = |key: &str| redis.credential(format!("async-{key}"));
    assert_eq!(store_conformance(|key| Blocking(store(key))), Ok(()));
    let redis = server.redis().notifying();
    let store = |key: &str| redis.credential(format!("notifying-{key}"));
    assert_eq!(store_conformance(store), Ok(()));
}
