//! The text form of a record: `docs/record-format.md`, member by member.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use token_refresh_core::{Body, Claimant, Holder, SessionId};
use token_refresh_driver::{
    Grant, Record, Timestamp, Version,
    store::{Document, FormatError},
};

/// The example of the format's description, on one line.
const EXAMPLE: &str = concat!(
    r#"{"format":"token-refresh/1","version":"1763982000000007","session":"9223372036854775809","serial":"3","#,
    r#""born":1,"contested":false,"refused":false,"presented":1,"first_at_ms":1763982000000,"#,
    r#""holder":{"claimant":"12345678901234567890","term_ms":15000},"body":"grant","#,
    r#""grant":{"obtained_at_ms":1763978400000,"lifetime_ms":3600000,"token_type":"Bearer","#,
    r#""access_token":"2YotnFZFEjr1zCsicMWpAA","refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","scope":"read","#,
    r#""extra":{"id_token":"eyJhbGciOi…"}}}"#,
);

fn decode(text: &str) -> Result<Document, FormatError> {
    Document::decode(text.as_bytes())
}

fn text(document: &Document) -> String {
    String::from_utf8(document.encode().unwrap().to_vec()).unwrap()
}

fn example() -> Document {
    decode(EXAMPLE).unwrap()
}

fn grant_of(document: &Document) -> (&Grant, Timestamp) {
    match &document.record.body {
        Body::Grant { grant, obtained_at } => (grant, *obtained_at),
        body => panic!("no grant: {body:?}"),
    }
}

#[test]
fn the_documented_example_is_what_is_written_and_read() {
    assert_eq!(text(&example()), EXAMPLE);
    let described = include_str!("../docs/record-format.md");
    let json = described.split("```").nth(1).unwrap().strip_prefix("json").unwrap();
    assert_eq!(decode(json).unwrap(), example());
}

