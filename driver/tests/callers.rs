//! What callers get, and what they cost the server.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::{LIFETIME, PATIENCE, World};
use token_refresh_driver::{
    Cause, Clock as _, Config, Error, FailureKind, Grant, Retry, Session, SessionBuilder, State,
};

const SECOND: Duration = Duration::from_secs(1);

fn kind(error: Error) -> FailureKind {
    error.failure().expect("a failure").kind
}

#[test]
fn core_01_two_hundred_refusals_cause_one_exchange() {
    let world = World::signed_in();
    let refused = world.id();
    let callers = world.waiting(200, move |session| session.reject(refused));
    let call = world.server.call();
    assert!(call.presents("rt1"));
    call.grant("at2", "rt2");
    assert_eq!(callers.tokens(), vec!["at2"; 200]);
    world.session.settle(PATIENCE).unwrap();
    assert!(world.server.is_quiet());
}

#[test]
fn core_01_two_hundred_callers_with_an_expired_token_cause_one_exchange() {
    let world = World::signed_in();
    world.clock.advance(LIFETIME);
    let callers = world.waiting(200, Session::token);
    world.server.call().grant("at2", "rt2");
    assert_eq!(callers.tokens(), vec!["at2"; 200]);
    world.session.settle(PATIENCE).unwrap();
    assert!(world.server.is_quiet());
}

#[test]
fn core_04_late_refusals_start_nothing() {
    let world = World::signed_in();
    let old = world.id();
    let first = world.waiting(1, move |session| session.reject(old));
    world.server.call().grant("at2", "rt2");
    assert_eq!(first.tokens(), ["at2"]);
    for _ in 0..50 {
        assert_eq!(world.session.reject(old).unwrap().secret().expose(), "at2");
    }
    assert_eq!(world.session.state(), State::Idle);
    assert!(world.server.is_quiet());
}

#[test]
fn core_05_a_failure_answers_everybody_and_is_remembered() {
    let world = World::signed_in();
    let refused = world.id();
    let callers = world.waiting(50, move |session| session.reject(refused));
    world.server.call().refuse();
    for answer in callers.answers() {
        let error = answer.unwrap_err();
        assert_eq!((kind(error), error.cause()), (FailureKind::Refused, Cause::NeedsSignIn));
    }
    for _ in 0..20 {
        assert_eq!(kind(world.session.reject(refused).unwrap_err()), FailureKind::Refused);
    }
    world.session.settle(PATIENCE).unwrap();
    assert!(world.server.is_quiet());
}

#[test]
fn core_09_a_transient_failure_says_when_to_ask_again_and_then_the_refresh_works() {
    let world = World::signed_in();
    let refused = world.id();
    let callers = world.waiting(3, move |session| session.reject(refused));
    world.server.call().answer(429, "");
    let mut retry = Retry::Never;
    for answer in callers.answers() {
        let failure = answer.unwrap_err().failure().unwrap();
        assert_eq!(failure.cause(), Cause::Transient);
        retry = failure.retry;
    }
    let Retry::At(instant) = retry else { panic!("a transient failure passes") };
    world.clock.advance(instant.since(world.clock.now()));
    let again = world.waiting(1, Session::token);
    world.server.call().grant("at2", "rt2");
    assert_eq!(again.tokens(), ["at2"]);
}

#[test]
fn core_10_without_a_refresh_token_a_refusal_starts_nothing() {
    let world = World::new(|builder| builder);
    world.session.sign_in(Grant::new("at1").unwrap());
    let error = world.session.reject(world.id()).unwrap_err();
    assert_eq!(kind(error), FailureKind::NoRefreshToken);
    assert!(world.server.is_quiet());
}

#[test]
fn core_13_a_callers_time_limit_is_its_own() {
    let world = World::signed_in();
    let refused = world.id();
    let patient = world.waiting(1, move |session| session.reject(refused));
    let call = world.server.call();
    let hurried = world.waiting(2, move |session| session.reject_within(refused, SECOND));
    assert!(world.clock.await_parked(3, PATIENCE));
    world.clock.advance(SECOND);
    let answers = hurried.answers();
    assert!(answers.iter().all(|answer| answer.as_ref().err() == Some(&Error::TimedOut)), "{answers:?}");
    call.grant("at2", "rt2");
    assert_eq!(patient.tokens(), ["at2"]);
    assert!(world.server.is_quiet());
}

#[test]
fn core_13_the_default_time_limit_is_thirty_seconds_and_can_be_set() {
    let mut config = Config::default();
    config.exchange_limit = Duration::from_secs(300);
    for (limit, expected) in [(None, 30 * SECOND), (Some(7 * SECOND), 7 * SECOND)] {
        let world = World::new(|builder| {
            let builder = builder.config(config.clone());
            limit.into_iter().fold(builder, SessionBuilder::time_limit)
        });
        world.session.sign_in(support::grant("at1", "rt1"));
        let (refused, clock, start) = (world.id(), world.clock.clone(), world.clock.now());
        let caller = world.waiting(1, move |session| {
            let answer = session.reject(refused);
            assert_eq!(clock.now().since(start), expected);
            answer
        });
        let _unanswered = world.server.call();
        world.clock.advance(expected.saturating_sub(Duration::from_millis(1)));
        assert!(world.clock.await_parked(1, PATIENCE), "it waits until its limit");
        world.clock.advance(Duration::from_millis(1));
        assert_eq!(caller.answers()[0].as_ref().err(), Some(&Error::TimedOut));
    }
}

