//! Whatever goes wrong below, every async caller is answered.
#![allow(clippy::unwrap_used)]

mod async_support;

use std::{sync::Arc, time::Duration};

use async_support::{AsyncMemoryStore, Memory, PATIENCE, Runtime, World, on_every_runtime, profile};
use bytes::Bytes;
use futures::{FutureExt as _, executor::block_on, future::join_all};
use http::{Request, Response};
use token_refresh_driver::{
    AsyncStore, AsyncTransport, Attempt, BuildError, Error, FailureKind, Session, Sleep, Spawn, Task, Token,
    Transport, TransportError,
};

const SECOND: Duration = Duration::from_secs(1);

fn kind(answer: &Result<Token, Error>) -> FailureKind {
    answer.as_ref().unwrap_err().failure().expect("a failure").kind
}

/// Connects for ever.
struct NeverBegins(Arc<()>);

impl AsyncTransport for NeverBegins {
    async fn send(&self, _: Request<Bytes>, _: &Attempt) -> Result<Response<Bytes>, TransportError> {
        let _connection = Arc::clone(&self.0);
        std::future::pending().await
    }
}

/// A runtime that was shut down.
struct NoRuntime;

impl Spawn for NoRuntime {
    fn spawn(&self, task: Task) {
        drop(task);
    }
}

impl Sleep for NoRuntime {
    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send + 'static {
        std::future::pending()
    }
}

#[test]
fn core_03_without_a_runtime_every_demand_fails_at_once() {
    let session = Session::builder().asynchronous(NeverBegins(Arc::default()), profile(), NoRuntime).unwrap();
    session.sign_in(async_support::grant("at1", "rt1"));
    let refused = session.current().unwrap().id();
    // Nothing was sent, so nothing is lost.
    assert_eq!(kind(&block_on(session.reject_async(refused))), FailureKind::Transient);
    block_on(session.settle_async(PATIENCE)).unwrap();
}

/// As the executor and the timer of hyper-util outside of tokio.
struct NotAtHome;

impl Spawn for NotAtHome {
    fn spawn(&self, _: Task) {
        panic!("there is no reactor running")
    }
}

impl Sleep for NotAtHome {
    #[allow(unreachable_code, reason = "it says what it would be")]
    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send + 'static {
        panic!("there is no reactor running");
        std::future::pending()
    }
}

#[test]
fn core_03_a_runtime_that_panics_where_it_is_not_at_home_panics_no_caller() {
    let builder = Session::builder().async_store(AsyncMemoryStore::default());
    let session = builder.asynchronous(NeverBegins(Arc::default()), profile(), NotAtHome).unwrap();
    session.sign_in(async_support::grant("at1", "rt1"));
    let refused = session.current().unwrap().id();
    assert!(session.reject_async(refused).now_or_never().is_none_or(|answer| answer.is_err()));
    session.sign_out();
    assert_eq!(kind(&block_on(session.token_async())), FailureKind::SignedOut);
}

#[test]
fn a_blocking_session_cannot_have_an_async_store() {
    struct Nothing;
    impl Transport for Nothing {
        fn send(&self, _: Request<Bytes>, _: &Attempt) -> Result<Response<Bytes>, TransportError> {
            Err(TransportError::NotSent)
        }
    }
    let builder = Session::builder().async_store(AsyncMemoryStore::default());
    assert_eq!(builder.blocking(Nothing, profile()).err(), Some(BuildError::AsyncStore));
}