#[test]
fn every_member_of_the_record_is_read() {
    let document = example();
    let (grant, obtained_at) = grant_of(&document);
    assert_eq!(document.version, Version(1_763_982_000_000_007));
    assert_eq!(document.record.session, SessionId((1 << 63) + 1));
    assert_eq!((document.record.serial, document.record.born, document.record.presented), (3, 1, 1));
    assert_eq!(document.record.first_at, Timestamp::from_millis(1_763_982_000_000));
    let holder = Holder { claimant: Claimant(12_345_678_901_234_567_890), term: Duration::from_secs(15) };
    assert_eq!(document.record.holder, Some(holder));
    assert_eq!(obtained_at, Timestamp::from_millis(1_763_978_400_000));
    assert_eq!(grant.lifetime(), Some(Duration::from_secs(3600)));
    assert_eq!(grant.access_token().expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!(grant.refresh_token().unwrap().expose(), "tGzv3JOkF0XG5Qx2TlKWIA");
    assert_eq!(grant.scope(), Some("read"));
    let extra: Vec<_> = grant.extra().map(|(name, json)| (name, json.expose())).collect();
    assert_eq!(extra, [("id_token", "\"eyJhbGciOi…\"")]);
}

#[test]
fn time_08_times_that_cannot_be_are_unknown() {
    for wrong in ["-1", "1.5", "1e3", "null", "\"12\"", "true", "99999999999999999999999", "{}"] {
        let text = EXAMPLE
            .replace("1763982000000,", &format!("{wrong},"))
            .replace("1763978400000", wrong)
            .replace("3600000", wrong)
            .replace("15000", wrong);
        let document = decode(&text).unwrap();
        let (grant, obtained_at) = grant_of(&document);
        assert_eq!((grant.lifetime(), obtained_at), (None, Timestamp::ZERO), "{wrong}");
        assert_eq!(document.record.first_at, Timestamp::ZERO, "{wrong}");
        assert_eq!(document.record.holder.unwrap().term, Duration::ZERO, "{wrong}");
    }
}

#[test]
fn whatever_else_is_missing_or_wrong_is_an_error_that_names_it() {
    let required = [
        ("version", r#""version":"1763982000000007","#),
        ("session", r#""session":"9223372036854775809","#),
        ("serial", r#""serial":"3","#),
        ("born", r#""born":1,"#),
        ("contested", r#""contested":false,"#),
        ("refused", r#""refused":false,"#),
        ("presented", r#""presented":1,"#),
        ("claimant", r#""claimant":"12345678901234567890","#),
        ("body", r#""body":"grant","#),
        ("token_type", r#""token_type":"Bearer","#),
        ("access_token", r#""access_token":"2YotnFZFEjr1zCsicMWpAA","#),
    ];
    for (name, member) in required {
        let without = EXAMPLE.replace(member, "");
        assert_eq!(decode(&without), Err(FormatError::Member(name)), "without {name}");
        let wrong = EXAMPLE.replace(member, &format!("\"{name}\":[],"));
        assert_eq!(decode(&wrong), Err(FormatError::Member(name)), "wrong {name}");
        let doubled = EXAMPLE.replace(member, &member.repeat(2));
        assert!(decode(&doubled).is_err(), "doubled {name}");
    }
    let wrong = [
        ("version", "\"1763982000000007\"", "1763982000000007"),
        ("serial", "\"3\"", "\"18446744073709551616\""),
        ("presented", "\"presented\":1", "\"presented\":-1"),
        ("holder", "{\"claimant\":\"12345678901234567890\",\"term_ms\":15000}", "\"me\""),
        ("access_token", "2YotnFZFEjr1zCsicMWpAA", "with space"),
        ("refresh_token", "tGzv3JOkF0XG5Qx2TlKWIA", ""),
        ("token_type", "Bearer", "mac"),
        ("scope", "\"read\"", "7"),
        ("extra", r#"{"id_token":"eyJhbGciOi…"}"#, "[]"),
        ("body", r#""body":"grant""#, r#""body":"gone""#),
        ("grant", r#""body":"grant""#, r#""body":"signed_out""#),
    ];
    for (name, from, to) in wrong {
        assert_eq!(decode(&EXAMPLE.replacen(from, to, 1)), Err(FormatError::Member(name)), "{to}");
    }
}

#[test]
fn pers_04_a_text_that_is_cut_off_anywhere_is_an_error() {
    for length in (0..EXAMPLE.len()).filter(|length| EXAMPLE.is_char_boundary(*length)) {
        assert!(
            matches!(decode(&EXAMPLE[..length]), Err(FormatError::Damaged { .. })),
            "{}",
            &EXAMPLE[..length]
        );
    }
}

#[test]
fn other_formats_are_told_apart() {
    let with = |tag: &str| decode(&EXAMPLE.replace("\"token-refresh/1\"", tag));
    assert_eq!(with("\"token-refresh/2\""), Err(FormatError::Newer { revision: 2 }));
    assert_eq!(with("\"token-refresh/x\""), Err(FormatError::NotARecord));
    assert_eq!(with("1"), Err(FormatError::NotARecord));
    assert_eq!(decode("{}"), Err(FormatError::NotARecord));
    assert_eq!(decode("token-refresh-sealed/1:AAAA"), Err(FormatError::Sealed));
    assert!(matches!(decode("[]"), Err(FormatError::Damaged { .. })));
    assert_eq!(decode(&" ".repeat(Document::MAX_BYTES + 1)), Err(FormatError::TooLarge));
}

#[test]
fn what_is_too_large_or_no_json_is_not_written() {
    let document = |grant| {
        let body = Body::Grant { grant, obtained_at: Timestamp::ZERO };
        Document::replacing(None, Version(1), Record { body, ..example().record })
    };
    let large = Grant::new("a".repeat(Document::MAX_BYTES)).unwrap();
    assert_eq!(document(large).encode().err(), Some(FormatError::TooLarge));
    let odd = Grant::new("a").unwrap().with_extra("odd", "{not json");
    assert_eq!(document(odd).encode().err(), Some(FormatError::Extra));
}

#[test]
fn members_of_other_programs_are_kept_as_long_as_they_mean_something() {
    let theirs = EXAMPLE.replace("\"scope\"", r#""theirs": {"b":[1, 2.50]},"scope""#).replacen(
        '{',
        r#"{"note":"\u00e9 \/","#,
        1,
    );
    let before = decode(&theirs).unwrap();
    let after = |record: Record| text(&Document::replacing(Some(&before), Version(8), record));
    let kept =
        |text: &str| (text.contains(r#""note":"\u00e9 \/""#), text.contains(r#""theirs":{"b":[1, 2.50]}"#));

    let mut next = before.record.clone();
    next.serial += 1;
    assert_eq!(kept(&after(next.clone())), (true, true), "a new grant of the session");
    next.session = SessionId(5);
    assert_eq!(kept(&after(next.clone())), (true, false), "another identity");
    let gone = Record { body: Body::SignedOut, ..before.record.clone() };
    assert_eq!(kept(&after(gone)), (true, false), "signed out");
}

#[test]
fn sec_04_neither_debug_nor_an_error_shows_a_token() {
    let theirs = EXAMPLE.replace("\"scope\"", r#""theirs":"hunter2","scope""#);
    let document = decode(&theirs).unwrap();
    let shown = format!("{document:?}");
    for secret in ["2YotnFZFEjr1zCsicMWpAA", "tGzv3JOkF0XG5Qx2TlKWIA", "eyJhbGciOi", "hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let wrong = EXAMPLE.replace("\"born\":1", "\"born\":\"hunter2\"");
    assert!(!decode(&wrong).unwrap_err().to_string().contains("hunter2"));
}
