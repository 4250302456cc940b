//! No version is ever used twice, whatever is deleted or put back.

use std::{collections::BTreeSet, fs};

use token_refresh_driver::{CommitError, Store, Stored, Version, store::FileStore};

use crate::{record, scratch::Scratch, store_with_a_record};

/// A version that was never seen, with this record; what was expected before is expected no more.
fn is_new(store: &FileStore, seen: &mut BTreeSet<Version>, number: Option<u64>) -> Version {
    let Stored { version, record: found } = store.load().unwrap();
    assert_eq!(found, number.map(record));
    assert!(seen.iter().all(|old| *old < version), "{version:?} does not rise above {seen:?}");
    for old in &*seen {
        assert_eq!(store.commit(*old, &record(99)), Err(CommitError::Conflict), "{old:?} is still good");
    }
    seen.insert(version);
    version
}

fn commit(store: &FileStore, seen: &mut BTreeSet<Version>, expected: Version, number: u64) -> Version {
    let version = store.commit(expected, &record(number)).unwrap();
    assert_eq!(version.0, expected.0 + 1);
    assert!(seen.insert(version), "{version:?} was used before");
    version
}

#[test]
fn versions_go_on_after_the_record_was_deleted() {
    let scratch = Scratch::new("rm-record");
    let (store, version) = store_with_a_record(&scratch);
    let mut seen = BTreeSet::from([version]);
    for number in 2..5 {
        fs::remove_file(scratch.record()).unwrap();
        let empty = is_new(&store, &mut seen, None);
        assert_eq!(store.load().unwrap().version, empty, "as long as nothing happens");
        commit(&store, &mut seen, empty, number);
    }
}

#[test]
fn versions_go_on_after_an_older_record_was_put_back() {
    let scratch = Scratch::new("restore");
    let (store, version) = store_with_a_record(&scratch);
    let mut seen = BTreeSet::from([version]);
    let backup = scratch.join("backup");
    fs::copy(scratch.record(), &backup).unwrap();
    let version = commit(&store, &mut seen, version, 2);
    commit(&store, &mut seen, version, 3);
    fs::copy(&backup, scratch.record()).unwrap();
    let restored = is_new(&store, &mut seen, Some(1));
    commit(&store, &mut seen, restored, 4);
}

#[test]
fn versions_go_on_after_the_lock_file_was_deleted() {
    let scratch = Scratch::new("rm-lock");
    let (store, version) = store_with_a_record(&scratch);
    let mut seen = BTreeSet::from([version]);
    fs::remove_file(scratch.lock()).unwrap();
    let version = is_new(&store, &mut seen, Some(1));
    commit(&store, &mut seen, version, 2);
}

#[test]
fn versions_go_on_after_the_folder_was_deleted_under_a_running_program() {
    let scratch = Scratch::new("rm-folder");
    let (store, version) = store_with_a_record(&scratch);
    let mut seen = BTreeSet::from([version]);
    fs::remove_dir_all(scratch.join("store")).unwrap();
    let version = is_new(&store, &mut seen, None);
    commit(&store, &mut seen, version, 2);
}

#[test]
fn a_record_from_another_machine_brings_its_version_along() {
    let scratch = Scratch::new("copied");
    let (store, version) = store_with_a_record(&scratch);
    let text = fs::read_to_string(scratch.record()).unwrap();
    let ahead = u64::MAX / 2;
    fs::write(scratch.record(), text.replace(&version.0.to_string(), &ahead.to_string())).unwrap();
    let mut seen = BTreeSet::from([version, Version(ahead)]);
    let version = is_new(&store, &mut seen, Some(1));
    commit(&store, &mut seen, version, 2);
}