on_every_runtime! {

async fn core_03_a_panic_in_the_transport_answers_every_caller(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let callers = world.waiting(20);
    world.server.call().await.panic();
    // The outcome is unknown, so the refresh token is presented once more (Q1).
    world.server.call().await.panic();
    for answer in join_all(callers).await {
        assert_eq!(kind(&answer), FailureKind::Uncertain);
    }
    world.session.settle_async(PATIENCE).await.unwrap();
}

async fn core_03_a_run_goes_on_after_a_panic(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let callers = world.waiting(20);
    world.server.call().await.panic();
    world.server.call().await.grant("at2", "rt2");
    for answer in join_all(callers).await {
        assert_eq!(answer.unwrap().secret().expose(), "at2");
    }
}

async fn core_03_a_panic_in_an_async_store_answers_every_caller(runtime: Runtime) {
    let store = AsyncMemoryStore::default();
    let world = World::stored(runtime, &store).await;
    panics(world, &store.0).await;
}

async fn core_03_a_panic_in_a_blocking_store_answers_every_caller(runtime: Runtime) {
    let store = Memory::default();
    let world = World::new(runtime, |builder| builder.store(store.clone()));
    panics(world.sign_in_stored().await, &store).await;
}

/// Whoever waits keeps the time that the machine gives an effect.
async fn core_03_a_store_that_never_answers_is_given_up(runtime: Runtime) {
    let store = AsyncMemoryStore::default();
    let world = World::stored(runtime.clone(), &store).await;
    store.0.set_hangs(true);
    let mut caller = runtime.spawn(world.session.reject_async(world.id()).within(600 * SECOND));
    let mut answer = None;
    let answered = || {
        answer = caller.try_recv().unwrap();
        answer.is_some()
    };
    runtime.time.pass_until(answered).await;
    assert_eq!(kind(&answer.unwrap()), FailureKind::StoreUnavailable);
}

async fn retry_01_a_transport_that_does_not_begin_in_time_is_stopped_and_sent_nothing(runtime: Runtime) {
    let connection = Arc::new(());
    let session = Session::builder()
        .clock(runtime.time.clone())
        .asynchronous(NeverBegins(Arc::clone(&connection)), profile(), runtime.clone())
        .unwrap();
    session.sign_in(async_support::grant("at1", "rt1"));
    let refused = session.current().unwrap().id();
    session.reject_within(refused, Duration::ZERO).unwrap_err();
    runtime.time.pass_until(|| !matches!(session.state(), token_refresh_driver::State::Refreshing)).await;
    session.settle_async(PATIENCE).await.unwrap();
    assert_eq!(Arc::strong_count(&connection), 2, "the transport still connects");
    assert_eq!(kind(&session.reject_async(refused).await), FailureKind::Transient);
}

async fn retry_06_an_exchange_that_takes_too_long_is_stopped_and_its_outcome_is_unknown(runtime: Runtime) {
    let mut world = World::signed_in(runtime.clone());
    drop(world.waiting(1));
    let first = world.server.call().await;
    assert!(!first.is_given_up());
    runtime.time.pass_until(|| first.is_given_up()).await;
    let second = world.server.call().await;
    assert!(second.presents("rt1"));
    second.grant("at2", "rt2");
    world.session.settle_async(PATIENCE).await.unwrap();
    assert_eq!(world.access_token(), "at2");
}

async fn a_cut_connection_answers_every_caller(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let callers = world.waiting(5);
    drop(world.server.call().await);
    drop(world.server.call().await);
    for answer in join_all(callers).await {
        assert_eq!(kind(&answer), FailureKind::Uncertain);
    }
}

}

async fn panics(mut world: World, store: &Memory) {
    let refused = world.id();
    store.set_panics(true);
    assert_eq!(kind(&world.session.reject_async(refused).await), FailureKind::StoreUnavailable);
    assert!(world.server.is_quiet());

    store.set_panics(false);
    world.runtime.time.advance(60 * SECOND);
    let session = world.session.clone();
    let caller = world.runtime.spawn(async move { session.reject_async(refused).await });
    world.server.call().await.grant("at2", "rt2");
    assert_eq!(caller.await.unwrap().unwrap().secret().expose(), "at2");
}

/// An `async fn` is enough to implement a port, and what it yields can be shared.
#[test]
fn ports_can_be_shared() {
    fn transport(_: impl AsyncTransport) {}
    fn store(_: impl AsyncStore) {}
    transport(Arc::new(NeverBegins(Arc::default())));
    store(Arc::new(AsyncMemoryStore::default()));
}