#[test]
fn core_13_the_queue_is_bounded() {
    let mut config = Config::default();
    config.max_waiters = 2;
    let world = World::new(|builder| builder.config(config));
    world.session.sign_in(support::grant("at1", "rt1"));
    let refused = world.id();
    let callers = world.waiting(2, move |session| session.reject(refused));
    assert_eq!(kind(world.session.reject(refused).unwrap_err()), FailureKind::QueueFull);
    world.server.call().grant("at2", "rt2");
    assert_eq!(callers.tokens(), ["at2", "at2"]);
}

#[test]
fn core_13_who_gives_up_leaves_its_place_in_the_queue() {
    let mut config = Config::default();
    config.max_waiters = 2;
    let world = World::new(|builder| builder.config(config));
    world.session.sign_in(support::grant("at1", "rt1"));
    let refused = world.id();
    for _ in 0..10 {
        assert_eq!(world.session.reject_within(refused, Duration::ZERO).err(), Some(Error::TimedOut));
    }
    let callers = world.waiting(2, move |session| session.reject(refused));
    world.server.call().grant("at2", "rt2");
    assert_eq!(callers.tokens(), ["at2", "at2"]);
}

#[test]
fn i_06_a_refused_token_is_never_handed_out_again() {
    let world = World::signed_in();
    assert!(world.session.reject_within(world.id(), Duration::ZERO).is_err());
    assert!(world.session.current().is_none());
    assert_eq!(world.session.token_within(Duration::ZERO).err(), Some(Error::TimedOut));
    world.server.call().answer(429, "");
    world.session.settle(PATIENCE).unwrap();
    assert!(world.session.token().is_err());
}

#[test]
fn core_14_the_new_token_is_kept_when_every_caller_has_gone() {
    let world = World::signed_in();
    let refused = world.id();
    assert_eq!(world.session.reject_within(refused, Duration::ZERO).err(), Some(Error::TimedOut));
    let call = world.server.call();
    assert_eq!(world.session.state(), State::Refreshing);
    call.grant("at2", "rt2");
    world.session.settle(PATIENCE).unwrap();
    assert_eq!(world.session.token().unwrap().secret().expose(), "at2");

    let refused = world.id();
    let next = world.waiting(1, move |session| session.reject(refused));
    let call = world.server.call();
    assert!(call.presents("rt2"), "{}", call.form);
    call.grant("at3", "rt3");
    assert_eq!(next.tokens(), ["at3"]);
}

#[test]
fn core_16_in_the_soft_zone_callers_are_served_while_the_refresh_runs() {
    let world = World::signed_in();
    world.clock.advance(LIFETIME.saturating_sub(Duration::from_secs(30)));
    assert_eq!(world.session.token().unwrap().secret().expose(), "at1");
    let call = world.server.call();
    assert_eq!(world.session.token().unwrap().secret().expose(), "at1");
    call.grant("at2", "rt2");
    world.session.settle(PATIENCE).unwrap();
    assert_eq!(world.session.token().unwrap().secret().expose(), "at2");
    assert!(world.server.is_quiet());
}

#[test]
fn core_08_a_failed_background_refresh_does_not_take_back_the_token() {
    let world = World::signed_in();
    world.clock.advance(LIFETIME.saturating_sub(Duration::from_secs(30)));
    assert!(world.session.token().is_ok());
    world.server.call().refuse();
    world.session.settle(PATIENCE).unwrap();
    assert_eq!(world.session.token().unwrap().secret().expose(), "at1");
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(kind(world.session.token().unwrap_err()), FailureKind::Refused);
}

#[test]
fn core_18_sessions_do_not_hold_up_each_other() {
    let stuck = World::signed_in();
    let refused = stuck.id();
    let callers = stuck.waiting(1, move |session| session.reject(refused));
    let call = stuck.server.call();
    let other = World::signed_in();
    assert_eq!(other.session.token().unwrap().secret().expose(), "at1");
    call.grant("at2", "rt2");
    assert_eq!(callers.tokens(), ["at2"]);
}

#[test]
fn core_12_the_breaker_opens_only_for_tokens_that_were_never_accepted() {
    let refresh = |world: &World, access: &str| {
        let refused = world.id();
        let caller = world.waiting(1, move |session| session.reject(refused));
        world.server.call().grant(access, "rt");
        assert_eq!(caller.tokens(), [access]);
    };
    let world = World::signed_in();
    refresh(&world, "at2");
    refresh(&world, "at3");
    let error = world.session.reject(world.id()).unwrap_err();
    assert_eq!((kind(error), error.cause()), (FailureKind::RefusedAfterRefresh, Cause::RefusedAfterRefresh));

    let world = World::signed_in();
    for access in ["at2", "at3", "at4", "at5"] {
        refresh(&world, access);
        world.session.accept(world.id());
        world.session.accept(world.id());
    }
    assert_eq!(world.session.state(), State::Idle);
}

#[test]
fn auth_02_the_header_is_ready_made_and_nothing_shows_the_token() {
    let world = World::signed_in();
    let token = world.session.token().unwrap();
    assert_eq!(token.header(), "Bearer at1");
    assert!(token.header().is_sensitive());
    let shown = format!("{token:?} {:?} {:?}", world.session, token.header());
    assert!(!shown.contains("at1") && !shown.contains("rt1"), "{shown}");
}
