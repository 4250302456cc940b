//! The store against a server of its own.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod server;

use token_refresh_conformance::stores::{deletion_conformance, store_conformance};
use token_refresh_redis::Seal;

use crate::server::Server;

#[test]
fn the_store_conforms_plain_and_encrypted() {
    let server = Server::start();
    assert_eq!(store_conformance(|key| server.redis().credential(key)), Ok(()));
    let redis = server.redis();
    let delete = |key: &str| drop(server.say(&["DEL", key]));
    assert_eq!(deletion_conformance(|key| redis.credential(key), delete), Ok(()));
    let store = |key: &str| redis.credential(format!("sealed-{key}")).sealed(Seal::new(&[7; 32]));
    assert_eq!(store_conformance(store), Ok(()));
}
