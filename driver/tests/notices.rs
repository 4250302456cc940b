//! What observers are told.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    sync::{
        Mutex,
        mpsc::{RecvTimeoutError, channel},
    },
    time::Duration,
};

use support::{LIFETIME, MemoryStore, Notices, PATIENCE, World};
use token_refresh_driver::{ExchangeError, FailureKind, Notice, Origin, Session, StoreOperation, Trigger};

#[test]
fn obs_01_a_refresh_is_told_step_by_step() {
    let world = World::new(|builder| builder);
    let notices = Notices::of(&world.session);
    world.session.sign_in(support::grant("at1", "rt1"));
    let refused = world.id();
    let callers = world.waiting(4, move |session| session.reject(refused));
    world.server.call().grant("at2", "rt2");
    assert_eq!(callers.tokens(), vec!["at2"; 4]);
    world.session.settle(PATIENCE).unwrap();

    let Notice::Installed { id: first, replaces: None, origin: Origin::SignIn, released: 0 } = notices.next()
    else {
        panic!("the sign-in is told")
    };
    assert_eq!(first, refused);
    let Notice::ExchangeStarted { exchange } = notices.next() else { panic!("the exchange is told") };
    assert_eq!((exchange.trigger, exchange.presentation), (Trigger::Refusal, 1));
    assert_eq!((exchange.epoch, exchange.replaces), (refused.epoch, Some(refused)));
    let ended = Notice::ExchangeEnded { exchange, error: None, took: Duration::ZERO };
    assert_eq!(notices.next(), ended, "the clock of this test stands still");
    let installed =
        Notice::Installed { id: world.id(), replaces: Some(refused), origin: Origin::Exchange, released: 4 };
    assert_eq!(notices.next(), installed);
    assert_eq!(notices.rest(&world.session), []);
}

#[test]
fn obs_01_each_exchange_says_why_it_was_made() {
    let world = World::signed_in();
    let notices = Notices::of(&world.session);
    let trigger = || loop {
        if let Notice::ExchangeStarted { exchange } = notices.next() {
            return (exchange.trigger, exchange.presentation);
        }
    };

    world.clock.advance(LIFETIME);
    let caller = world.waiting(1, Session::token);
    world.server.call().grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
    assert_eq!(trigger(), (Trigger::Expiry, 1));

    // The answer is lost, and the same refresh token is presented once more.
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    drop(world.server.call());
    world.server.call().refuse();
    assert!(caller.answers()[0].is_err());
    assert_eq!([trigger(), trigger()], [(Trigger::Refusal, 1), (Trigger::Refusal, 2)]);

    world.session.reset();
    let caller = world.waiting(1, Session::token);
    world.server.call().grant("at3", "rt3");
    assert_eq!(caller.tokens(), ["at3"]);
    assert_eq!(trigger(), (Trigger::Reset, 1));
}

#[test]
fn obs_01_an_answer_that_comes_too_late_is_told_too() {
    let world = World::signed_in();
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    let call = world.server.call();
    world.session.sign_in(support::grant("other", "other"));
    assert!(caller.answers()[0].is_err());

    let notices = Notices::of(&world.session);
    call.grant("at2", "rt2");
    let revocation = world.server.call();
    assert!(revocation.revokes("rt2"));
    revocation.answer(200, "");
    let Notice::AnsweredLate { exchange, error: None, .. } = notices.next() else {
        panic!("the late answer is told")
    };
    assert_eq!(exchange.replaces, Some(refused));
    assert_eq!(notices.next(), Notice::Orphaned);
}

#[test]
fn obs_04_a_token_that_was_never_accepted_is_told_as_fruitless() {
    let world = World::signed_in();
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    world.server.call().grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);

    let notices = Notices::of(&world.session);
    let fresh = world.id();
    let caller = world.waiting(1, move |session| session.reject(fresh));
    world.server.call().grant("at3", "rt3");
    assert_eq!(caller.tokens(), ["at3"]);
    assert_eq!(notices.next(), Notice::Fruitless { id: fresh });
}

#[test]
fn obs_04_trouble_with_the_store_is_told() {
    let store = MemoryStore::default();
    let world = World::stored(&store);
    let notices = Notices::of(&world.session);
    store.set_down(true);
    let refused = world.id();
    assert!(world.session.reject(refused).is_err());
    assert_eq!(notices.next(), Notice::StoreFailed { operation: StoreOperation::Load });
}

