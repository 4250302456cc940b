//! The store against a server of its own.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod notifications;
mod secrets;
mod server;
#[path = "../../../driver/tests/support/mod.rs"]
mod support;

use token_refresh_conformance::stores::{Blocking, deletion_conformance, store_conformance};
use token_refresh_postgres::Seal;

use crate::server::Server;

#[test]
fn the_store_conforms_blocking_async_encrypted_and_notifying() {
    let server = Server::start();
    server.connect().create_table().unwrap();
    let store = |name: &str| server.connect().credential(name);
    assert_eq!(store_conformance(store), Ok(()));
    let delete = |name: &str| server.sql(&format!("DELETE FROM token_refresh WHERE name = '{name}'"));
    assert_eq!(deletion_conformance(store, delete), Ok(()));

    let postgres = server.connect();
    let store = |name: &str| postgres.credential(format!("async-{name}"));
    assert_eq!(store_conformance(|name| Blocking(store(name))), Ok(()));
    let store = |name: &str| postgres.credential(format!("sealed-{name}")).sealed(Seal::new(&[7; 32]));
    assert_eq!(store_conformance(store), Ok(()));
    let postgres = server.connect().notifying();
    let store = |name: &str| postgres.credential(format!("notifying-{name}"));
    assert_eq!(store_conformance(store), Ok(()));
}
