//! The file store: what it does with files that are not as they should be, and with processes that die.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod child;
mod deletion;
mod faults;
mod links;
mod lock;
mod processes;
mod scratch;

use std::time::Duration;

use token_refresh_core::{Body, Claimant, Holder, SessionId};
use token_refresh_driver::{Grant, Record, Store, Timestamp, Version, store::FileStore};

use crate::scratch::Scratch;

/// A record that can be told from others by its number, and is torn if its members do not agree.
fn record(number: u64) -> Record {
    let grant = Grant::new(format!("at-{number}"))
        .and_then(|grant| grant.with_refresh_token(format!("rt-{number}")))
        .unwrap()
        .with_lifetime(Duration::from_millis(number));
    Record {
        session: SessionId(1),
        serial: number,
        born: 0,
        contested: false,
        body: Body::Grant { grant, obtained_at: Timestamp::from_millis(number) },
        refused: false,
        presented: 0,
        first_at: Timestamp::from_millis(number),
        holder: Some(Holder { claimant: Claimant(number), term: Duration::from_millis(number) }),
    }
}

/// A store that holds `record(1)`, and its version.
fn store_with_a_record(scratch: &Scratch) -> (FileStore, Version) {
    let store = FileStore::open(scratch.record()).unwrap();
    let version = store.commit(store.load().unwrap().version, &record(1)).unwrap();
    (store, version)
}