#[test]
fn obs_03_a_lost_session_is_told_once() {
    let world = World::signed_in();
    let notices = Notices::of(&world.session);
    let refused = world.id();
    let callers = world.waiting(50, move |session| session.reject(refused));
    world.server.call().refuse();
    assert!(callers.answers().iter().all(Result::is_err));
    assert!(world.session.reject(refused).is_err());

    assert!(matches!(notices.next(), Notice::ExchangeStarted { .. }));
    assert!(matches!(notices.next(), Notice::ExchangeEnded { error: Some(ExchangeError::Permanent), .. }));
    assert!(matches!(notices.next(), Notice::RefreshFailed { released: 50, .. }));
    assert!(matches!(notices.next(), Notice::SessionLost { kind: FailureKind::Refused, .. }));
    assert_eq!(notices.rest(&world.session), []);
}

#[test]
fn obs_04_two_observers_are_told_the_same_and_each_late_refusal_counts() {
    let world = World::signed_in();
    let old = world.id();
    let caller = world.waiting(1, move |session| session.reject(old));
    world.server.call().grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);

    let (one, two) = (Notices::of(&world.session), Notices::of(&world.session));
    for _ in 0..100 {
        world.session.reject(old).unwrap();
    }
    for _ in 0..100 {
        assert_eq!(one.next(), Notice::LateRefusal { id: old });
        assert_eq!(two.next(), Notice::LateRefusal { id: old });
    }
    assert_eq!(one.rest(&world.session), []);
}

#[test]
fn a_panic_in_an_observer_is_contained() {
    let world = World::new(|builder| builder);
    let panicking = world.session.subscribe(|_| panic!("the observer panics, as the test asked for"));
    let notices = Notices::of(&world.session);
    world.session.sign_in(support::grant("at1", "rt1"));
    assert!(matches!(notices.next(), Notice::Installed { .. }));
    world.session.sign_in(support::grant("at2", "rt2"));
    assert!(matches!(notices.next(), Notice::Installed { .. }));
    drop(panicking);
}

#[test]
fn an_observer_holds_up_nobody_and_may_use_the_session() {
    let world = World::signed_in();
    let (go, gate) = channel();
    let (told, tokens) = channel();
    let gate = Mutex::new(gate);
    let session = world.session.clone();
    let _subscription = world.session.subscribe(move |notice| {
        if let Notice::ExchangeStarted { .. } = notice {
            // Waits for the test, and then for the exchange that it is told of.
            let _ = gate.lock().unwrap().recv();
            let _ = told.send(session.token());
        }
    });
    let refused = world.id();
    let caller = world.waiting(1, move |session| session.reject(refused));
    world.server.call().grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
    go.send(()).unwrap();
    let token = tokens.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(token.secret().expose(), "at2");
}

#[test]
fn an_observer_is_told_one_thing_at_a_time() {
    let world = World::signed_in();
    let old = world.id();
    let caller = world.waiting(1, move |session| session.reject(old));
    world.server.call().grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);

    let (go, gate) = channel::<()>();
    let (told, notices) = channel();
    let gate = Mutex::new(gate);
    let _subscription = world.session.subscribe(move |_| {
        let alone = gate.try_lock().map(|gate| gate.recv());
        let _ = told.send(alone.is_ok());
    });
    for _ in 0..100 {
        world.session.reject(old).unwrap();
    }
    // Only now the first of them is told, and then the rest.
    drop(go);
    for _ in 0..100 {
        assert!(notices.recv_timeout(PATIENCE).unwrap());
    }
}

#[test]
fn a_subscription_ends_when_it_is_dropped() {
    let world = World::new(|builder| builder);
    let (told, ended) = channel();
    let subscription = world.session.subscribe(move |notice| told.send(*notice).unwrap());
    let notices = Notices::of(&world.session);
    world.session.sign_in(support::grant("at1", "rt1"));
    notices.next();
    assert!(ended.recv_timeout(PATIENCE).is_ok());
    drop(subscription);
    world.session.sign_in(support::grant("at2", "rt2"));
    notices.next();
    // The observer is gone, and with it its end of the channel.
    assert!(ended.recv_timeout(PATIENCE).is_err_and(|error| error == RecvTimeoutError::Disconnected));
}
