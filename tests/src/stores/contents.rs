//! What was committed is what is loaded.

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use token_refresh_driver::{Record, Store};

use super::{
    Violation, commit, load,
    records::{any_record, large, numbered, tombstone},
    require,
};

pub(super) fn empty_is_not_an_error<S: Store>(open: &impl Fn(&str) -> S) -> Result<(), Violation> {
    let store = open("empty");
    let first = load(&store)?;
    require("PERS-04", first.record.is_none(), || "a name that was never used has a record".into())?;
    let second = load(&open("empty"))?;
    require("rule 4", first == second, || {
        format!("an empty store is at {:?}, and then at {:?}", first.version, second.version)
    })
}

pub(super) fn a_commit_is_seen_by_whoever_opens_the_store<S: Store>(
    open: &impl Fn(&str) -> S,
) -> Result<(), Violation> {
    let writer = open("reopened");
    let reader = open("reopened");
    load(&reader)?;
    for number in 1..4 {
        let version = commit(&writer, &numbered(number))?;
        for (who, store) in
            [("the writer", &writer), ("an older handle", &reader), ("a new one", &open("reopened"))]
        {
            holds("PERS-03", who, store, version.0, &numbered(number))?;
        }
    }
    Ok(())
}

pub(super) fn a_tombstone_is_a_record<S: Store>(open: &impl Fn(&str) -> S) -> Result<(), Violation> {
    let store = open("tombstone");
    commit(&store, &numbered(1))?;
    let version = commit(&store, &tombstone(1))?;
    holds("SESS-04", "after a sign-out", &open("tombstone"), version.0, &tombstone(1))?;
    let version = commit(&store, &numbered(2))?;
    holds("SESS-04", "after the next sign-in", &open("tombstone"), version.0, &numbered(2))
}

pub(super) fn large_records_are_kept_whole<S: Store>(open: &impl Fn(&str) -> S) -> Result<(), Violation> {
    let store = open("large");
    for (number, size) in (1..).zip([4 << 10, 64 << 10, 16]) {
        let record = large(number, size);
        let version = commit(&store, &record)?;
        holds("PERS-03", &format!("tokens of {size} bytes"), &store, version.0, &record)?;
    }
    Ok(())
}

pub(super) fn every_field_is_kept<S: Store>(open: &impl Fn(&str) -> S) -> Result<(), Violation> {
    let store = open("fields");
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&any_record(), |record| {
        let kept = commit(&store, &record)
            .and_then(|version| holds("PERS-03", "a record", &store, version.0, &record));
        kept.map_err(|violation| TestCaseError::fail(violation.what))
    });
    result.map_err(|error| match error {
        TestError::Fail(why, record) => Violation {
            requirement: "PERS-03",
            what: format!("{why}; the smallest such record is {record:?}"),
        },
        TestError::Abort(why) => Violation { requirement: "PERS-03", what: why.to_string() },
    })
}

pub(super) fn names_are_different_credentials<S: Store>(open: &impl Fn(&str) -> S) -> Result<(), Violation> {
    let (ours, theirs) = (open("name"), open("name-too"));
    let before = load(&theirs)?;
    commit(&ours, &numbered(1))?;
    let after = load(&theirs)?;
    require("MP-10", before == after, || "a commit under one name changed another".into())
}

fn holds(
    requirement: &'static str,
    what: &str,
    store: &impl Store,
    version: u64,
    record: &Record,
) -> Result<(), Violation> {
    let stored = load(store)?;
    require(requirement, stored.version.0 == version, || {
        format!("{what}: version {version} was committed, {} is loaded", stored.version.0)
    })?;
    require(requirement, stored.record.as_ref() == Some(record), || {
        format!(
            "{what}: what is loaded is not what was committed: {}",
            difference(record, stored.record.as_ref())
        )
    })
}

/// The first member that differs. Tokens are redacted by their own type.
fn difference(committed: &Record, loaded: Option<&Record>) -> String {
    let Some(loaded) = loaded else { return "there is no record".into() };
    let members = |record: &Record| format!("{record:#?}").lines().map(str::to_owned).collect::<Vec<_>>();
    let differs = members(committed).into_iter().zip(members(loaded)).find(|(one, other)| one != other);
    differs.map_or_else(
        || "a secret differs".into(),
        |(one, other)| format!("{} became {}", one.trim(), other.trim()),
    )
}
