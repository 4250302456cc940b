//! Many writers at once.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use token_refresh_core::{CommitError, Stored, Version};
use token_refresh_driver::Store;

use super::{
    Violation, commit, load,
    records::{large, numbered},
    require,
};

const WRITERS: u64 = 8;

/// All commit over the same version, again and again: it must be replaced exactly once.
pub(super) fn one_of_eight_writers_wins<S: Store>(
    open: &(impl Fn(&str) -> S + Sync),
) -> Result<(), Violation> {
    const ROUNDS: u64 = 25;
    let observer = open("race");
    let barrier = Barrier::new(usize::try_from(WRITERS).unwrap_or(usize::MAX));
    for round in 0..ROUNDS {
        let before = load(&observer)?.version;
        let (barrier, number) = (&barrier, |writer: u64| round * WRITERS + writer);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    scope.spawn(move || {
                        let store = open("race");
                        barrier.wait();
                        (number(writer), store.commit(before, &numbered(number(writer))))
                    })
                })
                .collect();
            writers.into_iter().filter_map(|writer| writer.join().ok()).collect()
        });
        let won: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
        let [(winner, version)] = won.as_slice() else {
            let what = format!("{WRITERS} writers committed over one version: {} succeeded", won.len());
            return Err(Violation { requirement: "MP-03", what });
        };
        let lost = outcomes.iter().filter(|(_, outcome)| *outcome == Err(CommitError::Conflict)).count();
        require("MP-03", lost + 1 == outcomes.len(), || {
            format!("of {} losers only {lost} were told that it is a conflict", outcomes.len() - 1)
        })?;
        let stored = load(&observer)?;
        require("MP-03", Ok(stored.version) == *version && stored.record == Some(numbered(*winner)), || {
            format!("writer {winner} was told that it won, and another record is there")
        })?;
    }
    Ok(())
}

/// Each adds one to what it loads: the sum shows whether a commit went over a record that its writer had not seen.
pub(super) fn no_update_is_lost<S: Store>(open: &(impl Fn(&str) -> S + Sync)) -> Result<(), Violation> {
    const COMMITS: u64 = 10;
    // Each conflict is somebody else's success; a store that says so more often makes no progress.
    const ATTEMPTS: u64 = WRITERS * COMMITS * 4;
    let start = load(&open("sum"))?.version;
    let add = || -> Result<(), Violation> {
        let store = open("sum");
        let mut done = 0;
        for _ in 0..ATTEMPTS {
            if done == COMMITS {
                break;
            }
            let Stored { version, record } = load(&store)?;
            let sum = record.map_or(0, |record| record.serial);
            done += u64::from(store.commit(version, &numbered(sum + 1)).is_ok());
        }
        require("MP-03", done == COMMITS, || format!("{done} of {COMMITS} commits in {ATTEMPTS} attempts"))
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(add)).collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or_else(|_| Err(panicked())))
    })?;
    let Stored { version, record } = load(&open("sum"))?;
    let (expected, sum) = (WRITERS * COMMITS, record.map_or(0, |record| record.serial));
    require("MP-03", sum == expected, || format!("{expected} commits succeeded, and {sum} are left"))?;
    require("rule 1", version == Version(start.0.wrapping_add(expected)), || {
        format!("{expected} commits after {start:?} made {version:?}")
    })
}

/// Records of two very different sizes take turns; every load must yield one of them, under its own version.
pub(super) fn readers_see_whole_records<S: Store>(
    open: &(impl Fn(&str) -> S + Sync),
) -> Result<(), Violation> {
    const COMMITS: u64 = 100;
    let record = |number: u64| large(number, if number.is_multiple_of(2) { 16 << 10 } else { 16 });
    let writer = open("torn");
    let start = commit(&writer, &record(0))?.0;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let read = || -> Result<(), Violation> {
            let reader = open("torn");
            while !over.load(Ordering::Relaxed) {
                let stored = load(&reader)?;
                let number = stored.version.0.wrapping_sub(start);
                require("PERS-03", stored.record == Some(record(number)), || {
                    format!("the record under the version of commit {number} is not what that commit wrote")
                })?;
            }
            Ok(())
        };
        let readers = [scope.spawn(read), scope.spawn(read)];
        let written = (1..=COMMITS).try_for_each(|number| commit(&writer, &record(number)).map(drop));
        over.store(true, Ordering::Relaxed);
        let read = readers.into_iter().map(|reader| reader.join().unwrap_or_else(|_| Err(panicked())));
        read.chain([written]).collect()
    })
}

fn panicked() -> Violation {
    Violation { requirement: "ports", what: "a call of the store panicked".into() }
}
