//! A store that other processes use too; here, other sessions.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::{MemoryStore, Notices, PATIENCE, World, until};
use token_refresh_driver::{Clock as _, Error, FailureKind, Notice, State};

#[test]
fn pers_01_the_new_tokens_are_saved_before_a_caller_gets_them() {
    let store = MemoryStore::default();
    let world = World::stored(&store);
    let refused = world.id();
    let looked = store.clone();
    let caller = world.waiting(1, move |session| {
        let answer = session.reject(refused);
        assert_eq!(looked.refresh_token().as_deref(), Some("rt2"));
        answer
    });
    world.server.call().grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
}

#[test]
fn i_23_of_two_sessions_on_one_store_one_exchanges_and_the_other_adopts() {
    let store = MemoryStore::default();
    let one = World::stored(&store);
    let other = {
        let store = store.clone();
        World::at(one.clock.clone(), move |builder| builder.store(store))
    };
    assert_eq!(other.session.token().unwrap().secret().expose(), "at1");

    let refused = one.id();
    let first = one.waiting(10, move |session| session.reject(refused));
    let call = one.server.call();
    let refused = other.id();
    let second = support::Callers::start(&other.session, 10, move |session| session.reject(refused));
    // Twenty callers, and the other session's run, which watches the claim until it is gone.
    assert!(one.clock.await_parked(21, PATIENCE));
    call.grant("at2", "rt2");
    assert_eq!(first.tokens(), vec!["at2"; 10]);
    other.until(11, || other.session.current().is_some());
    assert_eq!(second.tokens(), vec!["at2"; 10]);
    assert!(one.server.is_quiet() && other.server.is_quiet());
}

#[test]
fn core_14_the_new_token_is_saved_when_every_caller_has_gone() {
    let store = MemoryStore::default();
    let world = World::stored(&store);
    assert_eq!(world.session.reject_within(world.id(), Duration::ZERO).err(), Some(Error::TimedOut));
    world.server.call().grant("at2", "rt2");
    world.session.settle(PATIENCE).unwrap();
    assert_eq!(store.refresh_token().as_deref(), Some("rt2"));
    assert_eq!(world.session.token().unwrap().secret().expose(), "at2");
}

#[test]
fn pers_02_a_grant_that_cannot_be_saved_is_used_and_saved_later_without_any_demand() {
    let store = MemoryStore::default();
    let world = World::stored(&store);
    let notices = Notices::of(&world.session);
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    let call = world.server.call();
    store.set_down(true);
    call.grant("at2", "rt2");
    // The caller waits, and the run looks at the store again and again.
    world.until(2, || world.session.current().is_some());
    assert_eq!(caller.tokens(), ["at2"]);
    assert_eq!(store.refresh_token().as_deref(), Some("rt1"));
    assert_eq!(world.session.settle(Duration::ZERO), Err(Error::TimedOut));

    // Nobody asks for anything any more.
    store.set_down(false);
    world.until(1, || store.refresh_token().as_deref() == Some("rt2"));
    world.session.settle(PATIENCE).unwrap();
    let told = notices.rest(&world.session);
    let count = |wanted: Notice| told.iter().filter(|notice| **notice == wanted).count();
    assert_eq!((count(Notice::SaveDelayed), count(Notice::Saved)), (1, 1), "{told:?}");
}

#[test]
fn sess_04_a_sign_out_reaches_the_store_when_it_comes_back_without_any_demand() {
    let store = MemoryStore::default();
    let world = World::stored(&store);
    store.set_down(true);
    world.session.sign_out();
    assert_eq!(world.session.token().unwrap_err().failure().unwrap().kind, FailureKind::SignedOut);
    world.until(1, || !matches!(world.session.state(), State::Refreshing));
    assert!(!store.is_signed_out());
    // It is tried again and again.
    let loads = store.loads();
    world.until(1, || store.loads() >= loads + 3);

    store.set_down(false);
    world.until(1, || store.is_signed_out());
    let revocation = world.server.call();
    assert!(revocation.revokes("rt1"), "{}", revocation.form);
    revocation.answer(200, "");
    world.session.settle(PATIENCE).unwrap();
}

#[test]
fn rule_8_what_is_owed_is_paid_even_if_no_handle_is_left() {
    let store = MemoryStore::default();
    let world = World::stored(&store);
    store.set_down(true);
    world.session.sign_out();
    let World { session, clock, server } = world;
    drop(session);
    store.set_down(false);
    until(&clock, 1, || store.is_signed_out());
    drop(server);
}

#[test]
fn pers_04_a_store_that_does_not_answer_is_not_a_sign_out() {
    let store = MemoryStore::default();
    let world = World::stored(&store);
    let refused = world.id();
    store.set_down(true);
    let error = world.session.reject(refused).unwrap_err();
    assert_eq!(error.failure().unwrap().kind, FailureKind::StoreUnavailable);
    assert!(world.server.is_quiet());
    assert_eq!(store.refresh_token().as_deref(), Some("rt1"));
}

#[test]
fn a_usable_token_costs_no_load_and_an_idle_session_no_thread() {
    let store = MemoryStore::default();
    let world = World::stored(&store);
    let loads = store.loads();
    for _ in 0..100 {
        world.session.token().unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(store.loads(), loads);
    assert!(!world.clock.await_parked(1, Duration::ZERO), "nobody waits for time to pass");
}

#[test]
fn settle_waits_for_the_refresh_under_way_and_for_no_longer_than_its_limit() {
    let world = World::signed_in();
    world.session.settle(Duration::ZERO).unwrap();
    assert!(world.session.reject_within(world.id(), Duration::ZERO).is_err());
    let call = world.server.call();
    let start = world.clock.now();
    let session = world.session.clone();
    let settling = std::thread::spawn(move || session.settle(Duration::from_secs(5)));
    assert!(world.clock.await_parked(1, PATIENCE));
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(settling.join().unwrap(), Err(Error::TimedOut));
    assert_eq!(world.clock.now().since(start), Duration::from_secs(5));

    let session = world.session.clone();
    let settling = std::thread::spawn(move || session.settle(Duration::from_secs(5)));
    assert!(world.clock.await_parked(1, PATIENCE));
    call.grant("at2", "rt2");
    assert_eq!(settling.join().unwrap(), Ok(()));
    assert_eq!(world.session.current().unwrap().secret().expose(), "at2");
}
