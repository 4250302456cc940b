//! Conformance of a store: whoever implements [`Store`] calls [`store_conformance`] with a function that opens it.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Mutex;
//! use token_refresh_conformance::stores::store_conformance;
//! use token_refresh_driver::store::MemoryStore;
//!
//! let places = Mutex::new(BTreeMap::<String, MemoryStore>::new());
//! store_conformance(|name| places.lock().unwrap().entry(name.into()).or_default().clone())?;
//! # Ok::<(), token_refresh_conformance::stores::Violation>(())
//! ```

mod blocking;
mod contents;
pub mod records;
mod versions;
mod writers;

use std::time::{Duration, Instant};

use token_refresh_core::{CommitError, Stored, Version};
use token_refresh_driver::{Record, Store, StoreError};

pub use self::blocking::Blocking;
use self::records::numbered;

/// What a store did that it must not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{requirement}: {what}")]
pub struct Violation {
    /// The requirement, or the rule of the claim protocol, that it breaks.
    pub requirement: &'static str,
    /// What was seen. Shows no token.
    pub what: String,
}

/// Checks everything that can be seen from outside: compare-and-set among 8 writers, whole records, versions that rise
/// by one, tombstones, large records, and every field of a record.
///
/// `open` opens the credential of a name as another process would, with a connection or a file handle of its own.
/// Names are made of lower-case letters and dashes; a name that was never used is an empty store, and different names
/// are different credentials.
///
/// An async store is wrapped in [`Blocking`].
///
/// Not checked, because it cannot be seen from outside: that a commit is durable before it is answered (rule 12), and
/// that others cannot read the record (SEC-05).
///
/// # Errors
/// The first [`Violation`].
pub fn store_conformance<S: Store>(open: impl Fn(&str) -> S + Sync) -> Result<(), Violation> {
    contents::empty_is_not_an_error(&open)?;
    versions::another_version_is_a_conflict(&open)?;
    versions::versions_rise_by_one(&open)?;
    contents::a_commit_is_seen_by_whoever_opens_the_store(&open)?;
    contents::a_tombstone_is_a_record(&open)?;
    contents::large_records_are_kept_whole(&open)?;
    contents::every_field_is_kept(&open)?;
    contents::names_are_different_credentials(&open)?;
    writers::one_of_eight_writers_wins(&open)?;
    writers::no_update_is_lost(&open)?;
    writers::readers_see_whole_records(&open)
}

/// Checks that versions go on rising after somebody deleted the record of this name by hand: `delete` does that.
///
/// # Errors
/// The first [`Violation`].
pub fn deletion_conformance<S: Store>(
    open: impl Fn(&str) -> S + Sync,
    delete: impl Fn(&str),
) -> Result<(), Violation> {
    versions::no_version_is_used_again_after_a_deletion(&open, &delete)
}

/// Checks a store that cannot be reached: it says so, in time, and does not pass for empty (PERS-04).
///
/// # Errors
/// The first [`Violation`].
pub fn outage_conformance(unreachable: &impl Store) -> Result<(), Violation> {
    let start = Instant::now();
    let loaded = unreachable.load();
    require("PERS-04", loaded == Err(StoreError), || format!("without a server, load says {loaded:?}"))?;
    let committed = unreachable.commit(Version(0), &numbered(1));
    require("rule 1", committed == Err(CommitError::Unavailable), || {
        format!("without a server, commit says {committed:?}")
    })?;
    let took = start.elapsed();
    require("MP-04", took < Duration::from_secs(10), || format!("two calls took {took:?}"))
}

fn require(requirement: &'static str, holds: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { requirement, what: what() }) }
}

fn load(store: &impl Store) -> Result<Stored, Violation> {
    store.load().map_err(|_| Violation {
        requirement: "PERS-04",
        what: "a load says that the store is unavailable, and it is not".into(),
    })
}

/// A commit over what is there.
fn commit(store: &impl Store, record: &Record) -> Result<Version, Violation> {
    let expected = load(store)?.version;
    let committed = store.commit(expected, record);
    require("rule 12", committed == Ok(Version(expected.0.wrapping_add(1))), || {
        format!("a commit over {expected:?}, which a load has just named, says {committed:?}")
    })?;
    Ok(Version(expected.0.wrapping_add(1)))
}
