use std::{
    fs,
    io::ErrorKind,
    path::Path,
    sync::{Arc, Mutex},
};

use token_refresh_core::Body;
use token_refresh_driver::{
    CommitError, Grant, Record, Store, StoreError, Timestamp,
    store::{Document, FileProblem, FileStore, FormatError},
};

use crate::{
    child::{command_after, command_as_ordinary_user, succeed},
    record,
    scratch::{Scratch, mode, set_mode},
    store_with_a_record,
};

/// With this in the place of the record: neither read nor overwritten, and the error says what it is.
fn refused(scratch: &Scratch, store: &FileStore, text: &[u8], expected: &FormatError) {
    let version = store.load().unwrap().version;
    let good = fs::read(scratch.record()).unwrap();
    fs::write(scratch.record(), text).unwrap();
    let error = store.check().unwrap_err();
    assert!(matches!(error.problem(), FileProblem::Format(found) if found == expected), "{error}");
    assert_eq!(error.path(), scratch.record());
    assert_eq!(store.load(), Err(StoreError));
    assert_eq!(store.commit(version, &record(2)), Err(CommitError::Unavailable));
    assert_eq!(fs::read(scratch.record()).unwrap(), text, "it was changed");
    assert_eq!(scratch.names(), ["token.json", "token.json.lock"], "something was left behind");
    fs::write(scratch.record(), good).unwrap();
}

#[test]
fn pers_04_what_cannot_be_read_is_an_error_and_is_left_as_it_is() {
    let scratch = Scratch::new("damaged");
    let (store, _) = store_with_a_record(&scratch);
    let whole = fs::read(scratch.record()).unwrap();
    let damaged = |line, column| FormatError::Damaged { line, column };
    refused(&scratch, &store, b"", &damaged(1, 0));
    refused(&scratch, &store, &whole[..whole.len() / 2], &damaged(1, whole.len() / 2));
    refused(&scratch, &store, b"not a record\n", &damaged(1, 2));
    refused(&scratch, &store, b"{}", &FormatError::NotARecord);
    refused(&scratch, &store, &vec![b' '; Document::MAX_BYTES + 1], &FormatError::TooLarge);
    let newer = String::from_utf8(whole).unwrap().replace("token-refresh/1", "token-refresh/9");
    refused(&scratch, &store, newer.as_bytes(), &FormatError::Newer { revision: 9 });
    assert_eq!(store.load().unwrap().record, Some(record(1)), "the good copy is put back");
}

