//! As `changed.rs`, for async sessions.
#![allow(clippy::unwrap_used)]

mod announcing;
mod async_support;

use announcing::Announcing;
use async_support::{PATIENCE, Runtime, World, grant, on_every_runtime, yield_now};
use token_refresh_driver::{Clock as _, SessionBuilder};

/// The one session presents `rt1`; the other waits for the end of that, and no time passes.
async fn adopts(
    runtime: Runtime,
    store: Announcing,
    share: impl Fn(SessionBuilder, Announcing) -> SessionBuilder,
) {
    let start = runtime.time.now();
    let world = || World::new(runtime.clone(), |builder| share(builder, store.clone()));
    let (mut one, mut other) = (world(), world());
    one.session.sign_in(grant("at1", "rt1"));
    one.session.settle_async(PATIENCE).await.unwrap();
    other.session.token_async().await.unwrap();

    let first = one.waiting(1);
    let call = one.server.call().await;
    let loads = store.loads();
    let second = other.waiting(1);
    while store.loads() == loads {
        yield_now().await;
    }
    call.grant("at2", "rt2");
    for caller in first.into_iter().chain(second) {
        assert_eq!(caller.await.unwrap().secret().expose(), "at2");
    }
    assert_eq!(runtime.time.now(), start);
    assert!(other.server.is_quiet());
}

on_every_runtime! {

async fn the_winners_save_is_adopted_at_once(runtime: Runtime) {
    adopts(runtime, Announcing::default(), SessionBuilder::async_store).await;
}

async fn the_winners_save_in_a_blocking_store_is_adopted_at_once(runtime: Runtime) {
    adopts(runtime, Announcing::default(), SessionBuilder::store).await;
}

}
