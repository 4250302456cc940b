//! The store is down when it is needed.

use token_refresh_conformance::server::{Gate, Policy, Step};

use crate::{
    kills::{REPEATED, REVOKED, SAVED},
    process::{Demand, Process},
    world::{Ending, PATIENCE, World, failed, ok, strict, window},
};

#[test]
fn pers_04_a_store_that_is_down_at_the_load_is_no_sign_out() {
    let world = World::new(strict());
    let mut process = world.process();
    let before = world.stored();
    let outage = world.break_store();
    assert_eq!(process.refuse(), failed("StoreUnavailable"));
    assert_eq!(world.presented(), 0, "nothing is exchanged without the store");
    outage.mend();
    assert_eq!(world.stored(), before);
    process.tell("clock 2000");
    let answer = process.token();
    assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), SAVED));
}

#[test]
fn rule_1_a_store_that_is_down_at_the_claim_means_that_nothing_is_sent() {
    let world = World::new(strict());
    let mut process = world.process();
    process.hold("claim:before");
    let demand = process.begin("refuse");
    process.arrives("claim:before");
    let outage = world.break_store();
    process.pass("claim:before");
    assert_eq!(process.answer(demand), failed("StoreUnavailable"));
    assert_eq!(world.presented(), 0);
    outage.mend();
    process.tell("clock 2000");
    let answer = process.token();
    assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), SAVED));
}

/// Brings a process to the save of a refresh that the server has answered, and takes the store away.
fn with_unsaved(world: &World) -> (Process, Demand, crate::world::BrokenStore) {
    let mut process = world.process();
    let gate = Gate::new();
    world.auth.script([Step::new().on("/token").hold_after(&gate)]);
    let demand = process.begin("refuse");
    assert!(gate.wait_arrived(1, PATIENCE));
    let outage = world.break_store();
    gate.open();
    (process, demand, outage)
}

#[test]
fn pers_02_a_store_that_is_down_at_the_save_costs_nothing() {
    let world = World::new(strict()).unhurried();
    let (mut process, demand, outage) = with_unsaved(&world);
    let answer = process.answer(demand);
    assert_eq!(world.name(answer), ok("at-1-1"), "served from memory");
    outage.mend();
    // Nobody asks for anything: it is owed to the store.
    process.settle();
    assert_eq!(world.ending(), SAVED);
    let answer = world.process().token();
    assert_eq!(world.name(answer), ok("at-1-1"));
}

/// While the store is down for all, the term does not pass for anybody.
#[test]
fn rule_4_an_outage_is_not_counted_as_silence_of_the_claimant() {
    let world = World::new(strict()).unhurried();
    let mut other = world.process();
    let (mut process, demand, outage) = with_unsaved(&world);
    process.answer(demand).unwrap();
    assert_eq!(other.refuse(), failed("StoreUnavailable"));
    // By its clock the claim is long dead.
    other.tell("clock 60000");
    outage.mend();
    let answer = other.token();
    assert_eq!(world.name(answer), ok("at-1-1"));
    process.settle();
    assert_eq!(world.ending(), SAVED);
}

/// A process whose way to the store is blocked until the others have taken over.
fn cannot_save(server: Policy) -> (Result<String, String>, World, Process) {
    let world = World::new(server);
    let (mut process, mut other) = (world.process(), world.process());
    process.fail("save:before");
    let answer = process.refuse();
    assert_eq!(world.name(answer), ok("at-1-1"), "served from memory");
    let answer = other.refuse();
    (world.name(answer), world, process)
}

#[test]
fn mp_07_a_save_that_fails_until_after_the_term_costs_nothing_inside_a_reuse_window() {
    let (other, world, mut process) = cannot_save(window());
    assert_eq!(other, ok("at-1-1"));
    process.pass("save:before");
    process.settle();
    assert_eq!(world.ending(), REPEATED);
    let answer = process.token();
    assert_eq!(world.name(answer), ok("at-1-1"));
}

#[test]
fn mp_09_a_save_that_fails_until_after_the_term_is_a_replay_if_the_server_is_strict() {
    let (other, world, mut process) = cannot_save(strict());
    assert_eq!((other, world.ending()), (failed("RefusedAfterAmbiguity"), REVOKED));
    process.pass("save:before");
    process.settle();
    assert_eq!(world.ending(), Ending { serial: 2, refused: false, ..REVOKED }, "saved all the same");
}
