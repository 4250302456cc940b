//! The async loop: effects run in tasks, and callers are futures. No logic of its own: what the blocking loop does, in
//! the same order.

use std::{
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use token_refresh_core::{
    CommitError, Effect, Event, ExchangeError, Grant, Record, Scope, Secret, StoreError, Stored, Timestamp,
    Version,
};

use crate::{
    AsyncStore, AsyncTransport, Attempt, Changed, Clock, Profile, Sleep, Spawn, Task, TransportError,
    baton::Baton,
    engine::{Runner, Work},
    profile::request_for,
    revocation::Revocation,
    telemetry::Telemetry,
    timer::{Sleeping, Timer},
};

/// Runs each piece of work in a task of its own, which ends with it.
pub(crate) struct Tasks<R> {
    runtime: Arc<R>,
    ports: Arc<Ports>,
}

struct Ports {
    transport: Box<dyn AnyTransport>,
    profile: Box<dyn Profile>,
    store: Option<Box<dyn AnyStore>>,
    clock: Arc<dyn Clock>,
    sleep: Box<dyn Fn(Timestamp) -> Sleeping + Send + Sync>,
    /// For an attempt of a revocation, which the machine does not wait for.
    limit: Duration,
    telemetry: Telemetry,
}

impl<R: Spawn + Sleep + 'static> Tasks<R> {
    pub(crate) fn new(
        runtime: R,
        transport: Box<dyn AnyTransport>,
        profile: Box<dyn Profile>,
        store: Option<Box<dyn AnyStore>>,
        clock: Arc<dyn Clock>,
        limit: Duration,
        telemetry: Telemetry,
    ) -> Self {
        let runtime = Arc::new(runtime);
        let sleep = Box::new({
            let (runtime, clock) = (Arc::clone(&runtime), Arc::clone(&clock));
            // Where the runtime has no timer, a caller waits for its answer without a limit.
            move |until: Timestamp| -> Sleeping {
                let sleep = || Box::pin(runtime.sleep(until.since(clock.now()))) as Sleeping;
                catch_unwind(AssertUnwindSafe(sleep)).unwrap_or_else(|_| Box::pin(pending()))
            }
        });
        Self { runtime, ports: Arc::new(Ports { transport, profile, store, clock, sleep, limit, telemetry }) }
    }
}

impl<R: Spawn + Sleep + 'static> Runner for Tasks<R> {
    fn start(&self, work: Work) {
        let ports = Arc::clone(&self.ports);
        let task = Task::new(async move {
            match work {
                Work::Effect(baton) => ports.run(*baton).await,
                Work::Vigil(mut vigil) => {
                    let mut timer = Timer::default();
                    poll_fn(|context| {
                        while let Some(due) = vigil.next(context.waker()) {
                            ready!(timer.poll(due, &*ports.clock, &ports.sleep, context));
                        }
                        Poll::Ready(())
                    })
                    .await;
                }
                Work::Delivery(delivery) => delivery.run(),
            }
        });
        // Some runtimes panic where they are not at home. A task that is never run is dropped, and what is in it answers
        // for itself.
        let _ = catch_unwind(AssertUnwindSafe(|| self.runtime.spawn(task)));
    }
}

impl Ports {
    /// From one effect to the next, until the run is over.
    async fn run(&self, baton: Baton) {
        let (mut next, mut changed) = (Some(baton), Changed::never());
        while let Some(mut baton) = next {
            let event = match baton.take_up() {
                Some((effect, span)) => span.around(self.perform(effect, &mut changed)).await,
                None => None,
            };
            next = baton.pass(event);
        }
    }

