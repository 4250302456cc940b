//! Encryption at rest (SEC-05).
#![cfg(feature = "seal")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use token_refresh_core::{Body, SessionId};
use token_refresh_driver::{
    Grant, Record, Timestamp, Version,
    store::{Document, FormatError, RowFormat, Seal},
};

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

fn document() -> Document {
    let grant = Grant::new("the-access-token").unwrap().with_refresh_token("the-refresh-token").unwrap();
    let record = Record {
        session: SessionId(7),
        serial: 1,
        born: 0,
        contested: false,
        body: Body::Grant { grant, obtained_at: Timestamp::from_millis(5) },
        refused: false,
        presented: 0,
        first_at: Timestamp::ZERO,
        holder: None,
    };
    Document::replacing(None, Version(3), record)
}

fn sealed(name: &str, seal: Seal) -> RowFormat {
    RowFormat::new(name, Some(seal))
}

#[test]
fn sec_05_a_sealed_row_shows_nothing_and_opens_again() {
    let row = sealed("alice", Seal::new(&NEW));
    let text = row.encode(&document()).unwrap();
    let shown = String::from_utf8(text.to_vec()).unwrap();
    assert!(shown.starts_with("token-refresh-sealed/1:") && !shown.contains("token-refresh/1"), "{shown}");
    assert_eq!(row.decode(Version(3), &text), Ok(document()));
}

#[test]
fn no_two_sealed_texts_are_equal() {
    let row = sealed("alice", Seal::new(&NEW));
    assert_ne!(row.encode(&document()).unwrap(), row.encode(&document()).unwrap());
}

#[test]
fn sec_05_another_key_another_name_and_any_altered_byte_are_noticed() {
    let row = sealed("alice", Seal::new(&NEW));
    let text = row.encode(&document()).unwrap();
    let refused = Err(FormatError::WrongKey);
    assert_eq!(sealed("alice", Seal::new(&OLD)).decode(Version(3), &text), refused);
    assert_eq!(sealed("bob", Seal::new(&NEW)).decode(Version(3), &text), refused);
    for place in "token-refresh-sealed/1:".len()..text.len() {
        let mut altered = text.to_vec();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        assert_eq!(row.decode(Version(3), &altered), refused, "byte {place}");
        assert!(row.decode(Version(3), &text[..place]).is_err(), "cut at {place}");
    }
}

#[test]
fn a_text_under_another_version_is_damaged() {
    for seal in [None, Some(Seal::new(&NEW))] {
        let row = RowFormat::new("alice", seal);
        let text = row.encode(&document()).unwrap();
        assert_eq!(row.decode(Version(4), &text), Err(FormatError::Member("version")));
    }
}

#[test]
fn keys_can_be_changed_without_a_moment_in_which_nobody_can_read() {
    let before = sealed("alice", Seal::new(&OLD).opening_also(&NEW));
    let after = sealed("alice", Seal::new(&NEW).opening_also(&OLD));
    for (writer, reader) in [(&before, &after), (&after, &before)] {
        assert_eq!(reader.decode(Version(3), &writer.encode(&document()).unwrap()), Ok(document()));
    }
    let new = sealed("alice", Seal::new(&NEW));
    assert_eq!(new.decode(Version(3), &after.encode(&document()).unwrap()), Ok(document()));
}

#[test]
fn sealed_and_plain_are_not_taken_for_each_other() {
    let plain = RowFormat::new("alice", None);
    let sealed = sealed("alice", Seal::new(&NEW));
    let text = |row: &RowFormat| row.encode(&document()).unwrap();
    assert_eq!(plain.decode(Version(3), &text(&sealed)), Err(FormatError::Sealed));
    assert_eq!(sealed.decode(Version(3), &text(&plain)), Err(FormatError::NotSealed));
}
