//! The driver's own stores conform, and the conformance function notices stores that do not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../driver/examples/keyring/store.rs"]
mod keyring;

use std::{
    collections::BTreeMap,
    env, fs,
    path::PathBuf,
    process,
    sync::{Arc, Mutex},
    thread,
};

use keyring_core::{api::CredentialStoreApi, mock};
use token_refresh_conformance::stores::{
    Violation, deletion_conformance, outage_conformance, store_conformance,
};
use token_refresh_core::{Body, CommitError, Stored, Version};
use token_refresh_driver::{
    Grant, Record, Store, StoreError,
    store::{FileStore, MemoryStore, MemoryTable},
};

use crate::keyring::KeyringStore;

#[test]
fn the_memory_store_conforms() {
    let places = Mutex::new(BTreeMap::<String, MemoryStore>::new());
    let open = |name: &str| places.lock().unwrap().entry(name.into()).or_default().clone();
    assert_eq!(store_conformance(open), Ok(()));
}

#[test]
fn a_store_of_a_memory_table_conforms() {
    let table = MemoryTable::<String>::new();
    let open = |name: &str| table.store(name.into());
    assert_eq!(store_conformance(open), Ok(()));
    assert_eq!(deletion_conformance(open, |name| table.remove(&name.to_owned())), Ok(()));
}

#[test]
fn the_file_store_conforms() {
    let folder = Folder::new("file-store");
    let path = |name: &str| folder.0.join(name).with_extension("json");
    let open = |name: &str| FileStore::open(path(name)).unwrap();
    assert_eq!(store_conformance(open), Ok(()));
    assert_eq!(deletion_conformance(open, |name| fs::remove_file(path(name)).unwrap()), Ok(()));
    // A folder is in the way of the record.
    let blocked = open("blocked");
    fs::create_dir(path("blocked")).unwrap();
    assert_eq!(outage_conformance(&blocked), Ok(()));
}

#[test]
fn the_example_store_in_a_keyring_conforms() {
    let folder = Folder::new("keyring");
    let keyring = mock::Store::new().unwrap();
    let entry = |name: &str| keyring.build("conformance", name, None).unwrap();
    let open = |name: &str| KeyringStore::new(entry(name), folder.0.join(name));
    assert_eq!(store_conformance(open), Ok(()));
    assert_eq!(deletion_conformance(open, |name| entry(name).delete_credential().unwrap()), Ok(()));
    // An entry that holds something else.
    entry("blocked").set_secret(b"mine").unwrap();
    assert_eq!(outage_conformance(&open("blocked")), Ok(()));
}

/// Gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        Self(env::temp_dir().join(format!("token-refresh-{}-{test}", process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What can be wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Writes without comparing.
    NoCompare,
    /// Compares, and writes later.
    CompareThenWrite,
    /// Says that it is a conflict, and has written.
    WritesOnConflict,
    /// A loser is not told why.
    ConflictIsUnavailable,
    /// Takes an older version too.
    AcceptsOlder,
    /// Skips a version.
    SkipsVersion,
    /// Starts its versions again after a sign-out.
    TombstoneRestartsVersions,
    /// Takes a sign-out for no record.
    TombstoneIsEmpty,
    /// Takes no record for a failure.
    EmptyIsUnavailable,
    /// Each empty load has another version.
    EmptyHasNoVersion,
    /// A handle goes on with what it loaded first.
    NeverLooksAgain,
    /// All names are one.
    OneForAll,
    /// Version and record are read one after the other.
    TornLoad,
    /// Keeps so much of a token.
    CutsTokens,
    /// Forgets one member.
    ForgetsHolder,
    ForgetsScope,
    ForgetsExtra,
    ForgetsContested,
    /// Keeps times in seconds.
    RoundsTimes,
}

#[derive(Clone)]
struct Faulty {
    fault: Fault,
    stored: Arc<Mutex<Stored>>,
    first_seen: Arc<Mutex<Option<Stored>>>,
}

impl Store for Faulty {
    fn load(&self) -> Result<Stored, StoreError> {
        let mut loaded = self.stored.lock().unwrap().clone();
        match self.fault {
            Fault::TombstoneIsEmpty => {
                loaded.record = loaded.record.filter(|record| record.body != Body::SignedOut);
            }
            Fault::EmptyIsUnavailable if loaded.record.is_none() => return Err(StoreError),
            Fault::EmptyHasNoVersion if loaded.record.is_none() => {
                self.stored.lock().unwrap().version.0 += 1;
            }
            Fault::NeverLooksAgain => {
                loaded = self.first_seen.lock().unwrap().get_or_insert(loaded).clone();
            }
            Fault::TornLoad => {
                thread::yield_now();
                loaded.record.clone_from(&self.stored.lock().unwrap().record);
            }
            _ => {}
        }
        Ok(loaded)
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let mut stored = self.stored.lock().unwrap();
        let good = match self.fault {
            Fault::NoCompare => true,
            Fault::AcceptsOlder => expected <= stored.version,
            _ => expected == stored.version,
        };
        if self.fault == Fault::CompareThenWrite {
            drop(stored);
            thread::yield_now();
            stored = self.stored.lock().unwrap();
        }
        if !good {
            if self.fault == Fault::WritesOnConflict {
                stored.record = Some(record.clone());
            }
            return Err(if self.fault == Fault::ConflictIsUnavailable {
                CommitError::Unavailable
            } else {
                CommitError::Conflict
            });
        }
        let restarts = self.fault == Fault::TombstoneRestartsVersions && record.body == Body::SignedOut;
        let skips = self.fault == Fault::SkipsVersion && expected.0 % 7 == 6;
        let version =
            if restarts { Version(0) } else { Version(expected.0.wrapping_add(1 + u64::from(skips))) };
        *stored = Stored { version, record: Some(self.kept(record)) };
        Ok(version)
    }
}

