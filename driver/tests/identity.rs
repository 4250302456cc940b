//! Sign-in and sign-out while a refresh is under way.
#![allow(clippy::unwrap_used)]

mod support;

use support::{PATIENCE, World, grant};
use token_refresh_driver::FailureKind;

#[test]
fn sess_01_a_sign_out_fails_whoever_waits_at_once_and_the_orphan_is_revoked() {
    let world = World::signed_in();
    let refused = world.id();
    let callers = world.waiting(10, move |session| session.reject(refused));
    let call = world.server.call();

    world.session.sign_out();
    for answer in callers.answers() {
        assert_eq!(answer.unwrap_err().failure().unwrap().kind, FailureKind::SessionEnded);
    }
    assert!(world.session.current().is_none());
    let error = world.session.token().unwrap_err();
    assert_eq!(error.failure().unwrap().kind, FailureKind::SignedOut);
    let revocation = world.server.call();
    assert!(revocation.revokes("rt1"), "{}", revocation.form);
    revocation.answer(200, "");

    call.grant("at2", "rt2");
    let revocation = world.server.call();
    assert!(revocation.revokes("rt2"), "{}", revocation.form);
    revocation.answer(200, "");
    world.session.settle(PATIENCE).unwrap();
    assert!(world.session.current().is_none());
    assert!(world.server.is_quiet());
}

#[test]
fn sess_01_a_sign_in_while_a_refresh_runs_starts_a_new_identity() {
    let world = World::signed_in();
    let refused = world.id();
    let callers = world.waiting(10, move |session| session.reject(refused));
    let call = world.server.call();
    world.session.sign_in(grant("at-b", "rt-b"));
    for answer in callers.answers() {
        assert_eq!(answer.unwrap_err().failure().unwrap().kind, FailureKind::SessionEnded);
    }
    assert_eq!(world.session.token().unwrap().secret().expose(), "at-b");
    call.grant("at2", "rt2");
    let revocation = world.server.call();
    assert!(revocation.revokes("rt2"), "{}", revocation.form);
    revocation.answer(200, "");
    world.session.settle(PATIENCE).unwrap();
    assert_eq!(world.session.token().unwrap().secret().expose(), "at-b");
}

#[test]
fn sess_03_a_refusal_of_an_earlier_identity_fails_and_starts_nothing() {
    let world = World::signed_in();
    let refused = world.id();
    world.session.sign_in(grant("at-b", "rt-b"));
    let error = world.session.reject(refused).unwrap_err();
    assert_eq!(error.failure().unwrap().kind, FailureKind::SessionEnded);
    assert_eq!(world.session.token().unwrap().secret().expose(), "at-b");
    assert!(world.server.is_quiet());
}

#[test]
fn sess_05_a_revocation_delays_nothing_but_is_waited_for_at_shutdown() {
    let world = World::signed_in();
    world.session.sign_out();
    let revocation = world.server.call();
    // The server does not answer, and yet everything goes on.
    world.session.sign_in(grant("at-b", "rt-b"));
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    world.server.call().grant("at-c", "rt-c");
    assert_eq!(caller.tokens(), ["at-c"]);

    assert!(world.session.settle(std::time::Duration::ZERO).is_err());
    revocation.answer(200, "");
    world.session.settle(PATIENCE).unwrap();
}

#[test]
fn i_21_a_sign_in_heals_a_failed_session_and_a_reset_lets_it_try_again() {
    let world = World::signed_in();
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    world.server.call().refuse();
    assert!(caller.answers()[0].is_err());

    world.session.reset();
    let caller = world.waiting(1, move |session| session.reject(refused));
    world.server.call().refuse();
    assert!(caller.answers()[0].is_err());

    world.session.sign_in(grant("at-b", "rt-b"));
    assert_eq!(world.session.token().unwrap().secret().expose(), "at-b");
}
