//! What happens when nobody answers in time, or the process itself stood still.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test is no part of the core"
)]

use std::time::Duration;

use token_refresh_core::{
    Acquire, Action, Body, CommitError, Config, Effect, Event, ExchangeError, Failure, FailureKind, Grant,
    Machine, Persistence, Retry, State, Stored, Ticket, Timestamp, TokenId, Version,
};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// When the watchdog is due after an exchange began: send limit, exchange limit, and its margin.
const DUE: Duration = Duration::from_secs(2 + 10 + 1);

fn after(span: Duration) -> Timestamp {
    START.after(span)
}

fn grant(n: u32) -> Grant {
    Grant::new(format!("at-{n}")).unwrap().with_refresh_token(format!("rt-{n}")).unwrap()
}

/// A machine that is signed in, and the token it has.
fn signed_in(persistence: Persistence) -> (Machine, TokenId) {
    let mut config = Config::default();
    config.persistence = persistence;
    let mut machine = Machine::new(config, 1, START).unwrap();
    machine.sign_in(grant(1), START);
    let token = machine.current().unwrap().id;
    (machine, token)
}

fn drain(machine: &mut Machine) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll_action()).collect()
}

/// The exchanges that begin in these actions.
fn exchanges(actions: &[Action]) -> Vec<Ticket> {
    let ticket = |action: &Action| match action {
        Action::Run(Effect::Exchange { ticket, .. }) => Some(*ticket),
        _ => None,
    };
    actions.iter().filter_map(ticket).collect()
}

/// The process was stopped, or its machine slept, with an exchange on the wire. Whoever wakes first must not take the
/// answer for lost: it may be in the socket (rule 4).
#[test]
fn rule_4_an_answer_that_came_while_the_process_stood_still_is_used() {
    let (mut machine, token) = signed_in(Persistence::Memory);
    assert!(matches!(machine.reject(token, START), Acquire::Wait(_)));
    let [ticket] = exchanges(&drain(&mut machine))[..] else { panic!("one exchange") };

    let woken = after(Duration::from_secs(60));
    assert!(matches!(machine.acquire(woken), Acquire::Wait(_)));
    assert_eq!(exchanges(&drain(&mut machine)), [], "the refresh token is not presented again");

    let event = Event::Exchanged { ticket, sent_at: START, result: Ok(grant(2)) };
    assert_eq!(machine.handle_event(event, woken), Ok(()));
    assert_eq!(machine.current().unwrap().access_token.expose(), "at-2");
}

#[test]
fn i_19_what_nobody_answers_is_given_up_on_time_or_a_moment_after_a_late_look() {
    let (mut machine, token) = signed_in(Persistence::Memory);
    assert!(matches!(machine.reject(token, START), Acquire::Wait(_)));
    let mut punctual = machine.clone();
    drain(&mut punctual);
    punctual.handle_timeout(after(DUE));
    assert_eq!(exchanges(&drain(&mut punctual)).len(), 1, "a lost answer is presented once more, promptly");

    drain(&mut machine);
    let late = after(Duration::from_secs(60));
    machine.handle_timeout(late);
    assert_eq!(machine.poll_timeout(), Some(late.after(Duration::from_secs(1))));
    machine.handle_timeout(late.after(Duration::from_secs(1)));
    assert_eq!(exchanges(&drain(&mut machine)).len(), 1);
}

/// Each effect is spared once, not each run: a process may stand still more than once in a refresh.
#[test]
fn rule_4_the_next_effect_of_the_run_is_spared_too() {
    let (mut machine, token) = signed_in(Persistence::Memory);
    assert!(matches!(machine.reject(token, START), Acquire::Wait(_)));
    let [lost] = exchanges(&drain(&mut machine))[..] else { panic!("one exchange") };
    let woken = after(DUE).after(Duration::from_secs(1));
    machine.handle_timeout(woken);
    let event = Event::Exchanged {
        ticket: lost,
        sent_at: START,
        result: Err(ExchangeError::Ambiguous { retry_after: None }),
    };
    assert_eq!(machine.handle_event(event, woken), Ok(()));
    let [again] = exchanges(&drain(&mut machine))[..] else { panic!("it is presented once more") };

    let woken = woken.after(Duration::from_secs(60));
    machine.handle_timeout(woken);
    assert_eq!(machine.state(), State::Refreshing);
    let event = Event::Exchanged { ticket: again, sent_at: START, result: Ok(grant(2)) };
    assert_eq!(machine.handle_event(event, woken), Ok(()));
    assert_eq!(machine.current().unwrap().access_token.expose(), "at-2");
    let begun_since = exchanges(&drain(&mut machine));
    assert_eq!(begun_since, []);
}

