//! Whatever goes wrong below, every caller is answered.
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use support::{MemoryStore, PATIENCE, World};
use token_refresh_driver::{
    Attempt, Error, ExchangeError, FailureKind, Grant, ManualClock, Profile, Secret, Session, State,
    Timestamp, Transport, TransportError,
};

#[test]
fn core_03_a_panic_in_the_transport_answers_every_caller() {
    let world = World::signed_in();
    let refused = world.id();
    let callers = world.waiting(20, move |session| session.reject(refused));
    world.server.call().panic();
    // The outcome is unknown, so the refresh token is presented once more (Q1).
    world.server.call().panic();
    for answer in callers.answers() {
        assert_eq!(answer.unwrap_err().failure().unwrap().kind, FailureKind::Uncertain);
    }
    world.session.settle(PATIENCE).unwrap();
}

#[test]
fn core_03_a_run_goes_on_after_a_panic() {
    let world = World::signed_in();
    let refused = world.id();
    let callers = world.waiting(20, move |session| session.reject(refused));
    world.server.call().panic();
    world.server.call().grant("at2", "rt2");
    assert_eq!(callers.tokens(), vec!["at2"; 20]);
}

#[test]
fn core_03_a_panic_in_the_store_answers_every_caller() {
    let store = MemoryStore::default();
    let world = World::stored(&store);
    let refused = world.id();
    store.set_panics(true);
    let error = world.session.reject(refused).unwrap_err();
    assert_eq!(error.failure().unwrap().kind, FailureKind::StoreUnavailable);
    assert!(world.server.is_quiet());

    store.set_panics(false);
    world.clock.advance(Duration::from_secs(60));
    let caller = world.waiting(1, move |session| session.reject(refused));
    world.server.call().grant("at2", "rt2");
    assert_eq!(caller.tokens(), ["at2"]);
}

/// Panics before the first byte could leave, once; then it is another profile.
struct PanicsOnce(AtomicUsize);

impl Profile for PanicsOnce {
    fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the profile panics, as the test asked for");
        support::profile().request(refresh)
    }

    fn read(
        &self,
        response: &Response<Bytes>,
        refresh: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Grant, ExchangeError> {
        support::profile().read(response, refresh, now)
    }
}

#[test]
fn core_03_a_panic_in_the_profile_answers_every_caller() {
    let (server, wire) = support::server();
    let session = Session::builder().blocking(wire, PanicsOnce(AtomicUsize::new(0))).unwrap();
    session.sign_in(support::grant("at1", "rt1"));
    let refused = session.current().unwrap().id();
    let callers = support::Callers::start(&session, 5, move |session| session.reject(refused));
    server.call().grant("at2", "rt2");
    assert_eq!(callers.tokens(), vec!["at2"; 5]);
}

#[test]
fn core_03_a_server_that_never_answers_is_given_up_and_its_late_answer_still_counts() {
    let world = World::signed_in();
    let refused = world.id();
    let callers = world.waiting(3, move |session| session.reject_within(refused, Duration::from_secs(600)));
    let call = world.server.call();
    // Send limit, exchange limit, and the watchdog's margin.
    world.clock.advance(Duration::from_secs(2 + 10 + 1));
    // Nothing is left to lose, so the refresh token is presented once more; the connection breaks.
    let again = world.server.call();
    assert!(again.presents("rt1"), "{}", again.form);
    drop(again);
    for answer in callers.answers() {
        assert_eq!(answer.unwrap_err().failure().unwrap().kind, FailureKind::Uncertain);
    }
    call.grant("at2", "rt2");
    world.session.settle(PATIENCE).unwrap();
    assert_eq!(world.session.current().unwrap().secret().expose(), "at2");
}

/// Says that it could not connect.
struct Unreachable;

impl Transport for Unreachable {
    fn send(&self, _: Request<Bytes>, _: &Attempt) -> Result<Response<Bytes>, TransportError> {
        Err(TransportError::NotSent)
    }
}

#[test]
fn retry_01_nothing_sent_is_a_passing_failure() {
    let clock = ManualClock::new(Timestamp::from_millis(1_800_000_000_000));
    let session = Session::builder().clock(clock).blocking(Unreachable, support::profile()).unwrap();
    session.sign_in(support::grant("at1", "rt1"));
    let refused = session.current().unwrap().id();
    let error = session.reject(refused).unwrap_err();
    assert_eq!(error.failure().unwrap().kind, FailureKind::Transient);
    session.settle(PATIENCE).unwrap();
    assert!(matches!(session.state(), State::Failed(_)));
}

#[test]
fn nobody_signed_in_is_said_at_once() {
    let world = World::new(|builder| builder);
    let Err(Error::Failed(failure)) = world.session.token() else { panic!("there is no token") };
    assert_eq!(failure.kind, FailureKind::NoCredentials);
}
