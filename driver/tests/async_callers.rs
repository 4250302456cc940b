//! What async callers get, and that nobody depends on them. Each test runs on tokio (one thread and four), on smol, and
//! on the executor of `examples/custom_runtime`.
#![allow(clippy::unwrap_used)]

mod async_support;

use std::time::Duration;

use async_support::{AsyncMemoryStore, Memory, PATIENCE, Runtime, World, on_every_runtime, poll};
use futures::future::join_all;
use token_refresh_driver::{Error, FailureKind, SettleFuture, State, Task, Token, TokenFuture};

const SECOND: Duration = Duration::from_secs(1);

fn access_token(answer: Result<Token, Error>) -> String {
    answer.unwrap().secret().expose().into()
}

#[test]
fn the_futures_can_go_anywhere() {
    fn anywhere<T: Send + Unpin + 'static>() {}
    anywhere::<TokenFuture>();
    anywhere::<SettleFuture>();
    anywhere::<Task>();
}

on_every_runtime! {

async fn core_01_two_hundred_refusals_cause_one_exchange(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let callers = world.waiting(200);
    let call = world.server.call().await;
    assert!(call.presents("rt1"));
    call.grant("at2", "rt2");
    for answer in join_all(callers).await {
        assert_eq!(access_token(answer), "at2");
    }
    world.session.settle_async(PATIENCE).await.unwrap();
    assert!(world.server.is_quiet());
}

async fn core_01_two_hundred_tasks_with_an_expired_token_cause_one_exchange(runtime: Runtime) {
    let mut world = World::signed_in(runtime.clone());
    runtime.time.advance(async_support::LIFETIME);
    let callers: Vec<_> = (0..200)
        .map(|_| {
            let session = world.session.clone();
            runtime.spawn(async move { session.token_async().await })
        })
        .collect();
    world.server.call().await.grant("at2", "rt2");
    for answer in join_all(callers).await {
        assert_eq!(access_token(answer.unwrap()), "at2");
    }
    world.session.settle_async(PATIENCE).await.unwrap();
    assert!(world.server.is_quiet());
}

async fn core_04_late_refusals_start_nothing(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let old = world.id();
    let callers = world.waiting(1);
    world.server.call().await.grant("at2", "rt2");
    join_all(callers).await;
    for _ in 0..50 {
        assert_eq!(access_token(world.session.reject_async(old).await), "at2");
    }
    assert_eq!(world.session.state(), State::Idle);
    assert!(world.server.is_quiet());
}

async fn core_13_a_callers_time_limit_is_its_own(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let refused = world.id();
    let patient = world.waiting(1);
    let call = world.server.call().await;
    let mut hurried = world.session.reject_async(refused).within(SECOND);
    assert!(poll(&mut hurried).is_pending());
    world.runtime.time.advance(SECOND);
    assert!(matches!(hurried.await, Err(Error::TimedOut)));
    call.grant("at2", "rt2");
    for answer in join_all(patient).await {
        assert_eq!(access_token(answer), "at2");
    }
}

async fn core_13_without_a_limit_of_its_own_a_caller_has_the_sessions(runtime: Runtime) {
    let mut world = World::new(runtime, |builder| builder.time_limit(3 * SECOND));
    world.session.sign_in(async_support::grant("at1", "rt1"));
    let mut callers = world.waiting(1);
    let _call = world.server.call().await;
    world.runtime.time.advance(2 * SECOND);
    assert!(poll(&mut callers[0]).is_pending());
    world.runtime.time.advance(SECOND);
    assert!(matches!(callers.remove(0).await, Err(Error::TimedOut)));
}

async fn core_14_dropping_the_future_that_began_cancels_that_caller_only(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let mut callers = world.waiting(3);
    drop(callers.remove(0));
    world.server.call().await.grant("at2", "rt2");
    for answer in join_all(callers).await {
        assert_eq!(access_token(answer), "at2");
    }
    world.session.settle_async(PATIENCE).await.unwrap();
    assert!(world.server.is_quiet());
}

async fn i_18_a_refresh_that_nobody_waits_for_any_more_is_kept(runtime: Runtime) {
    let store = AsyncMemoryStore::default();
    let mut world = World::stored(runtime, &store).await;
    let callers = world.waiting(20);
    let call = world.server.call().await;
    drop(callers);
    call.grant("at2", "rt2");
    world.session.settle_async(PATIENCE).await.unwrap();
    assert_eq!(world.access_token(), "at2");
    assert_eq!(store.0.refresh_token().as_deref(), Some("rt2"));
    assert!(world.server.is_quiet());
}

async fn futures_do_nothing_until_they_are_polled(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    drop(world.session.reject_async(world.id()));
    drop(world.session.token_async());
    assert_eq!(world.session.state(), State::Idle);
    assert!(world.server.is_quiet());
}

async fn a_refusal_can_be_reported_without_waiting(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let answer = world.session.reject_within(world.id(), Duration::ZERO);
    assert!(matches!(answer, Err(Error::TimedOut)));
    world.server.call().await.grant("at2", "rt2");
    world.session.settle_async(PATIENCE).await.unwrap();
    assert_eq!(access_token(world.session.token_async().await), "at2");
}

async fn nobody_signed_in_is_said_at_once(runtime: Runtime) {
    let world = World::new(runtime, |builder| builder);
    let Err(Error::Failed(failure)) = world.session.token_async().await else { panic!("there is no token") };
    assert_eq!(failure.kind, FailureKind::NoCredentials);
}

async fn a_settling_session_is_waited_for_within_a_limit(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let _callers = world.waiting(1);
    let call = world.server.call().await;
    let mut settling = world.session.settle_async(SECOND);
    assert!(poll(&mut settling).is_pending());
    world.runtime.time.advance(SECOND);
    assert!(matches!(settling.await, Err(Error::TimedOut)));
    call.grant("at2", "rt2");
    world.session.settle_async(SECOND).await.unwrap();
}

/// What blocks is called on a thread, never in a task.
async fn a_blocking_store_serves_an_async_session(runtime: Runtime) {
    let store = Memory::default();
    let world = World::new(runtime, |builder| builder.store(store.clone()));
    let mut world = world.sign_in_stored().await;
    let callers = world.waiting(5);
    world.server.call().await.grant("at2", "rt2");
    for answer in join_all(callers).await {
        assert_eq!(access_token(answer), "at2");
    }
    assert_eq!(store.refresh_token().as_deref(), Some("rt2"));
    let here = std::thread::current().id();
    let there = world.runtime.spawn(async { std::thread::current().id() }).await.unwrap();
    assert!(store.thread().is_some_and(|thread| thread != here && thread != there));
}

/// Rule 8 of the claim protocol.
async fn what_is_owed_to_the_store_is_paid_although_nobody_asks(runtime: Runtime) {
    let store = AsyncMemoryStore::default();
    let mut world = World::stored(runtime.clone(), &store).await;
    drop(world.waiting(1));
    let call = world.server.call().await;
    store.0.set_down(true);
    call.grant("at2", "rt2");
    // The save is tried for a while, then the token is used although it is not saved.
    runtime.time.pass_until(|| world.session.current().is_some()).await;
    assert_eq!(world.access_token(), "at2");
    assert_eq!(store.0.refresh_token().as_deref(), Some("rt1"));

    store.0.set_down(false);
    runtime.time.pass_until(|| store.0.refresh_token().as_deref() == Some("rt2")).await;
    world.session.settle_async(PATIENCE).await.unwrap();
    assert!(world.server.is_quiet());
}

async fn obs_01_observers_are_told_in_a_task(runtime: Runtime) {
    let mut world = World::signed_in(runtime);
    let (sender, mut notices) = futures::channel::mpsc::unbounded();
    let _subscription = world.session.subscribe(move |notice| {
        let _ = sender.unbounded_send(*notice);
    });
    let callers = world.waiting(1);
    world.server.call().await.grant("at2", "rt2");
    join_all(callers).await;
    assert!(futures::StreamExt::next(&mut notices).await.is_some());
}

}