/// Each claim is written when it is too late to send. Callers are told that it is the store, and not kept for ever.
#[test]
fn rule_2_a_store_that_is_too_slow_for_the_send_limit_is_a_failure() {
    let (mut machine, token) = signed_in(Persistence::Shared);
    let (mut stored, mut now, mut claims) = (Stored::default(), START, 0);
    let mut asked = false;
    for _ in 0..20 {
        let Some(Action::Run(effect)) = drain(&mut machine).pop() else {
            if asked {
                break;
            }
            assert!(matches!(machine.reject(token, now), Acquire::Wait(_)));
            asked = true;
            continue;
        };
        now = now.after(Duration::from_secs(3));
        let event = match effect {
            Effect::Load { ticket, .. } => Event::Loaded { ticket, result: Ok(stored.clone()) },
            Effect::Commit { ticket, expected, record } => {
                assert_eq!(expected, stored.version, "nobody else writes");
                claims += usize::from(record.holder.is_some());
                let version = Version(expected.0 + 1);
                stored = Stored { version, record: Some(record) };
                Event::Committed { ticket, result: Ok::<_, CommitError>(version) }
            }
            Effect::Exchange { .. } | Effect::Revoke { .. } => panic!("it is too late to send"),
        };
        machine.handle_event(event, now).unwrap();
    }
    assert_eq!(claims, 2);
    let State::Failed(failure) = machine.state() else { panic!("{:?}", machine.state()) };
    assert_eq!(failure.kind, FailureKind::StoreUnavailable);
    assert_eq!(stored.record.unwrap().presented, 0, "nothing was sent");
}

/// The server was not heard in time, and says when it is asked something else that it wants to be left alone.
#[test]
fn retry_05_a_wish_in_an_answer_that_comes_late_is_heard() {
    let (mut machine, token) = signed_in(Persistence::Memory);
    assert!(matches!(machine.reject(token, START), Acquire::Wait(_)));
    let [late] = exchanges(&drain(&mut machine))[..] else { panic!("one exchange") };
    machine.handle_timeout(after(DUE));
    let [again] = exchanges(&drain(&mut machine))[..] else { panic!("it is presented once more") };
    let answer = |ticket, error| Event::Exchanged { ticket, sent_at: START, result: Err(error) };
    machine.handle_event(answer(again, ExchangeError::NotSent), after(DUE)).unwrap();
    let State::Failed(Failure { retry: Retry::At(soon), .. }) = machine.state() else {
        panic!("{:?}", machine.state())
    };

    let minute = Duration::from_secs(60);
    assert!(soon < after(DUE + minute));
    let wish = ExchangeError::Transient { retry_after: Some(minute) };
    machine.handle_event(answer(late, wish), after(DUE)).unwrap();
    drain(&mut machine);
    let Acquire::Failed(failure) = machine.acquire(soon) else { panic!("it waits, or has a token") };
    assert_eq!((failure.kind, failure.retry), (FailureKind::Transient, Retry::At(after(DUE + minute))));
    drain(&mut machine);
    assert!(matches!(machine.acquire(after(DUE + minute)), Acquire::Wait(_)));
    assert_eq!(exchanges(&drain(&mut machine)).len(), 1);
}

/// Answers loads and commits, up to the first effect that is to wait.
fn store(
    machine: &mut Machine,
    stored: &mut Stored,
    now: Timestamp,
    waits: impl Fn(&Effect) -> bool,
) -> Option<Effect> {
    loop {
        let run = |action| if let Action::Run(effect) = action { Some(effect) } else { None };
        let effect = drain(machine).into_iter().find_map(run)?;
        if waits(&effect) {
            return Some(effect);
        }
        let event = match effect {
            Effect::Load { ticket, .. } => Event::Loaded { ticket, result: Ok(stored.clone()) },
            Effect::Commit { ticket, expected, record } => {
                assert_eq!(expected, stored.version);
                *stored = Stored { version: Version(expected.0 + 1), record: Some(record) };
                Event::Committed { ticket, result: Ok(stored.version) }
            }
            Effect::Exchange { .. } | Effect::Revoke { .. } => panic!("{effect:?} is not answered here"),
        };
        machine.handle_event(event, now).unwrap();
    }
}

/// Both answers to two presentations of one refresh token come late, the second while the first is being saved. Of two
/// successors the later one counts (rule 7), and what is granted is saved (I-16).
#[test]
fn rule_7_i_16_a_later_successor_that_comes_during_a_save_is_saved_too() {
    let (mut machine, token) = signed_in(Persistence::Shared);
    let mut stored = Stored::default();
    let exchange = |effect: &Effect| matches!(effect, Effect::Exchange { .. });
    assert_eq!(store(&mut machine, &mut stored, START, exchange), None);
    let presented = |machine: &mut Machine, stored: &mut Stored, now| {
        let Some(Effect::Exchange { ticket, .. }) = store(machine, stored, now, exchange) else {
            panic!("an exchange")
        };
        ticket
    };
    assert!(matches!(machine.reject(token, START), Acquire::Wait(_)));
    let first = presented(&mut machine, &mut stored, START);
    let now = after(DUE);
    machine.handle_timeout(now);
    let second = presented(&mut machine, &mut stored, now);
    let late = |ticket, n| Event::Exchanged { ticket, sent_at: START, result: Ok(grant(n)) };
    machine.handle_event(late(first, 2), now).unwrap();

    let now = now.after(DUE);
    machine.handle_timeout(now);
    let save = |effect: &Effect| matches!(effect, Effect::Commit { .. });
    let Some(Effect::Commit { ticket, expected, record }) = store(&mut machine, &mut stored, now, save)
    else {
        panic!("the first is saved")
    };
    machine.handle_event(late(second, 3), now).unwrap();
    stored = Stored { version: Version(expected.0 + 1), record: Some(record) };
    machine.handle_event(Event::Committed { ticket, result: Ok(stored.version) }, now).unwrap();
    assert_eq!(store(&mut machine, &mut stored, now, exchange), None);
    let Body::Grant { grant, .. } = stored.record.unwrap().body else { panic!("a grant is stored") };
    assert_eq!(grant.refresh_token().unwrap().expose(), "rt-3");
    assert!(machine.is_settled());
}
