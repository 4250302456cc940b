//! The ports of both loops: on the way to the world and back things go wrong. Written once, as futures; in the blocking
//! loop a future that waits blocks its thread.

use std::{panic::panic_any, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request as HttpRequest, Response};
use token_refresh_driver::{
    Attempt, CommitError, Endpoint, OAuthProfile, Record, StoreError, Stored, Timestamp, TransportError,
    Version,
    wire::{ClientAuth, OAuthClient},
};

use crate::{
    plan::{Choice, Fate, Request, StoreFate},
    world::{Known, World},
};

pub(crate) const ASKED_FOR: &str = "a port panics, as its seed asked for";

/// Lets virtual time pass.
pub(crate) trait Rest: Clone + Send + Sync + 'static {
    /// Whether a transport that rests too long is stopped by the driver.
    const IS_STOPPED: bool;

    fn now(&self) -> Timestamp;

    fn rest(&self, span: Duration) -> impl Future<Output = ()> + Send;
}

/// The way to the world, of which several sessions can have one each.
#[derive(Clone)]
pub(crate) struct Way<R> {
    pub(crate) world: Arc<World>,
    /// Which of the sessions it belongs to.
    pub(crate) who: usize,
    pub(crate) time: R,
}

impl<R: Rest> Way<R> {
    pub(crate) async fn send(
        &self,
        request: HttpRequest<Bytes>,
        attempt: &Attempt,
    ) -> Result<Response<Bytes>, TransportError> {
        let Self { world, time, .. } = self;
        let plan = match world.number("request") {
            Some(number) => Request::draw(&mut Choice::of(world.seed, "request", number)),
            None => Request::WELL,
        };
        time.rest(plan.connect).await;
        match plan.fate {
            Fate::NotSent => return Err(TransportError::NotSent),
            Fate::PanicBefore => panic_any(ASKED_FOR),
            _ => attempt.begin()?,
        }
        let begun = time.now();
        let presented = world.presents(self.who, request.body(), attempt.limit(), begun);
        self.on_the_way(plan, plan.before, begun, attempt).await?;
        if plan.fate == Fate::LostBefore {
            return Err(TransportError::Ambiguous);
        }
        let issued = match plan.fate {
            Fate::Busy => None,
            _ => world.exchange(presented, time.now()),
        };
        self.on_the_way(plan, plan.after, begun, attempt).await?;
        if plan.again && attempt.begin().is_ok() {
            // What must not happen would be seen as a presentation without cause.
            world.presents(self.who, request.body(), attempt.limit(), time.now());
        }
        let (status, body, known) = match (plan.fate, issued) {
            (Fate::LostAfter, _) => return Err(TransportError::Ambiguous),
            (Fate::PanicAfter, _) => panic_any(ASKED_FOR),
            (Fate::Busy, _) => (429, String::new(), Known::Untouched),
            (Fate::Error, _) => (500, String::new(), Known::Nothing),
            (Fate::Garbled, _) => (200, "{".into(), Known::Nothing),
            (_, Some((access, refresh))) => {
                let body = format!(
                    r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":300,"refresh_token":"{refresh}"}}"#
                );
                (200, body, Known::Spent)
            }
            (_, None) => (400, r#"{"error":"invalid_grant"}"#.into(), Known::Refused),
        };
        // One that comes too late may have been given up, and its answer not be known when the next one leaves.
        if time.now().since(begun) <= attempt.limit() {
            world.told(presented, known);
        }
        Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap())
    }

    /// Time passes, and a transport gives up when it is over, unless it is a bad one.
    async fn on_the_way(
        &self,
        plan: Request,
        span: Duration,
        begun: Timestamp,
        attempt: &Attempt,
    ) -> Result<(), TransportError> {
        let left = attempt.limit().saturating_sub(self.time.now().since(begun));
        if R::IS_STOPPED || plan.overruns || span <= left {
            self.time.rest(span).await;
            return Ok(());
        }
        self.time.rest(left).await;
        Err(TransportError::Ambiguous)
    }

    pub(crate) async fn load(&self) -> Result<Stored, StoreError> {
        let fate = self.store("load").await;
        let mut state = self.world.state();
        match fate {
            StoreFate::Well => Ok(state.store.load()),
            StoreFate::Fails => Err(StoreError),
            StoreFate::Deceives => Ok(state.store.stale()),
            StoreFate::Late => {
                state.store.land();
                Ok(state.store.load())
            }
            StoreFate::PanicBefore | StoreFate::PanicAfter => {
                drop(state);
                panic_any(ASKED_FOR)
            }
        }
    }

    pub(crate) async fn commit(&self, expected: Version, record: &Record) -> Result<Version, CommitError> {
        let fate = self.store("commit").await;
        let mut state = self.world.state();
        let lost = Err(CommitError::Unavailable);
        match fate {
            StoreFate::Well => state.store.commit(expected, record),
            StoreFate::Fails => lost,
            StoreFate::Deceives => state.store.commit(expected, record).and(lost),
            StoreFate::Late => {
                state.store.delay(expected, record);
                lost
            }
            StoreFate::PanicBefore | StoreFate::PanicAfter => {
                if fate == StoreFate::PanicAfter {
                    let _ = state.store.commit(expected, record);
                }
                drop(state);
                panic_any(ASKED_FOR)
            }
        }
    }

    async fn store(&self, kind: &'static str) -> StoreFate {
        let Some(number) = self.world.number(kind) else { return StoreFate::Well };
        let mut choice = Choice::of(self.world.seed, kind, number);
        let delay = if choice.below(3) == 0 { choice.delay() } else { Duration::ZERO };
        self.time.rest(delay).await;
        StoreFate::draw(&mut choice)
    }
}

pub(crate) fn profile() -> OAuthProfile {
    let client = OAuthClient::new(ClientAuth::None { client_id: "app".into() });
    OAuthProfile::refresh_token(client, Endpoint::https("https://auth.example/token").unwrap())
}
