//! Sign-in and sign-out, while others are at work.

use token_refresh_conformance::server::{Gate, Step, Verdict};
use token_refresh_core::Body;

use crate::world::{PATIENCE, World, failed, ok, strict};

#[test]
fn rule_11_of_two_sign_ins_at_once_one_is_the_identity_of_both() {
    let world = World::new(strict());
    let (mut one, mut other) = (world.process(), world.process());
    for process in [&mut one, &mut other] {
        let tokens = world.auth.issue();
        process.hold("sign-in:before");
        process.tell(&format!("sign-in {} {} 3600", tokens.access_token, tokens.refresh_token));
    }
    // Both have read the same version, and both write over it.
    one.arrives("sign-in:before");
    other.arrives("sign-in:before");
    one.pass("sign-in:before");
    one.settle();
    other.pass("sign-in:before");
    other.settle();

    let record = world.record();
    assert_eq!((record.serial, record.born, record.presented), (1, 0, 0));
    let Body::Grant { grant, .. } = record.body else { panic!("no grant") };
    assert_eq!(world.name(ok(grant.access_token().expose())), ok("at-3-0"), "the later commit");
    let answer = other.token();
    assert_eq!(world.name(answer), ok("at-3-0"));
    // The other one learns of it at its next look, and no caller of its own identity gets a token of the new one.
    let answer = one.token();
    assert_eq!(world.name(answer), ok("at-2-0"), "still good, and nobody has said otherwise");
    assert_eq!(one.refuse(), failed("SessionEnded"));
    let answer = one.token();
    assert_eq!(world.name(answer), ok("at-3-0"));
    assert_eq!(world.auth.token_requests().len(), 0, "no refresh token was needed for this");
}

/// One process refreshes, and stands at this point while the other one signs out. `None`: the server has its request.
fn signed_out_while_another_refreshes(point: Option<&str>) -> World {
    let world = World::new(strict()).unhurried();
    let (mut refreshing, mut leaving) = (world.process(), world.process());
    let gate = Gate::new();
    match point {
        Some(point) => refreshing.hold(point),
        None => world.auth.script([Step::new().on("/token").hold_after(&gate)]),
    }
    let demand = refreshing.begin("refuse");
    match point {
        Some(point) => refreshing.arrives(point),
        None => assert!(gate.wait_arrived(1, PATIENCE)),
    }
    leaving.tell("sign-out");
    leaving.settle();
    assert!(world.is_signed_out());
    gate.open();
    if let Some(point) = point {
        refreshing.pass(point);
    }
    assert_eq!(refreshing.answer(demand), failed("SessionEnded"));
    refreshing.settle();

    // No resurrection: not here, not there, and not after a restart.
    assert!(world.is_signed_out());
    for process in [&mut refreshing, &mut leaving, &mut world.newcomer("once", 0)] {
        assert_eq!(process.token(), failed("SignedOut"));
    }
    assert!(world.is_signed_out());
    assert!(world.presented() <= 1);
    world
}

#[test]
fn sess_04_a_sign_out_before_the_claim_stands() {
    let world = signed_out_while_another_refreshes(Some("claim:before"));
    assert_eq!(world.presented(), 0, "the claim was in vain");
}

#[test]
fn sess_04_a_sign_out_before_the_send_stands() {
    signed_out_while_another_refreshes(Some("send:before"));
}

#[test]
fn sess_04_a_sign_out_with_the_request_on_the_wire_stands() {
    let world = signed_out_while_another_refreshes(None);
    // Nobody else knows the tokens of the late answer, so they are revoked by whoever got it (SESS-02).
    assert!(world.verdicts(|verdict| matches!(verdict, Verdict::Revoked(tag) if tag.generation == 1)) >= 1);
}

#[test]
fn sess_04_a_sign_out_before_the_save_stands() {
    let world = signed_out_while_another_refreshes(Some("save:before"));
    assert!(world.verdicts(|verdict| matches!(verdict, Verdict::Revoked(tag) if tag.generation == 1)) >= 1);
}

#[test]
fn rule_10_a_sign_out_does_not_end_the_identity_that_came_after() {
    let world = World::new(strict());
    let (mut leaving, mut coming) = (world.process(), world.process());
    leaving.hold("sign-out:before");
    leaving.tell("sign-out");
    leaving.arrives("sign-out:before");
    let tokens = world.auth.issue();
    coming.tell(&format!("sign-in {} {} 3600", tokens.access_token, tokens.refresh_token));
    coming.settle();
    leaving.pass("sign-out:before");
    leaving.settle();
    assert!(!world.is_signed_out());
    let answer = world.process().token();
    assert_eq!(world.name(answer), ok("at-2-0"));
}
