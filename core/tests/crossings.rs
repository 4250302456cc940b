//! What crosses: answers that come late, stores that fail half-way, identities and records that change meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test is no part of the core")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what a test does not look at is of no matter")]

use std::time::Duration;

use token_refresh_core::{
    Acquire, Action, AmbiguousPolicy, CommitError, Config, Effect, Event, ExchangeError, FailureKind, Grant,
    Machine, Misuse, Notice, Persistence, Record, Renewal, State, StoreError, Stored, Ticket, Timestamp,
    Trigger, Version,
};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const LIFETIME: Duration = Duration::from_secs(1_000);
const LOST: Result<Grant, ExchangeError> = Err(ExchangeError::Ambiguous { retry_after: None });

fn grant(name: &str) -> Grant {
    let grant = Grant::new(format!("at-{name}")).unwrap().with_refresh_token(format!("rt-{name}")).unwrap();
    grant.with_lifetime(LIFETIME)
}

/// A machine, its store, and what callers and observers were told.
struct World {
    machine: Machine,
    stored: Stored,
    readable: bool,
    writable: bool,
    now: Timestamp,
    pauses: Vec<Duration>,
    notices: Vec<Notice>,
    outcomes: Vec<Result<String, FailureKind>>,
}

impl World {
    fn new(seed: u64, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self {
            machine: Machine::new(config, seed, START).unwrap(),
            stored: Stored::default(),
            readable: true,
            writable: true,
            now: START,
            pauses: Vec::new(),
            notices: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    fn signed_in(persistence: Persistence) -> Self {
        let mut world = Self::new(1, |config| config.persistence = persistence);
        world.machine.sign_in(grant("0"), START);
        world.settle();
        world
    }

    fn tell(&mut self, event: Event) {
        // What is orphaned may still be answered: that is no fault of the driver.
        let told = self.machine.handle_event(event, self.now);
        assert!(matches!(told, Ok(()) | Err(Misuse::NotAwaited)), "{told:?}");
    }

    /// Answers loads until the machine asks for something else.
    fn next(&mut self) -> Option<Effect> {
        loop {
            match self.machine.poll_action()? {
                Action::Run(Effect::Load { ticket, not_before }) => {
                    self.pauses.push(not_before.since(self.now));
                    self.now = self.now.max(not_before);
                    let result = if self.readable { Ok(self.stored.clone()) } else { Err(StoreError) };
                    self.tell(Event::Loaded { ticket, result });
                }
                Action::Run(effect) => return Some(effect),
                Action::Notify(notice) => self.notices.push(notice),
                Action::Resolve { outcome, .. } => self.outcomes.push(match outcome {
                    Ok(token) => Ok(token.access_token.expose().to_owned()),
                    Err(failure) => Err(failure.kind),
                }),
                Action::Publish(_) => {}
            }
        }
    }

    /// The commit that the machine asks for next.
    fn commit(&mut self) -> (Ticket, Record) {
        match self.next() {
            Some(Effect::Commit { ticket, record, .. }) => (ticket, record),
            other => panic!("{other:?}"),
        }
    }

    /// Somebody writes this.
    fn put(&mut self, record: Option<Record>) -> Version {
        let version = Version(self.stored.version.0 + 1);
        self.stored = Stored { version, record };
        version
    }

    fn written(&mut self, (ticket, record): (Ticket, Record)) {
        let result = Ok(self.put(Some(record)));
        self.tell(Event::Committed { ticket, result });
    }

    fn not_written(&mut self, (ticket, _): (Ticket, Record), error: CommitError) {
        self.tell(Event::Committed { ticket, result: Err(error) });
    }

    /// Does what the machine asks for, until it asks for an exchange or for nothing.
    fn settle(&mut self) -> Option<Ticket> {
        while let Some(effect) = self.next() {
            match effect {
                Effect::Commit { ticket, record, .. } if self.writable => self.written((ticket, record)),
                Effect::Commit { ticket, record, .. } => {
                    self.not_written((ticket, record), CommitError::Unavailable);
                }
                Effect::Exchange { ticket, .. } => return Some(ticket),
                _ => {}
            }
        }
        None
    }

    /// The token is refused, or a new one is asked for.
    fn ask(&mut self) {
        let _ = match self.machine.current().map(|token| token.id) {
            Some(token) => self.machine.reject(token, self.now),
            None => self.machine.acquire(self.now),
        };
    }

    fn refresh(&mut self) -> Option<Ticket> {
        self.ask();
        self.settle()
    }

    fn answer(&mut self, ticket: Ticket, result: Result<Grant, ExchangeError>) {
        self.tell(Event::Exchanged { ticket, sent_at: self.now, result });
    }

    /// Time passes until the machine wants to hear of it.
    fn wake(&mut self) {
        self.now = self.machine.poll_timeout().unwrap().max(self.now);
        self.machine.handle_timeout(self.now);
    }

    fn record(&self) -> &Record {
        self.stored.record.as_ref().unwrap()
    }

    fn token(&self) -> &str {
        self.machine.current().map_or("", |token| token.access_token.expose())
    }

    fn trigger(&self) -> Option<Trigger> {
        self.notices.iter().rev().find_map(|notice| match notice {
            Notice::ExchangeStarted { exchange } => Some(exchange.trigger),
            _ => None,
        })
    }
}

#[test]
fn rule_7_a_grant_that_comes_while_a_claim_is_written_is_saved_and_nothing_is_presented() {
    let mut world = World::signed_in(Persistence::Shared);
    let first = world.refresh().unwrap();
    world.wake();
    let claim = world.commit();
    world.answer(first, Ok(grant("1")));
    world.written(claim);
    assert_eq!(world.settle(), None);
    assert_eq!(world.outcomes, [Ok("at-1".to_owned())]);
    assert!(
        world.record().contested,
        "a claim for a later presentation had been written: {:?}",
        world.record()
    );
}

#[test]
fn rule_9_a_refusal_that_comes_while_a_claim_is_written_counts_and_nothing_is_presented() {
    let mut world = World::signed_in(Persistence::Shared);
    let first = world.refresh().unwrap();
    world.wake();
    let claim = world.commit();
    world.answer(first, Err(ExchangeError::Permanent));
    world.written(claim);
    assert_eq!(world.settle(), None);
    assert!(world.record().refused, "{:?}", world.record());
}

#[test]
fn rule_7_a_grant_that_comes_while_a_claim_is_given_back_is_what_callers_get() {
    let mut world = World::signed_in(Persistence::Shared);
    let first = world.refresh().unwrap();
    world.wake();
    let second = world.settle().unwrap();
    world.answer(second, LOST);
    let release = world.commit();
    world.answer(first, Ok(grant("1")));
    world.not_written(release, CommitError::Unavailable);
    assert_eq!(world.settle(), None);
    assert_eq!(world.outcomes, [Ok("at-1".to_owned())]);
}

#[test]
fn rule_8_a_claim_that_cannot_be_given_back_is_left_for_later_when_nobody_waits() {
    let mut world = World::signed_in(Persistence::Shared);
    let ticket = world.refresh().unwrap();
    world.answer(ticket, Err(ExchangeError::Transient { retry_after: None }));
    for _ in 0..3 {
        let release = world.commit();
        world.not_written(release, CommitError::Unavailable);
        assert!(world.next().is_none(), "nobody asks, so the store is left alone for a while");
        assert!(!world.machine.is_settled());
        world.wake();
    }
    assert_eq!(world.settle(), None);
    assert!(world.machine.is_settled());
    assert_eq!(world.record().holder, None);
}

#[test]
fn rule_1_only_the_first_conflict_is_looked_at_without_a_pause() {
    let mut world = World::signed_in(Persistence::Shared);
    world.ask();
    for _ in 0..3 {
        let claim = world.commit();
        world.not_written(claim, CommitError::Conflict);
    }
    world.commit();
    let [.., first, second, third] = world.pauses[..] else { panic!("{:?}", world.pauses) };
    assert_eq!(first, Duration::ZERO);
    assert!(!second.is_zero() && !third.is_zero(), "{second:?} {third:?}");
}

#[test]
fn rule_9_a_refusal_counts_in_a_store_that_went_back_too() {
    let mut world = World::signed_in(Persistence::Shared);
    let before = world.record().clone();
    let ticket = world.refresh().unwrap();
    world.answer(ticket, Ok(grant("1")));
    world.settle();
    assert_eq!(world.token(), "at-1");
    world.put(Some(before));
    let ticket = world.refresh().unwrap();
    world.answer(ticket, Err(ExchangeError::Permanent));
    assert_eq!(world.settle(), None, "it is not presented again");
    assert!(world.record().refused, "{:?}", world.record());
}

#[test]
fn obs_01_an_exchange_says_why_it_is_made() {
    let mut world = World::signed_in(Persistence::Memory);
    let ticket = world.refresh().unwrap();
    assert_eq!(world.trigger(), Some(Trigger::Refusal));
    world.answer(ticket, Ok(grant("1")));
    world.settle();

    world.now = world.now.after(LIFETIME);
    let _ = world.machine.acquire(world.now);
    let ticket = world.settle().unwrap();
    assert_eq!(world.trigger(), Some(Trigger::Expiry));
    world.answer(ticket, Err(ExchangeError::Permanent));
    world.settle();

    world.machine.reset(world.now);
    let _ = world.machine.acquire(world.now);
    assert!(world.settle().is_some());
    assert_eq!(world.trigger(), Some(Trigger::Reset));
}

#[test]
fn rule_7_of_two_grants_with_one_number_the_one_that_came_later_counts() {
    let mut world = World::new(1, |config| config.ambiguous = AmbiguousPolicy::NonRotating);
    world.machine.sign_in(grant("0"), START);
    let first = world.refresh().unwrap();
    world.wake();
    assert_eq!(world.settle(), None);
    world.now = world.now.after(HOUR);
    let second = world.refresh().unwrap();
    world.answer(first, Ok(grant("1")));
    world.answer(second, Ok(grant("2")));
    assert_eq!(world.settle(), None);
    assert_eq!(world.token(), "at-2");
}

/// Also when the first one, of a session that had no token yet, is answered late, and the second one saved late.
#[test]
fn core_07_a_late_refusal_is_not_held_against_the_token_that_came_after_it() {
    for writable in [true, false] {
        let mut world = World::new(1, |config| {
            config.persistence = Persistence::Shared;
            config.renewal = Renewal::Ambient;
        });
        let first = world.refresh().unwrap();
        world.wake();
        let second = world.settle().unwrap();
        world.writable = writable;
        world.answer(second, Ok(grant("1")));
        assert_eq!(world.settle(), None);
        assert_eq!(world.token(), "at-1");
        if !writable {
            world.writable = true;
            world.wake();
            assert_eq!(world.settle(), None);
        }
        assert!(world.machine.is_settled());
        world.answer(first, Err(ExchangeError::Permanent));
        assert!(world.refresh().is_some());
        assert!(!world.record().refused);
    }
}

#[test]
fn rule_8_a_store_that_is_back_ends_the_failure_that_it_caused() {
    let mut world = World::signed_in(Persistence::Shared);
    let first = world.refresh().unwrap();
    world.wake();
    let second = world.settle().unwrap();
    world.writable = false;
    world.answer(second, Ok(grant("2")));
    world.settle();
    assert_eq!(world.token(), "at-2", "it serves, though it is not saved");
    world.readable = false;
    world.refresh();
    assert!(matches!(world.machine.state(), State::Failed(_)));

    (world.readable, world.writable) = (true, true);
    world.answer(first, Ok(grant("1")));
    world.settle();
    assert_eq!(world.record().born, 2, "the later successor is the one that is saved");
    assert_eq!(world.machine.state(), State::Idle);
}

#[test]
fn obs_01_a_scope_is_told_only_when_it_changes() {
    let mut world = World::new(1, |_| {});
    world.machine.sign_in(grant("0"), START);
    for (scope, changes) in [("a", 0), ("a", 0), ("a b", 1)] {
        let ticket = world.refresh().unwrap();
        world.answer(ticket, Ok(grant("1").with_scope(scope)));
        world.settle();
        let told =
            world.notices.iter().filter(|notice| matches!(notice, Notice::ScopeChanged { .. })).count();
        assert_eq!(told, changes, "{scope}");
        world.machine.accept(world.machine.current().unwrap().id, world.now);
        world.now = world.now.after(HOUR);
    }
}

/// What a sign-in wrote may land when the user has signed in many times since.
#[test]
fn rule_11_an_earlier_identity_of_this_process_that_lands_late_is_written_over() {
    let mut world = World::new(1, |config| config.persistence = Persistence::Shared);
    world.machine.sign_in(grant("a"), START);
    let (_, late) = world.commit();
    for _ in 0..62 {
        world.machine.sign_in(grant("between"), START);
    }
    world.machine.sign_in(grant("b"), START);
    let last = world.commit();
    world.put(Some(late));
    world.not_written(last, CommitError::Unavailable);
    assert_eq!(world.settle(), None);
    assert_eq!(world.token(), "at-b");
    assert!(world.record().serial == 1 && world.machine.is_settled());
}

#[test]
fn rule_11_a_sign_out_does_not_end_what_may_have_replaced_the_sign_in_it_withdraws() {
    let mut other = World::new(2, |config| config.persistence = Persistence::Shared);
    other.machine.sign_in(grant("other"), START);
    other.settle();

    let mut world = World::new(1, |config| config.persistence = Persistence::Shared);
    world.machine.sign_in(grant("0"), START);
    world.commit();
    world.machine.sign_out(START);
    world.put(other.stored.record.clone());
    assert_eq!(world.settle(), None);
    assert_eq!(world.stored.record, other.stored.record);
}

#[test]
fn sess_01_the_last_64_orphans_are_known_when_they_are_answered() {
    let mut world = World::new(1, |_| {});
    let mut orphans = Vec::new();
    for _ in 0..65 {
        world.machine.sign_in(grant("0"), world.now);
        orphans.push(world.refresh().unwrap());
        world.now = world.now.after(HOUR);
    }
    world.machine.sign_in(grant("0"), world.now);
    world.settle();
    let mut answer = |ticket| {
        let event = Event::Exchanged { ticket, sent_at: world.now, result: Ok(grant("1")) };
        (world.machine.handle_event(event, world.now), world.next().is_some())
    };
    assert_eq!(answer(orphans[0]), (Err(Misuse::NotAwaited), false));
    assert_eq!(answer(orphans[1]), (Ok(()), true), "what it brought is revoked");
}

#[test]
fn retry_03_a_refused_token_makes_a_last_resort_possible_at_once() {
    let mut world = World::signed_in(Persistence::Memory);
    world.now = world.now.after(Duration::from_secs(945));
    assert!(matches!(world.machine.acquire(world.now), Acquire::Ready(_)));
    for _ in 0..2 {
        let ticket = world.settle().unwrap();
        world.answer(ticket, LOST);
    }
    world.now = world.now.after(30 * SECOND);
    assert!(matches!(world.machine.acquire(world.now), Acquire::Ready(_)));
    assert_eq!(world.settle(), None, "not while the token serves");
    assert!(matches!(world.machine.state(), State::Failed(_)));
    assert!(world.refresh().is_some());
}

#[test]
fn rule_10_a_session_that_was_deleted_is_over_and_nothing_is_written_in_its_place() {
    let mut world = World::signed_in(Persistence::Shared);
    let ticket = world.refresh().unwrap();
    world.answer(ticket, Err(ExchangeError::Transient { retry_after: None }));
    let release = world.commit();
    world.not_written(release, CommitError::Unavailable);
    world.next();
    world.put(None);
    world.wake();
    assert!(world.next().is_none());
    let State::Failed(failure) = world.machine.state() else { panic!("{:?}", world.machine.state()) };
    assert_eq!(failure.kind, FailureKind::NoCredentials);
}

#[test]
fn rule_1_a_claim_over_nothing_that_was_not_answered_is_written_again_while_somebody_waits() {
    let mut world = World::new(1, |config| {
        config.persistence = Persistence::Shared;
        config.renewal = Renewal::Ambient;
    });
    world.ask();
    let claim = world.commit();
    world.not_written(claim, CommitError::Unavailable);
    let (_, again) = world.commit();
    assert!(again.holder.is_some(), "{again:?}");
}

#[test]
fn core_04_a_token_id_shows_its_epoch_and_its_generation() {
    let world = World::signed_in(Persistence::Memory);
    assert_eq!(world.machine.current().unwrap().id.to_string(), "1.1");
}
