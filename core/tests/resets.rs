//! What a success, a reset and a limit end, and what they leave as it is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test is no part of the core"
)]

use std::time::Duration;

use token_refresh_core::{
    Acquire, Action, Cause, Config, ConfigError, Effect, Event, ExchangeError, Failure, FailureKind, Grant,
    Machine, Persistence, Retry, Ticket, Timestamp,
};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn grant(n: u32) -> Grant {
    Grant::new(format!("at-{n}")).unwrap().with_refresh_token(format!("rt-{n}")).unwrap()
}

fn signed_in(seed: u64) -> Machine {
    let mut machine = Machine::new(Config::default(), seed, START).unwrap();
    machine.sign_in(grant(0), START);
    machine
}

/// The exchange that was begun, if one was.
fn exchange(machine: &mut Machine) -> Option<Ticket> {
    std::iter::from_fn(|| machine.poll_action()).find_map(|action| match action {
        Action::Run(Effect::Exchange { ticket, .. }) => Some(ticket),
        _ => None,
    })
}

fn answer(machine: &mut Machine, ticket: Ticket, result: Result<Grant, ExchangeError>, now: Timestamp) {
    machine.handle_event(Event::Exchanged { ticket, sent_at: now, result }, now).unwrap();
}

/// The token is refused, and the refresh that follows ends like this; what the caller is told then.
fn refresh(machine: &mut Machine, result: Result<Grant, ExchangeError>, now: Timestamp) -> Option<Failure> {
    let acquire = match machine.current().map(|token| token.id) {
        Some(token) => machine.reject(token, now),
        None => machine.acquire(now),
    };
    assert!(matches!(acquire, Acquire::Wait(_)), "{acquire:?}");
    let ticket = exchange(machine).unwrap();
    answer(machine, ticket, result, now);
    std::iter::from_fn(|| machine.poll_action()).find_map(|action| match action {
        Action::Resolve { outcome, .. } => Some(outcome.err()),
        _ => None,
    })?
}

fn unavailable(retry_after: Option<Duration>) -> Result<Grant, ExchangeError> {
    Err(ExchangeError::Transient { retry_after })
}

#[test]
fn retry_04_a_success_ends_the_row_of_delays() {
    for seed in 0..50 {
        let mut machine = signed_in(seed);
        let mut now = START;
        for _ in 0..6 {
            refresh(&mut machine, unavailable(None), now).unwrap();
            now = now.after(HOUR);
        }
        assert_eq!(refresh(&mut machine, Ok(grant(1)), now), None);
        let token = machine.current().unwrap().id;
        machine.accept(token, now);
        now = now.after(HOUR);
        let failure = refresh(&mut machine, unavailable(None), now).unwrap();
        let Retry::At(until) = failure.retry else { panic!("{failure:?}") };
        assert!(until <= now.after(Config::default().backoff.base), "{failure:?} is not the first delay");
    }
}

#[test]
fn core_11_a_reset_lifts_the_pause_that_the_server_wished_for() {
    let mut machine = signed_in(1);
    let failure = refresh(&mut machine, unavailable(Some(HOUR)), START).unwrap();
    assert_eq!(machine.acquire(START.after(Duration::from_secs(1))), Acquire::Failed(failure));
    machine.reset(START.after(Duration::from_secs(2)));
    assert!(matches!(machine.acquire(START.after(Duration::from_secs(2))), Acquire::Wait(_)));
    assert!(exchange(&mut machine).is_some());
}

#[test]
fn core_12_a_reset_closes_the_breaker() {
    let mut machine = signed_in(1);
    for n in 1..=2 {
        assert_eq!(refresh(&mut machine, Ok(grant(n)), START), None);
    }
    let token = machine.current().unwrap().id;
    let Acquire::Failed(failure) = machine.reject(token, START) else { panic!("the breaker is open") };
    assert_eq!(failure.kind, FailureKind::RefusedAfterRefresh);
    machine.reset(START);
    assert!(matches!(machine.acquire(START), Acquire::Wait(_)));
}

#[test]
fn core_07_a_reset_lets_an_exchange_that_wanted_the_user_be_tried_again() {
    let mut machine = signed_in(1);
    let failure = refresh(&mut machine, Err(ExchangeError::Interaction), START).unwrap();
    assert_eq!(failure.kind, FailureKind::Interaction);
    machine.reset(START);
    assert!(matches!(machine.acquire(START), Acquire::Wait(_)));
}

#[test]
fn i_12_a_refresh_token_that_is_refused_again_after_a_reset_is_refused_for_good() {
    let mut machine = signed_in(1);
    refresh(&mut machine, Err(ExchangeError::Permanent), START).unwrap();
    machine.reset(START);
    let failure = refresh(&mut machine, Err(ExchangeError::Permanent), START).unwrap();
    assert_eq!((failure.kind, failure.retry), (FailureKind::Refused, Retry::Never));
    assert_eq!(machine.acquire(START.after(HOUR)), Acquire::Failed(failure));
    assert_eq!(exchange(&mut machine), None);
}

#[test]
fn pers_01_the_newest_grant_can_be_had_before_the_store_has_it() {
    for persistence in [Persistence::Memory, Persistence::Shared] {
        let mut config = Config::default();
        config.persistence = persistence;
        let mut machine = Machine::new(config, 1, START).unwrap();
        assert_eq!(machine.grant(), None);
        machine.sign_in(grant(7), START);
        assert_eq!(machine.grant(), Some((&grant(7), START)), "{persistence:?}");
    }
}

#[test]
fn obs_02_only_what_never_comes_back_needs_a_sign_in() {
    let failure = |retry| Failure { kind: FailureKind::Uncertain, retry };
    assert_eq!(failure(Retry::Never).cause(), Cause::NeedsSignIn);
    assert_ne!(failure(Retry::At(START)).cause(), Cause::NeedsSignIn);
    let transient = Failure { kind: FailureKind::Transient, retry: Retry::Never };
    assert_eq!(transient.cause(), Cause::Transient);
}

/// A margin that is as long as the other is good, and one that is longer is not: in length and in share.
#[test]
fn time_02_the_hard_end_is_not_before_the_soft_one() {
    let with = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        config.validate()
    };
    assert_eq!(with(|config| config.hard_margin = config.soft_margin), Ok(()));
    let before = Err(ConfigError::HardBeforeSoft);
    assert_eq!(with(|c| c.hard_margin.percent = c.soft_margin.percent + 1), before);
    assert_eq!(with(|c| c.hard_margin.at_most = c.soft_margin.at_most + Duration::from_secs(1)), before);
    let term = |millis: u64| {
        let mut config = Config::default();
        config.persistence = Persistence::Shared;
        config.exchange_limit +=
            Config::MAX_TERM.checked_sub(config.term()).unwrap() + Duration::from_millis(millis);
        config.validate()
    };
    assert_eq!(term(0), Ok(()));
    assert_eq!(term(1), Err(ConfigError::TermTooLong));
}
