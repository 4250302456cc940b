//! A store that says when its record changed shortens a wait, and does nothing else.
#![allow(clippy::unwrap_used)]

mod announcing;
mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use announcing::Announcing;
use support::{Call, Callers, PATIENCE, World, grant};
use token_refresh_driver::{Clock as _, Config};

/// Two sessions on one store; the first presents `rt1`, and a caller of the other waits for the end of that. Nothing
/// else can happen before the clock is moved, the record changes, or the store says that it did.
struct Watching {
    one: World,
    call: Call,
    other: World,
    caller: Callers,
}

impl Watching {
    fn begin(store: &Announcing) -> Self {
        let one = World::new(|builder| builder.store(store.clone()));
        one.session.sign_in(grant("at1", "rt1"));
        one.session.settle(PATIENCE).unwrap();
        let other = World::at(one.clock.clone(), |builder| builder.store(store.clone()));
        other.session.token().unwrap();
        other.session.settle(PATIENCE).unwrap();

        // Nobody waits here, so nobody gives it up either.
        assert!(one.session.reject_within(one.id(), Duration::ZERO).is_err());
        let call = one.server.call();
        let refused = other.id();
        let caller = Callers::start(&other.session, 1, move |session| session.reject(refused));
        assert!(one.clock.await_parked(2, PATIENCE), "the caller, and the run that watches");
        Self { one, call, other, caller }
    }
}

#[test]
fn the_winners_save_is_adopted_at_once() {
    let store = Announcing::default();
    let Watching { one, call, other, caller } = Watching::begin(&store);
    let start = one.clock.now();
    call.grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
    assert_eq!(one.clock.now(), start);
    assert!(other.server.is_quiet());
}

#[test]
fn rule_4_announcements_without_a_reason_make_no_claim_look_older() {
    let store = Announcing::default();
    let Watching { one, call, other, .. } = Watching::begin(&store);
    let step = Duration::from_millis(100);
    let mut watched = Duration::ZERO;
    while watched + step < Config::default().term() {
        // Each is worth a load, and a load is worth the time that passed.
        for _ in 0..3 {
            let loads = store.loads();
            store.announce();
            until(|| store.loads() > loads);
        }
        assert_eq!(store.presented(), 1, "taken over after {watched:?}");
        one.clock.advance(step);
        watched += step;
    }
    other.until(2, || store.presented() == 2);
    drop(call);
}

#[test]
fn an_idle_session_does_not_listen() {
    let store = Announcing::default();
    let Watching { one, call, other, .. } = Watching::begin(&store);
    assert!(store.listeners() > 0);
    call.grant("at2", "rt2");
    one.session.settle(PATIENCE).unwrap();
    other.session.settle(PATIENCE).unwrap();
    // The thread of a run ends after what it did has been seen.
    until(|| store.listeners() == 0);
}

fn until(mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PATIENCE, "it did not happen");
        thread::yield_now();
    }
}