impl Faulty {
    fn kept(&self, record: &Record) -> Record {
        let mut kept = record.clone();
        match self.fault {
            Fault::ForgetsHolder => kept.holder = None,
            Fault::ForgetsContested => kept.contested = false,
            Fault::CutsTokens | Fault::ForgetsScope | Fault::ForgetsExtra | Fault::RoundsTimes => {
                if let Body::Grant { grant, .. } = &mut kept.body {
                    *grant = self.copy(grant);
                }
            }
            _ => {}
        }
        kept
    }

    fn copy(&self, grant: &Grant) -> Grant {
        let most = if self.fault == Fault::CutsTokens { 8192 } else { usize::MAX };
        let cut = |token: &str| token.chars().take(most).collect::<String>();
        let mut copy =
            Grant::new(cut(grant.access_token().expose())).unwrap().with_token_type(grant.token_type());
        if let Some(refresh_token) = grant.refresh_token() {
            copy = copy.with_refresh_token(refresh_token.clone()).unwrap();
        }
        if let Some(lifetime) = grant.lifetime() {
            let rounded = std::time::Duration::from_secs(lifetime.as_secs());
            copy = copy.with_lifetime(if self.fault == Fault::RoundsTimes { rounded } else { lifetime });
        }
        if let Some(scope) = grant.scope().filter(|_| self.fault != Fault::ForgetsScope) {
            copy = copy.with_scope(scope);
        }
        let extra = grant.extra().filter(|_| self.fault != Fault::ForgetsExtra);
        extra.fold(copy, |copy, (name, json)| copy.with_extra(name, json.clone()))
    }
}

fn verdict(fault: Fault) -> Result<(), Violation> {
    let places = Mutex::new(BTreeMap::<String, Arc<Mutex<Stored>>>::new());
    store_conformance(|name| {
        let name = if fault == Fault::OneForAll { "" } else { name };
        let stored = places.lock().unwrap().entry(name.into()).or_default().clone();
        Faulty { fault, stored, first_seen: Arc::default() }
    })
}

#[test]
fn every_fault_is_noticed_and_named() {
    let faults = [
        (Fault::NoCompare, "PERS-05"),
        (Fault::CompareThenWrite, "MP-03"),
        (Fault::WritesOnConflict, "PERS-05"),
        (Fault::ConflictIsUnavailable, "PERS-05"),
        (Fault::AcceptsOlder, "PERS-05"),
        (Fault::SkipsVersion, "rule 12"),
        (Fault::TombstoneRestartsVersions, "rule 12"),
        (Fault::TombstoneIsEmpty, "SESS-04"),
        (Fault::EmptyIsUnavailable, "PERS-04"),
        (Fault::EmptyHasNoVersion, "rule 4"),
        (Fault::NeverLooksAgain, "rule 12"),
        (Fault::OneForAll, "MP-10"),
        (Fault::TornLoad, "PERS-03"),
        (Fault::CutsTokens, "PERS-03"),
        (Fault::ForgetsHolder, "PERS-03"),
        (Fault::ForgetsScope, "PERS-03"),
        (Fault::ForgetsExtra, "PERS-03"),
        (Fault::ForgetsContested, "PERS-03"),
        (Fault::RoundsTimes, "PERS-03"),
    ];
    for (fault, requirement) in faults {
        let violation = verdict(fault).expect_err(&format!("{fault:?} was not noticed"));
        assert_eq!(violation.requirement, requirement, "{fault:?}: {violation}");
    }
}

#[test]
fn a_store_that_forgets_its_versions_with_the_record_is_noticed() {
    let places = Mutex::new(BTreeMap::<String, MemoryStore>::new());
    let open = |name: &str| places.lock().unwrap().entry(name.into()).or_default().clone();
    let verdict = deletion_conformance(
        |name| Reopening { open: &open, name: name.into() },
        |name| drop(places.lock().unwrap().remove(name)),
    );
    assert_eq!(verdict.unwrap_err().requirement, "rule 1");
}

/// A handle that looks for its place anew for each call, as one of a file does.
struct Reopening<'a, F> {
    open: &'a F,
    name: String,
}

impl<F: Fn(&str) -> MemoryStore + Send + Sync> Store for Reopening<'_, F> {
    fn load(&self) -> Result<Stored, StoreError> {
        (self.open)(&self.name).load()
    }

    fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        (self.open)(&self.name).commit(expected, record)
    }
}

#[test]
fn an_unreachable_store_that_passes_for_empty_is_noticed() {
    assert_eq!(outage_conformance(&MemoryStore::new()).unwrap_err().requirement, "PERS-04");
}
