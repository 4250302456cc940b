//! A thousand tasks find that the token was refused, and half of them give up at some point of the refresh.
#![allow(clippy::unwrap_used)]

mod async_support;

use async_support::{AsyncMemoryStore, PATIENCE, Runtime, World, on_every_runtime};
use futures::{
    channel::oneshot,
    future::{Either, join_all, select},
};
use token_refresh_driver::{Error, Token};

const TASKS: usize = 1_000;

/// When a task gives up: before it asks, before the request is sent, while the server holds it, or as the answer comes.
const POINTS: u64 = 4;

/// A reproducible choice (`SplitMix64`).
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

async fn storm(runtime: Runtime, seed: u64) {
    let store = AsyncMemoryStore::default();
    let mut world = World::stored(runtime.clone(), &store).await;
    let refused = world.id();
    let mut choice = Choice(seed);
    let mut give_up: Vec<Vec<oneshot::Sender<()>>> = (0..POINTS).map(|_| Vec::new()).collect();
    let mut patient = Vec::new();
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let (signal, signalled) = oneshot::channel::<()>();
        match choice.below(2) {
            0 => give_up[usize::try_from(choice.below(POINTS)).unwrap()].push(signal),
            _ => patient.push(signal),
        }
        let asking = world.session.reject_async(refused);
        tasks.push(async move {
            match select(signalled, asking).await {
                Either::Left((Ok(()) | Err(_), _asking)) => None,
                Either::Right((answer, _)) => Some(answer),
            }
        });
    }
    let mut give_up = give_up.into_iter().map(|signals| {
        move || {
            for signal in signals {
                // It may have its answer already.
                let _ = signal.send(());
            }
        }
    });

    give_up.next().unwrap()();
    let tasks: Vec<_> = tasks.into_iter().map(|task| runtime.spawn(task)).collect();
    give_up.next().unwrap()();
    let call = world.server.call().await;
    assert!(call.presents("rt1"));
    give_up.next().unwrap()();
    async_support::yield_now().await;
    call.grant("at2", "rt2");
    give_up.next().unwrap()();

    let answers: Vec<Option<Result<Token, Error>>> =
        join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    let answered: Vec<_> = answers.into_iter().flatten().collect();
    assert!(answered.len() >= patient.len(), "a patient caller has no answer");
    for answer in answered {
        assert_eq!(answer.unwrap().secret().expose(), "at2");
    }
    world.session.settle_async(PATIENCE).await.unwrap();
    assert!(world.server.is_quiet(), "more than one refresh");
    assert_eq!(store.0.refresh_token().as_deref(), Some("rt2"));
}

on_every_runtime! {

async fn core_14_half_of_the_callers_give_up_and_the_rest_succeed(runtime: Runtime) {
    for seed in 0..5 {
        storm(runtime.clone(), seed).await;
    }
}

}
