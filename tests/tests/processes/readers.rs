//! A process that only reads: what it costs, and when it learns of a sign-out elsewhere.

use crate::{
    process::Process,
    world::{World, failed, ok, strict},
};

fn calls(process: &mut Process) -> String {
    process.ask("calls").unwrap()
}

/// Another process signs out.
fn sign_out(world: &World) {
    let mut leaving = world.process();
    leaving.tell("sign-out");
    leaving.settle();
    assert!(world.is_signed_out());
}

#[test]
fn hot_path_a_fresh_token_costs_no_call_of_the_store() {
    let world = World::new(strict());
    let mut reader = world.process();
    assert_eq!(calls(&mut reader), "1 0", "one load, at the start");
    for _ in 0..100 {
        reader.token().unwrap();
    }
    reader.settle();
    assert_eq!(calls(&mut reader), "1 0");
}

#[test]
fn sess_04_a_sign_out_elsewhere_is_seen_at_the_next_refusal() {
    let world = World::new(strict());
    let mut reader = world.process();
    sign_out(&world);
    let answer = reader.token();
    assert_eq!(world.name(answer), ok("at-1-0"), "fresh: it does not look");
    assert_eq!(calls(&mut reader), "1 0");
    assert_eq!(reader.refuse(), failed("SessionEnded"));
    assert_eq!(reader.token(), failed("SignedOut"));
    assert_eq!(calls(&mut reader), "2 0", "one look, and no exchange");
    assert_eq!(world.presented(), 0);
}

#[test]
fn sess_04_a_sign_out_elsewhere_is_seen_at_the_soft_end() {
    let world = World::new(strict());
    let mut reader = world.process();
    sign_out(&world);
    // Of an hour, the last minute and up to ten seconds more.
    reader.tell("clock 3550000");
    let answer = reader.token();
    assert_eq!(world.name(answer), ok("at-1-0"), "still good while it looks");
    reader.settle();
    assert_eq!(reader.token(), failed("SignedOut"));
    assert_eq!(calls(&mut reader), "2 0");
    assert_eq!(world.presented(), 0);
}

#[test]
fn sess_04_a_sign_out_elsewhere_is_seen_when_a_failed_process_looks_again() {
    let world = World::new(strict());
    let mut reader = world.process();
    world.auth.revoke_family(1);
    assert_eq!(reader.refuse(), failed("Refused"));
    sign_out(&world);
    assert_eq!(reader.token(), failed("Refused"), "it looks at most once a second");
    reader.tell("clock 2000");
    assert_eq!(reader.token(), failed("SessionEnded"));
    assert_eq!(reader.token(), failed("SignedOut"));
}

#[test]
fn rule_9_a_failed_process_looks_again_and_sees_a_sign_in_elsewhere() {
    let world = World::new(strict());
    let mut reader = world.process();
    world.auth.revoke_family(1);
    assert_eq!(reader.refuse(), failed("Refused"));
    let failed_with = calls(&mut reader);
    assert_eq!(reader.token(), failed("Refused"));
    assert_eq!(calls(&mut reader), failed_with, "not at once");

    let mut coming = world.process();
    let tokens = world.auth.issue();
    coming.tell(&format!("sign-in {} {} 3600", tokens.access_token, tokens.refresh_token));
    coming.settle();
    reader.tell("clock 2000");
    // Whoever asks first still meant the old identity.
    let _ = reader.token();
    let answer = reader.token();
    assert_eq!(world.name(answer), ok("at-2-0"));
}
