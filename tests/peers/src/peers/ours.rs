//! This library.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use token_refresh_driver::{
    AsyncTransport, Attempt, Config, ExchangeError, Grant, Profile, Secret, Session, Timestamp, TokioRuntime,
    TransportError,
};

use crate::peer::{Peer, Source, TOKEN};

/// Whatever may wait: `token_async`.
pub(crate) struct Async(Session);

/// What is there already: `token`.
pub(crate) struct Blocking(Session);

impl Peer for Async {
    const NAME: &'static str = "token-refresh, `token_async`";
    type Request = HeaderMap;

    async fn new(source: Arc<Source>) -> Self {
        Self(session(source))
    }

    fn request(&self) -> HeaderMap {
        HeaderMap::new()
    }

    async fn authorize(&self, request: &mut HeaderMap) {
        let token = self.0.token_async().await.expect("a token");
        request.insert(AUTHORIZATION, token.into());
    }
}

impl Peer for Blocking {
    const NAME: &'static str = "token-refresh, `token`";
    const NO_HERD: &'static str = "blocks threads";
    type Request = HeaderMap;

    async fn new(source: Arc<Source>) -> Self {
        let session = session(source);
        session.sign_in(grant().with_lifetime(Duration::from_secs(3_600)));
        Self(session)
    }

    fn request(&self) -> HeaderMap {
        HeaderMap::new()
    }

    async fn authorize(&self, request: &mut HeaderMap) {
        let token = self.0.token().expect("a token");
        request.insert(AUTHORIZATION, token.into());
    }
}

fn grant() -> Grant {
    Grant::new(TOKEN.clone()).and_then(|grant| grant.with_refresh_token("r")).expect("ASCII")
}

/// Its token has expired.
fn session(source: Arc<Source>) -> Session {
    let mut config = Config::default();
    config.max_waiters = usize::MAX;
    let session = Session::builder()
        .config(config)
        .asynchronous(Gated(source), Plain, TokioRuntime::current().expect("a runtime"))
        .expect("a good configuration");
    session.sign_in(grant().with_lifetime(Duration::ZERO));
    session
}

struct Gated(Arc<Source>);

impl AsyncTransport for Gated {
    async fn send(&self, _: Request<Bytes>, attempt: &Attempt) -> Result<Response<Bytes>, TransportError> {
        attempt.begin()?;
        self.0.token().await;
        Ok(Response::new(Bytes::new()))
    }
}

struct Plain;

impl Profile for Plain {
    fn request(&self, _: Option<&Secret>) -> Result<Request<Bytes>, ExchangeError> {
        Ok(Request::new(Bytes::new()))
    }

    fn read(&self, _: &Response<Bytes>, _: Option<&Secret>, _: Timestamp) -> Result<Grant, ExchangeError> {
        Ok(grant().with_lifetime(Duration::from_secs(3_600)))
    }
}
