//! Processes that die at any instant.

use std::{fs, path::Path};

use token_refresh_driver::{
    Store, Stored, Version,
    store::{Document, FileStore, LockFile},
};

use crate::{
    child::{Talking, command, say},
    record,
    scratch::Scratch,
    store_with_a_record,
};

/// Commits one numbered record after the other, and says which it has an answer for, until it is killed.
pub(crate) fn commit_for_ever(folder: &Path) {
    let store = FileStore::open(folder.join("store/token.json")).unwrap();
    let stored = store.load().unwrap();
    let mut version = stored.version;
    let mut number = stored.record.map_or(0, |record| record.serial);
    loop {
        number += 1;
        version = store.commit(version, &record(number)).unwrap();
        say(&format!("{number} {}", version.0));
    }
}

#[test]
fn pers_03_a_process_killed_at_any_instant_leaves_the_old_record_or_the_new_one() {
    const KILLS: u32 = 200;
    let scratch = Scratch::new("kill");
    let store = FileStore::open(scratch.record()).unwrap();
    let (mut last_number, mut last_version) = (0, store.load().unwrap().version.0);
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let mut child = Talking::start(command("commit_for_ever", scratch.path()));
        // The first commits take place; then death comes at some instant of a commit: how much this loop spins before
        // it differs every time.
        for _ in 0..=kill % 3 {
            (last_number, last_version) = parse(&child.hear().unwrap());
        }
        (0..kill.wrapping_mul(2_654_435_761) % 1_000_000).for_each(|spin| _ = std::hint::black_box(spin));
        child.kill();
        while let Some(word) = child.hear() {
            (last_number, last_version) = parse(&word);
        }

        let Stored { version, record: found } = store.load().unwrap();
        let number = found.as_ref().map_or(0, |record| record.serial);
        assert_eq!(found, Some(record(number)), "a mixture");
        assert!(
            number == last_number || number == last_number + 1,
            "the record of commit {number} is there, and {last_number} was answered"
        );
        assert!(version.0 >= last_version, "the version went back from {last_version} to {}", version.0);
        interrupted += u32::from(version.0 != last_version);
        (last_number, last_version) = (number, version.0);
    }
    assert!(interrupted > 0, "no kill came inside a commit, so this proves nothing");
    store.commit(Version(last_version), &record(1)).unwrap();
    assert_eq!(scratch.names(), ["token.json", "token.json.lock"], "litter");
}

fn parse(word: &str) -> (u64, u64) {
    let (number, version) = word.split_once(' ').unwrap();
    (number.parse().unwrap(), version.parse().unwrap())
}

/// What a process leaves that dies between two steps of a commit, put there by hand.
fn after_a_death(test: &str, leave: impl Fn(&Scratch, Version)) {
    let scratch = Scratch::new(test);
    let (store, version) = store_with_a_record(&scratch);
    leave(&scratch, version);
    let stored = store.load().unwrap();
    assert_eq!(stored.record, Some(record(1)), "the commit never took place");
    assert!(stored.version >= version);
    assert_eq!(store.commit(stored.version, &record(3)), Ok(Version(stored.version.0 + 1)));
    assert_eq!(store.load().unwrap().record, Some(record(3)));
    assert_eq!(scratch.names(), ["token.json", "token.json.lock"]);
}

fn next(version: Version) -> Vec<u8> {
    Document::replacing(None, Version(version.0 + 1), record(2)).encode().unwrap().to_vec()
}

#[test]
fn a_death_while_the_new_record_is_written_changes_nothing() {
    after_a_death("half-written", |scratch, version| {
        let text = next(version);
        fs::write(scratch.temporary(), &text[..text.len() / 2]).unwrap();
    });
}

#[test]
fn a_death_after_the_new_record_was_written_changes_nothing() {
    after_a_death("written", |scratch, version| fs::write(scratch.temporary(), next(version)).unwrap());
}

#[test]
fn a_death_between_the_new_version_and_the_rename_uses_that_version_up() {
    after_a_death("given-out", |scratch, version| {
        fs::write(scratch.temporary(), next(version)).unwrap();
        let mut held = LockFile::new(scratch.lock()).hold(std::time::Duration::ZERO).unwrap();
        held.give_out(Version(version.0 + 1)).unwrap();
        drop(held);
        let store = FileStore::open(scratch.record()).unwrap();
        assert_eq!(store.load().unwrap().version, Version(version.0 + 2));
    });
}
