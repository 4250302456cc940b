//! SIGSTOP for longer than the term of a claim, and SIGCONT at the worst instant.

use std::{thread, time::Duration};

use token_refresh_conformance::server::{Gate, Policy, Step};

use crate::{
    kills::{REPEATED, SAVED},
    process::{Demand, Process},
    world::{Ending, LIMIT, PATIENCE, World, failed, lenient, ok, strict, window},
};

/// Stops a process at this point of a refresh.
fn stopped_at(world: &World, point: &str) -> (Process, Demand) {
    let mut process = world.process();
    process.hold(point);
    let demand = process.begin("refuse");
    process.arrives(point);
    process.stop();
    (process, demand)
}

/// Lets it go on from there.
fn resume(process: &mut Process, point: &str) {
    process.pass(point);
    process.resume();
}

/// Stopped with the claim, continued before the send: it must not be sent any more.
fn before_the_send(point: &str) {
    let world = World::new(strict());
    let mut other = world.process();
    let (mut sleeper, demand) = stopped_at(&world, point);
    let answer = other.refuse();
    assert_eq!(world.name(answer), ok("at-1-1"), "taken over after the term");
    resume(&mut sleeper, point);
    let answer = sleeper.answer(demand);
    assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), SAVED));
}

#[test]
fn mp_06_who_wakes_with_an_old_claim_does_not_send() {
    before_the_send("claim:after");
}

#[test]
fn mp_06_who_wakes_just_before_the_send_does_not_send() {
    before_the_send("send:before");
}

/// Stopped with the answer, continued before the save, while another process has taken over.
fn before_the_save(server: Policy) -> (Result<String, String>, Result<String, String>, World) {
    let world = World::new(server);
    let mut other = world.process();
    let (mut sleeper, demand) = stopped_at(&world, "save:before");
    let other_answer = other.refuse();
    resume(&mut sleeper, "save:before");
    let answer = sleeper.answer(demand);
    sleeper.settle();
    // By now it may look again at what failed before.
    other.tell("clock 2000");
    let later = other.token();
    assert_eq!(world.name(later), ok("at-1-1"), "both use the same token in the end");
    (world.name(other_answer), world.name(answer), world)
}

#[test]
fn mp_07_who_wakes_with_an_answer_that_was_repeated_to_another_adopts_it() {
    let (other, sleeper, world) = before_the_save(window());
    assert_eq!((other, sleeper, world.ending()), (ok("at-1-1"), ok("at-1-1"), REPEATED));
}

/// It is the only copy of the successor, so it is saved over the mark.
#[test]
fn mp_07_who_wakes_with_the_only_answer_saves_it_over_a_refusal() {
    let (other, sleeper, world) = before_the_save(lenient());
    assert_eq!((other, sleeper), (failed("RefusedAfterAmbiguity"), ok("at-1-1")));
    assert_eq!(world.ending(), REPEATED);
}

/// What a strict server takes from a live process, and no client can help it.
#[test]
fn mp_09_a_strict_server_revokes_what_a_stopped_process_holds() {
    let (other, sleeper, world) = before_the_save(strict());
    assert_eq!((other, sleeper), (failed("RefusedAfterAmbiguity"), ok("at-1-1")));
    assert_eq!(world.ending(), Ending { revoked: 1, ..REPEATED });
}

/// A stop that is shorter than the term is nobody's business.
#[test]
fn rule_4_a_short_stop_is_not_taken_over() {
    let world = World::new(strict()).unhurried();
    let mut other = world.process();
    let (mut sleeper, demand) = stopped_at(&world, "save:before");
    other.hold("load:before");
    let waiting = other.begin("refuse");
    for _ in 0..3 {
        // It looks, finds the claim, and looks again.
        other.arrives("load:before");
        other.hold("load:before");
    }
    resume(&mut sleeper, "save:before");
    let answer = sleeper.answer(demand);
    assert_eq!(world.name(answer), ok("at-1-1"));
    other.pass("load:before");
    let answer = other.answer(waiting);
    assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), SAVED));
}

/// The time for the exchange is over when it wakes, but the answer is there: it is the only copy.
#[test]
fn mp_07_an_answer_that_came_while_the_process_stood_still_is_used() {
    let world = World::new(strict());
    let mut sleeper = world.process();
    let gate = Gate::new();
    world.auth.script([Step::new().on("/token").hold_after(&gate)]);
    let demand = sleeper.begin("refuse");
    assert!(gate.wait_arrived(1, PATIENCE));
    sleeper.stop();
    gate.open();
    // There is nothing to see of it; the limit passes by the clock of the machine.
    thread::sleep(LIMIT + Duration::from_millis(300));
    sleeper.resume();
    let answer = sleeper.answer(demand);
    assert_eq!((world.name(answer), world.ending()), (ok("at-1-1"), SAVED));
}
