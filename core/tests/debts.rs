//! What is left of a run that ended: a mark that was not written, an exchange that is answered late.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test is no part of the core"
)]

use token_refresh_core::{
    Acquire, Action, CommitError, Config, Effect, Event, ExchangeError, FailureKind, Grant, Machine,
    Persistence, State, Stored, Ticket, Timestamp, Version,
};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A machine, and a store that answers as long as it is up.
struct World {
    machine: Machine,
    stored: Stored,
    up: bool,
    now: Timestamp,
}

impl World {
    fn new(persistence: Persistence) -> Self {
        let mut config = Config::default();
        config.persistence = persistence;
        let machine = Machine::new(config, 1, START).unwrap();
        let mut world = Self { machine, stored: Stored::default(), up: true, now: START };
        let grant = Grant::new("at").unwrap().with_refresh_token("rt").unwrap();
        world.machine.sign_in(grant, START);
        world.settle();
        world
    }

    /// Does what the machine asks for, until it asks for an exchange or for nothing.
    fn settle(&mut self) -> Option<Ticket> {
        while let Some(action) = self.machine.poll_action() {
            let event = match action {
                Action::Run(Effect::Load { ticket, not_before }) => {
                    self.now = self.now.max(not_before);
                    Event::Loaded { ticket, result: Ok(self.stored.clone()) }
                }
                Action::Run(Effect::Commit { ticket, record, .. }) => {
                    if self.up {
                        let version = Version(self.stored.version.0 + 1);
                        self.stored = Stored { version, record: Some(record) };
                        Event::Committed { ticket, result: Ok(version) }
                    } else {
                        Event::Committed { ticket, result: Err(CommitError::Unavailable) }
                    }
                }
                Action::Run(Effect::Exchange { ticket, .. }) => return Some(ticket),
                _ => continue,
            };
            self.machine.handle_event(event, self.now).unwrap();
        }
        None
    }

    /// The token is refused, or a new one is asked for; the exchange that follows, if one does. Who waits is of no matter.
    fn refresh(&mut self) -> Option<Ticket> {
        let _ = match self.machine.current().map(|token| token.id) {
            Some(token) => self.machine.reject(token, self.now),
            None => self.machine.acquire(self.now),
        };
        self.settle()
    }

    fn refused(&mut self, ticket: Ticket) -> Option<Ticket> {
        let result = Err(ExchangeError::Permanent);
        self.machine.handle_event(Event::Exchanged { ticket, sent_at: self.now, result }, self.now).unwrap();
        self.settle()
    }

    /// Time passes until the machine wants to hear of it.
    fn wake(&mut self) -> Option<Ticket> {
        self.now = self.machine.poll_timeout().unwrap().max(self.now);
        self.machine.handle_timeout(self.now);
        self.settle()
    }

    fn kind(&self) -> FailureKind {
        match self.machine.state() {
            State::Failed(failure) => failure.kind,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rule_9_a_mark_that_was_not_written_is_written_without_any_demand() {
    let mut world = World::new(Persistence::Shared);
    let ticket = world.refresh().unwrap();
    world.up = false;
    world.refused(ticket);
    assert!(matches!(world.machine.state(), State::Failed(_)));
    world.up = true;
    world.wake();
    let record = world.stored.record.clone().unwrap();
    assert!(record.refused && record.holder.is_none(), "{record:?}");
}

#[test]
fn core_07_a_late_refusal_counts_after_a_reset_too() {
    let mut world = World::new(Persistence::Memory);
    let first = world.refresh().unwrap();
    let second = world.wake().unwrap();
    world.refused(second);
    assert_eq!(world.kind(), FailureKind::RefusedAfterAmbiguity);
    world.machine.reset(world.now);
    assert_eq!(world.refused(first), None);
    let acquire = world.machine.acquire(world.now);
    assert!(matches!(acquire, Acquire::Failed(_)), "{acquire:?}");
}