#[test]
fn sec_05_a_record_that_others_can_read_is_refused_and_the_error_says_what_to_do() {
    let scratch = Scratch::new("open");
    let (store, version) = store_with_a_record(&scratch);
    for open in [0o604, 0o640, 0o620, 0o666] {
        set_mode(&scratch.record(), open);
        let error = store.check().unwrap_err();
        assert!(matches!(error.problem(), FileProblem::NotPrivate { mode } if *mode == open), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
        assert_eq!(store.load(), Err(StoreError));
        assert_eq!(store.commit(version, &record(2)), Err(CommitError::Unavailable));
        assert_eq!(mode(&scratch.record()), open);
    }
    set_mode(&scratch.record(), 0o400);
    assert_eq!(store.load().unwrap().record, Some(record(1)));
}

#[test]
fn sec_05_everything_is_private_whatever_the_umask() {
    let scratch = Scratch::new("umask");
    succeed(command_after("umask 000", "open_umask", scratch.path()));
}

pub(crate) fn open_umask(folder: &Path) {
    let store = FileStore::open(folder.join("a/b/token.json")).unwrap();
    store.commit(store.load().unwrap().version, &record(1)).unwrap();
    for (name, expected) in
        [("a", 0o700), ("a/b", 0o700), ("a/b/token.json", 0o600), ("a/b/token.json.lock", 0o600)]
    {
        assert_eq!(mode(&folder.join(name)), expected, "{name}");
    }
}

#[test]
fn a_file_that_may_not_be_read_is_an_error_of_its_own() {
    let scratch = Scratch::new("unreadable");
    succeed(command_as_ordinary_user("unreadable", scratch.path()));
}

pub(crate) fn unreadable(folder: &Path) {
    let path = folder.join("token.json");
    let store = FileStore::open(&path).unwrap();
    let version = store.commit(store.load().unwrap().version, &record(1)).unwrap();
    set_mode(&path, 0o000);
    let error = store.check().unwrap_err();
    assert!(
        matches!(error.problem(), FileProblem::Unreadable(why) if why.kind() == ErrorKind::PermissionDenied),
        "{error}"
    );
    assert_eq!(store.load(), Err(StoreError));
    assert_eq!(store.commit(version, &record(2)), Err(CommitError::Unavailable));
    set_mode(&path, 0o600);
    assert_eq!(store.load().unwrap().record, Some(record(1)));
}

#[test]
fn a_read_only_folder_can_be_read_and_the_error_of_a_commit_says_why_not() {
    let scratch = Scratch::new("read-only");
    succeed(command_as_ordinary_user("read_only_folder", scratch.path()));
}

pub(crate) fn read_only_folder(folder: &Path) {
    let folder = folder.join("store");
    let store = FileStore::open(folder.join("token.json")).unwrap();
    let version = store.commit(store.load().unwrap().version, &record(1)).unwrap();
    set_mode(&folder, 0o500);
    let error = store.check().unwrap_err();
    assert!(matches!(error.problem(), FileProblem::Folder(_)), "{error}");
    assert!(error.to_string().contains("write to its folder"), "{error}");
    assert_eq!(store.commit(version, &record(2)), Err(CommitError::Unavailable));
    assert_eq!(store.load().unwrap().record, Some(record(1)));
    let beside = FileStore::open(folder.join("other.json")).unwrap_err();
    assert!(matches!(beside.problem(), FileProblem::Folder(_)), "{beside}");
    set_mode(&folder, 0o700);
}

#[test]
fn a_full_disk_leaves_the_old_record_and_no_litter() {
    let scratch = Scratch::new("full");
    let (_, version) = store_with_a_record(&scratch);
    // A limit on the size of files fails in the same place as a disk without space, and needs no rights.
    succeed(command_after("trap '' XFSZ; ulimit -f 16", "full_disk", scratch.path()));
    let store = FileStore::open(scratch.record()).unwrap();
    assert_eq!(store.load().unwrap().version, version);
    assert_eq!(store.commit(version, &record(2)).unwrap().0, version.0 + 1, "there is space again");
}

pub(crate) fn full_disk(folder: &Path) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let store = FileStore::open(folder.join("store/token.json")).unwrap().on_error({
        let told = told.clone();
        move |error| {
            let is_about_space = matches!(error.problem(), FileProblem::NoSpace(_));
            told.lock().unwrap().push((is_about_space, error.to_string()));
        }
    });
    let stored = store.load().unwrap();
    let large = Body::Grant { grant: Grant::new("a".repeat(1 << 20)).unwrap(), obtained_at: Timestamp::ZERO };
    let large = Record { body: large, ..record(2) };
    assert_eq!(store.commit(stored.version, &large), Err(CommitError::Unavailable));
    let told = told.lock().unwrap();
    assert!(matches!(told.as_slice(), [(true, text)] if text.contains("no space")), "{told:?}");
    assert_eq!(store.load().unwrap(), stored);
    assert!(!folder.join("store/token.json.tmp").exists());
}

#[test]
fn what_is_no_file_is_an_error_of_its_own() {
    let scratch = Scratch::new("no-file");
    fs::create_dir_all(scratch.record()).unwrap();
    let error = FileStore::open(scratch.record()).unwrap_err();
    assert!(matches!(error.problem(), FileProblem::NotAFile), "{error}");
    assert!(scratch.record().is_dir());
}

#[test]
fn a_file_in_the_place_of_the_folder_is_an_error_of_its_own() {
    let scratch = Scratch::new("no-folder");
    fs::write(scratch.join("store"), "mine").unwrap();
    let error = FileStore::open(scratch.record()).unwrap_err();
    assert!(matches!(error.problem(), FileProblem::Folder(_) | FileProblem::Io { .. }), "{error}");
    assert_eq!(fs::read(scratch.join("store")).unwrap(), b"mine");
}

#[test]
fn members_of_other_programs_survive_a_commit() {
    let scratch = Scratch::new("members");
    let (store, version) = store_with_a_record(&scratch);
    let text = fs::read_to_string(scratch.record()).unwrap();
    fs::write(scratch.record(), text.replacen('{', "{\"theirs\":[1, 2],", 1)).unwrap();
    store.commit(version, &record(2)).unwrap();
    assert!(fs::read_to_string(scratch.record()).unwrap().contains("\"theirs\":[1, 2]"));
    assert_eq!(store.load().unwrap().record, Some(record(2)));
}
