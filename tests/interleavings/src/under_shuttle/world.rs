//! What the sessions of these tests live with.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    env,
    pin::pin,
    sync::{
        Arc, Mutex as Plain,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use shuttle::{
    Config, Runner,
    rand::{Rng, thread_rng},
    scheduler::{PctScheduler, RandomScheduler},
    thread,
};
use token_refresh_core::{Body, ExchangeError, Grant, Secret, Timestamp, TokenId};

use super::{
    AsyncTransport, Attempt, BuildError, Clock, Profile, Session, SessionBuilder, Store as _, Transport,
    TransportError, store::MemoryStore,
};

/// So many orders by chance, and so many in which a few switches come where they hurt most; always the same ones.
/// `ORDERS=100` tries so many times as many.
pub(super) fn orders(scenario: impl Fn() + Clone + Send + Sync + 'static) {
    let times: usize = env::var("ORDERS").map_or(1, |times| times.parse().expect("ORDERS is a number"));
    let mut config = Config::new();
    config.stack_size = 0x40000;
    Runner::new(RandomScheduler::new_from_seed(1, 300 * times), config.clone()).run(scenario.clone());
    Runner::new(PctScheduler::new_from_seed(2, 4, 300 * times), config).run(scenario);
}

/// Longer than any time that passes.
pub(super) const EVER: Duration = Duration::from_secs(1_000_000);

/// A session with a store, signed in, at rest.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) clock: Hasty,
    store: MemoryStore,
    pub(super) session: Session,
    /// Its token.
    pub(super) first: TokenId,
}

impl World {
    pub(super) fn new(
        build: impl FnOnce(SessionBuilder, &Server, &Hasty) -> Result<Session, BuildError>,
    ) -> Self {
        let (server, store, clock) = (Server::default(), MemoryStore::new(), Hasty::default());
        let builder = Session::builder().clock(clock.clone()).store(store.clone());
        let session = build(builder, &server, &clock).unwrap();
        session.sign_in(server.sign_in());
        session.settle(EVER).unwrap();
        let first = session.current().unwrap().id();
        Self { server, clock, store, session, first }
    }

    /// The refresh token in the store; `None` if there is no more.
    pub(super) fn stored(&self) -> Option<String> {
        let record = self.store.load().unwrap().record.unwrap();
        let Body::Grant { grant, .. } = record.body else { return None };
        Some(grant.refresh_token().unwrap().expose().to_owned())
    }
}

/// It stands still but for whoever waits for a moment: pauses take no time, and limits are never reached.
#[derive(Clone, Default)]
pub(super) struct Hasty(Arc<AtomicU64>);

impl Hasty {
    const MOMENT: Duration = Duration::from_secs(5);

    pub(super) fn advance(&self, span: Duration) {
        self.0.fetch_add(u64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Whether the pause is over at once.
    pub(super) fn passes(&self, span: Duration) -> bool {
        let short = span <= Self::MOMENT;
        if short {
            self.advance(span);
        }
        short
    }
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn park_until(&self, until: Timestamp) {
        let span = until.since(self.now());
        if span <= Self::MOMENT {
            thread::yield_now();
            self.passes(until.since(self.now()));
        } else {
            thread::park();
        }
    }
}

/// Rotates; the parent of the good refresh token yields the same successor again.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Plain<Seen>>);

#[derive(Default)]
pub(super) struct Seen {
    /// The number of the good refresh token, counted from 1.
    pub(super) good: u32,
    pub(super) presented: Vec<u32>,
    pub(super) revoked: bool,
    /// How often whoever presents one has still to die.
    pub(super) deaths: u32,
}

impl Server {
    pub(super) fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    /// What whoever signs in gets.
    pub(super) fn sign_in(&self) -> Grant {
        self.seen().good = 1;
        grant(1)
    }

    fn act(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let mut seen = self.seen();
        let number: u32 = request.headers()["x-refresh-token"].to_str().unwrap()[2..].parse().unwrap();
        let mut status = 200;
        if request.uri().path() == "/revoke" {
            seen.revoked = true;
        } else {
            seen.presented.push(number);
            if seen.revoked || number + 1 < seen.good {
                status = 401;
            } else {
                seen.good = number + 1;
            }
        }
        Response::builder().status(status).body(seen.good.to_string().into()).unwrap()
    }

    /// Whether to die now.
    fn dies(&self) -> bool {
        let dies = self.seen().deaths > 0 && thread_rng().gen_bool(0.5);
        self.seen().deaths -= u32::from(dies);
        dies
    }
}

/// Others may go on; or it dies, and nobody hears why.
fn step(server: &Server) {
    thread::yield_now();
    if server.dies() {
        std::panic::resume_unwind(Box::new("it dies"));
    }
}

impl Transport for Server {
    fn send(&self, request: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        step(self);
        attempt.begin()?;
        let response = self.act(&request);
        step(self);
        Ok(response)
    }
}

impl AsyncTransport for Server {
    async fn send(
        &self,
        request: Request<Bytes>,
        attempt: &Attempt,
    ) -> Result<Response<Bytes>, TransportError> {
        shuttle::future::yield_now().await;
        attempt.begin()?;
        let response = self.act(&request);
        shuttle::future::yield_now().await;
        Ok(response)
    }
}

pub(super) struct Numbers;

impl Profile for Numbers {
    fn request(&self, refresh: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        let refresh = refresh.ok_or(ExchangeError::Misconfigured)?;
        Ok(Request::post("https://auth.example/renew")
            .header("x-refresh-token", refresh.expose())
            .body(Bytes::new())
            .unwrap())
    }

    fn read(
        &self,
        response: &Response<Bytes>,
        _: Option<&Secret>,
        _: Timestamp,
    ) -> Result<Grant, ExchangeError> {
        if response.status() != 200 {
            return Err(ExchangeError::Permanent);
        }
        Ok(grant(std::str::from_utf8(response.body()).unwrap().parse().unwrap()))
    }

    fn revocation(&self, refresh: &Secret) -> Option<Request<Bytes>> {
        Request::post("https://auth.example/revoke")
            .header("x-refresh-token", refresh.expose())
            .body(Bytes::new())
            .ok()
    }
}

fn grant(number: u32) -> Grant {
    Grant::new(format!("at{number}")).unwrap().with_refresh_token(format!("rt{number}")).unwrap()
}
