use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use token_refresh_driver::{
    CommitError, Store, Version,
    store::{FileProblem, FileStore, LockFile},
};

use crate::{
    child::{Talking, command, say},
    record,
    scratch::Scratch,
    store_with_a_record,
};

/// Takes the lock, says so, and keeps it until it is killed: a process that was stopped in the middle of a commit.
pub(crate) fn hold(folder: &Path) {
    let _held = LockFile::new(folder.join("store/token.json.lock")).hold(Duration::ZERO).unwrap();
    say("held");
    loop {
        thread::park();
    }
}

#[test]
fn mp_04_mp_05_a_stopped_holder_lets_nobody_in_and_a_killed_one_everybody() {
    let scratch = Scratch::new("holder");
    let (store, version) = store_with_a_record(&scratch);
    let mut holder = Talking::start(command("hold", scratch.path()));
    assert_eq!(holder.hear().as_deref(), Some("held"));

    let began = Instant::now();
    let error = store.check().unwrap_err();
    assert!(matches!(error.problem(), FileProblem::Locked { .. }), "{error}");
    assert_eq!(error.path(), scratch.lock());
    assert_eq!(store.commit(version, &record(2)), Err(CommitError::Unavailable));
    assert!(began.elapsed() < Duration::from_secs(20), "the wait has no limit");
    assert_eq!(store.load().unwrap().record, Some(record(1)), "reading needs no lock");

    holder.kill();
    assert!(LockFile::new(scratch.lock()).hold(Duration::ZERO).is_ok(), "released at once");
    assert_eq!(store.commit(version, &record(2)).unwrap().0, version.0 + 1);
}

#[test]
fn two_handles_of_one_process_exclude_each_other() {
    let scratch = Scratch::new("in-process");
    store_with_a_record(&scratch);
    let lock = LockFile::new(scratch.lock());
    let held = lock.hold(Duration::ZERO).unwrap();
    assert!(matches!(lock.hold(Duration::ZERO).unwrap_err().problem(), FileProblem::Locked { .. }));
    drop(held);
    assert!(lock.hold(Duration::ZERO).is_ok());
}

#[test]
fn a_foreign_file_in_the_place_of_the_lock_file_is_left_alone() {
    let scratch = Scratch::new("foreign-lock");
    let (store, version) = store_with_a_record(&scratch);
    for text in
        ["mine", "token-refresh/1 highest 7\n", "token-refresh/1 highest 0000000000000000000x\n", "\u{0}"]
    {
        fs::write(scratch.lock(), text).unwrap();
        let error = store.check().unwrap_err();
        assert!(matches!(error.problem(), FileProblem::NotALockFile), "{error}");
        assert_eq!(store.commit(version, &record(2)), Err(CommitError::Unavailable));
        assert_eq!(fs::read_to_string(scratch.lock()).unwrap(), text);
    }
}

#[test]
fn a_lock_file_whose_maker_died_before_it_wrote_is_made_again() {
    let scratch = Scratch::new("empty-lock");
    let (store, version) = store_with_a_record(&scratch);
    fs::write(scratch.lock(), "").unwrap();
    let stored = store.load().unwrap();
    assert!(stored.version > version);
    assert_eq!(stored.record, Some(record(1)));
    assert_eq!(store.commit(stored.version, &record(2)), Ok(Version(stored.version.0 + 1)));
}

#[test]
fn opening_does_not_disturb_a_record() {
    let scratch = Scratch::new("reopen");
    let (_, version) = store_with_a_record(&scratch);
    let again = FileStore::open(scratch.record()).unwrap();
    assert_eq!(again.load().unwrap().version, version);
    assert_eq!(scratch.names(), ["token.json", "token.json.lock"]);
}
