//! Callers that give up, at every point of a request (CORE-14, I-18).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use token_refresh_conformance::server::{Gate, Step};
use token_refresh_reqwest::{Error, ResponseFuture, reqwest::Response};
use tokio::{
    sync::watch,
    task::{JoinSet, spawn_blocking},
};

use crate::support::World;

const SOON: Duration = Duration::from_secs(60);
const TASKS: usize = 1000;

async fn arrived(gate: &Gate, count: usize) {
    let gate = gate.clone();
    assert!(spawn_blocking(move || gate.wait_arrived(count, SOON)).await.unwrap());
}

/// Polls a request so often, and then drops it; or earlier, when it is told to.
struct GivesUp {
    request: Option<ResponseFuture>,
    polls: usize,
}

impl Future for GivesUp {
    type Output = Option<Result<Response, Error>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(left) = self.polls.checked_sub(1) else {
            self.request = None;
            return Poll::Ready(None);
        };
        self.polls = left;
        match &mut self.request {
            Some(request) => Pin::new(request).poll(context).map(Some),
            None => Poll::Ready(None),
        }
    }
}

/// A reproducible die (xorshift).
struct Die(u64);

impl Die {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % 1_000_003).unwrap() % limit
    }

    fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        (1..count).for_each(|index| order.swap(index, self.below(index + 1)));
        order
    }
}

/// A random half is dropped: before it is polled, after some polls, or while the authorization server is at work.
async fn storm(seed: u64) {
    let world = World::expired();
    let refreshing = Gate::new();
    world.auth.script([Step::new().hold_after(&refreshing)]);
    let (quit, quits) = watch::channel(false);

    let mut die = Die(seed);
    let mut stayers = JoinSet::new();
    let mut quitters = JoinSet::new();
    for task in die.shuffled(TASKS) {
        let request = world.client.get(world.api.url("/a")).send();
        if task < TASKS / 2 {
            stayers.spawn(request);
            continue;
        }
        // Nobody gets his answer before the refresh, and few a poll of more than this.
        let polls = if die.below(2) == 0 { die.below(6) } else { usize::MAX };
        let quitter = GivesUp { request: Some(request), polls };
        let mut quits = quits.clone();
        quitters.spawn(async move {
            tokio::select! {
                biased;
                _ = quits.wait_for(|quit| *quit) => None,
                answer = quitter => answer,
            }
        });
    }
    arrived(&refreshing, 1).await;
    quit.send_replace(true);
    while let Some(quitter) = quitters.join_next().await {
        assert!(quitter.unwrap().is_none());
    }
    refreshing.open();

    let mut answered = 0;
    while let Some(stayer) = stayers.join_next().await {
        assert_eq!(stayer.unwrap().unwrap().status(), 200, "seed {seed}");
        answered += 1;
    }
    assert_eq!(answered, TASKS / 2);
    assert_eq!((world.refreshes(), world.auth.families_revoked()), (1, 0), "seed {seed}");

    world.session().settle_async(SOON).await.unwrap();
    assert_eq!(world.client.get(world.api.url("/next")).send().await.unwrap().status(), 200);
    assert_eq!(world.api.generations("/next"), [Some(1)], "the token was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_14_a_storm_of_quitters_on_many_threads() {
    storm(0x9e37_79b9).await;
    storm(0x85eb_ca6b).await;
}

#[tokio::test]
async fn core_14_a_storm_of_quitters_on_one_thread() {
    storm(0xc2b2_ae35).await;
}

/// Nobody is left who wants the token. It is kept all the same, and presented never again.
#[tokio::test]
async fn core_14_a_refresh_outlives_all_its_callers() {
    let world = World::expired();
    let gate = Gate::new();
    world.auth.script([Step::new().hold_after(&gate)]);
    let mut callers = JoinSet::new();
    (0..20).for_each(|_| drop(callers.spawn(world.client.get(world.api.url("/a")).send())));
    arrived(&gate, 1).await;
    callers.shutdown().await;
    gate.open();

    world.session().settle_async(SOON).await.unwrap();
    assert_eq!(world.client.get(world.api.url("/next")).send().await.unwrap().status(), 200);
    assert_eq!(world.api.generations("/next"), [Some(1)]);
    assert_eq!(world.refreshes(), 1);
}
