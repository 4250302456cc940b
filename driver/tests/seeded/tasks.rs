//! The async loop, on one thread.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::{Either, select};
use http::{Request, Response};
use token_refresh_driver::{
    AsyncStore, AsyncTransport, Attempt, CommitError, Error, Record, Session, SessionBuilder, StoreError,
    Stored, Token, TokenId, TransportError, Version,
};

use crate::{
    executor::Executor,
    faults::{Rest, Way, profile},
    plan::{Choice, Demand},
    story::{LONG, Loop, play},
    world::World,
};

pub(crate) fn run(seed: u64) {
    play(seed, &Executor::new(Choice::of(seed, "order", 0)));
}

impl AsyncTransport for Way<Executor> {
    async fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
    ) -> Result<Response<Bytes>, TransportError> {
        Way::send(self, request, attempt).await
    }
}

impl AsyncStore for Way<Executor> {
    async fn load(&self) -> Result<Stored, StoreError> {
        Way::load(self).await
    }

    async fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        Way::commit(self, expected, record).await
    }
}

impl Loop for Executor {
    fn open(&self, builder: SessionBuilder, way: Way<Self>, shared: bool) -> Session {
        let builder = if shared { builder.async_store(way.clone()) } else { builder };
        builder.clock(self.clone()).asynchronous(way, profile(), self.clone()).unwrap()
    }

    fn ask(
        &self,
        session: &Session,
        refused: Option<TokenId>,
        demand: Demand,
        then: impl FnOnce(Duration, Result<Token, Error>) + Send + 'static,
    ) {
        let (session, time) = (session.clone(), self.clone());
        self.start(async move {
            time.rest(demand.comes_after).await;
            let asked = Rest::now(&time);
            let asking = match refused {
                Some(token) => session.reject_async(token),
                None => session.token_async(),
            };
            let asking = asking.within(demand.limit);
            let answer = match demand.gives_up_after {
                None => asking.await,
                Some(span) => match select(asking, Box::pin(time.rest(span))).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(_) => return,
                },
            };
            let waited = Rest::now(&time).since(asked);
            assert!(waited <= demand.limit, "an answer after {waited:?}, and {demand:?}");
            then(waited, answer);
        });
    }

    fn settle(&self, session: &Session, then: impl FnOnce(Result<(), Error>) + Send + 'static) {
        let settling = session.settle_async(LONG);
        self.start(async move { then(settling.await) });
    }

    fn later(&self, after: Duration, work: impl FnOnce() + Send + 'static) {
        let time = self.clone();
        self.start(async move {
            time.rest(after).await;
            work();
        });
    }

    fn complete(&self, _: &[Session]) {
        self.run();
    }

    fn complete_in_time(&self) {
        self.run();
    }

    fn leave(&self, world: &Arc<World>) {
        self.run();
        assert_eq!(Arc::strong_count(world), 1, "something is kept");
    }
}
