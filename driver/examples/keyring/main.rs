//! A store of one's own, whole, in `store.rs`: the record lies in the keyring of the operating system.
//!
//! ```sh
//! cargo run -p token-refresh-driver --example keyring
//! ```
//!
//! This uses a keyring in memory, so that it runs everywhere. A program chooses a real one, once, at its start:
//! `apple-native-keyring-store`, `windows-native-keyring-store`, `dbus-secret-service-keyring-store` or
//! `linux-keyutils-keyring-store`. Mind what they can hold: Windows keeps 2,560 bytes in an entry, which is less than
//! many tokens take; a record that is too large makes the store unavailable, and nothing is lost.

mod store;

use std::{env, error::Error, fs, process};

use keyring_core::{Entry, mock, set_default_store};
use token_refresh_core::{Body, SessionId};
use token_refresh_driver::{Grant, Record, Store, Timestamp};

use crate::store::KeyringStore;

fn main() -> Result<(), Box<dyn Error>> {
    set_default_store(mock::Store::new()?);
    let folder = env::temp_dir().join(format!("token-refresh-keyring-{}", process::id()));
    let open = || {
        Ok::<_, keyring_core::Error>(KeyringStore::new(Entry::new("example", "alice")?, folder.join("lock")))
    };

    // What a session does with it: load, and commit over the version that was loaded.
    let (one, other) = (open()?, open()?);
    let empty = one.load()?;
    let version = one.commit(empty.version, &signed_in()?)?;
    println!("one process signs in");
    println!("another one finds the record: {}", other.load()?.record.is_some());
    println!("a commit over an old version: {:?}", other.commit(empty.version, &signed_in()?));
    other.commit(version, &Record { body: Body::SignedOut, ..signed_in()? })?;
    println!("the other signs out, and the first sees it: {}", one.load()?.version > version);
    Ok(fs::remove_dir_all(folder)?)
}

fn signed_in() -> Result<Record, Box<dyn Error>> {
    let grant = Grant::new("access-token")?.with_refresh_token("refresh-token")?;
    Ok(Record {
        session: SessionId(1),
        serial: 1,
        born: 0,
        contested: false,
        body: Body::Grant { grant, obtained_at: Timestamp::from_millis(1_764_000_000_000) },
        refused: false,
        presented: 0,
        first_at: Timestamp::ZERO,
        holder: None,
    })
}
