//! Two processes that are refused at once, and what the slower one finds.

use std::time::Duration;

use token_refresh_conformance::server::{Cut, Gate, Response, Step};
use token_refresh_core::{Body, Grant, Record};
use token_refresh_driver::Store as _;

use crate::world::{Ending, PATIENCE, World, failed, ok, strict, window};

/// Both have read the same record and found its token refused; one claims, exchanges and saves, and the other one takes
/// what it finds.
#[test]
fn mp_01_mp_02_of_two_processes_that_are_refused_at_once_one_exchanges() {
    let world = World::new(strict()).unhurried();
    let mut processes = [world.process(), world.process()];
    for process in &mut processes {
        process.hold("claim:before");
    }
    let demands = [0, 1].map(|index| processes[index].begin("refuse"));
    for process in &mut processes {
        process.arrives("claim:before");
    }
    for process in &mut processes {
        process.pass("claim:before");
    }
    for (process, demand) in processes.iter_mut().zip(demands) {
        let answer = process.answer(demand);
        assert_eq!(world.name(answer), ok("at-1-1"));
    }
    assert_eq!(world.ending(), Ending { presented: 1, revoked: 0, serial: 2, refused: false });
}

/// One file under two names is one credential.
#[cfg(unix)]
#[test]
fn mp_10_two_names_of_one_credential_cause_one_exchange() {
    let world = World::new(strict()).unhurried();
    let file = world.place.file().unwrap();
    let link = format!("{file}.alias");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let mut processes = [world.process(), world.process_at(&world.place.to_string().replace(&file, &link))];
    let gate = Gate::new();
    world.auth.script([Step::new().hold_before(&gate)]);

    let first = processes[0].begin("refuse");
    assert!(gate.wait_arrived(1, PATIENCE));
    let second = processes[1].begin("refuse");
    gate.open();
    for (process, demand) in processes.iter_mut().zip([first, second]) {
        let answer = process.answer(demand);
        assert_eq!(world.name(answer), ok("at-1-1"));
    }
    assert_eq!(world.ending(), Ending { presented: 1, revoked: 0, serial: 2, refused: false });
    std::fs::remove_file(link).unwrap();
}

/// The server refuses what a process presents, and by then the record holds something newer, from a program that has no
/// part in the protocol: the newer one is taken, and nothing is marked or deleted.
#[test]
fn mp_08_pers_05_who_is_refused_takes_what_another_has_saved() {
    let world = World::new(strict()).unhurried();
    let mut loser = world.process();
    let gate = Gate::new();
    let refused = Response::json(400, &serde_json::json!({ "error": "invalid_grant" }));
    world.auth.script([Step::new().hold_before(&gate).answer(refused)]);
    let demand = loser.begin("refuse");
    assert!(gate.wait_arrived(1, PATIENCE));
    let winners = saved_by_another(&world);
    gate.open();

    let answer = loser.answer(demand);
    assert_eq!(world.name(answer), ok("at-2-0"));
    loser.settle();
    assert_eq!(world.record(), winners);
    assert_eq!(world.presented(), 1);
}

/// The same where the answer is lost: before the refresh token is presented again the store is read again, and what is
/// there is taken instead.
#[test]
fn retry_03_what_another_has_saved_is_taken_instead_of_asking_again() {
    let world = World::new(window()).unhurried();
    let mut process = world.process();
    let gate = Gate::new();
    world.auth.script([Step::new().hold_after(&gate).cut(Cut::AfterProcessing)]);
    let demand = process.begin("refuse");
    assert!(gate.wait_arrived(1, PATIENCE));
    let others = saved_by_another(&world);
    gate.open();

    let answer = process.answer(demand);
    assert_eq!(world.name(answer), ok("at-2-0"));
    process.settle();
    assert_eq!(world.record(), others);
    assert_eq!(world.presented(), 1);
}

/// Nothing newer is there: then a refusal is the end, for this process and for the next, and nobody asks again.
#[test]
fn mp_08_who_is_refused_and_finds_nothing_newer_marks_the_record() {
    let world = World::new(strict());
    world.auth.revoke_family(1);
    let (mut first, mut second) = (world.process(), world.process());
    assert_eq!(first.refuse(), failed("Refused"));
    first.settle();
    assert_eq!(second.refuse(), failed("Refused"));
    assert_eq!(world.ending(), Ending { presented: 1, revoked: 0, serial: 1, refused: true });
}

/// Saves the tokens of another family as the next grant of this session.
fn saved_by_another(world: &World) -> Record {
    let tokens = world.auth.issue();
    let store = world.place.open(|error| panic!("{error}")).unwrap();
    let stored = store.load().unwrap();
    let before = stored.record.unwrap();
    let Body::Grant { obtained_at, .. } = before.body else { panic!("no grant") };
    let grant = Grant::new(tokens.access_token).unwrap().with_refresh_token(tokens.refresh_token).unwrap();
    let body = Body::Grant { grant: grant.with_lifetime(Duration::from_secs(3600)), obtained_at };
    let record = Record { serial: before.serial + 1, born: 1, presented: 0, holder: None, body, ..before };
    store.commit(stored.version, &record).unwrap();
    record
}
