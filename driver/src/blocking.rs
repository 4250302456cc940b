//! The blocking loop: effects run on threads, and callers park.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use token_refresh_core::{
    CommitError, Effect, Event, ExchangeError, Grant, Record, Scope, Secret, StoreError, Stored, Timestamp,
    Version,
};

use crate::{
    Attempt, Changed, Clock, Profile, Store, Transport,
    baton::Baton,
    engine::{Engine, Runner, Work},
    profile::request_for,
    revocation::Revocation,
    sync::thread::{self, Thread},
    telemetry::Telemetry,
};

/// Runs each piece of work on a thread of its own, which ends with it.
pub(crate) struct Threads {
    ports: Arc<Ports>,
}

struct Ports {
    transport: Box<dyn Transport>,
    profile: Box<dyn Profile>,
    store: Box<dyn Store>,
    clock: Arc<dyn Clock>,
    /// For an attempt of a revocation, which the machine does not wait for.
    limit: Duration,
    telemetry: Telemetry,
}

impl Threads {
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        profile: Box<dyn Profile>,
        store: Option<Box<dyn Store>>,
        clock: Arc<dyn Clock>,
        limit: Duration,
        telemetry: Telemetry,
    ) -> Self {
        let store = store.unwrap_or_else(|| Box::new(NoStore));
        Self { ports: Arc::new(Ports { transport, profile, store, clock, limit, telemetry }) }
    }
}

impl Runner for Threads {
    fn start(&self, work: Work) {
        let ports = Arc::clone(&self.ports);
        let thread = thread::Builder::new().name("token-refresh".into());
        // Without a thread the work is dropped here, and answers for itself.
        let _ = thread.spawn(move || match work {
            Work::Effect(baton) => ports.run(*baton),
            Work::Vigil(mut vigil) => {
                let waker = unpark();
                while let Some(due) = vigil.next(&waker) {
                    ports.clock.park_until(due);
                }
            }
            Work::Delivery(delivery) => delivery.run(),
        });
    }
}

impl Ports {
    /// From one effect to the next, until the run is over.
    fn run(&self, baton: Baton) {
        let (mut next, mut changed) = (Some(baton), Changed::never());
        while let Some(mut baton) = next {
            let event = baton
                .take_up()
                .and_then(|(effect, span)| span.in_scope(|| self.perform(effect, &mut changed)));
            next = baton.pass(event);
        }
    }

    fn perform(&self, effect: &Effect, changed: &mut Changed) -> Option<Event> {
        match effect {
            Effect::Load { ticket, not_before } => {
                self.pause(*not_before, changed);
                // Before the load, so that no change falls between the two.
                *changed = self.store.changed();
                Some(Event::Loaded { ticket: *ticket, result: self.store.load() })
            }
            Effect::Commit { ticket, expected, record } => {
                Some(Event::Committed { ticket: *ticket, result: self.store.commit(*expected, record) })
            }
            Effect::Exchange { ticket, refresh, send_by, limit, scope } => {
                let (sent_at, result) = self.exchange(refresh.as_ref(), *scope, *send_by, *limit);
                Some(Event::Exchanged { ticket: *ticket, sent_at, result })
            }
            Effect::Revoke { refresh } => {
                self.revoke(refresh);
                None
            }
        }
    }

    /// Until this instant, or until the store says that the record changed.
    fn pause(&self, until: Timestamp, changed: &mut Changed) {
        let waker = unpark();
        let mut context = Context::from_waker(&waker);
        while self.clock.now() < until && Pin::new(&mut *changed).poll(&mut context).is_pending() {
            self.clock.park_until(until);
        }
    }

    fn exchange(
        &self,
        refresh: Option<&Secret>,
        scope: Scope,
        send_by: Timestamp,
        limit: Duration,
    ) -> (Timestamp, Result<Grant, ExchangeError>) {
        // Early rather than late, for a transport that does not say when it began: a lifetime counts from here.
        let started = self.clock.now();
        let attempt = Attempt::new(Arc::clone(&self.clock), send_by, limit);
        let result = request_for(&*self.profile, refresh, scope).and_then(|request| {
            let response = self.transport.send(request, &attempt)?;
            self.telemetry.answered(&response);
            self.profile.read(&response, refresh, self.clock.now())
        });
        (attempt.sent_at().unwrap_or(started), result)
    }

    fn revoke(&self, refresh: &Secret) {
        let mut revocation = Revocation::new(self.clock.now());
        // Made anew for each attempt, so that an assertion in it is fresh (XREQ-09).
        while let Some(request) = self.profile.revocation(refresh) {
            let send_by = self.clock.now().after(self.limit);
            let attempt = Attempt::new(Arc::clone(&self.clock), send_by, self.limit);
            let answer = self.transport.send(request, &attempt);
            let Some(again) = revocation.again(&answer, self.clock.now()) else { return };
            self.pause(again, &mut Changed::never());
        }
    }
}

/// For a session that shares its credential with nobody. The machine never asks it anything.
struct NoStore;

impl Store for NoStore {
    fn load(&self) -> Result<Stored, StoreError> {
        Err(StoreError)
    }

    fn commit(&self, _: Version, _: &Record) -> Result<Version, CommitError> {
        Err(CommitError::Unavailable)
    }
}

/// Blocks the calling thread until the future is ready; `None` if the limit passes first.
///
/// Whoever waits also keeps the machine's time, so that a session needs no timer of its own.
pub(crate) fn wait<F: Future + Unpin>(
    engine: &Arc<Engine>,
    mut future: F,
    limit: Duration,
) -> Option<F::Output> {
    let deadline = engine.clock.now().after(limit);
    let waker = unpark();
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut context) {
            return Some(output);
        }
        if engine.clock.now() >= deadline {
            return None;
        }
        let due = engine.tick().unwrap_or(deadline);
        engine.clock.park_until(due.min(deadline));
    }
}

/// Wakes this thread.
fn unpark() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
