//! Demands that come at an odd moment, and answers that come twice.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test is no part of the core"
)]

use std::time::Duration;

use token_refresh_core::{
    Acquire, Action, Config, Effect, Epoch, Event, Failure, Generation, Grant, Machine, Misuse, Persistence,
    Scope, Snapshot, Stored, Ticket, Timestamp, TokenId, Version, WaiterId,
};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

const LIMIT: Duration = Duration::from_secs(10);

fn grant(n: u32) -> Grant {
    Grant::new(format!("at-{n}")).unwrap().with_refresh_token(format!("rt-{n}")).unwrap()
}

/// A machine that is signed in and has paid its store, and the token it has.
fn signed_in(persistence: Persistence) -> (Machine, TokenId, Stored) {
    let mut config = Config::default();
    config.persistence = persistence;
    let mut machine = Machine::new(config, 1, START).unwrap();
    machine.sign_in(grant(1), START);
    let mut stored = Stored::default();
    while let Some(effect) = effect(&mut machine) {
        answer(&mut machine, effect, &mut stored, 0);
    }
    let token = machine.current().unwrap().id;
    (machine, token, stored)
}

/// Does the effect, for which an exchange yields the `n`th grant.
fn answer(machine: &mut Machine, effect: Effect, stored: &mut Stored, n: u32) {
    let event = match effect {
        Effect::Load { ticket, .. } => Event::Loaded { ticket, result: Ok(stored.clone()) },
        Effect::Commit { ticket, record, .. } => {
            let version = Version(stored.version.0 + 1);
            *stored = Stored { version, record: Some(record) };
            Event::Committed { ticket, result: Ok(version) }
        }
        Effect::Exchange { ticket, .. } => Event::Exchanged { ticket, sent_at: START, result: Ok(grant(n)) },
        Effect::Revoke { .. } => return,
    };
    machine.handle_event(event, START).unwrap();
}

/// The next effect. Whoever is answered on the way there is left aside.
fn effect(machine: &mut Machine) -> Option<Effect> {
    std::iter::from_fn(|| machine.poll_action()).find_map(|action| match action {
        Action::Run(effect) => Some(effect),
        _ => None,
    })
}

fn waits(acquire: &Acquire) -> WaiterId {
    let Acquire::Wait(waiter) = acquire else { panic!("{acquire:?}") };
    *waiter
}

/// Who was answered, and with which token.
fn resolved(machine: &mut Machine) -> Vec<(WaiterId, Result<TokenId, Failure>)> {
    std::iter::from_fn(|| machine.poll_action())
        .filter_map(|action| match action {
            Action::Resolve { waiter, outcome } => {
                Some((waiter, outcome.map(|token: std::sync::Arc<Snapshot>| token.id)))
            }
            _ => None,
        })
        .collect()
}

/// The new token is there and being saved: who asks now is answered with the others.
#[test]
fn core_06_who_asks_between_the_answer_and_the_save_is_not_lost() {
    let (mut machine, token, mut stored) = signed_in(Persistence::Shared);
    let first = waits(&machine.reject(token, START));
    let save = loop {
        let effect = effect(&mut machine).unwrap();
        let exchanged = stored.record.as_ref().is_some_and(|record| record.holder.is_some());
        if exchanged && matches!(effect, Effect::Commit { .. }) {
            break effect;
        }
        answer(&mut machine, effect, &mut stored, 2);
    };
    let second = waits(&machine.reject(token, START));
    assert_eq!(resolved(&mut machine), [], "nothing is given out before it is saved");
    answer(&mut machine, save, &mut stored, 0);

    let new = machine.current().unwrap().id;
    assert!(new > token);
    assert_eq!(resolved(&mut machine), [(first, Ok(new)), (second, Ok(new))]);
}

/// The state has changed before anybody hears of it: who asks while the outcomes are delivered, from inside one of
/// them, meets the new state and is not put into a queue that is just being emptied.
#[test]
fn core_06_who_asks_while_outcomes_are_delivered_makes_a_new_demand() {
    let (mut machine, token, mut stored) = signed_in(Persistence::Memory);
    let waiters = [(); 3].map(|()| waits(&machine.reject(token, START)));
    let exchange = effect(&mut machine).unwrap();
    answer(&mut machine, exchange, &mut stored, 2);
    let new = machine.current().unwrap().id;

    let (mut answered, mut asked, mut begun) = (Vec::new(), None, None);
    while let Some(action) = machine.poll_action() {
        match action {
            Action::Resolve { waiter, outcome } => {
                answered.push((waiter, outcome.map(|token| token.id)));
                if asked.is_none() {
                    assert!(matches!(machine.acquire(START), Acquire::Ready(token) if token.id == new));
                    asked = Some(waits(&machine.reject(new, START)));
                }
            }
            Action::Run(effect) => begun = Some(effect),
            Action::Publish(_) | Action::Notify(_) => {}
        }
    }
    assert_eq!(
        answered,
        waiters.map(|waiter| (waiter, Ok(new))),
        "each once, and the new one not among them"
    );

    // The demand from inside has begun a refresh of its own.
    answer(&mut machine, begun.unwrap(), &mut stored, 3);
    let newest = machine.current().unwrap().id;
    assert_eq!(resolved(&mut machine), [(asked.unwrap(), Ok(newest))]);
}

/// An answer counts once, an answer to nothing counts never, and time that runs back stands still.
#[test]
fn core_17_what_comes_twice_or_from_nowhere_changes_nothing() {
    let (mut machine, token, mut stored) = signed_in(Persistence::Memory);
    waits(&machine.reject(token, START));
    let Some(Effect::Exchange { ticket, .. }) = effect(&mut machine) else { panic!("one exchange") };
    let exchanged = |ticket| Event::Exchanged { ticket, sent_at: START, result: Ok(grant(2)) };
    let unchanged = |machine: &mut Machine, event: Event, misuse: Misuse| {
        let before = format!("{machine:?}");
        for now in [START, Timestamp::ZERO, Timestamp::from_millis(u64::MAX)] {
            assert_eq!(machine.handle_event(event.clone(), now), Err(misuse));
        }
        assert_eq!(format!("{machine:?}"), before);
    };

    for nowhere in [Ticket(0), Ticket(ticket.0 + 1), Ticket(u64::MAX)] {
        unchanged(&mut machine, exchanged(nowhere), Misuse::UnknownTicket);
    }
    let load = Event::Loaded { ticket, result: Ok(Stored::default()) };
    unchanged(&mut machine, load, Misuse::WrongKind);
    answer(
        &mut machine,
        Effect::Exchange { ticket, refresh: None, send_by: START, limit: LIMIT, scope: Scope::Configured },
        &mut stored,
        2,
    );
    unchanged(&mut machine, exchanged(ticket), Misuse::NotAwaited);
    unchanged(&mut machine, Event::Abandoned { ticket }, Misuse::NotAwaited);

    // Neither does a refusal of a token that there never was, nor of one of an earlier identity.
    let new = machine.current().unwrap().id;
    resolved(&mut machine);
    let future = TokenId { generation: Generation(new.generation.0 + 1), ..new };
    let earlier = TokenId { epoch: Epoch(0), ..new };
    for nobody in [future, earlier] {
        assert!(!matches!(machine.reject(nobody, Timestamp::ZERO), Acquire::Wait(_)));
        assert!(effect(&mut machine).is_none());
        assert!(matches!(machine.acquire(Timestamp::ZERO), Acquire::Ready(token) if token.id == new));
    }
}
