use std::{path::Path, time::Duration};

use keyring_core::{Entry, Error};
use token_refresh_core::Stored;
use token_refresh_driver::{
    CommitError, Record, Store, StoreError, Version,
    store::{Document, LockFile},
};
use zeroize::Zeroizing;

/// The record in the keyring of the operating system.
///
/// A keyring knows no compare-and-set, so a lock file makes up for it, which holds nothing secret. A real program would
/// also tell somebody about the errors that are dropped here.
pub(crate) struct KeyringStore {
    entry: Entry,
    lock: LockFile,
}

impl KeyringStore {
    /// How long to wait for another process's commit.
    const LIMIT: Duration = Duration::from_secs(1);

    /// The record is in `entry`, and `lock` is a file that all the processes use.
    pub(crate) fn new(entry: Entry, lock: impl AsRef<Path>) -> Self {
        Self { entry, lock: LockFile::new(lock.as_ref()) }
    }

    fn read(&self) -> Result<Option<Document>, StoreError> {
        match self.entry.get_secret() {
            Ok(text) => Document::decode(&Zeroizing::new(text)).map(Some).map_err(|_| StoreError),
            Err(Error::NoEntry) => Ok(None),
            // A keyring that is locked is not an empty one (PERS-04).
            Err(_) => Err(StoreError),
        }
    }
}

impl Store for KeyringStore {
    fn load(&self) -> Result<Stored, StoreError> {
        let held = self.lock.hold(Self::LIMIT).map_err(|_| StoreError)?;
        let document = self.read()?;
        let version = held.in_force(document.as_ref().map(|document| document.version));
        Ok(Stored { version, record: document.map(|document| document.record) })
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let mut held = self.lock.hold(Self::LIMIT).map_err(|_| CommitError::Unavailable)?;
        let current = self.read().map_err(|_| CommitError::Unavailable)?;
        if held.in_force(current.as_ref().map(|current| current.version)) != expected {
            return Err(CommitError::Conflict);
        }
        let version = Version(expected.0 + 1);
        let next = Document::replacing(current.as_ref(), version, record.clone());
        let text = next.encode().map_err(|_| CommitError::Unavailable)?;
        held.give_out(version).map_err(|_| CommitError::Unavailable)?;
        self.entry.set_secret(&text).map_err(|_| CommitError::Unavailable)?;
        Ok(version)
    }
}