    async fn perform(&self, effect: &Effect, changed: &mut Changed) -> Option<Event> {
        match effect {
            Effect::Load { ticket, not_before } => {
                // Until then, or until the store says that the record changed.
                Timer::limit(&mut *changed, || *not_before, &*self.clock, &self.sleep).await;
                let result = match &self.store {
                    Some(store) => {
                        // Before the load, so that no change falls between the two.
                        *changed = store.changed();
                        store.load().await
                    }
                    None => Err(StoreError),
                };
                Some(Event::Loaded { ticket: *ticket, result })
            }
            Effect::Commit { ticket, expected, record } => {
                let result = match &self.store {
                    Some(store) => store.commit(*expected, record).await,
                    None => Err(CommitError::Unavailable),
                };
                Some(Event::Committed { ticket: *ticket, result })
            }
            Effect::Exchange { ticket, refresh, send_by, limit, scope } => {
                let (sent_at, result) = self.exchange(refresh.as_ref(), *scope, *send_by, *limit).await;
                Some(Event::Exchanged { ticket: *ticket, sent_at, result })
            }
            Effect::Revoke { refresh } => {
                self.revoke(refresh).await;
                None
            }
        }
    }

    async fn exchange(
        &self,
        refresh: Option<&Secret>,
        scope: Scope,
        send_by: Timestamp,
        limit: Duration,
    ) -> (Timestamp, Result<Grant, ExchangeError>) {
        // Early rather than late, for a transport that does not say when it began: a lifetime counts from here.
        let started = self.clock.now();
        let attempt = Attempt::new(Arc::clone(&self.clock), send_by, limit);
        let result = match request_for(&*self.profile, refresh, scope) {
            Ok(request) => match self.send(request, &attempt, send_by).await {
                Ok(response) => {
                    self.telemetry.answered(&response);
                    self.profile.read(&response, refresh, self.clock.now())
                }
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error),
        };
        (attempt.sent_at().unwrap_or(started), result)
    }

    async fn revoke(&self, refresh: &Secret) {
        let mut revocation = Revocation::new(self.clock.now());
        // Made anew for each attempt, so that an assertion in it is fresh (XREQ-09).
        while let Some(request) = self.profile.revocation(refresh) {
            let send_by = self.clock.now().after(self.limit);
            let attempt = Attempt::new(Arc::clone(&self.clock), send_by, self.limit);
            let answer = self.send(request, &attempt, send_by).await;
            let Some(again) = revocation.again(&answer, self.clock.now()) else { return };
            Timer::wait(again, &*self.clock, &self.sleep).await;
        }
    }

    /// Keeps the time limits for the transport.
    async fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
        send_by: Timestamp,
    ) -> Result<Response<Bytes>, TransportError> {
        let deadline = || attempt.sent_at().map_or(send_by, |sent_at| sent_at.after(attempt.limit()));
        let answer = self.transport.send(request, attempt);
        match Timer::limit(answer, deadline, &*self.clock, &self.sleep).await {
            Some(result) => result,
            None if attempt.sent_at().is_none() => Err(TransportError::NotSent),
            None => Err(TransportError::Ambiguous),
        }
    }
}

/// [`AsyncTransport`] as an object: an exchange is rare enough for a box.
pub(crate) trait AnyTransport: Send + Sync {
    fn send<'a>(
        &'a self,
        request: Request<Bytes>,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<Response<Bytes>, TransportError>>;
}

/// [`AsyncStore`] as an object.
pub(crate) trait AnyStore: Send + Sync {
    fn load(&self) -> BoxFuture<'_, Result<Stored, StoreError>>;

    fn commit<'a>(
        &'a self,
        expected: Version,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Version, CommitError>>;

    fn changed(&self) -> Changed;
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<T: AsyncTransport> AnyTransport for T {
    fn send<'a>(
        &'a self,
        request: Request<Bytes>,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<Response<Bytes>, TransportError>> {
        Box::pin(AsyncTransport::send(self, request, attempt))
    }
}

impl<S: AsyncStore> AnyStore for S {
    fn load(&self) -> BoxFuture<'_, Result<Stored, StoreError>> {
        Box::pin(AsyncStore::load(self))
    }

    fn commit<'a>(
        &'a self,
        expected: Version,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Version, CommitError>> {
        Box::pin(AsyncStore::commit(self, expected, record))
    }

    fn changed(&self) -> Changed {
        AsyncStore::changed(self)
    }
}
