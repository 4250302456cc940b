//! A version is one more than the last, is the only one that a commit can name, and is never used again.

use token_refresh_core::{CommitError, Version};
use token_refresh_driver::Store;

use super::{
    Violation, commit, load,
    records::{numbered, tombstone},
    require,
};

pub(super) fn another_version_is_a_conflict<S: Store>(open: &impl Fn(&str) -> S) -> Result<(), Violation> {
    let store = open("conflict");
    let empty = load(&store)?.version.0;
    let wrong_for = |version: u64| {
        let near = [version.wrapping_sub(1), version.wrapping_add(1), version.wrapping_add(2)];
        near.into_iter().chain([0, u64::MAX]).filter(move |wrong| *wrong != version)
    };
    let refuses = |version: u64| {
        let before = load(&store)?;
        for wrong in wrong_for(version) {
            let committed = store.commit(Version(wrong), &numbered(9));
            require("PERS-05", committed == Err(CommitError::Conflict), || {
                format!("version {version} is in force, and a commit over {wrong} says {committed:?}")
            })?;
        }
        let after = load(&store)?;
        require("PERS-05", before == after, || "a commit that was a conflict changed something".into())
    };
    refuses(empty)?;
    let version = commit(&store, &numbered(1))?.0;
    refuses(version)?;
    let version = commit(&store, &tombstone(1))?.0;
    refuses(version)
}

pub(super) fn versions_rise_by_one<S: Store>(open: &impl Fn(&str) -> S) -> Result<(), Violation> {
    let (one, other) = (open("rising"), open("rising"));
    let start = load(&one)?.version.0;
    for step in 1..=20 {
        let record = if step % 3 == 0 { tombstone(step) } else { numbered(step) };
        let version = commit(if step % 2 == 0 { &one } else { &other }, &record)?.0;
        require("rule 1", version == start.wrapping_add(step), || {
            format!("commit {step} after version {start} made version {version}")
        })?;
    }
    Ok(())
}

pub(super) fn no_version_is_used_again_after_a_deletion<S: Store>(
    open: &impl Fn(&str) -> S,
    delete: &impl Fn(&str),
) -> Result<(), Violation> {
    let store = open("deleted");
    commit(&store, &numbered(1))?;
    let last = commit(&store, &numbered(2))?.0;
    delete("deleted");
    let committed = store.commit(Version(last), &numbered(3));
    require("rule 1", committed == Err(CommitError::Conflict), || {
        format!("after a deletion, a commit over the deleted version says {committed:?}")
    })?;
    let empty = load(&store)?;
    require("rule 1", empty.record.is_none(), || "after a deletion there is a record".into())?;
    require("rule 1", empty.version.0 > last, || {
        format!("version {last} was deleted, and versions go on from {}", empty.version.0)
    })?;
    commit(&open("deleted"), &numbered(4)).map(drop)
}
